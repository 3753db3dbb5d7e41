//! Removing what has expired, a bounded step at a time.

use statehold_core::{Cx, PAGE_MAX, Result, Time};
use statehold_sql::{Sql, Tx, Val};

use super::memory::Memory;
use super::open::EmbeddedEngine;
use super::rows;

// The keys first, then each by itself: SQLite would look up `(…) IN (SELECT …)` by the first column alone.
// In a space that observes expiry many items may wait for their store: a step looks at so many and goes on without.
pub(super) static EXPIRED: Sql = Sql::new(
    "SELECT space, bucket, partition, item FROM (
        SELECT space, bucket, partition, item FROM items
        WHERE space = $1 AND deadline_ms IS NOT NULL AND deadline_ms <= $2
        ORDER BY deadline_ms LIMIT 10000
     ) WHERE item >= $3 LIMIT $4",
);
pub(super) static REMOVE: Sql =
    Sql::new("DELETE FROM items WHERE space = $1 AND bucket = $2 AND partition = $3 AND item = $4");

impl EmbeddedEngine {
    /// Removes up to `limit` (at most 1,000) expired items, soonest first, and says how many: fewer than asked for
    /// says that nothing is left for now. In spaces that observe expiry only the contract's own receipts go; nothing
    /// goes while a space is on the move.
    ///
    /// # Errors
    /// As a commit.
    pub async fn sweep(&self, limit: usize) -> Result<usize> {
        let (limit, now) = (limit.clamp(1, PAGE_MAX), self.clock.now());
        // Nothing is lost when a sweep is not synced: what is back is still expired.
        let cx = Cx::new();
        let swept = self.on_writer(&cx, true, move |tx, memory| sweep(tx, memory, limit, now).map(Ok));
        self.named("sweep", swept.await)
    }
}

fn sweep(tx: &Tx<'_>, memory: &Memory, limit: usize, now: Time) -> Result<usize> {
    let (first, end) = statehold_core::ItemKey::items();
    let mut swept = 0;
    for kept in memory.spaces.values().filter(|kept| !kept.is_moving()) {
        let from = if kept.traits.observes_expiry { end } else { first };
        let wanted = [
            Val::Int(kept.id),
            Val::Int(rows::millis(now.millis())),
            Val::from(from),
            Val::Int((limit - swept) as i64),
        ];
        swept += remove_found(tx, &EXPIRED, &wanted, &REMOVE)?;
        if swept >= limit {
            break;
        }
    }
    Ok(swept)
}

/// Runs `remove` for every primary key that `find` finds.
pub(super) fn remove_found(tx: &Tx<'_>, find: &Sql, wanted: &[Val], remove: &Sql) -> Result<usize> {
    let keys = tx.query(find, wanted, |row| {
        Ok([Val::Int(row.int(0)?), Val::Int(row.int(1)?), Val::Blob(row.bytes(2)?), Val::Blob(row.bytes(3)?)])
    })?;
    let mut remove = tx.prepare(remove)?;
    keys.iter().try_fold(0, |gone, key| Ok(gone + remove.execute(key)?))
}
