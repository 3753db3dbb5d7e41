//! Spaces: found without a lock, their buckets made when they are first used.

use std::hash::BuildHasher;
use std::iter;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use foldhash::fast::RandomState;
use parking_lot::{Mutex, MutexGuard};
use statehold_core::{Bucket, Control, Error, Incarnation, Kind, Owner, Result, Space};

use super::bucket::BucketState;
use super::items::NOWHERE;

/// Most spaces of one engine.
pub(super) const SPACES_MAX: usize = 65_536;
const FIRST_SLOTS: usize = 64;
const GROWTH: usize = 8;
/// Slots looked at in one level before the next one is.
const PROBES: usize = 8;

/// One space.
#[derive(Debug)]
pub(super) struct SpaceState {
    pub(super) space: Space,
    /// The space's own control and owner. Locked before any bucket.
    controls: Mutex<SpaceControls>,
    buckets: Box<[OnceLock<Box<Mutex<BucketState>>>]>,
    /// Accounted bytes of all buckets.
    pub(super) bytes: AtomicU64,
    /// Counts commits, so that items can be ordered by their last use.
    used: AtomicU64,
    /// Per bucket of a disposable space, when its least recently used item was used, or earlier.
    stalest: Box<[AtomicU64]>,
}

#[derive(Debug, Default)]
pub(super) struct SpaceControls {
    pub(super) owner: Option<Owner>,
    pub(super) control: Option<Control>,
}

impl SpaceState {
    fn new(space: &Space) -> Self {
        let buckets = usize::from(space.buckets());
        let aging = if space.traits().disposable { buckets } else { 0 };
        Self {
            space: space.clone(),
            controls: Mutex::default(),
            buckets: iter::repeat_with(OnceLock::new).take(buckets).collect(),
            bytes: AtomicU64::new(0),
            used: AtomicU64::new(0),
            stalest: iter::repeat_with(|| AtomicU64::new(NOWHERE)).take(aging).collect(),
        }
    }

    pub(super) fn controls(&self) -> MutexGuard<'_, SpaceControls> {
        self.controls.lock()
    }

    /// A bucket, if it was ever used.
    pub(super) fn bucket(&self, bucket: Bucket) -> Result<Option<MutexGuard<'_, BucketState>>> {
        let slot = self.buckets.get(usize::from(bucket.number())).ok_or_else(not_of_this_space)?;
        Ok(slot.get().map(|bucket| bucket.lock()))
    }

    /// A bucket, made if it was never used.
    pub(super) fn bucket_made(&self, bucket: Bucket) -> Result<MutexGuard<'_, BucketState>> {
        let slot = self.buckets.get(usize::from(bucket.number())).ok_or_else(not_of_this_space)?;
        if let Some(bucket) = slot.get() {
            return Ok(bucket.lock());
        }
        let controls = self.controls.lock();
        Ok(self.bucket_under(&controls, slot).lock())
    }

    /// The same for a caller who holds the controls.
    pub(super) fn bucket_made_under(
        &self,
        controls: &SpaceControls,
        bucket: Bucket,
    ) -> Result<MutexGuard<'_, BucketState>> {
        let slot = self.buckets.get(usize::from(bucket.number())).ok_or_else(not_of_this_space)?;
        Ok(self.bucket_under(controls, slot).lock())
    }

    fn bucket_under<'a>(
        &self,
        controls: &SpaceControls,
        slot: &'a OnceLock<Box<Mutex<BucketState>>>,
    ) -> &'a Mutex<BucketState> {
        let traits = self.space.traits();
        slot.get_or_init(|| Box::new(Mutex::new(BucketState::new(traits, controls.control))))
    }

    /// Every bucket from a number on that was ever used, one lock at a time.
    pub(super) fn used_buckets(
        &self,
        from: usize,
    ) -> impl Iterator<Item = (Bucket, MutexGuard<'_, BucketState>)> {
        (0..)
            .zip(&self.buckets)
            .skip(from)
            .filter_map(|(number, slot)| slot.get().map(|bucket| (Bucket::new(number), bucket.lock())))
    }

    /// Refuses a caller that takes the space for another than it is.
    pub(super) fn same_definition(&self, space: &Space) -> Result<()> {
        if self.space.buckets() == space.buckets() {
            Ok(())
        } else {
            Err(Error::invalid("a space keeps its number of buckets for ever"))
        }
    }

    /// The stamp of a read: after every commit so far.
    pub(super) fn reads_at(&self) -> u64 {
        2 * self.used.load(Ordering::Relaxed) + 1
    }

    /// The stamp of a commit: after every read and commit so far.
    pub(super) fn commits_at(&self) -> u64 {
        2 * (self.used.fetch_add(1, Ordering::Relaxed) + 1)
    }

    pub(super) fn is_disposable(&self) -> bool {
        !self.stalest.is_empty()
    }

    /// Publishes where eviction in a bucket would begin. The caller holds the bucket.
    pub(super) fn publish_stalest(&self, bucket: Bucket, state: &BucketState, present: Incarnation) {
        if let Some(stalest) = self.stalest.get(usize::from(bucket.number())) {
            let number = if state.lets_go(present) { state.stalest() } else { NOWHERE };
            stalest.store(number, Ordering::Relaxed);
        }
    }

    /// The bucket whose least recently used item is the space's.
    pub(super) fn stalest_bucket(&self) -> Option<Bucket> {
        let stalest = self.stalest.iter().map(|stalest| stalest.load(Ordering::Relaxed));
        (0..)
            .zip(stalest)
            .min_by_key(|(_, used)| *used)
            .filter(|(_, used)| *used != NOWHERE)
            .map(|(number, _)| Bucket::new(number))
    }
}

