//! One code path on SQL databases: statements and values, transactions, schema steps.
//!
//! A [`Database`] is one SQLite file in WAL mode with one writer thread that commits in groups, and readers of their
//! own. Errors are those of the contract, told apart by code and never by text.
//!
//! ```
//! use statehold_sql::{Database, Options, Sql, Val};
//!
//! static CREATE: Sql = Sql::new("CREATE TABLE visits (page TEXT PRIMARY KEY, count INTEGER NOT NULL)");
//! static COUNT: Sql = Sql::new(
//!     "INSERT INTO visits VALUES ($1, 1) ON CONFLICT (page) DO UPDATE SET count = count + 1 RETURNING count",
//! );
//!
//! # let directory = tempfile::tempdir()?;
//! # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! let database = Database::open(&Options::at(directory.path().join("visits.db")))?;
//! # runtime.block_on(async {
//! let count = database
//!     .write("count a visit", |tx| {
//!         tx.execute(&CREATE, &[])?;
//!         tx.query_row(&COUNT, &[Val::from("/")], |row| row.int(0))
//!     })
//!     .await?;
//! assert_eq!(count, Some(1));
//! # Ok::<(), statehold_core::Error>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod classify;
mod connect;
mod database;
mod migrate;
mod readers;
mod sql;
#[cfg(test)]
mod tests;
mod tx;
mod value;
mod writer;

pub use classify::{Constraint, Fault, SqliteCode, constraint};
pub use connect::{Options, Synchronous};
pub use database::{Database, Manner};
pub use migrate::{Schema, Step, Transact, migrate, schema};
pub use readers::{Interrupt, Readers, Scanners, Soundness, integrity_check, quick_check};
pub use sql::Sql;
pub use tx::{Prepared, Row, Tx};
pub use value::Val;
#[cfg(any(test, feature = "faults"))]
pub use writer::SyncFault;
pub use writer::{Answer, Setup, Stop, Work, Writer, WriterStats};
