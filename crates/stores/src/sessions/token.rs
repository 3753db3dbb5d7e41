//! The token that opens a session, and the keys that make it.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use statehold_core::{Error, Result};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::model::{SessionId, SessionKind};
use crate::value::Id;

/// What every token begins with; the digit is the format's version.
pub const TOKEN_PREFIX: &str = "shs1_";
const TAG_BYTES: usize = 16;
const ID_BYTES: usize = 16;
const SECRET_BYTES: usize = 32;
const TOKEN_BYTES: usize = TAG_BYTES + ID_BYTES + SECRET_BYTES;
/// Characters of a token: the prefix and 64 bytes as base64url without padding.
pub const TOKEN_CHARS: usize = TOKEN_PREFIX.len() + TOKEN_BYTES.div_ceil(3) * 4 - 2;

/// Names an owner's partition without naming the owner: a keyed 128-bit BLAKE3 digest of (kind, owner).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct OwnerTag(pub(super) [u8; TAG_BYTES]);

/// What is kept of a token: a keyed digest of all its parts.
#[derive(Clone, Copy)]
pub(super) struct TokenHash(pub(super) [u8; 32]);

impl TokenHash {
    /// Compares in constant time.
    pub(super) fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// The keys of owner tags and token hashes, derived from `secrets.token_key`: the same on every instance.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SessionKeys {
    tag: [u8; 32],
    hash: [u8; 32],
}

impl SessionKeys {
    /// Derives the keys (BLAKE3 key derivation, one context each).
    pub fn new(token_key: &[u8; 32]) -> Self {
        Self {
            tag: blake3::derive_key("statehold 2026 sessions: owner tag", token_key),
            hash: blake3::derive_key("statehold 2026 sessions: token hash", token_key),
        }
    }

    pub(super) fn tag(&self, kind: SessionKind, owner: &str) -> OwnerTag {
        // The kind's words are no prefixes of each other once a zero byte follows, which no id contains.
        let mut hasher = blake3::Hasher::new_keyed(&self.tag);
        hasher.update(kind.as_str().as_bytes()).update(&[0]).update(owner.as_bytes());
        let (tag, _) = hasher
            .finalize()
            .as_bytes()
            .split_first_chunk()
            .map(|(tag, rest)| (*tag, rest.len()))
            .expect("a BLAKE3 hash has 32 bytes");
        OwnerTag(tag)
    }

    pub(super) fn tag_of(&self, kind: SessionKind, owner: &Id) -> OwnerTag {
        self.tag(kind, owner.as_str())
    }

    pub(super) fn hash(&self, token: &SessionToken) -> TokenHash {
        TokenHash(*blake3::keyed_hash(&self.hash, &*token.0).as_bytes())
    }
}

impl fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKeys(***)")
    }
}

/// A token: owner tag, session id and 256 secret bits. Overwritten when dropped, hidden in `Debug`.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SessionToken(Box<[u8; TOKEN_BYTES]>);

impl SessionToken {
    /// Draws a new secret for a session.
    pub(super) fn draw(tag: OwnerTag, id: SessionId) -> Result<Self> {
        let mut bytes = Box::new([0; TOKEN_BYTES]);
        let (names, secret) = bytes.split_at_mut(TAG_BYTES + ID_BYTES);
        names[..TAG_BYTES].copy_from_slice(&tag.0);
        names[TAG_BYTES..].copy_from_slice(id.as_bytes());
        random(secret)?;
        Ok(Self(bytes))
    }

