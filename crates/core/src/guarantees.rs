//! What an engine promises, and what a store needs.

use std::fmt;
use std::time::Duration;

/// What survives when the engine's process or machine stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Durability {
    /// Nothing.
    Volatile,
    /// A process kill loses nothing; a power cut may lose the last moments.
    Buffered,
    /// Everything acknowledged.
    Synced,
}

/// Where else the state is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Replication {
    /// Nowhere.
    None,
    /// On replicas that may be behind.
    Async,
    /// On a quorum before it is acknowledged.
    Quorum,
}

/// What an engine promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Guarantees {
    /// What survives a stop.
    pub durability: Durability,
    /// Where else the state is.
    pub replication: Replication,
    /// Several processes see one state.
    pub shared: bool,
    /// The engine may drop live items by itself.
    pub evicts: bool,
    /// How far its clock may be from ours.
    pub clock_skew_max: Duration,
    /// How far behind a plain read may be.
    pub staleness_max: Duration,
    /// How long a commit id is remembered.
    pub commit_memory: Duration,
}

/// What a store needs of its engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Needs {
    /// At least this durability.
    pub durability: Durability,
    /// Live items may be dropped.
    pub tolerates_eviction: bool,
}

/// One promise that a store needs and an engine does not give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shortfall {
    /// The engine keeps less than the store needs.
    Durability {
        /// What the store needs.
        needed: Durability,
        /// What the engine gives.
        given: Durability,
    },
    /// The engine evicts, the store does not bear it.
    Eviction,
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Durability { needed, given } => {
                write!(f, "needs durability {needed:?}, the engine gives {given:?}")
            }
            Self::Eviction => f.write_str("needs an engine that never evicts live items"),
        }
    }
}

impl Needs {
    /// Every promise that `given` does not keep; empty when the engine suffices.
    pub fn shortfalls(&self, given: &Guarantees) -> Vec<Shortfall> {
        let mut found = Vec::new();
        if given.durability < self.durability {
            found.push(Shortfall::Durability { needed: self.durability, given: given.durability });
        }
        if given.evicts && !self.tolerates_eviction {
            found.push(Shortfall::Eviction);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shortfall_is_named() {
        let given = Guarantees {
            durability: Durability::Volatile,
            replication: Replication::None,
            shared: false,
            evicts: true,
            clock_skew_max: Duration::ZERO,
            staleness_max: Duration::ZERO,
            commit_memory: Duration::from_mins(10),
        };
        let strict = Needs { durability: Durability::Synced, tolerates_eviction: false };
        assert_eq!(strict.shortfalls(&given).len(), 2);
        let easy = Needs { durability: Durability::Volatile, tolerates_eviction: true };
        assert!(easy.shortfalls(&given).is_empty());
    }
}
