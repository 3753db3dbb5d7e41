//! Whole buckets.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use statehold_core::{Bucket, Commit, CommitId, Result, Scan, Scanned, Time, Traits, View};

use super::{always, check, every_item, every_page};
use crate::breach::{LawResult, ensure, ensure_eq};
use crate::broken::broken;
use crate::law::Law;
use crate::rig::Rig;

pub(super) const LAWS: &[Law] = &[
    Law {
        id: "scan.complete",
        promise: "A walk over everything sees what was there throughout at least once, whatever others write meanwhile.",
        applies: always,
        check: check!(complete),
        broken: broken![read::ScansByPosition],
    },
    Law {
        id: "scan.live",
        promise: "A walk over some buckets sees the live items of these alone, each with its bucket, and no receipts.",
        applies: always,
        check: check!(live),
        broken: broken![read::ScansEveryBucket, read::ScansReceipts],
    },
    Law {
        id: "scan.expired",
        promise: "The expired view shows what is past its deadline at the instant asked for, and nothing else.",
        applies: always,
        check: check!(expired),
        broken: broken![read::ExpiredShowsAll, read::SweepsObserved],
    },
    Law {
        id: "scan.raw",
        promise: "The raw view shows everything that a move carries: live items, receipts, markers of absence and marks.",
        applies: always,
        check: check!(raw),
        broken: broken![read::RawHidesMarkers, read::RawHidesMarks],
    },
];

fn name(found: &Scanned) -> Option<Bytes> {
    found.key.id().map(|id| id.as_bytes().clone())
}

