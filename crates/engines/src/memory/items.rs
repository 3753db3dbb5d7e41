//! The items of one partition, in the order of their keys.

use std::collections::{BTreeMap, btree_map};
use std::ops::Bound;
use std::slice;

use bytes::Bytes;
use statehold_core::State;

/// A place in no queue.
pub(super) const NOWHERE: u64 = u64::MAX;

/// Up to this many items live in one sorted vector: most partitions hold a few, and a tree's node holds eleven.
const FEW_MAX: usize = 16;

/// One item as it is kept, with its places in the queues of its bucket.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) state: State,
    /// Tells the item apart in the queues.
    pub(super) ticket: u64,
    /// Where a queue of deadlines or markers has it: never later than where it belongs.
    pub(super) due: u64,
    /// Where the queue of recency has it: never later than [`Self::used`].
    pub(super) aged: u64,
    /// When it was used last, by the space's own count.
    pub(super) used: u64,
}

/// The items of one partition, by key.
#[derive(Debug)]
pub(super) enum Items {
    /// The most frequent case, without a place of its own in memory.
    One(Bytes, Kept),
    Few(Vec<(Bytes, Kept)>),
    Many(BTreeMap<Bytes, Kept>),
}

impl Items {
    pub(super) fn new() -> Self {
        Self::Few(Vec::new())
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::One(..) => false,
            Self::Few(few) => few.is_empty(),
            Self::Many(many) => many.is_empty(),
        }
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<&Kept> {
        match self {
            Self::One(only, kept) => (only == key).then_some(kept),
            Self::Few(few) => position(few, key).ok().map(|at| &few[at].1),
            Self::Many(many) => many.get(key),
        }
    }

    pub(super) fn get_mut(&mut self, key: &[u8]) -> Option<&mut Kept> {
        match self {
            Self::One(only, kept) => (only == key).then_some(kept),
            Self::Few(few) => position(few, key).ok().map(|at| &mut few[at].1),
            Self::Many(many) => many.get_mut(key),
        }
    }

    /// Adds an item that is not there.
    pub(super) fn add(&mut self, key: Bytes, kept: Kept) {
        if let Self::One(..) = self
            && let Self::One(only, first) = std::mem::replace(self, Self::Few(Vec::with_capacity(2)))
        {
            self.add_to_few(only, first);
        } else if self.is_empty() {
            *self = Self::One(key, kept);
            return;
        }
        self.add_to_few(key, kept);
    }

    fn add_to_few(&mut self, key: Bytes, kept: Kept) {
        if let Self::Few(few) = self {
            let at = position(few, &key).unwrap_or_else(|at| at);
            if few.len() < FEW_MAX {
                few.insert(at, (key, kept));
                return;
            }
            *self = Self::Many(few.drain(..).collect());
        }
        if let Self::Many(many) = self {
            many.insert(key, kept);
        }
    }

    pub(super) fn remove(&mut self, key: &[u8]) -> Option<Kept> {
        if let Self::One(only, _) = self {
            if only != key {
                return None;
            }
            let Self::One(_, kept) = std::mem::replace(self, Self::new()) else { return None };
            return Some(kept);
        }
        match self {
            Self::One(..) => None,
            Self::Few(few) => position(few, key).ok().map(|at| few.remove(at).1),
            Self::Many(many) => many.remove(key),
        }
    }

    /// The items between two keys; none where the bounds are the wrong way round.
    pub(super) fn range(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Between<'_> {
        if is_empty(from, to) {
            return Between::Few([].iter());
        }
        match self {
            Self::One(only, kept) => {
                let within = !is_before(only, from) && !is_after(only, to);
                Between::One(within.then_some((only, kept)))
            }
            Self::Few(few) => {
                let begin = few.partition_point(|(key, _)| is_before(key, from));
                let end = few.partition_point(|(key, _)| !is_after(key, to));
                Between::Few(few[begin..end.max(begin)].iter())
            }
            Self::Many(many) => Between::Many(many.range::<[u8], _>((from, to))),
        }
    }
}

fn position(few: &[(Bytes, Kept)], key: &[u8]) -> Result<usize, usize> {
    few.binary_search_by(|(present, _)| present.as_ref().cmp(key))
}

