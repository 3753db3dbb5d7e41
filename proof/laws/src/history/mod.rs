//! Recorded concurrent histories of one partition, and whether they are linearizable.
//!
//! A history is what clients saw: when each called, when each was answered and what. It is linearizable if every call
//! can be thought of as happening at one instant between the two, so that one client after another would have got the
//! same answers (Herlihy and Wing 1990). A call without an answer may have happened at any time after it was made, or
//! never.

mod check;
mod record;

use std::collections::BTreeMap;

use statehold_core::Revision;

pub use check::{Stuck, check};
pub use record::record;

/// The item that is a counter; all others hold a number as text.
pub const COUNTER: u8 = 0;

/// What a client asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// Puts a number.
    Put {
        /// Under this name.
        item: u8,
        /// This number.
        value: i64,
    },
    /// Puts one number under two names, in one commit.
    PutBoth {
        /// Under these names.
        items: [u8; 2],
        /// This number.
        value: i64,
    },
    /// Puts a number if the item still is at a revision.
    Swap {
        /// Under this name.
        item: u8,
        /// The revision it must be at.
        expect: Revision,
        /// This number.
        value: i64,
    },
    /// Deletes an item.
    Delete {
        /// Of this name.
        item: u8,
    },
    /// Adds to [`COUNTER`].
    Add {
        /// This much.
        delta: i64,
    },
    /// Reads one item.
    Fetch {
        /// Of this name.
        item: u8,
    },
    /// Reads the whole partition.
    List,
}

/// What a client was told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// Put, at this revision.
    Wrote(Revision),
    /// Another state than was asked for.
    Refused,
    /// Deleted at this revision; the revision that the item had, none where it was absent.
    Deleted(Revision, Option<Revision>),
    /// Added at this revision, with this sum.
    Sum(Revision, i64),
    /// Read: name, number and revision of each item.
    Seen(Vec<(u8, i64, Revision)>),
}

/// One call of one client. Times are ticks of one counter that all clients share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Who called; a client has at most one call at a time.
    pub client: u32,
    /// What was asked for.
    pub op: Op,
    /// When.
    pub invoked: u64,
    /// When it was answered and what; none where nobody knows.
    pub answered: Option<(u64, Answer)>,
}

/// A partition as one client after another would see it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Model {
    /// Number and revision; no revision where the write that left it was never answered.
    items: BTreeMap<u8, (i64, Option<Revision>)>,
    /// The highest revision that anybody was told.
    highest: Revision,
}

impl Model {
    /// Every state after the call, if it may happen now with this answer; several where its outcome is not known.
    pub fn after(&self, op: &Op, answer: Option<&Answer>) -> Vec<Self> {
        match (op, answer) {
            (Op::Put { item, value }, Some(Answer::Wrote(revision))) => {
                self.wrote(&[*item], *value, Some(*revision))
            }
            (Op::Put { item, value }, None) => self.wrote(&[*item], *value, None),
            (Op::PutBoth { items, value }, Some(Answer::Wrote(revision))) => {
                self.wrote(items, *value, Some(*revision))
            }
            (Op::PutBoth { items, value }, None) => self.wrote(items, *value, None),
            (Op::Swap { item, expect, value }, answer) => self.swapped(*item, *expect, *value, answer),
            (Op::Delete { item }, Some(Answer::Deleted(revision, had))) => {
                self.deleted(*item, *revision, *had)
            }
            (Op::Delete { item }, None) => {
                let mut next = self.clone();
                next.items.remove(item);
                vec![next]
            }
            (Op::Add { delta }, Some(Answer::Sum(revision, sum))) => {
                if self.number(COUNTER) + delta == *sum {
                    self.wrote(&[COUNTER], *sum, Some(*revision))
                } else {
                    Vec::new()
                }
            }
            (Op::Add { delta }, None) => self.wrote(&[COUNTER], self.number(COUNTER) + delta, None),
            (Op::Fetch { item }, Some(Answer::Seen(seen))) => self.seen(seen, |name| name == item),
            (Op::List, Some(Answer::Seen(seen))) => self.seen(seen, |_| true),
            (Op::Fetch { .. } | Op::List, None) => vec![self.clone()],
            _ => Vec::new(),
        }
    }

    fn number(&self, item: u8) -> i64 {
        self.items.get(&item).map_or(0, |(value, _)| *value)
    }

    /// A write, if its revision is greater than all that were told before.
    fn wrote(&self, items: &[u8], value: i64, revision: Option<Revision>) -> Vec<Self> {
        if revision.is_some_and(|revision| revision <= self.highest) {
            return Vec::new();
        }
        let mut next = self.clone();
        next.items.extend(items.iter().map(|item| (*item, (value, revision))));
        next.highest = revision.unwrap_or(self.highest);
        vec![next]
    }

    fn swapped(&self, item: u8, expect: Revision, value: i64, answer: Option<&Answer>) -> Vec<Self> {
        let present = self.items.get(&item);
        let may_be = present.is_some_and(|(_, revision)| revision.is_none_or(|revision| revision == expect));
        let must_be = present.is_some_and(|(_, revision)| *revision == Some(expect));
        match answer {
            Some(Answer::Wrote(revision)) if may_be => self.wrote(&[item], value, Some(*revision)),
            Some(Answer::Refused) if !must_be => vec![self.clone()],
            None if must_be => self.wrote(&[item], value, None),
            None if may_be => [self.wrote(&[item], value, None), vec![self.clone()]].concat(),
            None => vec![self.clone()],
            Some(_) => Vec::new(),
        }
    }

    fn deleted(&self, item: u8, revision: Revision, had: Option<Revision>) -> Vec<Self> {
        let fits = match (self.items.get(&item), had) {
            (None, None) => true,
            (Some((_, present)), Some(had)) => present.is_none_or(|present| present == had),
            _ => false,
        };
        if !fits || revision <= self.highest {
            return Vec::new();
        }
        let mut next = self.clone();
        next.items.remove(&item);
        next.highest = revision;
        vec![next]
    }

    /// A read, if it shows what is there; it tells the revisions of writes that were never answered.
    fn seen(&self, seen: &[(u8, i64, Revision)], asked: impl Fn(&u8) -> bool) -> Vec<Self> {
        if self.items.keys().filter(|name| asked(name)).count() != seen.len() {
            return Vec::new();
        }
        let mut next = self.clone();
        for (item, value, revision) in seen {
            match next.items.get_mut(item) {
                Some((present, at)) if *present == *value && at.is_none_or(|at| at == *revision) => {
                    *at = Some(*revision);
                }
                _ => return Vec::new(),
            }
        }
        vec![next]
    }
}
