//! Bounds: refused beyond, served up to.

use std::ops::Bound;
use std::time::Duration;

use bytes::Bytes;
use statehold_core::{
    Announcement, Bucket, CHECKS_MAX, COMMIT_BYTES_MAX, Commit, Cx, FETCH_MAX, ITEM_BYTES_MAX, ItemId, Kind,
    LimitPolicy, MUTATIONS_MAX, PAGE_MAX, PARTITION_BYTES_MAX, PAYLOAD_BYTES_MAX, RANGES_MAX, Range,
    SKIP_MAX, Scan, Topic, Traits, View,
};

use super::{always, check};
use crate::breach::{LawResult, ensure, ensure_eq};
use crate::broken::broken;
use crate::law::Law;
use crate::rig::{Rig, refused};

pub(super) const LAWS: &[Law] = &[
    Law {
        id: "bounds.served",
        promise: "Names, values, changes, reads and pages are served up to their stated bounds.",
        applies: always,
        check: check!(served),
        broken: broken![commit::RefusesTheLargest, commit::CutsNames],
    },
    Law {
        id: "bounds.commit",
        promise: "A change beyond a bound is refused as invalid, and nothing of it happens.",
        applies: always,
        check: check!(commit_bounds),
        broken: broken![commit::TakesAnything],
    },
    Law {
        id: "bounds.fetch",
        promise: "A read of too many items, or of an impossible name, is refused as invalid.",
        applies: always,
        check: check!(fetch_bounds),
        broken: broken![commit::TakesAnything],
    },
    Law {
        id: "bounds.list",
        promise: "Too many ranges, too large pages and too far skips are refused, and lists of unordered spaces.",
        applies: always,
        check: check!(list_bounds),
        broken: broken![commit::TakesAnything],
    },
    Law {
        id: "bounds.scan",
        promise: "A walk with no page size, too large a one, or over a bucket that is not there is refused.",
        applies: always,
        check: check!(scan_bounds),
        broken: broken![commit::TakesAnything],
    },
];

const TRAITS: Traits =
    Traits { ordered: true, observes_expiry: false, announces: false, unsynced: false, disposable: false };

async fn served(rig: Rig) -> LawResult {
    let ground = rig.ground(TRAITS).await?;
    let engine = rig.engine();
    let at = ground.place(vec![b'p'; PARTITION_BYTES_MAX]);
    let long = vec![b'i'; ITEM_BYTES_MAX];
    let largest = Bytes::from(vec![7; engine.description().value_bytes_max]);
    ground.commit(&at, Commit::new().put(long.clone(), largest.clone(), None)).await?;
    ensure!(
        ground.value(&at, long).await?.as_ref() == Some(&largest),
        "the largest value under the longest name"
    );
    let at = ground.place("many");
    let name = |n: usize| format!("{n:05}");
    let full =
        (0..MUTATIONS_MAX).fold(Commit::new(), |commit, n| commit.absent(name(n)).put(name(n), "x", None));
    ensure_eq!(full.checks.len(), CHECKS_MAX, "a full commit");
    let answer = ground.commit(&at, full).await;
    ensure!(answer.is_ok(), "a commit of the most checks and mutations is refused: {answer:?}");
    let wanted: Vec<_> = (0..FETCH_MAX).map(|n| at.item(name(n))).collect();
    let found = engine.fetch(&Cx::new(), &wanted).await?;
    ensure_eq!(found.iter().flatten().count(), FETCH_MAX, "items of the largest fetch");
    let ranges: Vec<Range> = (0..RANGES_MAX).map(|n| Range { skip: n, ..Range::all().limit(2) }).collect();
    ensure_eq!(engine.list(&Cx::new(), &at, &ranges).await?.len(), RANGES_MAX, "pages of the largest list");
    let page = engine.list(&Cx::new(), &at, &[Range::all().limit(PAGE_MAX)]).await?.remove(0);
    ensure_eq!((page.items.len(), page.more), (PAGE_MAX, true), "the largest page");
    let far = engine.list(&Cx::new(), &at, &[Range { skip: SKIP_MAX, ..Range::all() }]).await?.remove(0);
    ensure_eq!((far.items.len(), far.more), (0, false), "the page after the farthest skip");
    let scan = Scan { limit: PAGE_MAX, ..Scan::new(&ground.space, View::Live) };
    ensure!(engine.scan(&Cx::new(), &scan).await?.items.len() <= PAGE_MAX, "the largest page of a scan");
    Ok(())
}

