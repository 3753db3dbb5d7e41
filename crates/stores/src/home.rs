//! Where a store keeps its items.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use statehold_core::{Clock, Engine, Partition, Place, Result, Space, Time};

/// What every store is built on: an engine, the store's keyspace there, and the clock. Cheap to clone.
#[derive(Clone)]
pub struct Home {
    /// The engine, or the placement that stands for several.
    pub engine: Arc<dyn Engine>,
    /// The store's keyspace.
    pub space: Space,
    /// Whose time the store's own decisions use.
    pub clock: Arc<dyn Clock>,
}

impl Home {
    /// A store's home.
    pub fn new(engine: Arc<dyn Engine>, space: Space, clock: Arc<dyn Clock>) -> Self {
        Self { engine, space, clock }
    }

    /// The place of a partition; placement fills in the epoch.
    ///
    /// # Errors
    /// `Invalid` when the name is empty or longer than the contract allows.
    pub fn place(&self, partition: impl Into<Bytes>) -> Result<Place> {
        Ok(Place::new(&self.space, Partition::new(partition)?))
    }

    /// The present instant.
    pub fn now(&self) -> Time {
        self.clock.now()
    }
}

/// Names the engine and says nothing of what it keeps.
impl fmt::Debug for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {}", self.space, self.engine.description().name)
    }
}
