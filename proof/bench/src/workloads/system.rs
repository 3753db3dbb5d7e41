//! The whole product in a directory of its own, as `statehold serve` runs it.

use std::path::Path;
use std::sync::{Arc, Once};

use statehold::config::{LogFormat, LogSettings, Profile};
use statehold::telemetry::{Logs, Metrics};
use statehold::{Config, Statehold, SystemClock};
use statehold_core::{Clock, Namespace};

use crate::error::BenchError;

/// Counts and logs as a server does: the layers of a production stack cost what they cost there. Once per process, and
/// not where the process has its own already.
pub(super) fn install_metrics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let settings = LogSettings { level: "info".to_owned(), format: LogFormat::Json };
        // Where the program that runs the bench has logs or metrics of its own, those stay.
        let _ = Logs::install(&settings, Arc::new(SystemClock), None);
        let _ = Metrics::install(
            Profile::Production,
            statehold::config::FeatureSettings { verbose_logging: false },
            &SystemClock,
        );
    });
}

/// Opens the product in a directory; with the text of its operator key.
pub(super) async fn open(directory: &Path) -> Result<(Statehold, Config, String), BenchError> {
    let config = Config::in_directory(directory).map_err(BenchError::system)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let hold = Statehold::open(config.clone(), clock).await.map_err(BenchError::system)?;
    let key = std::fs::read_to_string(directory.join("operator.key"))?;
    Ok((hold, config, key.trim().to_owned()))
}

/// The namespace that every installation has.
pub(super) fn namespace() -> Result<Namespace, BenchError> {
    Ok(Namespace::new("default")?)
}
