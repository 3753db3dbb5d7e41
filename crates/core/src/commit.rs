//! The one way to change state.

use std::fmt;
use std::ops::RangeInclusive;

use bytes::Bytes;

use crate::address::{ItemId, ItemKey};
use crate::clock::Deadline;
use crate::item::Revision;
use crate::limit::{Decision, LimitPolicy};
use crate::signals::Announcement;

/// Most mutations in one commit.
pub const MUTATIONS_MAX: usize = 4_096;
/// Most checks in one commit.
pub const CHECKS_MAX: usize = 4_096;
/// Most bytes of names, values and payloads in one commit.
pub const COMMIT_BYTES_MAX: usize = 16 << 20;
/// Most bytes of an item's value, unless an engine is configured otherwise.
pub const VALUE_BYTES_MAX: usize = (1 << 20) + (64 << 10);
/// The highest bound that may be configured for an item's value.
pub const VALUE_BYTES_CEILING: usize = 9 << 20;
/// Expired receipts that each new commit id removes from its partition, at most.
pub const RECEIPTS_PRUNED_MAX: usize = 4;

/// Names a commit so that it can be sent again: 16 bytes whose order is roughly that of their making (a version 7
/// UUID, RFC 9562), so that a partition's oldest receipts come first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitId([u8; 16]);

impl CommitId {
    /// Takes 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// What must hold before anything of a commit happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// The item is absent.
    Absent(ItemId),
    /// The item is there.
    Present(ItemId),
    /// The item is there at exactly this revision.
    At(ItemId, Revision),
}

impl Check {
    /// The item it is about.
    pub const fn item(&self) -> &ItemId {
        match self {
            Self::Absent(item) | Self::Present(item) | Self::At(item, _) => item,
        }
    }
}

/// One change of one item. A commit names an item in at most one mutation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// Creates or replaces an item.
    Put {
        /// The item.
        item: ItemId,
        /// Its bytes.
        value: Bytes,
        /// From when it is absent; none for never.
        deadline: Option<Deadline>,
    },
    /// Removes an item; an absent one is [`MutationOutcome::Missed`].
    Delete {
        /// The item.
        item: ItemId,
    },
    /// Replaces the deadline of an item that is there; never revives an absent one ([`MutationOutcome::Missed`]).
    Touch {
        /// The item.
        item: ItemId,
        /// From when it is absent; none for never.
        deadline: Option<Deadline>,
    },
    /// Adds to a counter, which begins at 0. Out of range, or on another form, the commit fails.
    Add {
        /// The item.
        item: ItemId,
        /// What is added.
        delta: i64,
        /// Where the sum must lie.
        range: RangeInclusive<i64>,
        /// The deadline, only where this creates the counter.
        deadline_if_new: Option<Deadline>,
    },
    /// One rate-limit decision. A denial fails the commit.
    Take {
        /// The item.
        item: ItemId,
        /// How calls are admitted.
        policy: LimitPolicy,
        /// Units, 1 up to the limit.
        cost: u32,
    },
    /// Removes an item only while it is expired and still at this revision, else [`MutationOutcome::Missed`].
    Reap {
        /// The item.
        item: ItemId,
        /// The revision that was seen expired.
        revision: Revision,
    },
}

impl Mutation {
    /// The item it is about.
    pub const fn item(&self) -> &ItemId {
        match self {
            Self::Put { item, .. }
            | Self::Delete { item }
            | Self::Touch { item, .. }
            | Self::Add { item, .. }
            | Self::Take { item, .. }
            | Self::Reap { item, .. } => item,
        }
    }
}

/// Checks and mutations on one partition: all or nothing.
///
/// Checks see the state before the commit. Every mutation of a commit gets one and the same revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// Makes the commit safe to send again after an unknown outcome.
    pub id: Option<CommitId>,
    /// What must hold.
    pub checks: Vec<Check>,
    /// What changes.
    pub mutations: Vec<Mutation>,
    /// What subscribers are told, in the same atomic step.
    pub announce: Vec<Announcement>,
}

impl Commit {
    /// An empty commit.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the commit.
    #[must_use]
    pub fn with_id(mut self, id: CommitId) -> Self {
        self.id = Some(id);
        self
    }

    /// Adds a check.
    #[must_use]
    pub fn check(mut self, check: Check) -> Self {
        self.checks.push(check);
        self
    }

    /// Adds [`Check::Absent`].
    #[must_use]
    pub fn absent(self, item: impl Into<ItemId>) -> Self {
        self.check(Check::Absent(item.into()))
    }

