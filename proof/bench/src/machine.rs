//! Where a bench ran.

use std::fs;

use serde::Serialize;

/// Where a bench ran: figures of different machines or builds are not compared.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Processors this process may use.
    pub processors: usize,
    /// The processor's name, where the system tells.
    pub processor: Option<String>,
    /// Operating system and architecture.
    pub system: String,
    /// The kernel's release, where the system tells.
    pub kernel: Option<String>,
    /// Load over the last minute when the bench began, where the system tells: above 0 somebody else was at work.
    pub load: Option<f64>,
    /// Whether this program was built without optimisation; its figures then mean nothing.
    pub unoptimised: bool,
}

impl Machine {
    pub(crate) fn look() -> Self {
        let read = |path| fs::read_to_string(path).ok();
        let processor = read("/proc/cpuinfo").and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("model name"))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        });
        Self {
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            processor,
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            kernel: read("/proc/sys/kernel/osrelease").map(|text| text.trim().to_owned()),
            load: read("/proc/loadavg").and_then(|text| text.split(' ').next()?.parse().ok()),
            unoptimised: cfg!(debug_assertions),
        }
    }

    /// The machine in one line.
    pub fn line(&self) -> String {
        let unknown = || "unknown".to_owned();
        format!(
            "{} × {}, {}, kernel {}, load {}{}",
            self.processors,
            self.processor.clone().unwrap_or_else(unknown),
            self.system,
            self.kernel.clone().unwrap_or_else(unknown),
            self.load.map_or_else(unknown, |load| format!("{load:.2}")),
            if self.unoptimised { ", unoptimised build" } else { "" },
        )
    }
}
