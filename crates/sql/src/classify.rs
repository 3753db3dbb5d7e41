//! SQLite's errors as ours: by extended result code, never by text.

use std::fmt;

use rusqlite::ffi;
use statehold_core::{Error, Kind, Outcome};

/// An error's class, cheap to copy, so that one failed transaction can answer all of its callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What the caller should do.
    pub kind: Kind,
    /// Whether anything may have changed.
    pub outcome: Outcome,
    /// One line for the caller.
    pub message: &'static str,
    /// SQLite's extended result code, where it gave one.
    pub code: Option<i32>,
}

impl Fault {
    /// A fault of our own making: nothing changed.
    pub const fn new(kind: Kind, message: &'static str) -> Self {
        Self { kind, outcome: Outcome::NoEffect, message, code: None }
    }

    /// The fault as an error, with SQLite's code as its cause.
    pub fn to_error(self) -> Error {
        let error = Error::new(self.kind, self.message).with_outcome(self.outcome);
        match self.code {
            Some(code) => error.caused_by(SqliteCode(code)),
            None => error,
        }
    }

    /// The class of an error that a job met.
    pub(crate) fn of(error: &Error) -> Self {
        let code = std::error::Error::source(error).and_then(|source| source.downcast_ref());
        match code {
            Some(SqliteCode(code)) => by_code(*code),
            None => Self {
                kind: error.kind(),
                outcome: error.outcome(),
                message: "the transaction was rolled back",
                code: None,
            },
        }
    }
}

/// SQLite's extended result code as the cause of an error; says what the code means and nothing of the statement.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SqliteCode(pub i32);

impl fmt::Display for SqliteCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SQLite error {}: {}", self.0, ffi::code_to_str(self.0))
    }
}

impl fmt::Debug for SqliteCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for SqliteCode {}

/// Which kind of constraint refused a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Constraint {
    /// A unique index or primary key.
    Unique,
    /// A foreign key.
    ForeignKey,
    /// NOT NULL.
    NotNull,
    /// CHECK, or a strict table's type.
    Check,
    /// Raised by a trigger.
    Trigger,
    /// Another one.
    Other,
}

/// The constraint behind a [`Kind::Conflict`] of this crate.
pub fn constraint(error: &Error) -> Option<Constraint> {
    let SqliteCode(code) = std::error::Error::source(error)?.downcast_ref()?;
    Some(match *code {
        ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_ROWID => {
            Constraint::Unique
        }
        ffi::SQLITE_CONSTRAINT_FOREIGNKEY => Constraint::ForeignKey,
        ffi::SQLITE_CONSTRAINT_NOTNULL => Constraint::NotNull,
        ffi::SQLITE_CONSTRAINT_CHECK | ffi::SQLITE_CONSTRAINT_DATATYPE => Constraint::Check,
        ffi::SQLITE_CONSTRAINT_TRIGGER => Constraint::Trigger,
        code if code & 0xff == ffi::SQLITE_CONSTRAINT => Constraint::Other,
        _ => return None,
    })
}

/// The class of an error met anywhere but in COMMIT: nothing has changed.
pub(crate) fn fault(error: &rusqlite::Error) -> Fault {
    match error {
        rusqlite::Error::SqliteFailure(failure, _) => by_code(failure.extended_code),
        rusqlite::Error::SqlInputError { error, .. } => by_code(error.extended_code),
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::Utf8Error(..)
        | rusqlite::Error::InvalidColumnType(..) => {
            Fault::new(Kind::Corrupt, "a stored value has another type than it must have")
        }
        _ => Fault::new(Kind::Internal, "a statement and its use do not fit"),
    }
}

/// The class of a failed COMMIT.
pub(crate) fn commit_fault(error: &rusqlite::Error) -> Fault {
    let fault = fault(error);
    // A full disk stops the write before the frame that commits; a busy or refusing database did not begin. After
    // anything else the frames may or may not be on disk: memory can run out behind the frame that commits.
    let primary = fault.code.map(|code| code & 0xff);
    match fault.kind {
        Kind::Conflict | Kind::Refused => fault,
        _ if matches!(primary, Some(ffi::SQLITE_FULL | ffi::SQLITE_BUSY)) => fault,
        _ => Fault {
            kind: Kind::Unavailable,
            outcome: Outcome::Unknown,
            message: "the database could not make the change durable",
            code: fault.code,
        },
    }
}

