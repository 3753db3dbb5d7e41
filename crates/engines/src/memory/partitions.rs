//! The partitions of one bucket: found by name, each in a slot that it keeps for as long as it holds an item, so that
//! a scan can walk the slots beside writers.

use std::hash::BuildHasher;

use bytes::Bytes;
use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::items::Items;

/// One partition.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) name: Bytes,
    pub(super) items: Items,
}

#[derive(Debug, Default)]
pub(super) struct Partitions {
    hasher: RandomState,
    names: HashTable<u32>,
    slots: Vec<Option<Held>>,
    free: Vec<u32>,
}

impl Partitions {
    pub(super) fn find(&self, name: &[u8]) -> Option<u32> {
        let is_it = |slot: &u32| self.get(*slot).is_some_and(|held| held.name == name);
        self.names.find(self.hasher.hash_one(name), is_it).copied()
    }

    pub(super) fn get(&self, slot: u32) -> Option<&Held> {
        self.slots.get(slot as usize).and_then(Option::as_ref)
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Held> {
        self.slots.get_mut(slot as usize).and_then(Option::as_mut)
    }

    /// The slot after the last one in use.
    pub(super) fn end(&self) -> u32 {
        self.slots.len() as u32
    }

    /// The slot of a partition that is not there yet.
    pub(super) fn add(&mut self, name: &Bytes) -> u32 {
        let held = Some(Held { name: name.clone(), items: Items::new() });
        let slot = if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = held;
            slot
        } else {
            let slot =
                u32::try_from(self.slots.len()).expect("a bucket's memory ends before 2^32 partitions");
            self.slots.push(held);
            slot
        };
        let Self { hasher, names, slots, .. } = self;
        let hash_of = |slot: &u32| {
            let held = slots[*slot as usize].as_ref().expect("every slot in the table is in use");
            hasher.hash_one(held.name.as_ref())
        };
        names.insert_unique(hasher.hash_one(name.as_ref()), slot, hash_of);
        slot
    }

    /// Gives back the slot of a partition that holds nothing any more; its name, if it was one.
    pub(super) fn release_if_empty(&mut self, slot: u32) -> Option<Bytes> {
        let held = self.slots.get_mut(slot as usize)?.take_if(|held| held.items.is_empty())?;
        let hash = self.hasher.hash_one(held.name.as_ref());
        if let Ok(entry) = self.names.find_entry(hash, |other| *other == slot) {
            entry.remove();
        }
        self.free.push(slot);
        Some(held.name)
    }
}
