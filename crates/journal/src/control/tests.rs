use std::sync::Arc;
use std::time::Duration;

use statehold_core::{Epoch, Kind, ManualClock, Space, StoreName, Term, Traits};
use statehold_sql::Options;

use super::*;

/// Control tables in a directory of their own, under a clock that stands still.
pub(super) struct Installed {
    pub(super) directory: tempfile::TempDir,
    pub(super) clock: Arc<ManualClock>,
    pub(super) tables: Arc<ControlTables>,
}

pub(super) async fn install() -> Installed {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::default());
    let tables = open(&directory, &clock).await;
    Installed { directory, clock, tables }
}

async fn open(directory: &tempfile::TempDir, clock: &Arc<ManualClock>) -> Arc<ControlTables> {
    let db = Database::open(&Options::at(directory.path().join("records.db"))).unwrap();
    statehold_sql::migrate(&db, STEPS, clock.now()).unwrap();
    ControlTables::open(db, Arc::clone(clock) as Arc<dyn Clock>, KeyHasher::new(&[7; 32])).await.unwrap()
}

impl Installed {
    /// As another process would.
    pub(super) async fn open_again(&self) -> Arc<ControlTables> {
        open(&self.directory, &self.clock).await
    }
}

fn name(name: &str) -> Namespace {
    Namespace::new(name).unwrap()
}

fn space() -> Space {
    let traits = Traits { ordered: true, unsynced: true, ..Traits::default() };
    Space::new(name("shop"), StoreName::new("cache").unwrap()).with_traits(traits)
}

#[tokio::test]
async fn an_installation_keeps_its_owner_and_begins_with_one_namespace() {
    let installed = install().await;
    let again = installed.open_again().await;
    assert_ne!(installed.tables.owner(), Owner::default());
    assert_eq!(installed.tables.owner(), again.owner());
    assert!(again.serves_namespace(&name("default")));
    assert_eq!(again.namespaces().len(), 1);
    assert_eq!(again.installed_at(), installed.clock.now());
}

#[tokio::test]
async fn a_deleted_namespace_serves_no_longer_and_is_forgotten_after_its_grace() {
    let installed = install().await;
    let tables = &installed.tables;
    tables.create_namespace(&name("shop")).await.unwrap();
    assert_eq!(tables.create_namespace(&name("shop")).await.unwrap_err().kind(), Kind::Conflict);
    tables.place(&space(), &Arc::from("main")).await.unwrap();
    let marked = tables.delete_namespace(&name("shop")).await.unwrap();
    assert!(!tables.serves_namespace(&name("shop")));
    assert_eq!(tables.delete_namespace(&name("shop")).await.unwrap(), marked);
    assert_eq!(tables.create_namespace(&name("shop")).await.unwrap_err().kind(), Kind::Conflict);
    assert!(!tables.forget_namespace(&name("shop")).await.unwrap(), "not before its time");
    installed.clock.advance(NAMESPACE_GRACE);
    assert_eq!(tables.namespaces_to_remove(), [name("shop")]);
    assert!(tables.forget_namespace(&name("shop")).await.unwrap());
    assert!(tables.placements().await.unwrap().is_empty());
    tables.create_namespace(&name("shop")).await.unwrap();
    assert_eq!(tables.delete_namespace(&name("other")).await.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn a_placement_stays_where_it_was_first_put() {
    let installed = install().await;
    let tables = &installed.tables;
    let placed = tables.place(&space(), &Arc::from("main")).await.unwrap();
    assert_eq!((placed.epoch, placed.term), (Epoch(0), Term(0)));
    let again = tables.place(&space(), &Arc::from("other")).await.unwrap();
    assert_eq!(again, placed);
    let resynced = space().with_traits(Traits { ordered: true, ..Traits::default() });
    assert_eq!(tables.place(&resynced, &Arc::from("main")).await.unwrap().space.traits(), resynced.traits());
    let unordered = space().with_traits(Traits::default());
    let refused = tables.place(&unordered, &Arc::from("main")).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Unsupported);
}

#[tokio::test]
async fn of_two_that_advance_a_placement_one_wins_and_terms_are_never_drawn_twice() {
    let installed = install().await;
    let elsewhere = installed.open_again().await;
    let known = installed.tables.place(&space(), &Arc::from("main")).await.unwrap();
    let none = (Epoch(0), Term(0));
    let won = installed.tables.advance_placement(&known, none).await.unwrap().unwrap();
    assert_eq!((won.epoch, won.term), (Epoch(1), Term(1)));
    assert_eq!(elsewhere.advance_placement(&known, none).await.unwrap(), None);
    let next = elsewhere.advance_placement(&won, (Epoch(7), Term(40))).await.unwrap().unwrap();
    assert_eq!(next.epoch, Epoch(8));
    assert!(next.term > Term(40));
    let adopted = (Epoch(20), Term(500));
    assert!(installed.tables.adopt_placement(&next, adopted.0, adopted.1).await.unwrap());
    let known = installed.tables.placement(&space()).unwrap().unwrap();
    assert_eq!((known.epoch, known.term), adopted);
    let after = installed.tables.advance_placement(&known, none).await.unwrap().unwrap();
    assert!(after.term.0 > 500 + TERMS_SKIPPED);
    let later = (Epoch(after.epoch.0 + 1), after.term);
    assert!(!installed.tables.adopt_placement(&after, later.0, later.1).await.unwrap(), "a term of ours");
    let after = Placement { epoch: later.0, ..after };
    installed.tables.skip_terms().await.unwrap();
    let skipped = installed.tables.advance_placement(&after, none).await.unwrap().unwrap();
    assert!(skipped.term.0 > after.term.0 + TERMS_SKIPPED);
}

#[tokio::test]
async fn the_note_of_opens_never_falls() {
    let installed = install().await;
    assert_eq!(installed.tables.noted_opens("main").await.unwrap(), 0);
    installed.tables.note_opens("main", 5).await.unwrap();
    installed.tables.note_opens("main", 3).await.unwrap();
    assert_eq!(installed.tables.noted_opens("main").await.unwrap(), 5);
}

#[tokio::test]
async fn the_last_run_of_a_job_and_its_last_success_are_kept() {
    let installed = install().await;
    let tables = &installed.tables;
    let began = installed.clock.now();
    let took = Duration::from_millis(3);
    tables.note_job_run("sweep", began, took, 4, None).await.unwrap();
    installed.clock.advance(Duration::from_mins(1));
    tables.note_job_run("sweep", installed.clock.now(), took, 0, Some("away")).await.unwrap();
    let runs = tables.job_runs().await.unwrap();
    let [run] = &runs[..] else { panic!("{runs:?}") };
    assert_eq!((run.trouble.as_deref(), run.runs, run.succeeded_at), (Some("away"), 2, Some(began)));
    assert_eq!(run.started_at, installed.clock.now());
}
