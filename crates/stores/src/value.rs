//! The value types that every store and route shares: durations and ids as callers write them.
//!
//! Pure: nothing here reads a clock or a wire. Each parser has one error, which names the problem code of its type.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

/// A value that is not of its type: nothing about the value is in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadValue {
    /// Not a duration, or one out of bounds.
    Duration,
    /// Not an id.
    Id,
}

impl BadValue {
    /// The problem code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Duration => "invalid_duration",
            Self::Id => "invalid_id",
        }
    }
}

impl fmt::Display for BadValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Duration => {
                "a duration is a whole number of seconds or text such as `1d 2h 30m 15s`, 1 ms to 3650 d"
            }
            Self::Id => "an id has 1 to 200 bytes and no control characters",
        })
    }
}

impl std::error::Error for BadValue {}

/// A duration as callers write it: whole milliseconds, 1 ms to 3650 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dur(Duration);

impl Dur {
    /// The shortest.
    pub const MIN: Duration = Duration::from_millis(1);
    /// The longest: 3650 days.
    pub const MAX: Duration = Duration::from_hours(3_650 * 24);

    /// Checks the bounds.
    ///
    /// # Errors
    /// [`BadValue::Duration`] outside 1 ms..3650 d or with a part of a millisecond.
    pub fn new(duration: Duration) -> Result<Self, BadValue> {
        let whole = duration.subsec_nanos().is_multiple_of(1_000_000);
        if whole && (Self::MIN..=Self::MAX).contains(&duration) {
            Ok(Self(duration))
        } else {
            Err(BadValue::Duration)
        }
    }

    /// Reads `1d 2h 30m 15s`: parts of a whole number and a unit (`ms s m h d w`), each unit at most once, in any
    /// order, with or without spaces between the parts.
    ///
    /// # Errors
    /// [`BadValue::Duration`] for anything else, and out of bounds.
    pub fn from_text(text: &str) -> Result<Self, BadValue> {
        const UNITS: [(&str, u64); 6] = [
            ("ms", 1),
            ("s", 1_000),
            ("m", 60_000),
            ("h", 3_600_000),
            ("d", 86_400_000),
            ("w", 7 * 86_400_000),
        ];
        let mut seen = [false; UNITS.len()];
        let mut total: u64 = 0;
        let mut rest = text;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, after) = rest.split_at(digits);
            let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
            let (name, after) = after.split_at(letters);
            let unit = UNITS.iter().position(|(unit, _)| *unit == name).ok_or(BadValue::Duration)?;
            if std::mem::replace(&mut seen[unit], true) {
                return Err(BadValue::Duration);
            }
            let number: u64 = number.parse().map_err(|_| BadValue::Duration)?;
            let part = number.checked_mul(UNITS[unit].1).ok_or(BadValue::Duration)?;
            total = total.checked_add(part).ok_or(BadValue::Duration)?;
            rest = after.trim_start_matches(' ');
            if rest.is_empty() && !after.is_empty() {
                return Err(BadValue::Duration);
            }
        }
        Self::new(Duration::from_millis(total))
    }

    /// Reads a JSON value: a whole number of seconds, or text.
    ///
    /// # Errors
    /// [`BadValue::Duration`] for zero, negative, fractional, out of bounds, or another type.
    pub fn from_json(value: &Value) -> Result<Self, BadValue> {
        match value {
            Value::Number(seconds) => {
                Self::new(Duration::from_secs(seconds.as_u64().ok_or(BadValue::Duration)?))
            }
            Value::String(text) => Self::from_text(text),
            _ => Err(BadValue::Duration),
        }
    }

    /// The duration.
    pub const fn get(self) -> Duration {
        self.0
    }
}

/// An id that a caller supplied: 1..=[`Id::BYTES_MAX`] bytes of UTF-8, no control characters, case kept.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(Arc<str>);

impl Id {
    /// Most bytes of an id.
    pub const BYTES_MAX: usize = 200;

