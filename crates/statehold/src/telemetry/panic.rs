//! What is told of a panic: masked, one line, through the log.

use std::io::Write as _;
use std::panic::{self, PanicHookInfo};

use super::line::bounded;

/// Sends panics to the log, masked. A process without logs gets them on the standard error stream.
pub fn install_panic_hook() {
    panic::set_hook(Box::new(|info| {
        let (text, place) = (told(info), place(info));
        if tracing::dispatcher::has_been_set() {
            tracing::error!(event = "panic", place, "{text}");
        } else {
            // Nothing is left to tell where even this fails.
            let _ = writeln!(std::io::stderr(), "panic at {place}: {text}");
        }
    }));
}

fn told(info: &PanicHookInfo<'_>) -> String {
    bounded(info.payload_as_str().unwrap_or("a panic without text"))
}

fn place(info: &PanicHookInfo<'_>) -> String {
    info.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn f294_a_panic_is_told_without_its_secrets() {
        let seen = Arc::new(Mutex::new(String::new()));
        let (kept, before) = (Arc::clone(&seen), panic::take_hook());
        panic::set_hook(Box::new(move |info| {
            *kept.lock().unwrap() = format!("{} {}", place(info), told(info));
        }));
        let _ = panic::catch_unwind(|| panic!("cannot reach redis://u:hunter2@host"));
        panic::set_hook(before);
        let seen = seen.lock().unwrap();
        assert!(seen.ends_with("cannot reach redis://***@host") && seen.contains("panic.rs:"), "{seen}");
    }
}
