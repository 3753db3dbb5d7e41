//! The memory engine: state in this process, gone with it.
//!
//! A space has a mutex per bucket; nothing is locked across an await, and every verb is done when its future is first
//! polled. It keeps every promise of the contract but durability: a restart is another [incarnation] and knows
//! nothing of the one before.
//!
//! # Memory
//!
//! All state together takes at most [`MemoryConfig::bytes_max`], each disposable space at most
//! [`MemoryConfig::disposable_bytes_max`] of it. A commit that would go beyond is `Overloaded` and changes nothing,
//! unless the least recently used items of disposable spaces can make room: only spaces that declare
//! [`disposable`](statehold_core::Traits::disposable) lose live items, which is why the engine's guarantees say
//! `evicts: false`. Used means fetched or written. Values are shared, not copied: a value that is a slice of a larger
//! buffer keeps the whole buffer.
//!
//! # Expiry
//!
//! Expired items are absent at once, and go in bounded steps: a few with every commit in their bucket, and by
//! [`MemoryEngine::sweep`]. In spaces that observe expiry they go by `Reap` alone. While a bucket marks or follows,
//! nothing goes by itself.
//!
//! [incarnation]: statehold_core::Incarnation

mod bucket;
mod config;
mod engine;
mod items;
mod marks;
mod movable;
mod partitions;
mod queue;
mod room;
mod scan;
mod space;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use statehold_core::{
    Clock, Description, Durability, EngineKind, Error, Guarantees, Incarnation, Replication,
    VALUE_BYTES_CEILING,
};

pub use config::{BYTES_MAX_DEFAULT, DISPOSABLE_BYTES_MAX_DEFAULT, MemoryConfig};

use crate::hub::Hub;
use room::Room;
use space::Spaces;

/// How long a commit id is remembered.
const COMMIT_MEMORY: Duration = Duration::from_mins(10);

/// State in this process. Prints its name and nothing of what it holds.
pub struct MemoryEngine {
    description: Description,
    clock: Arc<dyn Clock>,
    incarnation: Incarnation,
    spaces: Spaces,
    room: Room,
    hub: Hub,
}

impl fmt::Debug for MemoryEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryEngine").field("name", &self.description.name).finish_non_exhaustive()
    }
}

impl MemoryEngine {
    /// An empty engine with a history of its own. Expiry is judged by `clock`.
    pub fn new(config: MemoryConfig, clock: Arc<dyn Clock>) -> Arc<Self> {
        let guarantees = Guarantees {
            durability: Durability::Volatile,
            replication: Replication::None,
            shared: false,
            evicts: false,
            clock_skew_max: Duration::ZERO,
            staleness_max: Duration::ZERO,
            commit_memory: COMMIT_MEMORY,
        };
        let mut incarnation = [0; 16];
        getrandom::fill(&mut incarnation)
            .expect("the operating system gives random bytes once it has started");
        let MemoryConfig { name, bytes_max, disposable_bytes_max, value_bytes_max } = config;
        let value_bytes_max = value_bytes_max.min(VALUE_BYTES_CEILING);
        Arc::new(Self {
            description: Description { name, kind: EngineKind::Memory, guarantees, value_bytes_max },
            clock,
            incarnation: Incarnation(incarnation),
            spaces: Spaces::new(),
            room: Room::new(bytes_max, disposable_bytes_max),
            hub: Hub::new(),
        })
    }

    /// Lets up to `limit` expired items, receipts and absence markers go that nobody can see any more, going on where
    /// the last sweep ended; says how many went. Looks at 4,096 buckets at most, so 0 does not say that none is left.
    pub fn sweep(&self, limit: usize) -> usize {
        let now = self.clock.now();
        self.room.sweep(&self.spaces, self.incarnation, now, limit, room::SWEPT_BUCKETS_MAX)
    }

    /// Names this engine in an error.
    fn told(&self, operation: &'static str) -> impl Fn(Error) -> Error + '_ {
        move |error| error.during(operation).at_engine(&self.description.name)
    }
}
