//! Reads that show what they must not.

use std::ops::Bound;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use statehold_core::{
    Address, Cx, Item, ItemId, ItemKey, Page, Place, Range, Result, Scan, ScanCursor, ScanPage, Scanned,
    Time, View as Wanted,
};

use super::habits;
use crate::plain::{Plain, page};

type Fetched = Result<Vec<Option<Item>>>;

/// What is fetched, each item changed.
fn fetched(plain: &Plain, cx: &Cx, wanted: &[Address], change: impl Fn(Item) -> Option<Item>) -> Fetched {
    let items = plain.fetch_soundly(cx, wanted)?;
    Ok(items.into_iter().map(|item| item.and_then(&change)).collect())
}

/// What is listed, each range changed.
fn ranged(
    plain: &Plain,
    cx: &Cx,
    at: &Place,
    ranges: &[Range],
    change: impl Fn(Range) -> Range,
) -> Result<Vec<Page>> {
    let ranges: Vec<Range> = ranges.iter().cloned().map(change).collect();
    plain.list_soundly(cx, at, &ranges)
}

/// What is listed, each page changed.
fn paged(
    plain: &Plain,
    cx: &Cx,
    at: &Place,
    ranges: &[Range],
    change: impl Fn(&mut Page),
) -> Result<Vec<Page>> {
    let mut pages = plain.list_soundly(cx, at, ranges)?;
    pages.iter_mut().for_each(change);
    Ok(pages)
}

/// What the raw view shows, so far as it is wanted.
fn scanned(plain: &Plain, scan: &Scan, wanted: impl Fn(&Scanned) -> bool) -> Result<ScanPage> {
    let mut page = plain.scan_soundly(&Scan { view: Wanted::Raw, ..scan.clone() })?;
    page.items.retain(wanted);
    Ok(page)
}

fn including(bound: Bound<ItemId>) -> Bound<ItemId> {
    match bound {
        Bound::Excluded(id) => Bound::Included(id),
        other => other,
    }
}

