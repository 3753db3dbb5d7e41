//! Homes for the tests of stores: a space that is open at epoch 0 on a bare engine, and a clock turned by hand.

use std::sync::Arc;

use statehold_core::{
    Control, Cx, Engine, Epoch, ManualClock, Movable, Namespace, Owner, Revision, Role, Space, StoreName,
    Term, Time, Traits,
};
use statehold_engines::memory::{MemoryConfig, MemoryEngine};

use crate::Home;

/// A store's home on the memory engine, and the clock that both go by.
pub(crate) async fn memory_home(store: &str, traits: Traits) -> (Home, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::default());
    let engine = MemoryEngine::new(MemoryConfig::default(), Arc::clone(&clock) as _);
    (open(engine, store, traits, &clock).await, clock)
}

/// A store's home on an engine, its space established and open.
pub(crate) async fn open<E: Engine + Movable>(
    engine: Arc<E>,
    store: &str,
    traits: Traits,
    clock: &Arc<ManualClock>,
) -> Home {
    let namespace = Namespace::new("shop").expect("a legal name");
    let space = Space::new(namespace, StoreName::new(store).expect("a legal name")).with_traits(traits);
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
