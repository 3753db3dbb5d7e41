//! Commits that do what they must not.

use std::sync::atomic::{AtomicU64, Ordering};

use statehold_core::{
    Commit, CommitView, Conflict, Decided, Error, Fence, ItemId, ItemKey, Kind, LimitPolicy, MUTATIONS_MAX,
    Mutation, Place, Receipt, Result, Revision, Time, evaluate,
};

use super::{Habits, habits};
use crate::plain::{COMMIT_MEMORY, KeptBucket, Plain, View};

/// The same commit with every mutation changed.
fn changed(commit: &Commit, change: impl FnMut(Mutation) -> Mutation) -> Commit {
    Commit { mutations: commit.mutations.iter().cloned().map(change).collect(), ..commit.clone() }
}

/// The same commit with the names of its puts changed.
fn renamed(commit: &Commit, name: impl Fn(&[u8]) -> Vec<u8>) -> Commit {
    changed(commit, |mutation| match mutation {
        Mutation::Put { item, value, deadline } => {
            Mutation::Put { item: ItemId::new(name(item.as_bytes())), value, deadline }
        }
        other => other,
    })
}

fn refused(answer: &Result<Receipt>) -> bool {
    matches!(answer, Err(error) if error.kind() == Kind::Conflict)
}

habits! {
    /// Decides as if nothing had been asked to hold.
    DropsChecks {
        fn commit(&self, plain: &Plain, at: &Place, commit: &Commit) -> Result<Receipt> {
            plain.commit_soundly(at, &Commit { checks: Vec::new(), ..commit.clone() })
        }
    }

    /// Looks at the first check alone.
    ChecksTheFirstOnly {
        fn commit(&self, plain: &Plain, at: &Place, commit: &Commit) -> Result<Receipt> {
            let checks = commit.checks.iter().take(1).cloned().collect();
            plain.commit_soundly(at, &Commit { checks, ..commit.clone() })
        }
    }

    /// Does the first mutation of a commit that is then refused.
    AppliesHalf {
        fn commit(&self, plain: &Plain, at: &Place, commit: &Commit) -> Result<Receipt> {
            let answer = plain.commit_soundly(at, commit);
            if refused(&answer) {
                let mutations = commit.mutations.iter().take(1).cloned().collect();
                let _ = plain.commit_soundly(at, &Commit { mutations, ..Commit::new() });
            }
            answer
        }
    }

    /// Decides under its lock and writes under it, but not in one breath.
    ForgetsItsLock {
        fn forgets_its_lock(&self) -> bool {
            true
        }
    }

    /// Keeps what was put for ever.
    LosesDeadlines {
        fn commit(&self, plain: &Plain, at: &Place, commit: &Commit) -> Result<Receipt> {
            let commit = changed(commit, |mutation| match mutation {
                Mutation::Put { item, value, .. } => Mutation::Put { item, value, deadline: None },
                other => other,
            });
            plain.commit_soundly(at, &commit)
        }
    }

    /// Writes `:` where a name has `/`.
    TakesSlashForColon {
        fn decide(&self, commit: &Commit, view: &mut View<'_>, fence: &Fence, now: Time, revision: Revision) -> Result<Decided> {
            let colons = |name: &[u8]| name.iter().map(|&byte| if byte == b'/' { b':' } else { byte }).collect();
            Plain::evaluate(&renamed(commit, colons), view, fence, now, revision)
        }
    }

    /// Writes the first 1,023 bytes of a name.
    CutsNames {
        fn decide(&self, commit: &Commit, view: &mut View<'_>, fence: &Fence, now: Time, revision: Revision) -> Result<Decided> {
            let cut = |name: &[u8]| name[..name.len().min(1_023)].to_vec();
            Plain::evaluate(&renamed(commit, cut), view, fence, now, revision)
        }
    }

    /// Answers every put as if it had created the item.
    SaysCreated {
        fn commit(&self, plain: &Plain, at: &Place, commit: &Commit) -> Result<Receipt> {
            let mut receipt = plain.commit_soundly(at, commit)?;
            for outcome in &mut receipt.outcomes {
                if let statehold_core::MutationOutcome::Put { replaced } = outcome {
                    *replaced = None;
                }
            }
            Ok(receipt)
        }
    }

    /// Adds whatever the range says.
    IgnoresRanges {
        fn commit(&self, plain: &Plain, at: &Place, commit: &Commit) -> Result<Receipt> {
            let commit = changed(commit, |mutation| match mutation {
                Mutation::Add { item, delta, deadline_if_new, .. } => {
                    Mutation::Add { item, delta, range: i64::MIN..=i64::MAX, deadline_if_new }
                }
                other => other,
            });
            plain.commit_soundly(at, &commit)
        }
    }

    /// Gives a counter the deadline of every add.
    ExtendsCounters {
        fn decide(&self, commit: &Commit, view: &mut View<'_>, fence: &Fence, now: Time, revision: Revision) -> Result<Decided> {
            let mut decided = Plain::evaluate(commit, view, fence, now, revision)?;
            for mutation in &commit.mutations {
                let Mutation::Add { item, deadline_if_new, .. } = mutation else { continue };
                let key = ItemKey::item(item);
                for write in decided.writes.iter_mut().filter(|write| write.key == key) {
                    let body = write.state.as_mut().and_then(|state| state.body.as_mut());
                    body.expect("an add writes a counter").deadline = *deadline_if_new;
                }
            }
            Ok(decided)
        }
    }

    /// Creates what a touch does not find.
    TouchRevives {
        fn decide(&self, commit: &Commit, view: &mut View<'_>, fence: &Fence, now: Time, revision: Revision) -> Result<Decided> {
            let mut absent = |item: &ItemId| {
                let kept = view.state(&ItemKey::item(item)).ok().flatten();
                kept.is_none_or(|state| state.live(now).is_none())
            };
            let commit = changed(commit, |mutation| match mutation {
                Mutation::Touch { item, deadline } if absent(&item) => {
                    Mutation::Put { item, value: bytes::Bytes::new(), deadline }
                }
                other => other,
            });
            Plain::evaluate(&commit, view, fence, now, revision)
        }
    }

    /// Says that it touched, and writes nothing.
    LosesTouches {
        fn decide(&self, commit: &Commit, view: &mut View<'_>, fence: &Fence, now: Time, revision: Revision) -> Result<Decided> {
            let mut decided = Plain::evaluate(commit, view, fence, now, revision)?;
            let touched = |key: &ItemKey| {
                let touches = commit.mutations.iter().filter(|mutation| matches!(mutation, Mutation::Touch { .. }));
                touches.into_iter().any(|mutation| ItemKey::item(mutation.item()) == *key)
            };
            decided.writes.retain(|write| !touched(&write.key));
            Ok(decided)
        }
    }

    /// Judges no deadline in commits.
    ForgetsTheTime {
        fn decide(&self, commit: &Commit, view: &mut View<'_>, fence: &Fence, _: Time, revision: Revision) -> Result<Decided> {
            Plain::evaluate(commit, view, fence, Time::default(), revision)
        }
    }

    /// Removes what it is told to reap, expired or not.
    ReapsAnything {
        fn commit(&self, plain: &Plain, at: &Place, commit: &Commit) -> Result<Receipt> {
            let commit = changed(commit, |mutation| match mutation {
                Mutation::Reap { item, .. } => Mutation::Delete { item },
                other => other,
            });
            plain.commit_soundly(at, &commit)
        }
    }

    /// Issues one revision again and again.
    StandsStill {
        fn next_revision(&self, bucket: &KeptBucket, fence: &Fence) -> Result<Revision> {
            Revision::new(fence.term, fence.floor.max(bucket.floor).n().max(1))
        }
    }

    /// Gives every write of a commit a revision of its own.
    NumbersEachWrite {
        fn decide(&self, commit: &Commit, view: &mut View<'_>, fence: &Fence, now: Time, revision: Revision) -> Result<Decided> {
            let mut decided = Plain::evaluate(commit, view, fence, now, revision)?;
            for (n, write) in (0..).zip(&mut decided.writes) {
                if let Some(state) = &mut write.state {
                    state.revision = Revision::from_u64(revision.get() + n);
                }
            }
            Ok(decided)
        }
    }

    /// Takes the highest revision among the items that are left.
    ReusesRevisions {
        fn next_revision(&self, bucket: &KeptBucket, fence: &Fence) -> Result<Revision> {
            let highest = bucket.items.values().map(|state| state.revision.n()).max();
            Revision::new(fence.term, highest.unwrap_or(0) + 1)
        }
    }

    /// Takes no notice of commit ids.
    ForgetsIds {
        fn commit(&self, plain: &Plain, at: &Place, commit: &Commit) -> Result<Receipt> {
            plain.commit_soundly(at, &Commit { id: None, ..commit.clone() })
        }
    }

    /// Does other content under a used id.
    TakesOtherContent {
        fn commit(&self, plain: &Plain, at: &Place, commit: &Commit) -> Result<Receipt> {
            match plain.commit_soundly(at, commit) {
                Err(error) if error.kind() == Kind::Invalid && commit.id.is_some() => {
                    plain.commit_soundly(at, &Commit { id: None, ..commit.clone() })
                }
                answer => answer,
            }
        }
    }

    /// Remembers a commit half as long as it says.
    ForgetsEarly {
        fn decide(&self, commit: &Commit, view: &mut View<'_>, fence: &Fence, now: Time, revision: Revision) -> Result<Decided> {
            evaluate(commit, view, fence, now, revision, COMMIT_MEMORY / 2)
        }
    }

    /// Takes the id of a refused commit for used.
    RemembersRefusals {
        fn commit(&self, plain: &Plain, at: &Place, commit: &Commit) -> Result<Receipt> {
            let answer = plain.commit_soundly(at, commit);
            if refused(&answer) && commit.id.is_some() {
                plain.commit_soundly(at, &Commit { id: commit.id, ..Commit::new() })?;
            }
            answer
        }
    }

    /// Lets one unit more through than the limit.
    AdmitsOneMore {
        fn commit(&self, plain: &Plain, at: &Place, commit: &Commit) -> Result<Receipt> {
            let commit = changed(commit, |mutation| match mutation {
                Mutation::Take { item, policy, cost } => Mutation::Take { item, policy: wider(policy), cost },
                other => other,
            });
            plain.commit_soundly(at, &commit)
        }
    }

    /// Charges every call one unit.
    IgnoresCosts {
        fn commit(&self, plain: &Plain, at: &Place, commit: &Commit) -> Result<Receipt> {
            let commit = changed(commit, |mutation| match mutation {
                Mutation::Take { item, policy, .. } => Mutation::Take { item, policy, cost: 1 },
                other => other,
            });
            plain.commit_soundly(at, &commit)
        }
    }

    /// Charges a denied call one unit, if there is one.
    ChargesDenials {
        fn commit(&self, plain: &Plain, at: &Place, commit: &Commit) -> Result<Receipt> {
            let answer = plain.commit_soundly(at, commit);
            if refused(&answer) {
                let _ = IgnoresCosts.commit(plain, at, commit);
            }
            answer
        }
    }

    /// Denies without saying what it decided.
    HidesDecisions {
        fn commit(&self, plain: &Plain, at: &Place, commit: &Commit) -> Result<Receipt> {
            plain.commit_soundly(at, commit).map_err(|error| match error.conflict_detail() {
                Some(conflict) => Error::conflicted(Conflict { decisions: Vec::new(), ..conflict.clone() }),
                None => error,
            })
        }
    }

    /// Refuses a commit of as many mutations as may be.
    RefusesTheLargest {
        fn commit(&self, plain: &Plain, at: &Place, commit: &Commit) -> Result<Receipt> {
            if commit.mutations.len() == MUTATIONS_MAX {
                return Err(Error::invalid("too many mutations"));
            }
            plain.commit_soundly(at, commit)
        }
    }

    /// Looks at no bound.
    TakesAnything {
        fn bounded(&self, _: Result<()>) -> Result<()> {
            Ok(())
        }
    }

    /// Keeps nothing of a deletion while the bucket marks.
    DropsMarkers {
        fn decide(&self, commit: &Commit, view: &mut View<'_>, fence: &Fence, now: Time, revision: Revision) -> Result<Decided> {
            let mut decided = Plain::evaluate(commit, view, fence, now, revision)?;
            for write in &mut decided.writes {
                write.state = write.state.take().filter(|state| state.body.is_some());
            }
            Ok(decided)
        }
    }
}

fn wider(policy: LimitPolicy) -> LimitPolicy {
    match policy {
        LimitPolicy::Sliding { limit, window } => LimitPolicy::Sliding { limit: limit + 1, window },
        LimitPolicy::TokenBucket { interval, burst } => {
            LimitPolicy::TokenBucket { interval, burst: burst + 1 }
        }
        LimitPolicy::Fixed { limit, window } => LimitPolicy::Fixed { limit: limit + 1, window },
    }
}

/// Says of some commits that happened that they did not.
#[derive(Debug, Default)]
pub(crate) struct LiesNowAndThen(AtomicU64);

impl Habits for LiesNowAndThen {
    fn commit(&self, plain: &Plain, at: &Place, commit: &Commit) -> Result<Receipt> {
        let receipt = plain.commit_soundly(at, commit)?;
        if self.0.fetch_add(1, Ordering::Relaxed) % 7 == 6 {
            return Err(Error::new(Kind::Unavailable, "the engine cannot be reached"));
        }
        Ok(receipt)
    }
}
