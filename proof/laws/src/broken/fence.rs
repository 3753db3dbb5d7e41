//! Fences with a hole.

use statehold_core::{
    Bucket, Control, Epoch, Error, Fence, Incarnation, ItemKey, Mark, MarkKind, Result, Revision, Role,
    Space, Term, Time, commit_rule, read_rule,
};

use super::habits;
use crate::plain::{KeptBucket, Plain, World};
use crate::rig::Restart;

habits! {
    /// Takes every caller's epoch for the present one.
    IgnoresEpochs {
        fn commit_rule(&self, control: Option<&Control>, present: Incarnation, epoch: Epoch) -> Result<Fence> {
            commit_rule(control, present, control.map_or(epoch, |control| control.epoch))
        }
    }

    /// Refuses without saying which epoch it is.
    HidesTheEpoch {
        fn commit_rule(&self, control: Option<&Control>, present: Incarnation, epoch: Epoch) -> Result<Fence> {
            commit_rule(control, present, epoch).map_err(|_| Error::moved(None))
        }
    }

    /// Takes every bucket for open.
    IgnoresRoles {
        fn commit_rule(&self, control: Option<&Control>, present: Incarnation, epoch: Epoch) -> Result<Fence> {
            let open = control.map(|control| Control { role: Role::Open, ..*control });
            commit_rule(open.as_ref(), present, epoch)
        }
    }

    /// Serves a fenced read from any bucket.
    ReadsAnywhere {
        fn read_rule(&self, _: Option<&Control>, _: Incarnation) -> Result<Time> {
            Ok(Time::default())
        }
    }

    /// Serves no read from a sealed bucket.
    ReadsOpenOnly {
        fn read_rule(&self, control: Option<&Control>, present: Incarnation) -> Result<Time> {
            read_rule(control.filter(|control| control.role == Role::Open), present)
        }
    }

    /// Counts on from its own last revision, in its first term.
    IgnoresFloors {
        fn next_revision(&self, bucket: &KeptBucket, _: &Fence) -> Result<Revision> {
            Revision::new(Term(1), bucket.floor.n() + 1)
        }
    }

    /// Judges deadlines by its own clock alone.
    IgnoresTimeFloors {
        fn commit_rule(&self, control: Option<&Control>, present: Incarnation, epoch: Epoch) -> Result<Fence> {
            Ok(Fence { time_floor: Time::default(), ..commit_rule(control, present, epoch)? })
        }

        fn read_rule(&self, control: Option<&Control>, present: Incarnation) -> Result<Time> {
            read_rule(control, present).map(|_| Time::default())
        }
    }

    /// Takes a bucket without a control for open.
    OpensWhatIsMissing {
        fn commit_rule(&self, control: Option<&Control>, present: Incarnation, epoch: Epoch) -> Result<Fence> {
            let (term, floor, time_floor) = (Term(1), Revision::ZERO, Time::default());
            match control {
                Some(_) => commit_rule(control, present, epoch),
                None => Ok(Fence { term, floor, marking: false, time_floor }),
            }
        }
    }

    /// Takes a control of any history for one of this.
    IgnoresHistories {
        fn commit_rule(&self, control: Option<&Control>, _: Incarnation, epoch: Epoch) -> Result<Fence> {
            commit_rule(control, control.map(|control| control.incarnation).unwrap_or_default(), epoch)
        }

        fn restarted(&self, world: &mut World, _: Restart) {
            world.incarnation = Incarnation([8; 16]);
        }
    }

    /// Establishes whatever it is given.
    EstablishesAnything {
        fn establish(&self, plain: &Plain, space: &Space, control: &Control) -> Result<()> {
            plain.world().space(space).control = Some(*control);
            Ok(())
        }
    }

    /// Sets a control without a look at the present one.
    SetsBlindly {
        fn set_control(&self, plain: &Plain, space: &Space, bucket: Bucket, _: Option<&Control>, next: &Control) -> Result<()> {
            let present = plain.world().control(space, bucket);
            plain.set_control_soundly(space, bucket, present.as_ref(), next)
        }
    }

    /// Sets a control of an earlier epoch or term.
    SetsBackwards {
        fn set_control(&self, plain: &Plain, space: &Space, bucket: Bucket, expect: Option<&Control>, next: &Control) -> Result<()> {
            let mut world = plain.world();
            let floorless = |control: Control| Control { floor: Revision::ZERO, ..control };
            if world.control(space, bucket).map(floorless) != expect.copied().map(floorless) {
                return Err(Error::conflict("the bucket has another control"));
            }
            world.bucket(space, bucket).control = Some(*next);
            Ok(())
        }
    }

    /// Marks an item at the revision before.
    MarksAtAnotherRevision {
        fn mark(&self, _: &ItemKey, revision: Revision) -> Option<Revision> {
            Some(Revision::from_u64(revision.get() - 1))
        }
    }

    /// Marks receipts, and forgets the items.
    MarksOnlyReceipts {
        fn mark(&self, key: &ItemKey, revision: Revision) -> Option<Revision> {
            key.is_receipt().then_some(revision)
        }
    }

    /// Marks whether the bucket marks or not.
    MarksWhatIsNotAsked {
        fn commit_rule(&self, control: Option<&Control>, present: Incarnation, epoch: Epoch) -> Result<Fence> {
            Ok(Fence { marking: true, ..commit_rule(control, present, epoch)? })
        }
    }

    /// Clears a mark whatever its revision is now.
    ClearsBlindly {
        fn may_clear(&self, (_, kind): (Revision, MarkKind), done: &Mark) -> bool {
            kind == done.kind
        }
    }

    /// Clears unchecked marks when it is told to clear dirty ones.
    ClearsAnyKind {
        fn may_clear(&self, (revision, _): (Revision, MarkKind), done: &Mark) -> bool {
            revision == done.revision
        }
    }
}
