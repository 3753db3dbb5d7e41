//! The control tables: who may call, which namespaces exist, where every space lives.
//!
//! They are part of the record database. Keys and namespaces are also kept in memory, where every request reads them;
//! a change by this process is there at once, one by another after [`ControlTables::refresh`].

mod job_runs;
mod keys;
mod namespaces;
mod placements;
mod rows;
mod scopes;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use statehold_core::{Clock, Error, Namespace, Owner, Result, Time};
use statehold_sql::{Database, Step};

use self::keys::KeyBook;
use self::rows::Installation;

pub use self::job_runs::JobRun;
pub use self::keys::{
    ApiKey, IssuedKey, KEYS_MAX, KeyHasher, KeyId, KeyNamespaces, KeyRefusal, KeyText, LAST_USED_EVERY,
    LIFETIME_DEFAULT, LIFETIME_MAX, LIST_MAX, NAME_BYTES_MAX, NewKey, OVERLAP_DEFAULT, OVERLAP_MAX,
};
pub use self::namespaces::{NAMESPACE_DEFAULT, NAMESPACE_GRACE, NAMESPACES_MAX, NamespaceRow};
pub use self::placements::{Placement, TERMS_SKIPPED, read_placements};
pub use self::scopes::{Scope, ScopeSet};

/// The schema steps of the record database.
pub const STEPS: &[Step] =
    &[Step { version: 1, name: "control", script: include_str!("schema/0001_control.sql") }];

/// The control tables of one installation.
pub struct ControlTables {
    db: Database,
    clock: Arc<dyn Clock>,
    hasher: KeyHasher,
    installation: Installation,
    book: KeyBook,
    namespaces: RwLock<BTreeMap<Namespace, NamespaceRow>>,
    /// The version of the tables that is in memory: an older reading never replaces a newer one.
    version: Mutex<u64>,
}

impl fmt::Debug for ControlTables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControlTables").field("owner", &self.installation.owner).finish_non_exhaustive()
    }
}

impl ControlTables {
    /// Opens the tables of a database whose schema is up to date. The first time, it makes the installation and its
    /// namespace [`NAMESPACE_DEFAULT`].
    pub async fn open(db: Database, clock: Arc<dyn Clock>, hasher: KeyHasher) -> Result<Arc<Self>> {
        let mut owner = Owner::default();
        getrandom::fill(&mut owner.0)
            .map_err(|cause| Error::internal("the operating system gives no randomness").caused_by(cause))?;
        let now = clock.now();
        let default = Namespace::new(NAMESPACE_DEFAULT)?;
        let installation = db
            .write("installation.open", move |tx| {
                if rows::install(tx, owner, now)? {
                    namespaces::insert(tx, &default, now)?;
                }
                rows::installation(tx)
            })
            .await?;
        let tables = Self {
            db,
            clock,
            hasher,
            installation,
            book: KeyBook::default(),
            namespaces: RwLock::default(),
            version: Mutex::new(0),
        };
        tables.reload().await?;
        Ok(Arc::new(tables))
    }

    /// The record database.
    pub fn database(&self) -> &Database {
        &self.db
    }

    /// When the installation was made.
    pub fn installed_at(&self) -> Time {
        self.installation.created_at
    }

    /// The last schema step that was applied to the record database.
    pub async fn schema_version(&self) -> Result<u64> {
        self.db.read("schema.version", |tx| rows::schema_version(tx)).await
    }

    /// Reads keys and namespaces again, if another process has changed them; says whether it had.
    pub async fn refresh(&self) -> Result<bool> {
        let present = self.db.read_inline("installation.version", |tx| rows::installation(tx))?.version;
        let known = *self.version.lock();
        if present == known {
            return Ok(false);
        }
        self.reload().await?;
        Ok(true)
    }

    async fn reload(&self) -> Result<()> {
        let (version, keys, namespaces) = self
            .db
            .read("installation.reload", |tx| {
                Ok((rows::installation(tx)?.version, keys::all(tx)?, namespaces::all(tx)?))
            })
            .await?;
        let mut known = self.version.lock();
        if version >= *known {
            self.book.replace(keys);
            *self.namespaces.write() = namespaces.into_iter().map(|row| (row.name.clone(), row)).collect();
            *known = version;
        }
        Ok(())
    }
}
