//! Start and stop.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use parking_lot::Mutex;
use statehold_core::{Clock, Description, EngineKind, Error, Kind, Result};
use statehold_sql::{
    Interrupt, Options, Readers, Scanners, Setup, Soundness, Stop, Writer, WriterStats, migrate, quick_check,
};

use super::config::EmbeddedConfig;
use super::history::{History, Noted};
use super::lock::DatabaseLock;
use super::memory::{Directory, Memory};
use super::schema::STEPS;
use super::writer::{Rules, Scribe};
use crate::hub::Hub;

/// Connections for lists, scans and large fetches.
const SCANNERS: usize = 2;

/// The engine on one SQLite file. Prints its name and nothing of what it holds.
pub struct EmbeddedEngine {
    pub(super) description: Description,
    pub(super) config: EmbeddedConfig,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) hub: Arc<Hub>,
    pub(super) directory: Arc<Directory>,
    pub(super) writer: Arc<Writer<Scribe>>,
    pub(super) readers: Arc<Readers>,
    pub(super) scanners: Scanners,
    pub(super) history: History,
    pub(super) unsound: Arc<AtomicBool>,
    pub(super) closed: AtomicBool,
    opens: AtomicU64,
    noted: Noted,
    check: Mutex<Option<JoinHandle<()>>>,
    interrupt: Interrupt,
    lock: Mutex<Option<DatabaseLock>>,
}

impl fmt::Debug for EmbeddedEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedEngine").field("name", &self.description.name).finish_non_exhaustive()
    }
}

impl EmbeddedEngine {
    /// Opens the engine, making its file and directory where they are missing. Blocks.
    ///
    /// Reads the header, the schema, the log and the controls, whatever the file holds; its soundness is checked in
    /// the background afterwards.
    ///
    /// # Errors
    /// `Refused` when another process holds the directory, a file cannot be opened, or the schema is newer than this
    /// program; `Corrupt` when the file is damaged or no database; `Invalid` for a configuration out of bounds.
    pub fn open(config: EmbeddedConfig, clock: Arc<dyn Clock>) -> Result<Arc<Self>> {
        let name = Arc::clone(&config.name);
        Self::start(config, clock).map(Arc::new).map_err(|e| e.at_engine(&name).during("open"))
    }

    fn start(config: EmbeddedConfig, clock: Arc<dyn Clock>) -> Result<Self> {
        config.check()?;
        let lock = DatabaseLock::take(&config.path)?;
        let setup = Setup::open(&Options {
            synchronous: config.synchronous,
            readers: config.readers,
            scanners: SCANNERS,
            waiting_max: config.waiting_max,
            ..Options::at(&config.path)
        })?;
        migrate(&setup, STEPS, clock.now())?;
        let noted = Noted::beside(&config.path);
        let history = History::begin(&setup, config.opens_noted.max(noted.read()?))?;
        noted.write(history.opens)?;

        let readers = setup.readers();
        let mut memory = setup.transact(Memory::load)?;
        let known = Arc::new(Directory::default());
        known.publish(&mut memory);
        let hub = Arc::new(Hub::new());
        let rules = Rules { clock: Arc::clone(&clock), commit_memory: config.commit_memory };
        let scribe = Scribe { memory, rules, directory: Arc::clone(&known), hub: Arc::clone(&hub) };
        let engine = Self {
            description: Description {
                name: Arc::clone(&config.name),
                kind: EngineKind::Embedded,
                guarantees: config.guarantees(),
                value_bytes_max: config.value_bytes_max,
            },
            clock,
            hub,
            directory: known,
            writer: Arc::new(Writer::start(setup, scribe)?),
            readers,
            scanners: Scanners::open(&config.path, SCANNERS)?,
            history,
            unsound: Arc::default(),
            closed: AtomicBool::new(false),
            opens: AtomicU64::new(history.opens),
            noted,
            check: Mutex::new(None),
            interrupt: Interrupt::default(),
            lock: Mutex::new(Some(lock)),
            config,
        };
        engine.check_in_background()?;
        Ok(engine)
    }

    /// Reads the whole file beside the running engine; a finding stops all writes.
    fn check_in_background(&self) -> Result<()> {
        let (path, interrupt) = (self.config.path.clone(), self.interrupt.clone());
        let (writer, unsound) = (Arc::downgrade(&self.writer), Arc::clone(&self.unsound));
        let name = Arc::clone(&self.config.name);
        let check = std::thread::Builder::new().name("embedded-check".into()).spawn(move || {
            match quick_check(&path, &interrupt) {
                Ok(Soundness::Sound | Soundness::Interrupted) => {}
                Ok(Soundness::Unsound) => {
                    tracing::error!(engine = %name, "the database is corrupt: writes are refused from now on");
                    unsound.store(true, Ordering::SeqCst);
                    if let Some(writer) = writer.upgrade() {
                        writer.stop(Stop::Unsound);
                    }
                }
                Err(error) => tracing::warn!(engine = %name, %error, "the database could not be checked"),
            }
        });
        let check = check.map_err(|e| {
            Error::new(Kind::Unavailable, "no thread for the check of the database").caused_by(e)
        })?;
        *self.check.lock() = Some(check);
        Ok(())
    }

    /// How often this file was opened and closed, for the control tables to note: a lower count at a later start says
    /// that an older copy was put back.
    pub fn open_count(&self) -> u64 {
        self.opens.load(Ordering::SeqCst)
    }

    /// What the writer has done so far: commits and syncs.
    pub fn stats(&self) -> WriterStats {
        self.writer.stats()
    }

    /// Does the commits that wait, ends in order and lets the directory go. Blocks; again is nothing.
    pub fn close(&self) {
        if self.closed.swap(true, Ordering::SeqCst) {
            return;
        }
        self.interrupt.raise();
        if let Some(check) = self.check.lock().take()
            && check.join().is_err()
        {
            tracing::error!(engine = %self.config.name, "the check of the database had panicked");
        }
        self.writer.close();
        if self.writer.stopped() == Some(Stop::Closed) {
            let opens = self.opens.fetch_add(1, Ordering::SeqCst) + 1;
            if let Err(error) = self.noted.write(opens) {
                tracing::warn!(engine = %self.config.name, %error, "the open count could not be noted");
            }
        }
        *self.lock.lock() = None;
    }

    /// Makes the next commit meet a failing sync.
    #[cfg(test)]
    pub(super) fn fail_next_sync(&self, fault: statehold_sql::SyncFault) {
        self.writer.fail_next_sync(fault);
    }
}

impl Drop for EmbeddedEngine {
    fn drop(&mut self) {
        self.close();
    }
}
