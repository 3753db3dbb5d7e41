//! One process per database file.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use statehold_core::{Error, Kind, Result};

/// Holds a database file until it is dropped, or its process ends in whatever way.
#[derive(Debug)]
pub(super) struct DatabaseLock(#[expect(dead_code, reason = "the open file is the lock")] File);

impl DatabaseLock {
    /// Takes the lock beside a database file (`<file>-lock`), making its directory where it is missing.
    pub(super) fn take(database: &Path) -> Result<Self> {
        let named = |message: &str| format!("the database `{}` {message}", database.display());
        let refused =
            |cause: std::io::Error| Error::new(Kind::Refused, named("cannot be used")).caused_by(cause);
        let directory = database.parent().filter(|directory| !directory.as_os_str().is_empty());
        let mut name = database.as_os_str().to_owned();
        name.push("-lock");
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory.unwrap_or(Path::new(".")))
            .map_err(refused)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(name)
            .map_err(refused)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = Read::by_ref(&mut file).take(20).read_to_string(&mut holder);
                let holder = holder.trim();
                let by = if holder.is_empty() { String::new() } else { format!(" (process {holder})") };
                return Err(Error::new(Kind::Refused, named(&format!("is used by another process{by}"))));
            }
            Err(TryLockError::Error(cause)) => return Err(refused(cause)),
        }
        // Only told to people: the lock itself is the kernel's.
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(refused)?;
        Ok(Self(file))
    }
}