habits! {
    /// Ends a value at its first NUL.
    EndsAtNul {
        fn fetch(&self, plain: &Plain, cx: &Cx, wanted: &[Address]) -> Fetched {
            fetched(plain, cx, wanted, |mut item| {
                let end = item.value.iter().position(|&byte| byte == 0).unwrap_or(item.value.len());
                item.value.truncate(end);
                Some(item)
            })
        }
    }

    /// Takes every value for text.
    ReadsText {
        fn fetch(&self, plain: &Plain, cx: &Cx, wanted: &[Address]) -> Fetched {
            fetched(plain, cx, wanted, |mut item| {
                item.value = Bytes::from(String::from_utf8_lossy(&item.value).into_owned());
                Some(item)
            })
        }
    }

    /// Answers only what is there.
    LeavesOutAbsent {
        fn fetch(&self, plain: &Plain, cx: &Cx, wanted: &[Address]) -> Fetched {
            let mut items = plain.fetch_soundly(cx, wanted)?;
            if wanted.len() > 1 {
                items.retain(Option::is_some);
            }
            Ok(items)
        }
    }

    /// Answers in the order of the addresses.
    SortsAnswers {
        fn fetch(&self, plain: &Plain, cx: &Cx, wanted: &[Address]) -> Fetched {
            let mut wanted = wanted.to_vec();
            wanted.sort_by(|a, b| (&a.place.partition, &a.item).cmp(&(&b.place.partition, &b.item)));
            plain.fetch_soundly(cx, &wanted)
        }
    }

    /// Fetches what has expired and was not swept yet.
    ServesExpired {
        fn fetch(&self, plain: &Plain, _: &Cx, wanted: &[Address]) -> Fetched {
            let mut world = plain.world();
            let item = |address: &Address| {
                let bucket = world.bucket(&address.place.space, address.place.bucket);
                let key = (address.place.partition.clone(), ItemKey::item(&address.item));
                bucket.items.get(&key)?.clone().into_item(address.item.clone(), Time::default())
            };
            Ok(wanted.iter().map(item).collect())
        }
    }

    /// Ends items a millisecond early.
    EndsEarly {
        fn fetch(&self, plain: &Plain, cx: &Cx, wanted: &[Address]) -> Fetched {
            let soon = plain.now().plus(Duration::from_millis(1));
            fetched(plain, cx, wanted, |item| Some(item).filter(|item| !item.deadline.is_some_and(|end| end.passed(soon))))
        }
    }

    /// Lists what has expired and was not swept yet.
    ListsExpired {
        fn list(&self, plain: &Plain, _: &Cx, at: &Place, ranges: &[Range]) -> Result<Vec<Page>> {
            let mut world = plain.world();
            let bucket = world.bucket(&at.space, at.bucket);
            Ok(ranges.iter().map(|range| page(bucket, &at.partition, range, Time::default())).collect())
        }
    }

    /// Lists short names first.
    ListsByLength {
        fn list(&self, plain: &Plain, cx: &Cx, at: &Place, ranges: &[Range]) -> Result<Vec<Page>> {
            paged(plain, cx, at, ranges, |page| page.items.sort_by_key(|item| item.id.as_bytes().len()))
        }
    }

    /// Lists from the beginning, whatever is asked.
    NeverReverses {
        fn list(&self, plain: &Plain, cx: &Cx, at: &Place, ranges: &[Range]) -> Result<Vec<Page>> {
            ranged(plain, cx, at, ranges, |range| Range { reverse: false, ..range })
        }
    }

    /// Takes the end of a range for a part of it.
    IncludesTheEnd {
        fn list(&self, plain: &Plain, cx: &Cx, at: &Place, ranges: &[Range]) -> Result<Vec<Page>> {
            ranged(plain, cx, at, ranges, |range| Range { to: including(range.to.clone()), ..range })
        }
    }

    /// Begins a page with the item that it must come after.
    IncludesTheStart {
        fn list(&self, plain: &Plain, cx: &Cx, at: &Place, ranges: &[Range]) -> Result<Vec<Page>> {
            ranged(plain, cx, at, ranges, |range| Range { from: including(range.from.clone()), ..range })
        }
    }

    /// Takes every page for the last one.
    SaysNoMore {
        fn list(&self, plain: &Plain, cx: &Cx, at: &Place, ranges: &[Range]) -> Result<Vec<Page>> {
            paged(plain, cx, at, ranges, |page| page.more = false)
        }
    }

    /// Counts what is on the page.
    CountsThePage {
        fn list(&self, plain: &Plain, cx: &Cx, at: &Place, ranges: &[Range]) -> Result<Vec<Page>> {
            paged(plain, cx, at, ranges, |page| page.count = page.count.map(|_| page.items.len() as u64))
        }
    }

    /// Sends values that nobody asked for.
    SendsValues {
        fn list(&self, plain: &Plain, cx: &Cx, at: &Place, ranges: &[Range]) -> Result<Vec<Page>> {
            ranged(plain, cx, at, ranges, |range| Range { values: true, ..range })
        }
    }

    /// Reads the ranges of a list one after the other.
    ReadsRangesApart {
        fn list(&self, plain: &Plain, cx: &Cx, at: &Place, ranges: &[Range]) -> Result<Vec<Page>> {
            let mut pages = Vec::new();
            for range in ranges {
                pages.extend(plain.list_soundly(cx, at, std::slice::from_ref(range))?);
                // Long enough that a writer comes in between, on any machine.
                std::thread::sleep(Duration::from_micros(200));
            }
            Ok(pages)
        }
    }

    /// Walks on from so many items instead of from an item.
    ScansByPosition {
        fn scan(&self, plain: &Plain, scan: &Scan) -> Result<ScanPage> {
            let reached = scan.cursor.as_ref().map_or(0, |cursor| cursor.0.clone().get_u64()) as usize;
            let everything = plain.scan_soundly(&Scan { cursor: None, limit: 1_000, ..scan.clone() })?.items;
            let items: Vec<Scanned> = everything.iter().skip(reached).take(scan.limit).cloned().collect();
            let next = reached + items.len();
            let more = next < everything.len();
            let cursor = more.then(|| ScanCursor(Bytes::copy_from_slice(&(next as u64).to_be_bytes())));
            Ok(ScanPage { items, cursor })
        }
    }

    /// Walks over all buckets, whichever are wanted.
    ScansEveryBucket {
        fn scan(&self, plain: &Plain, scan: &Scan) -> Result<ScanPage> {
            plain.scan_soundly(&Scan { buckets: Vec::new(), ..scan.clone() })
        }
    }

    /// Shows receipts among the store's items.
    ScansReceipts {
        fn scan(&self, plain: &Plain, scan: &Scan) -> Result<ScanPage> {
            let now = plain.now();
            scanned(plain, scan, |found| found.state.live(now).is_some())
        }
    }

    /// Shows expired items among the live ones.
    ScansExpired {
        fn scan(&self, plain: &Plain, scan: &Scan) -> Result<ScanPage> {
            scanned(plain, scan, |found| !found.key.is_receipt() && found.state.body.is_some())
        }
    }

    /// Removes expired items before the store has seen them.
    SweepsObserved {
        fn scan(&self, plain: &Plain, scan: &Scan) -> Result<ScanPage> {
            match scan.view {
                Wanted::Expired(_) => Ok(ScanPage::default()),
                Wanted::Live | Wanted::Raw => plain.scan_soundly(scan),
            }
        }
    }

    /// Shows everything with a deadline as expired.
    ExpiredShowsAll {
        fn scan(&self, plain: &Plain, scan: &Scan) -> Result<ScanPage> {
            let ends = |found: &Scanned| found.state.body.as_ref().is_some_and(|body| body.deadline.is_some());
            match scan.view {
                Wanted::Expired(_) => scanned(plain, scan, ends),
                Wanted::Live | Wanted::Raw => plain.scan_soundly(scan),
            }
        }
    }

    /// Leaves the markers of absence out of the raw view.
    RawHidesMarkers {
        fn scan(&self, plain: &Plain, scan: &Scan) -> Result<ScanPage> {
            scanned(plain, scan, |found| found.state.body.is_some())
        }
    }

    /// Leaves the marks out of the raw view.
    RawHidesMarks {
        fn scan(&self, plain: &Plain, scan: &Scan) -> Result<ScanPage> {
            let mut page = plain.scan_soundly(scan)?;
            page.items.iter_mut().for_each(|found| found.mark = None);
            Ok(page)
        }
    }

    /// Begins calls whose time has run out.
    IgnoresTime {
        fn too_late(&self, _: Instant) -> bool {
            false
        }
    }
}
