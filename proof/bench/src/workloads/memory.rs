//! G7: the memory engine beside a map of 64 shards behind mutexes, with the same items, hash and lock.

use std::future::Future;
use std::hash::BuildHasher;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use parking_lot::Mutex;
use statehold_core::{Address, Commit, Cx, Engine};
use statehold_engines::memory::{MemoryConfig, MemoryEngine};

use super::Workload;
use super::home::{BenchClock, address, establish, space, value};
use crate::error::BenchError;
use crate::measure::{Side, compare, on_threads};
use crate::options::Options;
use crate::report::Outcome;

const SHARDS: usize = 64;
const MUST_REACH: Option<f64> = Some(0.60);

/// The same items in both.
struct Both {
    engine: Arc<MemoryEngine>,
    floor: ShardedMap,
    addresses: Vec<Address>,
    keys: Vec<Bytes>,
    values: Vec<Bytes>,
}

struct ShardedMap {
    hasher: RandomState,
    shards: Vec<Mutex<HashMap<Bytes, Bytes, RandomState>>>,
}

impl ShardedMap {
    fn new() -> Self {
        let hasher = RandomState::default();
        let shard = || Mutex::new(HashMap::with_hasher(hasher.clone()));
        let shards = std::iter::repeat_with(shard).take(SHARDS).collect();
        Self { hasher, shards }
    }

    fn shard(&self, key: &Bytes) -> &Mutex<HashMap<Bytes, Bytes, RandomState>> {
        // Upper bits: the maps themselves use the lower ones.
        &self.shards[(self.hasher.hash_one(key) >> 48) as usize % SHARDS]
    }

    fn get(&self, key: &Bytes) -> Option<Bytes> {
        self.shard(key).lock().get(key).cloned()
    }

    fn put(&self, key: Bytes, value: Bytes) -> Option<Bytes> {
        self.shard(&key).lock().insert(key, value)
    }
}

/// The answer of an engine that never waits.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => unreachable!("the memory engine answers when it is first asked"),
    }
}

impl Both {
    fn fill(options: &Options) -> Result<Self, BenchError> {
        let bytes_max = u64::MAX;
        let config = MemoryConfig { bytes_max, ..MemoryConfig::default() };
        let engine = MemoryEngine::new(config, BenchClock::start());
        let space = space()?;
        at_once(establish(&*engine, &space))?;
        let numbers = 0..options.items;
        let addresses: Vec<Address> =
            numbers.clone().map(|n| address(&space, n, 1)).collect::<Result<_, _>>()?;
        let keys = numbers.clone().map(|n| Bytes::from(format!("partition-{n:08}/item-{n:08}"))).collect();
        let values = numbers.map(|n| value(n, options.value_bytes)).collect();
        let both = Self { engine, floor: ShardedMap::new(), addresses, keys, values };
        for n in 0..options.items {
            both.commit(n as u64)?;
            both.put(n as u64);
        }
        Ok(both)
    }

    fn nth(&self, random: u64) -> usize {
        (random % self.keys.len() as u64) as usize
    }

    fn fetch(&self, random: u64) -> Result<(), BenchError> {
        let wanted = std::slice::from_ref(&self.addresses[self.nth(random)]);
        let found = at_once(self.engine.fetch(&Cx::new(), wanted))?;
        assert!(found[0].is_some(), "every item was filled in");
        Ok(())
    }

    fn get(&self, random: u64) {
        assert!(self.floor.get(&self.keys[self.nth(random)]).is_some(), "every item was filled in");
    }

    fn commit(&self, random: u64) -> Result<(), BenchError> {
        let n = self.nth(random);
        let Address { place, item } = &self.addresses[n];
        let commit = Commit::new().put(item.clone(), self.values[n].clone(), None);
        at_once(self.engine.commit(&Cx::new(), place, &commit))?;
        Ok(())
    }

    fn put(&self, random: u64) {
        let n = self.nth(random);
        drop(self.floor.put(self.keys[n].clone(), self.values[n].clone()));
    }
}

pub(super) fn fetch(workload: &'static Workload, options: &Options) -> Result<Outcome, BenchError> {
    let both = Both::fill(options)?;
    let floor = |random| {
        both.get(random);
        Ok(())
    };
    let sides = vec![
        Side::new("memory engine", None, |span| on_threads(options.threads, span, |n| both.fetch(n))),
        Side::new("64-shard map", MUST_REACH, |span| on_threads(options.threads, span, floor)),
    ];
    compare(workload, options, sides)
}

pub(super) fn commit(workload: &'static Workload, options: &Options) -> Result<Outcome, BenchError> {
    let both = Both::fill(options)?;
    let floor = |random| {
        both.put(random);
        Ok(())
    };
    let sides = vec![
        Side::new("memory engine", None, |span| on_threads(options.threads, span, |n| both.commit(n))),
        Side::new("64-shard map", MUST_REACH, |span| on_threads(options.threads, span, floor)),
    ];
    compare(workload, options, sides)
}
