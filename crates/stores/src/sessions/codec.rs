//! Sessions, marks and names as bytes.
//!
//! A partition is one owner. Its items: `session:<id>` (the record, JSON), `count:<id>` (a counter), `rate:<id>…`
//! (limiter state, one per request policy and class) and `mark` (the owner's head item, JSON).

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use statehold_core::{Error, Item, ItemId, Result, Time};

use super::model::{Level, Platform, Session, SessionId, SessionKind};
use super::token::TokenHash;
use crate::value::Id;

/// The version that records and marks are written in.
const FORMAT: u8 = 1;
/// The owner's head item.
pub(super) const MARK: &[u8] = b"mark";
pub(super) const SESSION_PREFIX: &[u8] = b"session:";
pub(super) const COUNT_PREFIX: &[u8] = b"count:";
pub(super) const RATE_PREFIX: &[u8] = b"rate:";
/// Between the parts of a rate item's name; no name of a policy or class contains it.
const RATE_SEPARATOR: u8 = 0x1f;
const ID_CHARS: usize = 36;

fn named(prefix: &[u8], id: SessionId, more: usize) -> BytesMut {
    let mut name = BytesMut::with_capacity(prefix.len() + ID_CHARS + more);
    name.put_slice(prefix);
    let mut text = uuid::Uuid::encode_buffer();
    name.put_slice(uuid::Uuid::from_bytes(*id.as_bytes()).hyphenated().encode_lower(&mut text).as_bytes());
    name
}

pub(super) fn session_item(id: SessionId) -> ItemId {
    ItemId::new(named(SESSION_PREFIX, id, 0))
}

pub(super) fn count_item(id: SessionId) -> ItemId {
    ItemId::new(named(COUNT_PREFIX, id, 0))
}

/// The limiter state of a session under a policy; the built-in policy's plain state has the short name.
pub(super) fn rate_item(id: SessionId, policy: &str, class: Option<&str>) -> ItemId {
    if policy == super::SESSION_POLICY && class.is_none() {
        return ItemId::new(named(RATE_PREFIX, id, 0));
    }
    let class = class.unwrap_or_default();
    let mut name = named(RATE_PREFIX, id, 2 + policy.len() + class.len());
    name.put_u8(RATE_SEPARATOR);
    name.put_slice(policy.as_bytes());
    name.put_u8(RATE_SEPARATOR);
    name.put_slice(class.as_bytes());
    ItemId::new(name)
}

pub(super) fn mark_item() -> ItemId {
    ItemId::new(Bytes::from_static(MARK))
}

/// The session that an item belongs to, whatever sort of item it is; none for the mark.
pub(super) fn session_of(item: &ItemId) -> Option<SessionId> {
    let name = item.as_bytes();
    let rest =
        [SESSION_PREFIX, COUNT_PREFIX, RATE_PREFIX].iter().find_map(|prefix| name.strip_prefix(*prefix))?;
    let text = std::str::from_utf8(rest.get(..ID_CHARS)?).ok()?;
    SessionId::from_text(text).ok()
}

/// A session's record as it is kept. Borrows from the item's bytes, so that looking at one copies nothing.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record<'a> {
    v: u8,
    pub(super) session_id: SessionId,
    pub(super) kind: SessionKind,
    #[serde(borrow)]
    pub(super) owner: Cow<'a, str>,
    #[serde(borrow)]
    token_hash: Cow<'a, str>,
    pub(super) level: Level,
    created_at: u64,
    expires_at: u64,
    last_accessed_at: u64,
    pub(super) epoch: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) channel_id: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) platform: Option<Platform>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ip: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) user_agent: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) device: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) data: &'a RawValue,
    pub(super) data_version: u64,
}

/// What a new record is made of, besides what the caller asked for.
pub(super) struct Birth<'a> {
    pub(super) id: SessionId,
    pub(super) hash: TokenHash,
    pub(super) now: Time,
    pub(super) expires_at: Time,
    pub(super) epoch: u64,
    pub(super) data: &'a RawValue,
}

impl<'a> Record<'a> {
    pub(super) fn born(new: &'a super::NewSession, birth: &Birth<'a>) -> Self {
        Self {
            v: FORMAT,
            session_id: birth.id,
            kind: new.kind,
            owner: new.owner.as_str().into(),
            token_hash: written_hash(&birth.hash).into(),
            level: new.level,
            created_at: birth.now.micros(),
            expires_at: birth.expires_at.micros(),
            last_accessed_at: birth.now.micros(),
            epoch: birth.epoch,
            channel_id: new.channel_id.as_ref().map(|id| id.as_str().into()),
            platform: new.platform,
            ip: new.ip,
            user_agent: new.user_agent.as_deref().map(Cow::from),
            device: new.device.as_deref().map(Cow::from),
            data: birth.data,
            data_version: 0,
        }
    }

