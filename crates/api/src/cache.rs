//! The cache: `/v1/cache`.

use std::fmt;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use crate::problem::Code;
use crate::values::{Dur, Rev, Ts, wire_error};

/// Most operations of a batch.
pub const BATCH_OPS_MAX: usize = 1_000;

/// The group of a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct GroupQuery {
    /// The group that the key belongs to; none for a key of its own.
    pub group: Option<String>,
}

/// What kind of value an entry holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ValueKind {
    /// JSON, in `value`.
    Json,
    /// Bytes, in `value_b64`.
    Bytes,
    /// A counter: a whole number in `value`, decimal text where it passes 2^53.
    Counter,
}

/// An entry.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The value, as it came: of kinds `json` and `counter`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    pub value: Option<Box<RawValue>>,
    /// The value in base64: of kind `bytes`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_b64: Option<String>,
    /// The kind.
    pub kind: ValueKind,
    /// The revision, also the `ETag`.
    pub revision: Rev,
    /// From when the entry is gone; absent for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Ts>,
}

/// When a value is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SetMode {
    /// Whatever is there.
    Any,
    /// Only where nothing is.
    IfAbsent,
    /// Only where something is.
    IfPresent,
    /// Only at `if_revision`.
    IfRevision,
}

/// Puts a value: exactly one of `value` and `value_b64`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetEntry {
    /// A JSON value other than `null`; kept to the byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    pub value: Option<Box<RawValue>>,
    /// Bytes in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_b64: Option<String>,
    /// How long it lives; as long as the cache says unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Ttl>,
    /// When it is stored; whatever is there unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<SetMode>,
    /// The revision that must be there; means the mode `if_revision`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_revision: Option<Rev>,
    /// Whether an entry that is there keeps its deadline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_ttl: Option<bool>,
}

/// What a put did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EntryStored {
    /// Always true.
    pub stored: bool,
    /// The entry's revision.
    pub revision: Rev,
    /// From when it is gone; absent for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Ts>,
}

/// What a delete did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EntryDeleted {
    /// 1 where the entry was there, else 0.
    pub deleted: u32,
}

/// Changes the deadline: exactly one of `ttl` and `persist`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchEntry {
    /// How long it lives from now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Dur>,
    /// True: it lives for ever, where the cache allows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persist: Option<bool>,
}

/// The new deadline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EntryPatched {
    /// From when the entry is gone; absent for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Ts>,
}

/// Adds to a counter, which begins at 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IncrEntry {
    /// What is added, not 0; 1 unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<i64>,
    /// How long the counter lives, where this creates it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Ttl>,
    /// The least that the sum may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<i64>,
    /// The most that the sum may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<i64>,
}

/// A counter's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CounterValue {
    /// The sum.
    pub value: Int,
    /// The counter's revision.
    pub revision: Rev,
}

/// Several operations: neighbours of one kind are done together, and everything in order.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// Up to 1000 operations.
    pub ops: Vec<BatchOp>,
}

/// What an operation of a batch does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BatchOpName {
    /// Reads an entry.
    Get,
    /// Puts a value: the fields of a put.
    Set,
    /// Removes an entry: `if_revision`.
    Delete,
    /// Adds to a counter: `by`, `ttl`, `min`, `max`.
    Incr,
}

impl BatchOpName {
    /// The name as it travels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Set => "set",
            Self::Delete => "delete",
            Self::Incr => "incr",
        }
    }
}

/// One operation of a batch; only the fields of its kind are allowed.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchOp {
    /// What it does.
    pub op: BatchOpName,
    /// The key.
    pub key: String,
    /// The key's group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// `set`: a JSON value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    pub value: Option<Box<RawValue>>,
    /// `set`: bytes in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_b64: Option<String>,
    /// `set`, `incr`: how long it lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Ttl>,
    /// `set`: when it is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<SetMode>,
    /// `set`, `delete`: the revision that must be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_revision: Option<Rev>,
    /// `set`: whether an entry that is there keeps its deadline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_ttl: Option<bool>,
    /// `incr`: what is added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<i64>,
    /// `incr`: the least that the sum may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<i64>,
    /// `incr`: the most that the sum may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<i64>,
}

/// What became of a batch.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct BatchDone {
    /// One result per operation, in order.
    pub results: Vec<BatchResult>,
}

/// What became of one operation: what the route of its own would have answered.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct BatchResult {
    /// The HTTP status.
    pub status: u16,
    /// Where it failed: the problem code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// Where it failed: what happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// `get`, `incr`: the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    pub value: Option<Box<RawValue>>,
    /// `get`: the bytes in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_b64: Option<String>,
    /// `get`: the kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ValueKind>,
    /// `set`: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored: Option<bool>,
    /// `delete`: 1 where the entry was there, else 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted: Option<u32>,
    /// The entry's revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<Rev>,
    /// From when the entry is gone; absent for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Ts>,
    /// Status 412: the revision that is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_revision: Option<Rev>,
    /// Status 412: the operation of the same group that was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_index: Option<u32>,
}

/// Changes entries of one group together.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupCommit {
    /// What must hold, all of it.
    #[serde(default)]
    pub conditions: Option<Vec<GroupCondition>>,
    /// What is written, each key at most once. Together with the conditions up to 256.
    pub writes: Vec<GroupWrite>,
}

/// One condition: exactly one of `exists`, `revision`, `value` and `value_b64`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupCondition {
    /// The key.
    pub key: String,
    /// Whether the entry must be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exists: Option<bool>,
    /// The revision that must be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<Rev>,
    /// The JSON value that must be there; white space between tokens does not matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    pub value: Option<Box<RawValue>>,
    /// The bytes that must be there, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_b64: Option<String>,
}

