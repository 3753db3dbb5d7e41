//! Namespaces: made, listed, and deleted in two steps so that a mistake can be seen in time.

use std::time::Duration;

use statehold_core::{Error, Kind, Namespace, Result, Time};
use statehold_sql::{Sql, Tx};

use super::ControlTables;
use super::rows::{micros, raise_version, time};

/// How long a deleted namespace's state is kept before the sweep removes it.
pub const NAMESPACE_GRACE: Duration = Duration::from_hours(7 * 24);
/// Most namespaces of an installation.
pub const NAMESPACES_MAX: usize = 10_000;
/// The namespace that exists from the start.
pub const NAMESPACE_DEFAULT: &str = "default";

static ALL: Sql = Sql::new("SELECT name, created_at, deleted_at FROM namespaces ORDER BY name");
static FIND: Sql = Sql::new("SELECT deleted_at FROM namespaces WHERE name = $1");
static COUNT: Sql = Sql::new("SELECT count(*) FROM namespaces");
static INSERT: Sql =
    Sql::new("INSERT INTO namespaces (name, created_at) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING");
static MARK: Sql = Sql::new("UPDATE namespaces SET deleted_at = $2 WHERE name = $1 AND deleted_at IS NULL");
static REMOVE: Sql =
    Sql::new("DELETE FROM namespaces WHERE name = $1 AND deleted_at IS NOT NULL AND deleted_at <= $2");
static REMOVE_PLACEMENTS: Sql = Sql::new("DELETE FROM placements WHERE namespace = $1");

/// A namespace as the tables keep it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceRow {
    /// Its name.
    pub name: Namespace,
    /// When it was made.
    pub created_at: Time,
    /// When it was deleted: it serves no longer, and is removed [`NAMESPACE_GRACE`] later.
    pub deleted_at: Option<Time>,
}

impl NamespaceRow {
    /// When its state is removed.
    pub fn removed_at(&self) -> Option<Time> {
        self.deleted_at.map(|deleted| deleted.plus(NAMESPACE_GRACE))
    }
}

impl ControlTables {
    /// Every namespace by name, deleted ones included until they are removed.
    pub fn namespaces(&self) -> Vec<NamespaceRow> {
        self.namespaces.read().values().cloned().collect()
    }

    /// Whether the namespace serves.
    pub fn serves_namespace(&self, name: &Namespace) -> bool {
        self.namespaces.read().get(name).is_some_and(|row| row.deleted_at.is_none())
    }

    /// Whether the namespace was deleted and not made again.
    pub fn has_deleted(&self, name: &Namespace) -> bool {
        self.namespaces.read().get(name).is_some_and(|row| row.deleted_at.is_some())
    }

    /// Makes a namespace.
    ///
    /// # Errors
    /// `Conflict` where the name is taken, also by a deleted one; `Overloaded` beyond [`NAMESPACES_MAX`].
    pub async fn create_namespace(&self, name: &Namespace) -> Result<NamespaceRow> {
        let row = NamespaceRow { name: name.clone(), created_at: self.clock.now(), deleted_at: None };
        let wanted = row.clone();
        self.db
            .write("namespaces.create", move |tx| {
                let kept = tx.query_row(&COUNT, &[], |row| row.int(0))?.unwrap_or_default();
                if usize::try_from(kept).is_ok_and(|kept| kept >= NAMESPACES_MAX) {
                    return Err(Error::new(Kind::Overloaded, "there are as many namespaces as there may be"));
                }
                if insert(tx, &wanted.name, wanted.created_at)? {
                    Ok(())
                } else {
                    Err(Error::conflict("the namespace exists"))
                }
            })
            .await?;
        self.reload().await?;
        Ok(row)
    }

    /// Deletes a namespace: it serves no longer at once, and is removed after [`NAMESPACE_GRACE`]. Deleting it again
    /// changes nothing.
    ///
    /// # Errors
    /// `NotFound` for an unknown namespace.
    pub async fn delete_namespace(&self, name: &Namespace) -> Result<NamespaceRow> {
        let now = self.clock.now();
        let wanted = name.clone();
        self.db
            .write("namespaces.delete", move |tx| {
                if tx.query_row(&FIND, &[wanted.as_str().into()], |_| Ok(()))?.is_none() {
                    return Err(unknown());
                }
                if tx.execute(&MARK, &[wanted.as_str().into(), micros(now)])? > 0 {
                    raise_version(tx)
                } else {
                    Ok(())
                }
            })
            .await?;
        self.reload().await?;
        self.namespaces.read().get(name).cloned().ok_or_else(unknown)
    }

    /// The deleted namespaces whose time of grace is over.
    pub fn namespaces_to_remove(&self) -> Vec<Namespace> {
        let now = self.clock.now();
        let kept = self.namespaces.read();
        let over = kept.values().filter(|row| row.removed_at().is_some_and(|end| end <= now));
        over.map(|row| row.name.clone()).collect()
    }

    /// Forgets a namespace whose time of grace is over and whose state is gone; its name is free again.
    pub async fn forget_namespace(&self, name: &Namespace) -> Result<bool> {
        let before = self.clock.now().minus(NAMESPACE_GRACE);
        let wanted = name.clone();
        let forgotten = self
            .db
            .write("namespaces.forget", move |tx| {
                let name = wanted.as_str();
                let forgotten = tx.execute(&REMOVE, &[name.into(), micros(before)])? > 0;
                if forgotten {
                    tx.execute(&REMOVE_PLACEMENTS, &[name.into()])?;
                    raise_version(tx)?;
                }
                Ok(forgotten)
            })
            .await?;
        self.reload().await?;
        Ok(forgotten)
    }
}

/// Puts a namespace where the name is free; says whether it was.
pub(super) fn insert(tx: &Tx<'_>, name: &Namespace, now: Time) -> Result<bool> {
    let inserted = tx.execute(&INSERT, &[name.as_str().into(), micros(now)])? > 0;
    if inserted {
        raise_version(tx)?;
    }
    Ok(inserted)
}

pub(super) fn all(tx: &Tx<'_>) -> Result<Vec<NamespaceRow>> {
    tx.query(&ALL, &[], |row| {
        Ok(NamespaceRow {
            name: Namespace::new(row.text(0)?)?,
            created_at: time(row.int(1)?),
            deleted_at: row.opt_int(2)?.map(time),
        })
    })
}

fn unknown() -> Error {
    Error::new(Kind::NotFound, "there is no such namespace")
}
