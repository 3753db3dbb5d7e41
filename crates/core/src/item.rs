//! What an item is.

use std::fmt;

use bytes::Bytes;

use crate::clock::{Deadline, Time};
use crate::error::{Error, Result};

/// How often a bucket's home has changed; a commit names the one it believes in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// One stretch of a bucket's history at one engine incarnation and home; drawn from one counter per installation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term(pub u32);

impl Term {
    /// The largest term: 20 bits.
    pub const MAX: Self = Self((1 << 20) - 1);
}

/// (term, n) in one u64: the term in the upper 20 bits, n in the lower 44. Compared as a number. Unique inside a
/// bucket, growing inside a partition, never reused; also an ETag and a fencing token.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(u64);

impl Revision {
    const N_BITS: u32 = 44;
    /// Before every revision that an engine issues.
    pub const ZERO: Self = Self(0);

    /// The revision (term, n).
    ///
    /// # Errors
    /// `Overloaded` when either part is exhausted: no engine may wrap round and reuse a revision.
    pub fn new(term: Term, n: u64) -> Result<Self> {
        if term > Term::MAX || n >> Self::N_BITS != 0 {
            return Err(Error::new(crate::Kind::Overloaded, "revisions are exhausted"));
        }
        Ok(Self((u64::from(term.0) << Self::N_BITS) | n))
    }

    /// The revision as callers see it.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Takes back what [`Self::get`] gave.
    pub const fn from_u64(revision: u64) -> Self {
        Self(revision)
    }

    /// The term.
    pub const fn term(self) -> Term {
        Term((self.0 >> Self::N_BITS) as u32)
    }

    /// The number inside the term's history.
    pub const fn n(self) -> u64 {
        self.0 & ((1 << Self::N_BITS) - 1)
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}.{}", self.term().0, self.n())
    }
}

/// What an item's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// Bytes that only the store reads.
    Bytes,
    /// A counter: an i64 in decimal ASCII.
    Counter,
    /// The state of a rate limit, as [`crate::LimitPolicy`] keeps it.
    Limit,
}

impl Form {
    /// The form's number in engines and on the wire.
    pub const fn number(self) -> u8 {
        match self {
            Self::Bytes => 1,
            Self::Counter => 2,
            Self::Limit => 3,
        }
    }

    /// Takes back what [`Self::number`] gave.
    ///
    /// # Errors
    /// `Corrupt` for a number that is no form.
    pub fn from_number(number: u8) -> Result<Self> {
        match number {
            1 => Ok(Self::Bytes),
            2 => Ok(Self::Counter),
            3 => Ok(Self::Limit),
            _ => Err(Error::corrupt("an item has an unknown form")),
        }
    }
}

/// A live item as a caller sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its name in the partition.
    pub id: crate::ItemId,
    /// What its bytes are.
    pub form: Form,
    /// Its bytes; empty where a list did not ask for values.
    pub value: Bytes,
    /// The commit that wrote it last.
    pub revision: Revision,
    /// The instant from which it is absent.
    pub deadline: Option<Deadline>,
}

impl Item {
    /// The value of a counter.
    ///
    /// # Errors
    /// `Conflict` when the item has another form, `Corrupt` when its bytes are no i64.
    pub fn counter(&self) -> Result<i64> {
        if self.form != Form::Counter {
            return Err(Error::conflict("the item is no counter"));
        }
        parse_counter(&self.value)
    }
}

pub(crate) fn parse_counter(value: &[u8]) -> Result<i64> {
    std::str::from_utf8(value)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Error::corrupt("a counter does not hold a decimal i64"))
}

/// What an engine keeps of an item: also deletions, where a move needs them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The commit that wrote it last.
    pub revision: Revision,
    /// The revision it replaced when its term began.
    pub base: Revision,
    /// The item, or none: an absence marker.
    pub body: Option<Body>,
}

/// The visible part of a [`State`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// What the bytes are.
    pub form: Form,
    /// The bytes.
    pub value: Bytes,
    /// The instant from which the item is absent.
    pub deadline: Option<Deadline>,
}

impl State {
    /// The body, if the item is there at `now`.
    pub fn live(&self, now: Time) -> Option<&Body> {
        self.body.as_ref().filter(|body| !body.deadline.is_some_and(|deadline| deadline.passed(now)))
    }

    /// The item as a caller sees it, if it is there at `now`.
    pub fn into_item(self, id: crate::ItemId, now: Time) -> Option<Item> {
        let revision = self.revision;
        self.body
            .filter(|body| !body.deadline.is_some_and(|deadline| deadline.passed(now)))
            .map(|Body { form, value, deadline }| Item { id, form, value, revision, deadline })
    }
}
