//! Connections that only read.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::{Mutex, MutexGuard};
use rusqlite::Connection;
use statehold_core::{Error, Result};
use tokio::sync::Semaphore;

use crate::classify::{error, fault};
use crate::connect;
use crate::tx::Tx;

/// A pool of reading connections, used on the calling thread.
///
/// Each thread comes back to the connection it used last, whose pages and statements are warm; a busy one makes it
/// look at the others, and only when all are busy does it wait. So a read must be short, or have a pool of its own.
#[derive(Debug)]
pub struct Readers {
    connections: Box<[Mutex<Connection>]>,
}

impl Readers {
    /// Opens the connections.
    ///
    /// # Errors
    /// As opening a database.
    pub fn open(path: &Path, count: usize) -> Result<Self> {
        let connections = (0..count).map(|_| connect::reader(path).map(Mutex::new)).collect::<Result<_>>()?;
        Ok(Self { connections })
    }

    /// How many connections there are.
    pub fn count(&self) -> usize {
        self.connections.len()
    }

    /// Reads with single statements: each sees a snapshot of its own.
    ///
    /// # Errors
    /// What `f` met.
    pub fn read<T>(&self, f: impl FnOnce(&Tx<'_>) -> Result<T>) -> Result<T> {
        f(&Tx::new(&self.connection()))
    }

    /// Reads at one instant.
    ///
    /// # Errors
    /// What `f` met.
    pub fn snapshot<T>(&self, f: impl FnOnce(&Tx<'_>) -> Result<T>) -> Result<T> {
        let connection = self.connection();
        execute(&connection, "BEGIN")?;
        let end = EndRead(&connection);
        let found = f(&Tx::new(&connection));
        drop(end);
        found
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        let preferred = THREAD.with(|number| *number) % self.connections.len();
        let (before, from) = self.connections.split_at(preferred);
        from.iter()
            .chain(before)
            .find_map(Mutex::try_lock)
            .unwrap_or_else(|| self.connections[preferred].lock())
    }
}

static THREADS: AtomicUsize = AtomicUsize::new(0);
thread_local! {
    /// Threads are numbered so that they spread over the connections.
    static THREAD: usize = THREADS.fetch_add(1, Ordering::Relaxed);
}

/// Ends a snapshot also when its reader panics.
struct EndRead<'a>(&'a Connection);

impl Drop for EndRead<'_> {
    fn drop(&mut self) {
        if execute(self.0, "ROLLBACK").is_err() && !self.0.is_autocommit() {
            tracing::error!("a snapshot could not be ended");
        }
    }
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
        Ok(Self { readers: Arc::new(Readers::open(path, count)?), free: Arc::new(Semaphore::new(count)) })
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
