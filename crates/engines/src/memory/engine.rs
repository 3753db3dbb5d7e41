//! The verbs.

use std::ops::Bound;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use statehold_core::{
    Address, Commit, Cx, Description, Engine, Error, Item, ItemId, ItemKey, Kind, Page, Place, Probe, Range,
    Read, Receipt, Result, Scan, ScanPage, SignalStream, Signals, State, Time, Topic, commit_rule, evaluate,
    read_rule, validate,
};

use super::bucket::{BucketState, Change, PartitionView};
use super::items::Items;
use super::room::SWEPT_PER_COMMIT_MAX;
use super::space::SpaceState;
use super::{COMMIT_MEMORY, MemoryEngine};

/// How often a commit makes room and tries again before it is `Overloaded`.
const ROOM_TRIES_MAX: usize = 8;

/// How a commit ended that was not refused.
enum Tried {
    Done(Receipt),
    DoesNotFit(Change),
}

#[async_trait]
impl Engine for MemoryEngine {
    fn description(&self) -> &Description {
        &self.description
    }

    async fn fetch(&self, cx: &Cx, wanted: &[Address]) -> Result<Vec<Option<Item>>> {
        let found = validate::fetch(wanted).and_then(|()| {
            let now = self.clock.now();
            wanted.iter().map(|address| self.fetch_one(cx, address, now)).collect()
        });
        found.map_err(self.told("fetch"))
    }

    async fn list(&self, cx: &Cx, at: &Place, ranges: &[Range]) -> Result<Vec<Page>> {
        self.list_now(cx, at, ranges).map_err(self.told("list"))
    }

    async fn commit(&self, _cx: &Cx, at: &Place, commit: &Commit) -> Result<Receipt> {
        self.commit_now(at, commit).map_err(self.told("commit"))
    }

    async fn scan(&self, cx: &Cx, scan: &Scan) -> Result<ScanPage> {
        self.scan_now(cx, scan).map_err(self.told("scan"))
    }

    async fn probe(&self, _cx: &Cx) -> Result<Probe> {
        Ok(Probe {
            round_trip: Duration::ZERO,
            bytes: Some(self.room.bytes()),
            bytes_max: Some(self.room.bytes_max()),
            evicted: self.room.evicted(),
            ..Probe::default()
        })
    }
}

#[async_trait]
impl Signals for MemoryEngine {
    async fn subscribe(&self, _cx: &Cx, prefix: &Topic) -> Result<SignalStream> {
        self.hub.subscribe(prefix).map_err(self.told("subscribe"))
    }
}

impl MemoryEngine {
    fn fetch_one(&self, cx: &Cx, address: &Address, now: Time) -> Result<Option<Item>> {
        let Address { place, item } = address;
        let Some(space) = self.space_for(cx, place)? else { return Ok(None) };
        let Some(mut bucket) = space.bucket(place.bucket)? else { return Ok(None) };
        let now = self.read_at(cx, &bucket, now)?;
        let partition = place.partition.as_bytes();
        let as_item = |state: &State| live_item(state, || item.clone(), now, true);
        Ok(with_key(item, |key| {
            if space.is_disposable() {
                bucket.used(partition, key, space.reads_at()).and_then(as_item)
            } else {
                bucket.state(partition, key).and_then(as_item)
            }
        }))
    }

    /// The space that a read is about, none where it was never used; a fenced read makes sure that there is a bucket
    /// to ask.
    fn space_for(&self, cx: &Cx, place: &Place) -> Result<Option<&SpaceState>> {
        let space = self.spaces.find(&place.space)?;
        if cx.read == Read::Fenced {
            let space = space.ok_or_else(|| Error::moved(None))?;
            drop(space.bucket_made(place.bucket)?);
        }
        Ok(space.map(AsRef::as_ref))
    }

    /// The instant that judges a read of this bucket, if it may be served.
    pub(super) fn read_at(&self, cx: &Cx, bucket: &BucketState, now: Time) -> Result<Time> {
        match cx.read {
            Read::Plain => Ok(bucket.judged_at(now)),
            Read::Fenced => Ok(now.max(read_rule(bucket.control().as_ref(), self.incarnation)?)),
        }
    }

    fn list_now(&self, cx: &Cx, at: &Place, ranges: &[Range]) -> Result<Vec<Page>> {
        validate::list(&at.space, ranges)?;
        let nothing = |range: &Range| page(None, range, Time::default());
        let Some(space) = self.space_for(cx, at)? else { return Ok(ranges.iter().map(nothing).collect()) };
        let Some(bucket) = space.bucket(at.bucket)? else { return Ok(ranges.iter().map(nothing).collect()) };
        let now = self.read_at(cx, &bucket, self.clock.now())?;
        let items = bucket.items(at.partition.as_bytes());
        Ok(ranges.iter().map(|range| page(items, range, now)).collect())
    }

