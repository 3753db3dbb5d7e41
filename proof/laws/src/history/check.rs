//! The checker: a search for an order in which the calls could have happened (Wing and Gong 1993), that never looks
//! at the same set of calls and the same state twice (Lowe 2017).

use std::collections::HashSet;
use std::fmt;

use super::{Call, Model};

/// No order explains the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// The most calls that could be put in an order.
    pub ordered: usize,
    /// Calls that could not come next after these, whatever the order.
    pub stuck: Vec<Call>,
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "no order explains the history; after {} calls none of these could come next:",
            self.ordered
        )?;
        self.stuck.iter().try_for_each(|call| writeln!(f, "  {call:?}"))
    }
}

/// Whether a history is linearizable.
///
/// # Errors
/// How far the best order came.
///
/// # Panics
/// With more than 128 calls: the search keeps sets of calls as bits.
pub fn check(calls: &[Call]) -> Result<(), Stuck> {
    assert!(calls.len() <= 128, "a history has at most 128 calls");
    let answered = mask(calls, |call| call.answered.is_some());
    let mut visited: HashSet<(u128, Model)> = HashSet::new();
    let mut open = vec![(0_u128, Model::default())];
    let mut best = Stuck { ordered: 0, stuck: candidates(calls, 0).map(|(_, call)| call.clone()).collect() };
    while let Some((done, model)) = open.pop() {
        if done & answered == answered {
            return Ok(());
        }
        if !visited.insert((done, model.clone())) {
            continue;
        }
        let ordered = done.count_ones() as usize;
        if ordered > best.ordered {
            best = Stuck { ordered, stuck: candidates(calls, done).map(|(_, call)| call.clone()).collect() };
        }
        for (index, call) in candidates(calls, done) {
            let answer = call.answered.as_ref().map(|(_, answer)| answer);
            let next = model.after(&call.op, answer).into_iter();
            open.extend(next.map(|next| (done | 1 << index, next)));
        }
    }
    Err(best)
}

fn mask(calls: &[Call], keep: impl Fn(&Call) -> bool) -> u128 {
    calls.iter().enumerate().filter(|(_, call)| keep(call)).fold(0, |mask, (index, _)| mask | 1 << index)
}

/// The calls that may come next: made before the first answer among those that are left.
fn candidates(calls: &[Call], done: u128) -> impl Iterator<Item = (usize, &Call)> {
    let left = move |index: &usize| done & (1 << index) == 0;
    let first_answer = calls.iter().enumerate().filter(move |(index, _)| left(index));
    let first_answer = first_answer.filter_map(|(_, call)| call.answered.as_ref().map(|(at, _)| *at)).min();
    let calls = calls.iter().enumerate().filter(move |(index, _)| left(index));
    calls.filter(move |(_, call)| first_answer.is_none_or(|first| call.invoked < first))
}
