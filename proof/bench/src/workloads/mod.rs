//! The table of workloads.

mod embedded;
mod home;
mod http;
mod memory;
mod sessions;
mod start;
mod system;

use crate::error::BenchError;
use crate::options::Options;
use crate::report::Outcome;

/// One workload beside its floor.
#[derive(Debug)]
pub struct Workload {
    /// Its name in the selection and in reports.
    pub name: &'static str,
    /// The goal of the performance note that it belongs to.
    pub goal: &'static str,
    /// What is done.
    pub work: &'static str,
    pub(crate) run: fn(&'static Workload, &Options) -> Result<Outcome, BenchError>,
}

/// Every workload, in the order they run.
pub const WORKLOADS: &[Workload] = &[
    Workload {
        name: "memory-fetch",
        goal: "G7",
        work: "fetch one item of the memory engine, from threads",
        run: memory::fetch,
    },
    Workload {
        name: "memory-commit",
        goal: "G7",
        work: "put one item of the memory engine, from threads",
        run: memory::commit,
    },
    Workload {
        name: "embedded-fetch",
        goal: "G3",
        work: "fetch one item of the embedded engine, from many tasks, 2 readers",
        run: embedded::fetch,
    },
    Workload {
        name: "embedded-readers",
        goal: "G3",
        work: "the same with 2 readers beside 1 reader",
        run: embedded::readers,
    },
    Workload {
        name: "embedded-commit",
        goal: "G4",
        work: "put one item of the embedded engine durably, from many tasks",
        run: embedded::commit,
    },
    Workload {
        name: "sessions-validate",
        goal: "G8",
        work: "validate a session in the crate on the embedded engine, from many tasks",
        run: sessions::validate,
    },
    Workload {
        name: "http-validate",
        goal: "G9",
        work: "validate a session over HTTP on the embedded engine, 64 keep-alive connections",
        run: http::validate,
    },
    Workload {
        name: "start",
        goal: "G16",
        work: "start the program on a directory of 1,000,000 items until it is ready",
        run: start::start,
    },
];
