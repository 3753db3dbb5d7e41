//! Commits that do what they must not.

use statehold_core::{Commit, Decided, Fence, Kind, Place, Receipt, Result, Revision, Time};

use super::Habits;
use crate::plain::{Plain, View};

/// Decides as if nothing had been asked to hold.
#[derive(Debug, Default)]
pub(crate) struct DropsChecks;

impl Habits for DropsChecks {
    fn decide(
        &self,
        commit: &Commit,
        view: &mut View<'_>,
        fence: &Fence,
        now: Time,
        revision: Revision,
    ) -> Result<Decided> {
        let unchecked = Commit { checks: Vec::new(), ..commit.clone() };
        Plain::evaluate(&unchecked, view, fence, now, revision)
    }
}

/// Looks at the first check alone.
#[derive(Debug, Default)]
pub(crate) struct ChecksTheFirstOnly;

impl Habits for ChecksTheFirstOnly {
    fn decide(
        &self,
        commit: &Commit,
        view: &mut View<'_>,
        fence: &Fence,
        now: Time,
        revision: Revision,
    ) -> Result<Decided> {
        let checks = commit.checks.iter().take(1).cloned().collect();
        Plain::evaluate(&Commit { checks, ..commit.clone() }, view, fence, now, revision)
    }
}

/// Writes the first mutation of a commit that is then refused.
#[derive(Debug, Default)]
pub(crate) struct AppliesHalf;

impl Habits for AppliesHalf {
    fn commit(&self, plain: &Plain, at: &Place, commit: &Commit) -> Result<Receipt> {
        let answer = plain.commit_soundly(at, commit);
        if matches!(&answer, Err(error) if error.kind() == Kind::Conflict) {
            let mutations = commit.mutations.iter().take(1).cloned().collect();
            plain.commit_soundly(at, &Commit { mutations, ..Commit::new() })?;
        }
        answer
    }
}

/// Decides under its lock and writes under it, but not in one breath.
#[derive(Debug, Default)]
pub(crate) struct ForgetsItsLock;

impl Habits for ForgetsItsLock {
    fn forgets_its_lock(&self) -> bool {
        true
    }
}
