//! The data directory: private, and held by one process at a time.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::config::Config;
use crate::fault::OpenError;

/// Bits of the directory's mode that let others in.
pub(crate) const OTHERS: u32 = 0o077;

/// The data directory while this process holds it.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    server_address: PathBuf,
    /// Held as long as it is open; the operating system lets go of it however the process ends.
    _lock: File,
}

impl DataDir {
    /// Makes the directory where it is missing, and takes its lock.
    ///
    /// # Errors
    /// `Unavailable` where it cannot be made or used, or another process holds it.
    pub(crate) fn hold(config: &Config) -> Result<Self, OpenError> {
        let path = config.data_dir.clone();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .map_err(|cause| OpenError::file(&path, cause))?;
        let lock = take_lock(&config.files().lock())?;
        Ok(Self { path, server_address: config.files().server_address(), _lock: lock })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The directory's mode, where it lets others in.
    pub(crate) fn lets_others_in(&self) -> Option<u32> {
        let mode = self.path.metadata().ok()?.mode() & 0o7777;
        (mode & OTHERS != 0).then_some(mode)
    }

    /// Writes the URL of this directory's server, for the command line to find.
    pub(crate) fn note_server(&self, url: &str) -> std::io::Result<()> {
        write_private(&self.server_address, &format!("{url}\n"))
    }

    /// Takes the note back.
    pub(crate) fn forget_server(&self) {
        // A note that stays is recognised by the lock that nobody holds.
        let _gone_or_stale = std::fs::remove_file(&self.server_address);
    }
}

fn take_lock(path: &Path) -> Result<File, OpenError> {
    let failed = |cause| OpenError::file(path, cause);
    let mut lock = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Err(held(path, &mut lock)),
        Err(errno) => return Err(failed(errno.into())),
    }
    lock.set_len(0)
        .and_then(|()| lock.write_all(format!("{}\n", std::process::id()).as_bytes()))
        .map_err(failed)?;
    Ok(lock)
}

fn held(path: &Path, lock: &mut File) -> OpenError {
    let mut holder = String::new();
    let _unnamed = lock.take(32).read_to_string(&mut holder);
    let holder = match holder.trim() {
        "" => String::new(),
        pid => format!(" (process {pid})"),
    };
    let directory = path.parent().unwrap_or(path).display();
    OpenError::unavailable(
        format!("the data directory `{directory}` is in use by another process{holder}"),
        "stop that process, ask it with `statehold health`, or choose another directory with `--data DIR`",
    )
}

/// Writes a file of mode 0600, whole or not at all, in place of what was there.
pub(crate) fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let temporary = path.with_file_name(name);
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&temporary, path));
    if written.is_err() {
        // Nothing depends on the left-over; the error that is returned says what matters.
        let _left_over = std::fs::remove_file(&temporary);
    }
    written
}
