//! The configuration as the command line, the environment and the file give it.

use std::fs::File;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::process::Pid;
use statehold::config::{Config, Flag, Sources};

use crate::arguments::Common;
use crate::exit::{Exit, Failure};

/// The sources of this command line, with more flags that set keys.
pub(crate) fn sources(common: &Common, more: impl IntoIterator<Item = Flag>) -> Sources {
    let data = common.data.as_ref().map(|directory| flag("--data", "data_dir", &directory.to_string_lossy()));
    Sources::from_process(common.config.clone(), data.into_iter().chain(more).collect())
}

/// A flag that sets a key.
pub(crate) fn flag(flag: &str, key: &str, value: &str) -> Flag {
    Flag { flag: flag.to_owned(), key: key.to_owned(), value: value.to_owned() }
}

/// Reads the configuration, or lists every mistake.
pub(crate) fn load(common: &Common) -> Result<Config, Failure> {
    load_from(&sources(common, None))
}

/// Reads the configuration from given sources.
pub(crate) fn load_from(sources: &Sources) -> Result<Config, Failure> {
    Config::load(sources).map_err(|errors| {
        Failure::new(Exit::Usage, errors.to_string())
            .hint("`statehold config schema` lists every key with its bounds")
    })
}

/// The process that holds the lock. Its note outlives a process that was killed, and the number may be another
/// program's by then, so it counts only while the lock is really held.
pub(crate) fn holder(lock: &Path) -> Option<Pid> {
    let file = File::open(lock).ok()?;
    let held = flock(&file, FlockOperation::NonBlockingLockShared) == Err(Errno::WOULDBLOCK);
    let noted = std::io::read_to_string(file).ok()?;
    if held { noted.trim().parse().ok().and_then(Pid::from_raw) } else { None }
}
