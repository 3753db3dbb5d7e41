//! Whole buckets, page by page.

use std::ops::ControlFlow;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use statehold_core::{
    Bucket, Error, ItemKey, Partition, Result, Scan, ScanCursor, ScanPage, Scanned, State, Time, View,
};
use statehold_sql::{Row, Sql, Tx, Val};

use super::memory::Known;
use super::rows;

/// Rows looked at for one page, whatever is found: a page may be empty before the end.
const LOOKED_AT_MAX: usize = 10_000;

macro_rules! in_order {
    ($mark:literal) => {
        Sql::new(concat!(
            "SELECT bucket, partition, item, form, revision, base, deadline_ms, value",
            $mark,
            " FROM items WHERE space = $1 AND (bucket, partition, item) > ($2, $3, $4) AND bucket <= $5",
            " ORDER BY bucket, partition, item LIMIT $6"
        ))
    };
}
pub(super) static LIVE: Sql = in_order!("");
pub(super) static RAW: Sql = in_order!(
    ", (SELECT revision FROM marks WHERE marks.space = items.space AND marks.bucket = items.bucket
        AND marks.partition = items.partition AND marks.item = items.item)"
);
pub(super) static EXPIRED: Sql = Sql::new(
    "SELECT bucket, partition, item, form, revision, base, deadline_ms, value FROM items
     WHERE space = $1 AND deadline_ms IS NOT NULL
        AND (deadline_ms, bucket, partition, item) > ($2, $3, $4, $5) AND deadline_ms <= $6
     ORDER BY deadline_ms, bucket, partition, item LIMIT $7",
);

/// One page.
pub(super) fn page(tx: &Tx<'_>, known: &Known, scan: &Scan, now: Time) -> Result<ScanPage> {
    match scan.view {
        View::Expired(at) => expired(tx, known, scan, at.min(now)),
        View::Live | View::Raw => in_order(tx, known, scan, now),
    }
}

fn in_order(tx: &Tx<'_>, known: &Known, scan: &Scan, now: Time) -> Result<ScanPage> {
    let raw = scan.view == View::Raw;
    let sql = if raw { &RAW } else { &LIVE };
    let reached = scan.cursor.as_ref().map(Cursor::read).transpose()?;
    let mut gathered = Gathered::new(scan.limit);
    for (first, last) in runs(scan) {
        let (bucket, partition, item) = match &reached {
            Some(cursor) if cursor.bucket > last => continue,
            Some(cursor) if cursor.bucket >= first => {
                (cursor.bucket, cursor.partition.clone(), cursor.item.clone())
            }
            _ => (first, Bytes::new(), Bytes::new()),
        };
        let from = [
            Val::Int(known.id),
            Val::from(bucket.number()),
            Val::Blob(partition),
            Val::Blob(item),
            Val::from(last.number()),
            Val::Int(gathered.looks_left()),
        ];
        tx.query_each(sql, &from, |row| {
            let mark = if raw { row.opt_int(8)?.map(rows::revision_of) } else { None };
            let found = scanned(row, mark)?;
            let now = now.max(known.time_floor(found.bucket));
            let seen = raw || (!found.key.is_receipt() && found.state.live(now).is_some());
            Ok(gathered.take(found, seen))
        })?;
        if gathered.is_full() {
            return Ok(gathered.page(0));
        }
    }
    Ok(ScanPage { items: gathered.items, cursor: None })
}

fn expired(tx: &Tx<'_>, known: &Known, scan: &Scan, at: Time) -> Result<ScanPage> {
    let reached = scan.cursor.as_ref().map(Cursor::read).transpose()?;
    let (deadline_ms, bucket, partition, item) = reached
        .map_or((-1, 0, Bytes::new(), Bytes::new()), |cursor| {
            (cursor.deadline_ms, cursor.bucket.number(), cursor.partition, cursor.item)
        });
    let mut gathered = Gathered::new(scan.limit);
    let from = [
        Val::Int(known.id),
        Val::Int(deadline_ms),
        Val::from(bucket),
        Val::Blob(partition),
        Val::Blob(item),
        Val::Int(rows::millis(at.millis())),
        Val::Int(gathered.looks_left()),
    ];
    let mut deadline_ms = 0;
    tx.query_each(&EXPIRED, &from, |row| {
        deadline_ms = row.int(6)?;
        let found = scanned(row, None)?;
        let wanted = scan.buckets.is_empty() || scan.buckets.contains(&found.bucket);
        let seen = wanted && !found.key.is_receipt();
        Ok(gathered.take(found, seen))
    })?;
    if gathered.is_full() {
        return Ok(gathered.page(deadline_ms));
    }
    Ok(ScanPage { items: gathered.items, cursor: None })
}

