//! The store's operations.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use statehold_core::{
    Commit, Conflict, Cx, Deadline, Decision, Durability, EngineExt, Error, Form, ItemId, LimitPolicy,
    MutationOutcome, Needs, Receipt, Time, Traits,
};

use super::builtin::Policies;
use super::guard::{Guard, Passage};
use super::policy::{OnUnavailable, limit_of, span};
use super::tally::{Decided, InForce, Standing};
use super::{Ask, LimitError, POLICIES_AT_ONCE_MAX, Verdict, Verdicts, cannot_answer, codec};
use crate::Home;
use crate::observe::{Meter, Outcome};
use crate::value::Id;

/// The limits of one namespace.
#[derive(Debug)]
pub struct Limits {
    home: Home,
    in_force: RwLock<Arc<InForce>>,
    guards: Mutex<HashMap<ItemId, Guard>>,
    meters: Meters,
}

#[derive(Debug)]
struct Meters {
    check: Meter,
    check_all: Meter,
    peek: Meter,
    reset: Meter,
}

/// One policy that a call asks, and the item that keeps it.
struct Asked<'a> {
    standing: &'a Standing,
    rule: LimitPolicy,
    item: ItemId,
    cost: u32,
}

/// What one take came to.
#[derive(Clone, Copy)]
enum Take {
    Admitted(Decision),
    Denied(Decision),
    ShadowDenied(Decision),
    /// It would have been admitted, but another policy denied the call.
    HeldBack(Decision),
}

impl Limits {
    /// The store's name.
    pub const STORE: &str = "limits";
    /// Limits may be kept anywhere.
    pub const NEEDS: Needs = Needs { durability: Durability::Volatile, tolerates_eviction: true };
    /// Limits may be acknowledged before the sync and evicted by a full engine.
    pub const TRAITS: Traits =
        Traits { ordered: false, observes_expiry: false, announces: false, unsynced: true, disposable: true };

    /// The limits kept at `home`.
    pub fn new(home: Home, policies: Policies) -> Self {
        let meter = |operation| Meter::new(Self::STORE, operation);
        let meters = Meters {
            check: meter("check"),
            check_all: meter("check_all"),
            peek: meter("peek"),
            reset: meter("reset"),
        };
        let in_force = RwLock::new(Arc::new(InForce::new(policies)));
        Self { home, in_force, guards: Mutex::default(), meters }
    }

    /// Puts other policies in force. Calls under way end under the old ones; what was taken stays taken as far as
    /// the algorithm is the same.
    pub fn reload(&self, policies: Policies) {
        *self.in_force.write() = Arc::new(InForce::new(policies));
        self.guards.lock().clear();
    }

    /// The policies in force.
    pub fn policies(&self) -> Policies {
        self.in_force().policies.clone()
    }

    /// The rule of a policy in force, or of one of its classes.
    pub fn rule(&self, policy: &str, class: Option<&str>) -> Option<LimitPolicy> {
        self.in_force().get(policy)?.policy.rule(class)
    }

    /// Decides one call. A denied call is a verdict, not an error, and changes nothing.
    ///
    /// # Errors
    /// `PolicyNotFound`, `CostOutOfRange`, `Unavailable` where the policy is closed, `Engine`.
    pub async fn check(&self, cx: &Cx, subject: &Id, ask: Ask<'_>) -> Result<Verdict, LimitError> {
        let work = async {
            let verdicts = self.decide(cx, subject, &[ask]).await?;
            Ok(verdicts.each.into_iter().next().expect("one verdict per policy asked"))
        };
        self.meters.check.watch_as(work, |verdict| outcome(verdict.allowed)).await
    }