    /// Reads a token; none for anything that is not exactly one.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != TOKEN_CHARS {
            return None;
        }
        let mut token = Self(Box::new([0; TOKEN_BYTES]));
        let body = text.strip_prefix(TOKEN_PREFIX)?;
        match BASE64_URL_SAFE_NO_PAD.decode_slice(body, &mut token.0[..]) {
            Ok(TOKEN_BYTES) => Some(token),
            _ => None,
        }
    }

    /// The token as its holder sends it, in a buffer that is overwritten when dropped.
    pub fn expose(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(TOKEN_CHARS));
        text.push_str(TOKEN_PREFIX);
        BASE64_URL_SAFE_NO_PAD.encode_string(&self.0[..], &mut text);
        text
    }

    pub(super) fn tag(&self) -> OwnerTag {
        OwnerTag(*self.0.first_chunk().expect("a token begins with its owner tag"))
    }

    /// The session it opens, if it opens one.
    pub fn session_id(&self) -> SessionId {
        SessionId::from_bytes(*self.0[TAG_BYTES..].first_chunk().expect("a token names its session"))
    }
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionToken(***)")
    }
}

/// Fills from the operating system's generator.
pub(super) fn random(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes).map_err(|_| Error::internal("the operating system gives no randomness"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> SessionKeys {
        SessionKeys::new(&[7; 32])
    }

    fn token() -> SessionToken {
        let tag = keys().tag(SessionKind::User, "alice");
        SessionToken::draw(tag, SessionId::from_bytes([3; 16])).unwrap()
    }

    #[test]
    fn a_token_is_read_back_and_names_its_partition_and_session() {
        let token = token();
        let text = token.expose();
        assert_eq!(text.len(), TOKEN_CHARS);
        assert!(text.starts_with("shs1_"));
        let read = SessionToken::parse(&text).unwrap();
        assert_eq!(read.0, token.0);
        assert!(read.tag() == keys().tag(SessionKind::User, "alice"));
        assert_eq!(read.session_id(), SessionId::from_bytes([3; 16]));
    }

    #[test]
    fn f056_a_token_carries_256_secret_bits_drawn_anew() {
        let (a, b) = (token(), token());
        assert_eq!(a.0[32..].len() * 8, 256);
        assert_ne!(a.0[32..], b.0[32..]);
    }

    #[test]
    fn anything_that_is_not_exactly_a_token_is_none() {
        let text = token().expose();
        let last = text.chars().last().unwrap();
        let bad = [
            String::new(),
            "shs1_".to_owned(),
            text[1..].to_owned(),
            format!("{}=", *text),
            format!(" {}", &text[..TOKEN_CHARS - 1]),
            text.replace("shs1_", "shs2_"),
            text.replace("shs1_", "SHS1_"),
            format!("{}+", &text[..TOKEN_CHARS - 1]),
            format!("{}/", &text[..TOKEN_CHARS - 1]),
            format!("{}é", &text[..TOKEN_CHARS - 2]),
            // The last character carries four unused bits: another spelling of the same bytes is refused.
            format!("{}{}", &text[..TOKEN_CHARS - 1], char::from(last as u8 + 1)),
        ];
        for bad in bad {
            assert!(SessionToken::parse(&bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn owners_of_different_kinds_have_different_tags() {
        let keys = keys();
        assert!(keys.tag(SessionKind::User, "a") != keys.tag(SessionKind::Node, "a"));
        assert!(keys.tag(SessionKind::User, "a") != keys.tag(SessionKind::User, "b"));
        assert!(SessionKeys::new(&[8; 32]).tag(SessionKind::User, "a") != keys.tag(SessionKind::User, "a"));
    }

    #[test]
    fn the_hash_covers_every_byte_and_the_key() {
        let (keys, token) = (keys(), token());
        let hash = keys.hash(&token);
        assert!(hash.matches(&keys.hash(&token.clone())));
        assert!(!hash.matches(&SessionKeys::new(&[8; 32]).hash(&token)));
        for byte in 0..TOKEN_BYTES {
            let mut forged = token.clone();
            forged.0[byte] ^= 1;
            assert!(!hash.matches(&keys.hash(&forged)), "byte {byte}");
        }
    }

    #[test]
    fn nothing_prints_a_secret() {
        let (keys, token) = (keys(), token());
        assert_eq!(format!("{keys:?} {token:?}"), "SessionKeys(***) SessionToken(***)");
    }
}
