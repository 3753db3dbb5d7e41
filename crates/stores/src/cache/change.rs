//! The one way entries change: conditions and writes on one partition, made into a commit.

use std::ops::RangeInclusive;

use bytes::Bytes;
use statehold_core::{
    Check, Commit, Conflict, Cx, Deadline, Error, Failure, Item, ItemId, Kind, Mutation, MutationOutcome,
    Place, Receipt, Refusal, Revision, Time,
};

use super::{CacheError, CachePolicy, Incr, Mode, Set, Stored, Sum, Value, Write, Written, codec, policy};
use crate::Home;
use crate::contend::{Queue, Tries};

/// What must hold.
#[derive(Clone, Debug)]
pub(super) enum Must {
    Absent,
    Present,
    At(Revision),
    Have(Value),
}

impl Must {
    /// The condition of a mode; none for any.
    pub(super) fn of(mode: Mode) -> Option<Self> {
        Some(match mode {
            Mode::Any => return None,
            Mode::IfAbsent => Self::Absent,
            Mode::IfPresent => Self::Present,
            Mode::IfRevision(revision) => Self::At(revision),
            Mode::IfValue(value) => Self::Have(value),
        })
    }

    fn needs_value(&self) -> bool {
        matches!(self, Self::Have(_))
    }

    fn check(&self, item: &ItemId, read: Option<&Item>) -> Check {
        match (self, read) {
            (Self::Absent, _) => Check::Absent(item.clone()),
            (Self::Present, _) => Check::Present(item.clone()),
            (Self::At(revision), _) => Check::At(item.clone(), *revision),
            (Self::Have(_), read) => guard(item, read),
        }
    }

    /// Whether it holds for what was read.
    fn holds(&self, read: Option<&Item>) -> Result<bool, Error> {
        Ok(match self {
            Self::Absent => read.is_none(),
            Self::Present => read.is_some(),
            Self::At(revision) => read.is_some_and(|item| item.revision == *revision),
            Self::Have(expected) => match read {
                None => false,
                Some(item) => policy::same(&codec::decode(item)?.value, expected),
            },
        })
    }
}

/// Nothing has changed since this was read.
fn guard(item: &ItemId, read: Option<&Item>) -> Check {
    match read {
        None => Check::Absent(item.clone()),
        Some(read) => Check::At(item.clone(), read.revision),
    }
}

/// A write that is within the rules, its value encoded once however often the commit is made.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Put { value: Bytes, deadline: Option<Deadline>, keep_deadline: bool },
    Delete,
    Add { delta: i64, range: RangeInclusive<i64>, deadline_if_new: Option<Deadline> },
}

impl Step {
    /// Checks a write against the rules.
    pub(super) fn new(write: &Write, rules: &CachePolicy, now: Time) -> Result<Self, CacheError> {
        match write {
            Write::Set(Set { value, ttl, keep_ttl }) => {
                let bytes_max = rules.value_bytes_max;
                if value.bytes_len() > bytes_max {
                    return Err(CacheError::ValueTooLarge { bytes_max });
                }
                let deadline = rules.deadline(*ttl, now)?;
                let value = codec::encode(value).ok_or(CacheError::OutOfRange { field: "value" })?;
                Ok(Self::Put { value, deadline, keep_deadline: *keep_ttl })
            }
            Write::Delete => Ok(Self::Delete),
            Write::Incr(Incr { by, ttl, range }) => {
                if *by == 0 {
                    return Err(CacheError::OutOfRange { field: "by" });
                }
                if range.is_empty() {
                    return Err(CacheError::OutOfRange { field: "min" });
                }
                let deadline_if_new = rules.deadline(*ttl, now)?;
                Ok(Self::Add { delta: *by, range: range.clone(), deadline_if_new })
            }
        }
    }

    fn keeps_deadline(&self) -> bool {
        matches!(self, Self::Put { keep_deadline: true, .. })
    }

    fn mutation(&self, item: &ItemId, read: Option<&Item>) -> Mutation {
        let item = item.clone();
        match self {
            Self::Put { value, .. } => {
                Mutation::Put { item, value: value.clone(), deadline: self.deadline(read) }
            }
            Self::Delete => Mutation::Delete { item },
            Self::Add { delta, range, deadline_if_new } => {
                Mutation::Add { item, delta: *delta, range: range.clone(), deadline_if_new: *deadline_if_new }
            }
        }
    }

    /// The deadline of a put.
    fn deadline(&self, read: Option<&Item>) -> Option<Deadline> {
        match (self, read) {
            (Self::Put { keep_deadline: true, .. }, Some(read)) => read.deadline,
            (Self::Put { deadline, .. }, _) => *deadline,
            _ => None,
        }
    }
}

/// Conditions and writes on one partition: all or nothing.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) place: Place,
    pub(super) conditions: Vec<(ItemId, Must)>,
    pub(super) steps: Vec<(ItemId, Step)>,
}

/// Why a change did not happen.
#[derive(Debug)]
pub(super) enum Stop {
    /// A condition does not hold.
    Condition { index: usize, present: Option<Revision> },
    /// A step refused.
    Step { index: usize, refusal: Refusal },
    /// The races or the engine.
    Failed(CacheError),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(CacheError::Engine(error))
    }
}

