//! 32 bytes of key material.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Bytes of a key.
const KEY_BYTES: usize = 32;
/// Random 32 bytes have about 30 different values; fewer than this is no accident (chance below 10^-9).
const DIFFERENT_BYTES_MIN: usize = 16;
/// Fragments of keys that people copy from documentation.
const EXAMPLES: &[&str] = &[
    "example",
    "changeme",
    "change_me",
    "change-me",
    "secret",
    "password",
    "insecure",
    "default",
    "test-key",
];

/// 32 bytes of key material: shown as `***`, compared in constant time, wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct KeyMaterial([u8; KEY_BYTES]);

/// Why text is no key material.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaterialError {
    /// Neither 64 hexadecimal digits nor base64 of 32 bytes.
    Malformed,
    /// An example from documentation, or bytes that are plainly not random.
    Weak,
}

impl fmt::Display for MaterialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "is not 32 bytes, as 64 hexadecimal digits or base64",
            Self::Weak => "is an example or not random: make one with `openssl rand -hex 32`",
        })
    }
}

impl std::error::Error for MaterialError {}

impl KeyMaterial {
    /// Reads 64 hexadecimal digits, or base64 (either alphabet, padded or not) of 32 bytes.
    ///
    /// # Errors
    /// [`MaterialError`]: malformed, or known to be weak.
    pub fn parse(written: &str) -> Result<Self, MaterialError> {
        let written = written.trim();
        if is_example(written.as_bytes()) {
            return Err(MaterialError::Weak);
        }
        let bytes = decode(written).ok_or(MaterialError::Malformed)?;
        let key = Self(bytes.as_slice().try_into().map_err(|_| MaterialError::Malformed)?);
        if is_example(&key.0) || !looks_random(&key.0) {
            return Err(MaterialError::Weak);
        }
        Ok(key)
    }

    /// Makes a key from the operating system's generator.
    ///
    /// # Errors
    /// When the generator fails; the process must then stop.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; KEY_BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The bytes, for keying a hash or cipher.
    pub fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// The key as [`Self::parse`] reads it.
    pub fn to_hex(&self) -> Zeroizing<String> {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hex = Zeroizing::new(String::with_capacity(2 * KEY_BYTES));
        for byte in self.0 {
            hex.push(DIGITS[usize::from(byte >> 4)].into());
            hex.push(DIGITS[usize::from(byte & 15)].into());
        }
        hex
    }
}

fn decode(written: &str) -> Option<Zeroizing<Vec<u8>>> {
    if written.len() == 2 * KEY_BYTES && written.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let nibble = |digit: u8| char::from(digit).to_digit(16).map(|n| n as u8);
        let pair = |pair: &[u8]| Some(nibble(pair[0])? << 4 | nibble(pair[1])?);
        return written.as_bytes().chunks_exact(2).map(pair).collect::<Option<Vec<_>>>().map(Zeroizing::new);
    }
    let bare = written.trim_end_matches('=');
    STANDARD_NO_PAD.decode(bare).or_else(|_| URL_SAFE_NO_PAD.decode(bare)).ok().map(Zeroizing::new)
}

fn is_example(bytes: &[u8]) -> bool {
    let lower = Zeroizing::new(bytes.to_ascii_lowercase());
    EXAMPLES.iter().any(|example| lower.windows(example.len()).any(|window| window == example.as_bytes()))
}

/// Whether the bytes could come from a generator: many different ones, and not a plain sequence.
fn looks_random(bytes: &[u8; KEY_BYTES]) -> bool {
    let mut seen = [false; 256];
    for byte in bytes {
        seen[usize::from(*byte)] = true;
    }
    let different = seen.iter().filter(|seen| **seen).count();
    let step = bytes[1].wrapping_sub(bytes[0]);
    let is_sequence = bytes.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == step);
    different >= DIFFERENT_BYTES_MIN && !is_sequence
}

impl PartialEq for KeyMaterial {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for KeyMaterial {}

impl fmt::Debug for KeyMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_in_each_notation_and_never_shown() {
        let key = KeyMaterial::generate().expect("the generator works");
        assert_eq!(KeyMaterial::parse(&key.to_hex()).as_ref(), Ok(&key));
        for written in [
            STANDARD_NO_PAD.encode(key.expose()),
            URL_SAFE_NO_PAD.encode(key.expose()),
            format!("{}=\n", STANDARD_NO_PAD.encode(key.expose())),
        ] {
            assert_eq!(KeyMaterial::parse(&written).as_ref(), Ok(&key));
        }
        assert_eq!(format!("{key:?}"), "***");
    }

    #[test]
    fn f291_weak_and_example_keys_are_refused() {
        let sequence = KeyMaterial(std::array::from_fn(|n| n as u8)).to_hex().to_string();
        let phrase = STANDARD_NO_PAD.encode(b"this-is-an-Example-key-32-bytes!");
        for weak in [&"00".repeat(32), &"ab".repeat(32), &sequence, &phrase, "changeme"] {
            assert_eq!(KeyMaterial::parse(weak), Err(MaterialError::Weak), "{weak}");
        }
        for malformed in ["", "abc", &"a1".repeat(31), &"f".repeat(65), "not base64 at all!"] {
            assert_eq!(KeyMaterial::parse(malformed), Err(MaterialError::Malformed), "{malformed}");
        }
    }
}
