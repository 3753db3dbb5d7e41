use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;
use statehold_core::{
    Address, Clock, Commit, Control, Cx, Description, Engine, EngineExt, Epoch, Error, Item, Kind,
    ManualClock, Movable, Namespace, Outcome, Owner, Page, Partition, Place, Probe, Range, Receipt, Result,
    Revision, Role, Scan, ScanPage, Space, StoreName, Term, Time,
};
use statehold_engines::memory::{MemoryConfig, MemoryEngine};
use statehold_journal::control::{ControlTables, KeyHasher, STEPS, TERMS_SKIPPED};
use statehold_sql::{Database, Options};

use super::*;

/// Control tables in a directory of their own.
struct Ground {
    _directory: tempfile::TempDir,
    clock: Arc<ManualClock>,
    tables: Arc<ControlTables>,
}

impl Ground {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::default());
        let db = Database::open(&Options::at(directory.path().join("records.db"))).unwrap();
        statehold_sql::migrate(&db, STEPS, clock.now()).unwrap();
        let hasher = KeyHasher::new(&[7; 32]);
        let tables = ControlTables::open(db, Arc::clone(&clock) as Arc<dyn Clock>, hasher).await.unwrap();
        Self { _directory: directory, clock, tables }
    }

    fn engine(&self) -> Arc<MemoryEngine> {
        let config = MemoryConfig { name: "main".into(), ..MemoryConfig::default() };
        MemoryEngine::new(config, Arc::clone(&self.clock) as Arc<dyn Clock>)
    }

    async fn place(&self, engine: &Arc<MemoryEngine>) -> Result<Arc<Placed>> {
        self.place_through(Arc::clone(engine) as _, engine).await
    }

    async fn place_through(&self, stack: Arc<dyn Engine>, engine: &Arc<MemoryEngine>) -> Result<Arc<Placed>> {
        let placement = self.tables.place(&space(), &"main".into()).await.unwrap();
        let mounted = Mounted { stack, engine: Arc::clone(engine) as _ };
        Placed::open(space(), &placement, mounted, Arc::clone(&self.tables)).await
    }

    fn standing(&self) -> (Epoch, Term) {
        let placement = self.tables.placement(&space()).unwrap().unwrap();
        (placement.epoch, placement.term)
    }

    /// Makes the engine obey a later control than the tables know.
    async fn establish(&self, engine: &MemoryEngine, epoch: u64, term: u32, owner: Owner) -> Result<()> {
        let buckets: Vec<_> = space().all_buckets().take(1).collect();
        let incarnation = engine.incarnation(&Cx::new(), &space(), &buckets).await.unwrap()[0];
        let control = Control {
            role: Role::Open,
            epoch: Epoch(epoch),
            term: Term(term),
            marking: false,
            floor: Revision::ZERO,
            time_floor: Time::default(),
            incarnation,
            owner,
            move_id: None,
        };
        engine.establish(&Cx::new(), &space(), &control).await
    }
}

fn space() -> Space {
    Space::new(Namespace::new("shop").unwrap(), StoreName::new("cache").unwrap())
}

fn address(partition: &str) -> Address {
    Place::new(&space(), Partition::new(partition.to_owned()).unwrap()).item("x")
}

async fn put(placed: &Placed, partition: &str) -> Result<Receipt> {
    placed.put(&Cx::new(), &address(partition), "1".into(), None).await
}

#[tokio::test]
async fn the_first_use_establishes_the_space_and_the_next_one_finds_it() {
    let ground = Ground::new().await;
    let engine = ground.engine();
    let placed = ground.place(&engine).await.unwrap();
    assert_eq!(ground.standing(), (Epoch(1), Term(1)));
    assert_eq!(put(&placed, "p").await.unwrap().revision.term(), Term(1));
    let again = ground.place(&engine).await.unwrap();
    assert_eq!(ground.standing(), (Epoch(1), Term(1)), "no term is spent where nothing changed");
    assert!(again.get(&Cx::new(), &address("p")).await.unwrap().is_some());
}

#[tokio::test]
async fn another_history_of_the_engine_gets_a_higher_term() {
    let ground = Ground::new().await;
    let before = put(&ground.place(&ground.engine()).await.unwrap(), "p").await.unwrap().revision;
    let after = put(&ground.place(&ground.engine()).await.unwrap(), "p").await.unwrap().revision;
    assert!(after > before && after.term() > before.term());
    assert_eq!(ground.standing(), (Epoch(2), Term(2)));
}

