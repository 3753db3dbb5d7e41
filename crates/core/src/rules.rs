//! The contract's decisions as pure functions: what a commit does to a partition, who may commit, what a carry
//! replaces. Engines that can, call these; engines that cannot, are tested against them.

use std::time::Duration;

use bytes::Bytes;

use crate::address::ItemKey;
use crate::clock::{Deadline, Time};
use crate::codec;
use crate::commit::{
    Check, Commit, Conflict, Failure, Mutation, MutationOutcome, RECEIPTS_PRUNED_MAX, Receipt, Refusal,
};
use crate::error::{Error, Kind, Result};
use crate::item::{Body, Epoch, Form, Revision, State, Term, parse_counter};
use crate::limit::Decision;
use crate::movable::{CarryOutcome, Control, Incarnation, Role};

/// What a bucket's control lets a commit do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The term of the revision to issue.
    pub term: Term,
    /// The highest revision before this commit, for the base of items that were absent.
    pub floor: Revision,
    /// Whether to mark, and to keep deletions as absence markers.
    pub marking: bool,
    /// The earliest instant that may judge an expiry.
    pub time_floor: Time,
}

/// Whether a commit at `epoch` may happen: the bucket is open, the epoch is the caller's and the history is the one
/// that the control was installed for.
///
/// # Errors
/// `Moved`, with the control's epoch where it is not void.
pub fn commit_rule(control: Option<&Control>, present: Incarnation, epoch: Epoch) -> Result<Fence> {
    let control = standing(control, present)?;
    if control.role != Role::Open || control.epoch != epoch {
        return Err(Error::moved(Some(control.epoch)));
    }
    let Control { term, floor, marking, time_floor, .. } = *control;
    Ok(Fence { term, floor, marking, time_floor })
}

/// Whether a fenced read may be served, and the earliest instant that may judge an expiry.
///
/// # Errors
/// `Moved`, with the control's epoch where it is not void.
pub fn read_rule(control: Option<&Control>, present: Incarnation) -> Result<Time> {
    let control = standing(control, present)?;
    match control.role {
        Role::Open | Role::Sealed => Ok(control.time_floor),
        Role::Following | Role::Away => Err(Error::moved(Some(control.epoch))),
    }
}

/// The control, unless it is missing or void.
fn standing(control: Option<&Control>, present: Incarnation) -> Result<&Control> {
    control.filter(|control| control.incarnation == present).ok_or_else(|| Error::moved(None))
}

/// Whether `next` may be installed in the engine's `present` history over a control that stands, void or not.
///
/// # Errors
/// `Moved` for another history, `Refused` for another owner, `Conflict` unless (epoch, term) grows and the term does
/// not shrink, and for a home whose term is below its floor's: its revisions would not grow.
pub fn control_rule(standing: Option<&Control>, next: &Control, present: Incarnation) -> Result<()> {
    if next.incarnation != present {
        return Err(Error::moved(None));
    }
    if next.term > Term::MAX {
        return Err(Error::invalid("a term has 20 bits"));
    }
    let mut floor = next.floor;
    if let Some(standing) = standing {
        if standing.owner != next.owner {
            return Err(Error::new(Kind::Refused, "the space belongs to another deployment"));
        }
        let grows = (next.epoch, next.term) > (standing.epoch, standing.term) && next.term >= standing.term;
        if !grows {
            return Err(Error::conflict("a control's epoch and term only grow"));
        }
        floor = floor.max(standing.floor);
    }
    if next.role == Role::Open && floor.term() > next.term {
        return Err(Error::conflict("a home's term is not below its floor's"));
    }
    Ok(())
}

/// What a carried state does to what is here.
pub fn carry_rule(present: Option<&State>, incoming: &State) -> CarryOutcome {
    let Some(present) = present else { return CarryOutcome::Accepted };
    if incoming.revision == present.revision {
        return if incoming.body == present.body { CarryOutcome::Same } else { CarryOutcome::Forked };
    }
    if incoming.revision < present.revision {
        return CarryOutcome::Newer(present.revision);
    }
    let lost = incoming.revision.term() > present.revision.term() && incoming.base < present.revision;
    if lost { CarryOutcome::Regressed(present.revision) } else { CarryOutcome::Accepted }
}

/// A partition as a commit sees it.
pub trait CommitView {
    /// What is kept of an item, expired or not, marker or not.
    ///
    /// # Errors
    /// Whatever reading meets.
    fn state(&mut self, key: &ItemKey) -> Result<Option<State>>;

