//! Statements inside a transaction.

use std::fmt;
use std::marker::PhantomData;
use std::ops::ControlFlow;

use bytes::Bytes;
use rusqlite::types::ValueRef;
use rusqlite::{CachedStatement, Connection};
use statehold_core::{Error, Result};

use crate::classify::error;
use crate::sql::Sql;
use crate::value::Val;

/// One transaction of a database, or one snapshot of it for readers. Every error leaves nothing changed.
#[derive(Debug)]
pub struct Tx<'a> {
    connection: &'a Connection,
    /// A transaction stays with the call that was given it.
    stays: PhantomData<*const ()>,
}

impl<'a> Tx<'a> {
    pub(crate) fn new(connection: &'a Connection) -> Self {
        Self { connection, stays: PhantomData }
    }

    /// The same transaction for another call.
    pub(crate) fn again(tx: &Self) -> Self {
        Self::new(tx.connection)
    }

    /// Changes rows; says how many.
    pub fn execute(&self, sql: &Sql, parameters: &[Val]) -> Result<usize> {
        self.prepare(sql)?.execute(parameters)
    }

    /// Every row.
    pub fn query<T>(
        &self,
        sql: &Sql,
        parameters: &[Val],
        read: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        self.prepare(sql)?.query(parameters, read)
    }

    /// The first row, none where there is none.
    pub fn query_row<T>(
        &self,
        sql: &Sql,
        parameters: &[Val],
        read: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        self.prepare(sql)?.query_row(parameters, read)
    }

    /// Row by row until told to stop.
    pub fn query_each(
        &self,
        sql: &Sql,
        parameters: &[Val],
        each: impl FnMut(&Row<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        self.prepare(sql)?.query_each(parameters, each)
    }

    /// A statement to be used several times; prepared once per connection.
    pub fn prepare(&self, sql: &Sql) -> Result<Prepared<'a>> {
        self.connection.prepare_cached(sql.for_sqlite()).map(Prepared).map_err(|e| error(&e))
    }

    /// Several statements without parameters: schema steps.
    pub fn execute_script(&self, script: &str) -> Result<()> {
        self.connection.execute_batch(script).map_err(|e| error(&e))
    }

    /// Whether an error has already rolled the whole transaction back.
    pub(crate) fn is_gone(&self) -> bool {
        self.connection.is_autocommit()
    }
}

/// A prepared statement.
pub struct Prepared<'a>(CachedStatement<'a>);

impl fmt::Debug for Prepared<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Prepared")
    }
}

impl Prepared<'_> {
    /// Changes rows; says how many.
    pub fn execute(&mut self, parameters: &[Val]) -> Result<usize> {
        self.bind(parameters)?;
        self.0.raw_execute().map_err(|e| error(&e))
    }

    /// Every row.
    pub fn query<T>(
        &mut self,
        parameters: &[Val],
        mut read: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut found = Vec::new();
        self.query_each(parameters, |row| {
            found.push(read(row)?);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(found)
    }

    /// The first row, none where there is none.
    pub fn query_row<T>(
        &mut self,
        parameters: &[Val],
        read: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        self.bind(parameters)?;
        let mut rows = self.0.raw_query();
        rows.next().map_err(|e| error(&e))?.map(|row| read(&Row(row))).transpose()
    }

    /// Row by row until told to stop.
    pub fn query_each(
        &mut self,
        parameters: &[Val],
        mut each: impl FnMut(&Row<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        self.bind(parameters)?;
        let mut rows = self.0.raw_query();
        while let Some(row) = rows.next().map_err(|e| error(&e))? {
            if each(&Row(row))?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn bind(&mut self, parameters: &[Val]) -> Result<()> {
        if parameters.len() != self.0.parameter_count() {
            return Err(Error::internal("a statement got another number of parameters than it has"));
        }
        for (index, value) in parameters.iter().enumerate() {
            self.0.raw_bind_parameter(index + 1, value).map_err(|e| error(&e))?;
        }
        Ok(())
    }
}

/// One row while it is read. A value of another type than asked for is `Corrupt`; columns count from 0.
pub struct Row<'a>(&'a rusqlite::Row<'a>);

impl fmt::Debug for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Row")
    }
}

impl Row<'_> {
    /// An integer.
    pub fn int(&self, column: usize) -> Result<i64> {
        self.opt_int(column)?.ok_or_else(of_another_type)
    }

    /// An integer or NULL.
    pub fn opt_int(&self, column: usize) -> Result<Option<i64>> {
        match self.get(column)? {
            ValueRef::Null => Ok(None),
            ValueRef::Integer(int) => Ok(Some(int)),
            _ => Err(of_another_type()),
        }
    }

    /// An integer as a truth value.
    pub fn bool(&self, column: usize) -> Result<bool> {
        Ok(self.int(column)? != 0)
    }

    /// A float.
    pub fn real(&self, column: usize) -> Result<f64> {
        match self.get(column)? {
            ValueRef::Real(real) => Ok(real),
            _ => Err(of_another_type()),
        }
    }

    /// Text.
    pub fn text(&self, column: usize) -> Result<&str> {
        self.opt_text(column)?.ok_or_else(of_another_type)
    }

    /// Text or NULL.
    pub fn opt_text(&self, column: usize) -> Result<Option<&str>> {
        match self.get(column)? {
            ValueRef::Null => Ok(None),
            ValueRef::Text(text) => std::str::from_utf8(text).map(Some).map_err(|_| of_another_type()),
            _ => Err(of_another_type()),
        }
    }

    /// Bytes, borrowed from the row.
    pub fn blob(&self, column: usize) -> Result<&[u8]> {
        self.opt_blob(column)?.ok_or_else(of_another_type)
    }

    /// Bytes, borrowed from the row, or NULL.
    pub fn opt_blob(&self, column: usize) -> Result<Option<&[u8]>> {
        match self.get(column)? {
            ValueRef::Null => Ok(None),
            ValueRef::Blob(blob) => Ok(Some(blob)),
            _ => Err(of_another_type()),
        }
    }

    /// Bytes.
    pub fn bytes(&self, column: usize) -> Result<Bytes> {
        self.blob(column).map(Bytes::copy_from_slice)
    }

    /// Bytes or NULL.
    pub fn opt_bytes(&self, column: usize) -> Result<Option<Bytes>> {
        Ok(self.opt_blob(column)?.map(Bytes::copy_from_slice))
    }

    /// Exactly `N` bytes: an id or a digest.
    pub fn array<const N: usize>(&self, column: usize) -> Result<[u8; N]> {
        self.blob(column)?.try_into().map_err(|_| of_another_type())
    }

    fn get(&self, column: usize) -> Result<ValueRef<'_>> {
        self.0.get_ref(column).map_err(|e| error(&e))
    }
}

fn of_another_type() -> Error {
    Error::corrupt("a stored value has another type than it must have")
}
