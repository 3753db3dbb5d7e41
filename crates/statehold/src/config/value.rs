//! Values: as they are written, and as they are meant.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;
use zeroize::Zeroizing;

use super::key::Form;
use super::text;
use crate::secrets::KeyMaterial;

/// Most elements of a list.
const LIST_MAX: usize = 256;
/// Most bytes of a path, level or origin.
const TEXT_BYTES_MAX: usize = 4_096;

/// A value as it is written in one of the sources.
#[derive(Clone)]
pub(crate) enum Raw {
    /// From the environment or a flag: every form is read from text, lists by their commas.
    Plain(Zeroizing<String>),
    /// A TOML string.
    Text(Zeroizing<String>),
    /// A TOML boolean.
    Flag(bool),
    /// A TOML integer or float, as digits.
    Number(String),
    /// A TOML array.
    List(Vec<Raw>),
    /// A TOML table where a value belongs.
    Table,
    /// A TOML date or time: no key takes one.
    Date,
}

impl Raw {
    /// As shown in a message; at most 80 characters.
    pub(crate) fn shown(&self) -> String {
        let mut shown = match self {
            Self::Plain(text) | Self::Text(text) => format!("\"{}\"", text.escape_debug()),
            Self::Flag(flag) => flag.to_string(),
            Self::Number(digits) => digits.clone(),
            Self::List(elements) => {
                let elements: Vec<_> = elements.iter().take(10).map(Self::shown).collect();
                format!("[{}]", elements.join(", "))
            }
            Self::Table => "a table".to_owned(),
            Self::Date => "a date".to_owned(),
        };
        if let Some((cut, _)) = shown.char_indices().nth(80) {
            shown.truncate(cut);
            shown.push('…');
        }
        shown
    }

    fn words(&self) -> Option<&str> {
        match self {
            Self::Plain(text) | Self::Text(text) => Some(text.as_str()),
            _ => None,
        }
    }

    /// A number: TOML digits, or text from the environment or a flag.
    fn digits(&self) -> Option<&str> {
        match self {
            Self::Plain(text) => Some(text.trim()),
            Self::Number(digits) => Some(digits),
            _ => None,
        }
    }

    fn elements(&self) -> Option<Vec<String>> {
        match self {
            Self::Plain(text) => Some(
                text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect(),
            ),
            Self::List(elements) => elements
                .iter()
                .map(|element| match element {
                    Self::Text(text) => Some(text.to_string()),
                    _ => None,
                })
                .collect(),
            // One element may be written without its brackets.
            Self::Text(text) => Some(vec![text.to_string()]),
            _ => None,
        }
    }
}

/// A value as it is meant.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A switch.
    Switch(bool),
    /// A word, path or name.
    Text(String),
    /// A whole number.
    Whole(u64),
    /// A number of bytes.
    Size(u64),
    /// A number, not below zero.
    Rate(f64),
    /// A duration; none for `none`.
    Span(Option<Duration>),
    /// A list.
    List(Vec<String>),
    /// Key material.
    Secret(KeyMaterial),
}

impl Value {
    /// As a user would write it; secrets as `***`.
    pub fn shown(&self) -> String {
        match self {
            Self::Switch(switch) => switch.to_string(),
            Self::Text(text) => text.clone(),
            Self::Whole(number) => number.to_string(),
            Self::Size(bytes) => text::size_shown(*bytes),
            Self::Rate(rate) => rate.to_string(),
            Self::Span(None) => "none".to_owned(),
            Self::Span(Some(span)) => text::span_shown(*span),
            Self::List(elements) => elements.join(","),
            Self::Secret(_) => "***".to_owned(),
        }
    }

    /// As JSON; durations and sizes as a user would write them, secrets as `***`.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Switch(switch) => (*switch).into(),
            Self::Whole(number) => (*number).into(),
            Self::Rate(rate) => (*rate).into(),
            Self::List(elements) => elements.clone().into(),
            Self::Text(_) | Self::Size(_) | Self::Span(_) | Self::Secret(_) => self.shown().into(),
        }
    }
}

impl Form {
    /// Reads a value of this form.
    ///
    /// # Errors
    /// What is legal, when the value is not.
    pub(crate) fn read(&self, raw: &Raw) -> Result<Value, String> {
        self.try_read(raw).ok_or_else(|| self.legal())
    }

