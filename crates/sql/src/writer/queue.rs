//! Jobs that wait for the writer: bounded, first come first served.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, Ordering};

use parking_lot::{Condvar, Mutex};
use statehold_core::{Kind, Outcome};

use crate::classify::Fault;

/// Why a writer takes no more writes until the database is opened again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// A sync failed: what is on disk is no longer known.
    SyncFailed,
    /// The file was found to be corrupt.
    Unsound,
    /// The database is closing.
    Closed,
}

impl Stop {
    /// What callers are told: nothing of theirs has happened.
    pub const fn fault(self) -> Fault {
        match self {
            Self::SyncFailed => Fault::new(
                Kind::Unavailable,
                "the database takes no writes after a failed sync until it is opened again",
            ),
            Self::Unsound => Fault::new(Kind::Corrupt, "the database is corrupt and takes no writes"),
            Self::Closed => Fault::new(Kind::Unavailable, "the database is closed"),
        }
    }
}

/// A caller who waits for the fate of a job.
pub trait Answer: Send + 'static {
    /// Whether the job may be acknowledged before it is synced.
    fn unsynced(&self) -> bool;

    /// When the caller stops waiting: a job not begun by then is refused.
    fn deadline(&self) -> Option<std::time::Instant>;

    /// Tells the caller that the job failed.
    fn refuse(self, fault: Fault);
}

/// What a caller is told whose time ran out in the queue.
pub(super) const LATE: Fault = Fault {
    kind: Kind::Deadline,
    outcome: Outcome::NoEffect,
    message: "the time ran out before the write was begun",
    code: None,
};
const FULL: Fault = Fault::new(Kind::Overloaded, "too many writes wait for the database");

#[derive(Debug)]
pub(super) struct Queue<J> {
    state: Mutex<State<J>>,
    ready: Condvar,
    waiting_max: usize,
    stop: AtomicU8,
}

#[derive(Debug)]
struct State<J> {
    jobs: VecDeque<J>,
    writer_waits: bool,
    closed: bool,
}

impl<J: Answer> Queue<J> {
    pub(super) fn new(waiting_max: usize) -> Self {
        let state = State { jobs: VecDeque::new(), writer_waits: false, closed: false };
        Self { state: Mutex::new(state), ready: Condvar::new(), waiting_max, stop: AtomicU8::new(0) }
    }

    /// Lets a job wait, or refuses it.
    pub(super) fn push(&self, job: J) {
        if let Some(stop) = self.stopped() {
            return job.refuse(stop.fault());
        }
        let mut state = self.state.lock();
        let refusal = match () {
            () if state.closed => Stop::Closed.fault(),
            () if state.jobs.len() >= self.waiting_max => FULL,
            () => {
                state.jobs.push_back(job);
                let wake = std::mem::take(&mut state.writer_waits);
                drop(state);
                if wake {
                    self.ready.notify_one();
                }
                return;
            }
        };
        drop(state);
        job.refuse(refusal);
    }

    /// Moves up to `max` jobs into `batch`, waiting for the first; false when closed and drained.
    pub(super) fn take(&self, batch: &mut Vec<J>, max: usize) -> bool {
        let mut state = self.state.lock();
        while state.jobs.is_empty() {
            if state.closed {
                return false;
            }
            state.writer_waits = true;
            self.ready.wait(&mut state);
        }
        let count = state.jobs.len().min(max);
        batch.extend(state.jobs.drain(..count));
        true
    }

    /// Takes no more jobs; those that wait are still done.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.ready.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    pub(super) fn stop(&self, why: Stop) {
        let number = match why {
            Stop::SyncFailed => 1,
            Stop::Unsound => 2,
            Stop::Closed => 3,
        };
        // The first reason stays.
        let _ = self.stop.compare_exchange(0, number, Ordering::SeqCst, Ordering::SeqCst);
    }

    pub(super) fn stopped(&self) -> Option<Stop> {
        match self.stop.load(Ordering::Acquire) {
            0 => None,
            1 => Some(Stop::SyncFailed),
            2 => Some(Stop::Unsound),
            _ => Some(Stop::Closed),
        }
    }
}
