//! Walking whole buckets, page by page, beside writers.

use std::ops::Bound;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use statehold_core::{
    Bucket, Cx, Error, ItemKey, Partition, Result, Scan, ScanCursor, ScanPage, Scanned, Time, View, validate,
};

use super::MemoryEngine;
use super::bucket::BucketState;
use super::items::Kept;
use super::partitions::Held;

/// Entries that one page looks at, at most, whether or not they are wanted.
const LOOKED_AT_MAX: usize = 8_192;

/// Where a scan is: the bucket by its place among those wanted, and how far it is in there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Position {
    bucket: u16,
    within: Within,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Within {
    /// A slot, and the key after which to go on; empty for its beginning. A partition keeps its slot for as long as
    /// it holds an item, so what is there throughout is met.
    Slot { slot: u32, after: Bytes },
    /// A place in the order of deadlines.
    Due { due: u64, ticket: u64 },
}

impl Within {
    fn beginning(view: View) -> Self {
        match view {
            View::Live | View::Raw => Self::Slot { slot: 0, after: Bytes::new() },
            View::Expired(_) => Self::Due { due: 0, ticket: 0 },
        }
    }
}

impl Position {
    fn encode(&self) -> ScanCursor {
        let mut out = BytesMut::with_capacity(32);
        out.put_u16(self.bucket);
        match &self.within {
            Within::Slot { slot, after } => {
                out.put_u8(1);
                out.put_u32(*slot);
                out.put_slice(after);
            }
            Within::Due { due, ticket } => {
                out.put_u8(2);
                out.put_u64(*due);
                out.put_u64(*ticket);
            }
        }
        ScanCursor(out.freeze())
    }

    fn decode(cursor: &ScanCursor, view: View) -> Option<Self> {
        let mut bytes = cursor.0.clone();
        let bucket = bytes.try_get_u16().ok()?;
        let within = match (bytes.try_get_u8().ok()?, view) {
            (1, View::Live | View::Raw) => Within::Slot { slot: bytes.try_get_u32().ok()?, after: bytes },
            (2, View::Expired(_)) => {
                let within =
                    Within::Due { due: bytes.try_get_u64().ok()?, ticket: bytes.try_get_u64().ok()? };
                bytes.is_empty().then_some(within)?
            }
            _ => return None,
        };
        Some(Self { bucket, within })
    }
}

/// One page while it fills.
struct Filling {
    items: Vec<Scanned>,
    limit: usize,
    looked: usize,
}

impl Filling {
    fn is_full(&self) -> bool {
        self.items.len() >= self.limit || self.looked >= LOOKED_AT_MAX
    }
}

impl MemoryEngine {
    pub(super) fn scan_now(&self, cx: &Cx, scan: &Scan) -> Result<ScanPage> {
        validate::scan(scan)?;
        let Some(space) = self.spaces.find(&scan.space)? else { return Ok(ScanPage::default()) };
        let mut position = match &scan.cursor {
            None => Position { bucket: 0, within: Within::beginning(scan.view) },
            Some(cursor) => Position::decode(cursor, scan.view)
                .ok_or_else(|| Error::invalid("the cursor is not of this scan"))?,
        };
        let now = self.clock.now();
        let mut filling = Filling { items: Vec::new(), limit: scan.limit, looked: 0 };
        while let Some(number) = nth_bucket(scan, position.bucket) {
            if let Some(mut bucket) = space.bucket(number)? {
                let now = self.read_at(cx, &bucket, now)?;
                let stopped = match position.within {
                    Within::Slot { slot, after } => {
                        walk_slots(&bucket, number, (slot, after), scan.view, now, &mut filling)?
                    }
                    Within::Due { due, ticket } => {
                        walk_due(&mut bucket, number, (due, ticket), scan.view, now, &mut filling)?
                    }
                };
                if let Some(within) = stopped {
                    let cursor = Position { within, ..position }.encode();
                    return Ok(ScanPage { items: filling.items, cursor: Some(cursor) });
                }
            }
            let Some(next) = position.bucket.checked_add(1) else { break };
            position = Position { bucket: next, within: Within::beginning(scan.view) };
        }
        Ok(ScanPage { items: filling.items, cursor: None })
    }
}

