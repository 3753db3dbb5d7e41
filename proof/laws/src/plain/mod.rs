//! The plainest engine that keeps every law: one mutex over everything, every decision by the rules of core.
//!
//! It exists to be broken. Whatever it does goes through [`Habits`], whose default bodies are sound; an engine of
//! [`crate::broken`] replaces one of them. What it keeps stands on the site's shelf, as on a disk.

mod engine;
mod movable;
mod signals;
mod world;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::MutexGuard;
use statehold_core::{
    Clock, Cx, Description, Durability, EngineKind, Error, Guarantees, Kind, Replication, Result,
    VALUE_BYTES_MAX,
};

pub(crate) use engine::page;
pub(crate) use signals::Heard;
pub(crate) use world::{KeptBucket, Shelf, View, World};

use crate::broken::Habits;
use crate::rig::Site;

/// Messages that wait for one subscriber.
const BUFFER: usize = 1_024;
/// How long the plain engine remembers commits.
pub(crate) const COMMIT_MEMORY: Duration = Duration::from_mins(10);

/// Every habit as it should be.
#[derive(Debug)]
pub(crate) struct Sound;

impl Habits for Sound {}

/// The engine.
pub(crate) struct Plain {
    description: Description,
    clock: Arc<dyn Clock>,
    habits: Arc<dyn Habits>,
    world: Shelf,
    heard: tokio::sync::broadcast::Sender<Heard>,
}

impl Plain {
    /// Takes up what the shelf keeps, or begins with nothing.
    pub(crate) fn start(site: &Site, habits: Arc<dyn Habits>) -> Arc<Self> {
        let world = Arc::clone(&site.shelf);
        if let Some(how) = site.stopped {
            habits.restarted(&mut world.lock(), how);
        }
        let guarantees = Guarantees {
            durability: Durability::Synced,
            replication: Replication::None,
            shared: false,
            evicts: false,
            clock_skew_max: Duration::ZERO,
            staleness_max: Duration::ZERO,
            commit_memory: COMMIT_MEMORY,
        };
        let description = Description {
            name: Arc::from("plain"),
            kind: EngineKind::Memory,
            guarantees,
            value_bytes_max: VALUE_BYTES_MAX,
        };
        let (heard, _) = tokio::sync::broadcast::channel(BUFFER);
        Arc::new(Self { description, clock: Arc::clone(&site.clock) as Arc<_>, habits, world, heard })
    }

    /// Everything there is, for one step.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock()
    }

    /// The present instant.
    pub(crate) fn now(&self) -> statehold_core::Time {
        self.clock.now()
    }

    /// Refuses a call whose time has run out.
    fn in_time(&self, cx: &Cx) -> Result<()> {
        match cx.deadline {
            Some(deadline) if self.habits.too_late(deadline) => {
                Err(Error::new(Kind::Deadline, "the caller's time ran out"))
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plain").field("habits", &self.habits).finish_non_exhaustive()
    }
}
