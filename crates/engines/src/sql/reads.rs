//! Reads beside the writer: items and ranges of partitions.

use std::ops::Bound;

use bytes::{BufMut, Bytes, BytesMut};
use statehold_core::{
    Address, Bucket, Error, Item, ItemId, ItemKey, Page, Place, Range, Result, Space, State, Time, read_rule,
};
use statehold_sql::{Row, Sql, Tx, Val};

use super::commit;
use super::history::History;
use super::memory::{Directory, Known};
use super::rows;

static TOUCH: Sql = Sql::new("SELECT counter FROM meta");
pub(super) static ITEM: Sql = Sql::new(
    "SELECT form, revision, base, deadline_ms, value FROM items
     WHERE space = $1 AND bucket = $2 AND partition = $3 AND item = $4",
);
pub(super) static CONTROL_OF_BUCKET: Sql = Sql::new(
    "SELECT role, epoch, term, marking, floor, time_floor, incarnation, owner, move_id FROM buckets
     WHERE space = $1 AND bucket = $2 AND role IS NOT NULL",
);
static CONTROL_OF_SPACE: Sql = Sql::new(
    "SELECT role, epoch, term, marking, floor, time_floor, incarnation, owner, move_id FROM spaces WHERE id = $1",
);

macro_rules! list {
    ($columns:literal, $order:literal) => {
        Sql::new(concat!(
            "SELECT item, form, revision, base, deadline_ms",
            $columns,
            " FROM items WHERE space = $1 AND bucket = $2 AND partition = $3 AND item >= $4 AND item < $5",
            " AND form <> 0 AND (deadline_ms IS NULL OR deadline_ms > $6) ORDER BY item",
            $order,
            " LIMIT $7 OFFSET $8"
        ))
    };
}
pub(super) static LIST: Sql = list!(", value", "");
pub(super) static LIST_REVERSE: Sql = list!(", value", " DESC");
pub(super) static LIST_NAMES: Sql = list!("", "");
pub(super) static LIST_NAMES_REVERSE: Sql = list!("", " DESC");
pub(super) static COUNT: Sql = Sql::new(
    "SELECT count(*) FROM items WHERE space = $1 AND bucket = $2 AND partition = $3 AND item >= $4 AND item < $5
     AND form <> 0 AND (deadline_ms IS NULL OR deadline_ms > $6)",
);

/// The shortest read: whether the file answers.
pub(super) fn touch(tx: &Tx<'_>) -> Result<()> {
    tx.query_row(&TOUCH, &[], |_| Ok(()))?.ok_or_else(|| Error::corrupt("the database has lost its history"))
}

/// How one call reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) now: Time,
    pub(super) fenced: bool,
    pub(super) history: History,
}

impl Reading {
    /// One item, read without looking at controls.
    pub(super) fn item(&self, tx: &Tx<'_>, known: &Known, address: &Address) -> Result<Option<Item>> {
        let at = &address.place;
        Self::item_at(tx, known, address, self.now.max(known.time_floor(at.bucket)))
    }

    fn item_at(tx: &Tx<'_>, known: &Known, address: &Address, now: Time) -> Result<Option<Item>> {
        let key = commit::address(known.id, &address.place, &ItemKey::item(&address.item));
        let state: Option<State> = tx.query_row(&ITEM, &key, |row| rows::state(row, 0, Some(4)))?;
        Ok(state.and_then(|state| state.into_item(address.item.clone(), now)))
    }

    /// Items of any spaces, all in one snapshot.
    pub(super) fn items(
        &self,
        tx: &Tx<'_>,
        directory: &Directory,
        wanted: &[Address],
    ) -> Result<Vec<Option<Item>>> {
        let mut last: Option<(&Space, Bucket, Option<std::sync::Arc<Known>>, Time)> = None;
        let mut found = Vec::with_capacity(wanted.len());
        for address in wanted {
            let at = &address.place;
            let same =
                last.as_ref().is_some_and(|(space, bucket, ..)| **space == at.space && *bucket == at.bucket);
            if !same {
                let known = directory.get(&at.space);
                let now = self.judging(tx, known.as_deref(), &at.space, at.bucket)?;
                last = Some((&at.space, at.bucket, known, now));
            }
            let item = match &last {
                Some((_, _, Some(known), now)) => Self::item_at(tx, known, address, *now)?,
                _ => None,
            };
            found.push(item);
        }
        Ok(found)
    }

