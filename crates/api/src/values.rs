//! Values with a form of their own on the wire: durations, instants, revisions.

use std::fmt;
use std::time::Duration;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use statehold_core::duration;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::problem::Code;

/// An error of a wire type that carries its problem code: the server answers 422 with exactly this code.
pub fn wire_error<E: de::Error>(code: Code, detail: impl fmt::Display) -> E {
    E::custom(format_args!("{code}: {detail}"))
}

/// A duration from 1 ms to 3650 days: whole seconds, or text such as `1d 2h 30m 15s` (units `ms s m h d w`, each
/// at most once).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dur(Duration);

impl Dur {
    /// Takes a duration of whole milliseconds in bounds.
    pub fn new(duration: Duration) -> Option<Self> {
        duration::in_bounds(duration).then_some(Self(duration))
    }

    /// The duration.
    pub const fn get(self) -> Duration {
        self.0
    }

    /// Reads the text form.
    pub fn parse(text: &str) -> Option<Self> {
        duration::parse(text).and_then(Self::new)
    }
}

impl From<Dur> for Duration {
    fn from(dur: Dur) -> Self {
        dur.0
    }
}

impl Serialize for Dur {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.subsec_nanos() == 0 {
            serializer.serialize_u64(self.0.as_secs())
        } else {
            serializer.collect_str(&format_args!("{}ms", self.0.as_millis()))
        }
    }
}

impl<'de> Deserialize<'de> for Dur {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Wanted;
        fn bad<E: de::Error>() -> E {
            wire_error(
                Code::InvalidDuration,
                "a duration is whole seconds or text such as `1h 30m`, from 1ms to 3650d",
            )
        }
        impl Visitor<'_> for Wanted {
            type Value = Dur;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration")
            }

            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Dur, E> {
                Dur::new(Duration::from_secs(seconds)).ok_or_else(bad)
            }

            fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Dur, E> {
                u64::try_from(seconds).map_err(|_| bad()).and_then(|seconds| self.visit_u64(seconds))
            }

            fn visit_f64<E: de::Error>(self, _: f64) -> Result<Dur, E> {
                Err(bad())
            }

            fn visit_bool<E: de::Error>(self, _: bool) -> Result<Dur, E> {
                Err(bad())
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Dur, E> {
                Dur::parse(text).ok_or_else(bad)
            }
        }
        deserializer.deserialize_any(Wanted)
    }
}

impl PartialSchema for Dur {
    fn schema() -> RefOr<Schema> {
        let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).build();
        let text = ObjectBuilder::new().schema_type(Type::String).examples(["1h 30m"]).build();
        OneOfBuilder::new()
            .item(seconds)
            .item(text)
            .description(Some(
                "A duration from 1 ms to 3650 days: whole seconds, or text with units ms s m h d w.",
            ))
            .into()
    }
}

impl ToSchema for Dur {}

/// An instant: microseconds since 1970-01-01T00:00:00Z; RFC 3339 with `Z` and six digits on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ts(jiff::Timestamp);

impl Ts {
    /// The instant so many microseconds after the epoch, stopping at the end of the year 9999.
    pub fn from_micros(micros: u64) -> Self {
        let micros = i64::try_from(micros).unwrap_or(i64::MAX);
        Self(jiff::Timestamp::from_microsecond(micros).unwrap_or(jiff::Timestamp::MAX))
    }

    /// Microseconds since the epoch; instants before it are the epoch.
    pub fn micros(self) -> u64 {
        u64::try_from(self.0.as_microsecond()).unwrap_or(0)
    }
}

impl fmt::Display for Ts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6}", self.0)
    }
}

impl Serialize for Ts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Ts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|_| {
            wire_error(Code::InvalidTimestamp, "an instant is RFC 3339, such as 2026-01-01T00:00:00.000000Z")
        })
    }
}

impl PartialSchema for Ts {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::Custom("date-time".into())))
            .examples(["2026-01-01T00:00:00.000000Z"])
            .into()
    }
}

impl ToSchema for Ts {}

/// A revision: u64, a decimal string on the wire, `"r<rev>"` as an entity tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rev(pub u64);

