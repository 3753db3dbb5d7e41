//! `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers): what a limit allows, and what is left.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};

/// What a limit said about one call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RateState<'a> {
    /// The policy's name.
    pub(crate) policy: &'a str,
    /// Calls per window.
    pub(crate) limit: u64,
    /// The window.
    pub(crate) window: Duration,
    /// Calls that can still be made.
    pub(crate) remaining: u64,
    /// Time until the limit is whole again.
    pub(crate) reset: Duration,
}

impl RateState<'_> {
    /// The two headers; times in whole seconds, rounded up.
    pub(crate) fn headers(&self) -> [(HeaderName, HeaderValue); 2] {
        let name = quoted(self.policy);
        let seconds = |time: Duration| time.as_millis().div_ceil(1_000);
        let policy = format!("{name};q={};w={}", self.limit, seconds(self.window));
        let state = format!("{name};r={};t={}", self.remaining, seconds(self.reset));
        let value =
            |text: String| HeaderValue::from_str(&text).expect("a quoted name and digits are printable");
        [
            (HeaderName::from_static("ratelimit-policy"), value(policy)),
            (HeaderName::from_static("ratelimit"), value(state)),
        ]
    }
}

impl RateState<'_> {
    /// The three headers of older clients, for `limits.legacy_headers`.
    pub(crate) fn legacy_headers(&self) -> [(HeaderName, HeaderValue); 3] {
        let reset = u64::try_from(self.reset.as_millis().div_ceil(1_000)).unwrap_or(u64::MAX);
        [
            (HeaderName::from_static("ratelimit-limit"), self.limit.into()),
            (HeaderName::from_static("ratelimit-remaining"), self.remaining.into()),
            (HeaderName::from_static("ratelimit-reset"), reset.into()),
        ]
    }
}

/// A structured-field string (RFC 9651): printable ASCII, quotes and backslashes escaped; anything else is `?`.
fn quoted(name: &str) -> String {
    let mut quoted = String::with_capacity(name.len() + 2);
    quoted.push('"');
    for character in name.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            ' '..='~' => quoted.push(character),
            _ => quoted.push('?'),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_those_of_the_specification() {
        let state = RateState {
            policy: "session",
            limit: 60,
            window: Duration::from_mins(1),
            remaining: 59,
            reset: Duration::from_millis(11_001),
        };
        let text = state.headers().map(|(name, value)| format!("{name}: {}", value.to_str().expect("ASCII")));
        assert_eq!(text, [r#"ratelimit-policy: "session";q=60;w=60"#, r#"ratelimit: "session";r=59;t=12"#]);
    }

    #[test]
    fn f147_older_clients_get_the_same_numbers() {
        let reset = Duration::from_millis(11_001);
        let state =
            RateState { policy: "api", limit: 60, window: Duration::from_mins(1), remaining: 59, reset };
        let text =
            state.legacy_headers().map(|(name, value)| format!("{name}: {}", value.to_str().expect("ASCII")));
        assert_eq!(text, ["ratelimit-limit: 60", "ratelimit-remaining: 59", "ratelimit-reset: 12"]);
    }

    #[test]
    fn no_name_breaks_out_of_its_quotes() {
        assert_eq!(quoted("a\"b\\c\r\nä"), r#""a\"b\\c???""#);
        let state = RateState {
            policy: "\u{7f}\n",
            limit: 1,
            window: Duration::ZERO,
            remaining: 0,
            reset: Duration::ZERO,
        };
        assert_eq!(state.headers()[0].1, r#""??";q=1;w=0"#);
    }
}
