//! One bucket: its control, its counter, its items, and the queues that say what goes next.

use bytes::Bytes;
use statehold_core::{
    CommitView, Control, Deadline, Error, Incarnation, ItemKey, Kind, RECEIPTS_PRUNED_MAX, Result, Revision,
    Role, State, Time, Traits, Write,
};

use super::items::{Items, Kept, NOWHERE};
use super::marks::Marks;
use super::partitions::Partitions;
use super::queue::{Queue, Whereabouts};

/// What an item is taken to cost beside its key and value: its entry, its share of tables, its places in queues.
const ITEM_COST: u64 = 224;
/// What a partition is taken to cost beside its name.
const PARTITION_COST: u64 = 96;

/// Growth and shrinkage of accounted bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) grown: u64,
    pub(super) shrunk: u64,
}

#[derive(Debug)]
pub(super) struct BucketState {
    /// The bucket's own control.
    pub(super) own: Option<Control>,
    /// The space's control, which the bucket obeys without one of its own.
    pub(super) inherited: Option<Control>,
    traits: Traits,
    /// The number in the revision issued last. Grows for ever, whatever happens to items, terms and homes.
    counter: u64,
    /// The highest revision ever issued here or handed over.
    floor: Revision,
    pub(super) partitions: Partitions,
    pub(super) marks: Marks,
    tickets: u64,
    /// Store items by deadline.
    pub(super) due: Queue,
    /// Receipts by deadline.
    due_receipts: Queue,
    /// Absence markers, which nobody needs once the bucket is open and marks no more.
    markers: Queue,
    /// Store items of a disposable space by last use.
    recency: Queue,
}

/// Which queue waits for an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Item,
    Receipt,
    Marker,
}

impl Class {
    fn of(key: &[u8], state: &State) -> Self {
        if state.body.is_none() {
            Self::Marker
        } else if key.starts_with(ItemKey::receipts().0) {
            Self::Receipt
        } else {
            Self::Item
        }
    }
}

fn due_of(state: &State) -> u64 {
    state.body.as_ref().map_or(0, |body| body.deadline.map_or(NOWHERE, Deadline::millis))
}

fn cost(key: &[u8], state: &State) -> u64 {
    ITEM_COST + key.len() as u64 + state.body.as_ref().map_or(0, |body| body.value.len() as u64)
}

impl BucketState {
    pub(super) fn new(traits: Traits, inherited: Option<Control>) -> Self {
        let mut bucket = Self {
            own: None,
            inherited: None,
            traits,
            counter: 0,
            floor: Revision::ZERO,
            partitions: Partitions::default(),
            marks: Marks::default(),
            tickets: 0,
            due: Queue::new(),
            due_receipts: Queue::new(),
            markers: Queue::new(),
            recency: Queue::new(),
        };
        bucket.inherit(inherited);
        bucket
    }

    pub(super) fn inherit(&mut self, control: Option<Control>) {
        self.inherited = control;
        self.raise(control.map_or(Revision::ZERO, |control| control.floor));
    }

    fn raise(&mut self, floor: Revision) {
        self.floor = self.floor.max(floor);
        self.counter = self.counter.max(floor.n());
    }

    /// The control that holds, its floor as it is now, void or not.
    pub(super) fn control(&self) -> Option<Control> {
        let control = self.own.or(self.inherited)?;
        Some(Control { floor: control.floor.max(self.floor), ..control })
    }

    /// Installs a control of the bucket's own.
    pub(super) fn install(&mut self, control: Control) -> Marks {
        self.raise(control.floor);
        self.own = Some(control);
        // A home that marks no more has nobody to carry to.
        if control.role == Role::Open && !control.marking {
            std::mem::take(&mut self.marks)
        } else {
            Marks::default()
        }
    }

    /// Whether items may go by themselves: on neither side of a move, and in no bucket that is not in use.
    pub(super) fn lets_go(&self, present: Incarnation) -> bool {
        self.own.or(self.inherited).is_some_and(|control| {
            control.role == Role::Open && !control.marking && control.incarnation == present
        })
    }

    /// The instant that judges expiry here.
    pub(super) fn judged_at(&self, now: Time) -> Time {
        self.own.or(self.inherited).map_or(now, |control| now.max(control.time_floor))
    }

    /// The revision of the next commit; [`Self::issued`] says that it happened.
    pub(super) fn next_revision(&self, control: &Control) -> Result<Revision> {
        let next = Revision::new(control.term, self.counter + 1)?;
        if next <= self.floor {
            return Err(Error::new(Kind::Internal, "a bucket's term is older than its floor"));
        }
        Ok(next)
    }

    pub(super) fn issued(&mut self, revision: Revision) {
        self.counter = revision.n();
        self.floor = revision;
    }

    pub(super) fn state(&self, partition: &[u8], key: &[u8]) -> Option<&State> {
        self.items(partition)?.get(key).map(|kept| &kept.state)
    }

    pub(super) fn items(&self, partition: &[u8]) -> Option<&Items> {
        self.items_in(self.partitions.find(partition))
    }

    fn items_in(&self, slot: Option<u32>) -> Option<&Items> {
        self.partitions.get(slot?).map(|held| &held.items)
    }