async fn commit_bounds(rig: Rig) -> LawResult {
    let ground = rig.ground(TRAITS).await?;
    let at = ground.place("p");
    let value_max = rig.engine().description().value_bytes_max;
    let long = vec![b'i'; ITEM_BYTES_MAX + 1];
    let name = |n: usize| format!("{n:05}");
    let put = || Commit::new().put("first", "1", None);
    let minute = Duration::from_mins(1);
    let take = |policy, cost| put().take("limit", policy, cost);
    let sliding = |limit, window| LimitPolicy::Sliding { limit, window };
    let topic = Topic::new("t").expect("a topic of one byte");
    let heavy = |payload| put().announce(Announcement { topic: topic.clone(), payload });
    let half = Bytes::from(vec![0; value_max]);
    let too_heavy =
        (0..=COMMIT_BYTES_MAX / value_max).fold(put(), |commit, n| commit.put(name(n), half.clone(), None));
    let cases = [
        (put().put(long.clone(), "1", None), "an item name that is too long"),
        (put().absent(long), "a check of a name that is too long"),
        (put().put("big", vec![0; value_max + 1], None), "a value that is too large"),
        ((0..MUTATIONS_MAX).fold(put(), |commit, n| commit.put(name(n), "1", None)), "too many mutations"),
        ((0..=CHECKS_MAX).fold(put(), |commit, n| commit.absent(name(n))), "too many checks"),
        (too_heavy, "too many bytes"),
        (put().put("twice", "1", None).delete("twice"), "an item named twice"),
        (
            (0..20).fold(put(), |commit, n| commit.delete(name(n))).touch(name(7), None),
            "an item named twice of many",
        ),
        (take(sliding(0, minute), 1), "a limit of nothing"),
        (take(sliding(1_001, minute), 1), "a sliding limit that is too large"),
        (take(sliding(5, Duration::ZERO), 1), "a window of no time"),
        (take(sliding(5, Duration::from_nanos(1_500)), 1), "a window of half a microsecond"),
        (take(sliding(5, minute), 0), "a cost of nothing"),
        (take(sliding(5, minute), 6), "a cost above the limit"),
        (heavy(Bytes::new()), "an announcement in a space that does not announce"),
    ];
    for (commit, what) in cases {
        ground.refused(&at, commit, Kind::Invalid, what).await?;
        ensure_eq!(ground.get(&at, "first").await?, None, "{what} was refused, and happened in part");
    }
    let heard = rig.ground(Traits { announces: true, ..TRAITS }).await?;
    let commit = heavy(Bytes::from(vec![0; PAYLOAD_BYTES_MAX + 1]));
    heard.refused(&heard.place("p"), commit, Kind::Invalid, "an announcement that is too large").await?;
    ensure_eq!(
        heard.get(&heard.place("p"), "first").await?,
        None,
        "a refused announcement's commit happened"
    );
    Ok(())
}

async fn fetch_bounds(rig: Rig) -> LawResult {
    let ground = rig.plain_ground().await?;
    let at = ground.place("p");
    let many = vec![at.item("x"); FETCH_MAX + 1];
    refused(rig.engine().fetch(&Cx::new(), &many).await, Kind::Invalid, "a fetch of too many")?;
    let long = [at.item("x"), at.item(vec![b'i'; ITEM_BYTES_MAX + 1])];
    refused(
        rig.engine().fetch(&Cx::new(), &long).await,
        Kind::Invalid,
        "a fetch of a name that is too long",
    )?;
    Ok(())
}

async fn list_bounds(rig: Rig) -> LawResult {
    let ground = rig.ground(TRAITS).await?;
    let at = ground.place("p");
    let long = Bound::Included(ItemId::new(vec![b'i'; ITEM_BYTES_MAX + 1]));
    for (ranges, what) in [
        (vec![Range::all(); RANGES_MAX + 1], "a list of too many ranges"),
        (vec![Range::all().limit(PAGE_MAX + 1)], "a page that is too large"),
        (vec![Range::all().limit(0)], "a page of nothing"),
        (vec![Range::all(), Range { skip: SKIP_MAX + 1, ..Range::all() }], "a skip that is too far"),
        (vec![Range { to: long, ..Range::all() }], "a bound that is too long"),
    ] {
        refused(rig.engine().list(&Cx::new(), &at, &ranges).await, Kind::Invalid, what)?;
    }
    let unordered = rig.plain_ground().await?;
    let answer = rig.engine().list(&Cx::new(), &unordered.place("p"), &[Range::all()]).await;
    refused(answer, Kind::Invalid, "a list of a space without order")?;
    Ok(())
}

async fn scan_bounds(rig: Rig) -> LawResult {
    let ground = rig.plain_ground().await?;
    let scan = Scan::new(&ground.space, View::Live);
    for (scan, what) in [
        (Scan { limit: 0, ..scan.clone() }, "a scan with pages of nothing"),
        (Scan { limit: PAGE_MAX + 1, ..scan.clone() }, "a scan with pages that are too large"),
        (Scan { buckets: vec![Bucket::new(8)], ..scan.clone() }, "a scan of a bucket that is not there"),
    ] {
        refused(rig.engine().scan(&Cx::new(), &scan).await, Kind::Invalid, what)?;
    }
    Ok(())
}