    /// Reads a record.
    ///
    /// # Errors
    /// `Corrupt` for bytes that are no record of a version that this build reads.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self> {
        let record: Self = serde_json::from_slice(bytes).map_err(|_| unreadable())?;
        if record.v == FORMAT { Ok(record) } else { Err(unreadable()) }
    }

    pub(super) fn write(&self) -> Bytes {
        Bytes::from(serde_json::to_vec(self).expect("a record is plain JSON"))
    }

    pub(super) fn created_at(&self) -> Time {
        Time::from_micros(self.created_at)
    }

    pub(super) fn expires_at(&self) -> Time {
        Time::from_micros(self.expires_at)
    }

    pub(super) fn last_accessed_at(&self) -> Time {
        Time::from_micros(self.last_accessed_at)
    }

    /// Notes a use; one that was noted later by another instance stays.
    pub(super) fn accessed(&mut self, now: Time) {
        self.last_accessed_at = self.last_accessed_at.max(now.micros());
    }

    pub(super) const fn set_expires_at(&mut self, to: Time) {
        self.expires_at = to.micros();
    }

    pub(super) fn token_hash(&self) -> Result<TokenHash> {
        let mut hash = [0; 32];
        match BASE64_URL_SAFE_NO_PAD.decode_slice(self.token_hash.as_bytes(), &mut hash) {
            Ok(32) => Ok(TokenHash(hash)),
            _ => Err(unreadable()),
        }
    }

    pub(super) fn set_token_hash(&mut self, hash: &TokenHash) {
        self.token_hash = written_hash(hash).into();
    }

    /// The session as callers see it.
    pub(super) fn session(&self, item: &Item, request_count: u64) -> Result<Session> {
        let id = |text: &str| Id::new(text).map_err(|_| unreadable());
        Ok(Session {
            id: self.session_id,
            kind: self.kind,
            owner: id(&self.owner)?,
            channel_id: self.channel_id.as_deref().map(id).transpose()?,
            level: self.level,
            created_at: self.created_at(),
            expires_at: self.expires_at(),
            last_accessed_at: self.last_accessed_at(),
            epoch: self.epoch,
            platform: self.platform,
            ip: self.ip,
            user_agent: self.user_agent.as_deref().map(Arc::from),
            device: self.device.as_deref().map(Arc::from),
            data: serde_json::from_str(self.data.get()).map_err(|_| unreadable())?,
            data_version: self.data_version,
            request_count,
            revision: item.revision,
            deadline: item.deadline.ok_or_else(unreadable)?,
        })
    }
}

fn written_hash(hash: &TokenHash) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(hash.0)
}

fn unreadable() -> Error {
    Error::corrupt("a session's record cannot be read")
}

/// The few members of a record that deciding over many needs.
#[derive(Debug, Deserialize)]
pub(super) struct Glimpse {
    v: u8,
    pub(super) kind: SessionKind,
    created_at: u64,
    pub(super) epoch: u64,
    #[serde(default)]
    pub(super) platform: Option<Platform>,
}

impl Glimpse {
    /// Reads the few members of a record.
    ///
    /// # Errors
    /// `Corrupt` for bytes that are no record of a version that this build reads.
    pub(super) fn read(bytes: &[u8]) -> Result<Self> {
        let glimpse: Self = serde_json::from_slice(bytes).map_err(|_| unreadable())?;
        if glimpse.v == FORMAT { Ok(glimpse) } else { Err(unreadable()) }
    }

    pub(super) const fn created_at(&self) -> Time {
        Time::from_micros(self.created_at)
    }
}

#[derive(Serialize, Deserialize)]
struct Mark {
    v: u8,
    epoch: u64,
}

/// The epoch in an owner's mark; an owner without one is at epoch 0.
///
/// # Errors
/// `Corrupt` for bytes that are no mark of a version that this build reads.
pub(super) fn read_mark(mark: Option<&Item>) -> Result<u64> {
    let Some(item) = mark else { return Ok(0) };
    match serde_json::from_slice(&item.value) {
        Ok(Mark { v: FORMAT, epoch }) => Ok(epoch),
        _ => Err(Error::corrupt("an owner's mark cannot be read")),
    }
}

pub(super) fn write_mark(epoch: u64) -> Bytes {
    Bytes::from(serde_json::to_vec(&Mark { v: FORMAT, epoch }).expect("a mark is plain JSON"))
}

/// What a session's request counter says; none where it is absent.
///
/// # Errors
/// `Corrupt` when it does not count.
pub(super) fn read_count(count: Option<&Item>) -> Result<u64> {
    let Some(item) = count else { return Ok(0) };
    let count = item.counter().map_err(|_| Error::corrupt("a session's request counter does not count"))?;
    u64::try_from(count).map_err(|_| Error::corrupt("a session's request counter is negative"))
}

#[cfg(test)]
mod tests {
    use statehold_core::{Deadline, Form, Revision};

