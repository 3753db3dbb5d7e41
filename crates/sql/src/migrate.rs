//! Schema steps: numbered, additive, each in a transaction of its own.

use std::time::Instant;

use statehold_core::{Error, Kind, Result, Time};

use crate::database::Database;
use crate::sql::Sql;
use crate::tx::Tx;
use crate::value::Val;
use crate::writer::Setup;

/// One step: plain SQL without BEGIN and COMMIT.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// 1, 2, 3, …, without gaps.
    pub version: u32,
    /// What it does, in a word or two.
    pub name: &'static str,
    /// The statements.
    pub script: &'static str,
}

impl Step {
    fn checksum(&self) -> [u8; 32] {
        *blake3::hash(self.script.as_bytes()).as_bytes()
    }
}

/// Where a database's schema stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    /// The last step that was applied; 0 before the first.
    pub version: u32,
    /// Versions and names of the steps that are missing, in order.
    pub missing: Vec<(u32, &'static str)>,
}

/// Something that can run one transaction and wait for it.
pub trait Transact {
    /// Runs one transaction to its end. Blocks.
    ///
    /// # Errors
    /// What `f` returned or COMMIT met.
    fn transact<T: Send + 'static>(&self, f: impl FnOnce(&Tx<'_>) -> Result<T> + Send + 'static)
    -> Result<T>;
}

impl Transact for Setup {
    fn transact<T: Send + 'static>(
        &self,
        f: impl FnOnce(&Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        Setup::transact(self, f)
    }
}

impl Transact for Database {
    fn transact<T: Send + 'static>(
        &self,
        f: impl FnOnce(&Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.write_blocking("schema", |tx| f(tx))
    }
}

static CREATE: Sql = Sql::new(
    "CREATE TABLE IF NOT EXISTS schema_migrations (
        version INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        checksum BLOB NOT NULL,
        applied_at INTEGER NOT NULL,
        duration_ms INTEGER NOT NULL,
        product_version TEXT NOT NULL
    ) STRICT",
);
static KNOWN: Sql =
    Sql::new("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migrations'");
static APPLIED: Sql = Sql::new("SELECT version, checksum FROM schema_migrations ORDER BY version");
static NOTE: Sql = Sql::new("INSERT INTO schema_migrations VALUES ($1, $2, $3, $4, $5, $6)");

/// Where the schema stands, without writing anything. Blocks.
///
/// # Errors
/// `Refused` when an applied step has changed, one is missing among the applied ones, or the schema is newer than
/// this program.
pub fn schema(on: &impl Transact, steps: &'static [Step]) -> Result<Schema> {
    on.transact(move |tx| compare(tx, steps))
}

/// Applies the steps that are missing, each in a transaction of its own (`now` is noted beside them). Blocks.
///
/// # Errors
/// As [`schema`], and whatever a step meets: that step is rolled back whole, earlier ones stay.
pub fn migrate(on: &impl Transact, steps: &'static [Step], now: Time) -> Result<Schema> {
    loop {
        let begun = Instant::now();
        let schema = on.transact(move |tx| {
            let schema = compare(tx, steps)?;
            let Some(step) = steps.get(schema.version as usize) else { return Ok(schema) };
            tx.execute(&CREATE, &[])?;
            tx.execute_script(step.script)?;
            let row = [
                Val::from(step.version),
                Val::from(step.name),
                Val::from(step.checksum()),
                Val::Int(now.millis().cast_signed()),
                Val::Int(begun.elapsed().as_millis() as i64),
                Val::from(env!("CARGO_PKG_VERSION")),
            ];
            tx.execute(&NOTE, &row)?;
            Ok(schema)
        })?;
        match schema.missing.first() {
            Some((version, name)) => tracing::info!(version, name, "schema step applied"),
            None => return Ok(schema),
        }
    }
}

fn compare(tx: &Tx<'_>, steps: &'static [Step]) -> Result<Schema> {
    debug_assert!(
        steps.iter().zip(1..).all(|(step, version)| step.version == version),
        "steps are 1, 2, 3, …"
    );
    let applied = match tx.query_row(&KNOWN, &[], |row| row.int(0))? {
        Some(_) => tx.query(&APPLIED, &[], |row| Ok((row.int(0)?, row.array::<32>(1)?)))?,
        None => Vec::new(),
    };
    for (index, (version, checksum)) in applied.iter().enumerate() {
        let Some(step) = steps.get(index) else {
            return Err(refused("the schema of the database is newer than this program"));
        };
        if *version != i64::from(step.version) {
            return Err(refused("the schema of the database lacks a step before its last one"));
        }
        if *checksum != step.checksum() {
            return Err(refused("an applied schema step differs from the one in this program"));
        }
    }
    let missing = steps[applied.len()..].iter().map(|step| (step.version, step.name)).collect();
    Ok(Schema { version: applied.len() as u32, missing })
}

fn refused(message: &'static str) -> Error {
    Error::new(Kind::Refused, message)
}
