//! Every mistake in a configuration, told at once.

use std::fmt;

use super::origin::Origin;

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key; empty when the file as a whole is meant.
    pub key: String,
    /// Where the value stands, when one stands anywhere.
    pub origin: Option<Origin>,
    /// The value as written; `***` for a secret.
    pub value: Option<String>,
    /// What is wrong and what is legal: one sentence without a full stop.
    pub legal: String,
}

impl Problem {
    pub(crate) fn new(key: impl Into<String>, legal: impl Into<String>) -> Self {
        Self { key: key.into(), origin: None, value: None, legal: legal.into() }
    }

    pub(crate) fn at(self, origin: &Origin) -> Self {
        Self { origin: Some(origin.clone()), ..self }
    }

    pub(crate) fn with_value(self, value: impl Into<String>) -> Self {
        Self { value: Some(value.into()), ..self }
    }

    /// As JSON: `{key, source, value, legal}`.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "key": self.key,
            "source": self.origin.as_ref().map(ToString::to_string),
            "value": self.value,
            "legal": self.legal,
        })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.key.is_empty() {
            f.write_str(&self.key)?;
            if let Some(value) = &self.value {
                write!(f, " = {value}")?;
            }
        }
        if let Some(origin) = &self.origin {
            let open = if self.key.is_empty() { "" } else { "  (" };
            let close = if self.key.is_empty() { "" } else { ")" };
            write!(f, "{open}{origin}{close}")?;
        }
        write!(f, "\n    {}", self.legal)
    }
}

/// Every mistake in a configuration; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(Vec<Problem>);

impl ConfigErrors {
    /// Takes the mistakes, in the order of their keys; none when there are none.
    pub(crate) fn from_problems(mut problems: Vec<Problem>) -> Option<Self> {
        problems.sort_by(|a, b| (&a.origin, &a.key).cmp(&(&b.origin, &b.key)));
        problems.dedup();
        (!problems.is_empty()).then_some(Self(problems))
    }

    /// The mistakes.
    pub fn problems(&self) -> &[Problem] {
        &self.0
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => f.write_str("1 mistake in the configuration")?,
            n => write!(f, "{n} mistakes in the configuration")?,
        }
        for problem in &self.0 {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
