//! The `statehold` command.

mod arguments;
mod commands;
mod configured;
mod exit;
mod printer;
mod serving;
mod target;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::Arguments;
use crate::exit::{Exit, Failure};
use crate::printer::Printer;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version go to stdout and are a success; wrong use goes to stderr.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() };
        }
    };
    let printer = Printer::new(arguments.common.json);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("statehold").build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(commands::run(arguments, printer)),
        Err(error) => Err(Failure::internal("cannot start the runtime").caused_by(&error)),
    };
    match done {
        Ok(exit) => exit.into(),
        Err(failure) => {
            printer.failure(&failure);
            failure.exit.into()
        }
    }
}