fn by_code(code: i32) -> Fault {
    let (kind, message) = match code & 0xff {
        ffi::SQLITE_FULL => (Kind::Overloaded, "the disk or the database is full"),
        ffi::SQLITE_TOOBIG => (Kind::Invalid, "a value is too big for the database"),
        ffi::SQLITE_NOMEM => (Kind::Overloaded, "the database is out of memory"),
        ffi::SQLITE_IOERR if code == ffi::SQLITE_IOERR_CORRUPTFS => {
            (Kind::Corrupt, "the file system under the database is corrupt")
        }
        ffi::SQLITE_IOERR => (Kind::Unavailable, "the database met an input or output error"),
        ffi::SQLITE_CORRUPT => (Kind::Corrupt, "the database is malformed"),
        ffi::SQLITE_NOTADB => (Kind::Corrupt, "the file is not a database"),
        ffi::SQLITE_CONSTRAINT => (Kind::Conflict, "a constraint of the database refused the change"),
        ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED => (Kind::Unavailable, "the database is locked"),
        ffi::SQLITE_PROTOCOL => (Kind::Unavailable, "the database's locking protocol failed"),
        ffi::SQLITE_INTERRUPT => (Kind::Unavailable, "the statement was interrupted"),
        ffi::SQLITE_READONLY => (Kind::Refused, "the database may not be written"),
        ffi::SQLITE_CANTOPEN => (Kind::Refused, "the database file cannot be opened"),
        ffi::SQLITE_PERM | ffi::SQLITE_AUTH => (Kind::Refused, "the database refused access"),
        _ => (Kind::Internal, "the database refused a statement"),
    };
    Fault { kind, outcome: Outcome::NoEffect, message, code: Some(code) }
}

/// The error of a statement.
pub(crate) fn error(error: &rusqlite::Error) -> Error {
    fault(error).to_error()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(code: i32) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), Some("items.value of 'secret'".into()))
    }

    #[test]
    fn every_code_of_the_contract_has_its_class() {
        let table = [
            (ffi::SQLITE_FULL, Kind::Overloaded, Outcome::NoEffect),
            (ffi::SQLITE_IOERR_WRITE, Kind::Unavailable, Outcome::Unknown),
            (ffi::SQLITE_IOERR_FSYNC, Kind::Unavailable, Outcome::Unknown),
            (ffi::SQLITE_CONSTRAINT_UNIQUE, Kind::Conflict, Outcome::NoEffect),
            (ffi::SQLITE_BUSY_SNAPSHOT, Kind::Unavailable, Outcome::NoEffect),
            (ffi::SQLITE_READONLY_DBMOVED, Kind::Refused, Outcome::NoEffect),
            (ffi::SQLITE_CANTOPEN_ISDIR, Kind::Refused, Outcome::NoEffect),
        ];
        for (code, kind, at_commit) in table {
            let before = fault(&failure(code));
            assert_eq!((before.kind, before.outcome), (kind, Outcome::NoEffect), "{code}");
            let after = commit_fault(&failure(code));
            assert_eq!((after.kind, after.outcome), (kind, at_commit), "{code} at commit");
        }
        let memory = (fault(&failure(ffi::SQLITE_NOMEM)), commit_fault(&failure(ffi::SQLITE_NOMEM)));
        assert_eq!((memory.0.kind, memory.0.outcome), (Kind::Overloaded, Outcome::NoEffect));
        assert_eq!((memory.1.kind, memory.1.outcome), (Kind::Unavailable, Outcome::Unknown));
        for code in [ffi::SQLITE_CORRUPT_INDEX, ffi::SQLITE_NOTADB] {
            assert_eq!(fault(&failure(code)).kind, Kind::Corrupt);
        }
    }

    #[test]
    fn nothing_of_the_statement_is_told() {
        let error = error(&failure(ffi::SQLITE_CONSTRAINT_UNIQUE));
        assert!(!format!("{error:?} {error}").contains("secret"));
        assert_eq!(constraint(&error), Some(Constraint::Unique));
    }
}