    /// Whether the item carries a dirty mark.
    ///
    /// # Errors
    /// Whatever reading meets.
    fn is_marked(&mut self, key: &ItemKey) -> Result<bool>;

    /// The first receipts of the partition in key order, with their deadlines.
    ///
    /// # Errors
    /// Whatever reading meets.
    fn oldest_receipts(&mut self, limit: usize) -> Result<Vec<(ItemKey, Option<Deadline>)>>;
}

/// One item to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The item.
    pub key: ItemKey,
    /// What is kept of it; none to keep nothing.
    pub state: Option<State>,
}

/// What a commit does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The answer.
    pub receipt: Receipt,
    /// The writes, each of another item; where the fence says marking, each also sets a mark at the receipt's revision.
    pub writes: Vec<Write>,
}

/// Decides a commit on the state it meets. Everything that can refuse has refused before the first write is made.
///
/// `now` is the engine's clock; `revision` the one this commit gets if it happens.
///
/// # Errors
/// `Conflict` naming everything that failed, `Invalid` for an id that was used with other content, `Corrupt`, and
/// whatever the view meets.
pub fn evaluate(
    commit: &Commit,
    view: &mut impl CommitView,
    fence: &Fence,
    now: Time,
    revision: Revision,
    commit_memory: Duration,
) -> Result<Decided> {
    let now = now.max(fence.time_floor);
    let mut step = Step { fence, now, revision, writes: Vec::with_capacity(commit.mutations.len() + 1) };
    let fingerprint = commit.id.map(|_| codec::fingerprint(commit));
    if let (Some(id), Some(fingerprint)) = (commit.id, fingerprint)
        && let Some(receipt) = replay(view, &ItemKey::receipt(&id), fingerprint, now)?
    {
        return Ok(Decided { receipt, writes: Vec::new() });
    }

    let mut conflict = Conflict::default();
    for (index, check) in commit.checks.iter().enumerate() {
        let state = view.state(&ItemKey::item(check.item()))?;
        let present = state.as_ref().and_then(|state| state.live(now).map(|_| state.revision));
        if !holds(check, present) {
            conflict.failures.push(Failure::Check { index, present });
        }
    }
    let mut outcomes = Vec::with_capacity(commit.mutations.len());
    for (index, mutation) in commit.mutations.iter().enumerate() {
        match step.mutate(view, mutation)? {
            Ok(outcome) => {
                if let MutationOutcome::Taken(decision) = outcome {
                    conflict.decisions.push((index, decision));
                }
                outcomes.push(outcome);
            }
            Err((refusal, decision)) => {
                conflict.decisions.extend(decision.map(|decision| (index, decision)));
                conflict.failures.push(Failure::Mutation { index, refusal });
            }
        }
    }
    if !conflict.failures.is_empty() {
        return Err(Error::conflicted(conflict));
    }
    let receipt = Receipt { revision, outcomes, replayed: false };
    if let (Some(id), Some(fingerprint)) = (commit.id, fingerprint) {
        step.remember(
            view,
            ItemKey::receipt(&id),
            codec::encode_receipt(fingerprint, &receipt),
            commit_memory,
        )?;
    }
    Ok(Decided { receipt, writes: step.writes })
}

fn holds(check: &Check, present: Option<Revision>) -> bool {
    match check {
        Check::Absent(_) => present.is_none(),
        Check::Present(_) => present.is_some(),
        Check::At(_, revision) => present == Some(*revision),
    }
}

fn replay(
    view: &mut impl CommitView,
    key: &ItemKey,
    fingerprint: crate::Fingerprint,
    now: Time,
) -> Result<Option<Receipt>> {
    let Some(state) = view.state(key)? else { return Ok(None) };
    let Some(body) = state.live(now) else { return Ok(None) };
    let (made_of, mut receipt) = codec::decode_receipt(&body.value)?;
    if made_of != fingerprint {
        return Err(Error::invalid("this commit id was used for another commit"));
    }
    receipt.replayed = true;
    Ok(Some(receipt))
}

type Refused = (Refusal, Option<Decision>);

/// One commit while it is being decided.
struct Step<'a> {
    fence: &'a Fence,
    now: Time,
    revision: Revision,
    writes: Vec<Write>,
}

