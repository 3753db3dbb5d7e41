//! The verbs, each first past its habit.

use std::ops::Bound;

use async_trait::async_trait;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use statehold_core::{
    Address, Bucket, Commit, Cx, Deadline, Decided, Description, Engine, Error, Fence, Item, ItemKey,
    MarkKind, Page, Partition, Place, Probe, Range, Read, Receipt, Result, Scan, ScanCursor, ScanPage,
    Scanned, State, Time, View, validate,
};

use super::world::{KeptBucket, Key};
use super::{COMMIT_MEMORY, Plain, World};
use crate::plain;

#[async_trait]
impl Engine for Plain {
    fn description(&self) -> &Description {
        &self.description
    }

    async fn fetch(&self, cx: &Cx, wanted: &[Address]) -> Result<Vec<Option<Item>>> {
        self.in_time(cx)?;
        self.habits.fetch(self, cx, wanted)
    }

    async fn list(&self, cx: &Cx, at: &Place, ranges: &[Range]) -> Result<Vec<Page>> {
        self.in_time(cx)?;
        self.habits.list(self, cx, at, ranges)
    }

    async fn commit(&self, cx: &Cx, at: &Place, commit: &Commit) -> Result<Receipt> {
        self.in_time(cx)?;
        self.habits.commit(self, at, commit)
    }

    async fn scan(&self, cx: &Cx, scan: &Scan) -> Result<ScanPage> {
        self.in_time(cx)?;
        self.habits.scan(self, scan)
    }

    async fn probe(&self, _: &Cx) -> Result<Probe> {
        Ok(Probe::default())
    }
}

impl Plain {
    /// Reads items, all at one instant.
    pub(crate) fn fetch_soundly(&self, cx: &Cx, wanted: &[Address]) -> Result<Vec<Option<Item>>> {
        self.habits.bounded(validate::fetch(wanted))?;
        let mut world = self.world();
        wanted.iter().map(|address| self.item(&mut world, cx, address)).collect()
    }

    fn item(&self, world: &mut World, cx: &Cx, address: &Address) -> Result<Option<Item>> {
        let at = &address.place;
        let now = self.read_time(world, cx, at)?;
        let key = (at.partition.clone(), ItemKey::item(&address.item));
        let state = world.bucket(&at.space, at.bucket).items.get(&key).cloned();
        Ok(state.and_then(|state| state.into_item(address.item.clone(), now)))
    }

    /// The instant that judges a read here.
    fn read_time(&self, world: &mut World, cx: &Cx, at: &Place) -> Result<Time> {
        let control = world.control(&at.space, at.bucket);
        let floor = match cx.read {
            Read::Plain => control.map_or(Time::default(), |control| control.time_floor),
            Read::Fenced => self.habits.read_rule(control.as_ref(), world.incarnation)?,
        };
        Ok(self.now().max(floor))
    }

    /// Reads ranges of one partition, all at one instant.
    pub(crate) fn list_soundly(&self, cx: &Cx, at: &Place, ranges: &[Range]) -> Result<Vec<Page>> {
        self.habits.bounded(validate::list(&at.space, ranges))?;
        let mut world = self.world();
        let now = self.read_time(&mut world, cx, at)?;
        let bucket = world.bucket(&at.space, at.bucket);
        Ok(ranges.iter().map(|range| page(bucket, &at.partition, range, now)).collect())
    }

    /// Commits, all or nothing.
    pub(crate) fn commit_soundly(&self, at: &Place, commit: &Commit) -> Result<Receipt> {
        self.habits.bounded(validate::commit(commit, &at.space, self.description.value_bytes_max))?;
        let mut world = self.world();
        let (fence, decided) = self.decide(&mut world, at, commit)?;
        if self.habits.forgets_its_lock() {
            drop(world);
            // Long enough that somebody else comes in between, on any machine.
            std::thread::sleep(std::time::Duration::from_micros(200));
            world = self.world();
        }
        Ok(self.apply(&mut world, at, commit, &fence, decided))
    }

    /// Decides a commit on what is there, changing nothing.
    pub(crate) fn decide(&self, world: &mut World, at: &Place, commit: &Commit) -> Result<(Fence, Decided)> {
        let control = world.control(&at.space, at.bucket);
        let fence = self.habits.commit_rule(control.as_ref(), world.incarnation, at.epoch)?;
        let bucket = world.bucket(&at.space, at.bucket);
        let revision = self.habits.next_revision(bucket, &fence)?;
        let mut view = plain::View { bucket, partition: &at.partition };
        let decided = self.habits.decide(commit, &mut view, &fence, self.now(), revision)?;
        Ok((fence, decided))
    }

