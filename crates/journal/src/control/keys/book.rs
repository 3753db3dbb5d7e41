//! All keys in memory, so that verifying one reads no database.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use statehold_core::Time;

use super::ApiKey;
use super::policy::{self, KeyRefusal, LAST_USED_EVERY};
use super::secret::{self, KeyHasher, KeyId};

#[derive(Debug, Default)]
pub(in crate::control) struct KeyBook(RwLock<Arc<HashMap<KeyId, Entry>>>);

#[derive(Clone, Debug)]
struct Entry {
    key: Arc<ApiKey>,
    used: Arc<Used>,
}

/// Microseconds; zero for never.
#[derive(Debug, Default)]
struct Used {
    at: AtomicU64,
    written: AtomicU64,
}

impl KeyBook {
    /// Replaces every key. Uses that are not yet written stay noted.
    pub(in crate::control) fn replace(&self, keys: Vec<ApiKey>) {
        let before = Arc::clone(&self.0.read());
        let entries = keys
            .into_iter()
            .map(|key| {
                let used = before.get(&key.id).map_or_else(
                    || {
                        let at = key.last_used_at.map_or(0, Time::micros);
                        Arc::new(Used { at: AtomicU64::new(at), written: AtomicU64::new(at) })
                    },
                    |entry| Arc::clone(&entry.used),
                );
                (key.id.clone(), Entry { key: Arc::new(key), used })
            })
            .collect();
        *self.0.write() = Arc::new(entries);
    }

    pub(super) fn all(&self) -> Vec<ApiKey> {
        let entries = Arc::clone(&self.0.read());
        let mut keys: Vec<_> = entries.values().map(Entry::present).collect();
        keys.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        keys
    }

    pub(super) fn get(&self, id: &str) -> Option<ApiKey> {
        self.0.read().get(id).map(Entry::present)
    }

    pub(super) fn verify(
        &self,
        hasher: &KeyHasher,
        text: &str,
        peer: Option<IpAddr>,
        now: Time,
    ) -> Result<Arc<ApiKey>, KeyRefusal> {
        let (id, secret) = secret::parse(text).ok_or(KeyRefusal::Invalid)?;
        // An unknown id costs the same hash as a known one.
        let presented = hasher.hash(id, secret.as_slice());
        let entry = self.0.read().get(id).cloned().ok_or(KeyRefusal::Invalid)?;
        policy::judge(&entry.key, &presented, peer, now)?;
        entry.used.note(now);
        Ok(entry.key)
    }

    /// The uses that the tables do not know yet.
    pub(super) fn uses_to_write(&self) -> Vec<(KeyId, Time)> {
        let entries = Arc::clone(&self.0.read());
        let fresh = entries.iter().filter_map(|(id, entry)| {
            let at = entry.used.at.load(Ordering::Relaxed);
            (at > entry.used.written.load(Ordering::Relaxed)).then(|| (id.clone(), Time::from_micros(at)))
        });
        fresh.collect()
    }

    pub(super) fn uses_written(&self, uses: &[(KeyId, Time)]) {
        let entries = Arc::clone(&self.0.read());
        for (id, at) in uses {
            if let Some(entry) = entries.get(id) {
                entry.used.written.fetch_max(at.micros(), Ordering::Relaxed);
            }
        }
    }
}

impl Entry {
    fn present(&self) -> ApiKey {
        let used = self.used.at.load(Ordering::Relaxed);
        let last_used_at = (used > 0).then(|| Time::from_micros(used));
        ApiKey { last_used_at, ..ApiKey::clone(&self.key) }
    }
}

impl Used {
    fn note(&self, now: Time) {
        let before = self.at.load(Ordering::Relaxed);
        let due = before == 0 || now.since(Time::from_micros(before)) >= LAST_USED_EVERY;
        if due {
            self.at.fetch_max(now.micros(), Ordering::Relaxed);
        }
    }
}
