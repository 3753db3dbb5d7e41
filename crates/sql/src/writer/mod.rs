//! One thread that writes: whatever waits when it is free becomes one transaction, hence one sync.

mod checkpoint;
mod commit;
mod queue;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread::JoinHandle;

use parking_lot::Mutex;
use rusqlite::Connection;
use statehold_core::{Error, Kind, Result};

use crate::classify::error;
use crate::connect::{self, Options};
use crate::readers::{Readers, Version};
use crate::tx::Tx;

#[cfg(any(test, feature = "faults"))]
pub use commit::SyncFault;
pub use queue::{Answer, Stop};

use checkpoint::Checkpoints;
use commit::Committer;
use queue::Queue;

/// What a writer thread does with its jobs.
pub trait Work: Send + 'static {
    /// One job.
    type Job: Answer;

    /// Does the jobs inside one transaction and keeps their answers.
    ///
    /// # Errors
    /// Rolls back the transaction of all of them.
    fn run(&mut self, tx: &Tx<'_>, jobs: &mut [Self::Job]) -> Result<()>;

    /// The transaction is as durable as was asked: gives the answers, leaving `jobs` empty.
    fn committed(&mut self, jobs: &mut Vec<Self::Job>);

    /// The transaction did not happen, or it is not known: what is kept in memory must be read again.
    ///
    /// # Errors
    /// Stops all writes until the database is opened again.
    fn rolled_back(&mut self, tx: &Tx<'_>) -> Result<()>;

    /// The last transaction of a writer that closes in order, always synced.
    ///
    /// # Errors
    /// Rolls it back; the stop is then not in order.
    fn last(&mut self, tx: &Tx<'_>) -> Result<()>;
}

/// How much a writer has done since it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriterStats {
    /// Jobs done.
    pub jobs: u64,
    /// Transactions, hence syncs where commits are synced.
    pub transactions: u64,
}

/// A database's writing connection before its thread is started: schema steps run here.
#[derive(Debug)]
pub struct Setup {
    connection: Connection,
    options: Options,
    readers: Arc<Readers>,
    version: Version,
}

impl Setup {
    /// Opens the file, making it where it is missing, and recovers its log.
    ///
    /// # Errors
    /// `Corrupt` when the file is damaged or no database, `Refused` when it cannot be opened, `Unsupported` on a
    /// file system without shared memory.
    pub fn open(options: &Options) -> Result<Self> {
        options.check()?;
        let connection = connect::writer(options)?;
        let version = Version::default();
        let readers = Arc::new(Readers::open(&options.path, options.readers, version.clone())?);
        Ok(Self { connection, options: options.clone(), readers, version })
    }

    /// The connections for short reads, beside the writer that is started from here.
    pub fn readers(&self) -> Arc<Readers> {
        Arc::clone(&self.readers)
    }

    /// What the database was opened with.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// One transaction on the calling thread.
    ///
    /// # Errors
    /// What `f` met, or what COMMIT met; both leave nothing changed but a failed sync, which is `Unknown`.
    pub fn transact<T>(&self, f: impl FnOnce(&Tx<'_>) -> Result<T>) -> Result<T> {
        self.connection.execute_batch("BEGIN IMMEDIATE").map_err(|e| error(&e))?;
        let done = f(&Tx::new(&self.connection)).and_then(|value| {
            self.connection
                .execute_batch("COMMIT")
                .map_err(|e| crate::classify::commit_fault(&e).to_error())?;
            Ok(value)
        });
        if done.is_err() && !self.connection.is_autocommit() {
            self.connection.execute_batch("ROLLBACK").map_err(|e| error(&e))?;
        }
        done
    }
}

/// The handle on a writer thread; dropping it drains the queue and ends the thread.
pub struct Writer<W: Work> {
    shared: Arc<Shared<W::Job>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl<W: Work> fmt::Debug for Writer<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("stopped", &self.shared.queue.stopped()).finish_non_exhaustive()
    }
}

struct Shared<J> {
    queue: Queue<J>,
    jobs: AtomicU64,
    transactions: AtomicU64,
    /// Pages in the write-ahead log after the last commit.
    log_pages: AtomicU32,
    /// What readers ask whether their snapshots are still true.
    version: Version,
    #[cfg(any(test, feature = "faults"))]
    faults: commit::Faults,
}

impl<W: Work> Writer<W> {
    /// Starts the thread.
    ///
    /// # Errors
    /// `Unavailable` when the system gives no thread.
    pub fn start(setup: Setup, work: W) -> Result<Self> {
        let Setup { mut connection, options, readers, version } = setup;
        let shared = Arc::new(Shared {
            queue: Queue::new(options.waiting_max),
            jobs: AtomicU64::new(0),
            transactions: AtomicU64::new(0),
            log_pages: AtomicU32::new(0),
            version,
            #[cfg(any(test, feature = "faults"))]
            faults: commit::Faults::default(),
        });
        let told = Arc::clone(&shared);
        let note = move |_: &mut rusqlite::hooks::Wal, pages: i32| {
            told.log_pages.store(pages.cast_unsigned(), Ordering::Relaxed);
            Ok(())
        };
        connection.wal_hook(Some(note)).map_err(|e| error(&e))?;
        let checkpoints = Checkpoints::start(&options.path, readers)?;
        let committer =
            Committer::new(connection, options.synchronous, work, Arc::clone(&shared), checkpoints);
        let thread = std::thread::Builder::new()
            .name("sql-writer".into())
            .spawn(move || committer.run())
            .map_err(|e| Error::new(Kind::Unavailable, "no thread for the database").caused_by(e))?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Lets a job wait for the next transaction, or refuses it at once.
    pub fn submit(&self, job: W::Job) {
        self.shared.queue.push(job);
    }

    /// Takes no more writes until the database is opened again.
    pub fn stop(&self, why: Stop) {
        self.shared.queue.stop(why);
    }

    /// Why writes are refused, if they are.
    pub fn stopped(&self) -> Option<Stop> {
        self.shared.queue.stopped().or_else(|| self.shared.queue.is_closed().then_some(Stop::Closed))
    }

    /// What was done so far.
    pub fn stats(&self) -> WriterStats {
        WriterStats {
            jobs: self.shared.jobs.load(Ordering::Relaxed),
            transactions: self.shared.transactions.load(Ordering::Relaxed),
        }
    }

    /// Does what waits, takes the log over into the file and ends the thread. Blocks; again is nothing.
    pub fn close(&self) {
        self.shared.queue.close();
        let thread = self.thread.lock().take();
        if let Some(thread) = thread
            && thread.thread().id() != std::thread::current().id()
            && thread.join().is_err()
        {
            tracing::error!("the database's writer thread had panicked");
        }
    }

    /// Makes the next commit meet a failing sync.
    #[cfg(any(test, feature = "faults"))]
    pub fn fail_next_sync(&self, fault: SyncFault) {
        self.shared.faults.arm(fault);
    }
}

impl<W: Work> Drop for Writer<W> {
    fn drop(&mut self) {
        self.close();
    }
}
