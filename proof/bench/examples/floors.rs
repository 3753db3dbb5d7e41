//! Prints a report as JSON: `cargo run --release -p statehold-bench --example floors -- G7 pairs=9 side_ms=500`.
//! G16 starts the product: `program=target/release/statehold`.

use std::error::Error;
use std::io::{Write, stdout};
use std::time::Duration;

use statehold_bench::{Options, Selection, run};

fn main() -> Result<(), Box<dyn Error>> {
    let (settings, names): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|a| a.contains('='));
    let mut options = Options::default();
    for setting in &settings {
        match setting.split_once('=') {
            Some(("pairs", n)) => options.pairs = n.parse()?,
            Some(("side_ms", n)) => options.side = Duration::from_millis(n.parse()?),
            Some(("items", n)) => options.items = n.parse()?,
            Some(("tasks", n)) => options.tasks = n.parse()?,
            Some(("threads", n)) => options.threads = n.parse()?,
            Some(("value_bytes", n)) => options.value_bytes = n.parse()?,
            Some(("directory", path)) => options.directory = Some(path.into()),
            Some(("program", path)) => options.program = Some(path.into()),
            _ => return Err(format!("unknown setting `{setting}`").into()),
        }
    }
    let selection = if names.is_empty() { Selection::All } else { Selection::Named(names) };
    let report = run(&selection, &options)?;
    writeln!(stdout(), "{}\n{}", report.machine.line(), serde_json::to_string_pretty(&report)?)?;
    Ok(())
}
