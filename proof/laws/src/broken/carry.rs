//! Followers that do not keep what they are given.

use statehold_core::{CarryOutcome, Control, Epoch, Incarnation, Result, Revision, Role, State, carry_rule};

use super::habits;
use crate::plain::Plain;

habits! {
    /// Keeps what is carried for ever.
    LosesDeadlines {
        fn carried(&self, state: &State) -> Option<State> {
            let mut state = state.clone();
            if let Some(body) = &mut state.body {
                body.deadline = None;
            }
            Some(state)
        }
    }

    /// Forgets what a state replaced.
    LosesBases {
        fn carried(&self, state: &State) -> Option<State> {
            Some(State { base: Revision::ZERO, ..state.clone() })
        }
    }

    /// Takes whatever comes last.
    OverwritesNewer {
        fn carry_rule(&self, present: Option<&State>, incoming: &State) -> CarryOutcome {
            match carry_rule(present, incoming) {
                CarryOutcome::Newer(_) => CarryOutcome::Accepted,
                other => other,
            }
        }
    }

    /// Takes other content under the same revision for the same.
    HidesForks {
        fn carry_rule(&self, present: Option<&State>, incoming: &State) -> CarryOutcome {
            match carry_rule(present, incoming) {
                CarryOutcome::Forked => CarryOutcome::Same,
                other => other,
            }
        }
    }

    /// Takes a write after a loss for any other.
    MissesLosses {
        fn carry_rule(&self, present: Option<&State>, incoming: &State) -> CarryOutcome {
            match carry_rule(present, incoming) {
                CarryOutcome::Regressed(_) => CarryOutcome::Accepted,
                other => other,
            }
        }
    }

    /// Removes an item at a marker, and the marker with it.
    DropsMarkers {
        fn carried(&self, state: &State) -> Option<State> {
            state.body.is_some().then(|| state.clone())
        }
    }

    /// Takes a carry in any role.
    CarriesAnywhere {
        fn may_carry(&self, control: Option<&Control>, present: Incarnation, at: Epoch) -> Result<()> {
            let following = control.map(|control| Control { role: Role::Following, ..*control });
            Plain::may_carry_soundly(following.as_ref(), present, at)
        }
    }

    /// Takes a carry of any epoch.
    CarriesAtAnyEpoch {
        fn may_carry(&self, control: Option<&Control>, present: Incarnation, at: Epoch) -> Result<()> {
            Plain::may_carry_soundly(control, present, control.map_or(at, |control| control.epoch))
        }
    }

    /// Forgets a bucket in any role.
    ForgetsAnything {
        fn may_forget(&self, _: Option<Role>) -> bool {
            true
        }
    }
}