fn nth_bucket(scan: &Scan, nth: u16) -> Option<Bucket> {
    if scan.buckets.is_empty() {
        (nth < scan.space.buckets()).then(|| Bucket::new(nth))
    } else {
        scan.buckets.get(usize::from(nth)).copied()
    }
}

/// Fills the page from the slots of a bucket; where it stopped, if it is full before the end.
fn walk_slots(
    bucket: &BucketState,
    number: Bucket,
    (begin, after): (u32, Bytes),
    view: View,
    now: Time,
    filling: &mut Filling,
) -> Result<Option<Within>> {
    let mut after = after;
    for slot in begin..bucket.partitions.end() {
        if filling.is_full() {
            return Ok(Some(Within::Slot { slot, after }));
        }
        filling.looked += 1;
        let Some(held) = bucket.partitions.get(slot) else { continue };
        let from = if after.is_empty() { Bound::Unbounded } else { Bound::Excluded(after.as_ref()) };
        let mut last: Option<&Bytes> = None;
        for (key, kept) in held.items.range(from, Bound::Unbounded) {
            if filling.is_full() {
                let after = last.cloned().unwrap_or(after);
                return Ok(Some(Within::Slot { slot, after }));
            }
            filling.looked += 1;
            last = Some(key);
            if wanted(key, kept, view, now) {
                filling.items.push(scanned(bucket, number, held, key, kept, view)?);
            }
        }
        after = Bytes::new();
    }
    Ok(None)
}

fn wanted(key: &[u8], kept: &Kept, view: View, now: Time) -> bool {
    match view {
        View::Raw => true,
        View::Live | View::Expired(_) => {
            !key.starts_with(ItemKey::receipts().0) && kept.state.live(now).is_some()
        }
    }
}

/// Fills the page from a bucket's deadlines, soonest first; costs what it returns.
fn walk_due(
    bucket: &mut BucketState,
    number: Bucket,
    begin: (u64, u64),
    view: View,
    now: Time,
    filling: &mut Filling,
) -> Result<Option<Within>> {
    let View::Expired(before) = view else { return Ok(None) };
    let before = before.min(now).millis();
    let mut place = begin;
    while let Some((next, whereabouts)) = bucket.next_due(place, before) {
        if filling.is_full() {
            return Ok(Some(Within::Due { due: place.0, ticket: place.1 }));
        }
        filling.looked += 1;
        place = next;
        let held = bucket.partitions.get(whereabouts.slot);
        let kept = held.and_then(|held| held.items.get(&whereabouts.key).map(|kept| (held, kept)));
        if let Some((held, kept)) = kept {
            filling.items.push(scanned(bucket, number, held, &whereabouts.key, kept, view)?);
        }
    }
    Ok(None)
}

fn scanned(
    bucket: &BucketState,
    number: Bucket,
    held: &Held,
    key: &Bytes,
    kept: &Kept,
    view: View,
) -> Result<Scanned> {
    let mark = if view == View::Raw { bucket.marks.dirty(&held.name, key) } else { None };
    Ok(Scanned {
        bucket: number,
        partition: Partition::new(held.name.clone())?,
        key: ItemKey::from_bytes(key.clone())?,
        state: kept.state.clone(),
        mark,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_and_none_of_another_view_does() {
        let slots = Position { bucket: 7, within: Within::Slot { slot: 9, after: Bytes::from("k") } };
        let due = Position { bucket: 1, within: Within::Due { due: 5, ticket: 6 } };
        let expired = View::Expired(Time::default());
        assert_eq!(Position::decode(&slots.encode(), View::Raw).as_ref(), Some(&slots));
        assert_eq!(Position::decode(&due.encode(), expired).as_ref(), Some(&due));
        assert_eq!(Position::decode(&slots.encode(), expired), None);
        assert_eq!(Position::decode(&due.encode(), View::Live), None);
        assert_eq!(Position::decode(&ScanCursor(Bytes::from("x")), View::Live), None);
    }
}
