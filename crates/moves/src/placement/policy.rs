//! What to do about a space's controls at its engine. Without clock and I/O.

use statehold_core::{Control, Epoch, Incarnation, Owner, Role, Term};

/// What the controls say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Every bucket is open at the placement's epoch.
    Serve(Epoch),
    /// Every bucket is open at a later epoch than the placement knows: the control tables were put back, or the space
    /// was forgotten and made again.
    Adopt {
        /// The engine's epoch.
        epoch: Epoch,
        /// The highest term at the engine.
        term: Term,
    },
    /// A control is missing, void or older than the placement: draw a fresh term and establish the space.
    Establish,
    /// The space belongs to another installation.
    Foreign,
    /// A bucket is open nowhere or elsewhere: this engine must not serve it.
    Elsewhere,
}

/// Decides on all controls of a space, in any order.
///
/// A control counts only under the engine's present incarnation. A standing control of ours that is open proves that
/// this engine is the home, because at most one engine has a bucket open.
pub(super) fn step<'a>(
    placed: Epoch,
    owner: Owner,
    seen: impl IntoIterator<Item = (Incarnation, Option<&'a Control>)>,
) -> Step {
    let mut lowest: Option<Epoch> = None;
    let mut highest = Epoch::default();
    let mut term = Term::default();
    let mut gap = false;
    for (present, control) in seen {
        let Some(control) = control.filter(|control| control.incarnation == present) else {
            gap = true;
            continue;
        };
        if control.owner != owner {
            return Step::Foreign;
        }
        if control.role != Role::Open {
            return Step::Elsewhere;
        }
        lowest = Some(lowest.map_or(control.epoch, |lowest| lowest.min(control.epoch)));
        highest = highest.max(control.epoch);
        term = term.max(control.term);
    }
    match lowest {
        Some(lowest) if !gap && lowest == highest && highest == placed => Step::Serve(placed),
        Some(lowest) if !gap && lowest == highest && highest > placed => Step::Adopt { epoch: highest, term },
        _ => Step::Establish,
    }
}

#[cfg(test)]
mod tests {
    use statehold_core::{Revision, Time};

    use super::*;

    const OURS: Owner = Owner([1; 16]);
    const NOW: Incarnation = Incarnation([2; 16]);
    const BEFORE: Incarnation = Incarnation([3; 16]);

    fn control(epoch: u64) -> Control {
        Control {
            role: Role::Open,
            epoch: Epoch(epoch),
            term: Term(9),
            marking: false,
            floor: Revision::ZERO,
            time_floor: Time::default(),
            incarnation: NOW,
            owner: OURS,
            move_id: None,
        }
    }

    fn decide(placed: u64, controls: &[Option<Control>]) -> Step {
        step(Epoch(placed), OURS, controls.iter().map(|control| (NOW, control.as_ref())))
    }

    #[test]
    fn open_at_the_placement_serves() {
        assert_eq!(decide(4, &[Some(control(4)), Some(control(4))]), Step::Serve(Epoch(4)));
    }

    #[test]
    fn missing_void_older_and_uneven_controls_are_established() {
        let void = Control { incarnation: BEFORE, ..control(4) };
        for controls in [
            vec![],
            vec![None],
            vec![Some(control(4)), None],
            vec![Some(void)],
            vec![Some(control(3))],
            vec![Some(control(4)), Some(control(5))],
        ] {
            assert_eq!(decide(4, &controls), Step::Establish, "{controls:?}");
        }
    }

    #[test]
    fn a_later_epoch_is_adopted_with_its_term() {
        assert_eq!(decide(4, &[Some(control(6))]), Step::Adopt { epoch: Epoch(6), term: Term(9) });
    }

    #[test]
    fn what_is_not_ours_or_not_open_is_left_alone() {
        let foreign = Control { owner: Owner([8; 16]), ..control(4) };
        assert_eq!(decide(4, &[None, Some(foreign)]), Step::Foreign);
        for role in [Role::Sealed, Role::Following, Role::Away] {
            assert_eq!(decide(4, &[Some(Control { role, ..control(4) })]), Step::Elsewhere);
        }
        let void = Control { incarnation: BEFORE, ..foreign };
        assert_eq!(
            decide(4, &[Some(void)]),
            Step::Establish,
            "a void control says nothing; establishing checks"
        );
    }
}
