//! What all control tables share: the installation's row, and times as integers.

use statehold_core::{Error, Owner, Result, Term, Time};
use statehold_sql::{Sql, Tx, Val};

static INSTALLATION: Sql = Sql::new("SELECT owner, created_at, term, version FROM installation");
static INSTALL: Sql =
    Sql::new("INSERT INTO installation VALUES (1, $1, $2, 0, 0) ON CONFLICT (only) DO NOTHING");
static RAISE_VERSION: Sql = Sql::new("UPDATE installation SET version = version + 1");
static SCHEMA_VERSION: Sql = Sql::new("SELECT coalesce(max(version), 0) FROM schema_migrations");
static SET_TERM: Sql = Sql::new("UPDATE installation SET term = $1");

/// The installation's only row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Installation {
    pub(super) owner: Owner,
    pub(super) created_at: Time,
    pub(super) term: Term,
    /// Grows with every change to keys and namespaces, so that other processes read them again.
    pub(super) version: u64,
}

pub(super) fn installation(tx: &Tx<'_>) -> Result<Installation> {
    find(tx)?.ok_or_else(|| Error::corrupt("the control tables name no installation"))
}

fn find(tx: &Tx<'_>) -> Result<Option<Installation>> {
    tx.query_row(&INSTALLATION, &[], |row| {
        Ok(Installation {
            owner: Owner(row.array(0)?),
            created_at: time(row.int(1)?),
            term: Term(u32::try_from(row.int(2)?).map_err(|_| Error::corrupt("a term is no u32"))?),
            version: count(row.int(3)?)?,
        })
    })
}

/// Writes the installation's row where there is none; says whether it did.
pub(super) fn install(tx: &Tx<'_>, owner: Owner, now: Time) -> Result<bool> {
    Ok(tx.execute(&INSTALL, &[owner.0.into(), micros(now)])? > 0)
}

pub(super) fn raise_version(tx: &Tx<'_>) -> Result<()> {
    tx.execute(&RAISE_VERSION, &[]).map(drop)
}

/// The last schema step that was applied.
pub(super) fn schema_version(tx: &Tx<'_>) -> Result<u64> {
    tx.query_row(&SCHEMA_VERSION, &[], |row| row.int(0))?.map_or(Ok(0), count)
}

/// Draws a term above every one drawn before and above `floor`.
///
/// # Errors
/// `Overloaded` when the terms of an installation are exhausted.
pub(super) fn draw_term(tx: &Tx<'_>, floor: Term) -> Result<Term> {
    let drawn = Term(installation(tx)?.term.max(floor).0 + 1);
    if drawn > Term::MAX {
        return Err(Error::new(statehold_core::Kind::Overloaded, "the installation's terms are exhausted"));
    }
    set_term(tx, drawn)?;
    Ok(drawn)
}

/// Makes sure that the next term is drawn above this one.
pub(super) fn raise_term(tx: &Tx<'_>, floor: Term) -> Result<()> {
    let present = installation(tx)?.term;
    if floor > present { set_term(tx, floor.min(Term::MAX)) } else { Ok(()) }
}

fn set_term(tx: &Tx<'_>, term: Term) -> Result<()> {
    tx.execute(&SET_TERM, &[Val::from(term.0)]).map(drop)
}

/// A time as it is kept: microseconds since 1970.
pub(super) fn micros(time: Time) -> Val {
    Val::Int(i64::try_from(time.micros()).unwrap_or(i64::MAX))
}

/// Takes back what [`micros`] made.
pub(super) fn time(micros: i64) -> Time {
    Time::from_micros(u64::try_from(micros).unwrap_or_default())
}

/// A number that is never negative.
pub(super) fn count(kept: i64) -> Result<u64> {
    u64::try_from(kept).map_err(|_| Error::corrupt("a stored count is negative"))
}
