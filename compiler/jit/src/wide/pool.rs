//! Constants that stand behind the code, found relative to the instruction pointer.

use cranelift_entity::{PrimaryMap, entity_impl};
use indexmap::IndexMap;

/// A constant's place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct PoolEntry(u32);
entity_impl!(PoolEntry, "c");

/// Constants, each once.
#[derive(Default)]
pub(super) struct Pool {
    places: IndexMap<Vec<u8>, PoolEntry>,
    entries: PrimaryMap<PoolEntry, Vec<u8>>,
}

impl Pool {
    /// The place of these bytes; their number is a power of two and their alignment.
    pub(super) fn add(&mut self, bytes: Vec<u8>) -> PoolEntry {
        if let Some(&entry) = self.places.get(&bytes) {
            return entry;
        }
        let entry = self.entries.push(bytes.clone());
        self.places.insert(bytes, entry);
        entry
    }

    /// A 32-bit word, so many times.
    pub(super) fn words(&mut self, word: u32, count: u32) -> PoolEntry {
        self.add(word.to_le_bytes().repeat(count as usize))
    }

    /// The constants one after the other, aligned to their size, and where each begins.
    pub(super) fn layout(&self) -> (Vec<u8>, Vec<usize>) {
        let mut order: Vec<PoolEntry> = self.entries.keys().collect();
        order.sort_by_key(|&entry| std::cmp::Reverse(self.entries[entry].len()));
        let mut bytes = Vec::new();
        let mut offsets = vec![0; order.len()];
        for entry in order {
            offsets[entry.as_u32() as usize] = bytes.len();
            bytes.extend_from_slice(&self.entries[entry]);
        }
        (bytes, offsets)
    }
}
