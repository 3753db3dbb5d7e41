//! Signals of the operating system: the first asks for a graceful stop, the second for a stop now.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use crate::serve::Remote;

/// Passes SIGTERM and SIGINT on to a server until it has been told to stop now. From this call on neither ends the
/// process by itself.
///
/// # Errors
/// When the system lets nobody listen for signals.
pub fn stop_on_signals(remote: Remote) -> io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::spawn(async move {
        for event in ["stop_asked", "stop_now_asked"] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            info!(event, "told to stop");
            remote.stop();
        }
    });
    Ok(())
}
