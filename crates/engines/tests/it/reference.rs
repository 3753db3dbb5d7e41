//! What a space is, naively: ordered maps, one instant, no engine. Written from the contract's words alone.

use std::collections::BTreeMap;

use bytes::Bytes;
use statehold_core::{
    Check, Commit, Conflict, Deadline, Failure, Form, Item, Mutation, MutationOutcome, Receipt, Refusal,
    Revision,
};

use crate::limits::{History, decide};

/// How long a commit id is remembered, milliseconds.
const MEMORY_MS: u64 = 600_000;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Content {
    Bytes(Bytes),
    Counter(i64),
    /// A limit's bytes are the engine's own; its history is ours.
    Limit(History),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Thing {
    pub(crate) content: Content,
    pub(crate) deadline_ms: Option<u64>,
    pub(crate) revision: Revision,
}

/// What is expected of a commit.
#[derive(Debug)]
pub(crate) enum Expected {
    Happens(Vec<MutationOutcome>),
    Replayed(Receipt),
    Refused(Conflict),
    IdTaken,
}

pub(crate) type Name = Vec<u8>;

#[derive(Default)]
pub(crate) struct Reference {
    pub(crate) now_us: u64,
    /// Everything that was put and not removed; what is past its deadline is invisible.
    pub(crate) things: BTreeMap<(Name, Name), Thing>,
    receipts: BTreeMap<(Name, [u8; 16]), (Commit, Receipt, u64)>,
    /// The last change of each item, for its mark.
    pub(crate) changed: BTreeMap<(Name, Name), Revision>,
}

impl Thing {
    fn is_live(&self, now_us: u64) -> bool {
        self.deadline_ms.is_none_or(|ms| now_us / 1_000 < ms)
    }

    /// Whether an item as the engine shows it is this one.
    pub(crate) fn looks_like(&self, item: &Item, values: bool) -> bool {
        let content = match &self.content {
            Content::Bytes(bytes) => item.form == Form::Bytes && (!values || item.value == *bytes),
            Content::Counter(n) => item.form == Form::Counter && (!values || item.value == n.to_string()),
            Content::Limit(_) => item.form == Form::Limit,
        };
        let empty = values || item.value.is_empty();
        content
            && empty
            && item.revision == self.revision
            && item.deadline.map(Deadline::millis) == self.deadline_ms
    }
}

impl Reference {
    pub(crate) fn at(now_us: u64) -> Self {
        Self { now_us, ..Self::default() }
    }

    pub(crate) fn live(&self, partition: &[u8], item: &[u8]) -> Option<&Thing> {
        self.things.get(&(partition.to_vec(), item.to_vec())).filter(|thing| thing.is_live(self.now_us))
    }

    pub(crate) fn live_of<'a>(
        &'a self,
        partition: &'a [u8],
    ) -> impl DoubleEndedIterator<Item = (&'a Name, &'a Thing)> {
        self.things
            .iter()
            .filter(move |((owner, _), thing)| owner == partition && thing.is_live(self.now_us))
            .map(|((_, item), thing)| (item, thing))
    }

    pub(crate) fn all_live(&self) -> impl Iterator<Item = (&(Name, Name), &Thing)> {
        self.things.iter().filter(|(_, thing)| thing.is_live(self.now_us))
    }

    pub(crate) fn expired(&self, before_ms: u64) -> impl Iterator<Item = (&(Name, Name), &Thing)> {
        let is_past = move |thing: &Thing| thing.deadline_ms.is_some_and(|ms| ms <= before_ms);
        self.things.iter().filter(move |(_, thing)| !thing.is_live(self.now_us) && is_past(thing))
    }

    pub(crate) fn remembered(&self) -> impl Iterator<Item = &(Name, [u8; 16])> {
        let now_ms = self.now_us / 1_000;
        self.receipts.iter().filter(move |(_, (_, _, until))| now_ms < *until).map(|(key, _)| key)
    }

    /// What a commit must answer. Nothing changes before [`Self::happened`].
    pub(crate) fn expect(&self, partition: &[u8], commit: &Commit) -> Expected {
        if let Some(id) = &commit.id
            && let Some((first, receipt, until)) = self.receipts.get(&(partition.to_vec(), *id.as_bytes()))
            && self.now_us / 1_000 < *until
        {
            return if first == commit { Expected::Replayed(receipt.clone()) } else { Expected::IdTaken };
        }
        let mut conflict = Conflict::default();
        for (index, check) in commit.checks.iter().enumerate() {
            let present = self.live(partition, check.item().as_bytes()).map(|thing| thing.revision);
            let holds = match check {
                Check::Absent(_) => present.is_none(),
                Check::Present(_) => present.is_some(),
                Check::At(_, wanted) => present == Some(*wanted),
            };
            if !holds {
                conflict.failures.push(Failure::Check { index, present });
            }
        }
        let mut outcomes = Vec::new();
        for (index, mutation) in commit.mutations.iter().enumerate() {
            match self.outcome(partition, mutation, &mut conflict, index) {
                Ok(outcome) => outcomes.push(outcome),
                Err(refusal) => conflict.failures.push(Failure::Mutation { index, refusal }),
            }
        }
        if conflict.failures.is_empty() { Expected::Happens(outcomes) } else { Expected::Refused(conflict) }
    }

    fn outcome(
        &self,
        partition: &[u8],
        mutation: &Mutation,
        conflict: &mut Conflict,
        index: usize,
    ) -> Result<MutationOutcome, Refusal> {
        let name = mutation.item().as_bytes();
        let live = self.live(partition, name);
        let revision = live.map(|thing| thing.revision);
        Ok(match mutation {
            Mutation::Put { .. } => MutationOutcome::Put { replaced: revision },
            Mutation::Delete { .. } => {
                revision.map_or(MutationOutcome::Missed, |revision| MutationOutcome::Deleted { revision })
            }
            Mutation::Touch { .. } if live.is_some() => MutationOutcome::Touched,
            Mutation::Touch { .. } => MutationOutcome::Missed,
            Mutation::Add { delta, range, .. } => {
                let present = match live.map(|thing| &thing.content) {
                    None => 0,
                    Some(Content::Counter(n)) => *n,
                    Some(_) => return Err(Refusal::WrongForm),
                };
                let sum = i128::from(present) + i128::from(*delta);
                let Ok(value) = i64::try_from(sum) else { return Err(Refusal::Overflow { present }) };
                if value < *range.start() || value > *range.end() {
                    return Err(Refusal::OutOfRange { present });
                }
                MutationOutcome::Added { value, created: live.is_none() }
            }
            Mutation::Take { policy, cost, .. } => {
                let mut history = match live.map(|thing| &thing.content) {
                    None => History::new(),
                    Some(Content::Limit(history)) => history.clone(),
                    Some(_) => return Err(Refusal::WrongForm),
                };
                let decision = decide(policy, &mut history, self.now_us, *cost);
                conflict.decisions.push((index, decision));
                if !decision.allowed {
                    return Err(Refusal::Denied);
                }
                MutationOutcome::Taken(decision)
            }
            Mutation::Reap { revision, .. } => {
                let kept = self.things.get(&(partition.to_vec(), name.to_vec()));
                let expired =
                    kept.is_some_and(|thing| !thing.is_live(self.now_us) && thing.revision == *revision);
                if expired { MutationOutcome::Reaped } else { MutationOutcome::Missed }
            }
        })
    }

    /// Makes the changes of a commit that happened.
    pub(crate) fn happened(&mut self, partition: &[u8], commit: &Commit, receipt: &Receipt) {
        for (mutation, outcome) in commit.mutations.iter().zip(&receipt.outcomes) {
            let at = (partition.to_vec(), mutation.item().as_bytes().to_vec());
            if *outcome == MutationOutcome::Missed {
                continue;
            }
            self.changed.insert(at.clone(), receipt.revision);
            match self.after(&at, mutation, outcome) {
                Some((content, deadline_ms)) => {
                    self.things.insert(at, Thing { content, deadline_ms, revision: receipt.revision });
                }
                None => drop(self.things.remove(&at)),
            }
        }
        if let Some(id) = &commit.id {
            let until = self.now_us.div_ceil(1_000).max((self.now_us + MEMORY_MS * 1_000).div_ceil(1_000));
            let told = (commit.clone(), receipt.clone(), until);
            self.receipts.insert((partition.to_vec(), *id.as_bytes()), told);
        }
    }

    /// What a mutation leaves of an item; none where it removes it.
    fn after(
        &self,
        at: &(Name, Name),
        mutation: &Mutation,
        outcome: &MutationOutcome,
    ) -> Option<(Content, Option<u64>)> {
        let live = self.live(&at.0, &at.1);
        match mutation {
            Mutation::Put { value, deadline, .. } => {
                Some((Content::Bytes(value.clone()), deadline.map(Deadline::millis)))
            }
            Mutation::Delete { .. } | Mutation::Reap { .. } => None,
            Mutation::Touch { deadline, .. } => {
                live.map(|thing| (thing.content.clone(), deadline.map(Deadline::millis)))
            }
            Mutation::Add { deadline_if_new, .. } => {
                let MutationOutcome::Added { value, .. } = outcome else { return None };
                let deadline_ms =
                    live.map_or(deadline_if_new.map(Deadline::millis), |thing| thing.deadline_ms);
                Some((Content::Counter(*value), deadline_ms))
            }
            Mutation::Take { policy, cost, .. } => {
                let mut history = match live.map(|thing| &thing.content) {
                    Some(Content::Limit(history)) => history.clone(),
                    _ => History::new(),
                };
                let decision = decide(policy, &mut history, self.now_us, *cost);
                Some((Content::Limit(history), Some(decision.reset_at.micros().div_ceil(1_000))))
            }
        }
    }
}
