//! What a live move needs from an engine.

use std::fmt;

use async_trait::async_trait;

use crate::address::{Bucket, ItemKey, Partition, Space};
use crate::clock::Time;
use crate::engine::{Cx, Engine};
use crate::error::Result;
use crate::item::{Epoch, Revision, State, Term};

macro_rules! opaque_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 16]);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", u128::from_be_bytes(self.0))
            }
        }
    };
}

opaque_id!(
    /// Identity of an engine's history; another one says that some of it may be gone.
    Incarnation
);
opaque_id!(
    /// The deployment a space belongs to; two cannot share one by mistake.
    Owner
);
opaque_id!(
    /// One move.
    MoveId
);
opaque_id!(
    /// One pass of a mover over a bucket.
    PassId
);

/// What a bucket lets callers do at this engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Commits and reads: the home.
    Open,
    /// Reads alone: the home while it hands over.
    Sealed,
    /// Accepts `carry` alone.
    Following,
    /// Refuses everything.
    Away,
}

impl Role {
    /// The role's number in engines.
    pub const fn number(self) -> u8 {
        match self {
            Self::Open => 1,
            Self::Sealed => 2,
            Self::Following => 3,
            Self::Away => 4,
        }
    }

    /// Takes back what [`Self::number`] gave.
    ///
    /// # Errors
    /// `Corrupt` for a number that is no role.
    pub fn from_number(number: u8) -> Result<Self> {
        [Self::Open, Self::Sealed, Self::Following, Self::Away]
            .into_iter()
            .find(|role| role.number() == number)
            .ok_or_else(|| crate::Error::corrupt("a control has an unknown role"))
    }
}

/// A bucket's control at one engine, kept beside its data and checked in every commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Control {
    /// What callers may do.
    pub role: Role,
    /// The epoch a commit must name.
    pub epoch: Epoch,
    /// The term of the revisions issued here.
    pub term: Term,
    /// Whether commits set marks and deletions leave absence markers.
    pub marking: bool,
    /// The highest revision ever issued here or handed over.
    pub floor: Revision,
    /// No instant before this one judges an expiry, so that nothing un-expires after a hand-over.
    pub time_floor: Time,
    /// The engine's history for which this control holds; under another one it is void.
    pub incarnation: Incarnation,
    /// The deployment it belongs to.
    pub owner: Owner,
    /// The move that is under way.
    pub move_id: Option<MoveId>,
}

/// Which marks are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MarkKind {
    /// Changed at the home, not yet carried.
    Dirty,
    /// Carried, not yet looked at by verification.
    Unchecked,
}

/// A note beside the data: this item changed here, at this revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The item's partition.
    pub partition: Partition,
    /// The item.
    pub key: ItemKey,
    /// The revision it was marked at.
    pub revision: Revision,
    /// Dirty or unchecked.
    pub kind: MarkKind,
}

/// A mark with the item's present state, read together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marked {
    /// The mark.
    pub mark: Mark,
    /// The item's present state; none where nothing is kept, not even a marker.
    pub state: Option<State>,
}

/// One item on its way to the following engine: a state or an absence marker, never an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// The item's partition.
    pub partition: Partition,
    /// The item.
    pub key: ItemKey,
    /// Its exact state at the home.
    pub state: State,
}

/// What became of one carried item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CarryOutcome {
    /// It was older here, or not here: now it is the home's.
    Accepted,
    /// The same revision with the same content was here.
    Same,
    /// A newer one is here; nothing changed.
    Newer(Revision),
    /// The same revision with other content is here: alarm, nothing changed.
    Forked,
    /// Proof that the home lost a write that this engine holds: its later write says it replaced something older.
    /// Alarm, nothing changed.
    Regressed(Revision),
}

/// An engine that can be the home of a live move, on either side.
#[async_trait]
pub trait Movable: Engine {
    /// The engine's present history, per bucket.
    ///
    /// - `restart.incarnation`: a restart that may have lost acknowledged changes shows another incarnation, one
    ///   that cannot have shows the same.
    async fn incarnation(&self, cx: &Cx, space: &Space, buckets: &[Bucket]) -> Result<Vec<Incarnation>>;

    /// The controls as commits see them: a bucket without one of its own shows its space's, if that is not void.
    ///
    /// - `fence.missing`: a bucket without a control, in a space that was never established, refuses everything.
    /// - `fence.void`: a control of another incarnation refuses everything until it is installed again.
    async fn control(&self, cx: &Cx, space: &Space, buckets: &[Bucket]) -> Result<Vec<Option<Control>>>;

    /// Makes `control` what every bucket of the space obeys that has no control of its own, void ones replaced.
    /// The same control again is accepted and changes nothing.
    ///
    /// - `fence.establish`: refused (`Conflict`) unless (epoch, term) is greater than that of every control the space
    ///   has and no term shrinks, (`Refused`) where the space belongs to another owner, and (`Moved`) for another
    ///   incarnation.
    async fn establish(&self, cx: &Cx, space: &Space, control: &Control) -> Result<()>;

    /// Replaces one bucket's control, if it still is `expect` ([`Control::floor`] aside, which grows by itself).
    ///
    /// - `fence.set-control`: compare-and-set on the whole control; (epoch, term) must grow and the term must not
    ///   shrink, else `Conflict`; `Refused` for another owner, `Moved` for another incarnation.
    async fn set_control(
        &self,
        cx: &Cx,
        space: &Space,
        bucket: Bucket,
        expect: Option<&Control>,
        next: &Control,
    ) -> Result<()>;

    /// Up to `limit` marks of a kind, with the items' present states, read together.
    ///
    /// - `fence.marks`: a commit marks exactly what it changed, exactly while the control says so.
    /// - `fence.mark-states`: each mark comes with what is kept of its item, deletions as absence markers.
    async fn marks(
        &self,
        cx: &Cx,
        space: &Space,
        bucket: Bucket,
        kind: MarkKind,
        limit: usize,
    ) -> Result<Vec<Marked>>;

    /// Clears marks, dirty to unchecked to gone, each only at the revision named. Says how many were cleared.
    ///
    /// - `fence.clear`: a mark whose revision has changed stays.
    async fn clear(&self, cx: &Cx, space: &Space, bucket: Bucket, done: &[Mark]) -> Result<u64>;

    /// Takes exact states from the home.
    ///
    /// - `carry.exact`: revision, base, deadline, form and bytes arrive unchanged.
    /// - `carry.newer-wins`: an older state never replaces a newer one; equal revision with other content alarms.
    /// - `carry.regressed`: proof of a write that the home lost is told, and replaces nothing.
    /// - `carry.markers`: an absence marker removes the item, and no older state brings it back.
    /// - `carry.continues`: once open, the bucket issues revisions above everything that was carried into it.
    /// - `carry.fenced`: refused (`Moved`) unless the bucket is `Following` at this epoch.
    async fn carry(
        &self,
        cx: &Cx,
        space: &Space,
        bucket: Bucket,
        at: Epoch,
        pass: PassId,
        items: &[Carried],
    ) -> Result<Vec<CarryOutcome>>;

    /// Forgets the items and marks of buckets that are `Away`; their controls stay.
    ///
    /// - `carry.forget`: refused (`Conflict`) for a bucket in any other role.
    async fn forget(&self, cx: &Cx, space: &Space, buckets: &[Bucket]) -> Result<()>;
}
