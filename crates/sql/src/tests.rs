//! What users of a database would notice.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use statehold_core::{Error, Kind, Outcome, Result, Time};

use crate::*;

static TABLE: &[Step] =
    &[Step { version: 1, name: "rows", script: "CREATE TABLE rows (id INTEGER PRIMARY KEY, v BLOB)" }];
static PUT: Sql = Sql::new("INSERT INTO rows (id, v) VALUES ($1, $2)");
static COUNT: Sql = Sql::new("SELECT count(*) FROM rows");
static LEFT: Sql = Sql::new("SELECT count(*) FROM sqlite_schema WHERE name = 'left_over'");
static REMOVE: Sql = Sql::new("DELETE FROM schema_migrations WHERE version = 1");
const NOW: Time = Time::from_millis(1_700_000_000_000);

struct Fixture {
    directory: tempfile::TempDir,
    options: Options,
}

impl Fixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let options = Options::at(directory.path().join("private").join("rows.db"));
        Self { directory, options }
    }

    fn open(&self) -> Arc<Database> {
        let database = Database::open(&self.options).unwrap();
        migrate(&database, TABLE, NOW).unwrap();
        Arc::new(database)
    }
}

fn put(tx: &Tx<'_>, id: i64, bytes: usize) -> Result<usize> {
    tx.execute(&PUT, &[Val::Int(id), Val::from(vec![7; bytes].as_slice())])
}

async fn count(database: &Database) -> i64 {
    database.read("count", |tx| tx.query_row(&COUNT, &[], |row| row.int(0))).await.unwrap().unwrap()
}

async fn fill(database: &Arc<Database>, ids: std::ops::Range<i64>) -> Vec<Result<usize>> {
    let writes: Vec<_> = ids
        .map(|id| {
            let database = Arc::clone(database);
            tokio::spawn(async move { database.write("put", move |tx| put(tx, id, 10)).await })
        })
        .collect();
    let mut results = Vec::new();
    for write in writes {
        results.push(write.await.unwrap());
    }
    results
}

#[tokio::test]
async fn waiting_writes_share_a_transaction_and_survive_reopening() {
    let fixture = Fixture::new();
    let database = fixture.open();
    let before = database.stats();
    assert!(fill(&database, 0..300).await.into_iter().all(|result| result.is_ok()));
    let after = database.stats();
    assert_eq!(after.jobs - before.jobs, 300);
    assert!(after.transactions - before.transactions < 300, "{after:?}");
    assert_eq!(count(&database).await, 300);
    drop(database);
    assert_eq!(count(&fixture.open()).await, 300);
}

#[tokio::test]
async fn a_failed_write_leaves_nothing_and_does_not_touch_its_neighbours() {
    let fixture = Fixture::new();
    let database = fixture.open();
    let bad = database.write("bad", |tx| {
        put(tx, 1, 1)?;
        put(tx, 1, 1)
    });
    let good = database.write("good", |tx| put(tx, 2, 1));
    let panics = database.write("panics", |tx| {
        put(tx, 3, 1)?;
        panic!("on purpose")
    });
    let (bad, good, panics): (_, _, Result<usize>) = tokio::join!(bad, good, panics);
    let bad = bad.unwrap_err();
    assert_eq!((bad.kind(), bad.operation()), (Kind::Conflict, "bad"));
    assert_eq!(constraint(&bad), Some(Constraint::Unique));
    assert_eq!(good.unwrap(), 1);
    assert_eq!(panics.unwrap_err().kind(), Kind::Internal);
    assert_eq!(count(&database).await, 1);
}

#[tokio::test]
async fn a_full_database_is_overloaded_and_recovers() {
    let fixture = Fixture::new();
    let database = fixture.open();
    let limit = |pages: i64| {
        database.write("limit", move |tx| tx.execute_script(&format!("PRAGMA max_page_count = {pages}")))
    };
    limit(8).await.unwrap();
    let full = database.write("big", |tx| put(tx, 1, 100_000)).await.unwrap_err();
    assert_eq!((full.kind(), full.outcome()), (Kind::Overloaded, Outcome::NoEffect));
    assert_eq!(count(&database).await, 0);
    limit(1_000_000).await.unwrap();
    database.write("big", |tx| put(tx, 1, 100_000)).await.unwrap();
    assert_eq!(count(&database).await, 1);
}

