//! What goes into parameters.

use std::fmt;

use bytes::Bytes;
use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef};

/// One parameter of a statement. Prints its type alone: it may be a key, a value or a secret.
#[derive(Clone, PartialEq)]
pub enum Val {
    /// SQL NULL.
    Null,
    /// A 64-bit integer.
    Int(i64),
    /// A 64-bit float.
    Real(f64),
    /// Text.
    Text(Box<str>),
    /// Bytes.
    Blob(Bytes),
}

impl fmt::Debug for Val {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "Null",
            Self::Int(_) => "Int",
            Self::Real(_) => "Real",
            Self::Text(_) => "Text",
            Self::Blob(_) => "Blob",
        })
    }
}

impl ToSql for Val {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(int) => ValueRef::Integer(*int),
            Self::Real(real) => ValueRef::Real(*real),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(blob) => ValueRef::Blob(blob),
        }))
    }
}

impl From<i64> for Val {
    fn from(int: i64) -> Self {
        Self::Int(int)
    }
}

impl From<u32> for Val {
    fn from(int: u32) -> Self {
        Self::Int(int.into())
    }
}

impl From<u16> for Val {
    fn from(int: u16) -> Self {
        Self::Int(int.into())
    }
}

impl From<bool> for Val {
    fn from(truth: bool) -> Self {
        Self::Int(truth.into())
    }
}

impl From<f64> for Val {
    fn from(real: f64) -> Self {
        Self::Real(real)
    }
}

impl From<&str> for Val {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Val {
    fn from(text: String) -> Self {
        Self::Text(text.into_boxed_str())
    }
}

impl From<Bytes> for Val {
    fn from(blob: Bytes) -> Self {
        Self::Blob(blob)
    }
}

impl From<&[u8]> for Val {
    fn from(blob: &[u8]) -> Self {
        Self::Blob(Bytes::copy_from_slice(blob))
    }
}

impl<const N: usize> From<[u8; N]> for Val {
    fn from(blob: [u8; N]) -> Self {
        Self::Blob(Bytes::copy_from_slice(&blob))
    }
}

impl<T: Into<Val>> From<Option<T>> for Val {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
