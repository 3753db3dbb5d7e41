//! Removes what has expired and counts what is there, in bounded steps beside the traffic.

use std::collections::HashMap;

use metrics::gauge;
use parking_lot::Mutex;
use statehold_core::{Bucket, Cx, Engine, Error, Result, Scan, View};
use statehold_journal::control::Placement;
use statehold_stores::sessions::{SessionError, Sessions};
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
    for placement in &placements {
        if stop.is_cancelled() {
            break;
        }
        if !ground.tables.serves_namespace(placement.space.namespace()) {
            continue;
        }
        done.add(expire(ground, placement).await);
        done.add(count(ground, counts, placement, stop).await.map(|()| 0));
    }
    counts.tell();
    done
}

/// Removes what expired in a space that observes it. Elsewhere engines remove it by themselves.
async fn expire(ground: &Ground, placement: &Placement) -> Result<u64> {
    if placement.space.store().as_str() != Sessions::STORE {
        return Ok(0);
    }
    let sessions = ground.homes.sessions(placement.space.namespace()).await?;
    match sessions.sweep(&Cx::new()).await {
        Ok(swept) => Ok(swept.items),
        Err(SessionError::Engine(error)) => Err(error),
        Err(other) => Err(Error::internal("the sweep of sessions failed").caused_by(other)),
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
