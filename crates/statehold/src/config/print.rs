//! Effective values with their origin, secrets masked.

use std::fmt::Write as _;

use super::resolve::Entry;
use super::{Config, KEYS};

impl Config {
    /// One line per value: key, value, origin. Keys come in the order of the table.
    pub fn print_table(&self) -> String {
        let rows: Vec<(&str, String, String)> = self
            .in_order()
            .into_iter()
            .map(|(path, entry)| (path, shown(entry), entry.origin.to_string()))
            .collect();
        let width = |column: fn(&(&str, String, String)) -> usize| rows.iter().map(column).max().unwrap_or(0);
        let (keys, values) = (width(|row| row.0.len()), width(|row| row.1.chars().count().min(40)));
        let mut table = String::new();
        for (path, value, origin) in rows {
            let _ = writeln!(table, "{path:keys$}  {value:values$}  {origin}");
        }
        table
    }

    /// `{"<key>": {"value", "origin"}, …}`; a value that is not set is null.
    pub fn print_json(&self) -> serde_json::Value {
        let entries = self.in_order().into_iter().map(|(path, entry)| {
            let value = entry.value.as_ref().map(super::Value::to_json);
            (path.to_owned(), serde_json::json!({ "value": value, "origin": entry.origin.to_string() }))
        });
        serde_json::Value::Object(entries.collect())
    }

    fn in_order(&self) -> Vec<(&str, &Entry)> {
        let mut entries: Vec<_> = self.entries().collect();
        entries.sort_by_cached_key(|(path, entry)| {
            let place = KEYS.iter().position(|key| key.path == entry.key.path);
            (place, (*path).to_owned())
        });
        entries
    }
}

fn shown(entry: &Entry) -> String {
    match &entry.value {
        None => "(not set)".to_owned(),
        Some(value) => match value.shown() {
            empty if empty.is_empty() => "(none)".to_owned(),
            shown => crate::telemetry::mask(&shown).into_owned(),
        },
    }
}
