//! Opening connections the same way everywhere.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use statehold_core::{Error, Kind, Result};

use crate::classify::{error, fault};

/// SQLite before this can corrupt its write-ahead log.
const SQLITE_VERSION_MIN: i32 = 3_051_003;
/// Prepared statements kept per connection.
const STATEMENTS_MAX: usize = 256;
/// A connection's page cache, KiB.
const CACHE_KIB: i64 = 16 << 10;
/// The write-ahead log is cut back to this after it was taken over into the file, bytes.
const WAL_BYTES_KEPT: i64 = 64 << 20;

/// When a commit counts as done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Synchronous {
    /// After the sync: nothing acknowledged is lost by a power cut.
    #[default]
    Full,
    /// After the write: a process kill loses nothing, a power cut may lose the last moments.
    Normal,
}

impl Synchronous {
    pub(crate) const fn pragma(self) -> &'static str {
        match self {
            Self::Full => "PRAGMA synchronous = FULL",
            Self::Normal => "PRAGMA synchronous = NORMAL",
        }
    }
}

/// How a database is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// The file; made (mode 0600) where it is missing, its directory too (0700).
    pub path: PathBuf,
    /// When a commit counts as done.
    pub synchronous: Synchronous,
    /// Connections for reads that are short, 1..=64.
    pub readers: usize,
    /// Connections for reads that may take long, 1..=64.
    pub scanners: usize,
    /// Jobs that may wait for the writer, 1..=1,000,000; one more is `Overloaded`.
    pub waiting_max: usize,
}

impl Options {
    /// The defaults for a file: synced commits, 4 readers, 2 scanners, 16,384 waiting jobs.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            synchronous: Synchronous::Full,
            readers: 4,
            scanners: 2,
            waiting_max: 16_384,
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        let connections = 1..=64;
        if connections.contains(&self.readers)
            && connections.contains(&self.scanners)
            && (1..=1_000_000).contains(&self.waiting_max)
        {
            Ok(())
        } else {
            Err(Error::invalid("a database has 1 to 64 readers and scanners, 1 to 1000000 waiting jobs"))
        }
    }
}

/// The writer's connection: the first one, which makes the file and recovers its log.
pub(crate) fn writer(options: &Options) -> Result<Connection> {
    if rusqlite::version_number() < SQLITE_VERSION_MIN {
        return Err(Error::new(Kind::Unsupported, "SQLite 3.51.3 or newer is needed"));
    }
    make_private(&options.path)?;
    let connection = open(&options.path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let mode: String = connection
        .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))
        .map_err(|e| cannot_open(&options.path, &e))?;
    if mode != "wal" {
        return Err(Error::new(Kind::Unsupported, "the file system cannot hold a write-ahead log"));
    }
    connection.execute_batch(options.synchronous.pragma()).map_err(|e| error(&e))?;
    connection.pragma_update(None, "journal_size_limit", WAL_BYTES_KEPT).map_err(|e| error(&e))?;
    Ok(connection)
}

/// A connection that only reads.
pub(crate) fn reader(path: &Path) -> Result<Connection> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.pragma_update(None, "query_only", true).map_err(|e| error(&e))?;
    Ok(connection)
}

/// A connection that takes the log over into the file.
pub(crate) fn checkpointer(path: &Path) -> Result<Connection> {
    open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
}

fn open(path: &Path, flags: OpenFlags) -> Result<Connection> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|e| cannot_open(path, &e))?;
    configure(&connection).map_err(|e| cannot_open(path, &e))?;
    Ok(connection)
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // The last connection to go must not take the log over by itself: after a failed sync that would be wrong, and
    // otherwise the writer does it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "recursive_triggers", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    // The first statement that reads the file: anything but a database shows here.
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
}

/// Makes the file and its directory, readable by their owner alone.
fn make_private(path: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|e| refused(directory, e))?;
    }
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map(drop)
        .map_err(|e| refused(path, e))
}

fn refused(path: &Path, cause: std::io::Error) -> Error {
    Error::new(Kind::Refused, format!("`{}` cannot be opened", path.display())).caused_by(cause)
}

fn cannot_open(path: &Path, cause: &rusqlite::Error) -> Error {
    let fault = fault(cause);
    let message = format!("`{}`: {}", path.display(), fault.message);
    let error = Error::new(fault.kind, message);
    match fault.code {
        Some(code) => error.caused_by(crate::SqliteCode(code)),
        None => error,
    }
}
