//! The table of workloads.

mod embedded;
mod home;
mod memory;

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
];
