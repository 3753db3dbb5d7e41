//! What is run, and how much of it.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::BenchError;
use crate::workloads::{WORKLOADS, Workload};

/// Fewest pairs: below it a median says nothing.
pub const PAIRS_MIN: usize = 5;
/// Most pairs.
pub const PAIRS_MAX: usize = 101;

/// How much is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// How often every side has its turn, [`PAIRS_MIN`]`..=`[`PAIRS_MAX`].
    pub pairs: usize,
    /// How long one turn of one side takes, 10 ms to 60 s.
    pub side: Duration,
    /// Items that are filled in before, 1,000 to 10,000,000.
    pub items: usize,
    /// Bytes of each value, 1 to 65,536.
    pub value_bytes: usize,
    /// Callers at once where a workload is about many, 1 to 4,096.
    pub tasks: usize,
    /// Threads that call, 1 to 64.
    pub threads: usize,
    /// Where files are made, in a directory of their own that is removed afterwards; none for the system's place for
    /// temporary files, which may be in memory and then says nothing about syncs.
    pub directory: Option<PathBuf>,
    /// The `statehold` program, for the workload that starts it.
    pub program: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            pairs: 5,
            side: Duration::from_millis(400),
            items: 100_000,
            value_bytes: 256,
            tasks: 256,
            threads: 2,
            directory: None,
            program: None,
        }
    }
}

impl Options {
    pub(crate) fn check(&self) -> Result<(), BenchError> {
        let bounds = [
            ((PAIRS_MIN..=PAIRS_MAX).contains(&self.pairs), "a bench has 5 to 101 pairs"),
            (
                (Duration::from_millis(10)..=Duration::from_mins(1)).contains(&self.side),
                "a side takes 10 ms to 60 s",
            ),
            ((1_000..=10_000_000).contains(&self.items), "a bench fills in 1,000 to 10,000,000 items"),
            ((1..=65_536).contains(&self.value_bytes), "a value has 1 to 65,536 bytes"),
            ((1..=4_096).contains(&self.tasks), "a bench has 1 to 4,096 tasks"),
            ((1..=64).contains(&self.threads), "a bench has 1 to 64 threads"),
        ];
        bounds
            .into_iter()
            .find(|(within, _)| !within)
            .map_or(Ok(()), |(_, bound)| Err(BenchError::OutOfBounds(bound)))
    }
}

/// Which workloads are run.
#[derive(Clone, Debug)]
pub enum Selection {
    /// Every one.
    All,
    /// Those with these names or goals, in the order of the table.
    Named(Vec<String>),
}

impl Selection {
    pub(crate) fn workloads(&self) -> Result<Vec<&'static Workload>, BenchError> {
        let Self::Named(names) = self else { return Ok(WORKLOADS.iter().collect()) };
        let is_called = |workload: &Workload, name: &str| {
            workload.name == name || workload.goal.eq_ignore_ascii_case(name)
        };
        if let Some(unknown) = names.iter().find(|name| !WORKLOADS.iter().any(|w| is_called(w, name))) {
            return Err(BenchError::UnknownWorkload(unknown.clone()));
        }
        Ok(WORKLOADS.iter().filter(|w| names.iter().any(|name| is_called(w, name))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workloads_are_chosen_by_name_or_goal_and_unknown_ones_are_named() {
        let named = |names: &[&str]| Selection::Named(names.iter().map(ToString::to_string).collect());
        let chosen = named(&["g7"]).workloads().unwrap();
        assert_eq!(chosen.iter().map(|w| w.name).collect::<Vec<_>>(), ["memory-fetch", "memory-commit"]);
        assert!(
            matches!(named(&["memory-fetch", "x"]).workloads(), Err(BenchError::UnknownWorkload(x)) if x == "x")
        );
    }

    #[test]
    fn options_out_of_bounds_are_refused() {
        assert!(Options::default().check().is_ok());
        assert!(Options { pairs: 4, ..Options::default() }.check().is_err());
        assert!(Options { side: Duration::from_secs(61), ..Options::default() }.check().is_err());
    }
}
