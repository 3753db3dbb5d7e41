//! Removes what has expired and counts what is there, in bounded steps beside the traffic.

use std::collections::HashMap;

use metrics::{counter, gauge};
use parking_lot::Mutex;
use statehold_core::{Bucket, Cx, Engine, Error, Result, Scan, View};
use statehold_journal::control::Placement;
use statehold_stores::sessions::{Active, SessionError, Sessions};
use tokio_util::sync::CancellationToken;

use super::Ground;
use super::run::Done;

/// A space with at most so many items is counted whole in every run.
const COUNTED_WHOLE_MAX: u64 = 50_000;
/// Buckets of a larger space that are counted anew in one run; the other counts are of earlier runs.
const COUNTED_BUCKETS: usize = 16;

/// How many items each bucket of each space held when it was last counted.
#[derive(Debug, Default)]
pub(super) struct Counts(Mutex<HashMap<String, Space>>);

#[derive(Debug, Default)]
struct Space {
    store: String,
    buckets: Vec<u64>,
    next: usize,
}

pub(super) async fn run(ground: &Ground, counts: &Counts, stop: &CancellationToken) -> Done {
    let mut done = Done::default();
    done.add(ground.engines.sweep().await);
    let placements = match ground.tables.placements().await {
        Ok(placements) => placements,
        Err(error) => {
            done.add(Err(error));
            return done;
        }
    };
    counts.keep(&placements);
    let mut active = Active::default();
    for placement in &placements {
        if stop.is_cancelled() {
            break;
        }
        if !ground.tables.serves_namespace(placement.space.namespace()) {
            continue;
        }
        if placement.space.store().as_str() == Sessions::STORE {
            done.add(sweep_sessions(ground, placement, &mut active).await);
        }
        done.add(count(ground, counts, placement, stop).await.map(|()| 0));
    }
    active.publish();
    counts.tell();
    done
}

/// Removes the sessions that expired, which engines leave to their store, and adds up those that live.
async fn sweep_sessions(ground: &Ground, placement: &Placement, active: &mut Active) -> Result<u64> {
    let sessions = ground.homes.sessions(placement.space.namespace()).await?;
    let cx = Cx::new();
    let swept = sessions.sweep(&cx).await.map_err(engine_error)?;
    counter!("statehold_store_expired_total", "store" => Sessions::STORE).increment(swept.items);
    *active += sessions.count(&cx).await.map_err(engine_error)?;
    Ok(swept.items)
}

fn engine_error(error: SessionError) -> Error {
    match error {
        SessionError::Engine(error) => error,
        other => Error::internal("the sweep of sessions failed").caused_by(other),
    }
}

async fn count(
    ground: &Ground,
    counts: &Counts,
    placement: &Placement,
    stop: &CancellationToken,
) -> Result<()> {
    let placed = ground.homes.placed(placement).await?;
    for bucket in counts.wanted(placement) {
        let mut scan = Scan { buckets: vec![bucket], ..Scan::new(&placement.space, View::Live) };
        let mut items = 0;
        loop {
            let page = placed.scan(&Cx::new(), &scan).await?;
            items += page.items.iter().filter(|item| !item.key.is_receipt()).count() as u64;
            scan.cursor = page.cursor;
            if scan.cursor.is_none() {
                break;
            }
            if stop.is_cancelled() {
                return Ok(());
            }
        }
        counts.note(placement, bucket, items);
    }
    Ok(())
}

impl Counts {
    /// The buckets to count in this run.
    fn wanted(&self, placement: &Placement) -> Vec<Bucket> {
        let mut spaces = self.0.lock();
        let buckets = usize::from(placement.space.buckets());
        let space = spaces.entry(placement.space.key().to_owned()).or_default();
        let is_new = space.buckets.is_empty();
        space.buckets.resize(buckets, 0);
        placement.space.store().as_str().clone_into(&mut space.store);
        if is_new || space.buckets.iter().sum::<u64>() <= COUNTED_WHOLE_MAX {
            return placement.space.all_buckets().collect();
        }
        let from = space.next;
        space.next = (from + COUNTED_BUCKETS) % buckets;
        (from..from + COUNTED_BUCKETS.min(buckets)).map(|at| Bucket::new((at % buckets) as u16)).collect()
    }

    fn note(&self, placement: &Placement, bucket: Bucket, items: u64) {
        let mut spaces = self.0.lock();
        let space = spaces.get_mut(placement.space.key());
        if let Some(count) = space.and_then(|space| space.buckets.get_mut(usize::from(bucket.number()))) {
            *count = items;
        }
    }

    /// Forgets the spaces that are gone.
    fn keep(&self, placements: &[Placement]) {
        let mut spaces = self.0.lock();
        spaces.retain(|key, _| placements.iter().any(|placement| placement.space.key() == key));
    }

    /// Tells the metric of each store, over all namespaces.
    fn tell(&self) {
        let mut stores: HashMap<String, u64> = HashMap::new();
        for space in self.0.lock().values() {
            *stores.entry(space.store.clone()).or_default() += space.buckets.iter().sum::<u64>();
        }
        for (store, items) in stores {
            gauge!("statehold_store_items", "store" => store).set(items as f64);
        }
    }
}
