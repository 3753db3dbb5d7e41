//! API keys: made once, verified in memory, revoked within a second everywhere.

mod book;
mod policy;
mod rows;
mod secret;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use statehold_core::{Error, Kind, Namespace, Result, Time};

pub(super) use self::book::KeyBook;
pub(super) use self::rows::all;
use self::secret::SecretHash;
use super::{ControlTables, ScopeSet};

pub use self::policy::{
    KEYS_MAX, KeyRefusal, LAST_USED_EVERY, LIFETIME_DEFAULT, LIFETIME_MAX, LIST_MAX, NAME_BYTES_MAX,
    OVERLAP_DEFAULT, OVERLAP_MAX,
};
pub use self::secret::{KeyHasher, KeyId, KeyText};

/// The namespaces a key opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyNamespaces {
    /// All of them, also later ones: an operator's key, `*`.
    All,
    /// These, 1..=[`LIST_MAX`].
    These(Vec<Namespace>),
}

impl KeyNamespaces {
    /// Whether the key opens this namespace.
    pub fn contains(&self, namespace: &Namespace) -> bool {
        match self {
            Self::All => true,
            Self::These(list) => list.contains(namespace),
        }
    }

    /// The namespace that needs no naming in a request: the only one there is.
    pub fn only(&self) -> Option<&Namespace> {
        match self {
            Self::These(list) => match list.as_slice() {
                [only] => Some(only),
                _ => None,
            },
            Self::All => None,
        }
    }

    fn is_legal(&self) -> bool {
        match self {
            Self::All => true,
            Self::These(list) => (1..=LIST_MAX).contains(&list.len()),
        }
    }
}

/// What a new key shall be.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Its name, for people: 1..=[`NAME_BYTES_MAX`] bytes.
    pub name: String,
    /// The namespaces it opens.
    pub namespaces: KeyNamespaces,
    /// What it may do.
    pub scopes: ScopeSet,
    /// How long it lives, up to [`LIFETIME_MAX`]; none for ever. [`LIFETIME_DEFAULT`] is the usual one.
    pub lifetime: Option<Duration>,
    /// The addresses it is accepted from; empty for any.
    pub allowed_cidrs: Vec<IpNet>,
    /// Who makes it: a key's id, or `cli`, or `start`.
    pub created_by: String,
}

/// An API key as the tables keep it.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// Its id.
    pub id: KeyId,
    /// Its name.
    pub name: String,
    /// The namespaces it opens.
    pub namespaces: KeyNamespaces,
    /// What it may do.
    pub scopes: ScopeSet,
    /// The addresses it is accepted from; empty for any.
    pub allowed_cidrs: Vec<IpNet>,
    /// Who made it.
    pub created_by: String,
    /// When it was made.
    pub created_at: Time,
    /// From when it is refused.
    pub expires_at: Option<Time>,
    /// When it was last accepted, to within [`LAST_USED_EVERY`].
    pub last_used_at: Option<Time>,
    /// When it was revoked.
    pub revoked_at: Option<Time>,
    secrets: Vec<StoredSecret>,
}

#[derive(Clone, Debug)]
struct StoredSecret {
    hash: SecretHash,
    valid_until: Option<Time>,
}

/// A key that was made or rotated, with the text that is shown this once.
#[derive(Debug)]
pub struct IssuedKey {
    /// The key.
    pub key: ApiKey,
    /// `shk_<id>_<secret>`.
    pub text: KeyText,
}

impl ControlTables {
    /// Makes a key.
    ///
    /// # Errors
    /// `Invalid` for what is out of bounds, `Overloaded` beyond [`KEYS_MAX`] keys.
    pub async fn create_key(&self, new: NewKey) -> Result<IssuedKey> {
        let issued = self.draft_key(new)?;
        self.keep_key(&issued.key).await?;
        Ok(issued)
    }

