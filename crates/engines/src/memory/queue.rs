//! Items of a bucket by a number: a deadline, or when they were used last.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::items::NOWHERE;

/// Where an item is: the slot of its partition, and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Whereabouts {
    pub(super) slot: u32,
    pub(super) key: Bytes,
}

/// Items ordered by (number, ticket).
///
/// A place may be too early for its item, never too late: a deadline that moves on costs nothing here until
/// somebody comes to the old place, finds the item elsewhere and moves the entry on.
#[derive(Debug)]
pub(super) struct Queue {
    places: BTreeMap<(u64, u64), Whereabouts>,
    /// No number in the queue is below this one.
    soonest: u64,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self { places: BTreeMap::new(), soonest: NOWHERE }
    }

    pub(super) fn insert(&mut self, number: u64, ticket: u64, whereabouts: Whereabouts) {
        self.soonest = self.soonest.min(number);
        self.places.insert((number, ticket), whereabouts);
    }

    pub(super) fn remove(&mut self, number: u64, ticket: u64) -> Option<Whereabouts> {
        let removed = self.places.remove(&(number, ticket));
        if number == self.soonest {
            self.soonest = self.places.first_key_value().map_or(NOWHERE, |((number, _), _)| *number);
        }
        removed
    }

    /// The smallest number; [`NOWHERE`] when empty.
    pub(super) fn soonest(&self) -> u64 {
        self.soonest
    }

    /// The first entry, if its number is not above `number_max`.
    pub(super) fn first(&self, number_max: u64) -> Option<(u64, u64, &Whereabouts)> {
        if self.soonest > number_max || self.soonest == NOWHERE {
            return None;
        }
        self.places.first_key_value().map(|(&(number, ticket), whereabouts)| (number, ticket, whereabouts))
    }

    /// The first entry after a place, if its number is not above `number_max`.
    pub(super) fn after(&self, place: (u64, u64), number_max: u64) -> Option<(u64, u64, &Whereabouts)> {
        use std::ops::Bound::{Excluded, Unbounded};
        self.places
            .range((Excluded(place), Unbounded))
            .next()
            .filter(|((number, _), _)| *number <= number_max)
            .map(|(&(number, ticket), whereabouts)| (number, ticket, whereabouts))
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new();
    }
}
