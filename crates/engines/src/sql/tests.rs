//! What users of the engine would notice across restarts, faults and limits.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use statehold_core::{
    Carried, CarryOutcome, Clock, Commit, CommitId, Control, Cx, Deadline, Engine, EngineExt, Epoch, Error,
    Form, Incarnation, Kind, ManualClock, Mark, MarkKind, Movable, MutationOutcome, Namespace, Outcome,
    Owner, Partition, PassId, Place, Range, Result, Revision, Role, Scan, Signal, Signals, Space, StoreName,
    Term, Time, Topic, Traits, View,
};
use statehold_sql::{Database, Options, SyncFault};
use tempfile::TempDir;

use super::{EmbeddedConfig, EmbeddedEngine, Synchronous};

struct Ground {
    directory: TempDir,
    clock: Arc<ManualClock>,
}

impl Ground {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), clock: Arc::default() }
    }

    fn config(&self) -> EmbeddedConfig {
        EmbeddedConfig::at("main", self.directory.path().join("data").join("state.db"))
    }

    fn open(&self) -> Arc<EmbeddedEngine> {
        self.open_as(self.config()).unwrap()
    }

    fn open_as(&self, config: EmbeddedConfig) -> Result<Arc<EmbeddedEngine>> {
        EmbeddedEngine::open(config, Arc::clone(&self.clock) as Arc<dyn Clock>)
    }

    /// What a start after a kill at this moment would find.
    fn crash_image(&self) -> Self {
        let image = Self { directory: tempfile::tempdir().unwrap(), clock: Arc::clone(&self.clock) };
        let (from, to) = (self.directory.path().join("data"), image.directory.path().join("data"));
        copy(&from, &to);
        image
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        if !entry.file_name().to_str().unwrap().ends_with("-shm") {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

fn space(traits: Traits) -> Space {
    Space::new(Namespace::new("shop").unwrap(), StoreName::new("sessions").unwrap()).with_traits(traits)
}

fn ordered() -> Space {
    space(Traits { ordered: true, ..Traits::default() })
}

fn unsynced() -> Space {
    space(Traits { unsynced: true, ..Traits::default() })
}

fn control(incarnation: Incarnation, term: u32) -> Control {
    Control {
        role: Role::Open,
        epoch: Epoch(0),
        term: Term(term),
        marking: false,
        floor: Revision::ZERO,
        time_floor: Time::default(),
        incarnation,
        owner: Owner([7; 16]),
        move_id: None,
    }
}

fn place(space: &Space, partition: &'static str) -> Place {
    Place::new(space, Partition::new(partition).unwrap())
}

async fn incarnation(engine: &EmbeddedEngine, space: &Space) -> Incarnation {
    engine.incarnation(&Cx::new(), space, &[place(space, "p").bucket]).await.unwrap()[0]
}

async fn establish(engine: &EmbeddedEngine, space: &Space, term: u32) {
    let control = control(incarnation(engine, space).await, term);
    engine.establish(&Cx::new(), space, &control).await.unwrap();
}

async fn put(
    engine: &EmbeddedEngine,
    at: &Place,
    item: &'static str,
    value: &'static str,
) -> Result<Revision> {
    let commit = Commit::new().put(item, value, None);
    engine.commit(&Cx::new(), at, &commit).await.map(|receipt| receipt.revision)
}

async fn get(engine: &EmbeddedEngine, at: &Place, item: &'static str) -> Option<Bytes> {
    engine.get(&Cx::new(), &at.item(item)).await.unwrap().map(|item| item.value)
}

fn kind_of<T: std::fmt::Debug>(result: Result<T>) -> (Kind, Outcome) {
    let error: Error = result.unwrap_err();
    (error.kind(), error.outcome())
}

#[tokio::test]
async fn a_restart_keeps_everything_and_reuses_no_revision() {
    let (ground, space) = (Ground::new(), ordered());
    let at = place(&space, "p");
    let engine = ground.open();
    establish(&engine, &space, 1).await;
    let first = put(&engine, &at, "a", "1").await.unwrap();
    let deleted = put(&engine, &at, "b", "2").await.unwrap();
    engine.commit(&Cx::new(), &at, &Commit::new().delete("b")).await.unwrap();
    let shown = incarnation(&engine, &space).await;
    let count = engine.open_count();
    engine.close();
    assert_eq!(kind_of(put(&engine, &at, "c", "3").await), (Kind::Unavailable, Outcome::NoEffect));
    drop(engine);

    let engine = ground.open();
    assert_eq!(get(&engine, &at, "a").await.as_deref(), Some(&b"1"[..]));
    assert_eq!(get(&engine, &at, "b").await, None);
    assert_eq!(incarnation(&engine, &space).await, shown);
    assert!(engine.open_count() > count);
    let next = put(&engine, &at, "b", "3").await.unwrap();
    assert!(next > deleted && deleted > first);
    assert!(next.n() > deleted.n() + 1, "the delete had a revision too");
}

#[tokio::test]
async fn a_kill_loses_nothing_that_was_synced_and_shows_the_same_history() {
    let (ground, space) = (Ground::new(), space(Traits::default()));
    let at = place(&space, "p");
    let engine = ground.open();
    establish(&engine, &space, 1).await;
    let last = put(&engine, &at, "a", "1").await.unwrap();
    let image = ground.crash_image();
    let after = image.open();
    assert_eq!(get(&after, &at, "a").await.as_deref(), Some(&b"1"[..]));
    assert_eq!(incarnation(&after, &space).await, incarnation(&engine, &space).await);
    assert!(put(&after, &at, "a", "2").await.unwrap() > last);
    let floor = after.control(&Cx::new(), &space, &[at.bucket]).await.unwrap()[0].unwrap().floor;
    assert!(floor > last);
}

#[tokio::test]
async fn an_unclean_stop_without_syncs_shows_another_history() {
    let (ground, space) = (Ground::new(), space(Traits::default()));
    let relaxed = |ground: &Ground| EmbeddedConfig { synchronous: Synchronous::Normal, ..ground.config() };
    let engine = ground.open_as(relaxed(&ground)).unwrap();
    let before = incarnation(&engine, &space).await;
    let image = ground.crash_image();
    let killed = image.open_as(relaxed(&image)).unwrap();
    assert_ne!(incarnation(&killed, &space).await, before);
    drop(engine);
    let clean = ground.open_as(relaxed(&ground)).unwrap();
    assert_eq!(incarnation(&clean, &space).await, before, "a stop in order loses nothing");
}

#[tokio::test]
async fn an_unsynced_space_has_a_history_of_its_own() {
    let (ground, synced, unsynced) = (Ground::new(), space(Traits::default()), unsynced());
    let at = place(&unsynced, "p");
    let engine = ground.open();
    establish(&engine, &unsynced, 1).await;
    put(&engine, &at, "a", "1").await.unwrap();
    assert_eq!(get(&engine, &at, "a").await.as_deref(), Some(&b"1"[..]));
    let (of_synced, of_unsynced) =
        (incarnation(&engine, &synced).await, incarnation(&engine, &unsynced).await);
    assert_ne!(of_synced, of_unsynced);

    let image = ground.crash_image();
    let killed = image.open();
    assert_eq!(incarnation(&killed, &synced).await, of_synced);
    assert_ne!(incarnation(&killed, &unsynced).await, of_unsynced);
    assert_eq!(kind_of(put(&killed, &at, "a", "2").await), (Kind::Moved, Outcome::NoEffect));
    establish(&killed, &unsynced, 2).await;
    put(&killed, &at, "a", "2").await.unwrap();

    drop(engine);
    let clean = ground.open();
    assert_eq!(incarnation(&clean, &unsynced).await, of_unsynced);
    assert_eq!(get(&clean, &at, "a").await.as_deref(), Some(&b"1"[..]));
}

#[tokio::test]
async fn an_older_copy_that_was_put_back_shows_another_history() {
    let (ground, space) = (Ground::new(), space(Traits::default()));
    let engine = ground.open();
    establish(&engine, &space, 1).await;
    let before = incarnation(&engine, &space).await;
    let taken = ground.crash_image();
    drop(engine);

    // The file alone is put back: the count beside it is higher.
    let data = ground.directory.path().join("data");
    for name in ["state.db", "state.db-wal"] {
        fs::copy(taken.directory.path().join("data").join(name), data.join(name)).unwrap();
    }
    let engine = ground.open();
    assert_ne!(incarnation(&engine, &space).await, before);
    assert_eq!(
        kind_of(put(&engine, &place(&space, "p"), "a", "1").await),
        (Kind::Moved, Outcome::NoEffect),
        "its controls are void"
    );
    let count = engine.open_count();
    drop(engine);

    // The whole directory is put back: the count noted elsewhere is higher.
    let config = EmbeddedConfig { opens_noted: count, ..taken.config() };
    let engine = taken.open_as(config).unwrap();
    assert_ne!(incarnation(&engine, &space).await, before);
    assert!(engine.open_count() > count);
}

#[tokio::test]
async fn a_full_disk_is_overloaded_changes_nothing_and_passes() {
    let (ground, space) = (Ground::new(), ordered());
    let at = place(&space, "p");
    let engine = ground.open();
    establish(&engine, &space, 1).await;
    let before = put(&engine, &at, "a", "1").await.unwrap();
    let limit = |pages: u32| {
        engine.on_writer(Box::leak(Box::default()), false, move |tx, _| {
            tx.execute_script(&format!("PRAGMA max_page_count = {pages}")).map(Ok)
        })
    };
    limit(20).await.unwrap();
    let big = Commit::new().put("a", vec![7; 200_000], None).put("b", "2", None);
    assert_eq!(kind_of(engine.commit(&Cx::new(), &at, &big).await), (Kind::Overloaded, Outcome::NoEffect));
    assert_eq!(get(&engine, &at, "a").await.as_deref(), Some(&b"1"[..]));
    assert_eq!(get(&engine, &at, "b").await, None);
    let small = put(&engine, &at, "a", "2").await.unwrap();
    assert!(small > before, "small commits go on");
    limit(1_000_000).await.unwrap();
    assert!(engine.commit(&Cx::new(), &at, &big).await.unwrap().revision > small);
}

#[tokio::test]
async fn after_a_failed_sync_commits_are_refused_until_reopened() {
    for (fault, kept) in [(SyncFault::BeforeWrite, "1"), (SyncFault::AfterWrite, "2")] {
        let (ground, space) = (Ground::new(), space(Traits::default()));
        let at = place(&space, "p");
        let engine = ground.open();
        establish(&engine, &space, 1).await;
        let first = put(&engine, &at, "a", "1").await.unwrap();
        engine.fail_next_sync(fault);
        assert_eq!(kind_of(put(&engine, &at, "a", "2").await), (Kind::Unavailable, Outcome::Unknown));
        assert_eq!(kind_of(put(&engine, &at, "a", "3").await), (Kind::Unavailable, Outcome::NoEffect));
        assert!(get(&engine, &at, "a").await.is_some(), "reads go on");
        drop(engine);
        let engine = ground.open();
        assert_eq!(get(&engine, &at, "a").await.as_deref(), Some(kept.as_bytes()));
        assert!(put(&engine, &at, "a", "4").await.unwrap() > first);
    }
}

#[tokio::test]
async fn a_corrupt_file_is_refused_at_start_or_found_in_the_background() {
    let (ground, space) = (Ground::new(), space(Traits::default()));
    let at = place(&space, "p");
    let engine = ground.open();
    establish(&engine, &space, 1).await;
    let fill = (0..200).fold(Commit::new(), |commit, n| commit.put(format!("{n:04}"), vec![7; 500], None));
    engine.commit(&Cx::new(), &at, &fill).await.unwrap();
    assert!(!engine.probe(&Cx::new()).await.unwrap().unsound);
    drop(engine);

    let file = ground.config().path;
    let sound = fs::read(&file).unwrap();
    let mut damaged = sound.clone();
    for page in damaged.chunks_mut(4_096).skip(15) {
        page[..64].fill(0xa5);
    }
    fs::write(&file, damaged).unwrap();
    let engine = ground.open();
    while !engine.probe(&Cx::new()).await.unwrap().unsound {
        tokio::task::yield_now().await;
    }
    assert_eq!(kind_of(put(&engine, &at, "a", "1").await), (Kind::Corrupt, Outcome::NoEffect));
    drop(engine);

    fs::write(&file, "no database at all, and longer than a header would be. ".repeat(10)).unwrap();
    let refused = ground.open_as(ground.config()).unwrap_err();
    assert_eq!(refused.kind(), Kind::Corrupt);
    assert!(refused.to_string().contains("state.db"), "{refused}");
}

#[tokio::test]
async fn a_database_is_held_by_one_engine_and_its_files_are_private() {
    let ground = Ground::new();
    let engine = ground.open();
    let refused = ground.open_as(ground.config()).unwrap_err();
    assert_eq!((refused.kind(), refused.engine()), (Kind::Refused, Some("main")));
    let (text, data) = (refused.to_string(), ground.directory.path().join("data"));
    assert!(
        text.contains(data.to_str().unwrap()) && text.contains(&std::process::id().to_string()),
        "{text}"
    );
    for (name, mode) in [("", 0o700), ("state.db-lock", 0o600), ("state.db", 0o600), ("state.db-wal", 0o600)]
    {
        assert_eq!(fs::metadata(data.join(name)).unwrap().permissions().mode() & 0o777, mode, "{name}");
    }
    engine.close();
    ground.open();
}

#[tokio::test]
async fn a_number_of_buckets_is_for_ever_and_a_space_has_one_owner() {
    let (ground, space) = (Ground::new(), space(Traits::default()));
    let engine = ground.open();
    establish(&engine, &space, 1).await;
    let present = incarnation(&engine, &space).await;
    let other = space.with_buckets(16).unwrap();
    let refused = engine.establish(&Cx::new(), &other, &control(present, 2)).await;
    assert_eq!(kind_of(refused), (Kind::Refused, Outcome::NoEffect));
    let foreign = Control { owner: Owner([8; 16]), ..control(present, 2) };
    let refused = engine.establish(&Cx::new(), &space, &foreign).await;
    assert_eq!(kind_of(refused), (Kind::Refused, Outcome::NoEffect));
    engine.establish(&Cx::new(), &space, &control(present, 1)).await.unwrap();
}

#[tokio::test]
async fn commits_of_many_tasks_share_syncs_and_lose_nothing() {
    let (ground, space) = (Ground::new(), space(Traits::default()));
    let at = place(&space, "p");
    let engine = ground.open();
    establish(&engine, &space, 1).await;
    let before = engine.stats();
    let adders: Vec<_> = (0..200)
        .map(|_| {
            let (engine, at) = (Arc::clone(&engine), at.clone());
            tokio::spawn(async move {
                engine.commit(&Cx::new(), &at, &Commit::new().add("n", 1, None)).await.unwrap().revision
            })
        })
        .collect();
    let mut revisions = Vec::new();
    for adder in adders {
        revisions.push(adder.await.unwrap());
    }
    revisions.sort_unstable();
    revisions.dedup();
    assert_eq!(revisions.len(), 200);
    assert_eq!(get(&engine, &at, "n").await.as_deref(), Some(&b"200"[..]));
    let after = engine.stats();
    assert!(after.transactions - before.transactions < 200, "{after:?}");
}

#[tokio::test]
async fn a_commit_id_is_remembered_across_a_restart() {
    let (ground, space) = (Ground::new(), space(Traits::default()));
    let at = place(&space, "p");
    let engine = ground.open();
    establish(&engine, &space, 1).await;
    let commit = Commit::new().add("n", 5, None).with_id(CommitId::from_bytes([1; 16]));
    let first = engine.commit(&Cx::new(), &at, &commit).await.unwrap();
    drop(engine);
    let engine = ground.open();
    let again = engine.commit(&Cx::new(), &at, &commit).await.unwrap();
    assert!(again.replayed);
    assert_eq!((again.revision, &again.outcomes), (first.revision, &first.outcomes));
    let other = Commit::new().add("n", 6, None).with_id(CommitId::from_bytes([1; 16]));
    assert_eq!(kind_of(engine.commit(&Cx::new(), &at, &other).await).0, Kind::Invalid);
    assert_eq!(get(&engine, &at, "n").await.as_deref(), Some(&b"5"[..]));
}

#[tokio::test]
async fn the_sweep_is_bounded_and_leaves_what_must_stay() {
    let (ground, plain) = (Ground::new(), ordered());
    let watched = Space::new(Namespace::new("shop").unwrap(), StoreName::new("watched").unwrap())
        .with_traits(Traits { observes_expiry: true, ..Traits::default() });
    let engine = ground.open();
    let soon = Deadline::after(ground.clock.now(), Duration::from_secs(1));
    for space in [&plain, &watched] {
        establish(&engine, space, 1).await;
        let many = (0..50).fold(Commit::new(), |commit, n| commit.put(format!("{n}"), "x", Some(soon)));
        let kept = many.put("kept", "x", None).with_id(CommitId::from_bytes([2; 16]));
        engine.commit(&Cx::new(), &place(space, "p"), &kept).await.unwrap();
    }
    assert_eq!(engine.sweep(10).await.unwrap(), 0);
    ground.clock.advance(Duration::from_secs(2));
    let expired = Scan::new(&watched, View::Expired(ground.clock.now()));
    assert_eq!(engine.scan(&Cx::new(), &expired).await.unwrap().items.len(), 50);
    assert_eq!(engine.sweep(30).await.unwrap(), 30);
    assert_eq!(engine.sweep(1_000).await.unwrap(), 20);
    assert_eq!(engine.scan(&Cx::new(), &expired).await.unwrap().items.len(), 50, "the store must see them");
    ground.clock.advance(Duration::from_mins(11));
    assert_eq!(engine.sweep(1_000).await.unwrap(), 2, "the receipts of both");
    let raw = engine.scan(&Cx::new(), &Scan::new(&plain, View::Raw)).await.unwrap();
    assert_eq!(raw.items.len(), 1);
    let page = engine.list(&Cx::new(), &place(&plain, "p"), &[Range::all()]).await.unwrap();
    assert_eq!(page[0].items[0].id.as_bytes(), &Bytes::from_static(b"kept"));
}

#[tokio::test]
async fn a_bucket_moves_there_and_back() {
    let (ground, space, cx) = (Ground::new(), ordered(), Cx::new());
    let at = place(&space, "p");
    let engine = ground.open();
    establish(&engine, &space, 1).await;
    let present = incarnation(&engine, &space).await;
    put(&engine, &at, "before", "1").await.unwrap();
    let open = engine.control(&cx, &space, &[at.bucket]).await.unwrap()[0].unwrap();
    let marking = Control { marking: true, epoch: Epoch(1), ..open };
    engine.set_control(&cx, &space, at.bucket, Some(&open), &marking).await.unwrap();
    let at1 = at.clone().at(Epoch(1));
    let put1 = engine.commit(&cx, &at1, &Commit::new().put("a", "1", None)).await.unwrap();
    let gone = engine.commit(&cx, &at1, &Commit::new().delete("before")).await.unwrap();
    let marks = engine.marks(&cx, &space, at.bucket, MarkKind::Dirty, 10).await.unwrap();
    assert_eq!(marks.len(), 2);
    let marker = marks.iter().find(|marked| marked.mark.revision == gone.revision).unwrap();
    assert_eq!(marker.state.as_ref().unwrap().body, None, "the delete left a marker");
    let stale = Mark { revision: Revision::ZERO, ..marks[0].mark.clone() };
    assert_eq!(engine.clear(&cx, &space, at.bucket, &[stale]).await.unwrap(), 0);
    let done: Vec<Mark> = marks.into_iter().map(|marked| marked.mark).collect();
    assert_eq!(engine.clear(&cx, &space, at.bucket, &done).await.unwrap(), 2);
    assert!(engine.marks(&cx, &space, at.bucket, MarkKind::Dirty, 10).await.unwrap().is_empty());
    assert_eq!(engine.marks(&cx, &space, at.bucket, MarkKind::Unchecked, 10).await.unwrap().len(), 2);

    let raw = engine.scan(&cx, &Scan::new(&space, View::Raw)).await.unwrap().items;
    let carried: Vec<Carried> = raw
        .into_iter()
        .map(|found| Carried { partition: found.partition, key: found.key, state: found.state })
        .collect();
    let other = Ground::new();
    let target = other.open();
    let there = incarnation(&target, &space).await;
    let following =
        Control { role: Role::Following, epoch: Epoch(2), incarnation: there, ..control(there, 1) };
    target.set_control(&cx, &space, at.bucket, None, &following).await.unwrap();
    let pass = PassId([1; 16]);
    let refused = target.carry(&cx, &space, at.bucket, Epoch(1), pass, &carried).await;
    assert_eq!(kind_of(refused).0, Kind::Moved);
    let outcomes = target.carry(&cx, &space, at.bucket, Epoch(2), pass, &carried).await.unwrap();
    assert!(outcomes.iter().all(|outcome| *outcome == CarryOutcome::Accepted));
    let again = target.carry(&cx, &space, at.bucket, Epoch(2), pass, &carried).await.unwrap();
    assert!(again.iter().all(|outcome| *outcome == CarryOutcome::Same));
    assert_eq!(kind_of(target.fetch(&Cx::new().fenced(), &[at.item("a")]).await).0, Kind::Moved);

    let opened = Control { role: Role::Open, epoch: Epoch(3), floor: gone.revision, ..following };
    target.set_control(&cx, &space, at.bucket, Some(&following), &opened).await.unwrap();
    drop(target);
    let target = other.open();
    let at3 = at.clone().at(Epoch(3));
    let next =
        target.commit(&cx, &at3, &Commit::new().at("a", put1.revision).put("a", "2", None)).await.unwrap();
    assert!(next.revision > gone.revision);

    let sealed = Control { role: Role::Away, epoch: Epoch(2), ..marking };
    assert_eq!(kind_of(engine.forget(&cx, &space, &[at.bucket]).await).0, Kind::Conflict);
    engine.set_control(&cx, &space, at.bucket, Some(&marking), &sealed).await.unwrap();
    engine.forget(&cx, &space, &[at.bucket]).await.unwrap();
    assert!(engine.scan(&cx, &Scan::new(&space, View::Raw)).await.unwrap().items.is_empty());
    assert_eq!(incarnation(&engine, &space).await, present);
}

#[tokio::test]
async fn a_commit_is_heard_once_and_a_refused_one_never() {
    let (ground, space) = (Ground::new(), space(Traits { announces: true, ..Traits::default() }));
    let at = place(&space, "p");
    let engine = ground.open();
    establish(&engine, &space, 1).await;
    let topic = Topic::new("news").unwrap();
    let mut heard = engine.subscribe(&Cx::new(), &topic).await.unwrap();
    let told = |payload: &'static str| statehold_core::Announcement {
        topic: topic.clone(),
        payload: Bytes::from_static(payload.as_bytes()),
    };
    let refused = Commit::new().present("missing").announce(told("never"));
    assert_eq!(kind_of(engine.commit(&Cx::new(), &at, &refused).await).0, Kind::Conflict);
    let done =
        engine.commit(&Cx::new(), &at, &Commit::new().put("a", "1", None).announce(told("once"))).await;
    let first = std::future::poll_fn(|cx| heard.as_mut().poll_next(cx)).await.unwrap();
    let Signal::Message { payload, revision, .. } = first else { panic!("{first:?}") };
    assert_eq!((payload, revision), (Bytes::from_static(b"once"), done.unwrap().revision));
}

#[tokio::test]
async fn forms_limits_and_late_callers_are_told_apart() {
    let (ground, space) = (Ground::new(), space(Traits::default()));
    let at = place(&space, "p");
    let engine = ground.open();
    establish(&engine, &space, 1).await;
    let receipt = engine.commit(&Cx::new(), &at, &Commit::new().add("n", 2, None)).await.unwrap();
    assert_eq!(receipt.outcomes, [MutationOutcome::Added { value: 2, created: true }]);
    let item = engine.get(&Cx::new(), &at.item("n")).await.unwrap().unwrap();
    assert_eq!((item.form, item.counter().unwrap()), (Form::Counter, 2));
    let late = Cx::new().within(Duration::ZERO);
    let refused = engine.commit(&late, &at, &Commit::new().add("n", 2, None)).await;
    assert_eq!(kind_of(refused), (Kind::Deadline, Outcome::NoEffect));
    let big = Commit::new().put("big", vec![0; statehold_core::VALUE_BYTES_MAX + 1], None);
    assert_eq!(kind_of(engine.commit(&Cx::new(), &at, &big).await).0, Kind::Invalid);
    let many: Vec<_> = (0..100).map(|_| at.item("n")).collect();
    let found = engine.fetch(&Cx::new(), &many).await.unwrap();
    assert!(found.iter().all(|item| item.as_ref().is_some_and(|item| item.revision == receipt.revision)));
}

#[test]
fn an_older_format_needs_no_engine_to_be_read() {
    let ground = Ground::new();
    drop(ground.open());
    let database = Database::open(&Options::at(ground.config().path)).unwrap();
    let steps = statehold_sql::schema(&database, super::schema::STEPS).unwrap();
    assert_eq!((steps.version, steps.missing.len()), (1, 0));
}