/// What a change did.
#[derive(Debug)]
pub(super) struct Changed {
    pub(super) revision: Revision,
    pub(super) written: Vec<Written>,
}

/// What was read before a commit, by the order of conditions, then steps.
#[derive(Default)]
struct Before(Vec<Option<Item>>);

impl Before {
    fn condition(&self, index: usize) -> Option<&Item> {
        self.0.get(index)?.as_ref()
    }

    fn step(&self, change: &Change, index: usize) -> Option<&Item> {
        self.0.get(change.conditions.len() + index)?.as_ref()
    }
}

impl Change {
    /// Makes the change. Without a condition on a value or a deadline to keep this is one commit, and a refusal is
    /// final. With one, the present state is read first and the commit is guarded by it, again after a lost race.
    pub(super) async fn make(&self, cx: &Cx, home: &Home, queue: &Queue) -> Result<Changed, Stop> {
        if !self.needs_read() {
            let answer = self.commit(cx, home, &Before::default()).await?;
            return answer.ok_or_else(|| Error::internal("a check failed that was not made").into());
        }
        let mut tries = Tries::new();
        loop {
            let turn = queue.turn(&self.place.partition).await.map_err(|full| Stop::Failed(full.into()))?;
            let before = self.read(cx, home).await?;
            if let Some(changed) = self.commit(cx, home, &before).await? {
                return Ok(changed);
            }
            drop(turn);
            tries.lost().await.map_err(|lost| Stop::Failed(lost.into()))?;
        }
    }

    fn needs_read(&self) -> bool {
        self.conditions.iter().any(|(_, must)| must.needs_value())
            || self.steps.iter().any(|(_, step)| step.keeps_deadline())
    }

    /// Reads every entry of the change, and stops at the first condition that does not hold.
    async fn read(&self, cx: &Cx, home: &Home) -> Result<Before, Stop> {
        let items =
            self.conditions.iter().map(|(item, _)| item).chain(self.steps.iter().map(|(item, _)| item));
        let wanted: Vec<_> = items.map(|item| self.place.item(item.clone())).collect();
        let before = Before(home.engine.fetch(cx, &wanted).await?);
        for (index, (_, must)) in self.conditions.iter().enumerate() {
            let read = before.condition(index);
            if !must.holds(read)? {
                return Err(Stop::Condition { index, present: read.map(|item| item.revision) });
            }
        }
        Ok(before)
    }

    /// One try; none where only what was read has changed since.
    async fn commit(&self, cx: &Cx, home: &Home, before: &Before) -> Result<Option<Changed>, Stop> {
        let mut commit = Commit::new();
        for (index, (item, must)) in self.conditions.iter().enumerate() {
            commit = commit.check(must.check(item, before.condition(index)));
        }
        for (index, (item, step)) in self.steps.iter().enumerate() {
            let read = before.step(self, index);
            if step.keeps_deadline() {
                commit = commit.check(guard(item, read));
            }
            commit = commit.mutate(step.mutation(item, read));
        }
        match home.engine.commit(cx, &self.place, &commit).await {
            Ok(receipt) => Ok(Some(self.changed(&receipt, before)?)),
            Err(error) if error.kind() == Kind::Conflict => {
                let Some(conflict) = error.conflict_detail() else { return Err(error.into()) };
                self.refusal(conflict).map_or(Ok(None), Err)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The first failure that is final: not one of a guard, which only says that what was read is old.
    fn refusal(&self, conflict: &Conflict) -> Option<Stop> {
        conflict.failures.iter().find_map(|failure| match *failure {
            Failure::Check { index, present } => {
                let (_, must) = self.conditions.get(index)?;
                (!must.needs_value()).then_some(Stop::Condition { index, present })
            }
            Failure::Mutation { index, refusal } => Some(Stop::Step { index, refusal }),
        })
    }

    fn changed(&self, receipt: &Receipt, before: &Before) -> Result<Changed, Error> {
        let revision = receipt.revision;
        let mut written = Vec::with_capacity(self.steps.len());
        for (index, (_, step)) in self.steps.iter().enumerate() {
            written.push(match receipt.outcomes.get(index) {
                Some(MutationOutcome::Put { replaced }) => {
                    let deadline = step.deadline(before.step(self, index));
                    Written::Set(Stored::Yes { created: replaced.is_none(), revision, deadline })
                }
                Some(MutationOutcome::Deleted { .. }) => Written::Deleted(true),
                Some(MutationOutcome::Missed) => Written::Deleted(false),
                Some(&MutationOutcome::Added { value, created }) => {
                    Written::Sum(Sum { value, revision, created })
                }
                _ => return Err(Error::internal("a write was answered with another outcome")),
            });
        }
        Ok(Changed { revision, written })
    }
}

/// What the refusal of a step means.
pub(super) fn refused(refusal: Refusal) -> CacheError {
    match refusal {
        Refusal::WrongForm => CacheError::WrongType,
        Refusal::Overflow { .. } => CacheError::CounterOverflow,
        Refusal::OutOfRange { .. } => CacheError::CounterBound,
        Refusal::Denied => CacheError::Engine(Error::internal("a write was denied like a limit")),
    }
}
