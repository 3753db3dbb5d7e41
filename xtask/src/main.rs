//! The project's own tasks: `cargo xtask <task>`.
//!
//! - `test`: sets up what is missing, then formatting, lints, tidy, every test and law.
//! - `tidy`: the rules that style and architecture set and a program can check.
//! - `matrix`: the acceptance rows with and without a test; `--write` renews the page.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a task talks to the person who started it")]

mod matrix;
mod test;
mod tidy;
mod tree;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask <test | tidy | matrix [--write]>";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["test"] => test::run(),
        ["tidy"] => tidy::run(),
        ["matrix"] => matrix::list(),
        ["matrix", "--write"] => matrix::write(),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}
