//! `statehold config …`: all but `reload` work offline.

use rustix::process::{Signal, kill_process};
use serde_json::json;
use statehold::config::{Config, schema};

use crate::arguments::{Common, ConfigVerb};
use crate::configured;
use crate::exit::{Exit, Failure};
use crate::printer::Printer;

pub(super) fn run(common: &Common, verb: &ConfigVerb, printer: Printer) -> Result<Exit, Failure> {
    match verb {
        ConfigVerb::Check => Ok(check(common, printer)),
        ConfigVerb::Print => {
            let config = configured::load(common)?;
            printer.answer(&config.print_json(), |_| config.print_table());
            Ok(Exit::Done)
        }
        ConfigVerb::Schema => {
            printer.answer(&schema(), |schema| format!("{schema:#}"));
            Ok(Exit::Done)
        }
        ConfigVerb::Reload => reload(common, printer),
    }
}

/// Checks the configuration and, where it is sound, has the server that holds the data directory read it again.
fn reload(common: &Common, printer: Printer) -> Result<Exit, Failure> {
    let config = configured::load(common)?;
    let not_running = || {
        let why = format!("no server holds the data directory `{}`", config.data_dir.display());
        Failure::new(Exit::Unavailable, why).hint("`statehold serve` reads the configuration when it starts")
    };
    let holder =
        configured::holder(&config.files().lock()).filter(|_| config.files().server_address().exists());
    let pid = holder.ok_or_else(not_running)?;
    kill_process(pid, Signal::HUP).map_err(|error| not_running().caused_by(&error))?;
    let document = json!({"told": pid.as_raw_nonzero()});
    printer.answer(&document, |_| {
        format!(
            "process {} was told; its log says what changed and what needs a restart",
            pid.as_raw_nonzero()
        )
    });
    Ok(Exit::Done)
}

fn check(common: &Common, printer: Printer) -> Exit {
    match Config::load(&configured::sources(common, None)) {
        Ok(config) => {
            let warnings: Vec<String> =
                config.warnings().iter().map(|warning| warning.text.clone()).collect();
            printer.answer(&json!({"valid": true, "errors": [], "warnings": warnings}), |_| {
                warnings
                    .iter()
                    .fold("valid".to_owned(), |text, warning| format!("{text}\nwarning: {warning}"))
            });
            Exit::Done
        }
        Err(errors) if printer.is_json() => {
            let problems: Vec<_> =
                errors.problems().iter().map(statehold::config::Problem::to_json).collect();
            printer.answer(&json!({"valid": false, "errors": problems}), |_| String::new());
            Exit::Usage
        }
        Err(errors) => {
            printer.failure(&Failure::new(Exit::Usage, errors.to_string()));
            Exit::Usage
        }
    }
}
