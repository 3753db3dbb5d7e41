//! Every law, by group.

mod checks;

use crate::law::{Applies, Law, Offer};

/// Every law there is.
pub fn all() -> impl Iterator<Item = &'static Law> {
    [checks::LAWS].into_iter().flatten()
}

/// Every engine promises it.
fn always(_: &Offer) -> Applies {
    Applies::Yes
}

/// A check as a law keeps it.
macro_rules! check {
    ($check:ident) => {
        |rig| Box::pin($check(rig))
    };
}
use check;
