//! G3 and G4: the embedded engine beside bare SQLite with the same journal mode, sync mode and values.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};
use statehold_core::{Address, Commit, Cx, Engine, Space};
use statehold_engines::sql::{EmbeddedConfig, EmbeddedEngine, Synchronous};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use super::Workload;
use super::home::{BenchClock, address, establish, space, value};
use crate::error::BenchError;
use crate::measure::{Random, Side, Turn, compare};
use crate::options::Options;
use crate::report::Outcome;

/// Items of one partition: some share one, as the sessions of one owner do.
const PER_PARTITION: usize = 10;
/// Puts between two syncs of the floor that batches.
const BATCH: usize = 100;

/// An engine on a file of its own, filled.
struct Filled {
    runtime: Runtime,
    engine: Arc<EmbeddedEngine>,
    addresses: Arc<Vec<Address>>,
    tasks: usize,
    value_bytes: usize,
    _directory: TempDir,
}

/// What each task does again and again.
#[derive(Clone, Copy)]
enum Call {
    Fetch,
    Commit,
}

impl Filled {
    fn open(options: &Options, readers: usize) -> Result<Self, BenchError> {
        let runtime = Builder::new_multi_thread().worker_threads(options.threads).build()?;
        let directory = directory(options)?;
        let path = directory.path().join("state.db");
        let space = space()?;
        let addresses: Vec<Address> =
            (0..options.items).map(|n| address(&space, n, PER_PARTITION)).collect::<Result<_, _>>()?;
        // Filled without a sync per group, then opened as it is measured.
        let engine = open(&path, Synchronous::Normal, readers)?;
        runtime.block_on(fill(&engine, &space, &addresses, options))?;
        engine.close();
        let engine = open(&path, Synchronous::Full, readers)?;
        let (tasks, value_bytes) = (options.tasks, options.value_bytes);
        Ok(Self {
            runtime,
            engine,
            addresses: Arc::new(addresses),
            tasks,
            value_bytes,
            _directory: directory,
        })
    }

    /// Every task calls again as soon as it was answered.
    fn turn(&self, span: Duration, call: Call) -> Result<Turn, BenchError> {
        let began = Instant::now();
        let operations = self.runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for task in 0..self.tasks {
                let (engine, addresses) = (Arc::clone(&self.engine), Arc::clone(&self.addresses));
                let value_bytes = self.value_bytes;
                tasks.spawn(async move {
                    let mut random = Random::seeded(task as u64 + 1);
                    let mut operations = 0_u64;
                    while began.elapsed() < span {
                        let n = (random.next() % addresses.len() as u64) as usize;
                        one(&engine, &addresses[n], call, n, value_bytes).await?;
                        operations += 1;
                    }
                    Ok::<_, BenchError>(operations)
                });
            }
            let mut operations = 0;
            while let Some(task) = tasks.join_next().await {
                operations += task.expect("a measured operation does not panic")?;
            }
            Ok::<_, BenchError>(operations)
        })?;
        Ok(Turn { operations, elapsed: began.elapsed() })
    }
}

impl Drop for Filled {
    fn drop(&mut self) {
        self.engine.close();
    }
}

async fn one(
    engine: &EmbeddedEngine,
    address: &Address,
    call: Call,
    n: usize,
    value_bytes: usize,
) -> Result<(), BenchError> {
    let cx = Cx::new();
    match call {
        Call::Fetch => {
            let found = engine.fetch(&cx, std::slice::from_ref(address)).await?;
            assert!(found[0].is_some(), "every item was filled in");
        }
        Call::Commit => {
            let commit = Commit::new().put(address.item.clone(), value(n, value_bytes), None);
            engine.commit(&cx, &address.place, &commit).await?;
        }
    }
    Ok(())
}

/// A directory of the bench's own, removed afterwards.
pub(super) fn directory(options: &Options) -> Result<TempDir, BenchError> {
    Ok(match &options.directory {
        Some(directory) => tempfile::tempdir_in(directory)?,
        None => tempfile::tempdir()?,
    })
}

fn open(path: &Path, synchronous: Synchronous, readers: usize) -> Result<Arc<EmbeddedEngine>, BenchError> {
    let config = EmbeddedConfig { synchronous, readers, ..EmbeddedConfig::at("bench", path) };
    Ok(EmbeddedEngine::open(config, BenchClock::start())?)
}

async fn fill(
    engine: &Arc<EmbeddedEngine>,
    space: &Space,
    addresses: &[Address],
    options: &Options,
) -> Result<(), BenchError> {
    establish(&**engine, space).await?;
    let mut begun = JoinSet::new();
    for (nth, partition) in addresses.chunks(PER_PARTITION).enumerate() {
        let put = |commit: Commit, (at, address): (usize, &Address)| {
            commit.put(address.item.clone(), value(nth * PER_PARTITION + at, options.value_bytes), None)
        };
        let commit = partition.iter().enumerate().fold(Commit::new(), put);
        let (engine, place) = (Arc::clone(engine), partition[0].place.clone());
        begun.spawn(async move { engine.commit(&Cx::new(), &place, &commit).await });
        if begun.len() >= options.tasks
            && let Some(done) = begun.join_next().await
        {
            done.expect("filling does not panic")?;
        }
    }
    while let Some(done) = begun.join_next().await {
        done.expect("filling does not panic")?;
    }
    Ok(())
}