    fn try_read(&self, raw: &Raw) -> Option<Value> {
        match self {
            Self::Switch => match raw {
                Raw::Flag(switch) => Some(Value::Switch(*switch)),
                Raw::Plain(text) => text.trim().parse().ok().map(Value::Switch),
                _ => None,
            },
            Self::Choice(words) => {
                let word = raw.words()?.trim();
                words.contains(&word).then(|| Value::Text(word.to_owned()))
            }
            Self::Whole { min, max } => {
                let number: u64 = raw.digits()?.replace('_', "").parse().ok()?;
                (*min..=*max).contains(&number).then_some(Value::Whole(number))
            }
            Self::Rate { max } => {
                let rate: f64 = raw.digits()?.parse().ok()?;
                (rate.is_finite() && rate > 0.0 && rate <= *max).then_some(Value::Rate(rate))
            }
            Self::Ratio => {
                let ratio: f64 = raw.digits()?.parse().ok()?;
                (0.0..=1.0).contains(&ratio).then_some(Value::Rate(ratio))
            }
            Self::Size { min, max } => {
                let bytes = text::size(raw.digits().or_else(|| raw.words())?)?;
                (*min..=*max).contains(&bytes).then_some(Value::Size(bytes))
            }
            Self::Span { min, max, or_none } => {
                let written = raw.digits().or_else(|| raw.words())?.trim();
                if written == "none" && *or_none {
                    return Some(Value::Span(None));
                }
                let span = text::span(written)?;
                (*min..=*max).contains(&span).then_some(Value::Span(Some(span)))
            }
            Self::Path | Self::EngineName | Self::LogLevel | Self::Endpoint => {
                let text = raw.words()?;
                let fits = !text.trim().is_empty() && text.len() <= TEXT_BYTES_MAX;
                let means = match self {
                    Self::LogLevel => crate::telemetry::is_level(text),
                    Self::Endpoint => text::is_endpoint(text),
                    _ => !text.contains('\0'),
                };
                (fits && means).then(|| Value::Text(text.to_owned()))
            }
            Self::PolicyNames => list(raw, 0, |name| !name.is_empty()),
            Self::Addresses { least } => list(raw, *least, |text| text.parse::<SocketAddr>().is_ok()),
            Self::Networks => list(raw, 0, |text| text.parse::<IpNet>().is_ok()),
            Self::Origins => list(raw, 0, text::is_origin),
            Self::KeyMaterial => KeyMaterial::parse(raw.words()?).ok().map(Value::Secret),
        }
    }

    /// What is legal, as a user would want to read it.
    pub(crate) fn legal(&self) -> String {
        match self {
            Self::Switch => "`true` or `false`".to_owned(),
            Self::Choice(words) => one_of(words),
            Self::Whole { min, max } => format!("a whole number from {min} to {max}"),
            Self::Rate { max } => format!("a number above 0, at most {max}"),
            Self::Ratio => "a number from 0 to 1".to_owned(),
            Self::Size { min, max } => format!(
                "a size from {} to {}, in bytes or with a unit such as `2 MiB`",
                text::size_shown(*min),
                text::size_shown(*max)
            ),
            Self::Span { min, max, or_none } => {
                let mut legal = format!(
                    "a duration from {} to {}, in seconds or such as `1h 30m`",
                    text::span_shown(*min),
                    text::span_shown(*max)
                );
                if *or_none {
                    legal.push_str(", or `none`");
                }
                legal
            }
            Self::Path => "a path".to_owned(),
            Self::EngineName => "the name of a configured engine".to_owned(),
            Self::PolicyNames => "a list of limit policies".to_owned(),
            Self::LogLevel => {
                "`error`, `warn`, `info`, `debug`, `trace` or directives such as `info,statehold_server=debug`"
                    .to_owned()
            }
            Self::Addresses { least } => {
                let mut legal = "a list of addresses such as `127.0.0.1:7600` or `[::1]:7600`".to_owned();
                if *least > 0 {
                    let _ = write!(legal, ", at least {least}");
                }
                legal
            }
            Self::Networks => "a list of networks such as `10.0.0.0/8`".to_owned(),
            Self::Endpoint => {
                "an address such as `http://collector:4318`, without user, query or fragment".to_owned()
            }
            Self::Origins => {
                "a list of exact origins such as `https://app.example.com`, without path or `*`".to_owned()
            }
            Self::KeyMaterial => "32 random bytes, as 64 hexadecimal digits or base64".to_owned(),
        }
    }
}

fn list(raw: &Raw, least: usize, means: impl Fn(&str) -> bool) -> Option<Value> {
    let elements = raw.elements()?;
    let fits = (least..=LIST_MAX).contains(&elements.len());
    let legal = |element: &String| element.len() <= TEXT_BYTES_MAX && means(element);
    (fits && elements.iter().all(legal)).then_some(Value::List(elements))
}

/// `a`, `b` or `c`, each in backticks.
pub(crate) fn one_of(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}
