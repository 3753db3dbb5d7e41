//! The reference page of the configuration.

use std::fmt::Write as _;

use super::key::{Default, Key, Names};
use super::keys::{KEYS, names};
use super::sources::variable;

const HEAD: &str = "\
# Configuration

<!-- Generated from the table of keys by `cargo run -p statehold --example reference`; do not edit. -->

One TOML file. Precedence, low to high: built-in defaults, profile, file, environment, command line. The file is
`--config`, else `STATEHOLD_CONFIG`, else `./statehold.toml` where it exists. In the environment a key is its path in
capitals with `STATEHOLD_` before it and `__` between levels; lists are separated by commas. Every secret `x` may come
from the file named by `x_file` (mode at most 0640, trailing line ends removed); giving both is a mistake. Durations are
whole seconds or such as `1d 2h 30m 15s 500ms`; sizes are bytes or such as `2 MiB`.

`statehold config check` tells every mistake at once, `statehold config print` shows what holds and where it comes from,
`statehold config schema` prints a JSON Schema of the file. Keys marked *reload* change by SIGHUP or
`statehold config reload`; others need a restart, and are then reported as such.
";

/// The page, Markdown.
pub fn reference() -> String {
    let mut page = HEAD.to_owned();
    let mut section = "";
    for key in KEYS {
        let own = key.segments().next().unwrap_or_default();
        let own = if key.path.contains('.') { own } else { "general" };
        if own != section {
            section = own;
            let _ =
                write!(page, "\n## {section}\n\n| Key | Default | Legal | Meaning |\n|---|---|---|---|\n");
        }
        let _ = writeln!(
            page,
            "| `{}`<br>`{}` | {} | {} | {} |",
            key.path,
            variable(key.path),
            default(key),
            cell(&key.form.legal()),
            cell(&meaning(key)),
        );
    }
    page.push_str("\n## Names\n\n| Placeholder | Names |\n|---|---|\n");
    for placeholder in ["<store>", "<disposable>", "<kind>", "<engine>", "<policy>", "<class>"] {
        let _ = writeln!(page, "| `{placeholder}` | {} |", names_of(placeholder));
    }
    page
}

fn meaning(key: &Key) -> String {
    let mut text = key.doc.to_owned();
    if key.secret {
        text.push_str(" *Secret.*");
    }
    if key.reloadable {
        text.push_str(" *Reload.*");
    }
    text
}

fn default(key: &Key) -> String {
    let code = |text: &str| if text.is_empty() { "none".to_owned() } else { format!("`{text}`") };
    match key.default {
        Default::None => "not set".to_owned(),
        Default::Is(text) => code(text),
        Default::Profile { development, production } => {
            format!("{} in development, {} in production", code(development), code(production))
        }
        Default::Named(by_name, otherwise) => {
            let mut parts: Vec<String> =
                by_name.iter().map(|(name, text)| format!("{name}: {}", code(text))).collect();
            parts.push(format!("others: {}", otherwise.map_or("not set".to_owned(), code)));
            parts.join(", ")
        }
    }
}

fn names_of(placeholder: &str) -> String {
    let quoted = |names: &[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match names(placeholder) {
        Names::Closed(closed) => quoted(closed),
        Names::Open { bytes_max, count_max, built_in } => format!(
            "any of `[a-z0-9][a-z0-9_-]*`, at most {bytes_max} bytes and {count_max} names; always there: {}",
            quoted(built_in)
        ),
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