#[tokio::test]
async fn after_a_failed_sync_writes_are_refused_until_reopened() {
    for fault in [SyncFault::BeforeWrite, SyncFault::AfterWrite] {
        let fixture = Fixture::new();
        let database = fixture.open();
        database.write("first", |tx| put(tx, 1, 1)).await.unwrap();
        database.fail_next_sync(fault);
        let failed = database.write("second", |tx| put(tx, 2, 1)).await.unwrap_err();
        assert_eq!((failed.kind(), failed.outcome()), (Kind::Unavailable, Outcome::Unknown));
        let refused = database.write("third", |tx| put(tx, 3, 1)).await.unwrap_err();
        assert_eq!((refused.kind(), refused.outcome()), (Kind::Unavailable, Outcome::NoEffect));
        assert_eq!(database.stopped(), Some(Stop::SyncFailed));
        assert!(count(&database).await >= 1, "reads go on");
        drop(database);
        let database = fixture.open();
        database.write("third", |tx| put(tx, 3, 1)).await.unwrap();
        assert_eq!(count(&database).await, if fault == SyncFault::AfterWrite { 3 } else { 2 });
    }
}

#[tokio::test]
async fn an_unsynced_write_is_there_at_once_and_after_a_clean_stop() {
    let fixture = Fixture::new();
    let database = fixture.open();
    let manner = Manner { unsynced: true, ..Manner::new("unsynced") };
    let unsynced = database.write_as(manner, |tx| put(tx, 1, 1));
    let synced = database.write("synced", |tx| put(tx, 2, 1));
    let (unsynced, synced) = tokio::join!(unsynced, synced);
    assert_eq!((unsynced.unwrap(), synced.unwrap()), (1, 1));
    assert_eq!(count(&database).await, 2);
    database.close();
    let closed = database.write("late", |tx| put(tx, 3, 1)).await.unwrap_err();
    assert_eq!((closed.kind(), closed.outcome()), (Kind::Unavailable, Outcome::NoEffect));
    drop(database);
    assert_eq!(count(&fixture.open()).await, 2);
}

#[tokio::test]
async fn a_write_that_waited_too_long_is_not_begun() {
    let fixture = Fixture::new();
    let database = fixture.open();
    let manner = Manner { deadline: Some(Instant::now()), ..Manner::new("late") };
    let late = database.write_as(manner, |tx| put(tx, 1, 1)).await.unwrap_err();
    assert_eq!((late.kind(), late.outcome()), (Kind::Deadline, Outcome::NoEffect));
    let manner = Manner { deadline: Some(Instant::now() + Duration::from_mins(1)), ..manner };
    database.write_as(manner, |tx| put(tx, 1, 1)).await.unwrap();
}

#[tokio::test]
async fn the_waiting_room_is_bounded() {
    let mut fixture = Fixture::new();
    fixture.options.waiting_max = 1;
    let database = fixture.open();
    let (hold, held) = std::sync::mpsc::sync_channel::<()>(1);
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let busy = tokio::spawn({
        let database = Arc::clone(&database);
        async move {
            database
                .write("busy", move |_| {
                    let _ = begun.send(());
                    held.recv().map_err(|_| Error::internal("the test ended"))
                })
                .await
        }
    });
    has_begun.await.unwrap();
    let results = tokio::join!(
        database.write("waits", |tx| put(tx, 1, 1)),
        database.write("too many", |tx| put(tx, 2, 1)),
        async { hold.send(()).unwrap() },
    );
    assert_eq!(results.0.unwrap(), 1);
    assert_eq!(results.1.unwrap_err().kind(), Kind::Overloaded);
    busy.await.unwrap().unwrap();
}

#[test]
fn files_are_private_and_anything_but_a_database_is_refused() {
    let fixture = Fixture::new();
    drop(fixture.open());
    let file = &fixture.options.path;
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(file), mode(file.parent().unwrap())), (0o600, 0o700));

    let text = fixture.directory.path().join("text.db");
    fs::write(&text, "this is no database, but it is longer than a header would be".repeat(20)).unwrap();
    let refused = Database::open(&Options::at(&text)).unwrap_err();
    assert_eq!(refused.kind(), Kind::Corrupt);
    assert!(refused.to_string().contains("text.db"), "{refused}");
    let directory = Database::open(&Options::at(fixture.directory.path())).unwrap_err();
    assert_eq!(directory.kind(), Kind::Refused);
}

#[test]
fn a_quick_check_finds_damage() {
    let fixture = Fixture::new();
    let database = fixture.open();
    database.write_blocking("fill", |tx| (0..200).try_for_each(|id| put(tx, id, 500).map(drop))).unwrap();
    drop(database);
    let file = &fixture.options.path;
    assert_eq!(quick_check(file, &Interrupt::default()).unwrap(), Soundness::Sound);
    let raised = Interrupt::default();
    raised.raise();
    assert_eq!(quick_check(file, &raised).unwrap(), Soundness::Interrupted);
    let mut bytes = fs::read(file).unwrap();
    for page in (4..12).map(|page| page * 4_096) {
        bytes[page..page + 64].fill(0xa5);
    }
    fs::write(file, bytes).unwrap();
    assert_eq!(quick_check(file, &Interrupt::default()).unwrap(), Soundness::Unsound);
}

