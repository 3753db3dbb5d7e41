//! Sets up what is missing and runs everything that must pass.

use std::process::{Command, Stdio};
use std::time::Instant;

use crate::tree;

/// The test runner's version where it has to be installed.
const NEXTEST: &str = "cargo-nextest@0.9.143";

/// One step: what it is called and the command.
struct Step(&'static str, &'static [&'static str]);

const STEPS: &[Step] = &[
    Step("fmt", &["cargo", "fmt", "--all", "--check"]),
    Step("clippy", &["cargo", "clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]),
    Step("tests and laws", &["cargo", "nextest", "run", "--workspace"]),
    Step("doc tests", &["cargo", "test", "--workspace", "--doc", "--quiet"]),
];

/// `cargo xtask test`.
pub(crate) fn run() -> Result<(), String> {
    set_up()?;
    let begun = Instant::now();
    timed("tidy", crate::tidy::run)?;
    for Step(name, command) in STEPS {
        timed(name, || call(command))?;
    }
    println!("all passed in {} s", begun.elapsed().as_secs());
    Ok(())
}

fn timed(name: &str, step: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    println!("== {name}");
    let begun = Instant::now();
    step().map_err(|error| format!("{name}: {error}"))?;
    println!("== {name}: passed in {} s", begun.elapsed().as_secs());
    Ok(())
}

/// Installs the parts of the toolchain that the steps call and the machine lacks.
fn set_up() -> Result<(), String> {
    for component in ["rustfmt", "clippy"] {
        let tool = if component == "rustfmt" { "fmt" } else { "clippy" };
        if !answers(&["cargo", tool, "--version"]) {
            call(&["rustup", "component", "add", component])?;
        }
    }
    if !answers(&["cargo", "nextest", "--version"]) {
        println!("== installing the test runner ({NEXTEST}), once");
        call(&["cargo", "install", "--locked", NEXTEST])?;
    }
    Ok(())
}

fn answers(command: &[&str]) -> bool {
    Command::new(command[0])
        .args(&command[1..])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn call(command: &[&str]) -> Result<(), String> {
    let status = Command::new(command[0]).args(&command[1..]).current_dir(tree::root()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{}` ended with {status}", command.join(" "))),
        Err(error) => Err(format!("cannot start `{}`: {error}", command.join(" "))),
    }
}
