//! The five verbs that every engine of the state tier offers.

use std::fmt;
use std::ops::Bound;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;

use crate::address::{Address, Bucket, ItemId, ItemKey, Partition, Place, Space};
use crate::clock::Time;
use crate::commit::{Commit, Receipt};
use crate::error::Result;
use crate::guarantees::Guarantees;
use crate::item::{Item, Revision, State};

/// Most addresses in one fetch.
pub const FETCH_MAX: usize = 4_096;
/// Most ranges in one list.
pub const RANGES_MAX: usize = 512;
/// Most items in one page.
pub const PAGE_MAX: usize = 1_000;
/// Most items a range may skip.
pub const SKIP_MAX: usize = 100_000;

/// What a call brings along besides its arguments.
#[derive(Clone, Debug, Default)]
pub struct Cx {
    /// When the caller stops waiting.
    pub deadline: Option<Instant>,
    /// Follows one request through logs and engines.
    pub correlation: Option<Arc<str>>,
    /// How reads are fenced.
    pub read: Read,
    /// Reads are judged by the engine's own clock, at the price of a script.
    pub exact: bool,
}

impl Cx {
    /// No deadline, plain reads.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, to be answered within `wait`.
    #[must_use]
    pub fn within(self, wait: Duration) -> Self {
        Self { deadline: Instant::now().checked_add(wait), ..self }
    }

    /// The same with reads that check the bucket's control in the same step.
    #[must_use]
    pub fn fenced(self) -> Self {
        Self { read: Read::Fenced, ..self }
    }
}

/// How a read treats the bucket's control.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Read {
    /// Not at all: the caller holds a read lease.
    #[default]
    Plain,
    /// Checked in the same step: served by `Open` and `Sealed` alone.
    Fenced,
}

/// Which engine it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EngineKind {
    /// In this process's memory.
    Memory,
    /// One SQLite file.
    Embedded,
    /// Redis or Valkey.
    Redis,
    /// PostgreSQL.
    Postgres,
}

impl EngineKind {
    /// The name in configuration, metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Embedded => "embedded",
            Self::Redis => "redis",
            Self::Postgres => "postgres",
        }
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an engine says of itself.
#[derive(Clone, Debug)]
pub struct Description {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// Which engine it is.
    pub kind: EngineKind,
    /// What it promises.
    pub guarantees: Guarantees,
    /// Most bytes of an item's value.
    pub value_bytes_max: usize,
}

/// Items of one partition, by name.
#[derive(Clone, Debug)]
pub struct Range {
    /// Where it begins, in item order.
    pub from: Bound<ItemId>,
    /// Where it ends.
    pub to: Bound<ItemId>,
    /// From the end to the beginning.
    pub reverse: bool,
    /// Live items passed over first, at most [`SKIP_MAX`].
    pub skip: usize,
    /// Live items returned, 1..=[`PAGE_MAX`]; 0 with `count` alone.
    pub limit: usize,
    /// Whether values are wanted.
    pub values: bool,
    /// Whether all live items of the range are counted, whatever the limit.
    pub count: bool,
}

impl Range {
    /// Every item, values included, one page.
    pub fn all() -> Self {
        Self {
            from: Bound::Unbounded,
            to: Bound::Unbounded,
            reverse: false,
            skip: 0,
            limit: PAGE_MAX,
            values: true,
            count: false,
        }
    }

    /// Every item whose name begins with `prefix`.
    pub fn prefix(prefix: impl Into<Bytes>) -> Self {
        let prefix = prefix.into();
        let to = after_prefix(&prefix).map_or(Bound::Unbounded, |end| Bound::Excluded(ItemId::new(end)));
        Self { from: Bound::Included(ItemId::new(prefix)), to, ..Self::all() }
    }

    /// The same, at most `limit` items.
    #[must_use]
    pub fn limit(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    /// The same, beginning after an item (before it, in reverse): the next page.
    #[must_use]
    pub fn after(mut self, item: ItemId) -> Self {
        if self.reverse {
            self.to = Bound::Excluded(item);
        } else {
            self.from = Bound::Excluded(item);
        }
        self
    }

    /// The same, from the end to the beginning.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self { reverse: true, ..self }
    }

    /// Only the number of live items.
    #[must_use]
    pub fn count_only(self) -> Self {
        Self { limit: 0, values: false, count: true, ..self }
    }
}