impl Rev {
    /// Reads the decimal form: digits alone, no sign, no leading zero.
    pub fn parse(text: &str) -> Option<Self> {
        let canonical = text == "0" || (!text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit()));
        text.parse().ok().filter(|_| canonical).map(Self)
    }

    /// Reads the form of `ETag` and `If-Match`.
    pub fn parse_etag(text: &str) -> Option<Self> {
        Self::parse(text.strip_prefix("\"r")?.strip_suffix('"')?)
    }

    /// The form of `ETag` and `If-Match`.
    pub fn etag(self) -> String {
        format!("\"r{}\"", self.0)
    }
}

impl fmt::Display for Rev {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Rev {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Rev {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Wanted;
        fn bad<E: de::Error>() -> E {
            wire_error(Code::InvalidRevision, "a revision is a decimal string")
        }
        impl Visitor<'_> for Wanted {
            type Value = Rev;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a revision")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Rev, E> {
                Rev::parse(text).ok_or_else(bad)
            }

            fn visit_u64<E: de::Error>(self, _: u64) -> Result<Rev, E> {
                Err(bad())
            }

            fn visit_i64<E: de::Error>(self, _: i64) -> Result<Rev, E> {
                Err(bad())
            }

            fn visit_f64<E: de::Error>(self, _: f64) -> Result<Rev, E> {
                Err(bad())
            }

            fn visit_bool<E: de::Error>(self, _: bool) -> Result<Rev, E> {
                Err(bad())
            }
        }
        deserializer.deserialize_any(Wanted)
    }
}

impl PartialSchema for Rev {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("^(0|[1-9][0-9]{0,19})$"))
            .examples(["42"])
            .into()
    }
}

impl ToSchema for Rev {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f074_durations_have_two_forms_and_bounds() {
        let read = |text: &str| serde_json::from_str::<Dur>(text).map(|dur| dur.get().as_millis());
        for (text, millis) in [
            ("60", 60_000),
            ("\"1d 2h 30m 15s\"", 95_415_000),
            ("\"15s 1d\"", 86_415_000),
            ("\"1ms\"", 1),
            ("\"3650d\"", 315_360_000_000),
        ] {
            assert_eq!(read(text).expect(text), millis);
        }
        for text in [
            "0",
            "-1",
            "1.5",
            "1.0",
            "true",
            "18446744073709551615",
            "\"90\"",
            "\"\"",
            "\"1\"",
            "\"1s 2s\"",
            "\"1y\"",
            "\"1.5s\"",
            "\"-1s\"",
            "\"3651d\"",
            "\"99999999999999999999w\"",
            "315360001",
        ] {
            let error = read(text).expect_err(text).to_string();
            assert!(error.starts_with("invalid_duration: "), "{text}: {error}");
        }
        let dur = |millis| Dur::new(Duration::from_millis(millis)).expect("in bounds");
        assert_eq!(serde_json::to_string(&dur(2_000)).expect("serialises"), "2");
        assert_eq!(serde_json::to_string(&dur(1_500)).expect("serialises"), "\"1500ms\"");
    }

    #[test]
    fn instants_always_have_six_digits() {
        let ts = Ts::from_micros(1_767_225_600_000_000);
        assert_eq!(serde_json::to_string(&ts).expect("serialises"), "\"2026-01-01T00:00:00.000000Z\"");
        assert_eq!(serde_json::from_str::<Ts>("\"2026-01-01T01:00:00+01:00\"").expect("reads"), ts);
        assert!(serde_json::from_str::<Ts>("\"yesterday\"").is_err());
        assert_eq!(Ts::from_micros(u64::MAX).micros() / 1_000_000, 253_402_207_200);
    }

    #[test]
    fn revisions_are_decimal_strings_and_entity_tags() {
        assert_eq!(serde_json::to_string(&Rev(7)).expect("serialises"), "\"7\"");
        assert_eq!(Rev::parse_etag(&Rev(u64::MAX).etag()), Some(Rev(u64::MAX)));
        for bad in ["", "r7", "\"7\"", "\"r-7\"", "\"r07\"", "\"r+7\"", "W/\"r7\""] {
            assert_eq!(Rev::parse_etag(bad), None, "{bad}");
        }
        for bad in ["7", "\"x\"", "\"+7\"", "\"18446744073709551616\""] {
            let error = serde_json::from_str::<Rev>(bad).expect_err(bad).to_string();
            assert!(error.starts_with("invalid_revision: "), "{bad}: {error}");
        }
    }
}