impl Step<'_> {
    fn mutate(
        &mut self,
        view: &mut impl CommitView,
        mutation: &Mutation,
    ) -> Result<std::result::Result<MutationOutcome, Refused>> {
        let key = ItemKey::item(mutation.item());
        let kept = view.state(&key)?;
        let live = kept.as_ref().and_then(|state| state.live(self.now).cloned());
        let before = kept.as_ref().map(|state| state.revision);
        let outcome = match mutation {
            Mutation::Put { value, deadline, .. } => {
                let replaced = live.as_ref().and(before);
                let body = Body { form: Form::Bytes, value: value.clone(), deadline: *deadline };
                self.write(view, key, kept.as_ref(), Some(body))?;
                MutationOutcome::Put { replaced }
            }
            Mutation::Delete { .. } => match (live, before) {
                (Some(_), Some(revision)) => {
                    self.write(view, key, kept.as_ref(), None)?;
                    MutationOutcome::Deleted { revision }
                }
                _ => MutationOutcome::Missed,
            },
            Mutation::Touch { deadline, .. } => match live {
                Some(body) => {
                    self.write(view, key, kept.as_ref(), Some(Body { deadline: *deadline, ..body }))?;
                    MutationOutcome::Touched
                }
                None => MutationOutcome::Missed,
            },
            Mutation::Add { delta, range, deadline_if_new, .. } => {
                let (present, deadline) = match &live {
                    None => (0, *deadline_if_new),
                    Some(body) if body.form == Form::Counter => (parse_counter(&body.value)?, body.deadline),
                    Some(_) => return Ok(Err((Refusal::WrongForm, None))),
                };
                let Some(value) = present.checked_add(*delta) else {
                    return Ok(Err((Refusal::Overflow { present }, None)));
                };
                if !range.contains(&value) {
                    return Ok(Err((Refusal::OutOfRange { present }, None)));
                }
                let body = Body { form: Form::Counter, value: Bytes::from(value.to_string()), deadline };
                self.write(view, key, kept.as_ref(), Some(body))?;
                MutationOutcome::Added { value, created: live.is_none() }
            }
            Mutation::Take { policy, cost, .. } => {
                if live.as_ref().is_some_and(|body| body.form != Form::Limit) {
                    return Ok(Err((Refusal::WrongForm, None)));
                }
                let state = live.as_ref().map(|body| body.value.as_ref());
                let (decision, taken) = policy.decide(state, self.now, *cost)?;
                let Some(taken) = taken else { return Ok(Err((Refusal::Denied, Some(decision)))) };
                let body = Body { form: Form::Limit, value: taken.value, deadline: Some(taken.deadline) };
                self.write(view, key, kept.as_ref(), Some(body))?;
                MutationOutcome::Taken(decision)
            }
            Mutation::Reap { revision, .. } => {
                let expired = live.is_none() && kept.as_ref().is_some_and(|state| state.body.is_some());
                if expired && before == Some(*revision) {
                    self.write(view, key, kept.as_ref(), None)?;
                    MutationOutcome::Reaped
                } else {
                    MutationOutcome::Missed
                }
            }
        };
        Ok(Ok(outcome))
    }

    /// Notes one write. Without a body the item goes: to an absence marker while the bucket marks, else altogether.
    fn write(
        &mut self,
        view: &mut impl CommitView,
        key: ItemKey,
        kept: Option<&State>,
        body: Option<Body>,
    ) -> Result<()> {
        let state = if body.is_some() || self.fence.marking {
            let base = self.base(view, &key, kept)?;
            Some(State { revision: self.revision, base, body })
        } else {
            None
        };
        self.writes.push(Write { key, state });
        Ok(())
    }

    /// The revision that an item replaced when its term began: reset at a new term only while the item carries no
    /// mark, so that a loss is proved even where later writes came before the first one was carried.
    fn base(&self, view: &mut impl CommitView, key: &ItemKey, kept: Option<&State>) -> Result<Revision> {
        let Some(kept) = kept else { return Ok(self.fence.floor) };
        let term_began = self.revision.term() > kept.revision.term();
        if term_began && !(self.fence.marking && view.is_marked(key)?) {
            Ok(kept.revision)
        } else {
            Ok(kept.base)
        }
    }

    /// Keeps the receipt, and lets a few expired ones of the partition go.
    fn remember(
        &mut self,
        view: &mut impl CommitView,
        key: ItemKey,
        value: Bytes,
        commit_memory: Duration,
    ) -> Result<()> {
        for (old, deadline) in view.oldest_receipts(RECEIPTS_PRUNED_MAX)? {
            if old != key && deadline.is_some_and(|deadline| deadline.passed(self.now)) {
                let kept = if self.fence.marking { view.state(&old)? } else { None };
                self.write(view, old, kept.as_ref(), None)?;
            }
        }
        let deadline = Some(Deadline::after(self.now, commit_memory));
        let kept = view.state(&key)?;
        self.write(view, key, kept.as_ref(), Some(Body { form: Form::Bytes, value, deadline }))
    }
}