    /// Reads an item and notes that it was used.
    pub(super) fn used(&mut self, partition: &[u8], key: &[u8], now: u64) -> Option<&State> {
        let slot = self.partitions.find(partition)?;
        let kept = self.partitions.get_mut(slot)?.items.get_mut(key)?;
        kept.used = now;
        Some(&kept.state)
    }

    /// What writes would change, without making them.
    pub(super) fn weigh(&self, slot: Option<u32>, partition: &[u8], writes: &[Write]) -> Change {
        let items = self.items_in(slot);
        let mut change = Change::default();
        if items.is_none() && writes.iter().any(|write| write.state.is_some()) {
            change.grown += PARTITION_COST + partition.len() as u64;
        }
        for Write { key, state } in writes {
            let key = key.as_bytes();
            change.grown += state.as_ref().map_or(0, |state| cost(key, state));
            let before = items.and_then(|items| items.get(key));
            change.shrunk += before.map_or(0, |kept| cost(key, &kept.state));
        }
        change
    }

    /// Makes writes; says how many bytes went with the partition itself, if its last item went.
    pub(super) fn apply(
        &mut self,
        slot: Option<u32>,
        partition: &Bytes,
        writes: Vec<Write>,
        used: u64,
    ) -> u64 {
        let mut slot = slot;
        for Write { key, state } in writes {
            match (state, slot) {
                (Some(state), _) => {
                    let slot = *slot.get_or_insert_with(|| self.partitions.add(partition));
                    self.put(slot, key.as_bytes(), state, used);
                }
                (None, Some(slot)) => drop(self.take(slot, key.as_bytes())),
                (None, None) => {}
            }
        }
        slot.map_or(0, |slot| self.release(slot))
    }

    fn put(&mut self, slot: u32, key: &Bytes, state: State, used: u64) {
        let class = Class::of(key, &state);
        let due = due_of(&state);
        let ages = self.traits.disposable && class == Class::Item;
        let items = &mut self.partitions.get_mut(slot).expect("the caller found or made the slot").items;
        if let Some(kept) = items.get_mut(key) {
            let before = (Class::of(key, &kept.state), kept.due);
            let ticket = kept.ticket;
            kept.state = state;
            kept.used = used;
            // A place that is too early is put right by whoever comes to it.
            let stays = before.0 == class && before.1 != NOWHERE && before.1 <= due;
            let joins = ages && kept.aged == NOWHERE;
            if joins {
                kept.aged = used;
                self.recency.insert(used, ticket, Whereabouts { slot, key: key.clone() });
            }
            if !stays {
                kept.due = due;
                self.requeue(before, (class, due), ticket, slot, key);
            }
            return;
        }
        self.tickets += 1;
        let ticket = self.tickets;
        let aged = if ages { used } else { NOWHERE };
        items.add(key.clone(), Kept { state, ticket, due, aged, used });
        self.requeue((class, NOWHERE), (class, due), ticket, slot, key);
        if ages {
            self.recency.insert(used, ticket, Whereabouts { slot, key: key.clone() });
        }
    }

    fn requeue(&mut self, from: (Class, u64), to: (Class, u64), ticket: u64, slot: u32, key: &Bytes) {
        let mut whereabouts = None;
        if from.1 != NOWHERE {
            whereabouts = self.queue(from.0).remove(from.1, ticket);
        }
        if to.1 != NOWHERE {
            let whereabouts = whereabouts.unwrap_or_else(|| Whereabouts { slot, key: key.clone() });
            self.queue(to.0).insert(to.1, ticket, whereabouts);
        }
    }

    fn queue(&mut self, class: Class) -> &mut Queue {
        match class {
            Class::Item => &mut self.due,
            Class::Receipt => &mut self.due_receipts,
            Class::Marker => &mut self.markers,
        }
    }

    /// Removes an item altogether; the accounted bytes it took. The partition stays until [`Self::release`].
    fn take(&mut self, slot: u32, key: &[u8]) -> Option<u64> {
        let kept = self.partitions.get_mut(slot)?.items.remove(key)?;
        if kept.due != NOWHERE {
            self.queue(Class::of(key, &kept.state)).remove(kept.due, kept.ticket);
        }
        if kept.aged != NOWHERE {
            self.recency.remove(kept.aged, kept.ticket);
        }
        Some(cost(key, &kept.state))
    }

    fn release(&mut self, slot: u32) -> u64 {
        self.partitions.release_if_empty(slot).map_or(0, |name| PARTITION_COST + name.len() as u64)
    }

    /// Lets up to `limit` things go that nobody can see any more: absence markers, expired receipts and, unless the
    /// space observes expiry, expired items. The caller has asked [`Self::lets_go`]. Says how many and their bytes.
    pub(super) fn sweep(&mut self, now: Time, limit: usize) -> (usize, u64) {
        let observes = self.traits.observes_expiry;
        let classes = [(Class::Marker, true), (Class::Receipt, true), (Class::Item, !observes)];
        let (mut looked, mut gone, mut bytes) = (0, 0, 0);
        for (class, _) in classes.into_iter().filter(|(_, swept)| *swept) {
            while looked < limit
                && let Some((due, ticket, whereabouts)) = self.queue(class).first(now.millis())
            {
                looked += 1;
                let whereabouts = whereabouts.clone();
                if self.put_right(class, (due, ticket), &whereabouts) <= now.millis() {
                    let Whereabouts { slot, key } = whereabouts;
                    bytes += self.take(slot, &key).unwrap_or_default();
                    bytes += self.release(slot);
                    gone += 1;
                }
            }
        }
        (gone, bytes)
    }