    /// Decides one call under 1 to [`POLICIES_AT_ONCE_MAX`] policies of one subject, in one commit: allowed only if
    /// all allow; a denial takes from none.
    ///
    /// # Errors
    /// `PoliciesOutOfRange`, `PolicyTwice`, and those of [`Self::check`].
    pub async fn check_all(&self, cx: &Cx, subject: &Id, asks: &[Ask<'_>]) -> Result<Verdicts, LimitError> {
        let work = async {
            if asks.is_empty() || asks.len() > POLICIES_AT_ONCE_MAX {
                return Err(LimitError::PoliciesOutOfRange);
            }
            let same = |a: &Ask<'_>, b: &Ask<'_>| a.policy == b.policy && a.class == b.class;
            if (1..asks.len()).any(|i| asks[..i].iter().any(|other| same(other, &asks[i]))) {
                return Err(LimitError::PolicyTwice);
            }
            self.decide(cx, subject, asks).await
        };
        self.meters.check_all.watch_as(work, |verdicts| outcome(verdicts.allowed)).await
    }

    /// What a call of cost 1 would meet now. Takes nothing and counts nothing.
    ///
    /// # Errors
    /// `PolicyNotFound`, `Engine`. An engine that cannot answer is an error whatever the policy says.
    pub async fn peek(
        &self,
        cx: &Cx,
        subject: &Id,
        policy: &str,
        class: Option<&str>,
    ) -> Result<Verdict, LimitError> {
        let work = async {
            let rule = self.rule(policy, class).ok_or(LimitError::PolicyNotFound)?;
            let place = self.home.place(codec::partition(subject)).map_err(LimitError::Engine)?;
            let address = place.item(codec::item(policy, class));
            let found = self.home.engine.get(cx, &address).await.map_err(LimitError::Engine)?;
            if found.as_ref().is_some_and(|item| item.form != Form::Limit) {
                return Err(LimitError::Engine(Error::corrupt("a limit's item has another form")));
            }
            let now = self.home.now();
            let state = found.as_ref().map(|item| item.value.as_ref());
            let decision = rule.peek(state, now).map_err(LimitError::Engine)?;
            let whole_at = found.and_then(|item| item.deadline).map_or(now, Deadline::time);
            Ok(untaken(decision, 1, whole_at))
        };
        self.meters.peek.watch_as(work, |verdict| outcome(verdict.allowed)).await
    }

    /// Forgets what a subject has taken of a policy and of all its classes; says whether there was anything.
    ///
    /// # Errors
    /// `PolicyNotFound`, `Engine`.
    pub async fn reset(&self, cx: &Cx, subject: &Id, policy: &str) -> Result<bool, LimitError> {
        let work = async {
            let in_force = self.in_force();
            let standing = in_force.get(policy).ok_or(LimitError::PolicyNotFound)?;
            let classes = standing.policy.classes().map(|(class, _)| Some(&**class));
            let commit = std::iter::once(None)
                .chain(classes)
                .fold(Commit::new(), |commit, class| commit.delete(codec::item(policy, class)));
            let place = self.home.place(codec::partition(subject)).map_err(LimitError::Engine)?;
            let receipt = self.home.engine.commit(cx, &place, &commit).await.map_err(LimitError::Engine)?;
            Ok(receipt.outcomes.iter().any(|outcome| matches!(outcome, MutationOutcome::Deleted { .. })))
        };
        self.meters.reset.watch(work).await
    }

    fn in_force(&self) -> Arc<InForce> {
        Arc::clone(&self.in_force.read())
    }

    async fn decide(&self, cx: &Cx, subject: &Id, asks: &[Ask<'_>]) -> Result<Verdicts, LimitError> {
        let in_force = self.in_force();
        let asked = asks.iter().map(|ask| find(&in_force, ask)).collect::<Result<Vec<_>, _>>()?;
        match self.take_all(cx, subject, &asked).await {
            Ok(takes) => Ok(verdicts(&asked, &takes)),
            Err(error) if cannot_answer(&error) => self.decide_alone(&asked, error),
            Err(error) => Err(LimitError::Engine(error)),
        }
    }

    /// Takes in one commit. A policy that only shadows cannot hold the others back: where nothing but shadows
    /// denied, the commit is made again without them, so at most once per policy.
    async fn take_all(&self, cx: &Cx, subject: &Id, asked: &[Asked<'_>]) -> Result<Vec<Take>, Error> {
        let place = self.home.place(codec::partition(subject))?;
        let mut takes: Vec<Option<Take>> = vec![None; asked.len()];
        loop {
            let taking: Vec<usize> = (0..asked.len()).filter(|&index| takes[index].is_none()).collect();
            if taking.is_empty() {
                break;
            }
            let mut commit = Commit::new();
            for one in taking.iter().map(|&index| &asked[index]) {
                commit = commit.take(one.item.clone(), one.rule, one.cost);
            }
            match self.home.engine.commit(cx, &place, &commit).await {
                Ok(receipt) => note_admitted(&mut takes, &taking, &receipt)?,
                Err(error) => {
                    let conflict = denial(error, taking.len())?;
                    note_denied(&mut takes, &taking, asked, &conflict);
                }
            }
        }
        Ok(takes.into_iter().flatten().collect())
    }

    /// Decides without the engine: fails if any policy is closed, else lets the call pass up to every guard's
    /// ceiling, taking from all guards or from none.
    fn decide_alone(&self, asked: &[Asked<'_>], error: Error) -> Result<Verdicts, LimitError> {
        let open = |one: &Asked<'_>| one.standing.policy.on_unavailable() == OnUnavailable::Open;
        for one in asked.iter().filter(|one| !open(one)) {
            one.standing.count(Decided::Unavailable);
        }
        if asked.iter().any(|one| !open(one) && !one.standing.policy.shadow()) {
            return Err(LimitError::Unavailable(error));
        }
        let now = self.home.now();
        let mut guards = self.guards.lock();
        let passages: Vec<Passage> = asked
            .iter()
            .map(|one| {
                let ceiling = one.standing.policy.guard_ceiling(&one.rule);
                let guard = guards.get(&one.item).copied().unwrap_or_default();
                guard.pass(ceiling, span(&one.rule), now, one.cost)
            })
            .collect();
        let stops =
            |(one, passage): (&Asked<'_>, &Passage)| passage.after.is_none() && !one.standing.policy.shadow();
        let allowed = !asked.iter().zip(&passages).any(stops);
        let mut each = Vec::with_capacity(asked.len());
        for (one, passage) in asked.iter().zip(&passages) {
            if let (true, Some(after)) = (allowed, passage.after) {
                guards.insert(one.item.clone(), after);
            }
            if open(one) {
                match (passage.after.is_some(), one.standing.policy.shadow()) {
                    (true, _) if allowed => one.standing.count(Decided::Open),
                    (true, _) => {}
                    (false, true) => one.standing.count(Decided::ShadowDeny),
                    (false, false) => one.standing.count(Decided::Deny),
                }
            }
            each.push(alone(one, passage, allowed, now));
        }
        Ok(Verdicts { allowed, each })
    }
}

fn outcome(allowed: bool) -> Outcome {
    if allowed { Outcome::Ok } else { Outcome::Denied }
}

fn find<'a>(in_force: &'a InForce, ask: &Ask<'_>) -> Result<Asked<'a>, LimitError> {
    let standing = in_force.get(ask.policy).ok_or(LimitError::PolicyNotFound)?;
    let rule = standing.policy.rule(ask.class).ok_or(LimitError::PolicyNotFound)?;
    let limit = limit_of(&rule);
    if !(1..=limit).contains(&ask.cost) {
        return Err(LimitError::CostOutOfRange { limit });
    }
    Ok(Asked { standing, rule, item: codec::item(ask.policy, ask.class), cost: ask.cost })
}

fn note_admitted(takes: &mut [Option<Take>], taking: &[usize], receipt: &Receipt) -> Result<(), Error> {
    for (position, &index) in taking.iter().enumerate() {
        let Some(MutationOutcome::Taken(decision)) = receipt.outcomes.get(position) else {
            return Err(Error::internal("a take was answered with another outcome"));
        };
        takes[index] = Some(Take::Admitted(*decision));
    }
    Ok(())
}

/// The conflict of a commit that was denied and of nothing else: one decision per take.
fn denial(error: Error, takes: usize) -> Result<Conflict, Error> {
    let decided = |conflict: &&Conflict| {
        conflict.decisions.len() == takes
            && conflict.decisions.iter().enumerate().all(|(position, (index, _))| position == *index)
            && conflict.decisions.iter().any(|(_, decision)| !decision.allowed)
    };
    match error.conflict_detail().filter(decided) {
        Some(conflict) => Ok(conflict.clone()),
        None if error.kind() == statehold_core::Kind::Conflict => {
            Err(Error::corrupt("a limit's item has another form"))
        }
        None => Err(error),
    }
}

fn note_denied(takes: &mut [Option<Take>], taking: &[usize], asked: &[Asked<'_>], conflict: &Conflict) {
    let shadow = |index: usize| asked[index].standing.policy.shadow();
    let enforced =
        conflict.decisions.iter().any(|(position, decision)| !decision.allowed && !shadow(taking[*position]));
    for (position, decision) in &conflict.decisions {
        let index = taking[*position];
        takes[index] = match (decision.allowed, shadow(index)) {
            (false, true) => Some(Take::ShadowDenied(*decision)),
            (false, false) => Some(Take::Denied(*decision)),
            (true, _) if enforced => Some(Take::HeldBack(*decision)),
            (true, _) => None,
        };
    }
}

fn verdicts(asked: &[Asked<'_>], takes: &[Take]) -> Verdicts {
    let mut each = Vec::with_capacity(takes.len());
    for (one, take) in asked.iter().zip(takes) {
        each.push(match *take {
            Take::Admitted(decision) => {
                one.standing.count(Decided::Allow);
                verdict(decision)
            }
            Take::Denied(decision) => {
                one.standing.count(Decided::Deny);
                verdict(decision)
            }
            Take::ShadowDenied(decision) => {
                one.standing.count(Decided::ShadowDeny);
                Verdict { allowed: true, retry_after: None, ..verdict(decision) }
            }
            Take::HeldBack(decision) => untaken(decision, one.cost, decision.reset_at),
        });
    }
    let allowed = !takes.iter().any(|take| matches!(take, Take::Denied(_)));
    Verdicts { allowed, each }
}

fn verdict(decision: Decision) -> Verdict {
    let Decision { allowed, limit, remaining, reset_at, retry_after } = decision;
    Verdict { allowed, limit, remaining, reset_at, retry_after, degraded: false }
}

/// The verdict of a decision that was not carried out: what it would have taken is still there, and the limit is
/// whole no later than `whole_at`.
fn untaken(decision: Decision, cost: u32, whole_at: Time) -> Verdict {
    let verdict = verdict(decision);
    if !decision.allowed {
        return verdict;
    }
    let remaining = decision.remaining.saturating_add(cost.into()).min(decision.limit);
    Verdict { remaining, reset_at: whole_at.min(decision.reset_at), ..verdict }
}

/// The verdict of a guard.
fn alone(one: &Asked<'_>, passage: &Passage, allowed: bool, now: Time) -> Verdict {
    let passes = passage.after.is_some() || one.standing.policy.shadow();
    let held_back = if passage.after.is_some() && !allowed { u64::from(one.cost) } else { 0 };
    let limit = u64::from(limit_of(&one.rule));
    let wait = passage.ends_at.since(now).max(std::time::Duration::from_millis(1));
    Verdict {
        allowed: passes,
        limit,
        remaining: passage.remaining.saturating_add(held_back).min(limit),
        reset_at: passage.ends_at,
        retry_after: (!passes).then_some(wait),
        degraded: true,
    }
}
