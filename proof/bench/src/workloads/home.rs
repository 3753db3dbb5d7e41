//! A space that is open at an engine, and its items.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use statehold_core::{
    Address, Clock, Control, Cx, Epoch, Movable, Namespace, Owner, Partition, Place, Result, Revision, Role,
    Space, StoreName, Term, Time,
};

/// The time since the bench began, on the monotonic clock: costs what the real clock costs.
#[derive(Debug)]
pub(super) struct BenchClock(Instant);

impl BenchClock {
    pub(super) fn start() -> Arc<dyn Clock> {
        Arc::new(Self(Instant::now()))
    }
}

impl Clock for BenchClock {
    fn now(&self) -> Time {
        Time::from_millis(1_700_000_000_000).plus(self.0.elapsed())
    }
}

/// The space of a workload.
pub(super) fn space() -> Result<Space> {
    Ok(Space::new(Namespace::new("bench")?, StoreName::new("items")?))
}

/// Opens the space at an engine, as the control tables would.
pub(super) async fn establish(engine: &dyn Movable, space: &Space) -> Result<()> {
    establish_at(engine, space, Epoch(1)).await
}

/// The same at an epoch.
pub(super) async fn establish_at(engine: &dyn Movable, space: &Space, epoch: Epoch) -> Result<()> {
    let cx = Cx::new();
    let buckets: Vec<_> = space.all_buckets().take(1).collect();
    let incarnation = engine.incarnation(&cx, space, &buckets).await?[0];
    let control = Control {
        role: Role::Open,
        epoch,
        term: Term(1),
        marking: false,
        floor: Revision::ZERO,
        time_floor: Time::default(),
        incarnation,
        owner: Owner([0; 16]),
        move_id: None,
    };
    engine.establish(&cx, space, &control).await
}

/// The address of the n-th item, `per_partition` of them in each partition.
pub(super) fn address(space: &Space, n: usize, per_partition: usize) -> Result<Address> {
    let partition = Partition::new(format!("partition-{:08}", n / per_partition))?;
    Ok(Place::new(space, partition).at(Epoch(1)).item(format!("item-{n:08}")))
}

/// The value of the n-th item.
pub(super) fn value(n: usize, bytes: usize) -> Bytes {
    let begin = n.to_le_bytes();
    Bytes::from((0..bytes).map(|at| begin[at % begin.len()] ^ at as u8).collect::<Vec<u8>>())
}