/// The smallest byte string greater than every string that begins with `prefix`; none where there is no end.
fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&byte| byte != u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

/// What a range held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Live items, in item order or its reverse.
    pub items: Vec<Item>,
    /// More live items lie beyond the limit.
    pub more: bool,
    /// All live items of the range, where `count` was asked for.
    pub count: Option<u64>,
}

/// Whole buckets: for sweeps, counts, moves and backups.
#[derive(Clone, Debug)]
pub struct Scan {
    /// The space.
    pub space: Space,
    /// The buckets wanted; empty for all.
    pub buckets: Vec<Bucket>,
    /// Where the last page ended; none to begin.
    pub cursor: Option<ScanCursor>,
    /// Items looked for, 1..=[`PAGE_MAX`].
    pub limit: usize,
    /// What is wanted.
    pub view: View,
}

impl Scan {
    /// A scan of all buckets from the beginning.
    pub fn new(space: &Space, view: View) -> Self {
        Self { space: space.clone(), buckets: Vec::new(), cursor: None, limit: PAGE_MAX, view }
    }
}

/// What a scan returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Live items of the store.
    Live,
    /// Items whose deadline is not after this instant (and has passed at the engine), soonest first where the engine
    /// keeps an order. Not those that an observing space has reaped.
    Expired(Time),
    /// Everything a move carries: live and expired items, receipts, absence markers.
    Raw,
}

/// Where a scan's page ended: opaque, of that engine and scan alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanCursor(pub Bytes);

/// One page of a scan. An item present throughout the scan is seen at least once, whatever writers do.
#[derive(Clone, Debug, Default)]
pub struct ScanPage {
    /// What was found.
    pub items: Vec<Scanned>,
    /// Where to go on; none at the end. A page may be empty before the end.
    pub cursor: Option<ScanCursor>,
}

/// One item of a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scanned {
    /// Its bucket.
    pub bucket: Bucket,
    /// Its partition.
    pub partition: Partition,
    /// Its key.
    pub key: ItemKey,
    /// What the engine keeps of it.
    pub state: State,
    /// The revision it is marked at, while the bucket marks ([`View::Raw`] only).
    pub mark: Option<Revision>,
}

/// How an engine is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Probe {
    /// One round trip.
    pub round_trip: Duration,
    /// The engine's clock minus ours, microseconds.
    pub clock_offset_us: i64,
    /// Connections or readers that are open.
    pub connections: u32,
    /// Connections or readers that are configured.
    pub connections_max: u32,
    /// Bytes the state takes, where known.
    pub bytes: Option<u64>,
    /// Bytes it may take, where bounded.
    pub bytes_max: Option<u64>,
    /// Live items dropped by the engine itself since it was opened.
    pub evicted: u64,
    /// A finding of the background integrity check: writes have stopped.
    pub unsound: bool,
}

