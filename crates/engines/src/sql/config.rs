//! What can be set.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use statehold_core::{
    Durability, Error, Guarantees, Replication, Result, VALUE_BYTES_CEILING, VALUE_BYTES_MAX,
};
pub use statehold_sql::Synchronous;

/// How the engine is opened.
#[derive(Clone, Debug)]
pub struct EmbeddedConfig {
    /// The engine's name in the configuration.
    pub name: Arc<str>,
    /// The database file. A lock beside it (`<file>-lock`) keeps other processes out; its directory is made where it is missing.
    pub path: PathBuf,
    /// When a commit counts as done.
    pub synchronous: Synchronous,
    /// Connections for short reads, 1..=64.
    pub readers: usize,
    /// Most bytes of an item's value, up to [`VALUE_BYTES_CEILING`].
    pub value_bytes_max: usize,
    /// The open count of this file as noted elsewhere: a lower one in the file says that an older copy was put back.
    pub opens_noted: u64,
    /// How long a commit id is remembered.
    pub commit_memory: Duration,
    /// Commits that may wait for the writer; one more is `Overloaded`.
    pub waiting_max: usize,
}

impl EmbeddedConfig {
    /// The defaults for a file: synced commits, 4 readers, ids remembered for ten minutes.
    pub fn at(name: impl Into<Arc<str>>, path: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            path: path.into(),
            synchronous: Synchronous::Full,
            readers: 4,
            value_bytes_max: VALUE_BYTES_MAX,
            opens_noted: 0,
            commit_memory: Duration::from_mins(10),
            waiting_max: 16_384,
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.value_bytes_max == 0 || self.value_bytes_max > VALUE_BYTES_CEILING {
            return Err(Error::invalid("an item's value may be bounded at 1 byte to 9 MiB"));
        }
        Ok(())
    }

    pub(super) fn guarantees(&self) -> Guarantees {
        Guarantees {
            durability: match self.synchronous {
                Synchronous::Full => Durability::Synced,
                Synchronous::Normal => Durability::Buffered,
            },
            replication: Replication::None,
            shared: false,
            evicts: false,
            clock_skew_max: Duration::ZERO,
            staleness_max: Duration::ZERO,
            commit_memory: self.commit_memory,
        }
    }
}