#[test]
fn schema_steps_are_applied_once_and_never_changed() {
    static TWO: &[Step] =
        &[TABLE[0], Step { version: 2, name: "more", script: "ALTER TABLE rows ADD COLUMN w TEXT" }];
    static BROKEN: &[Step] = &[
        TWO[0],
        TWO[1],
        Step {
            version: 3,
            name: "broken",
            script: "CREATE TABLE left_over (x); SELECT nonsense FROM nowhere",
        },
    ];
    static CHANGED: &[Step] = &[Step { version: 1, name: "rows", script: "CREATE TABLE rows (id INTEGER)" }];
    let fixture = Fixture::new();
    let database = fixture.open();
    assert_eq!(schema(&*database, TWO).unwrap(), Schema { version: 1, missing: vec![(2, "more")] });
    assert_eq!(migrate(&*database, TWO, NOW).unwrap().version, 2);
    assert_eq!(migrate(&*database, TWO, NOW).unwrap(), Schema { version: 2, missing: Vec::new() });

    assert!(migrate(&*database, BROKEN, NOW).is_err());
    let left = database.write_blocking("look", |tx| tx.query_row(&LEFT, &[], |row| row.int(0)));
    assert_eq!(left.unwrap(), Some(0), "the broken step was rolled back whole");
    assert_eq!(schema(&*database, TWO).unwrap().version, 2);

    for (steps, says) in [(TABLE, "newer"), (CHANGED, "differs")] {
        let refused = migrate(&*database, steps, NOW).unwrap_err();
        assert_eq!(refused.kind(), Kind::Refused);
        assert!(refused.to_string().contains(says), "{refused}");
    }
    database.write_blocking("remove", |tx| tx.execute(&REMOVE, &[])).unwrap();
    assert!(schema(&*database, TWO).unwrap_err().to_string().contains("lacks"));
}

#[tokio::test]
async fn the_log_stays_bounded_under_writes() {
    let fixture = Fixture::new();
    let database = fixture.open();
    for id in 0..400 {
        database.write("big", move |tx| put(tx, id, 200_000)).await.unwrap();
    }
    let log = fs::metadata(fixture.options.path.with_extension("db-wal")).unwrap().len();
    assert!(log < 48 << 20, "80 MB were written, the log has {log} bytes");
}

#[tokio::test]
async fn the_log_stays_bounded_beside_readers_that_never_rest() {
    let fixture = Fixture::new();
    let setup = Setup::open(&fixture.options).unwrap();
    migrate(&setup, TABLE, NOW).unwrap();
    let readers = setup.readers();
    let database = Arc::new(Database::start(setup).unwrap());
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let order = std::sync::atomic::Ordering::SeqCst;
    let busy: Vec<_> = (0..4)
        .map(|_| {
            let (readers, done) = (Arc::clone(&readers), Arc::clone(&done));
            std::thread::spawn(move || {
                while !done.load(order) {
                    readers.recent(|tx| tx.query_row(&COUNT, &[], |row| row.int(0))).unwrap();
                }
            })
        })
        .collect();
    let mut most = 0;
    for id in 0..800 {
        database.write("big", move |tx| put(tx, id, 200_000)).await.unwrap();
        let log = fs::metadata(fixture.options.path.with_extension("db-wal")).unwrap().len();
        most = most.max(log);
    }
    done.store(true, order);
    for reader in busy {
        reader.join().unwrap();
    }
    assert!(most < 64 << 20, "160 MB were written, the log had {most} bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_shared_snapshot_never_misses_what_was_answered_or_seen() {
    let fixture = Fixture::new();
    let setup = Setup::open(&fixture.options).unwrap();
    migrate(&setup, TABLE, NOW).unwrap();
    let readers = setup.readers();
    let database = Arc::new(Database::start(setup).unwrap());
    let seen = Arc::new(std::sync::atomic::AtomicI64::new(0));
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let order = std::sync::atomic::Ordering::SeqCst;
    let watchers: Vec<_> = (0..3)
        .map(|_| {
            let (readers, seen, done) = (Arc::clone(&readers), Arc::clone(&seen), Arc::clone(&done));
            std::thread::spawn(move || {
                while !done.load(order) {
                    let at_least = seen.load(order);
                    let found =
                        readers.recent(|tx| tx.query_row(&COUNT, &[], |row| row.int(0))).unwrap().unwrap();
                    assert!(found >= at_least, "{found} was read after {at_least} had been seen");
                    seen.fetch_max(found, order);
                }
            })
        })
        .collect();
    for id in 0..500 {
        database.write("put", move |tx| put(tx, id, 10)).await.unwrap();
        seen.fetch_max(id + 1, order);
    }
    done.store(true, order);
    for watcher in watchers {
        watcher.join().unwrap();
    }
    drop(database);
    assert_eq!(
        fs::metadata(fixture.options.path.with_extension("db-wal")).unwrap().len(),
        0,
        "nothing holds the log"
    );
}
