//! Cache: key-value entries, counters, compare-and-set, batches and group commits.
//!
//! An entry without a group is a partition of its own; the entries of a group share one, so that they change together.
//! Every write is one conditional commit. Where the decision needs the present value, the store reads it and commits
//! under the revision it read, again if it lost a race.

mod change;
mod codec;
mod error;
mod many;
mod policy;
mod store;
#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;
use std::time::Duration;

use bytes::Bytes;
use serde_json::value::RawValue;
use statehold_core::{Deadline, Revision};

pub use error::CacheError;
pub use many::{BatchAnswer, BatchOp, BatchResult, BatchWrite};
pub use policy::{CachePolicy, Ttl};
pub use store::Cache;

use crate::value::Id;

/// Most keys or entries in one batch.
pub const BATCH_MAX: usize = 1_000;
/// Most bytes of all values written by one batch or group commit.
pub const BATCH_BYTES_MAX: usize = 8 << 20;
/// Most conditions and writes together in one group commit.
pub const GROUP_COMMIT_MAX: usize = 256;

/// Which entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The group whose entries change together; none for an entry of its own.
    pub group: Option<Id>,
    /// The key.
    pub key: Id,
}

impl Key {
    /// An entry of its own.
    pub const fn new(key: Id) -> Self {
        Self { group: None, key }
    }

    /// An entry of a group.
    pub const fn in_group(group: Id, key: Id) -> Self {
        Self { group: Some(group), key }
    }
}

/// A value and its kind, which is kept.
#[derive(Clone, Debug)]
pub enum Value {
    /// JSON, its text as it came.
    Json(Box<RawValue>),
    /// Bytes.
    Bytes(Bytes),
    /// A counter; made by [`Cache::incr`] alone.
    Counter(i64),
}

impl Value {
    /// A JSON value of this text.
    ///
    /// # Errors
    /// When the text is not JSON.
    pub fn json(text: impl Into<String>) -> Result<Self, serde_json::Error> {
        RawValue::from_string(text.into()).map(Self::Json)
    }

    /// The value's bytes: JSON text, the bytes, or the counter in decimal.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Json(json) => Bytes::from(String::from(Box::<str>::from(json))),
            Self::Bytes(bytes) => bytes,
            Self::Counter(number) => Bytes::from(number.to_string()),
        }
    }

    /// The kind's name.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Json(_) => "json",
            Self::Bytes(_) => "bytes",
            Self::Counter(_) => "counter",
        }
    }

    fn bytes_len(&self) -> usize {
        match self {
            Self::Json(json) => json.get().len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::Counter(_) => 0,
        }
    }
}

/// Two values are equal where one would be accepted for the other: the same text but for white space between the
/// tokens of JSON.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.kind() == other.kind() && policy::same(self, other)
    }
}

/// An entry that is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its value.
    pub value: Value,
    /// The commit that wrote it last.
    pub revision: Revision,
    /// From when it is absent; none for never.
    pub deadline: Option<Deadline>,
}

/// When a write may happen.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Mode {
    /// Whatever is there.
    #[default]
    Any,
    /// Only where nothing is.
    IfAbsent,
    /// Only where something is.
    IfPresent,
    /// Only at this revision.
    IfRevision(Revision),
    /// Only where this value is.
    IfValue(Value),
}

/// What is put.
#[derive(Clone, Debug, PartialEq)]
pub struct Set {
    /// JSON or bytes.
    pub value: Value,
    /// How long it lives.
    pub ttl: Ttl,
    /// An entry that is there keeps its deadline; `ttl` is for one that is not.
    pub keep_ttl: bool,
}

impl Set {
    /// A value for as long as the cache says.
    pub const fn new(value: Value) -> Self {
        Self { value, ttl: Ttl::Default, keep_ttl: false }
    }

    /// The same for so long.
    #[must_use]
    pub fn living(self, ttl: Ttl) -> Self {
        Self { ttl, ..self }
    }
}

/// What is added to a counter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incr {
    /// Not zero.
    pub by: i64,
    /// How long the counter lives, where this creates it.
    pub ttl: Ttl,
    /// Where the sum must lie.
    pub range: RangeInclusive<i64>,
}

impl Default for Incr {
    /// One, for as long as the cache says, anywhere.
    fn default() -> Self {
        Self { by: 1, ttl: Ttl::Default, range: i64::MIN..=i64::MAX }
    }
}

/// One change of one entry.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// Puts a value.
    Set(Set),
    /// Removes the entry.
    Delete,
    /// Adds to a counter.
    Incr(Incr),
}

/// What a [`Cache::set`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// The value is stored.
    Yes {
        /// Whether nothing was there before.
        created: bool,
        /// Its revision.
        revision: Revision,
        /// From when it is absent; none for never.
        deadline: Option<Deadline>,
    },
    /// Nothing changed: the mode `if_absent` or `if_present` was not met.
    No {
        /// The revision of what is there.
        present: Option<Revision>,
    },
}

/// What a [`Cache::incr`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sum {
    /// The counter's value.
    pub value: i64,
    /// Its revision.
    pub revision: Revision,
    /// Whether this created it.
    pub created: bool,
}

/// What one write did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// Of a set.
    Set(Stored),
    /// Of a delete: whether something was there.
    Deleted(bool),
    /// Of an add.
    Sum(Sum),
}

/// A new deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touched {
    /// The entry's revision.
    pub revision: Revision,
    /// From when it is absent; none for never.
    pub deadline: Option<Deadline>,
}

/// How long an entry lives yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remaining {
    /// There is none.
    Absent,
    /// For ever.
    NoExpiry,
    /// So long, at least a millisecond.
    Left(Duration),
}

/// What must hold for a group commit.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// The entry is there, or is not.
    Exists(bool),
    /// The entry is at this revision.
    Revision(Revision),
    /// The entry has this value.
    Value(Value),
}
