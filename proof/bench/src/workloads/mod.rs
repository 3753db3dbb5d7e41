//! The table of workloads.

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
];
