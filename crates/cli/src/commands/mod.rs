//! One file per verb.

mod bench;
mod config;
mod doctor;
mod health;
mod init;
mod keys;
mod ns;
mod serve;
mod sessions;
mod status;
mod sweep;

use serde_json::Value;

use crate::arguments::{Arguments, Common, Verb};
use crate::exit::{Exit, Failure};
use crate::printer::Printer;
use crate::target::Target;

/// Runs the verb that was typed.
pub(crate) async fn run(arguments: Arguments, printer: Printer) -> Result<Exit, Failure> {
    let Arguments { common, verb } = arguments;
    match verb {
        Verb::Init { dir } => init::run(&dir, printer).await,
        Verb::Serve { listen } => serve::run(&common, listen, printer).await,
        Verb::Config(verb) => config::run(&common, &verb, printer),
        Verb::Health { probe } => health::run(&common, probe, printer).await,
        Verb::Status => status::run(&common, printer).await,
        Verb::Keys(verb) => keys::run(&common, verb, printer).await,
        Verb::Ns(verb) => ns::run(&common, verb, printer).await,
        Verb::Sessions(verb) => sessions::run(&common, verb, printer).await,
        Verb::Sweep => sweep::run(&common, printer).await,
        Verb::Doctor => doctor::run(&common, printer).await,
        Verb::Bench { goals, pairs, dir } => bench::run(goals, pairs, dir, printer).await,
    }
}

/// Asks one route and prints its answer.
async fn ask(
    common: &Common,
    printer: Printer,
    request: (reqwest::Method, String, Option<Value>),
    text: impl FnOnce(&Value) -> String,
) -> Result<Exit, Failure> {
    let (method, path, body) = request;
    let target = Target::find(common).await?;
    let answered = target.call(method, &path, body.as_ref()).await;
    target.close().await;
    printer.answer(&answered?, text);
    Ok(Exit::Done)
}

/// Refuses what cannot be taken back unless it was confirmed.
fn confirmed(yes: bool, what: &str) -> Result<(), Failure> {
    if yes {
        Ok(())
    } else {
        Err(Failure::new(Exit::Refused, what.to_owned()).hint("repeat it with `--yes`"))
    }
}

/// A text as one segment of a path (RFC 3986).
fn segment(text: &str) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("writing to a string does not fail");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::segment;

    #[test]
    fn a_segment_keeps_every_id_whole() {
        assert_eq!(segment("a/b c:{é}"), "a%2Fb%20c%3A%7B%C3%A9%7D");
    }
}