    /// The instant that judges expiry in a bucket; fenced, only if the bucket may be read.
    fn judging(&self, tx: &Tx<'_>, known: Option<&Known>, space: &Space, bucket: Bucket) -> Result<Time> {
        if !self.fenced {
            return Ok(self.now.max(known.map_or(Time::default(), |known| known.time_floor(bucket))));
        }
        let known = known.ok_or_else(|| Error::moved(None))?;
        let read = |row: &Row<'_>| rows::control(row, 0);
        let own = [Val::Int(known.id), Val::from(bucket.number())];
        let mut control = tx.query_row(&CONTROL_OF_BUCKET, &own, read)?.flatten();
        if control.is_none() {
            control = tx.query_row(&CONTROL_OF_SPACE, &own[..1], read)?.flatten();
        }
        Ok(self.now.max(read_rule(control.as_ref(), self.history.of(space))?))
    }

    /// Ranges of one partition, all in one snapshot.
    pub(super) fn pages(
        &self,
        tx: &Tx<'_>,
        known: Option<&Known>,
        at: &Place,
        ranges: &[Range],
    ) -> Result<Vec<Page>> {
        let now = self.judging(tx, known, &at.space, at.bucket)?;
        let Some(known) = known else {
            let empty = |range: &Range| Page { count: range.count.then_some(0), ..Page::default() };
            return Ok(ranges.iter().map(empty).collect());
        };
        ranges.iter().map(|range| page(tx, known.id, at, range, now)).collect()
    }
}

fn page(tx: &Tx<'_>, id: i64, at: &Place, range: &Range, now: Time) -> Result<Page> {
    let (from, to) = bounds(range);
    let mut wanted = vec![
        Val::Int(id),
        Val::from(at.bucket.number()),
        Val::Blob(at.partition.as_bytes().clone()),
        Val::Blob(from),
        Val::Blob(to),
        Val::Int(rows::millis(now.millis())),
    ];
    let mut page = Page::default();
    if range.count {
        let count = tx.query_row(&COUNT, &wanted, |row| row.int(0))?;
        page.count = Some(count.unwrap_or(0).cast_unsigned());
    }
    if range.limit == 0 {
        page.more = page.count.is_some_and(|count| count > range.skip as u64);
        return Ok(page);
    }
    wanted.push(Val::Int(range.limit as i64 + 1));
    wanted.push(Val::Int(range.skip as i64));
    let sql = match (range.values, range.reverse) {
        (true, false) => &LIST,
        (true, true) => &LIST_REVERSE,
        (false, false) => &LIST_NAMES,
        (false, true) => &LIST_NAMES_REVERSE,
    };
    page.items = tx.query(sql, &wanted, |row| listed(row, range.values, now))?;
    page.more = page.items.len() > range.limit;
    page.items.truncate(range.limit);
    Ok(page)
}

fn listed(row: &Row<'_>, values: bool, now: Time) -> Result<Item> {
    let id = ItemKey::from_bytes(row.bytes(0)?)?.id();
    let item = rows::state(row, 1, values.then_some(5))?;
    id.and_then(|id| item.into_item(id, now)).ok_or_else(|| Error::corrupt("a list met what is no item"))
}

/// A range as the half-open range of keys that it holds.
fn bounds(range: &Range) -> (Bytes, Bytes) {
    let key = |id: &ItemId| ItemKey::item(id).as_bytes().clone();
    // No key lies between one and the same with a zero byte behind it.
    let after = |id: &ItemId| {
        let mut next = BytesMut::from(&key(id)[..]);
        next.put_u8(0);
        next.freeze()
    };
    let (first, end) = ItemKey::items();
    let from = match &range.from {
        Bound::Included(id) => key(id),
        Bound::Excluded(id) => after(id),
        Bound::Unbounded => Bytes::from_static(first),
    };
    let to = match &range.to {
        Bound::Included(id) => after(id),
        Bound::Excluded(id) => key(id),
        Bound::Unbounded => Bytes::from_static(end),
    };
    (from, to)
}
