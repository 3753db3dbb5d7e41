//! News that is false, late or missing.

use parking_lot::Mutex;
use statehold_core::{Commit, Place, Receipt, Result, Revision, Topic};

use super::{Habits, habits};
use crate::plain::Plain;

habits! {
    /// Tells what was refused.
    TellsRefusals {
        fn commit(&self, plain: &Plain, at: &Place, commit: &Commit) -> Result<Receipt> {
            let answer = plain.commit_soundly(at, commit);
            if answer.is_err() {
                plain.tell(commit, Revision::ZERO);
            }
            answer
        }
    }

    /// Tells a repeated commit again.
    TellsRepeats {
        fn commit(&self, plain: &Plain, at: &Place, commit: &Commit) -> Result<Receipt> {
            let receipt = plain.commit_soundly(at, commit)?;
            if receipt.replayed {
                plain.tell(commit, receipt.revision);
            }
            Ok(receipt)
        }
    }

    /// Tells nothing.
    ForgetsToTell {
        fn tell(&self, _: &Plain, _: &Commit, _: Revision) {}
    }

    /// Tells every subscriber everything.
    HearsEverything {
        fn hears(&self, _: &Topic, _: &Topic) -> bool {
            true
        }
    }

    /// Takes a prefix for a whole topic.
    HearsWholeTopics {
        fn hears(&self, topic: &Topic, prefix: &Topic) -> bool {
            topic == prefix || topic.as_bytes().ends_with(b"!")
        }
    }

    /// Drops what a slow subscriber has no room for, and does not say so.
    LagsInSilence {
        fn says_what_was_missed(&self) -> bool {
            false
        }
    }
}

/// Tells each commit's news after those of the next one.
#[derive(Debug, Default)]
pub(crate) struct HoldsOneBack(Mutex<Option<(Commit, Revision)>>);

impl Habits for HoldsOneBack {
    fn tell(&self, plain: &Plain, commit: &Commit, revision: Revision) {
        let held = self.0.lock().take();
        match held {
            Some((earlier, at)) => {
                plain.tell(commit, revision);
                plain.tell(&earlier, at);
            }
            None => *self.0.lock() = Some((commit.clone(), revision)),
        }
    }
}