fn not_of_this_space() -> Error {
    Error::invalid("a bucket is not of this space")
}

/// Every space of an engine. Spaces are never removed, so a table of slots that are written once, in levels of
/// growing size, answers without a lock.
#[derive(Debug)]
pub(super) struct Spaces {
    hasher: RandomState,
    first: Level,
    all: Mutex<Vec<Arc<SpaceState>>>,
}

#[derive(Debug)]
struct Level {
    slots: Box<[OnceLock<Arc<SpaceState>>]>,
    next: OnceLock<Box<Level>>,
}

impl Level {
    fn new(slots: usize) -> Self {
        Self { slots: iter::repeat_with(OnceLock::new).take(slots).collect(), next: OnceLock::new() }
    }

    /// The slots where a space of this hash may be, in the order they are filled.
    fn probed(&self, hash: u64) -> impl Iterator<Item = &OnceLock<Arc<SpaceState>>> {
        let length = self.slots.len();
        (0..PROBES).map(move |probe| &self.slots[(hash as usize).wrapping_add(probe) % length])
    }
}

impl Spaces {
    pub(super) fn new() -> Self {
        Self { hasher: RandomState::default(), first: Level::new(FIRST_SLOTS), all: Mutex::default() }
    }

    pub(super) fn find(&self, space: &Space) -> Result<Option<&Arc<SpaceState>>> {
        let hash = self.hasher.hash_one(space.key());
        let mut level = &self.first;
        loop {
            for slot in level.probed(hash) {
                let Some(found) = slot.get() else { return Ok(None) };
                if found.space.key() == space.key() {
                    found.same_definition(space)?;
                    return Ok(Some(found));
                }
            }
            let Some(next) = level.next.get() else { return Ok(None) };
            level = next;
        }
    }

    pub(super) fn find_or_add(&self, space: &Space) -> Result<&Arc<SpaceState>> {
        let mut all = self.all.lock();
        if let Some(found) = self.find(space)? {
            return Ok(found);
        }
        if all.len() >= SPACES_MAX {
            return Err(Error::new(Kind::Overloaded, "an engine has at most 65536 spaces"));
        }
        let made = Arc::new(SpaceState::new(space));
        all.push(Arc::clone(&made));
        let hash = self.hasher.hash_one(space.key());
        let mut level = &self.first;
        loop {
            if let Some(slot) = level.probed(hash).find(|slot| slot.get().is_none()) {
                return Ok(slot.get_or_init(|| made));
            }
            level = level.next.get_or_init(|| Box::new(Level::new(level.slots.len() * GROWTH)));
        }
    }

    /// Every space, as of now.
    pub(super) fn all(&self) -> Vec<Arc<SpaceState>> {
        self.all.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use statehold_core::{Namespace, StoreName};

    use super::*;

    #[test]
    fn many_spaces_are_each_found_and_no_other() {
        let spaces = Spaces::new();
        let space = |n: usize| {
            let name = Namespace::new(format!("n{n}")).unwrap();
            Space::new(name, StoreName::new("s").unwrap()).with_buckets(1).unwrap()
        };
        for n in 0..3_000 {
            assert!(spaces.find(&space(n)).unwrap().is_none());
            spaces.find_or_add(&space(n)).unwrap();
        }
        for n in 0..3_000 {
            let found = spaces.find(&space(n)).unwrap().unwrap();
            assert_eq!(found.space.key(), space(n).key());
        }
        assert_eq!(spaces.all().len(), 3_000);
        assert!(spaces.find(&space(1).with_buckets(2).unwrap()).is_err());
    }
}
