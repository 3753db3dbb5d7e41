//! The value types that every store and route shares: durations, instants, revisions and ids as callers write them.
//!
//! Pure: nothing here reads a clock or a wire. Each parser has one error, which names the problem code of its type.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use statehold_core::{Revision, Time};

/// A value that is not of its type: nothing about the value is in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadValue {
    /// Not a duration, or one out of bounds.
    Duration,
    /// Not an instant.
    Timestamp,
    /// Not a revision.
    Revision,
    /// Not an id.
    Id,
}

impl BadValue {
    /// The problem code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Duration => "invalid_duration",
            Self::Timestamp => "invalid_timestamp",
            Self::Revision => "invalid_revision",
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
            Self::Timestamp => "an instant is RFC 3339 in UTC, such as `2026-01-01T00:00:00.000000Z`",
            Self::Revision => "a revision is a decimal number, in an ETag written `\"r<number>\"`",
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

/// An instant as callers see it: microseconds since 1970-01-01T00:00:00Z, written as RFC 3339 with six digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ts(i64);

impl Ts {
    /// The instant so many microseconds from the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds from the epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Reads RFC 3339 in UTC: `2026-01-01T00:00:00Z`, with up to six digits of a second.
    ///
    /// # Errors
    /// [`BadValue::Timestamp`] for anything else, an offset other than `Z` and a leap second included.
    pub fn from_text(text: &str) -> Result<Self, BadValue> {
        const SHAPE: &[u8; 19] = b"dddd-dd-ddTdd:dd:dd";
        let (head, tail) = text.as_bytes().split_at_checked(SHAPE.len()).ok_or(BadValue::Timestamp)?;
        let shaped = head.iter().zip(SHAPE).all(|(byte, shape)| match shape {
            b'd' => byte.is_ascii_digit(),
            other => byte == other,
        });
        let fraction = match tail {
            b"Z" => true,
            [b'.', digits @ .., b'Z'] => {
                (1..=6).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit)
            }
            _ => false,
        };
        if !shaped || !fraction || head.ends_with(b":60") {
            return Err(BadValue::Timestamp);
        }
        let instant: jiff::Timestamp = text.parse().map_err(|_| BadValue::Timestamp)?;
        Ok(Self(instant.as_microsecond()))
    }
}

impl From<Time> for Ts {
    fn from(time: Time) -> Self {
        Self(i64::try_from(time.micros()).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for Ts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An instant past the year 9999 can only come from a saturated sum; it is shown as the last one there is.
        let instant = jiff::Timestamp::from_microsecond(self.0).unwrap_or(if self.0 < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        });
        write!(f, "{instant:.6}")
    }
}

/// A revision as callers write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rev(pub Revision);

impl Rev {
    /// Reads a decimal number without sign or leading zeros.
    ///
    /// # Errors
    /// [`BadValue::Revision`] for anything else.
    pub fn from_text(text: &str) -> Result<Self, BadValue> {
        let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
        let number = text.parse().ok().filter(|_| plain).ok_or(BadValue::Revision)?;
        Ok(Self(Revision::from_u64(number)))
    }

    /// Reads an ETag: `"r<number>"`.
    ///
    /// # Errors
    /// [`BadValue::Revision`] for anything else, weak tags and lists included.
    pub fn from_etag(tag: &str) -> Result<Self, BadValue> {
        let number = tag.strip_prefix("\"r").and_then(|tag| tag.strip_suffix('"'));
        Self::from_text(number.ok_or(BadValue::Revision)?)
    }

    /// The ETag.
    pub fn etag(self) -> String {
        format!("\"r{}\"", self.0.get())
    }
}

impl fmt::Display for Rev {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.get())
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
    fn instants_are_rfc_3339_in_utc_with_six_digits() {
        let instant = Ts::from_text("2026-01-02T03:04:05.000006Z").unwrap();
        assert_eq!(instant.to_string(), "2026-01-02T03:04:05.000006Z");
        assert_eq!(Ts::from_text("2026-01-02T03:04:05Z").unwrap().to_string(), "2026-01-02T03:04:05.000000Z");
        assert_eq!(Ts::from_text("1970-01-01T00:00:00.5Z"), Ok(Ts::from_micros(500_000)));
        assert_eq!(Ts::from_micros(-1).to_string(), "1969-12-31T23:59:59.999999Z");
        assert!(Ts::from(Time::from_micros(u64::MAX)).to_string().starts_with("9999-"));
        let bad = [
            "",
            "Z",
            "2026-01-02",
            "2026-01-02T03:04:05",
            "2026-01-02T03:04:05+00:00",
            "2026-01-02 03:04:05Z",
            "2026-01-02T03:04:05.Z",
            "2026-01-02T03:04:05.1234567Z",
            "2026-02-30T03:04:05Z",
            "2026-01-02T24:00:00Z",
            "2026-01-02T03:04:60Z",
            "2026-01-02t03:04:05z",
            "+002026-01-02T03:04:05Z",
            "1767323045",
            " 2026-01-02T03:04:05Z",
        ];
        for text in bad {
            assert_eq!(Ts::from_text(text), Err(BadValue::Timestamp), "{text:?}");
        }
    }

    #[test]
    fn revisions_are_decimal_and_etags_name_them() {
        let revision = Rev::from_text("18446744073709551615").unwrap();
        assert_eq!(Rev::from_etag(&revision.etag()), Ok(revision));
        assert_eq!(revision.to_string(), "18446744073709551615");
        for text in ["", "-1", "+1", "01", "1.0", "0x1", "r1", "18446744073709551616", " 1"] {
            assert_eq!(Rev::from_text(text), Err(BadValue::Revision), "{text:?}");
        }
        for tag in ["", "r1", "\"1\"", "W/\"r1\"", "\"r1\", \"r2\"", "*", "\"r\"", "\"r01\"", "\"R1\""] {
            assert_eq!(Rev::from_etag(tag), Err(BadValue::Revision), "{tag:?}");
        }
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
            let _ = (Dur::from_text(&text), Ts::from_text(&text), Rev::from_text(&text), Rev::from_etag(&text));
        }

        #[test]
        fn written_instants_are_read_back(micros in -62_135_596_800_000_000_i64..253_402_207_200_000_000) {
            let instant = Ts::from_micros(micros);
            prop_assert_eq!(Ts::from_text(&instant.to_string()), Ok(instant));
        }
    }
}
