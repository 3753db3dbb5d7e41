//! API keys as rows.

use ipnet::IpNet;
use statehold_core::{Error, Namespace, Result, Time};
use statehold_sql::{Row, Sql, Tx, Val};

use super::secret::{KeyId, SecretHash};
use super::{ApiKey, KEYS_MAX, KeyNamespaces, StoredSecret};
use crate::control::rows::{micros, raise_version, time};
use crate::control::{Scope, ScopeSet};

static INSERT: Sql = Sql::new(
    "INSERT INTO api_keys (id, name, namespaces, scopes, allowed_cidrs, created_by, created_at, expires_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
);
static INSERT_SECRET: Sql =
    Sql::new("INSERT INTO api_key_secrets (key_id, hash, created_at, valid_until) VALUES ($1, $2, $3, $4)");
static COUNT: Sql = Sql::new("SELECT count(*) FROM api_keys");
static ALL: Sql = Sql::new(
    "SELECT id, name, namespaces, scopes, allowed_cidrs, created_by, created_at, expires_at, last_used_at, \
     revoked_at FROM api_keys ORDER BY id",
);
static SECRETS: Sql =
    Sql::new("SELECT key_id, hash, valid_until FROM api_key_secrets ORDER BY key_id, created_at");
static REVOKE: Sql = Sql::new("UPDATE api_keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL");
static STATE: Sql = Sql::new("SELECT expires_at, revoked_at FROM api_keys WHERE id = $1");
static END_OLDER: Sql = Sql::new("DELETE FROM api_key_secrets WHERE key_id = $1 AND valid_until IS NOT NULL");
static END_CURRENT: Sql =
    Sql::new("UPDATE api_key_secrets SET valid_until = $2 WHERE key_id = $1 AND valid_until IS NULL");
static NOTE_USE: Sql =
    Sql::new("UPDATE api_keys SET last_used_at = $2 WHERE id = $1 AND coalesce(last_used_at, 0) < $2");

pub(super) fn insert(tx: &Tx<'_>, key: &ApiKey) -> Result<()> {
    let kept = tx.query_row(&COUNT, &[], |row| row.int(0))?.unwrap_or_default();
    if usize::try_from(kept).is_ok_and(|kept| kept >= KEYS_MAX) {
        return Err(Error::new(
            statehold_core::Kind::Overloaded,
            "there are as many API keys as there may be",
        ));
    }
    tx.execute(
        &INSERT,
        &[
            key.id.as_str().into(),
            key.name.as_str().into(),
            namespaces_text(&key.namespaces).into(),
            json(&key.scopes.given().map(Scope::as_str).collect::<Vec<_>>()).into(),
            json(&key.allowed_cidrs).into(),
            key.created_by.as_str().into(),
            micros(key.created_at),
            key.expires_at.map(micros).into(),
        ],
    )?;
    for secret in &key.secrets {
        insert_secret(tx, &key.id, &secret.hash, key.created_at)?;
    }
    raise_version(tx)
}

fn insert_secret(tx: &Tx<'_>, id: &KeyId, hash: &SecretHash, now: Time) -> Result<()> {
    tx.execute(&INSERT_SECRET, &[id.as_str().into(), (*hash.as_bytes()).into(), micros(now), Val::Null])
        .map(drop)
}

/// Every key with its secrets.
pub(in crate::control) fn all(tx: &Tx<'_>) -> Result<Vec<ApiKey>> {
    let mut keys = tx.query(&ALL, &[], read)?;
    let secrets = tx.query(&SECRETS, &[], |row| {
        let secret = StoredSecret {
            hash: SecretHash::from_bytes(row.blob(1)?)?,
            valid_until: row.opt_int(2)?.map(time),
        };
        Ok((KeyId::parse(row.text(0)?)?, secret))
    })?;
    for (id, secret) in secrets {
        if let Ok(at) = keys.binary_search_by(|key| key.id.cmp(&id)) {
            keys[at].secrets.push(secret);
        }
    }
    Ok(keys)
}

/// Revokes a key that is not; says whether it did.
pub(super) fn revoke(tx: &Tx<'_>, id: &KeyId, now: Time) -> Result<bool> {
    let changed = tx.execute(&REVOKE, &[id.as_str().into(), micros(now)])? > 0;
    if changed {
        raise_version(tx)?;
    }
    Ok(changed)
}

/// What decides whether a key may get a new secret.
pub(super) struct KeyState {
    expires_at: Option<Time>,
    revoked: bool,
}

impl KeyState {
    pub(super) fn serves(&self, now: Time) -> bool {
        !self.revoked && self.expires_at.is_none_or(|expiry| now < expiry)
    }
}

pub(super) fn state(tx: &Tx<'_>, id: &KeyId) -> Result<Option<KeyState>> {
    tx.query_row(&STATE, &[id.as_str().into()], |row| {
        Ok(KeyState { expires_at: row.opt_int(0)?.map(time), revoked: row.opt_int(1)?.is_some() })
    })
}

/// Puts a new secret beside the current one, which ends later; older ones end now: never more than two.
pub(super) fn rotate(
    tx: &Tx<'_>,
    id: &KeyId,
    hash: &SecretHash,
    now: Time,
    current_ends: Time,
) -> Result<()> {
    tx.execute(&END_OLDER, &[id.as_str().into()])?;
    tx.execute(&END_CURRENT, &[id.as_str().into(), micros(current_ends)])?;
    insert_secret(tx, id, hash, now)?;
    raise_version(tx)
}

/// Notes a use. No reason for others to read the keys again.
pub(super) fn note_use(tx: &Tx<'_>, id: &KeyId, at: Time) -> Result<()> {
    tx.execute(&NOTE_USE, &[id.as_str().into(), micros(at)]).map(drop)
}

fn read(row: &Row<'_>) -> Result<ApiKey> {
    Ok(ApiKey {
        id: KeyId::parse(row.text(0)?)?,
        name: row.text(1)?.to_owned(),
        namespaces: namespaces(row.text(2)?)?,
        scopes: scopes(row.text(3)?)?,
        allowed_cidrs: list::<IpNet>(row.text(4)?)?,
        created_by: row.text(5)?.to_owned(),
        created_at: time(row.int(6)?),
        expires_at: row.opt_int(7)?.map(time),
        last_used_at: row.opt_int(8)?.map(time),
        revoked_at: row.opt_int(9)?.map(time),
        secrets: Vec::new(),
    })
}

fn namespaces_text(namespaces: &KeyNamespaces) -> String {
    match namespaces {
        KeyNamespaces::All => "*".to_owned(),
        KeyNamespaces::These(list) => json(&list.iter().map(Namespace::as_str).collect::<Vec<_>>()),
    }
}

fn namespaces(text: &str) -> Result<KeyNamespaces> {
    if text == "*" {
        return Ok(KeyNamespaces::All);
    }
    list::<String>(text)?.into_iter().map(Namespace::new).collect::<Result<_>>().map(KeyNamespaces::These)
}

/// A scope that this version does not know was given by a later one: here it allows nothing.
fn scopes(text: &str) -> Result<ScopeSet> {
    Ok(list::<String>(text)?.iter().filter_map(|name| Scope::parse(name).ok()).collect())
}

fn json(list: &impl serde::Serialize) -> String {
    serde_json::to_string(list).expect("a list of short texts is always JSON")
}

fn list<T: serde::de::DeserializeOwned>(text: &str) -> Result<Vec<T>> {
    serde_json::from_str(text)
        .map_err(|cause| Error::corrupt("an API key's list is no JSON").caused_by(cause))
}