async fn complete(rig: Rig) -> LawResult {
    let ground = rig.plain_ground().await?;
    let mut stable = HashSet::new();
    for n in 0..150 {
        let item = Bytes::from(format!("stable-{n}"));
        ground
            .commit(&ground.place(format!("p{}", n % 11)), Commit::new().put(item.clone(), "x", None))
            .await?;
        stable.insert(item);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let (stopped, writing) = (Arc::clone(&stop), ground.clone());
    let task = tokio::spawn(async move {
        for n in 0_u64.. {
            if stopped.load(Ordering::Relaxed) {
                break;
            }
            let (at, item) = (writing.place(format!("p{}", n % 40 % 13)), format!("moving-{}", n % 40));
            let deletes = n / 40 % 2 == 1;
            let commit =
                if deletes { Commit::new().delete(item) } else { Commit::new().put(item, "x", None) };
            writing.commit(&at, commit).await?;
            tokio::task::yield_now().await;
        }
        Result::<()>::Ok(())
    });
    for round in 0..12 {
        let scan = Scan { limit: [1, 3, 10, 1_000][round % 4], ..Scan::new(&ground.space, View::Live) };
        let seen: HashSet<Bytes> = every_page(rig.engine(), scan).await?.iter().filter_map(name).collect();
        let missed: Vec<_> = stable.difference(&seen).collect();
        ensure!(
            missed.is_empty(),
            "a scan beside writers missed {} of {}: {missed:?}",
            missed.len(),
            stable.len()
        );
    }
    stop.store(true, Ordering::Relaxed);
    task.await.expect("the writer ends")?;
    Ok(())
}

async fn live(rig: Rig) -> LawResult {
    let ground = rig.plain_ground().await?;
    let soon = rig.deadline(Duration::from_secs(1));
    let mut expected = Vec::new();
    for n in 0..40 {
        let at = ground.place(format!("p{n}"));
        let id = CommitId::from_bytes([n; 16]);
        ground.commit(&at, Commit::new().with_id(id).put("kept", "x", None).put("ends", "x", soon)).await?;
        ground.commit(&at, Commit::new().put("deleted", "x", None)).await?;
        ground.commit(&at, Commit::new().delete("deleted")).await?;
        expected.push((at.bucket, at.partition));
    }
    rig.advance(Duration::from_secs(2));
    for buckets in [vec![], vec![Bucket::new(3)], vec![Bucket::new(0), Bucket::new(6), Bucket::new(7)]] {
        let scan = Scan { buckets: buckets.clone(), limit: 4, ..Scan::new(&ground.space, View::Live) };
        let found = every_page(rig.engine(), scan).await?;
        let mut seen = Vec::new();
        for found in found {
            ensure_eq!(
                name(&found),
                Some(Bytes::from_static(b"kept")),
                "a scan of live items shows something else"
            );
            seen.push((found.bucket, found.partition));
        }
        seen.sort();
        let mut wanted = expected.clone();
        wanted.retain(|(bucket, _)| buckets.is_empty() || buckets.contains(bucket));
        wanted.sort();
        ensure_eq!(seen, wanted, "a scan of the buckets {buckets:?} shows others");
    }
    Ok(())
}

async fn expired(rig: Rig) -> LawResult {
    let ground = rig.ground(Traits { observes_expiry: true, ..Traits::default() }).await?;
    let start = rig.now();
    for n in 1..=30_u64 {
        let deadline = rig.deadline(Duration::from_secs(n));
        let at = ground.place(format!("p{}", n % 5));
        ground
            .commit(&at, Commit::new().put(format!("{n:02}"), "x", deadline).put("never", "x", None))
            .await?;
    }
    let seconds = |n: u64| start.plus(Duration::from_secs(n));
    rig.set_clock(seconds(20));
    for (asked, last) in [(Time::default(), 0), (seconds(7), 7), (seconds(20), 20), (seconds(25), 20)] {
        let scan = Scan { limit: 3, ..Scan::new(&ground.space, View::Expired(asked)) };
        let mut seen: Vec<Bytes> = every_page(rig.engine(), scan).await?.iter().filter_map(name).collect();
        seen.sort();
        let wanted: Vec<Bytes> = (1..=last).map(|n| Bytes::from(format!("{n:02}"))).collect();
        ensure_eq!(seen, wanted, "the items expired at {asked:?}, looked for at {:?}", rig.now());
    }
    Ok(())
}

async fn raw(rig: Rig) -> LawResult {
    let ground = rig.plain_ground().await?;
    let at = ground.place("p");
    let id = CommitId::from_bytes([5; 16]);
    ground.commit(&at, Commit::new().put("before", "x", None).put("deleted", "x", None)).await?;
    let control = ground.turn(at.bucket, |control| control.marking = true).await?;
    let marked = at.clone().at(control.epoch);
    let soon = rig.deadline(Duration::from_secs(1));
    let wrote =
        ground.commit(&marked, Commit::new().with_id(id).delete("deleted").put("ends", "x", soon)).await?;
    rig.advance(Duration::from_secs(2));
    let found = every_item(rig.engine(), &ground.space, View::Raw).await?;
    let of = |item: &'static [u8]| found.iter().find(|found| name(found).as_deref() == Some(item));
    let Some(before) = of(b"before") else {
        return Err(crate::Breach::Broken("the raw view leaves out a live item".into()));
    };
    ensure_eq!((before.mark, before.state.body.is_some()), (None, true), "an item from before the marking");
    let Some(marker) = of(b"deleted") else {
        return Err(crate::Breach::Broken("the raw view leaves out the marker of an absence".into()));
    };
    let expected = (Some(wrote.revision), None, wrote.revision);
    ensure_eq!(
        (marker.mark, marker.state.body.clone(), marker.state.revision),
        expected,
        "the marker of an absence"
    );
    let Some(ended) = of(b"ends") else {
        return Err(crate::Breach::Broken(
            "the raw view leaves out an expired item while the bucket marks".into(),
        ));
    };
    let deadline = ended.state.body.as_ref().and_then(|body| body.deadline);
    ensure_eq!((ended.mark, deadline), (Some(wrote.revision), soon), "an expired item");
    let receipts = found.iter().filter(|found| found.key.is_receipt()).count();
    ensure_eq!(receipts, 1, "receipts in the raw view");
    Ok(())
}
