//! Connections that only read.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use parking_lot::{Mutex, MutexGuard};
use rusqlite::Connection;
use statehold_core::{Error, Result};
use tokio::sync::Semaphore;

use crate::classify::{error, fault};
use crate::connect;
use crate::tx::Tx;

/// Where the writer is: raised before and after every COMMIT, so that it is odd while one is about to become visible.
/// What was read at an even count is still true while the count stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Version(Arc<AtomicU64>);

impl Version {
    /// The count, unless a COMMIT is under way: then one reader may see it already, and no later one may miss it.
    fn settled(&self) -> Option<u64> {
        Some(self.0.load(Ordering::SeqCst)).filter(|count| count.is_multiple_of(2))
    }

    /// A COMMIT begins, or has ended in whatever way and nobody has been told yet.
    pub(crate) fn raise(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    /// What was read until now is no longer shared. Leaves odd odd and even even.
    fn pass(&self) {
        self.0.fetch_add(2, Ordering::SeqCst);
    }
}

/// A pool of reading connections, used on the calling thread.
///
/// Each thread comes back to the connection it used last, whose pages and statements are warm; a busy one makes it
/// look at the others, and only when all are busy does it wait. So a read must be short, or have a pool of its own.
#[derive(Debug)]
pub struct Readers {
    slots: Box<[Mutex<Slot>]>,
    version: Version,
}

#[derive(Debug)]
struct Slot {
    connection: Connection,
    /// The version that the snapshot held open was begun at.
    held: Option<u64>,
}

impl Readers {
    pub(crate) fn open(path: &Path, count: usize, version: Version) -> Result<Self> {
        let open = || connect::reader(path).map(|connection| Mutex::new(Slot { connection, held: None }));
        Ok(Self { slots: (0..count).map(|_| open()).collect::<Result<_>>()?, version })
    }

    /// How many connections there are.
    pub fn count(&self) -> usize {
        self.slots.len()
    }

