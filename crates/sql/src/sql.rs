//! Statement texts.

use std::fmt;
use std::sync::OnceLock;

/// One statement with parameters `$1`, `$2`, …: a `static`, rewritten once for SQLite.
///
/// SQLite takes `$1` for a *name* and numbers names by their first appearance, so each becomes `?1`, which is a number.
pub struct Sql {
    text: &'static str,
    numbered: OnceLock<Box<str>>,
}

impl Sql {
    /// Takes a statement's text.
    pub const fn new(text: &'static str) -> Self {
        Self { text, numbered: OnceLock::new() }
    }

    /// The text as it was written.
    pub const fn text(&self) -> &'static str {
        self.text
    }

    /// The text as SQLite reads it.
    pub(crate) fn for_sqlite(&self) -> &str {
        self.numbered.get_or_init(|| number_parameters(self.text).into_boxed_str())
    }
}

impl fmt::Debug for Sql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

/// Turns `$n` into `?n` outside of quotes.
fn number_parameters(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut quote = None;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match quote {
            Some(open) if c == open => quote = None,
            None if matches!(c, '\'' | '"') => quote = Some(c),
            _ => {}
        }
        let parameter = c == '$' && quote.is_none() && rest.peek().is_some_and(char::is_ascii_digit);
        out.push(if parameter { '?' } else { c });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_numbered_outside_of_quotes() {
        assert_eq!(number_parameters("SELECT $2, '$1', \"$1\", $10"), "SELECT ?2, '$1', \"$1\", ?10");
    }
}
