//! The text of an API key and what is kept of it.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use statehold_core::{Error, Result};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

const PREFIX: &str = "shk_";
const SECRET_BYTES: usize = 32;
/// Base64url of [`SECRET_BYTES`] without padding.
const SECRET_CHARS: usize = 43;
const ID_BYTES: usize = 8;
/// Hexadecimal of [`ID_BYTES`].
const ID_CHARS: usize = 16;

/// An API key's id: 16 hexadecimal digits, public.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(Arc<str>);

impl KeyId {
    /// Checks and takes an id.
    ///
    /// # Errors
    /// `Invalid` unless 16 lower-case hexadecimal digits.
    pub fn parse(id: &str) -> Result<Self> {
        let hexadecimal = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if id.len() == ID_CHARS && id.as_bytes().iter().all(hexadecimal) {
            Ok(Self(Arc::from(id)))
        } else {
            Err(Error::invalid("an API key's id has 16 hexadecimal digits"))
        }
    }

    pub(super) fn random() -> Result<Self> {
        let mut bytes = [0; ID_BYTES];
        fill(&mut bytes)?;
        Ok(Self(Arc::from(format!("{:016x}", u64::from_be_bytes(bytes)))))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for KeyId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// The whole text of a key, `shk_<id>_<secret>`, as its owner is shown it once. Prints as `***`.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct KeyText(String);

impl KeyText {
    /// The text, for the one reply or file that it is written to.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Hashes secrets under the installation's token key: what the tables keep is of no use without it.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct KeyHasher([u8; 32]);

impl KeyHasher {
    /// Derives its key from the token key, which has other uses too.
    pub fn new(token_key: &[u8; 32]) -> Self {
        Self(blake3::derive_key("statehold 2026 api keys: secret hash", token_key))
    }

    pub(super) fn hash(&self, id: &str, secret: &[u8]) -> SecretHash {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(id.as_bytes()).update(&[0]).update(secret);
        let hash = SecretHash(*hasher.finalize().as_bytes());
        hasher.zeroize();
        hash
    }
}

impl fmt::Debug for KeyHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHasher(***)")
    }
}

/// What is kept of a secret. Compared in constant time, and not otherwise.
#[derive(Clone)]
pub(super) struct SecretHash([u8; 32]);

impl SecretHash {
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let bytes = bytes.try_into().map_err(|_| Error::corrupt("an API key's hash has not 32 bytes"))?;
        Ok(Self(bytes))
    }

    pub(super) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(super) fn equals(&self, other: &Self) -> subtle::Choice {
        self.0.ct_eq(&other.0)
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A new secret: the text for its owner and the hash to keep.
pub(super) fn generate(hasher: &KeyHasher, id: &KeyId) -> Result<(KeyText, SecretHash)> {
    let mut secret = Zeroizing::new([0; SECRET_BYTES]);
    fill(secret.as_mut_slice())?;
    let mut text = String::with_capacity(PREFIX.len() + ID_CHARS + 1 + SECRET_CHARS);
    text.push_str(PREFIX);
    text.push_str(id.as_str());
    text.push('_');
    URL_SAFE_NO_PAD.encode_string(secret.as_slice(), &mut text);
    let hash = hasher.hash(id.as_str(), secret.as_slice());
    Ok((KeyText(text), hash))
}

/// Takes a key's text apart; none when it has not the form of one.
pub(super) fn parse(text: &str) -> Option<(&str, Zeroizing<[u8; SECRET_BYTES]>)> {
    let (id, secret) = text.strip_prefix(PREFIX)?.split_at_checked(ID_CHARS)?;
    let secret = secret.strip_prefix('_')?;
    if secret.len() != SECRET_CHARS {
        return None;
    }
    let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
    let written = URL_SAFE_NO_PAD.decode_slice(secret, bytes.as_mut_slice()).ok()?;
    (written == SECRET_BYTES).then_some((id, bytes))
}

fn fill(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes)
        .map_err(|cause| Error::internal("the operating system gives no randomness").caused_by(cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_taken_apart_into_what_made_it() {
        let hasher = KeyHasher::new(&[7; 32]);
        let id = KeyId::random().unwrap();
        let (text, hash) = generate(&hasher, &id).unwrap();
        let (found, secret) = parse(text.expose()).unwrap();
        assert_eq!(found, id.as_str());
        assert!(bool::from(hasher.hash(found, secret.as_slice()).equals(&hash)));
        assert!(!bool::from(KeyHasher::new(&[8; 32]).hash(found, secret.as_slice()).equals(&hash)));
        assert_eq!(format!("{text:?} {hash:?} {hasher:?}"), "*** *** KeyHasher(***)");
    }

    #[test]
    fn other_texts_are_no_keys() {
        let whole = format!("shk_{}_{}", "0".repeat(16), "A".repeat(43));
        assert!(parse(&whole).is_some());
        for text in [
            "",
            "shk_",
            "shk_é",
            &whole[1..],
            &whole[..whole.len() - 1],
            &format!("{whole}A"),
            &whole.replace('A', "+"),
        ] {
            assert!(parse(text).is_none(), "{text}");
        }
    }
}
