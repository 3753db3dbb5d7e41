//! What a bench found.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::machine::Machine;

/// What a bench found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Where it ran.
    pub machine: Machine,
    /// One per workload.
    pub outcomes: Vec<Outcome>,
}

/// What one workload found.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The workload's name.
    pub workload: &'static str,
    /// The goal it belongs to.
    pub goal: &'static str,
    /// What is done.
    pub work: &'static str,
    /// Turns of each side.
    pub pairs: usize,
    /// Ours first, then what it is measured against.
    pub sides: Vec<SideFigures>,
    /// Ours over each of the others, by their order.
    pub ratios: Vec<Ratio>,
    /// What else was counted, by name and unit.
    pub counters: BTreeMap<&'static str, f64>,
}

/// Operations per second of one side.
#[derive(Clone, Debug, Serialize)]
pub struct SideFigures {
    /// Whose.
    pub side: &'static str,
    /// The middle turn.
    pub median: f64,
    /// The slowest turn.
    pub min: f64,
    /// The fastest turn.
    pub max: f64,
}

/// Ours over one of the others, turn by turn.
#[derive(Clone, Debug, Serialize)]
pub struct Ratio {
    /// Against which side.
    pub against: &'static str,
    /// The middle pair.
    pub median: f64,
    /// The worst pair.
    pub min: f64,
    /// The best pair.
    pub max: f64,
    /// What the median must reach, where there is a goal.
    pub must_reach: Option<f64>,
    /// Whether it does.
    pub reached: Option<bool>,
}

/// Median, smallest and largest.
pub(crate) fn spread(values: &[f64]) -> (f64, f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    let middle = sorted.len() / 2;
    let median = if sorted.len().is_multiple_of(2) && middle > 0 {
        f64::midpoint(at(middle - 1), at(middle))
    } else {
        at(middle)
    };
    (median, at(0), at(sorted.len().saturating_sub(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(spread(&[3.0, 1.0, 2.0]), (2.0, 1.0, 3.0));
        assert_eq!(spread(&[4.0, 1.0, 2.0, 3.0]), (2.5, 1.0, 4.0));
    }
}
