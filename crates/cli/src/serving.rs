//! Opening the system for this process.

use std::sync::Arc;

use statehold::{Config, OpenKind, Statehold};

use crate::exit::{Exit, Failure};

/// Opens the system, or says why not and what to do.
pub(crate) async fn open(config: Config) -> Result<Statehold, Failure> {
    Statehold::open(config, Arc::new(statehold::SystemClock)).await.map_err(|error| {
        let exit = match error.kind() {
            OpenKind::Configuration => Exit::Usage,
            OpenKind::Unavailable => Exit::Unavailable,
        };
        let failure = Failure::new(exit, error.to_string()).hint(error.hint());
        match std::error::Error::source(&error) {
            Some(cause) => failure.caused_by(cause),
            None => failure,
        }
    })
}
