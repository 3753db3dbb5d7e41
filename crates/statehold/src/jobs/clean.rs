//! Removes the state of deleted namespaces, a page at a time.

use std::collections::HashMap;

use statehold_core::{Commit, Cx, Engine, ItemId, Namespace, Partition, Place, Result, Scan, View};
use statehold_journal::control::Placement;
use tokio_util::sync::CancellationToken;

use super::Ground;
use super::run::Done;

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
    let placed = ground.homes.placed(placement).await?;
    let cx = Cx::new();
    let mut scan = Scan::new(&placement.space, View::Live);
    let mut removed = 0;
    while !stop.is_cancelled() {
        let page = placed.scan(&cx, &scan).await?;
        let mut found: HashMap<Partition, Vec<ItemId>> = HashMap::new();
        for item in page.items {
            if let Some(id) = item.key.id() {
                found.entry(item.partition).or_default().push(id);
            }
        }
        for (partition, items) in found {
            removed += items.len() as u64;
            let commit = items.into_iter().fold(Commit::new(), Commit::delete);
            placed.commit(&cx, &Place::new(&placement.space, partition), &commit).await?;
        }
        match page.cursor {
            Some(cursor) => scan.cursor = Some(cursor),
            None => break,
        }
    }
    Ok(removed)
}