    /// Does what was decided: items, marks, floor and announcements in one step.
    pub(crate) fn apply(
        &self,
        world: &mut World,
        at: &Place,
        commit: &Commit,
        fence: &Fence,
        decided: Decided,
    ) -> Receipt {
        let Decided { receipt, writes } = decided;
        if receipt.replayed {
            return receipt;
        }
        let bucket = world.bucket(&at.space, at.bucket);
        bucket.floor = bucket.floor.max(receipt.revision);
        for write in writes {
            let key = (at.partition.clone(), write.key);
            if fence.marking
                && let Some(revision) = self.habits.mark(&key.1, receipt.revision)
            {
                bucket.marks.insert(key.clone(), (revision, MarkKind::Dirty));
            }
            match write.state {
                Some(state) => drop(bucket.items.insert(key, state)),
                None => drop(bucket.items.remove(&key)),
            }
        }
        self.habits.tell(self, commit, receipt.revision);
        receipt
    }

    /// What the rules of core decide.
    pub(crate) fn evaluate(
        commit: &Commit,
        view: &mut plain::View<'_>,
        fence: &Fence,
        now: Time,
        revision: statehold_core::Revision,
    ) -> Result<Decided> {
        statehold_core::evaluate(commit, view, fence, now, revision, COMMIT_MEMORY)
    }

    /// Walks buckets in order, and each in the order of its keys.
    pub(crate) fn scan_soundly(&self, scan: &Scan) -> Result<ScanPage> {
        self.habits.bounded(validate::scan(scan))?;
        let after = scan.cursor.as_ref().map(read_cursor).transpose()?;
        let mut wanted: Vec<Bucket> =
            if scan.buckets.is_empty() { scan.space.all_buckets().collect() } else { scan.buckets.clone() };
        wanted.sort_unstable();
        wanted.retain(|bucket| after.as_ref().is_none_or(|(reached, _)| bucket >= reached));
        let now = self.now();
        let mut world = self.world();
        let mut page = ScanPage::default();
        for bucket in wanted {
            let from = match &after {
                Some((reached, key)) if *reached == bucket => Bound::Excluded(key.clone()),
                _ => Bound::Unbounded,
            };
            let kept = world.bucket(&scan.space, bucket);
            for ((partition, key), state) in kept.items.range((from, Bound::Unbounded)) {
                if page.items.len() == scan.limit {
                    page.cursor = page.items.last().map(write_cursor);
                    return Ok(page);
                }
                let (partition, key, state) = (partition.clone(), key.clone(), state.clone());
                if seen(scan.view, &key, &state, now) {
                    let mark = match scan.view {
                        View::Raw => {
                            kept.marks.get(&(partition.clone(), key.clone())).map(|(revision, _)| *revision)
                        }
                        View::Live | View::Expired(_) => None,
                    };
                    page.items.push(Scanned { bucket, partition, key, state, mark });
                }
            }
        }
        Ok(page)
    }
}

fn seen(view: View, key: &ItemKey, state: &State, now: Time) -> bool {
    let expired_at = |at: Time| {
        let deadline = state.body.as_ref().and_then(|body| body.deadline);
        deadline.is_some_and(|deadline: Deadline| deadline.passed(at))
    };
    match view {
        View::Live => !key.is_receipt() && state.live(now).is_some(),
        View::Expired(at) => !key.is_receipt() && expired_at(at.min(now)),
        View::Raw => true,
    }
}

fn write_cursor(last: &Scanned) -> ScanCursor {
    let partition = last.partition.as_bytes();
    let mut bytes = BytesMut::new();
    bytes.put_u16(last.bucket.number());
    bytes.put_u16(partition.len() as u16);
    bytes.put_slice(partition);
    bytes.put_slice(last.key.as_bytes());
    ScanCursor(bytes.freeze())
}

fn read_cursor(cursor: &ScanCursor) -> Result<(Bucket, Key)> {
    let mut bytes: Bytes = cursor.0.clone();
    let torn = || Error::invalid("a cursor is not of this engine");
    let bucket = Bucket::new(bytes.try_get_u16().map_err(|_| torn())?);
    let length = usize::from(bytes.try_get_u16().map_err(|_| torn())?);
    if bytes.len() < length {
        return Err(torn());
    }
    let partition = Partition::new(bytes.split_to(length))?;
    Ok((bucket, (partition, ItemKey::from_bytes(bytes)?)))
}

/// What a range holds at an instant.
pub(crate) fn page(bucket: &KeptBucket, partition: &Partition, range: &Range, now: Time) -> Page {
    let inside = |item: &Item| {
        let from = match &range.from {
            Bound::Included(from) => item.id >= *from,
            Bound::Excluded(from) => item.id > *from,
            Bound::Unbounded => true,
        };
        let to = match &range.to {
            Bound::Included(to) => item.id <= *to,
            Bound::Excluded(to) => item.id < *to,
            Bound::Unbounded => true,
        };
        from && to
    };
    let live = bucket.partition(partition).filter_map(|(key, state)| state.clone().into_item(key.id()?, now));
    let mut items: Vec<Item> = live.filter(inside).collect();
    if range.reverse {
        items.reverse();
    }
    let count = range.count.then_some(items.len() as u64);
    let mut items = items.split_off(range.skip.min(items.len()));
    let more = items.len() > range.limit;
    items.truncate(range.limit);
    if !range.values {
        for item in &mut items {
            item.value = Bytes::new();
        }
    }
    Page { items, more, count }
}
