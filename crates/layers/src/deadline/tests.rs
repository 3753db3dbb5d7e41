//! The deadline layer around an engine that answers when it is told to.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use async_trait::async_trait;
use statehold_core::{
    Address, Commit, Cx, Description, Durability, EngineKind, Guarantees, Item, Kind, Namespace, Outcome,
    Page, Partition, Place, Probe, Range, Receipt, Replication, Result, Revision, Scan, ScanPage, Space,
    StoreName, View,
};
use tokio::sync::Semaphore;

use super::*;

/// Every call waits for a permit; commits are counted when they begin and when they end.
#[derive(Debug)]
struct Gate {
    description: Description,
    open: Semaphore,
    begun: AtomicUsize,
    ended: AtomicUsize,
    ends: Semaphore,
    last: Mutex<Option<Commit>>,
}

impl Gate {
    fn new(kind: EngineKind) -> Arc<Self> {
        let guarantees = Guarantees {
            durability: Durability::Synced,
            replication: Replication::None,
            shared: false,
            evicts: false,
            clock_skew_max: Duration::ZERO,
            staleness_max: Duration::ZERO,
            commit_memory: Duration::from_mins(10),
        };
        let description = Description { name: "gate".into(), kind, guarantees, value_bytes_max: 1 };
        Arc::new(Self {
            description,
            open: Semaphore::new(0),
            begun: AtomicUsize::new(0),
            ended: AtomicUsize::new(0),
            ends: Semaphore::new(0),
            last: Mutex::default(),
        })
    }

    async fn pass(&self) {
        self.open.acquire().await.expect("the gate is never closed for good").forget();
    }
}

#[async_trait]
impl Engine for Gate {
    fn description(&self) -> &Description {
        &self.description
    }

    async fn fetch(&self, _: &Cx, wanted: &[Address]) -> Result<Vec<Option<Item>>> {
        self.pass().await;
        Ok(vec![None; wanted.len()])
    }

    async fn list(&self, _: &Cx, _: &Place, _: &[Range]) -> Result<Vec<Page>> {
        self.pass().await;
        Ok(Vec::new())
    }

    async fn commit(&self, _: &Cx, _: &Place, commit: &Commit) -> Result<Receipt> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        self.pass().await;
        *self.last.lock().unwrap() = Some(commit.clone());
        self.ended.fetch_add(1, Ordering::SeqCst);
        self.ends.add_permits(1);
        Ok(Receipt { revision: Revision::ZERO, outcomes: Vec::new(), replayed: false })
    }

    async fn scan(&self, _: &Cx, _: &Scan) -> Result<ScanPage> {
        self.pass().await;
        Ok(ScanPage::default())
    }

    async fn probe(&self, _: &Cx) -> Result<Probe> {
        self.pass().await;
        Ok(Probe::default())
    }
}

fn place() -> Place {
    let space = Space::new(Namespace::new("n").unwrap(), StoreName::new("s").unwrap());
    Place::new(&space, Partition::new("p").unwrap())
}

fn around(gate: &Arc<Gate>) -> Arc<dyn Engine> {
    DeadlineLayer::new(Duration::from_mins(1)).wrap(Arc::clone(gate) as Arc<dyn Engine>)
}

fn over() -> Cx {
    Cx { deadline: Some(Instant::now()), ..Cx::new() }
}

fn soon() -> Cx {
    Cx::new().within(Duration::from_millis(5))
}

/// Every verb by itself, so that none falls through.
async fn each_verb(engine: &dyn Engine, cx: impl Fn() -> Cx) -> Vec<(&'static str, Result<()>)> {
    let place = place();
    let scan = Scan::new(&place.space, View::Live);
    vec![
        ("fetch", engine.fetch(&cx(), &[place.item("i")]).await.map(drop)),
        ("list", engine.list(&cx(), &place, &[Range::all()]).await.map(drop)),
        ("commit", engine.commit(&cx(), &place, &Commit::new().delete("i")).await.map(drop)),
        ("scan", engine.scan(&cx(), &scan).await.map(drop)),
        ("probe", engine.probe(&cx()).await.map(drop)),
    ]
}

