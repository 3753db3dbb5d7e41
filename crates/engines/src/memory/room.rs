//! The bound on memory: what is accounted, what goes when it is reached, and the sweep.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use statehold_core::{Error, Incarnation, Kind, Result, Time};

use super::bucket::{BucketState, Change};
use super::space::{SpaceState, Spaces};

/// Expired things that one commit lets go in its bucket, at most.
pub(super) const SWEPT_PER_COMMIT_MAX: usize = 8;
/// Buckets that one sweep looks at, at most.
pub(super) const SWEPT_BUCKETS_MAX: usize = 4_096;
/// Things that a full engine sweeps before it evicts or refuses, and buckets that it looks at for them.
const SWEPT_WHEN_FULL_MAX: usize = 256;
const SWEPT_BUCKETS_WHEN_FULL_MAX: usize = 64;
/// Steps of one eviction, at most: the largest commit over the smallest items, with as many misses.
const EVICTION_STEPS_MAX: usize = 262_144;

/// Accounted bytes of all state, and their bound.
#[derive(Debug)]
pub(super) struct Room {
    bytes: AtomicU64,
    bytes_max: u64,
    disposable_bytes_max: u64,
    evicted: AtomicU64,
    /// Where the next sweep begins: space, bucket.
    swept_to: Mutex<(usize, usize)>,
}

impl Room {
    pub(super) fn new(bytes_max: u64, disposable_bytes_max: u64) -> Self {
        Self {
            bytes: AtomicU64::new(0),
            bytes_max,
            disposable_bytes_max,
            evicted: AtomicU64::new(0),
            swept_to: Mutex::new((0, 0)),
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    pub(super) fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    fn space_bytes_max(&self, space: &SpaceState) -> u64 {
        if space.is_disposable() { self.disposable_bytes_max } else { u64::MAX }
    }

    /// Takes the bytes by which a change grows the state, if they fit. What does not grow always fits.
    pub(super) fn take(&self, space: &SpaceState, change: Change) -> bool {
        if change.grown <= change.shrunk {
            self.give_back(space, change.shrunk - change.grown);
            return true;
        }
        let growth = change.grown - change.shrunk;
        let all = self.bytes.fetch_add(growth, Ordering::Relaxed) + growth;
        let of_space = space.bytes.fetch_add(growth, Ordering::Relaxed) + growth;
        let fits = all <= self.bytes_max && of_space <= self.space_bytes_max(space);
        if !fits {
            self.give_back(space, growth);
        }
        fits
    }

    pub(super) fn give_back(&self, space: &SpaceState, bytes: u64) {
        if bytes > 0 {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            space.bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    /// Lets expired things of one bucket go; says how many. The caller holds the bucket.
    pub(super) fn sweep_bucket(
        &self,
        space: &SpaceState,
        bucket: &mut BucketState,
        present: Incarnation,
        now: Time,
        limit: usize,
    ) -> usize {
        if !bucket.lets_go(present) {
            return 0;
        }
        let (gone, bytes) = bucket.sweep(bucket.judged_at(now), limit);
        self.give_back(space, bytes);
        gone
    }

    /// Lets up to `limit` expired things go, looking at up to `buckets_max` buckets from where the last sweep ended;
    /// says how many went.
    pub(super) fn sweep(
        &self,
        spaces: &Spaces,
        present: Incarnation,
        now: Time,
        limit: usize,
        buckets_max: usize,
    ) -> usize {
        let all = spaces.all();
        let mut position = self.swept_to.lock();
        let (mut gone, mut looked) = (0, 0);
        // One round at most: the space where it begins is met again at its end, for the buckets before.
        for _ in 0..=all.len() {
            let Some(space) = all.get(position.0) else {
                *position = (0, 0);
                continue;
            };
            for (number, mut bucket) in space.used_buckets(position.1) {
                if gone >= limit || looked >= buckets_max {
                    return gone;
                }
                gone += self.sweep_bucket(space, &mut bucket, present, now, limit - gone);
                space.publish_stalest(number, &bucket, present);
                looked += 1;
                // The bucket that used up the limit may hold more.
                position.1 = usize::from(number.number()) + usize::from(gone < limit);
            }
            if gone >= limit {
                return gone;
            }
            *position = (position.0 + 1, 0);
        }
        gone
    }

    /// Makes room for a change that did not fit. No bucket may be held.
    ///
    /// # Errors
    /// `Overloaded` when nothing can go.
    pub(super) fn make(
        &self,
        spaces: &Spaces,
        space: &SpaceState,
        change: Change,
        present: Incarnation,
        now: Time,
    ) -> Result<()> {
        let growth = change.grown.saturating_sub(change.shrunk);
        let over = |bytes: u64, bytes_max: u64| bytes.saturating_add(growth).saturating_sub(bytes_max);
        let of_space = over(space.bytes.load(Ordering::Relaxed), self.space_bytes_max(space));
        if of_space == 0 && over(self.bytes(), self.bytes_max) == 0 {
            return Ok(());
        }
        let mut freed = self.evict(space, of_space, present);
        if over(self.bytes(), self.bytes_max) > 0 {
            let (things, buckets) = (SWEPT_WHEN_FULL_MAX, SWEPT_BUCKETS_WHEN_FULL_MAX);
            freed += self.sweep(spaces, present, now, things, buckets) as u64;
            freed += self.evict(space, over(self.bytes(), self.bytes_max), present);
            let mut others: Vec<Arc<SpaceState>> = spaces.all();
            others.retain(|other| other.is_disposable());
            others.sort_by_key(|other| std::cmp::Reverse(other.bytes.load(Ordering::Relaxed)));
            for other in others {
                freed += self.evict(&other, over(self.bytes(), self.bytes_max), present);
            }
        }
        if freed > 0 { Ok(()) } else { Err(Error::new(Kind::Overloaded, "the engine is full")) }
    }

    /// Drops the least recently used items of a disposable space until so many bytes are free; says how many are.
    fn evict(&self, space: &SpaceState, need: u64, present: Incarnation) -> u64 {
        let mut freed = 0;
        for _ in 0..EVICTION_STEPS_MAX {
            if freed >= need {
                break;
            }
            let Some(number) = space.stalest_bucket() else { break };
            let Ok(Some(mut bucket)) = space.bucket(number) else { break };
            if bucket.lets_go(present)
                && let Some(bytes) = bucket.evict()
            {
                self.give_back(space, bytes);
                self.evicted.fetch_add(1, Ordering::Relaxed);
                freed += bytes;
            }
            space.publish_stalest(number, &bucket, present);
        }
        freed
    }
}
