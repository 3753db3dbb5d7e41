//! Where an entry is kept, and what its bytes mean.
//!
//! A JSON or bytes value is two bytes of header, format version and kind, then the payload as it came: JSON stays
//! readable in the engine and is never written anew. A counter is the contract's own form, so that engines add to it.

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::value::RawValue;
use statehold_core::{Error, Form, Item, ItemId, Result};

use super::{Entry, Key, Value};
use crate::value::Id;

/// Bytes before a payload.
pub(super) const HEADER_BYTES: usize = 2;
const VERSION: u8 = b'1';
const JSON: u8 = b'j';
const BYTES: u8 = b'b';

/// The name of the item of an entry without a group.
const ENTRY: &[u8] = b"v";

/// The partition and item of an entry. Keys and groups are separate sets of names, so their partitions differ in kind.
pub(super) fn address(key: &Key) -> (Bytes, ItemId) {
    match &key.group {
        None => (tagged(*b"k:", &key.key), ItemId::new(Bytes::from_static(ENTRY))),
        Some(group) => (group_partition(group), group_item(&key.key)),
    }
}

/// The partition of a group.
pub(super) fn group_partition(group: &Id) -> Bytes {
    tagged(*b"g:", group)
}

/// The item of a group's key.
pub(super) fn group_item(key: &Id) -> ItemId {
    ItemId::new(tagged(*b"v:", key))
}

fn tagged(tag: [u8; 2], id: &Id) -> Bytes {
    let id = id.as_str().as_bytes();
    let mut name = BytesMut::with_capacity(tag.len() + id.len());
    name.put_slice(&tag);
    name.put_slice(id);
    name.freeze()
}

/// The bytes of a value that is put; none for a counter, which only adds make.
pub(super) fn encode(value: &Value) -> Option<Bytes> {
    let (kind, payload) = match value {
        Value::Json(json) => (JSON, json.get().as_bytes()),
        Value::Bytes(bytes) => (BYTES, bytes.as_ref()),
        Value::Counter(_) => return None,
    };
    let mut out = BytesMut::with_capacity(HEADER_BYTES + payload.len());
    out.put_slice(&[VERSION, kind]);
    out.put_slice(payload);
    Some(out.freeze())
}

/// Takes back what [`encode`] gave, or a counter.
///
/// # Errors
/// `Corrupt` for anything else.
pub(super) fn decode(item: &Item) -> Result<Entry> {
    let value = match item.form {
        Form::Counter => Value::Counter(item.counter()?),
        Form::Bytes => decode_payload(&item.value)?,
        Form::Limit => return Err(Error::corrupt("a cache entry has the form of a limit")),
    };
    Ok(Entry { value, revision: item.revision, deadline: item.deadline })
}

fn decode_payload(stored: &Bytes) -> Result<Value> {
    match stored.get(..HEADER_BYTES) {
        Some(&[VERSION, BYTES]) => Ok(Value::Bytes(stored.slice(HEADER_BYTES..))),
        Some(&[VERSION, JSON]) => {
            let json: Box<RawValue> = serde_json::from_slice(&stored[HEADER_BYTES..])
                .map_err(|_| Error::corrupt("a cache entry does not hold the JSON it says"))?;
            Ok(Value::Json(json))
        }
        _ => Err(Error::corrupt("a cache entry has an unknown format")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> Id {
        Id::new(text).unwrap()
    }

    #[test]
    fn f031_keys_and_groups_with_separators_never_share_an_item() {
        let names = ["a", "a:b", "b", "v", "v:a", ":", "a/b", "{a}", "k:a", "g:a"];
        let mut seen = std::collections::HashSet::new();
        for name in names {
            assert!(seen.insert(address(&Key::new(id(name)))), "{name}");
            for group in names {
                assert!(seen.insert(address(&Key::in_group(id(group), id(name)))), "{group} {name}");
            }
        }
    }

    #[test]
    fn json_is_readable_in_the_engine_and_comes_back_to_the_byte() {
        let text = r#"{"b": 1.50, "a":[ "é" ]}"#;
        let stored = encode(&Value::json(text).unwrap()).unwrap();
        assert_eq!(&stored[HEADER_BYTES..], text.as_bytes());
        assert!(matches!(decode_payload(&stored).unwrap(), Value::Json(json) if json.get() == text));
    }

    #[test]
    fn f033_a_value_that_nobody_wrote_is_corrupt_never_absent() {
        for stored in [&b""[..], b"1", b"2j{}", b"1x{}", b"1j{", b"1j", b"1j\xff", b"{}"] {
            let decoded = decode_payload(&Bytes::copy_from_slice(stored));
            assert_eq!(decoded.unwrap_err().kind(), statehold_core::Kind::Corrupt, "{stored:?}");
        }
    }
}
