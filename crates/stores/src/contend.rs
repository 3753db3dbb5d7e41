//! What a store does about commits that lose a race: a bounded number of jittered tries, and a queue inside the
//! process so that commits on one head item meet other instances only.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use statehold_core::Partition;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Most tries of one operation that keeps losing races.
pub const TRIES_MAX: u32 = 16;
/// Shortest pause before another try, milliseconds.
pub const PAUSE_MS_MIN: u32 = 1;
/// Longest pause before another try, milliseconds.
pub const PAUSE_MS_MAX: u32 = 50;
/// Most callers that wait in one lane of a [`Queue`].
pub const WAITING_MAX: u32 = 4_096;

/// The operation lost every race it ran, or found its lane full: nothing changed, it may be tried again later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contention;

impl fmt::Display for Contention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too many changes of the same thing at once")
    }
}

impl std::error::Error for Contention {}

/// Counts the tries of one operation.
#[derive(Debug, Default)]
pub struct Tries(u32);

impl Tries {
    /// No race lost yet.
    pub const fn new() -> Self {
        Self(0)
    }

    /// Notes a lost race and waits 1..50 ms, drawn anew each time, before the next try.
    ///
    /// # Errors
    /// [`Contention`] when this was the last of [`TRIES_MAX`] tries.
    pub async fn lost(&mut self) -> Result<(), Contention> {
        self.0 += 1;
        if self.0 >= TRIES_MAX {
            return Err(Contention);
        }
        tokio::time::sleep(pause()).await;
        Ok(())
    }
}

/// Full jitter: callers that lost the same race come back apart.
fn pause() -> Duration {
    let span = PAUSE_MS_MAX - PAUSE_MS_MIN + 1;
    // Without the system's generator the pause is the longest one: only its spread suffers.
    let drawn = getrandom::u32().map_or(span - 1, |random| random % span);
    Duration::from_millis(u64::from(PAUSE_MS_MIN + drawn))
}

/// Lets callers of one partition change its head item one after another.
///
/// Partitions share a fixed number of lanes, so the memory is fixed; two partitions in one lane wait for each other,
/// which costs time and nothing else. A turn ends when it is dropped.
pub struct Queue {
    lanes: Box<[Lane]>,
    hasher: RandomState,
}

struct Lane {
    turn: Semaphore,
    waiting: AtomicU32,
}

impl Queue {
    const LANES: usize = 1_024;

    /// An empty queue.
    pub fn new() -> Self {
        let lane = |_| Lane { turn: Semaphore::new(1), waiting: AtomicU32::new(0) };
        Self { lanes: (0..Self::LANES).map(lane).collect(), hasher: RandomState::new() }
    }

    /// Waits for this partition's turn, first come first served.
    ///
    /// # Errors
    /// [`Contention`] when [`WAITING_MAX`] callers wait already.
    pub async fn turn(&self, partition: &Partition) -> Result<Turn<'_>, Contention> {
        let lane = &self.lanes[self.hasher.hash_one(partition) as usize % Self::LANES];
        let waiting = Waiting(&lane.waiting);
        if lane.waiting.fetch_add(1, Ordering::Relaxed) >= WAITING_MAX {
            return Err(Contention);
        }
        let permit = lane.turn.acquire().await.expect("the queue never closes its lanes");
        drop(waiting);
        Ok(Turn { _permit: permit })
    }
}

impl Default for Queue {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("lanes", &self.lanes.len()).finish_non_exhaustive()
    }
}

/// Leaves the count of those who wait, also when the caller gives up.
struct Waiting<'a>(&'a AtomicU32);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One caller's turn.
#[derive(Debug)]
pub struct Turn<'a> {
    _permit: SemaphorePermit<'a>,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[tokio::test]
    async fn the_sixteenth_lost_race_is_the_last() {
        let mut tries = Tries::new();
        for _ in 1..TRIES_MAX {
            assert_eq!(tries.lost().await, Ok(()));
        }
        assert_eq!(tries.lost().await, Err(Contention));
    }

    #[test]
    fn pauses_stay_between_1_and_50_ms_and_differ() {
        let drawn: std::collections::BTreeSet<_> = (0..2_000).map(|_| pause()).collect();
        assert!(drawn.iter().all(|p| (Duration::from_millis(1)..=Duration::from_millis(50)).contains(p)));
        assert!(drawn.len() > 25, "{} different pauses", drawn.len());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn turns_of_one_partition_never_overlap() {
        let queue = Arc::new(Queue::new());
        let busy = Arc::new(AtomicBool::new(false));
        let one = |_| {
            let (queue, busy) = (Arc::clone(&queue), Arc::clone(&busy));
            tokio::spawn(async move {
                let partition = Partition::new("owner").unwrap();
                let turn = queue.turn(&partition).await.unwrap();
                assert!(!busy.swap(true, Ordering::SeqCst));
                tokio::task::yield_now().await;
                busy.store(false, Ordering::SeqCst);
                drop(turn);
            })
        };
        for task in (0..200).map(one).collect::<Vec<_>>() {
            task.await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_caller_that_gives_up_leaves_the_queue() {
        let queue = Queue::new();
        let partition = Partition::new("owner").unwrap();
        let held = queue.turn(&partition).await.unwrap();
        let waiting = queue.turn(&partition);
        assert!(tokio::time::timeout(Duration::from_millis(5), waiting).await.is_err());
        drop(held);
        assert!(queue.turn(&partition).await.is_ok());
        assert!(queue.lanes.iter().all(|lane| lane.waiting.load(Ordering::Relaxed) == 0));
    }
}
