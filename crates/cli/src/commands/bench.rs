//! `statehold bench`: the workloads behind the published figures, on this machine.

use std::path::PathBuf;

use serde_json::{Value, json};
use statehold_bench::{BenchError, Options, Selection};

use crate::exit::{Exit, Failure};
use crate::printer::{Printer, cell, table};

pub(super) async fn run(
    goals: Vec<String>,
    pairs: usize,
    directory: Option<PathBuf>,
    printer: Printer,
) -> Result<Exit, Failure> {
    let selection = if goals.is_empty() { Selection::All } else { Selection::Named(goals) };
    // G16 starts this very program.
    let program = std::env::current_exe().ok();
    let options = Options { pairs, directory, program, ..Options::default() };
    printer.talk("measuring; each workload takes some seconds per pair");
    // The workloads bring their own threads and runtimes.
    let report = tokio::task::spawn_blocking(move || statehold_bench::run(&selection, &options))
        .await
        .map_err(|error| Failure::internal("the bench ended by itself").caused_by(&error))?;
    let report = report.map_err(|error| {
        let exit = match error {
            BenchError::OutOfBounds(_) | BenchError::UnknownWorkload(_) => Exit::Usage,
            _ => Exit::Unavailable,
        };
        Failure::new(exit, "the bench could not run").caused_by(&error)
    })?;
    printer.answer(&json!(report), text);
    Ok(Exit::Done)
}

fn text(report: &Value) -> String {
    let mut rows = Vec::new();
    for outcome in report["outcomes"].as_array().into_iter().flatten() {
        let named = |member: &str| cell(outcome, &format!("/{member}"));
        if outcome["sides"].as_array().is_none_or(Vec::is_empty) {
            rows.push(vec![
                named("goal"),
                named("workload"),
                String::new(),
                String::new(),
                String::new(),
                String::new(),
            ]);
        }
        for (index, side) in outcome["sides"].as_array().into_iter().flatten().enumerate() {
            let first = index == 0;
            let ratio = index.checked_sub(1).and_then(|at| outcome["ratios"].get(at));
            rows.push(vec![
                if first { named("goal") } else { String::new() },
                if first { named("workload") } else { String::new() },
                cell(side, "/side"),
                thousands(&side["median"]),
                format!("{} – {}", thousands(&side["min"]), thousands(&side["max"])),
                ratio.map_or_else(String::new, ratio_text),
            ]);
        }
        for (name, value) in outcome["counters"].as_object().into_iter().flatten() {
            let value = value.as_f64().map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
            rows.push(vec![String::new(), String::new(), name.clone(), value, String::new(), String::new()]);
        }
    }
    let machine = report["machine"].as_object().into_iter().flatten();
    let machine: Vec<String> = machine.map(|(name, value)| format!("{name} {}", cell(value, ""))).collect();
    let headings = ["goal", "workload", "side", "per second", "min – max", "ours ÷ this (min – max), goal"];
    format!("{}\n{}", machine.join(", "), table(&headings, rows))
}

fn ratio_text(ratio: &Value) -> String {
    let number = |member: &str| ratio[member].as_f64().unwrap_or(f64::NAN);
    let spread = format!("{:.2} ({:.2} – {:.2})", number("median"), number("min"), number("max"));
    match (ratio["must_reach"].as_f64(), ratio["reached"].as_bool()) {
        (Some(goal), Some(true)) => format!("{spread}, ≥ {goal:.2} reached"),
        (Some(goal), _) => format!("{spread}, ≥ {goal:.2} missed"),
        (None, _) => spread,
    }
}

/// A count with its thousands set apart.
fn thousands(number: &Value) -> String {
    let digits = format!("{:.0}", number.as_f64().unwrap_or(f64::NAN));
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(thousands(&json!(1_234_567.4)), "1 234 567");
        assert_eq!(thousands(&json!(12.0)), "12");
    }
}
