//! Every law, by group.

mod announce;
mod basics;
mod bounds;
mod carry;
mod checks;
mod deadline;
mod errors;
mod fence;
mod list;
mod marks;
mod race;
mod replay;
mod restart;
mod revision;
mod scan;
mod take;

use std::sync::Arc;

use statehold_core::{Cx, Durability, Engine, Scan, Scanned, Slot, Space, View};

use crate::breach::{LawResult, ensure};
use crate::law::{Applies, Law, Offer};

/// Every law there is.
pub fn all() -> impl Iterator<Item = &'static Law> {
    [
        basics::LAWS,
        checks::LAWS,
        race::LAWS,
        revision::LAWS,
        deadline::LAWS,
        list::LAWS,
        scan::LAWS,
        replay::LAWS,
        take::LAWS,
        announce::LAWS,
        errors::LAWS,
        restart::LAWS,
        fence::LAWS,
        marks::LAWS,
        carry::LAWS,
        bounds::LAWS,
    ]
    .into_iter()
    .flatten()
}

/// Every engine promises it.
fn always(_: &Offer) -> Applies {
    Applies::Yes
}

/// Engines whose commits can be heard promise it.
fn where_heard(offer: &Offer) -> Applies {
    if offer.signals { Applies::Yes } else { Applies::No("its commits cannot be heard") }
}

/// Engines that keep what a process kill meets promise it.
fn where_kept(offer: &Offer) -> Applies {
    match offer.guarantees.durability {
        Durability::Volatile => Applies::No("it is volatile: a restart begins with nothing"),
        Durability::Buffered | Durability::Synced => Applies::Yes,
    }
}

/// Engines whose history no kill puts in doubt promise it.
fn where_synced(offer: &Offer) -> Applies {
    match offer.guarantees.durability {
        Durability::Volatile => Applies::No("it is volatile: a restart begins with nothing"),
        Durability::Buffered => Applies::No("a kill gives it another incarnation, which voids every control"),
        Durability::Synced => Applies::Yes,
    }
}

/// Stacks with the deadline layer promise it.
fn where_timed(offer: &Offer) -> Applies {
    if offer.slots.contains(&Slot::Deadline) {
        Applies::Yes
    } else {
        Applies::No("the deadline layer, which ends calls in time, is not part of it")
    }
}

/// A check as a law keeps it.
macro_rules! check {
    ($check:ident) => {
        |rig| Box::pin($check(rig))
    };
}
use check;

/// Everything that a scan of a whole space finds, page by page.
async fn every_item(engine: &Arc<dyn Engine>, space: &Space, view: View) -> LawResult<Vec<Scanned>> {
    every_page(engine, Scan::new(space, view)).await
}

/// Everything that a scan finds, page by page.
async fn every_page(engine: &Arc<dyn Engine>, mut scan: Scan) -> LawResult<Vec<Scanned>> {
    const PAGES_MAX: usize = 10_000;
    let mut found = Vec::new();
    for _ in 0..PAGES_MAX {
        let page = engine.scan(&Cx::new(), &scan).await?;
        ensure!(page.items.len() <= scan.limit, "a page of {} holds {} items", scan.limit, page.items.len());
        found.extend(page.items);
        // Lets writers in, also where the engine never waits.
        tokio::task::yield_now().await;
        match page.cursor {
            Some(cursor) => scan.cursor = Some(cursor),
            None => return Ok(found),
        }
    }
    Err(crate::Breach::Broken(format!("a scan did not end after {PAGES_MAX} pages")))
}