fn is_before(key: &[u8], from: Bound<&[u8]>) -> bool {
    match from {
        Bound::Included(bound) => key < bound,
        Bound::Excluded(bound) => key <= bound,
        Bound::Unbounded => false,
    }
}

fn is_after(key: &[u8], to: Bound<&[u8]>) -> bool {
    match to {
        Bound::Included(bound) => key > bound,
        Bound::Excluded(bound) => key >= bound,
        Bound::Unbounded => false,
    }
}

/// Whether nothing can lie between the bounds; a tree panics on most of these.
fn is_empty(from: Bound<&[u8]>, to: Bound<&[u8]>) -> bool {
    match (from, to) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(from), Bound::Included(to)) => from > to,
        (Bound::Included(from) | Bound::Excluded(from), Bound::Included(to) | Bound::Excluded(to)) => {
            from >= to
        }
    }
}

/// An iterator from both ends over some items.
pub(super) enum Between<'a> {
    One(Option<(&'a Bytes, &'a Kept)>),
    Few(slice::Iter<'a, (Bytes, Kept)>),
    Many(btree_map::Range<'a, Bytes, Kept>),
}

impl<'a> Iterator for Between<'a> {
    type Item = (&'a Bytes, &'a Kept);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::One(one) => one.take(),
            Self::Few(few) => few.next().map(|(key, kept)| (key, kept)),
            Self::Many(many) => many.next(),
        }
    }
}

impl DoubleEndedIterator for Between<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        match self {
            Self::One(one) => one.take(),
            Self::Few(few) => few.next_back().map(|(key, kept)| (key, kept)),
            Self::Many(many) => many.next_back(),
        }
    }
}

#[cfg(test)]
mod tests {
    use statehold_core::Revision;

    use super::*;

    fn kept(ticket: u64) -> Kept {
        let state = State { revision: Revision::ZERO, base: Revision::ZERO, body: None };
        Kept { state, ticket, due: NOWHERE, aged: NOWHERE, used: 0 }
    }

    /// Every number below 64 once, in no order: 37 is coprime to 64.
    fn scattered(at: u8) -> u8 {
        at.wrapping_mul(37) % 64
    }

    fn filled(count: u8) -> Items {
        let mut items = Items::new();
        for at in 0..count {
            let key = scattered(at);
            items.add(Bytes::from(vec![key]), kept(key.into()));
        }
        items
    }

    #[test]
    fn few_and_many_items_keep_the_same_order_and_bounds() {
        for count in [1_u8, 2, 16, 17, 64] {
            let items = filled(count);
            let mut keys: Vec<u8> = (0..count).map(scattered).collect();
            keys.sort_unstable();
            for from in 0..64_u8 {
                for to in 0..64_u8 {
                    let (low, high) = ([from], [to]);
                    for (from_bound, to_bound) in [
                        (Bound::Included(&low[..]), Bound::Included(&high[..])),
                        (Bound::Excluded(&low[..]), Bound::Excluded(&high[..])),
                        (Bound::Included(&low[..]), Bound::Excluded(&high[..])),
                        (Bound::Unbounded, Bound::Included(&high[..])),
                        (Bound::Excluded(&low[..]), Bound::Unbounded),
                    ] {
                        let found: Vec<u8> = items.range(from_bound, to_bound).map(|(k, _)| k[0]).collect();
                        let wanted: Vec<u8> = keys
                            .iter()
                            .copied()
                            .filter(|&k| !is_before(&[k], from_bound) && !is_after(&[k], to_bound))
                            .collect();
                        assert_eq!(found, wanted, "{from_bound:?} {to_bound:?}");
                        let back: Vec<u8> =
                            items.range(from_bound, to_bound).rev().map(|(k, _)| k[0]).collect();
                        assert!(back.iter().eq(wanted.iter().rev()));
                    }
                }
            }
        }
    }

    #[test]
    fn what_was_added_is_found_and_removed_once() {
        let mut items = filled(40);
        for key in 0..40_u8 {
            let key = [scattered(key)];
            assert_eq!(items.get(&key).map(|kept| kept.ticket), Some(key[0].into()));
            assert!(items.remove(&key).is_some());
            assert!(items.remove(&key).is_none());
        }
        assert!(items.is_empty());
    }
}
