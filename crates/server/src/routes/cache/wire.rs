//! Between the wire's types and the cache's.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;
use statehold_api::cache::{self as api, IncrEntry, Int, SetMode, ValueKind};
use statehold_api::{Code, FieldError, Rev, Ts};
use statehold_core::{Deadline, Revision};
use statehold_stores::cache::{Entry, Incr, Key, Mode, Set, Ttl, Value};
use statehold_stores::value::{Dur, Id};

pub(super) type Read<T> = Result<T, FieldError>;

/// A value's two possible fields.
#[derive(Default)]
pub(super) struct WireValue {
    pub(super) value: Option<Box<RawValue>>,
    pub(super) value_b64: Option<String>,
}

pub(super) fn wrong(code: Code, path: impl Into<String>, detail: impl Into<String>) -> FieldError {
    FieldError { path: path.into(), code, detail: detail.into() }
}

pub(super) fn id(text: &str, path: impl Into<String>) -> Read<Id> {
    Id::new(text).map_err(|bad| wrong(Code::InvalidId, path, bad.to_string()))
}

/// An entry's name; `at` is where it stands in the request, empty or with a dot at its end.
pub(super) fn key(key: &str, group: Option<&str>, at: &str) -> Read<Key> {
    let key = id(key, format!("{at}key"))?;
    let group = group.map(|group| id(group, format!("{at}group"))).transpose()?;
    Ok(Key { group, key })
}

pub(super) fn value(given: WireValue, at: &str) -> Read<Value> {
    match (given.value, given.value_b64) {
        (Some(json), None) => Ok(Value::Json(json)),
        (None, Some(text)) => {
            let bytes = STANDARD.decode(&text).map_err(|_| {
                wrong(Code::InvalidBase64, format!("{at}value_b64"), "standard base64 with padding")
            })?;
            Ok(Value::Bytes(bytes.into()))
        }
        _ => Err(wrong(Code::OutOfRange, format!("{at}value"), "give one of value and value_b64")),
    }
}

pub(super) fn dur(given: statehold_api::Dur, at: &str) -> Read<Dur> {
    Dur::new(given.get()).map_err(|bad| wrong(Code::InvalidDuration, format!("{at}ttl"), bad.to_string()))
}

pub(super) fn ttl(given: Option<api::Ttl>, at: &str) -> Read<Ttl> {
    Ok(match given {
        None => Ttl::Default,
        Some(api::Ttl::Never) => Ttl::Never,
        Some(api::Ttl::For(given)) => Ttl::For(dur(given, at)?),
    })
}

/// The mode that a name and a revision mean together: a revision alone means the mode of that name.
pub(super) fn mode(given: Option<SetMode>, if_revision: Option<Rev>, at: &str) -> Read<Mode> {
    match (given, if_revision) {
        (None | Some(SetMode::IfRevision), Some(Rev(revision))) => {
            Ok(Mode::IfRevision(Revision::from_u64(revision)))
        }
        (Some(SetMode::IfRevision), None) => {
            Err(wrong(Code::InvalidRevision, format!("{at}if_revision"), "the mode if_revision needs one"))
        }
        (Some(_), Some(_)) => {
            Err(wrong(Code::OutOfRange, format!("{at}mode"), "if_revision goes with the mode if_revision"))
        }
        (None | Some(SetMode::Any), None) => Ok(Mode::Any),
        (Some(SetMode::IfAbsent), None) => Ok(Mode::IfAbsent),
        (Some(SetMode::IfPresent), None) => Ok(Mode::IfPresent),
    }
}

pub(super) fn set(given: WireValue, life: Option<api::Ttl>, keep_ttl: Option<bool>, at: &str) -> Read<Set> {
    Ok(Set { value: value(given, at)?, ttl: ttl(life, at)?, keep_ttl: keep_ttl.unwrap_or(false) })
}

pub(super) fn incr(given: &IncrEntry, at: &str) -> Read<Incr> {
    let by = given.by.unwrap_or(1);
    if by == 0 {
        return Err(wrong(Code::OutOfRange, format!("{at}by"), "adding 0 changes nothing"));
    }
    let range = given.min.unwrap_or(i64::MIN)..=given.max.unwrap_or(i64::MAX);
    if range.is_empty() {
        return Err(wrong(Code::OutOfRange, format!("{at}min"), "min is above max"));
    }
    Ok(Incr { by, ttl: ttl(given.ttl, at)?, range })
}

/// A value as its fields and kind.
pub(super) fn shown(value: Value) -> (WireValue, ValueKind) {
    match value {
        Value::Json(json) => (WireValue { value: Some(json), value_b64: None }, ValueKind::Json),
        Value::Bytes(bytes) => {
            (WireValue { value: None, value_b64: Some(STANDARD.encode(bytes)) }, ValueKind::Bytes)
        }
        Value::Counter(number) => {
            (WireValue { value: Some(Int(number).json()), value_b64: None }, ValueKind::Counter)
        }
    }
}

pub(super) fn entry(key: String, entry: Entry) -> api::Entry {
    let (WireValue { value, value_b64 }, kind) = shown(entry.value);
    let (revision, expires_at) = (rev(entry.revision), expires_at(entry.deadline));
    api::Entry { key, value, value_b64, kind, revision, expires_at }
}

pub(super) fn rev(revision: Revision) -> Rev {
    Rev(revision.get())
}

pub(super) fn expires_at(deadline: Option<Deadline>) -> Option<Ts> {
    deadline.map(|deadline| Ts::from_micros(deadline.time().micros()))
}
