//! Workloads beside their floors.
//!
//! A shared machine is noisy, so no figure stands alone: every workload runs beside what the engine could do without
//! us, in turns (A B A B, at least five pairs), and its result is the ratio of the two, as median and spread. An
//! absolute figure is context only.
//!
//! ```no_run
//! use statehold_bench::{Options, Selection, run};
//!
//! let report = run(&Selection::All, &Options::default())?;
//! for outcome in &report.outcomes {
//!     println!("{}: {:.2}", outcome.workload, outcome.ratios[0].median);
//! }
//! # Ok::<(), statehold_bench::BenchError>(())
//! ```

mod error;
mod load;
mod machine;
mod measure;
mod options;
mod report;
mod workloads;

pub use error::BenchError;
pub use machine::Machine;
pub use options::{Options, PAIRS_MAX, PAIRS_MIN, Selection};
pub use report::{Outcome, Ratio, Report, SideFigures};
pub use workloads::{WORKLOADS, Workload};

/// Runs the selected workloads, one after another. Blocks for about `pairs × sides × side` each, plus filling.
///
/// # Errors
/// Where a workload is unknown, an option is out of bounds, or anything a workload does fails.
pub fn run(selection: &Selection, options: &Options) -> Result<Report, BenchError> {
    options.check()?;
    let chosen = selection.workloads()?;
    let machine = Machine::look();
    let outcomes = chosen.into_iter().map(|workload| (workload.run)(workload, options));
    Ok(Report { machine, outcomes: outcomes.collect::<Result<_, _>>()? })
}