    fn commit_now(&self, at: &Place, commit: &Commit) -> Result<Receipt> {
        validate::commit(commit, &at.space, self.description.value_bytes_max)?;
        let space = self.spaces.find(&at.space)?.ok_or_else(|| Error::moved(None))?;
        for _ in 0..ROOM_TRIES_MAX {
            match self.try_commit(space, at, commit)? {
                Tried::Done(receipt) => return Ok(receipt),
                Tried::DoesNotFit(change) => {
                    self.room.make(&self.spaces, space, change, self.incarnation, self.clock.now())?;
                }
            }
        }
        Err(Error::new(Kind::Overloaded, "the engine is full"))
    }

    /// One commit under its bucket's lock: decided, weighed, made, told.
    fn try_commit(&self, space: &SpaceState, at: &Place, commit: &Commit) -> Result<Tried> {
        let mut bucket = space.bucket_made(at.bucket)?;
        let control = bucket.control().ok_or_else(|| Error::moved(None))?;
        let fence = commit_rule(Some(&control), self.incarnation, at.epoch)?;
        let revision = bucket.next_revision(&control)?;
        let now = self.clock.now();
        let partition = at.partition.as_bytes();
        let slot = bucket.partitions.find(partition);
        let mut view = PartitionView::of(&bucket, slot, partition);
        let decided = evaluate(commit, &mut view, &fence, now, revision, COMMIT_MEMORY)?;
        if decided.receipt.replayed {
            return Ok(Tried::Done(decided.receipt));
        }
        let change = bucket.weigh(slot, partition, &decided.writes);
        if !self.room.take(space, change) {
            return Ok(Tried::DoesNotFit(change));
        }
        if fence.marking {
            for write in &decided.writes {
                bucket.marks.set(partition, write.key.as_bytes(), revision);
            }
        }
        let used = if space.is_disposable() { space.commits_at() } else { 0 };
        let released = bucket.apply(slot, partition, decided.writes, used);
        bucket.issued(revision);
        self.room.give_back(space, released);
        self.room.sweep_bucket(space, &mut bucket, self.incarnation, now, SWEPT_PER_COMMIT_MAX);
        space.publish_stalest(at.bucket, &bucket, self.incarnation);
        // Told under the lock, so that messages keep the order of revisions.
        self.hub.publish(&commit.announce, revision);
        Ok(Tried::Done(decided.receipt))
    }
}

/// An item's key in a buffer on the stack, where it fits: reads do not allocate.
fn with_key<R>(id: &ItemId, act: impl FnOnce(&[u8]) -> R) -> R {
    const SHORT: usize = 64;
    let name = id.as_bytes();
    if name.len() >= SHORT {
        return act(ItemKey::item(id).as_bytes());
    }
    let mut key = [0; SHORT];
    key[0] = ItemKey::items().0[0];
    key[1..=name.len()].copy_from_slice(name);
    act(&key[..=name.len()])
}

fn live_item(state: &State, id: impl FnOnce() -> ItemId, now: Time, values: bool) -> Option<Item> {
    state.live(now).map(|body| Item {
        id: id(),
        form: body.form,
        value: if values { body.value.clone() } else { Bytes::new() },
        revision: state.revision,
        deadline: body.deadline,
    })
}

/// What a range holds at `now`.
fn page(items: Option<&Items>, range: &Range, now: Time) -> Page {
    let Some(items) = items else {
        return Page { count: range.count.then_some(0), ..Page::default() };
    };
    let (from, to) = (bound(&range.from), bound(&range.to));
    let (first, end) = ItemKey::items();
    let from = from.as_ref().map(|key| key.as_bytes().as_ref());
    let from = if from == Bound::Unbounded { Bound::Included(first) } else { from };
    let to = to.as_ref().map(|key| key.as_bytes().as_ref());
    let to = if to == Bound::Unbounded { Bound::Excluded(end) } else { to };
    let between = items.range(from, to);
    if range.reverse { fill(between.rev(), range, now) } else { fill(between, range, now) }
}

fn bound(id: &Bound<ItemId>) -> Bound<ItemKey> {
    id.as_ref().map(ItemKey::item)
}

fn fill<'a>(
    between: impl Iterator<Item = (&'a Bytes, &'a super::items::Kept)>,
    range: &Range,
    now: Time,
) -> Page {
    let mut page = Page::default();
    let mut live = 0_usize;
    for (key, kept) in between {
        if kept.state.live(now).is_none() {
            continue;
        }
        live += 1;
        if live <= range.skip {
            continue;
        }
        if page.items.len() < range.limit {
            let id = || ItemId::new(key.slice(1..));
            page.items.extend(live_item(&kept.state, id, now, range.values));
        } else {
            page.more = true;
            if !range.count {
                break;
            }
        }
    }
    page.count = range.count.then_some(live as u64);
    page
}
