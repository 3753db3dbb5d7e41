//! Starts that do not find what was there.

use statehold_core::{Incarnation, Revision};

use super::habits;
use crate::plain::{KeptBucket, World};
use crate::rig::Restart;

fn every_bucket(world: &mut World) -> impl Iterator<Item = &mut KeptBucket> {
    world.spaces.values_mut().flat_map(|space| space.buckets.values_mut())
}

habits! {
    /// Loses its items when it is killed, and does not show it.
    ForgetsOnKill {
        fn restarted(&self, world: &mut World, how: Restart) {
            if how == Restart::Killed {
                every_bucket(world).for_each(|bucket| bucket.items.clear());
            }
        }
    }

    /// Finds its items without their deadlines.
    LosesDeadlines {
        fn restarted(&self, world: &mut World, _: Restart) {
            let states = every_bucket(world).flat_map(|bucket| bucket.items.values_mut());
            states.filter_map(|state| state.body.as_mut()).for_each(|body| body.deadline = None);
        }
    }

    /// Finds the first item of every bucket missing after a kill.
    TearsOnKill {
        fn restarted(&self, world: &mut World, how: Restart) {
            if how == Restart::Killed {
                every_bucket(world).for_each(|bucket| drop(bucket.items.pop_first()));
            }
        }
    }

    /// Shows another history at every start.
    AlwaysAnother {
        fn restarted(&self, world: &mut World, _: Restart) {
            world.incarnation = Incarnation(world.incarnation.0.map(|byte| byte.wrapping_add(1)));
        }
    }

    /// Begins to number commits anew.
    BeginsRevisionsAnew {
        fn restarted(&self, world: &mut World, _: Restart) {
            every_bucket(world).for_each(|bucket| bucket.floor = Revision::ZERO);
        }
    }

    /// Forgets which commits it has seen.
    ForgetsReceipts {
        fn restarted(&self, world: &mut World, _: Restart) {
            every_bucket(world).for_each(|bucket| bucket.items.retain(|(_, key), _| !key.is_receipt()));
        }
    }

    /// Forgets who may commit.
    ForgetsControls {
        fn restarted(&self, world: &mut World, _: Restart) {
            world.spaces.values_mut().for_each(|space| space.control = None);
            every_bucket(world).for_each(|bucket| bucket.control = None);
        }
    }

    /// Forgets what is still to be carried.
    ForgetsMarks {
        fn restarted(&self, world: &mut World, _: Restart) {
            every_bucket(world).for_each(|bucket| bucket.marks.clear());
        }
    }
}
