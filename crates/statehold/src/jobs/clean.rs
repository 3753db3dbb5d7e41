//! Removes the state of deleted namespaces, a page at a time.

use std::collections::HashMap;

use statehold_core::{
    Commit, Cx, Engine, Error, Kind, Namespace, Partition, Place, Result, Scan, Scanned, View,
};
use statehold_journal::control::Placement;
use statehold_moves::placement::Placed;
use tokio_util::sync::CancellationToken;

use super::Ground;
use super::run::Done;

/// Most scans of a space that is being emptied, in one run.
const PASSES_MAX: usize = 8;

pub(super) async fn run(ground: &Ground, stop: &CancellationToken) -> Done {
    let mut done = Done::default();
    for namespace in ground.tables.namespaces_to_remove() {
        done.add(remove(ground, &namespace, stop).await);
    }
    done
}

/// Removes every item of a namespace, and then the namespace.
async fn remove(ground: &Ground, namespace: &Namespace, stop: &CancellationToken) -> Result<u64> {
    let placements = ground.tables.placements().await?;
    let mut removed = 0;
    for placement in placements.iter().filter(|placement| placement.space.namespace() == namespace) {
        removed += empty(ground, placement, stop).await?;
    }
    if !stop.is_cancelled() {
        ground.homes.forget(namespace);
        ground.tables.forget_namespace(namespace).await?;
    }
    Ok(removed)
}

async fn empty(ground: &Ground, placement: &Placement, stop: &CancellationToken) -> Result<u64> {
    let placed = ground.homes.placed_apart(placement).await?;
    // Whoever still holds one of its stores writes nothing behind the scan's back.
    placed.fence_out().await?;
    let mut removed = 0;
    // Again until nothing is left: an item may expire between a page and its commit.
    for _ in 0..PASSES_MAX {
        match empty_once(ground, &placed, stop).await? {
            0 => return Ok(removed),
            some => removed += some,
        }
        if stop.is_cancelled() {
            return Ok(removed);
        }
    }
    Err(Error::new(Kind::Unavailable, "the namespace's state does not go"))
}

/// Removes what one scan of a space finds: live items, and expired ones, which the namesake of a space that observes
/// expiry would be told of.
async fn empty_once(ground: &Ground, placed: &Placed, stop: &CancellationToken) -> Result<u64> {
    let (cx, space) = (Cx::new(), placed.space());
    let mut scan = Scan::new(space, View::Raw);
    let mut removed = 0;
    while !stop.is_cancelled() {
        let page = placed.scan(&cx, &scan).await?;
        let now = ground.clock.now();
        let mut found: HashMap<Partition, Commit> = HashMap::new();
        for Scanned { partition, key, state, .. } in page.items {
            let Some(item) = key.id().filter(|_| state.body.is_some()) else { continue };
            removed += 1;
            let commit = found.remove(&partition).unwrap_or_default();
            let commit = match state.live(now) {
                Some(_) => commit.delete(item),
                None => commit.reap(item, state.revision),
            };
            found.insert(partition, commit);
        }
        for (partition, commit) in found {
            placed.commit(&cx, &Place::new(space, partition), &commit).await?;
        }
        match page.cursor {
            Some(cursor) => scan.cursor = Some(cursor),
            None => break,
        }
    }
    Ok(removed)
}