#[tokio::test]
async fn callers_that_are_refused_together_settle_once_and_none_of_them_notices() {
    let ground = Ground::new().await;
    let engine = ground.engine();
    let placed = ground.place(&engine).await.unwrap();
    put(&placed, "p").await.unwrap();
    ground.establish(&engine, 9, 40, ground.tables.owner()).await.unwrap();
    let writers = (0..32).map(|n| {
        let placed = Arc::clone(&placed);
        tokio::spawn(async move { put(&placed, &format!("p{n}")).await })
    });
    for writer in writers.collect::<Vec<_>>() {
        assert_eq!(writer.await.unwrap().unwrap().revision.term(), Term(40));
    }
    assert_eq!(ground.standing(), (Epoch(9), Term(40)));
    assert_eq!(placed.epoch(), Epoch(9));
    let fresh = put(&ground.place(&ground.engine()).await.unwrap(), "p").await.unwrap().revision;
    assert!(fresh.term().0 > 40 + TERMS_SKIPPED, "{fresh:?}");
}

#[tokio::test]
async fn a_space_of_another_installation_is_refused() {
    let ground = Ground::new().await;
    let engine = ground.engine();
    ground.establish(&engine, 3, 3, Owner([9; 16])).await.unwrap();
    assert_eq!(ground.place(&engine).await.unwrap_err().kind(), Kind::Refused);
}

#[tokio::test]
async fn only_a_definite_refusal_is_sent_again_and_not_for_ever() {
    let ground = Ground::new().await;
    let engine = ground.engine();
    let faulty =
        Arc::new(Faulty { inner: Arc::clone(&engine), answer: Mutex::new(None), calls: AtomicUsize::new(0) });
    let placed = ground.place_through(Arc::clone(&faulty) as _, &engine).await.unwrap();
    let failures: [(fn() -> Error, usize); 3] = [
        (|| Error::new(Kind::Unavailable, "away").with_outcome(Outcome::Unknown), 1),
        (|| Error::new(Kind::Overloaded, "full"), 1),
        (|| Error::moved(None), 4),
    ];
    for (failure, calls) in failures {
        faulty.calls.store(0, Ordering::SeqCst);
        *faulty.answer.lock() = Some(failure);
        assert_eq!(put(&placed, "p").await.unwrap_err().kind(), failure().kind());
        assert_eq!(faulty.calls.load(Ordering::SeqCst), calls, "{:?}", failure());
    }
    *faulty.answer.lock() = None;
    assert!(put(&placed, "p").await.is_ok());
}

#[tokio::test]
async fn fenced_reads_learn_too() {
    let ground = Ground::new().await;
    let engine = ground.engine();
    let placed = ground.place(&engine).await.unwrap();
    put(&placed, "p").await.unwrap();
    assert!(placed.get(&Cx::new().fenced(), &address("p")).await.unwrap().is_some());
}

/// The engine behind a line that answers every commit with the same failure.
#[derive(Debug)]
struct Faulty {
    inner: Arc<MemoryEngine>,
    answer: Mutex<Option<fn() -> Error>>,
    calls: AtomicUsize,
}

#[async_trait]
impl Engine for Faulty {
    fn description(&self) -> &Description {
        self.inner.description()
    }

    async fn fetch(&self, cx: &Cx, wanted: &[Address]) -> Result<Vec<Option<Item>>> {
        self.inner.fetch(cx, wanted).await
    }

    async fn list(&self, cx: &Cx, at: &Place, ranges: &[Range]) -> Result<Vec<Page>> {
        self.inner.list(cx, at, ranges).await
    }

    async fn commit(&self, cx: &Cx, at: &Place, commit: &Commit) -> Result<Receipt> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let answer = *self.answer.lock();
        match answer {
            Some(failure) => Err(failure()),
            None => self.inner.commit(cx, at, commit).await,
        }
    }

    async fn scan(&self, cx: &Cx, scan: &Scan) -> Result<ScanPage> {
        self.inner.scan(cx, scan).await
    }

    async fn probe(&self, cx: &Cx) -> Result<Probe> {
        self.inner.probe(cx).await
    }
}