#[tokio::test]
async fn what_is_late_at_the_door_does_not_begin() {
    for kind in [EngineKind::Memory, EngineKind::Embedded] {
        let gate = Gate::new(kind);
        gate.open.add_permits(5);
        for (verb, answer) in each_verb(&*around(&gate), over).await {
            let error = answer.expect_err(verb);
            assert_eq!((error.kind(), error.outcome()), (Kind::Deadline, Outcome::NoEffect), "{verb}");
            assert_eq!((error.operation(), error.engine()), (verb, Some("gate")));
        }
        assert_eq!(gate.begun.load(Ordering::SeqCst), 0);
        assert_eq!(gate.open.available_permits(), 5, "no call reached the engine");
    }
}

#[tokio::test]
async fn what_is_in_time_passes() {
    let gate = Gate::new(EngineKind::Embedded);
    gate.open.add_permits(10);
    for cx in [Cx::new, || Cx::new().within(Duration::from_mins(1))] {
        for (verb, answer) in each_verb(&*around(&gate), cx).await {
            assert!(answer.is_ok(), "{verb}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn what_runs_too_long_ends_and_a_commit_is_unknown() {
    let gate = Gate::new(EngineKind::Embedded);
    for (verb, answer) in each_verb(&*around(&gate), soon).await {
        let error = answer.expect_err(verb);
        let outcome = if verb == "commit" { Outcome::Unknown } else { Outcome::NoEffect };
        assert_eq!((error.kind(), error.outcome()), (Kind::Deadline, outcome), "{verb}");
    }
}

#[tokio::test]
async fn the_engine_has_a_longest_time_of_its_own() {
    let gate = Gate::new(EngineKind::Embedded);
    let engine = DeadlineLayer::new(Duration::from_millis(5)).wrap(Arc::clone(&gate) as Arc<dyn Engine>);
    let error = engine.probe(&Cx::new()).await.expect_err("the gate is shut");
    assert_eq!(error.kind(), Kind::Deadline);
}

#[tokio::test]
async fn a_commit_that_began_runs_to_its_end() {
    let gate = Gate::new(EngineKind::Embedded);
    let engine = around(&gate);
    let commit = Commit::new().delete("wanted");
    let error = engine.commit(&soon(), &place(), &commit).await.expect_err("the gate is shut");
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert_eq!((gate.begun.load(Ordering::SeqCst), gate.ended.load(Ordering::SeqCst)), (1, 0));
    gate.open.add_permits(1);
    gate.ends.acquire().await.unwrap().forget();
    assert_eq!(gate.last.lock().unwrap().as_ref(), Some(&commit));
}

#[tokio::test]
async fn a_commit_outlives_a_caller_who_left() {
    let gate = Gate::new(EngineKind::Embedded);
    let engine = around(&gate);
    let caller =
        tokio::spawn(async move { engine.commit(&Cx::new(), &place(), &Commit::new().delete("i")).await });
    while gate.begun.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    gate.open.add_permits(1);
    gate.ends.acquire().await.unwrap().forget();
    assert_eq!(gate.ended.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_commit_that_was_never_polled_does_not_begin() {
    let gate = Gate::new(EngineKind::Embedded);
    let engine = around(&gate);
    let place = place();
    let commit = Commit::new().delete("i");
    drop(engine.commit(&Cx::new(), &place, &commit));
    gate.open.add_permits(1);
    tokio::task::yield_now().await;
    assert_eq!(gate.begun.load(Ordering::SeqCst), 0);
}

#[test]
fn it_stands_in_its_slot() {
    assert_eq!(DeadlineLayer::new(Duration::ZERO).slot(), Slot::Deadline);
}
