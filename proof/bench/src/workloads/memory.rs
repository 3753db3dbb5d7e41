//! G7: the memory engine beside a map of 64 shards behind mutexes: the standard library's, which the goal is about,
//! and, for context, one with the engine's own hash and lock.

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
const PLAIN: &str = "64 × Mutex<HashMap>";
const TUNED: &str = "64 × mutex and map with the engine's lock and hash";
const MUST_REACH: Option<f64> = Some(0.60);

/// The same items in all three.
struct Filled {
    engine: Arc<MemoryEngine>,
    plain: PlainMap,
    tuned: TunedMap,
    addresses: Vec<Address>,
    keys: Vec<Bytes>,
    values: Vec<Bytes>,
}

/// A map behind a mutex, many times: what anybody would write.
trait Floor: Sync {
    fn get(&self, key: &Bytes) -> Option<Bytes>;
    fn put(&self, key: Bytes, value: Bytes) -> Option<Bytes>;
}

struct PlainMap {
    hasher: std::hash::RandomState,
    shards: Vec<std::sync::Mutex<std::collections::HashMap<Bytes, Bytes>>>,
}

impl PlainMap {
    fn new() -> Self {
        let shards = std::iter::repeat_with(Default::default).take(SHARDS).collect();
        Self { hasher: std::hash::RandomState::new(), shards }
    }

    fn shard(&self, key: &Bytes) -> std::sync::MutexGuard<'_, std::collections::HashMap<Bytes, Bytes>> {
        let shard = &self.shards[(self.hasher.hash_one(key) >> 48) as usize % SHARDS];
        shard.lock().expect("no holder panics")
    }
}

impl Floor for PlainMap {
    fn get(&self, key: &Bytes) -> Option<Bytes> {
        self.shard(key).get(key).cloned()
    }

    fn put(&self, key: Bytes, value: Bytes) -> Option<Bytes> {
        self.shard(&key).insert(key, value)
    }
}

/// The same with the engine's own hash and lock.
struct TunedMap {
    hasher: RandomState,
    shards: Vec<Mutex<HashMap<Bytes, Bytes, RandomState>>>,
}

impl TunedMap {
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
}

impl Floor for TunedMap {
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

impl Filled {
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
        let filled = Self { engine, plain: PlainMap::new(), tuned: TunedMap::new(), addresses, keys, values };
        for n in 0..options.items {
            filled.commit(n as u64)?;
            filled.put(&filled.plain, n as u64);
            filled.put(&filled.tuned, n as u64);
        }
        Ok(filled)
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

    fn get(&self, floor: &impl Floor, random: u64) {
        assert!(floor.get(&self.keys[self.nth(random)]).is_some(), "every item was filled in");
    }

    fn commit(&self, random: u64) -> Result<(), BenchError> {
        let n = self.nth(random);
        let Address { place, item } = &self.addresses[n];
        let commit = Commit::new().put(item.clone(), self.values[n].clone(), None);
        at_once(self.engine.commit(&Cx::new(), place, &commit))?;
        Ok(())
    }

    fn put(&self, floor: &impl Floor, random: u64) {
        let n = self.nth(random);
        drop(floor.put(self.keys[n].clone(), self.values[n].clone()));
    }
}

pub(super) fn fetch(workload: &'static Workload, options: &Options) -> Result<Outcome, BenchError> {
    let filled = Filled::fill(options)?;
    let threads = options.threads;
    let sides = vec![
        Side::new("memory engine", None, |span| on_threads(threads, span, |n| filled.fetch(n))),
        Side::new(PLAIN, MUST_REACH, |span| {
            on_threads(threads, span, |n| {
                filled.get(&filled.plain, n);
                Ok(())
            })
        }),
        Side::new(TUNED, None, |span| {
            on_threads(threads, span, |n| {
                filled.get(&filled.tuned, n);
                Ok(())
            })
        }),
    ];
    compare(workload, options, sides)
}

pub(super) fn commit(workload: &'static Workload, options: &Options) -> Result<Outcome, BenchError> {
    let filled = Filled::fill(options)?;
    let threads = options.threads;
    let sides = vec![
        Side::new("memory engine", None, |span| on_threads(threads, span, |n| filled.commit(n))),
        Side::new(PLAIN, MUST_REACH, |span| {
            on_threads(threads, span, |n| {
                filled.put(&filled.plain, n);
                Ok(())
            })
        }),
        Side::new(TUNED, None, |span| {
            on_threads(threads, span, |n| {
                filled.put(&filled.tuned, n);
                Ok(())
            })
        }),
    ];
    compare(workload, options, sides)
}
