//! What the plain engine keeps.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use statehold_core::{
    Bucket, CommitView, Control, Deadline, Incarnation, ItemKey, MarkKind, Partition, Result, Revision,
    Space, State,
};

/// Where a world stands across restarts.
pub(crate) type Shelf = Arc<Mutex<World>>;

/// Everything there is.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) incarnation: Incarnation,
    pub(crate) spaces: BTreeMap<String, Kept>,
}

impl Default for World {
    fn default() -> Self {
        Self { incarnation: Incarnation([1; 16]), spaces: BTreeMap::new() }
    }
}

impl World {
    /// What is kept of a space.
    pub(crate) fn space(&mut self, space: &Space) -> &mut Kept {
        self.spaces.entry(space.key().to_owned()).or_default()
    }

    /// What is kept of a bucket.
    pub(crate) fn bucket(&mut self, space: &Space, bucket: Bucket) -> &mut KeptBucket {
        self.space(space).buckets.entry(bucket).or_default()
    }

    /// A bucket's control as commits see it.
    pub(crate) fn control(&mut self, space: &Space, bucket: Bucket) -> Option<Control> {
        let present = self.incarnation;
        let kept = self.space(space);
        let of_space = kept.control.filter(|control| control.incarnation == present);
        let bucket = kept.buckets.entry(bucket).or_default();
        let mut control = bucket.control.or(of_space)?;
        control.floor = control.floor.max(bucket.floor);
        Some(control)
    }
}

/// What is kept of a space.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept {
    pub(crate) control: Option<Control>,
    pub(crate) buckets: BTreeMap<Bucket, KeptBucket>,
}

/// An item's place in its bucket.
pub(crate) type Key = (Partition, ItemKey);

/// What is kept of a bucket.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeptBucket {
    pub(crate) control: Option<Control>,
    pub(crate) floor: Revision,
    pub(crate) items: BTreeMap<Key, State>,
    pub(crate) marks: BTreeMap<Key, (Revision, MarkKind)>,
}

impl KeptBucket {
    /// The items of a partition, in the order of their keys.
    pub(crate) fn partition<'a>(
        &'a self,
        partition: &'a Partition,
    ) -> impl DoubleEndedIterator<Item = (&'a ItemKey, &'a State)> + 'a {
        self.items.iter().filter(move |((of, _), _)| of == partition).map(|((_, key), state)| (key, state))
    }
}

/// A partition as a commit sees it.
pub(crate) struct View<'a> {
    pub(crate) bucket: &'a KeptBucket,
    pub(crate) partition: &'a Partition,
}

impl CommitView for View<'_> {
    fn state(&mut self, key: &ItemKey) -> Result<Option<State>> {
        Ok(self.bucket.items.get(&(self.partition.clone(), key.clone())).cloned())
    }

    fn is_marked(&mut self, key: &ItemKey) -> Result<bool> {
        let mark = self.bucket.marks.get(&(self.partition.clone(), key.clone()));
        Ok(matches!(mark, Some((_, MarkKind::Dirty))))
    }

    fn oldest_receipts(&mut self, limit: usize) -> Result<Vec<(ItemKey, Option<Deadline>)>> {
        let deadline = |state: &State| state.body.as_ref().and_then(|body| body.deadline);
        let kept = self
            .bucket
            .partition(self.partition)
            .filter(|(key, state)| key.is_receipt() && state.body.is_some());
        Ok(kept.take(limit).map(|(key, state)| (key.clone(), deadline(state))).collect())
    }
}