    /// Draws a key that nothing accepts yet, for a caller that must put its text in a safe place first.
    ///
    /// # Errors
    /// `Invalid` for what is out of bounds.
    pub fn draft_key(&self, new: NewKey) -> Result<IssuedKey> {
        policy::check(&new)?;
        let now = self.clock.now();
        let id = KeyId::random()?;
        let (text, hash) = secret::generate(&self.hasher, &id)?;
        let key = ApiKey {
            id,
            name: new.name,
            namespaces: new.namespaces,
            scopes: new.scopes,
            allowed_cidrs: new.allowed_cidrs,
            created_by: new.created_by,
            created_at: now,
            expires_at: new.lifetime.map(|lifetime| now.plus(lifetime)),
            last_used_at: None,
            revoked_at: None,
            secrets: vec![StoredSecret { hash, valid_until: None }],
        };
        Ok(IssuedKey { key, text })
    }

    /// Keeps a drafted key: from now on it is accepted.
    ///
    /// # Errors
    /// `Overloaded` beyond [`KEYS_MAX`] keys.
    pub async fn keep_key(&self, drafted: &ApiKey) -> Result<()> {
        let kept = drafted.clone();
        self.db.write("keys.create", move |tx| rows::insert(tx, &kept)).await?;
        self.reload().await
    }

    /// Every key, revoked ones included, oldest first. Its secrets are not part of it.
    pub fn keys(&self) -> Vec<ApiKey> {
        self.book.all()
    }

    /// One key.
    pub fn key(&self, id: &KeyId) -> Option<ApiKey> {
        self.book.get(id.as_str())
    }

    /// Revokes a key, at once in this process and within a second in others. Answers `false` where it was revoked
    /// before.
    ///
    /// # Errors
    /// `NotFound` for an unknown key.
    pub async fn revoke_key(&self, id: &KeyId) -> Result<bool> {
        let now = self.clock.now();
        let wanted = id.clone();
        let revoked = self.db.write("keys.revoke", move |tx| rows::revoke(tx, &wanted, now)).await?;
        self.reload().await?;
        match revoked {
            true => Ok(true),
            false if self.key(id).is_some() => Ok(false),
            false => Err(unknown()),
        }
    }

    /// Gives a key a new secret; the one before stays valid for `overlap`, older ones end now.
    ///
    /// # Errors
    /// `NotFound` for an unknown key, `Conflict` for a revoked or expired one, `Invalid` above [`OVERLAP_MAX`].
    pub async fn rotate_key(&self, id: &KeyId, overlap: Duration) -> Result<IssuedKey> {
        policy::check_overlap(overlap)?;
        let now = self.clock.now();
        let (text, hash) = secret::generate(&self.hasher, id)?;
        let wanted = id.clone();
        self.db
            .write("keys.rotate", move |tx| {
                match rows::state(tx, &wanted)? {
                    None => return Err(unknown()),
                    Some(state) if !state.serves(now) => {
                        return Err(Error::conflict("the API key is revoked or expired"));
                    }
                    Some(_) => {}
                }
                rows::rotate(tx, &wanted, &hash, now, now.plus(overlap))
            })
            .await?;
        self.reload().await?;
        let key = self.key(id).ok_or_else(unknown)?;
        Ok(IssuedKey { key, text })
    }

    /// Whether a presented text is a key that is accepted now, from this address. Reads memory alone.
    ///
    /// # Errors
    /// Why it is not accepted.
    pub fn verify_key(&self, text: &str, peer: Option<std::net::IpAddr>) -> Result<Arc<ApiKey>, KeyRefusal> {
        self.book.verify(&self.hasher, text, peer, self.clock.now())
    }

    /// Whether any accepted key may act as an operator.
    pub fn has_operator_key(&self) -> bool {
        let now = self.clock.now();
        self.book.all().iter().any(|key| {
            key.scopes.allows(super::Scope::OpsAdmin)
                && key.namespaces == KeyNamespaces::All
                && key.revoked_at.is_none()
                && key.expires_at.is_none_or(|expiry| now < expiry)
        })
    }

    /// Writes down when keys were last used: at most once in [`LAST_USED_EVERY`] for each.
    pub async fn note_key_uses(&self) -> Result<()> {
        let uses = self.book.uses_to_write();
        if uses.is_empty() {
            return Ok(());
        }
        let written = uses.clone();
        self.db
            .write("keys.note_uses", move |tx| {
                uses.iter().try_for_each(|(id, at)| rows::note_use(tx, id, *at))
            })
            .await?;
        self.book.uses_written(&written);
        Ok(())
    }
}

fn unknown() -> Error {
    Error::new(Kind::NotFound, "there is no such API key")
}
