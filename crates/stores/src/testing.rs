//! Homes for the tests of stores: a space that is open at epoch 0 on a bare engine, and a clock turned by hand.

use std::sync::Arc;

use statehold_core::{
    Control, Cx, Engine, Epoch, ManualClock, Movable, Namespace, Owner, Revision, Role, Space, StoreName,
    Term, Time, Traits,
};
use statehold_engines::memory::{MemoryConfig, MemoryEngine};
use statehold_engines::sql::{EmbeddedConfig, EmbeddedEngine};
use tempfile::TempDir;

use crate::Home;

/// A store's home on the memory engine, and the clock that both go by.
pub(crate) async fn memory_home(store: &str, traits: Traits) -> (Home, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::default());
    let engine = MemoryEngine::new(MemoryConfig::default(), Arc::clone(&clock) as _);
    (open(engine, store, traits, &clock).await, clock)
}

/// A store's home on the embedded engine, its clock, and the directory that holds the file while it is kept.
pub(crate) async fn embedded_home(store: &str, traits: Traits) -> (Home, Arc<ManualClock>, TempDir) {
    let clock = Arc::new(ManualClock::default());
    let directory = tempfile::tempdir().expect("a temporary directory");
    let engine = embedded_engine(&directory, &clock, 0);
    (open(engine, store, traits, &clock).await, clock, directory)
}

/// The embedded engine on the file of a directory.
pub(crate) fn embedded_engine(
    directory: &TempDir,
    clock: &Arc<ManualClock>,
    opens_noted: u64,
) -> Arc<EmbeddedEngine> {
    let config = EmbeddedConfig::at("embedded", directory.path().join("state.db"));
    EmbeddedEngine::open(EmbeddedConfig { opens_noted, ..config }, Arc::clone(clock) as _)
        .expect("a new file opens")
}

/// A store's home on an engine, its space established and open.
pub(crate) async fn open<E: Engine + Movable>(
    engine: Arc<E>,
    store: &str,
    traits: Traits,
    clock: &Arc<ManualClock>,
) -> Home {
    let space = space(store, traits);
    let cx = Cx::new();
    let bucket = space.all_buckets().next().expect("a space has a bucket");
    let incarnation = engine.incarnation(&cx, &space, &[bucket]).await.expect("asked")[0];
    let control = Control {
        role: Role::Open,
        epoch: Epoch(0),
        term: Term(1),
        marking: false,
        floor: Revision::ZERO,
        time_floor: Time::from_micros(0),
        incarnation,
        owner: Owner::default(),
        move_id: None,
    };
    engine.establish(&cx, &space, &control).await.expect("a new space is established");
    Home::new(engine, space, Arc::clone(clock) as _)
}

/// The space of a store of the namespace `shop`.
pub(crate) fn space(store: &str, traits: Traits) -> Space {
    let namespace = Namespace::new("shop").expect("a legal name");
    Space::new(namespace, StoreName::new(store).expect("a legal name")).with_traits(traits)
}