/// What a write of a group commit does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupWriteName {
    /// Puts a value.
    Set,
    /// Removes an entry.
    Delete,
    /// Adds to a counter.
    Incr,
}

/// One write of a group commit; only the fields of its kind are allowed.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupWrite {
    /// What it does.
    pub op: GroupWriteName,
    /// The key.
    pub key: String,
    /// `set`: a JSON value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    pub value: Option<Box<RawValue>>,
    /// `set`: bytes in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_b64: Option<String>,
    /// `set`, `incr`: how long it lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Ttl>,
    /// `set`: whether an entry that is there keeps its deadline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_ttl: Option<bool>,
    /// `incr`: what is added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<i64>,
    /// `incr`: the least that the sum may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<i64>,
    /// `incr`: the most that the sum may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<i64>,
}

/// What a group commit did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GroupCommitted {
    /// The revision of everything it wrote.
    pub revision: Rev,
}

/// How long an entry lives: a duration, or `none` for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ttl {
    /// So long.
    For(Dur),
    /// For ever, where the cache allows it.
    Never,
}

impl Serialize for Ttl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::For(dur) => dur.serialize(serializer),
            Self::Never => serializer.serialize_str("none"),
        }
    }
}

impl<'de> Deserialize<'de> for Ttl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Wanted;
        fn read<'de, E: de::Error>(value: impl de::IntoDeserializer<'de, E>) -> Result<Ttl, E> {
            Dur::deserialize(value.into_deserializer()).map(Ttl::For)
        }
        impl Visitor<'_> for Wanted {
            type Value = Ttl;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration or `none`")
            }

            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Ttl, E> {
                read(seconds)
            }

            fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Ttl, E> {
                read(seconds)
            }

            fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Ttl, E> {
                read(seconds)
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Ttl, E> {
                read(value)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Ttl, E> {
                if text == "none" { Ok(Ttl::Never) } else { read(text) }
            }
        }
        deserializer.deserialize_any(Wanted)
    }
}

impl PartialSchema for Ttl {
    fn schema() -> RefOr<Schema> {
        let never = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["none"])).build();
        OneOfBuilder::new().item(Dur::schema()).item(never).into()
    }
}

impl ToSchema for Ttl {}

/// A whole number of 64 bits: a JSON number up to 2^53 in size, decimal text beyond, so that no reader rounds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Int(pub i64);

impl Int {
    const EXACT_MAX: u64 = (1 << 53) - 1;

    /// The number as JSON.
    pub fn json(self) -> Box<RawValue> {
        serde_json::value::to_raw_value(&self).expect("a number or text is JSON")
    }
}

impl Serialize for Int {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.unsigned_abs() <= Self::EXACT_MAX {
            serializer.serialize_i64(self.0)
        } else {
            serializer.collect_str(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Int {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Wanted;
        fn bad<E: de::Error>() -> E {
            wire_error(Code::InvalidNumber, "a whole number of 64 bits, or its decimal text")
        }
        impl Visitor<'_> for Wanted {
            type Value = Int;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("i64")
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Int, E> {
                Ok(Int(number))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Int, E> {
                i64::try_from(number).map(Int).map_err(|_| bad())
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Int, E> {
                text.parse().map(Int).map_err(|_| bad())
            }
        }
        deserializer.deserialize_any(Wanted)
    }
}

impl PartialSchema for Int {
    fn schema() -> RefOr<Schema> {
        let number = ObjectBuilder::new().schema_type(Type::Integer).build();
        let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^-?[0-9]{16,19}$")).build();
        OneOfBuilder::new().item(number).item(text).into()
    }
}

impl ToSchema for Int {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f002_a_ttl_is_a_duration_or_none() {
        let read = |text: &str| serde_json::from_str::<Ttl>(text);
        assert_eq!(read("\"none\"").unwrap(), Ttl::Never);
        assert!(matches!(read("60").unwrap(), Ttl::For(dur) if dur.get().as_secs() == 60));
        assert!(matches!(read("\"1m 30s\"").unwrap(), Ttl::For(dur) if dur.get().as_secs() == 90));
        for bad in ["0", "-1", "1.5", "true", "\"\"", "\"None\"", "\"NaN\"", "3650001d"] {
            let error = read(bad).unwrap_err().to_string();
            assert!(error.starts_with("invalid_duration") || bad == "3650001d", "{bad}: {error}");
        }
        assert_eq!(serde_json::to_string(&Ttl::Never).unwrap(), "\"none\"");
    }

    #[test]
    fn a_number_that_a_double_cannot_hold_is_text() {
        for (number, text) in [
            (1, "1"),
            (-9_007_199_254_740_991, "-9007199254740991"),
            (9_007_199_254_740_992, "\"9007199254740992\""),
            (i64::MIN, "\"-9223372036854775808\""),
        ] {
            assert_eq!(serde_json::to_string(&Int(number)).unwrap(), text);
            assert_eq!(serde_json::from_str::<Int>(text).unwrap(), Int(number));
        }
        assert!(serde_json::from_str::<Int>("1.5").is_err());
        assert!(serde_json::from_str::<Int>("\"x\"").is_err());
    }

    #[test]
    fn a_json_value_keeps_its_bytes_and_null_is_absent() {
        let body = r#"{"value": {"b" : 1.0,"a":[ ]}, "ttl": null}"#;
        let set: SetEntry = serde_json::from_str(body).unwrap();
        assert_eq!(set.value.unwrap().get(), r#"{"b" : 1.0,"a":[ ]}"#);
        assert!(serde_json::from_str::<SetEntry>(r#"{"value":null}"#).unwrap().value.is_none());
    }
}
