//! API keys: `/v1/keys`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::values::{Dur, Ts};

/// Makes an API key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateKey {
    /// What people call it, 1 to 200 bytes.
    pub name: String,
    /// The namespaces it reaches, at least one; `*` alone means all.
    pub namespaces: Vec<String>,
    /// What it may do, at least one scope such as `sessions:read`.
    pub scopes: Vec<String>,
    /// How long it lives; 365 days unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Dur>,
    /// The networks (CIDR) it may be used from; anywhere unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_cidrs: Option<Vec<String>>,
}

/// Gives a key a new secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateKey {
    /// How long the old secret stays valid beside the new one; 24 hours unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<Dur>,
}

/// A key as it is shown: never with its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Key {
    /// Its id, part of what the holder sends.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// The namespaces it reaches; `*` means all.
    pub namespaces: Vec<String>,
    /// What it may do.
    pub scopes: Vec<String>,
    /// The networks it may be used from; empty means anywhere.
    pub allowed_cidrs: Vec<String>,
    /// Who made it: the id of a key, or `init`.
    pub created_by: String,
    /// When it was made.
    pub created_at: Ts,
    /// From when it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Ts>,
    /// When it was last used, to the minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Ts>,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Ts>,
}

/// A key with its secret, which is shown this once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyWithSecret {
    /// The key.
    pub key: Key,
    /// What the holder sends as `Authorization: Bearer …`. It cannot be shown again.
    pub secret: String,
}

impl std::fmt::Debug for KeyWithSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyWithSecret").field("key", &self.key).field("secret", &"***").finish()
    }
}

/// Whether a key was revoked by this call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyRevoked {
    /// False when it had been revoked before.
    pub revoked: bool,
}