fn scanned(row: &Row<'_>, mark: Option<statehold_core::Revision>) -> Result<Scanned> {
    let state: State = rows::state(row, 3, Some(7))?;
    Ok(Scanned {
        bucket: Bucket::new(row.int(0)? as u16),
        partition: Partition::new(row.bytes(1)?)?,
        key: ItemKey::from_bytes(row.bytes(2)?)?,
        state,
        mark,
    })
}

/// The wanted buckets as runs of neighbours, in order.
fn runs(scan: &Scan) -> Vec<(Bucket, Bucket)> {
    if scan.buckets.is_empty() {
        return vec![(Bucket::new(0), Bucket::new(scan.space.buckets() - 1))];
    }
    let mut wanted: Vec<u16> = scan.buckets.iter().map(|bucket| bucket.number()).collect();
    wanted.sort_unstable();
    let mut runs: Vec<(Bucket, Bucket)> = Vec::new();
    for number in wanted {
        match runs.last_mut() {
            Some((_, last)) if number <= last.number() + 1 => *last = Bucket::new(number),
            _ => runs.push((Bucket::new(number), Bucket::new(number))),
        }
    }
    runs
}

/// A page while it fills.
struct Gathered {
    items: Vec<Scanned>,
    limit: usize,
    looked_at: usize,
    /// The last row looked at, where it is not among the items.
    passed: Option<Scanned>,
}

impl Gathered {
    fn new(limit: usize) -> Self {
        Self { items: Vec::new(), limit, looked_at: 0, passed: None }
    }

    fn looks_left(&self) -> i64 {
        (LOOKED_AT_MAX - self.looked_at) as i64
    }

    fn is_full(&self) -> bool {
        self.items.len() >= self.limit || self.looked_at >= LOOKED_AT_MAX
    }

    fn take(&mut self, found: Scanned, seen: bool) -> ControlFlow<()> {
        self.looked_at += 1;
        if seen {
            self.items.push(found);
            self.passed = None;
        } else {
            self.passed = Some(found);
        }
        if self.is_full() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// The page and where to go on.
    fn page(self, deadline_ms: i64) -> ScanPage {
        let last = self.passed.as_ref().or(self.items.last());
        let cursor = last.map(|last| Cursor::write(deadline_ms, last));
        ScanPage { items: self.items, cursor }
    }
}

/// Where a page ended; the deadline counts in the expired view alone.
struct Cursor {
    deadline_ms: i64,
    bucket: Bucket,
    partition: Bytes,
    item: Bytes,
}

impl Cursor {
    fn write(deadline_ms: i64, last: &Scanned) -> ScanCursor {
        let (partition, item) = (last.partition.as_bytes(), last.key.as_bytes());
        let mut bytes = BytesMut::with_capacity(12 + partition.len() + item.len());
        bytes.put_i64(deadline_ms);
        bytes.put_u16(last.bucket.number());
        bytes.put_u16(partition.len() as u16);
        bytes.put_slice(partition);
        bytes.put_slice(item);
        ScanCursor(bytes.freeze())
    }

    fn read(cursor: &ScanCursor) -> Result<Self> {
        let mut bytes = cursor.0.clone();
        let mut read = || {
            let deadline_ms = bytes.try_get_i64().ok()?;
            let bucket = Bucket::new(bytes.try_get_u16().ok()?);
            let length = usize::from(bytes.try_get_u16().ok()?);
            (bytes.len() >= length).then(|| {
                let partition = bytes.split_to(length);
                Self { deadline_ms, bucket, partition, item: bytes.split_off(0) }
            })
        };
        read().ok_or_else(|| Error::invalid("a cursor is not of this engine"))
    }
}