/// Bare SQLite: one table, one connection, prepared statements.
struct Bare {
    connection: Connection,
    keys: Vec<String>,
    value_bytes: usize,
    random: Random,
    _directory: TempDir,
}

impl Bare {
    fn open(options: &Options) -> Result<Self, BenchError> {
        let directory = directory(options)?;
        let mut connection = Connection::open(directory.path().join("bare.db"))?;
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE items (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;",
        )?;
        let name = |n| format!("partition-{:08}/item-{n:08}", n / PER_PARTITION);
        let keys: Vec<String> = (0..options.items).map(name).collect();
        let tx = connection.transaction()?;
        for (n, key) in keys.iter().enumerate() {
            put(&tx, key, n, options.value_bytes)?;
        }
        tx.commit()?;
        let (value_bytes, random) = (options.value_bytes, Random::seeded(1));
        Ok(Self { connection, keys, value_bytes, random, _directory: directory })
    }

    fn pick(&mut self) -> usize {
        (self.random.next() % self.keys.len() as u64) as usize
    }

    fn get(&mut self, span: Duration) -> Result<Turn, BenchError> {
        let began = Instant::now();
        let mut operations = 0;
        while began.elapsed() < span {
            let n = self.pick();
            let mut get = self.connection.prepare_cached("SELECT value FROM items WHERE key = ?1")?;
            let value: Vec<u8> = get.query_row([&self.keys[n]], |row| row.get(0))?;
            assert_eq!(value.len(), self.value_bytes, "every item was filled in");
            operations += 1;
        }
        Ok(Turn { operations, elapsed: began.elapsed() })
    }

    fn puts(&mut self, span: Duration, per_sync: usize) -> Result<Turn, BenchError> {
        let began = Instant::now();
        let mut operations = 0;
        while began.elapsed() < span {
            let chosen: Vec<usize> = (0..per_sync).map(|_| self.pick()).collect();
            let tx = self.connection.transaction()?;
            for (at, n) in chosen.into_iter().enumerate() {
                // Another value each time: SQLite writes nothing where a row stays the same.
                let seed = self.keys.len() + n + at + operations as usize;
                put(&tx, &self.keys[n], seed, self.value_bytes)?;
            }
            tx.commit()?;
            operations += per_sync as u64;
        }
        Ok(Turn { operations, elapsed: began.elapsed() })
    }
}

fn put(connection: &Connection, key: &str, n: usize, value_bytes: usize) -> Result<(), BenchError> {
    let mut put = connection.prepare_cached("INSERT OR REPLACE INTO items (key, value) VALUES (?1, ?2)")?;
    put.execute(params![key, value(n, value_bytes).as_ref()])?;
    Ok(())
}

pub(super) fn fetch(workload: &'static Workload, options: &Options) -> Result<Outcome, BenchError> {
    let engine = Filled::open(options, 2)?;
    let mut bare = Bare::open(options)?;
    let sides = vec![
        Side::new("embedded engine", None, |span| engine.turn(span, Call::Fetch)),
        Side::new("bare SQLite, one thread", Some(0.60), |span| bare.get(span)),
    ];
    compare(workload, options, sides)
}

pub(super) fn readers(workload: &'static Workload, options: &Options) -> Result<Outcome, BenchError> {
    let (two, one) = (Filled::open(options, 2)?, Filled::open(options, 1)?);
    let sides = vec![
        Side::new("2 readers", None, |span| two.turn(span, Call::Fetch)),
        Side::new("1 reader", Some(1.6), |span| one.turn(span, Call::Fetch)),
    ];
    compare(workload, options, sides)
}

pub(super) fn commit(workload: &'static Workload, options: &Options) -> Result<Outcome, BenchError> {
    let engine = Filled::open(options, 2)?;
    let (mut batched, mut single) = (Bare::open(options)?, Bare::open(options)?);
    let before = engine.engine.stats();
    let sides = vec![
        Side::new("embedded engine", None, |span| engine.turn(span, Call::Commit)),
        Side::new("bare SQLite, 100 puts per sync", Some(0.60), |span| batched.puts(span, BATCH)),
        Side::new("bare SQLite, one put per sync", Some(8.0), |span| single.puts(span, 1)),
    ];
    let mut outcome = compare(workload, options, sides)?;
    let after = engine.engine.stats();
    let (jobs, syncs) = (after.jobs - before.jobs, after.transactions - before.transactions);
    outcome.counters.insert("syncs_per_commit", syncs as f64 / jobs.max(1) as f64);
    Ok(outcome)
}
