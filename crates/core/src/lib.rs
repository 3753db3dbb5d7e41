//! The contract under every state store of Statehold.
//!
//! A store keeps typed state as *items*; an item lives in a *partition*, the unit of atomic change; partitions
//! hash to *buckets*, the unit of a live move; buckets make up a *space*, one store's keyspace in one namespace.
//! An [`Engine`] keeps spaces and offers five verbs over them. Everything that changes state is a [`Commit`].
//!
//! ```
//! use statehold_core::{Commit, Namespace, Partition, Place, Space, StoreName};
//!
//! let space = Space::new(Namespace::new("shop")?, StoreName::new("sessions")?);
//! let place = Place::new(&space, Partition::new("owner-7")?);
//! let commit = Commit::new().put("session:1", "{}", None);
//! assert!(place.bucket.number() < space.buckets());
//! assert_eq!(commit.mutations.len(), 1);
//! # Ok::<(), statehold_core::Error>(())
//! ```
//!
//! This crate does no I/O, knows no runtime and reads no clock of its own.

mod address;
mod clock;
mod codec;
mod commit;
pub mod duration;
mod engine;
mod error;
mod ext;
mod guarantees;
mod item;
mod layer;
mod limit;
mod movable;
mod rules;
mod signals;
pub mod validate;

pub use address::{
    Address, BUCKETS_DEFAULT, BUCKETS_MAX, Bucket, ITEM_BYTES_MAX, ItemId, ItemKey, Namespace,
    PARTITION_BYTES_MAX, Partition, Place, Space, StoreName, Traits,
};
pub use clock::{Clock, Deadline, ManualClock, Time};
pub use commit::{
    CHECKS_MAX, COMMIT_BYTES_MAX, Check, Commit, CommitId, Conflict, Failure, Fingerprint, MUTATIONS_MAX,
    Mutation, MutationOutcome, RECEIPTS_PRUNED_MAX, Receipt, Refusal, VALUE_BYTES_CEILING, VALUE_BYTES_MAX,
};
pub use engine::{
    Cx, Description, Engine, EngineKind, FETCH_MAX, PAGE_MAX, Page, Probe, RANGES_MAX, Range, Read, SKIP_MAX,
    Scan, ScanCursor, ScanPage, Scanned, View,
};
pub use error::{Advice, Error, Kind, Outcome, Result};
pub use ext::EngineExt;
pub use guarantees::{Durability, Guarantees, Needs, Replication, Shortfall};
pub use item::{Body, Epoch, Form, Item, Revision, State, Term};
pub use layer::{Layer, Slot, Stack, StackBuilder};
pub use limit::{Decision, LimitPolicy, SLIDING_LIMIT_MAX};
pub use movable::{
    Carried, CarryOutcome, Control, Incarnation, Mark, MarkKind, Marked, Movable, MoveId, Owner, PassId, Role,
};
pub use rules::{
    CommitView, Decided, Fence, Write, carry_rule, commit_rule, control_rule, evaluate, read_rule,
};
pub use signals::{Announcement, PAYLOAD_BYTES_MAX, Signal, SignalStream, Signals, Topic};