    use super::*;

    /// A record of format 1 as it lies on disks: every later build must read it.
    const RECORD_1: &str = r#"{"v":1,"session_id":"01890a5d-ac96-774b-bcce-b302099a8057","kind":"user","owner":"al\"ice","token_hash":"AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM","level":"read_write","created_at":1700000000000001,"expires_at":1700003600000001,"last_accessed_at":1700000000000001,"epoch":7,"channel_id":"c:1","platform":"web","ip":"2001:db8::1","user_agent":"Agent/1","device":"phone","data":{"cart":[1,2]},"data_version":3}"#;

    fn item(value: &str) -> Item {
        Item {
            id: ItemId::new("session:x"),
            form: Form::Bytes,
            value: Bytes::copy_from_slice(value.as_bytes()),
            revision: Revision::from_u64(9),
            deadline: Some(Deadline::from_millis(5)),
        }
    }

    #[test]
    fn f073_a_record_of_format_1_is_read_and_written_to_the_byte() {
        let record = Record::read(RECORD_1.as_bytes()).unwrap();
        assert_eq!(record.token_hash().unwrap().0, [3; 32]);
        let session = record.session(&item(RECORD_1), 12).unwrap();
        assert_eq!((session.owner.as_str(), session.request_count), ("al\"ice", 12));
        assert_eq!(session.created_at.micros(), 1_700_000_000_000_001);
        assert_eq!(session.data["cart"], serde_json::json!([1, 2]));
        assert_eq!(record.write(), RECORD_1.as_bytes());
        let json: serde_json::Value = serde_json::from_slice(&record.write()).unwrap();
        assert_eq!(json["owner"], "al\"ice");
    }

    #[test]
    fn members_that_a_later_release_adds_are_passed_over() {
        let later = RECORD_1.replace(r#""epoch":7"#, r#""epoch":7,"risk":{"score":1}"#);
        assert!(Record::read(later.as_bytes()).is_ok() && Glimpse::read(later.as_bytes()).is_ok());
    }

    #[test]
    fn what_cannot_be_read_is_corrupt_and_never_absent() {
        let kind = |result: Result<()>| result.unwrap_err().kind();
        let corrupt = statehold_core::Kind::Corrupt;
        let versions = RECORD_1.replace(r#"{"v":1"#, r#"{"v":2"#);
        let hash = RECORD_1.replace("AwMD", "Aw*D");
        for bad in ["", "{}", "null", &RECORD_1[..40], &versions] {
            assert_eq!(kind(Record::read(bad.as_bytes()).map(drop)), corrupt, "{bad}");
            assert_eq!(kind(Glimpse::read(bad.as_bytes()).map(drop)), corrupt, "{bad}");
        }
        assert_eq!(kind(Record::read(hash.as_bytes()).unwrap().token_hash().map(drop)), corrupt);
        for bad in ["", "{}", r#"{"v":2,"epoch":1}"#, r#"{"v":1,"epoch":-1}"#] {
            assert_eq!(kind(read_mark(Some(&item(bad))).map(drop)), corrupt, "{bad}");
        }
        assert_eq!(kind(read_count(Some(&item("1"))).map(drop)), corrupt, "not a counter");
        let negative = Item { form: Form::Counter, ..item("-1") };
        assert_eq!(kind(read_count(Some(&negative)).map(drop)), corrupt);
    }

    #[test]
    fn marks_and_counts_are_read_back_and_absent_ones_are_zero() {
        assert_eq!(read_mark(None).unwrap(), 0);
        let mark = Item { value: write_mark(41), ..item("") };
        assert_eq!((&*mark.value, read_mark(Some(&mark)).unwrap()), (&br#"{"v":1,"epoch":41}"#[..], 41));
        assert_eq!(read_count(None).unwrap(), 0);
        assert_eq!(read_count(Some(&Item { form: Form::Counter, ..item("61") })).unwrap(), 61);
    }

    #[test]
    fn every_item_names_its_session_and_no_two_names_meet() {
        let id = SessionId::from_text("01890a5d-ac96-774b-bcce-b302099a8057").unwrap();
        let names = [
            session_item(id),
            count_item(id),
            rate_item(id, "session", None),
            rate_item(id, "session", Some("sync")),
            rate_item(id, "session", Some("")),
            rate_item(id, "a", Some("b")),
            rate_item(id, "a:b", None),
            rate_item(id, "ab", None),
        ];
        for (at, name) in names.iter().enumerate() {
            assert_eq!(session_of(name), Some(id));
            assert!(!names[..at].contains(name), "{name:?}");
        }
        assert_eq!(names[0].as_bytes(), &b"session:01890a5d-ac96-774b-bcce-b302099a8057"[..]);
        assert_eq!(session_of(&mark_item()), None);
        assert_eq!(session_of(&ItemId::new("session:short")), None);
    }
}