    /// Checks and takes an id.
    ///
    /// # Errors
    /// [`BadValue::Id`] when empty, longer than [`Self::BYTES_MAX`], or with U+0000–001F or U+007F in it.
    pub fn new(id: impl Into<Arc<str>>) -> Result<Self, BadValue> {
        let id = id.into();
        let legal = (1..=Self::BYTES_MAX).contains(&id.len()) && !id.bytes().any(|b| b.is_ascii_control());
        if legal { Ok(Self(id)) } else { Err(BadValue::Id) }
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Ids are often people's names or keys of secrets: they do not belong in a log.
impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn millis(text: &str) -> Result<u64, BadValue> {
        Dur::from_text(text).map(|dur| dur.get().as_millis() as u64)
    }

    #[test]
    fn f074_durations_are_written_in_units() {
        assert_eq!(millis("1d 2h 30m 15s"), Ok(95_415_000));
        assert_eq!(millis("1d2h30m15s"), Ok(95_415_000));
        assert_eq!(millis("15s 1d"), Ok(86_415_000));
        assert_eq!(millis("1ms"), Ok(1));
        assert_eq!(millis("1m 1ms"), Ok(60_001));
        assert_eq!(millis("2w"), Ok(14 * 86_400_000));
        assert_eq!(millis("0h 5s"), Ok(5_000));
        assert_eq!(millis("3650d"), Ok(3_650 * 86_400_000));
    }

    #[test]
    fn f074_bad_durations_are_refused() {
        let bad = [
            "",
            " ",
            "1",
            "s",
            "1x",
            "1S",
            "1y",
            "1d 1d",
            "1s1s",
            "-1s",
            "+1s",
            "1.5h",
            "1,5h",
            "1 d",
            " 1s",
            "1s ",
            "1s\t2m",
            "0s",
            "0d 0h",
            "3651d",
            "3650d 1ms",
            "99999999999999999999s",
            "18446744073709551615w",
            "1ss",
            "１s",
            "1d, 2h",
            "1d and 2h",
            "NaN",
            "inf",
            "∞s",
            "none",
        ];
        for text in bad {
            assert_eq!(millis(text), Err(BadValue::Duration), "{text:?}");
        }
    }

    #[test]
    fn f002_json_durations_are_whole_positive_seconds_or_text() {
        assert_eq!(Dur::from_json(&json!(90)).map(Dur::get), Ok(Duration::from_secs(90)));
        assert_eq!(Dur::from_json(&json!("90s")).map(Dur::get), Ok(Duration::from_secs(90)));
        assert_eq!(Dur::from_json(&json!(315_360_000)).map(Dur::get), Ok(Dur::MAX));
        let bad = [
            json!(0),
            json!(-1),
            json!(1.5),
            json!(1.0),
            json!(315_360_001),
            json!(u64::MAX),
            json!("90"),
            json!(true),
            json!(null),
            json!([1]),
            json!({"s": 1}),
        ];
        for value in bad {
            assert_eq!(Dur::from_json(&value), Err(BadValue::Duration), "{value}");
        }
    }

    #[test]
    fn a_duration_has_whole_milliseconds_inside_its_bounds() {
        for bad in [Duration::ZERO, Duration::from_micros(1_500), Dur::MAX + Dur::MIN, Duration::MAX] {
            assert_eq!(Dur::new(bad), Err(BadValue::Duration), "{bad:?}");
        }
        assert!(Dur::new(Dur::MIN).is_ok() && Dur::new(Dur::MAX).is_ok());
    }

    #[test]
    fn ids_have_1_to_200_bytes_and_no_control_characters() {
        for id in ["a", "a:b/c{d}", "Ä", " ", &"x".repeat(200)] {
            assert_eq!(Id::new(id).map(|id| id.as_str().to_owned()), Ok(id.to_owned()));
        }
        for id in ["", "a\0", "a\n", "\u{1f}", "a\u{7f}", &"x".repeat(201), &"ä".repeat(101)] {
            assert_eq!(Id::new(id), Err(BadValue::Id), "{id:?}");
        }
        assert!(!format!("{:?}", Id::new("alice").unwrap()).contains("alice"));
    }

    proptest! {
        #[test]
        fn written_durations_are_read_back(ms in 1_u64..=3_650 * 86_400_000) {
            let (seconds, rest) = (ms / 1_000, ms % 1_000);
            prop_assert_eq!(millis(&format!("{seconds}s {rest}ms")), Ok(ms));
            prop_assert_eq!(millis(&format!("{rest}ms{seconds}s")), Ok(ms));
        }

        #[test]
        fn nothing_makes_a_parser_panic(text in ".{0,40}") {
            let _ = (Dur::from_text(&text), Id::new(text));
        }
    }
}
