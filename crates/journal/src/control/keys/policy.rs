//! What is legal for a key, and whether a presented one is accepted. Without clock and I/O.

use std::net::IpAddr;
use std::time::Duration;

use statehold_core::{Error, Result, Time};
use subtle::Choice;

use super::secret::SecretHash;
use super::{ApiKey, NewKey, StoredSecret};

/// How long a key lives unless its maker says otherwise.
pub const LIFETIME_DEFAULT: Duration = Duration::from_hours(365 * 24);
/// The longest lifetime that may be asked for.
pub const LIFETIME_MAX: Duration = Duration::from_hours(3_650 * 24);
/// How long the old secret stays valid after a rotation, unless the caller says otherwise.
pub const OVERLAP_DEFAULT: Duration = Duration::from_hours(24);
/// The longest overlap of two secrets.
pub const OVERLAP_MAX: Duration = Duration::from_hours(30 * 24);
/// How often, at most, a key's last use is noted.
pub const LAST_USED_EVERY: Duration = Duration::from_mins(1);
/// Most bytes of a key's name and of who made it.
pub const NAME_BYTES_MAX: usize = 200;
/// Most namespaces or address ranges that one key lists.
pub const LIST_MAX: usize = 64;
/// Most keys of an installation.
pub const KEYS_MAX: usize = 10_000;

/// Why a presented key is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyRefusal {
    /// No such key, another secret, or revoked: the caller learns no more than that.
    Invalid,
    /// The right secret of a key whose time is over.
    Expired,
    /// The right secret from an address that the key does not allow.
    AddressNotAllowed,
}

pub(super) fn check(new: &NewKey) -> Result<()> {
    let text = |text: &str| {
        !text.is_empty()
            && text.len() <= NAME_BYTES_MAX
            && !text.bytes().any(|byte| byte < 0x20 || byte == 0x7f)
    };
    if !text(&new.name) || !text(&new.created_by) {
        return Err(Error::invalid("an API key's name has 1 to 200 bytes and no control characters"));
    }
    if new.scopes.is_empty() {
        return Err(Error::invalid("an API key has at least one scope"));
    }
    if !new.namespaces.is_legal() {
        return Err(Error::invalid("an API key lists 1 to 64 namespaces, or all of them"));
    }
    if new.allowed_cidrs.len() > LIST_MAX {
        return Err(Error::invalid("an API key lists at most 64 address ranges"));
    }
    match new.lifetime {
        Some(lifetime) if lifetime.is_zero() || lifetime > LIFETIME_MAX => {
            Err(Error::invalid("an API key lives up to 3650 days"))
        }
        _ => Ok(()),
    }
}

pub(super) fn check_overlap(overlap: Duration) -> Result<()> {
    if overlap > OVERLAP_MAX { Err(Error::invalid("two secrets overlap at most 30 days")) } else { Ok(()) }
}

/// Whether the key is accepted. Every secret is compared, whatever the others say, so that time tells nothing.
pub(super) fn judge(
    key: &ApiKey,
    presented: &SecretHash,
    peer: Option<IpAddr>,
    now: Time,
) -> Result<(), KeyRefusal> {
    let matched = key.secrets.iter().fold(Choice::from(0), |any, stored| {
        any | (stored.hash.equals(presented) & Choice::from(u8::from(stored.is_valid(now))))
    });
    if !bool::from(matched) || key.revoked_at.is_some() {
        return Err(KeyRefusal::Invalid);
    }
    if key.expires_at.is_some_and(|expiry| expiry <= now) {
        return Err(KeyRefusal::Expired);
    }
    let address_allowed = key.allowed_cidrs.is_empty()
        || peer.is_some_and(|peer| {
            let peer = peer.to_canonical();
            key.allowed_cidrs.iter().any(|range| range.contains(&peer))
        });
    if address_allowed { Ok(()) } else { Err(KeyRefusal::AddressNotAllowed) }
}

impl StoredSecret {
    fn is_valid(&self, now: Time) -> bool {
        self.valid_until.is_none_or(|end| now < end)
    }
}
