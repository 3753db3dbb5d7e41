//! Which history this file holds: its incarnations, and how often it was opened.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use statehold_core::{Error, Incarnation, Kind, Result, Space};
use statehold_sql::{Setup, Sql, Synchronous, Tx, Val};

static READ: Sql =
    Sql::new("SELECT incarnation, incarnation_unsynced, opens, clean, synced, counter FROM meta");
static WRITE: Sql = Sql::new(
    "INSERT INTO meta (one, incarnation, incarnation_unsynced, opens, clean, synced, counter)
     VALUES (1, $1, $2, $3, $4, $5, $6)
     ON CONFLICT (one) DO UPDATE SET incarnation = excluded.incarnation,
        incarnation_unsynced = excluded.incarnation_unsynced, opens = excluded.opens, clean = excluded.clean,
        synced = excluded.synced, counter = excluded.counter",
);
static COUNT: Sql = Sql::new("UPDATE meta SET counter = $1");

/// The row of `meta`.
#[derive(Clone, Copy, Debug)]
pub(super) struct History {
    /// Of spaces that are synced.
    pub(super) incarnation: Incarnation,
    /// Of spaces that are acknowledged before the sync.
    pub(super) incarnation_unsynced: Incarnation,
    /// How often the file was opened, and closed in order.
    pub(super) opens: u64,
    /// The last stop was in order.
    clean: bool,
    /// Commits were synced before they were acknowledged.
    synced: bool,
    /// The last revision's number.
    pub(super) counter: u64,
}

impl History {
    /// The history of a space at this engine.
    pub(super) fn of(&self, space: &Space) -> Incarnation {
        if space.traits().unsynced { self.incarnation_unsynced } else { self.incarnation }
    }

    /// Notes that the file is opened, with another incarnation where history may be gone.
    pub(super) fn begin(setup: &Setup, noted: u64) -> Result<Self> {
        let synced = setup.options().synchronous == Synchronous::Full;
        let fresh = (random()?, random()?);
        setup.transact(|tx| {
            let history = Self::read(tx)?.map_or_else(
                || Self {
                    incarnation: fresh.0,
                    incarnation_unsynced: fresh.1,
                    opens: noted + 1,
                    clean: false,
                    synced,
                    counter: 0,
                },
                |before| before.reopened(noted, synced, fresh),
            );
            history.write(tx)?;
            Ok(history)
        })
    }

    fn reopened(self, noted: u64, synced: bool, fresh: (Incarnation, Incarnation)) -> Self {
        let put_back = self.opens < noted;
        let lossy = put_back || !(self.clean || self.synced);
        Self {
            incarnation: if lossy { fresh.0 } else { self.incarnation },
            incarnation_unsynced: if lossy || !self.clean { fresh.1 } else { self.incarnation_unsynced },
            opens: self.opens.max(noted) + 1,
            clean: false,
            synced,
            counter: self.counter,
        }
    }

    pub(super) fn read(tx: &Tx<'_>) -> Result<Option<Self>> {
        tx.query_row(&READ, &[], |row| {
            Ok(Self {
                incarnation: Incarnation(row.array(0)?),
                incarnation_unsynced: Incarnation(row.array(1)?),
                opens: row.int(2)?.cast_unsigned(),
                clean: row.bool(3)?,
                synced: row.bool(4)?,
                counter: row.int(5)?.cast_unsigned(),
            })
        })
    }

    fn write(&self, tx: &Tx<'_>) -> Result<()> {
        let row = [
            Val::from(self.incarnation.0),
            Val::from(self.incarnation_unsynced.0),
            Val::Int(self.opens.cast_signed()),
            Val::from(self.clean),
            Val::from(self.synced),
            Val::Int(self.counter.cast_signed()),
        ];
        tx.execute(&WRITE, &row).map(drop)
    }

    /// Keeps the counter alone: once per transaction that issued revisions.
    pub(super) fn count(&self, tx: &Tx<'_>) -> Result<()> {
        tx.execute(&COUNT, &[Val::Int(self.counter.cast_signed())]).map(drop)
    }

    /// Notes a stop in order. The count is raised, so that a copy taken while the file was open shows as an older one.
    pub(super) fn end(&mut self, tx: &Tx<'_>) -> Result<()> {
        self.opens += 1;
        self.clean = true;
        self.write(tx)
    }
}

fn random() -> Result<Incarnation> {
    let mut id = [0; 16];
    getrandom::fill(&mut id)
        .map_err(|e| Error::new(Kind::Unavailable, "the system gives no random bytes").caused_by(e))?;
    Ok(Incarnation(id))
}

/// The open count noted beside the file.
#[derive(Clone, Debug)]
pub(super) struct Noted(PathBuf);

impl Noted {
    pub(super) fn beside(database: &Path) -> Self {
        let mut name = database.as_os_str().to_owned();
        name.push("-opens");
        Self(name.into())
    }

    /// The count; 0 where none was noted.
    pub(super) fn read(&self) -> Result<u64> {
        match fs::read_to_string(&self.0) {
            Ok(text) => text
                .trim()
                .parse()
                .map_err(|_| Error::corrupt("the open count beside the database is no number")),
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(0),
            Err(cause) => Err(trouble(cause)),
        }
    }

    /// Replaces the count: the old one or the new one is there, whatever happens.
    pub(super) fn write(&self, opens: u64) -> Result<()> {
        let mut next = self.0.clone().into_os_string();
        next.push(".new");
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&next)
            .and_then(|mut file| writeln!(file, "{opens}").and_then(|()| file.sync_data()))
            .and_then(|()| fs::rename(&next, &self.0))
            .map_err(trouble)
    }
}

fn trouble(cause: std::io::Error) -> Error {
    Error::new(Kind::Refused, "the open count beside the database cannot be used").caused_by(cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incarnation_changes_exactly_where_history_may_be_gone() {
        let (old, new) =
            ((Incarnation([1; 16]), Incarnation([2; 16])), (Incarnation([3; 16]), Incarnation([4; 16])));
        // clean, synced, put back: synced spaces renewed, unsynced spaces renewed.
        let table = [
            (true, true, false, false, false),
            (true, false, false, false, false),
            (false, true, false, false, true),
            (false, false, false, true, true),
            (true, true, true, true, true),
            (false, true, true, true, true),
        ];
        for (clean, synced, put_back, renewed, renewed_unsynced) in table {
            let before = History {
                incarnation: old.0,
                incarnation_unsynced: old.1,
                opens: 5,
                clean,
                synced,
                counter: 9,
            };
            let after = before.reopened(if put_back { 6 } else { 5 }, true, new);
            let seen = (after.incarnation == new.0, after.incarnation_unsynced == new.1);
            assert_eq!(seen, (renewed, renewed_unsynced), "{clean} {synced} {put_back}");
            assert!(after.opens > 5 && !after.clean && after.counter == 9);
        }
    }
}
