//! The only place that writes to a terminal: stdout is what was asked for, stderr is talk.

use std::io::Write;

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Value, json};

use crate::exit::Failure;

/// Writes answers as one JSON document or for people to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printer {
    json: bool,
}

impl Printer {
    pub(crate) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether the answer is one JSON document.
    pub(crate) const fn is_json(self) -> bool {
        self.json
    }

    /// One answer: the document as it is, or what `text` makes of it.
    pub(crate) fn answer(self, document: &Value, text: impl FnOnce(&Value) -> String) {
        if self.json {
            out(&format!("{document:#}"));
        } else {
            out(text(document).trim_end());
        }
    }

    /// Says something to the person in front of the terminal, unless a program reads.
    pub(crate) fn talk(self, line: &str) {
        if !self.json {
            err(line);
        }
    }

    /// Says why the command ends.
    pub(crate) fn failure(self, failure: &Failure) {
        if self.json {
            let Failure { exit, message, causes, hint } = failure;
            out(&format!(
                "{:#}",
                json!({"error": message, "causes": causes, "hint": hint, "exit": *exit as u8})
            ));
            return;
        }
        err(&format!("error: {}", failure.message));
        for cause in &failure.causes {
            err(&format!("  caused by: {cause}"));
        }
        if let Some(hint) = &failure.hint {
            err(&format!("hint: {hint}"));
        }
    }
}

/// A reader that has seen enough closes the pipe; that is no failure of ours.
fn out(text: &str) {
    let _closed = writeln!(std::io::stdout().lock(), "{text}");
}

fn err(text: &str) {
    let _closed = writeln!(std::io::stderr().lock(), "{text}");
}

/// A table of rows under their headings.
pub(crate) fn table(headings: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(headings.iter().map(|heading| heading.to_uppercase()));
    let mut any = false;
    for row in rows {
        any = true;
        table.add_row(row);
    }
    if any { table.trim_fmt() } else { "none".to_owned() }
}

/// A member of a document as a person reads it: text without quotes, lists with commas, members with slashes, nothing
/// as `-`.
pub(crate) fn cell(document: &Value, pointer: &str) -> String {
    match document.pointer(pointer) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) => items.iter().map(|item| cell(item, "")).collect::<Vec<_>>().join(", "),
        Some(Value::Object(members)) => {
            members.values().map(|value| cell(value, "")).collect::<Vec<_>>().join("/")
        }
        Some(other) => other.to_string(),
    }
}

/// An instant of a document to the second, which is what a table has room for.
pub(crate) fn instant(document: &Value, pointer: &str) -> String {
    let text = cell(document, pointer);
    match text.split_once('.') {
        Some((seconds, fraction)) if fraction.ends_with('Z') => format!("{seconds}Z"),
        _ => text,
    }
}

/// A document's members, one line each.
pub(crate) fn members(document: &Value) -> String {
    let Some(members) = document.as_object() else { return document.to_string() };
    let width = members.keys().map(String::len).max().unwrap_or(0);
    let lines = members.iter().map(|(name, value)| format!("{name:width$}  {}", cell(value, "")));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_read_well() {
        let document = json!({"name": "a", "scopes": ["x", "y"], "none": null, "n": 3});
        assert_eq!(cell(&document, "/name"), "a");
        assert_eq!(cell(&document, "/scopes"), "x, y");
        assert_eq!(cell(&document, "/none"), "-");
        assert_eq!(cell(&document, "/absent"), "-");
        assert_eq!(instant(&json!("2026-01-02T03:04:05.678901Z"), ""), "2026-01-02T03:04:05Z");
        assert_eq!(instant(&json!(null), ""), "-");
        assert_eq!(members(&document), "n       3\nname    a\nnone    -\nscopes  x, y");
    }
}