    /// Adds [`Check::Present`].
    #[must_use]
    pub fn present(self, item: impl Into<ItemId>) -> Self {
        self.check(Check::Present(item.into()))
    }

    /// Adds [`Check::At`].
    #[must_use]
    pub fn at(self, item: impl Into<ItemId>, revision: Revision) -> Self {
        self.check(Check::At(item.into(), revision))
    }

    /// Adds a mutation.
    #[must_use]
    pub fn mutate(mut self, mutation: Mutation) -> Self {
        self.mutations.push(mutation);
        self
    }

    /// Adds [`Mutation::Put`].
    #[must_use]
    pub fn put(self, item: impl Into<ItemId>, value: impl Into<Bytes>, deadline: Option<Deadline>) -> Self {
        self.mutate(Mutation::Put { item: item.into(), value: value.into(), deadline })
    }

    /// Adds [`Mutation::Delete`].
    #[must_use]
    pub fn delete(self, item: impl Into<ItemId>) -> Self {
        self.mutate(Mutation::Delete { item: item.into() })
    }

    /// Adds [`Mutation::Touch`].
    #[must_use]
    pub fn touch(self, item: impl Into<ItemId>, deadline: Option<Deadline>) -> Self {
        self.mutate(Mutation::Touch { item: item.into(), deadline })
    }

    /// Adds [`Mutation::Add`] over the whole range of i64.
    #[must_use]
    pub fn add(self, item: impl Into<ItemId>, delta: i64, deadline_if_new: Option<Deadline>) -> Self {
        let range = i64::MIN..=i64::MAX;
        self.mutate(Mutation::Add { item: item.into(), delta, range, deadline_if_new })
    }

    /// Adds [`Mutation::Take`].
    #[must_use]
    pub fn take(self, item: impl Into<ItemId>, policy: LimitPolicy, cost: u32) -> Self {
        self.mutate(Mutation::Take { item: item.into(), policy, cost })
    }

    /// Adds [`Mutation::Reap`].
    #[must_use]
    pub fn reap(self, item: impl Into<ItemId>, revision: Revision) -> Self {
        self.mutate(Mutation::Reap { item: item.into(), revision })
    }

    /// Adds an announcement.
    #[must_use]
    pub fn announce(mut self, announcement: Announcement) -> Self {
        self.announce.push(announcement);
        self
    }
}

/// A commit's content in 16 bytes: tells a repeat from another commit under the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 16]);

/// What a commit answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The revision of everything this commit wrote.
    pub revision: Revision,
    /// One outcome per mutation, in order.
    pub outcomes: Vec<MutationOutcome>,
    /// The commit had happened before; this is its first receipt.
    pub replayed: bool,
}

/// What one mutation did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MutationOutcome {
    /// A put; the revision it replaced, none where it created the item.
    Put {
        /// The revision of the item it replaced.
        replaced: Option<Revision>,
    },
    /// A delete of an item that was there.
    Deleted {
        /// The revision the item had.
        revision: Revision,
    },
    /// A touch of an item that was there.
    Touched,
    /// A delete, touch or reap that found nothing to do.
    Missed,
    /// An add.
    Added {
        /// The sum.
        value: i64,
        /// Whether this created the counter.
        created: bool,
    },
    /// An admitted take.
    Taken(Decision),
    /// A reap that removed an expired item.
    Reaped,
}

/// Why a commit did not happen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conflict {
    /// Everything that failed, checks before mutations.
    pub failures: Vec<Failure>,
    /// The decision of every take in the commit, by its index among the mutations.
    pub decisions: Vec<(usize, Decision)>,
}

/// One check or mutation that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A check.
    Check {
        /// Its index among the checks.
        index: usize,
        /// The item's present revision; none when absent.
        present: Option<Revision>,
    },
    /// A mutation.
    Mutation {
        /// Its index among the mutations.
        index: usize,
        /// Why.
        refusal: Refusal,
    },
}

/// Why a mutation refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The limit denied the take; see [`Conflict::decisions`].
    Denied,
    /// The sum would not fit an i64.
    Overflow {
        /// The counter's present value.
        present: i64,
    },
    /// The sum would leave the range asked for.
    OutOfRange {
        /// The counter's present value.
        present: i64,
    },
    /// The item has another form.
    WrongForm,
}

impl Commit {
    /// Every key this commit reads or writes, checks first.
    pub fn keys(&self) -> impl Iterator<Item = ItemKey> + '_ {
        let items = self.checks.iter().map(Check::item).chain(self.mutations.iter().map(Mutation::item));
        items.map(ItemKey::item)
    }
}