    /// Reads at one instant.
    ///
    /// # Errors
    /// What `f` met.
    pub fn snapshot<T>(&self, f: impl FnOnce(&Tx<'_>) -> Result<T>) -> Result<T> {
        self.slot().read(None, f)
    }

    /// Reads at one instant, sharing it with earlier reads while the writer has committed nothing: taking a snapshot
    /// costs system calls on a lock that all connections share, as much as a short read itself. Only for a file that
    /// nobody else writes.
    ///
    /// # Errors
    /// What `f` met.
    pub fn recent<T>(&self, f: impl FnOnce(&Tx<'_>) -> Result<T>) -> Result<T> {
        let mut slot = self.slot();
        // Asked before the snapshot is taken, so that the snapshot can only be newer.
        let version = self.version.settled();
        let found = slot.read(version, f);
        if slot.held.is_some() && slot.held != self.version.settled() {
            // Nobody can share it any more; left open it would only keep the log from being begun anew.
            slot.end();
        }
        found
    }

    /// Ends the snapshots that are held open, since they keep the log from being begun anew: those of connections that
    /// nobody uses at once, the others as soon as their read is done.
    pub(crate) fn release(&self) {
        self.version.pass();
        for slot in &self.slots {
            if let Some(mut slot) = slot.try_lock() {
                slot.end();
            }
        }
    }

    /// Waits until every snapshot has ended that was taken before this call. Reads are short, and go on meanwhile.
    pub(crate) fn renew(&self) {
        self.version.pass();
        for slot in &self.slots {
            slot.lock().end();
        }
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        let preferred = THREAD.with(|number| *number) % self.slots.len();
        let (before, from) = self.slots.split_at(preferred);
        from.iter().chain(before).find_map(Mutex::try_lock).unwrap_or_else(|| self.slots[preferred].lock())
    }
}

impl Slot {
    /// Reads, in the snapshot held open if it is of this version, and holds the snapshot open if there is one.
    fn read<T>(&mut self, version: Option<u64>, f: impl FnOnce(&Tx<'_>) -> Result<T>) -> Result<T> {
        // Nothing is held while `f` runs: a panic in it must not leave its snapshot for others.
        let held = self.held.take();
        if held.is_none() || held != version {
            self.end();
            execute(&self.connection, "BEGIN")?;
        }
        let found = f(&Tx::new(&self.connection));
        if version.is_some() && found.is_ok() {
            self.held = version;
        } else {
            self.end();
        }
        found
    }

    fn end(&mut self) {
        self.held = None;
        if !self.connection.is_autocommit() && execute(&self.connection, "ROLLBACK").is_err() {
            tracing::error!("a snapshot could not be ended");
        }
    }
}

static THREADS: AtomicUsize = AtomicUsize::new(0);
thread_local! {
    /// Threads are numbered so that they spread over the connections.
    static THREAD: usize = THREADS.fetch_add(1, Ordering::Relaxed);
}

fn execute(connection: &Connection, sql: &str) -> Result<()> {
    connection.prepare_cached(sql).and_then(|mut sql| sql.raw_execute()).map(drop).map_err(|e| error(&e))
}

/// A pool for reads that may take long: on threads that may block, no more at a time than there are connections.
#[derive(Debug)]
pub struct Scanners {
    readers: Arc<Readers>,
    free: Arc<Semaphore>,
}

impl Scanners {
    /// Opens the connections.
    ///
    /// # Errors
    /// As opening a database.
    pub fn open(path: &Path, count: usize) -> Result<Self> {
        Ok(Self {
            readers: Arc::new(Readers::open(path, count, Version::default())?),
            free: Arc::new(Semaphore::new(count)),
        })
    }

    /// How many connections there are.
    pub fn count(&self) -> usize {
        self.readers.count()
    }

    /// Reads at one instant, as soon as a connection is free. Dropping the future lets the read run to its end.
    ///
    /// # Errors
    /// What `f` met; `Internal` when it panicked.
    pub async fn snapshot<T: Send + 'static>(
        &self,
        f: impl FnOnce(&Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let permit = Arc::clone(&self.free).acquire_owned().await;
        let permit = permit.expect("the semaphore is never closed");
        let readers = Arc::clone(&self.readers);
        let read = tokio::task::spawn_blocking(move || {
            let found = readers.snapshot(f);
            drop(permit);
            found
        });
        read.await.unwrap_or_else(|e| Err(Error::internal("a read panicked").caused_by(e)))
    }
}

/// Ends a [`quick_check`] early.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Ends it at its next step.
    pub fn raise(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// What a [`quick_check`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Soundness {
    /// Nothing wrong.
    Sound,
    /// The file is corrupt.
    Unsound,
    /// It was ended early.
    Interrupted,
}

/// Reads the whole file on a connection of its own and checks its structure.
///
/// # Errors
/// As opening a database.
pub fn quick_check(path: &Path, interrupt: &Interrupt) -> Result<Soundness> {
    check(path, interrupt, "PRAGMA quick_check(1)")
}

/// As [`quick_check`], and checks every index against its table: several times slower.
///
/// # Errors
/// As opening a database.
pub fn integrity_check(path: &Path, interrupt: &Interrupt) -> Result<Soundness> {
    check(path, interrupt, "PRAGMA integrity_check(1)")
}

fn check(path: &Path, interrupt: &Interrupt, pragma: &str) -> Result<Soundness> {
    const STEPS_BETWEEN_LOOKS: i32 = 1_000;
    let mut connection = connect::reader(path)?;
    let raised = Arc::clone(&interrupt.0);
    connection
        .progress_handler(STEPS_BETWEEN_LOOKS, Some(move || raised.load(Ordering::Relaxed)))
        .map_err(|e| error(&e))?;
    let found = connection.query_row(pragma, [], |row| row.get::<_, String>(0));
    if interrupt.0.load(Ordering::SeqCst) {
        return Ok(Soundness::Interrupted);
    }
    match found {
        Ok(text) if text == "ok" => Ok(Soundness::Sound),
        Ok(_) => Ok(Soundness::Unsound),
        Err(e) if fault(&e).kind == statehold_core::Kind::Corrupt => Ok(Soundness::Unsound),
        Err(e) => Err(error(&e)),
    }
}