/// A place that keeps state: the contract under every store.
///
/// Each bullet is a law of the same name, checked on every engine and every stack of layers.
///
/// Every verb:
/// - `bounds.served`: names, values, commits, fetches, lists and pages are served up to their stated bounds.
/// - `errors.outcome`: every error says whether anything may have changed.
/// - `errors.deadline`: where the deadline layer stands, a call whose time has run out is `Deadline`, and is not begun.
///
/// Over a restart, where the durability says so:
/// - `restart.keeps`: everything acknowledged is there as it was, and nothing deleted is back.
/// - `restart.whole`: a kill leaves every commit whole or not at all.
/// - `restart.replay`: a commit sent again under its id still happens once.
/// - `restart.fence`: controls and marks are kept.
///
/// Over any restart:
/// - `restart.revision`: revisions go on growing; none is used again.
#[async_trait]
pub trait Engine: fmt::Debug + Send + Sync + 'static {
    /// What the engine says of itself.
    fn description(&self) -> &Description;

    /// Reads items of any partitions in one round trip, one answer per address in order.
    ///
    /// - `basics.round-trip`: what was put is read back to the byte, whatever the bytes.
    /// - `basics.look-alikes`: names that look alike never meet, in partitions, items, receipts and spaces.
    /// - `basics.many`: one answer per address in the order asked, repeated and absent ones too.
    /// - `bounds.fetch`: too many addresses or an impossible name are `Invalid`.
    /// - `deadline.absent-at`: an item is absent from its deadline on, swept or not, and present before it.
    /// - `fence.read`: a fenced read is served by `Open` and `Sealed` buckets alone, else `Moved`.
    async fn fetch(&self, cx: &Cx, wanted: &[Address]) -> Result<Vec<Option<Item>>>;

    /// Reads ranges of one partition, all at one instant.
    ///
    /// - `list.order`: items come in the order of their names, or its reverse.
    /// - `list.bounds`: a range holds exactly what its bounds and prefix say, expired items left out.
    /// - `list.pages`: an item present throughout is seen exactly once over pages taken by [`Range::after`].
    /// - `list.one-instant`: all ranges of one call see the same state.
    /// - `list.window`: skip, limit, `more`, the count and the absence of values are exact.
    /// - `bounds.list`: too many ranges, too large a page, too far a skip, or a space without order are `Invalid`.
    async fn list(&self, cx: &Cx, at: &Place, ranges: &[Range]) -> Result<Vec<Page>>;

    /// Changes one partition: all or nothing, one commit after another.
    ///
    /// - `basics.outcomes`: the receipt says of each mutation what it did.
    /// - `basics.counter`: a counter begins at 0, adds exactly, keeps its deadline and never leaves the range asked for.
    /// - `bounds.commit`: a commit beyond a bound is `Invalid`, and nothing of it happens.
    /// - `checks.each`: a failed check refuses the commit, named with the present revision, and nothing happens.
    /// - `checks.atomic`: nothing of a refused commit is ever visible.
    /// - `checks.write-skew`: two commits that would each undo the other's check never both succeed.
    /// - `race.one-winner`: of any number of concurrent creators exactly one succeeds.
    /// - `race.no-lost-update`: concurrent adds sum exactly; a chain of compare-and-set loses no step.
    /// - `race.no-revival`: a touch, or a put under `At`, never brings back what was deleted.
    /// - `revision.grows`: revisions grow in a partition, are unique in a bucket and are never reused.
    /// - `revision.receipt`: everything a commit wrote bears its receipt's revision; nothing else does.
    /// - `revision.not-reused`: no revision comes again, also not after deletion or expiry.
    /// - `deadline.every-verb`: what has expired is absent for checks, mutations, lists, counts and scans alike.
    /// - `deadline.observed`: where expiry is observed, an expired item is shown until it is reaped, and only then gone.
    /// - `deadline.touch`: a touch replaces the deadline of a live item alone.
    /// - `replay.same-id`: the same id and content answers the first receipt again; other content is `Invalid`.
    /// - `replay.remembers`: an id is remembered for `commit_memory`, whatever became of what its commit changed.
    /// - `replay.refused`: a refused commit leaves nothing behind; its id is free.
    /// - `replay.at-once`: one commit sent many times at once happens once, with one receipt for all.
    /// - `take.reference`: every decision equals the reference algorithm on the same history.
    /// - `take.exact`: of any number of concurrent takes exactly the limit is admitted.
    /// - `take.denied`: a denied take refuses the whole commit; every decision of it is told.
    /// - `fence.roles`: only an `Open` bucket takes commits.
    /// - `fence.floor`: every revision is greater than the control's floor, and of the control's term.
    /// - `fence.time-floor`: no instant before the control's time floor judges an expiry.
    /// - `fence.epoch`: a commit at another epoch is `Moved` with the present one, and nothing happens.
    async fn commit(&self, cx: &Cx, at: &Place, commit: &Commit) -> Result<Receipt>;

    /// Walks whole buckets page by page.
    ///
    /// - `scan.complete`: what is present throughout is seen at least once beside writers.
    /// - `scan.live`: the live view returns live items of the buckets asked for alone, and no receipts.
    /// - `scan.expired`: the expired view returns what is past its deadline, and nothing else.
    /// - `scan.raw`: the raw view returns live and expired items, receipts, absence markers and marks.
    /// - `bounds.scan`: no page size, too large a one, or a bucket that is not there are `Invalid`.
    async fn scan(&self, cx: &Cx, scan: &Scan) -> Result<ScanPage>;

    /// Asks how the engine is, without changing anything.
    async fn probe(&self, cx: &Cx) -> Result<Probe>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_where_it_must() {
        assert_eq!(after_prefix(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(after_prefix(b"a\xff"), Some(b"b".to_vec()));
        assert_eq!(after_prefix(b"\xff\xff"), None);
        assert_eq!(after_prefix(b""), None);
    }
}
