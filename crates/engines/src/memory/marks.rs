//! The marks of a bucket: which items changed here, and are not yet carried or not yet looked at.

use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};

use bytes::Bytes;
use foldhash::fast::RandomState;
use hashbrown::{Equivalent, HashMap};
use statehold_core::{MarkKind, Revision};

/// Marks by item, and per kind in the order of their revisions: a drain that takes the oldest first passes over
/// every item, however often some of them change.
#[derive(Debug, Default)]
pub(super) struct Marks {
    by_item: HashMap<Owned, (Revision, MarkKind), RandomState>,
    dirty: BTreeSet<(Revision, Owned)>,
    unchecked: BTreeSet<(Revision, Owned)>,
}

/// A partition's name and an item's key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Owned {
    pub(super) partition: Bytes,
    pub(super) key: Bytes,
}

#[derive(PartialEq, Eq)]
struct Borrowed<'a> {
    partition: &'a [u8],
    key: &'a [u8],
}

impl Hash for Owned {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Borrowed { partition: &self.partition, key: &self.key }.hash(state);
    }
}

impl Hash for Borrowed<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.partition.hash(state);
        self.key.hash(state);
    }
}

impl Equivalent<Owned> for Borrowed<'_> {
    fn equivalent(&self, owned: &Owned) -> bool {
        self.partition == owned.partition && self.key == owned.key
    }
}

impl Marks {
    /// Marks an item dirty at a revision, whatever mark it had.
    pub(super) fn set(&mut self, partition: &Bytes, key: &Bytes, revision: Revision) {
        let item = Owned { partition: partition.clone(), key: key.clone() };
        if let Some((before, kind)) = self.by_item.insert(item.clone(), (revision, MarkKind::Dirty)) {
            let place = (before, item.clone());
            self.of(kind).remove(&place);
        }
        self.dirty.insert((revision, item));
    }

    /// The revision an item is marked dirty at.
    pub(super) fn dirty(&self, partition: &[u8], key: &[u8]) -> Option<Revision> {
        match self.by_item.get(&Borrowed { partition, key }) {
            Some((revision, MarkKind::Dirty)) => Some(*revision),
            _ => None,
        }
    }

    /// Moves a mark on, dirty to unchecked to gone, if it still is of this kind at this revision.
    pub(super) fn clear(&mut self, item: &Owned, kind: MarkKind, revision: Revision) -> bool {
        let Some(mark) = self.by_item.get_mut(item) else { return false };
        if *mark != (revision, kind) {
            return false;
        }
        match kind {
            MarkKind::Dirty => {
                mark.1 = MarkKind::Unchecked;
                if let Some(place) = self.dirty.take(&(revision, item.clone())) {
                    self.unchecked.insert(place);
                }
            }
            MarkKind::Unchecked => {
                self.by_item.remove(item);
                self.unchecked.remove(&(revision, item.clone()));
            }
        }
        true
    }

    /// The marks of a kind, oldest first.
    pub(super) fn oldest(&self, kind: MarkKind) -> impl Iterator<Item = &(Revision, Owned)> {
        match kind {
            MarkKind::Dirty => self.dirty.iter(),
            MarkKind::Unchecked => self.unchecked.iter(),
        }
    }

    fn of(&mut self, kind: MarkKind) -> &mut BTreeSet<(Revision, Owned)> {
        match kind {
            MarkKind::Dirty => &mut self.dirty,
            MarkKind::Unchecked => &mut self.unchecked,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_goes_dirty_unchecked_gone_only_at_its_revision() {
        let (partition, key) = (Bytes::from("p"), Bytes::from("k"));
        let item = Owned { partition: partition.clone(), key: key.clone() };
        let (old, new) = (Revision::from_u64(1), Revision::from_u64(2));
        let mut marks = Marks::default();
        marks.set(&partition, &key, old);
        marks.set(&partition, &key, new);
        assert!(!marks.clear(&item, MarkKind::Dirty, old));
        assert!(!marks.clear(&item, MarkKind::Unchecked, new));
        assert_eq!(marks.dirty(b"p", b"k"), Some(new));
        assert!(marks.clear(&item, MarkKind::Dirty, new));
        assert_eq!(marks.dirty(b"p", b"k"), None);
        assert_eq!(marks.oldest(MarkKind::Unchecked).count(), 1);
        assert!(marks.clear(&item, MarkKind::Unchecked, new));
        assert!(marks.by_item.is_empty() && marks.dirty.is_empty() && marks.unchecked.is_empty());
    }

    #[test]
    fn an_unchecked_item_that_changes_is_dirty_alone() {
        let (partition, key) = (Bytes::from("p"), Bytes::from("k"));
        let item = Owned { partition: partition.clone(), key: key.clone() };
        let mut marks = Marks::default();
        marks.set(&partition, &key, Revision::from_u64(1));
        assert!(marks.clear(&item, MarkKind::Dirty, Revision::from_u64(1)));
        marks.set(&partition, &key, Revision::from_u64(2));
        assert_eq!(marks.oldest(MarkKind::Unchecked).count(), 0);
        assert_eq!(marks.oldest(MarkKind::Dirty).count(), 1);
    }
}
