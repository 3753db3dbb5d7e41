//! The rules of entries, without clock or engine: deadlines, sizes, and when two values are the same.

use bytes::Bytes;
use statehold_core::{Deadline, Time};

use super::{CacheError, Value};
use crate::value::Dur;

/// The rules of one cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CachePolicy {
    /// The ttl of an entry that is written without one.
    pub default_ttl: Dur,
    /// Most bytes of a value, at most [`CachePolicy::VALUE_BYTES_CEILING`].
    pub value_bytes_max: usize,
    /// Whether entries without expiry are allowed.
    pub allow_no_expiry: bool,
}

impl CachePolicy {
    /// The highest bound that may be set for a value: 8 MiB.
    pub const VALUE_BYTES_CEILING: usize = 8 << 20;
}

impl Default for CachePolicy {
    /// One hour, 1 MiB, every entry expires.
    fn default() -> Self {
        let hour = std::time::Duration::from_hours(1);
        let default_ttl = Dur::new(hour).expect("an hour is a legal duration");
        Self { default_ttl, value_bytes_max: 1 << 20, allow_no_expiry: false }
    }
}

/// How long an entry lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ttl {
    /// As long as the cache says.
    #[default]
    Default,
    /// So long.
    For(Dur),
    /// For ever, where the cache allows it.
    Never,
}

impl CachePolicy {
    /// The deadline of an entry written at `now`.
    pub(super) fn deadline(&self, ttl: Ttl, now: Time) -> Result<Option<Deadline>, CacheError> {
        match ttl {
            Ttl::Default => Ok(Some(Deadline::after(now, self.default_ttl.get()))),
            Ttl::For(ttl) => Ok(Some(Deadline::after(now, ttl.get()))),
            Ttl::Never if self.allow_no_expiry => Ok(None),
            Ttl::Never => Err(CacheError::TtlRequired),
        }
    }
}

/// Whether a stored value is the one that is expected. JSON is compared as text without the white space between its
/// tokens, so that formatting does not matter and no number is rounded; bytes are compared with any payload.
pub(super) fn same(stored: &Value, expected: &Value) -> bool {
    match (stored, expected) {
        (Value::Counter(a), Value::Counter(b)) => a == b,
        (_, Value::Bytes(expected)) => payload(stored) == *expected,
        (Value::Bytes(_), _) => false,
        (stored, expected) => tokens(&payload(stored)).eq(tokens(&payload(expected))),
    }
}

/// The bytes of a value as a caller reads them raw.
pub(super) fn payload(value: &Value) -> Bytes {
    match value {
        Value::Json(json) => Bytes::copy_from_slice(json.get().as_bytes()),
        Value::Bytes(bytes) => bytes.clone(),
        Value::Counter(number) => Bytes::from(number.to_string()),
    }
}

/// The bytes of valid JSON that are not white space between tokens. No two tokens of JSON that stand side by side can
/// become one by this: a separator stands between any two literals.
fn tokens(json: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let (mut in_string, mut escaped) = (false, false);
    json.iter().copied().filter(move |&byte| {
        if in_string {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            in_string = !ends;
            return true;
        }
        in_string = byte == b'"';
        !matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn json(text: &str) -> Value {
        Value::json(text).unwrap()
    }

    #[test]
    fn white_space_between_tokens_does_not_matter_and_nothing_else_is_equal() {
        assert!(same(&json(r#"{"a": [1, 2]}"#), &json("{\"a\":[1,2]\n}")));
        assert!(!same(&json(r#""a b""#), &json(r#""ab""#)));
        assert!(!same(&json(r#""a\" b""#), &json(r#""a\"b""#)));
        assert!(same(&json(r#"["a\\" , 1]"#), &json(r#"["a\\",1]"#)));
        assert!(!same(&json("18446744073709551617"), &json("18446744073709551618")));
        assert!(!same(&json("1.0"), &json("1")));
    }

    #[test]
    fn kinds_compare_as_they_read() {
        let bytes = |text: &'static str| Value::Bytes(Bytes::from_static(text.as_bytes()));
        assert!(same(&json("[1]"), &bytes("[1]")));
        assert!(!same(&bytes("[1]"), &json("[1]")));
        assert!(same(&Value::Counter(5), &json("5")));
        assert!(same(&Value::Counter(-5), &bytes("-5")));
        assert!(!same(&Value::Counter(5), &Value::Counter(6)));
    }

    #[test]
    fn f002_no_entry_is_without_deadline_unless_asked_and_allowed() {
        let strict = CachePolicy::default();
        let now = Time::from_millis(1_000);
        assert_eq!(strict.deadline(Ttl::Default, now).unwrap(), Some(Deadline::from_millis(3_601_000)));
        let second = Dur::new(Duration::from_secs(1)).unwrap();
        assert_eq!(strict.deadline(Ttl::For(second), now).unwrap(), Some(Deadline::from_millis(2_000)));
        assert!(matches!(strict.deadline(Ttl::Never, now), Err(CacheError::TtlRequired)));
        let lax = CachePolicy { allow_no_expiry: true, ..strict };
        assert_eq!(lax.deadline(Ttl::Never, now).unwrap(), None);
        assert!(lax.deadline(Ttl::Default, now).unwrap().is_some());
    }
}