    /// Moves an entry of a queue to where its item belongs; says where that is.
    fn put_right(&mut self, class: Class, place: (u64, u64), whereabouts: &Whereabouts) -> u64 {
        let held = self.partitions.get_mut(whereabouts.slot);
        let kept = held.and_then(|held| held.items.get_mut(&whereabouts.key));
        let kept = kept.expect("an item leaves its queues when it goes");
        let due = due_of(&kept.state);
        if due != place.0 {
            kept.due = due;
            let (slot, key) = (whereabouts.slot, &whereabouts.key);
            self.requeue((class, place.0), (class, due), place.1, slot, key);
        }
        due
    }

    /// The next store item after a place in the order of deadlines, whose deadline is not after `before`.
    pub(super) fn next_due(&mut self, after: (u64, u64), before: u64) -> Option<((u64, u64), Whereabouts)> {
        loop {
            let (due, ticket, whereabouts) = self.due.after(after, before)?;
            let (place, whereabouts) = ((due, ticket), whereabouts.clone());
            if self.put_right(Class::Item, place, &whereabouts) == due {
                return Some((place, whereabouts));
            }
        }
    }

    /// When the least recently used item of a disposable space was used, or earlier; [`NOWHERE`] for none.
    pub(super) fn stalest(&self) -> u64 {
        self.recency.soonest()
    }

    /// Drops the least recently used item, if it was used no later than it is queued; else puts its place right.
    /// The caller has asked [`Self::lets_go`]. The bytes of the item that went.
    pub(super) fn evict(&mut self) -> Option<u64> {
        let (aged, ticket, whereabouts) = self.recency.first(NOWHERE - 1)?;
        let Whereabouts { slot, key } = whereabouts.clone();
        let kept = self.partitions.get_mut(slot).and_then(|held| held.items.get_mut(&key));
        let kept = kept.expect("an item leaves its queues when it goes");
        if kept.used > aged {
            kept.aged = kept.used;
            let used = kept.used;
            self.recency.remove(aged, ticket);
            self.recency.insert(used, ticket, Whereabouts { slot, key });
            return None;
        }
        let bytes = self.take(slot, &key).unwrap_or_default();
        Some(bytes + self.release(slot))
    }

    /// Drops every item and mark; control and counter stay. What was dropped, for the caller to free outside its lock.
    pub(super) fn forget(&mut self) -> (Partitions, Marks, u64) {
        for queue in [&mut self.due, &mut self.due_receipts, &mut self.markers, &mut self.recency] {
            queue.clear();
        }
        let partitions = std::mem::take(&mut self.partitions);
        let mut bytes = 0;
        for held in (0..partitions.end()).filter_map(|slot| partitions.get(slot)) {
            bytes += PARTITION_COST + held.name.len() as u64;
            let all = held.items.range(std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
            bytes += all.map(|(key, kept)| cost(key, &kept.state)).sum::<u64>();
        }
        (partitions, std::mem::take(&mut self.marks), bytes)
    }
}

/// A partition as a commit sees it.
pub(super) struct PartitionView<'a> {
    marks: &'a Marks,
    partition: &'a [u8],
    items: Option<&'a Items>,
}

impl<'a> PartitionView<'a> {
    pub(super) fn of(bucket: &'a BucketState, slot: Option<u32>, partition: &'a [u8]) -> Self {
        Self { marks: &bucket.marks, partition, items: bucket.items_in(slot) }
    }
}

impl CommitView for PartitionView<'_> {
    fn state(&mut self, key: &ItemKey) -> Result<Option<State>> {
        Ok(self.items.and_then(|items| items.get(key.as_bytes())).map(|kept| kept.state.clone()))
    }

    fn is_marked(&mut self, key: &ItemKey) -> Result<bool> {
        Ok(self.marks.dirty(self.partition, key.as_bytes()).is_some())
    }

    fn oldest_receipts(&mut self, limit: usize) -> Result<Vec<(ItemKey, Option<Deadline>)>> {
        use std::ops::Bound::{Excluded, Included};
        let (from, to) = ItemKey::receipts();
        let Some(items) = self.items else { return Ok(Vec::new()) };
        // While the bucket marks, receipts that went are still there as markers: they are passed over, a few at a time.
        let receipts = items.range(Included(from), Excluded(to)).take(16 * RECEIPTS_PRUNED_MAX);
        let kept = receipts.filter_map(|(key, kept)| kept.state.body.as_ref().map(|body| (key, body)));
        kept.take(limit).map(|(key, body)| Ok((ItemKey::from_bytes(key.clone())?, body.deadline))).collect()
    }
}
