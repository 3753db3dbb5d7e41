//! One record, one line: JSON or text, masked, bounded, without control characters.

use std::fmt::Write as _;

use jiff::Timestamp;
use statehold_core::Time;
use tracing::Level;

use super::mask::mask;
use crate::config::LogFormat;

/// Most bytes of one field.
const FIELD_BYTES_MAX: usize = 2 << 10;
/// Most fields of a record; more are dropped.
const FIELDS_MAX: usize = 48;
/// Fields whose value is never shown, whatever it is.
const HIDDEN: [&str; 6] = ["password", "secret", "token", "token_key", "authorization", "api_key"];

/// A field's value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Field {
    Text(String),
    /// A number or boolean, as JSON writes it.
    Plain(String),
}

/// A record before it is written.
#[derive(Clone, Debug)]
pub(super) struct Record<'a> {
    pub(super) time: Time,
    pub(super) level: Level,
    pub(super) target: &'a str,
    pub(super) message: String,
    pub(super) fields: Vec<(&'static str, Field)>,
}

impl Field {
    /// Text, masked and cut to its bound.
    pub(super) fn text(name: &str, value: &str) -> Self {
        if HIDDEN.contains(&name) {
            return Self::Text("***".to_owned());
        }
        Self::Text(bounded(value))
    }
}

/// As much of a text as is looked at to show it.
pub(super) fn window(value: &str) -> &str {
    &value[..value.floor_char_boundary(4 * FIELD_BYTES_MAX)]
}

/// Masks text and cuts it to [`FIELD_BYTES_MAX`]. It is masked before it is cut, so that no half of a secret escapes
/// by losing its sign, and no more of it is masked than can be shown.
pub(super) fn bounded(value: &str) -> String {
    let window = window(value);
    let masked = mask(window);
    if masked.len() <= FIELD_BYTES_MAX && window.len() == value.len() {
        return masked.into_owned();
    }
    let mut cut = masked[..masked.floor_char_boundary(FIELD_BYTES_MAX - '…'.len_utf8())].to_owned();
    cut.push('…');
    cut
}

impl Record<'_> {
    /// Puts a field, replacing one of the same name: an event's own stands above its span's.
    pub(super) fn put(fields: &mut Vec<(&'static str, Field)>, name: &'static str, value: Field) {
        match fields.iter().position(|(present, _)| *present == name) {
            Some(place) => fields[place].1 = value,
            None if fields.len() < FIELDS_MAX => fields.push((name, value)),
            None => {}
        }
    }

    /// The line, with its line end.
    pub(super) fn line(&self, format: LogFormat) -> String {
        let mut line = String::with_capacity(256);
        match format {
            LogFormat::Json => self.json(&mut line),
            LogFormat::Text => self.text(&mut line),
        }
        line.push('\n');
        line
    }

    fn json(&self, line: &mut String) {
        let _ = write!(
            line,
            "{{\"ts\":\"{}\",\"level\":\"{}\",\"target\":",
            timestamp(self.time),
            word(self.level)
        );
        json_text(line, self.target);
        line.push_str(",\"message\":");
        json_text(line, &self.message);
        for (name, value) in &self.fields {
            line.push(',');
            json_text(line, own_name(name));
            line.push(':');
            match value {
                Field::Text(text) => json_text(line, text),
                Field::Plain(plain) => line.push_str(plain),
            }
        }
        line.push('}');
    }

    fn text(&self, line: &mut String) {
        let _ = write!(line, "{} {:5} ", timestamp(self.time), word(self.level));
        escaped(line, &self.message);
        for (name, value) in &self.fields {
            let _ = write!(line, " {name}=");
            match value {
                Field::Text(text) if text.is_empty() || text.contains([' ', '"', '=']) => {
                    json_text(line, text);
                }
                Field::Text(text) => escaped(line, text),
                Field::Plain(plain) => line.push_str(plain),
            }
        }
    }
}

/// A field may be called like one of the record's own members; a JSON object has each name once.
fn own_name(name: &'static str) -> &'static str {
    match name {
        "ts" => "field_ts",
        "level" => "field_level",
        "target" => "field_target",
        other => other,
    }
}

const fn word(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

/// RFC 3339 in UTC with six digits.
fn timestamp(time: Time) -> String {
    let micros = i64::try_from(time.micros()).unwrap_or(i64::MAX);
    Timestamp::from_microsecond(micros).map_or_else(|_| String::new(), |instant| format!("{instant:.6}"))
}

/// A JSON string (RFC 8259); everything that could end or move a line is escaped, beyond what JSON asks for.
fn json_text(line: &mut String, text: &str) {
    line.push('"');
    for c in text.chars() {
        match c {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            c => control_or(line, c),
        }
    }
    line.push('"');
}

fn escaped(line: &mut String, text: &str) {
    for c in text.chars() {
        control_or(line, c);
    }
}

fn control_or(line: &mut String, c: char) {
    match c {
        '\n' => line.push_str("\\n"),
        '\r' => line.push_str("\\r"),
        '\t' => line.push_str("\\t"),
        // Line and paragraph separators, and marks that turn the direction of text.
        c if c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
        {
            let _ = write!(line, "\\u{:04x}", u32::from(c));
        }
        c => line.push(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(message: &str, fields: Vec<(&'static str, Field)>) -> Record<'static> {
        let time = Time::from_micros(1_767_225_600_000_001);
        Record { time, level: Level::WARN, target: "statehold", message: message.to_owned(), fields }
    }

    #[test]
    fn lines_look_like_this() {
        let fields = vec![
            ("event", Field::text("event", "engine_lost")),
            ("duration_ms", Field::Plain("12".to_owned())),
            ("password", Field::text("password", "hunter2")),
            ("url", Field::text("url", "redis://u:p@host")),
        ];
        insta::assert_snapshot!(record("two\nlines", fields.clone()).line(LogFormat::Json));
        insta::assert_snapshot!(record("two\nlines", fields).line(LogFormat::Text));
    }

    #[test]
    fn fields_are_bounded_after_masking() {
        let long = format!("{} Bearer {}", "x".repeat(FIELD_BYTES_MAX - 20), "s3cr3t".repeat(1_000));
        let shown = bounded(&long);
        assert!(shown.len() <= FIELD_BYTES_MAX && !shown.contains("s3cr3t"), "{}", shown.len());
        assert!(bounded(&"é".repeat(FIELD_BYTES_MAX)).ends_with('…'));
        assert_eq!(bounded(&"x".repeat(FIELD_BYTES_MAX)).len(), FIELD_BYTES_MAX);
    }

    proptest! {
        #[test]
        fn f276_every_line_is_one_json_object(message in ".{0,60}", value in "\\PC{0,40}|[\\x00-\\x20]{0,9}") {
            let message = format!("{message}{value}");
            let line = record(&message, vec![("event", Field::Text(value.clone()))]).line(LogFormat::Json);
            prop_assert_eq!(line.matches('\n').count(), 1);
            let parsed: serde_json::Value = serde_json::from_str(&line).expect("a line is JSON");
            prop_assert_eq!(parsed["message"].as_str(), Some(message.as_str()));
            prop_assert_eq!(parsed["event"].as_str(), Some(value.as_str()));
        }

        #[test]
        fn text_lines_hold_no_control_characters(message in "[\\x00-\\x7f\\u{80}-\\u{9f}]{0,60}") {
            let line = record(&message, vec![]).line(LogFormat::Text);
            prop_assert!(!line.trim_end_matches('\n').chars().any(char::is_control));
        }
    }
}
