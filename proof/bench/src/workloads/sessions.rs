//! G8: session validate in the crate beside our own fetch of the same three items through the same stack.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use parking_lot::Mutex;
use statehold_core::{
    Address, Clock, Commit, Cx, Description, Engine, Epoch, Item, Page, Place, Probe, Range, Receipt, Result,
    Scan, ScanPage, Space, StackBuilder, StoreName,
};
use statehold_engines::sql::{EmbeddedConfig, EmbeddedEngine, Synchronous};
use statehold_layers::{DeadlineLayer, MetricsLayer};
use statehold_stores::Home;
use statehold_stores::limits;
use statehold_stores::sessions::policy::Policies;
use statehold_stores::sessions::{NewSession, SessionKeys, SessionKind, Sessions};
use statehold_stores::value::Id;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use super::Workload;
use super::embedded::directory;
use super::home::{BenchClock, establish_at, space};
use super::system::install_metrics;
use crate::error::BenchError;
use crate::measure::{Random, Side, Turn, compare};
use crate::options::Options;
use crate::report::Outcome;

/// Items that the options ask for, per session: a record, a mark, and room for what a session may have.
const ITEMS_PER_SESSION: usize = 10;
/// The longest time of an engine's call, as the product has it.
const CALL_MAX: Duration = Duration::from_secs(5);

/// One session and what validating it reads.
struct Known {
    token: String,
    reads: Vec<Address>,
}

struct Filled {
    runtime: Runtime,
    engine: Arc<EmbeddedEngine>,
    stack: Arc<dyn Engine>,
    store: Arc<Sessions>,
    known: Arc<Vec<Known>>,
    tasks: usize,
    _directory: TempDir,
}

#[derive(Clone, Copy)]
enum Call {
    Validate,
    Fetch,
}

impl Filled {
    fn open(options: &Options) -> Result<Self, BenchError> {
        install_metrics();
        let runtime = Builder::new_multi_thread().worker_threads(options.threads).enable_time().build()?;
        let directory = directory(options)?;
        let clock = BenchClock::start();
        let config = EmbeddedConfig {
            synchronous: Synchronous::Full,
            readers: 2,
            ..EmbeddedConfig::at("bench", directory.path().join("state.db"))
        };
        let engine = EmbeddedEngine::open(config, Arc::clone(&clock))?;
        let layered = StackBuilder::new(Arc::clone(&engine) as _)
            .layer(MetricsLayer)
            .layer(DeadlineLayer::new(CALL_MAX))
            .build()?;
        let stack = layered.engine();
        let space = Space::new(space()?.namespace().clone(), StoreName::new(Sessions::STORE)?);
        let space = space.with_traits(Sessions::TRAITS);
        // Stores leave the epoch to placement, which is not measured here.
        runtime.block_on(establish_at(&*engine, &space, Epoch(0)))?;
        let watched = Arc::new(Watched { inner: Arc::clone(&stack), reads: Mutex::default() });
        let filling = sessions(Arc::clone(&watched) as _, &space, &clock);
        let count = options.items / ITEMS_PER_SESSION;
        let known = runtime.block_on(fill(&filling, &watched, count))?;
        let store = Arc::new(sessions(Arc::clone(&stack), &space, &clock));
        let tasks = options.tasks;
        Ok(Self { runtime, engine, stack, store, known: Arc::new(known), tasks, _directory: directory })
    }

    /// Every task calls again as soon as it was answered.
    fn turn(&self, span: Duration, call: Call) -> Result<Turn, BenchError> {
        let began = Instant::now();
        let operations = self.runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for task in 0..self.tasks {
                let (stack, store) = (Arc::clone(&self.stack), Arc::clone(&self.store));
                let known = Arc::clone(&self.known);
                tasks.spawn(async move {
                    let mut random = Random::seeded(task as u64 + 1);
                    let mut operations = 0_u64;
                    while began.elapsed() < span {
                        let known = &known[(random.next() % known.len() as u64) as usize];
                        one(&*stack, &store, known, call).await?;
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

fn sessions(engine: Arc<dyn Engine>, space: &Space, clock: &Arc<dyn Clock>) -> Sessions {
    let home = Home::new(engine, space.clone(), Arc::clone(clock));
    Sessions::new(home, SessionKeys::new(&[7; 32]), Policies::default(), limits::Policies::default())
}

async fn one(stack: &dyn Engine, store: &Sessions, known: &Known, call: Call) -> Result<(), BenchError> {
    let cx = Cx::new();
    match call {
        // The use is not noted: a write every few seconds per session is another workload.
        Call::Validate => {
            let context = store.validate(&cx, &known.token, None, false).await;
            context.map_err(BenchError::system)?;
        }
        Call::Fetch => {
            let found = stack.fetch(&cx, &known.reads).await?;
            assert!(found[0].is_some(), "every session was filled in");
        }
    }
    Ok(())
}

/// One session for each owner, and what the store itself reads to validate it.
async fn fill(store: &Sessions, watched: &Watched, count: usize) -> Result<Vec<Known>, BenchError> {
    let cx = Cx::new();
    let mut known = Vec::with_capacity(count);
    for n in 0..count {
        let owner = Id::new(format!("owner-{n:08}")).map_err(BenchError::system)?;
        let new = NewSession::new(SessionKind::User, owner);
        let created = store.create(&cx, &new).await.map_err(BenchError::system)?;
        let token = created.token.expose().as_str().to_owned();
        watched.reads.lock().clear();
        store.validate(&cx, &token, None, false).await.map_err(BenchError::system)?;
        let mut reads = std::mem::take(&mut *watched.reads.lock());
        assert_eq!(reads.len(), 1, "a validation is one round trip");
        known.extend(reads.pop().map(|reads| Known { token, reads }));
    }
    Ok(known)
}

/// An engine that remembers what it was asked to fetch.
#[derive(Debug)]
struct Watched {
    inner: Arc<dyn Engine>,
    reads: Mutex<Vec<Vec<Address>>>,
}

#[async_trait]
impl Engine for Watched {
    fn description(&self) -> &Description {
        self.inner.description()
    }

    async fn fetch(&self, cx: &Cx, wanted: &[Address]) -> Result<Vec<Option<Item>>> {
        self.reads.lock().push(wanted.to_vec());
        self.inner.fetch(cx, wanted).await
    }

    async fn list(&self, cx: &Cx, at: &Place, ranges: &[Range]) -> Result<Vec<Page>> {
        self.inner.list(cx, at, ranges).await
    }

    async fn commit(&self, cx: &Cx, at: &Place, commit: &Commit) -> Result<Receipt> {
        self.inner.commit(cx, at, commit).await
    }

    async fn scan(&self, cx: &Cx, scan: &Scan) -> Result<ScanPage> {
        self.inner.scan(cx, scan).await
    }

    async fn probe(&self, cx: &Cx) -> Result<Probe> {
        self.inner.probe(cx).await
    }
}

pub(super) fn validate(workload: &'static Workload, options: &Options) -> Result<Outcome, BenchError> {
    let filled = Filled::open(options)?;
    let sides = vec![
        Side::new("validate", None, |span| filled.turn(span, Call::Validate)),
        Side::new("fetch of the same three items", Some(0.85), |span| filled.turn(span, Call::Fetch)),
    ];
    compare(workload, options, sides)
}
