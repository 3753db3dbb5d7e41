//! Ranges of one partition.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use statehold_core::{Commit, Cx, ItemId, Page, Range, Result};

use super::{always, check};
use crate::breach::{LawResult, ensure, ensure_eq};
use crate::broken::broken;
use crate::law::Law;
use crate::random::Seeded;
use crate::rig::{Ground, Rig};

pub(super) const LAWS: &[Law] = &[
    Law {
        id: "list.order",
        promise: "A list comes in the order of the names' bytes, or its reverse.",
        applies: always,
        check: check!(order),
        broken: broken![read::ListsByLength, read::NeverReverses],
    },
    Law {
        id: "list.bounds",
        promise: "A range holds exactly what lies between its bounds, and a prefix exactly what begins with it.",
        applies: always,
        check: check!(bounds),
        broken: broken![read::IncludesTheEnd, read::ListsExpired],
    },
    Law {
        id: "list.window",
        promise: "Skip, limit, `more`, the count and the absence of values are exact.",
        applies: always,
        check: check!(window),
        broken: broken![read::SaysNoMore, read::CountsThePage, read::SendsValues],
    },
    Law {
        id: "list.pages",
        promise: "Paging beside writers shows what was there throughout exactly once.",
        applies: always,
        check: check!(pages),
        broken: broken![read::IncludesTheStart],
    },
    Law {
        id: "list.one-instant",
        promise: "All ranges of one list see the same state.",
        applies: always,
        check: check!(one_instant),
        broken: broken![read::ReadsRangesApart],
    },
];

async fn list(rig: &Rig, ground: &Ground, range: Range) -> LawResult<Page> {
    let pages = rig.engine().list(&Cx::new(), &ground.place("p"), &[range]).await?;
    ensure_eq!(pages.len(), 1, "a list of one range has another number of pages");
    Ok(pages.into_iter().next().unwrap_or_default())
}

fn ids(page: &Page) -> Vec<Bytes> {
    page.items.iter().map(|item| item.id.as_bytes().clone()).collect()
}

async fn order(rig: Rig) -> LawResult {
    let ground = rig.ordered_ground().await?;
    let at = ground.place("p");
    let mut names: Vec<Bytes> = (0..=u8::MAX).map(|byte| Bytes::from(vec![byte])).collect();
    names.extend(
        [&b""[..], b"a\0", b"aa", b"a\xff", b"ab", b"\xff\xff", b"\0\0", b"10", b"9"].map(Bytes::from_static),
    );
    // Put in another order than they are listed in.
    for index in 0..names.len() {
        let name = names[index * 101 % names.len()].clone();
        ground.commit(&at, Commit::new().put(name, "x", None)).await?;
    }
    names.sort();
    names.dedup();
    ensure_eq!(ids(&list(&rig, &ground, Range::all()).await?), names, "a list is out of order");
    names.reverse();
    ensure_eq!(
        ids(&list(&rig, &ground, Range::all().reversed()).await?),
        names,
        "a reversed list is out of order"
    );
    Ok(())
}

async fn bounds(rig: Rig) -> LawResult {
    let ground = rig.ordered_ground().await?;
    let at = ground.place("p");
    let mut random = Seeded::fresh();
    let soon = rig.deadline(std::time::Duration::from_secs(1));
    let mut model = BTreeMap::new();
    let name = |random: &mut Seeded| {
        let length = random.below(4);
        Bytes::from((0..length).map(|_| [0, b'a', b'b', 0xff][random.below(4) as usize]).collect::<Vec<u8>>())
    };
    for _ in 0..40 {
        let item = name(&mut random);
        let expires = random.one_in(4);
        ground.commit(&at, Commit::new().put(item.clone(), "x", soon.filter(|_| expires))).await?;
        model.insert(item, !expires);
    }
    // A neighbouring partition must not leak in.
    ground.commit(&ground.place("p\0"), Commit::new().put("a", "x", None)).await?;
    rig.advance(std::time::Duration::from_secs(2));
    model.retain(|_, stays| *stays);
    for _ in 0..200 {
        let mut bound = |kind: u64| match kind {
            0 => Bound::Unbounded,
            1 => Bound::Included(name(&mut random)),
            _ => Bound::Excluded(name(&mut random)),
        };
        let (from, to) = (bound(model.len() as u64 % 3), bound(2));
        let (from, to) = if random.one_in(2) { (from, to) } else { (to, from) };
        let inside = |id: &Bytes| {
            let after = match &from {
                Bound::Included(from) => id >= from,
                Bound::Excluded(from) => id > from,
                Bound::Unbounded => true,
            };
            let before = match &to {
                Bound::Included(to) => id <= to,
                Bound::Excluded(to) => id < to,
                Bound::Unbounded => true,
            };
            after && before
        };
        let expected: Vec<Bytes> = model.keys().filter(|id| inside(id)).cloned().collect();
        let wanted =
            Range { from: from.clone().map(ItemId::new), to: to.clone().map(ItemId::new), ..Range::all() };
        let found = ids(&list(&rig, &ground, wanted).await?);
        ensure_eq!(found, expected, "seed {}: the range {from:?}..{to:?} holds other items", random.seed());
    }
    for _ in 0..40 {
        let prefix = name(&mut random);
        let expected: Vec<Bytes> = model.keys().filter(|id| id.starts_with(&prefix)).cloned().collect();
        let found = ids(&list(&rig, &ground, Range::prefix(prefix.clone())).await?);
        ensure_eq!(found, expected, "seed {}: the prefix {prefix:?} holds other items", random.seed());
    }
    Ok(())
}

async fn window(rig: Rig) -> LawResult {
    let ground = rig.ordered_ground().await?;
    let at = ground.place("p");
    let names: Vec<Bytes> = (10..30).map(|n| Bytes::from(n.to_string())).collect();
    let commit = names.iter().fold(Commit::new(), |commit, name| commit.put(name.clone(), "value", None));
    ground.commit(&at, commit).await?;
    for reverse in [false, true] {
        for skip in [0, 1, 19, 20, 21, 1_000] {
            for limit in [1, 5, 19, 20, 21, 1_000] {
                let range = Range { reverse, skip, limit, count: skip % 2 == 0, ..Range::all() };
                let page = list(&rig, &ground, range).await?;
                let mut expected = names.clone();
                if reverse {
                    expected.reverse();
                }
                let expected: Vec<Bytes> = expected.into_iter().skip(skip).take(limit).collect();
                let what = format!("reverse {reverse}, skip {skip}, limit {limit}");
                ensure_eq!(ids(&page), expected, "{what}: other items");
                ensure_eq!(page.more, skip + limit < names.len(), "{what}: `more`");
                ensure_eq!(page.count, (skip % 2 == 0).then_some(20), "{what}: the count");
            }
        }
    }
    let bare = list(&rig, &ground, Range { values: false, ..Range::all() }).await?;
    ensure!(bare.items.iter().all(|item| item.value.is_empty()), "values were sent that nobody asked for");
    ensure!(bare.items.iter().all(|item| item.revision.get() > 0), "revisions are left out with the values");
    let counted = list(&rig, &ground, Range::prefix("1").count_only()).await?;
    ensure_eq!((counted.items.len(), counted.count), (0, Some(10)), "a count alone");
    Ok(())
}

/// Somebody who writes until told to stop.
fn writer(
    ground: Ground,
    write: impl Fn(u64) -> Commit + Send + 'static,
) -> (Arc<AtomicBool>, tokio::task::JoinHandle<Result<()>>) {
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let task = tokio::spawn(async move {
        let at = ground.place("p");
        for n in 0.. {
            if stopped.load(Ordering::Relaxed) {
                break;
            }
            ground.commit(&at, write(n)).await?;
            tokio::task::yield_now().await;
        }
        Ok(())
    });
    (stop, task)
}

async fn pages(rig: Rig) -> LawResult {
    let ground = rig.ordered_ground().await?;
    let at = ground.place("p");
    let stable: Vec<Bytes> = (0..120).map(|n| Bytes::from(format!("{n:03}-stable"))).collect();
    let commit = stable.iter().fold(Commit::new(), |commit, name| commit.put(name.clone(), "x", None));
    ground.commit(&at, commit).await?;
    let (stop, task) = writer(ground.clone(), |n| {
        let name = format!("{:03}-moving", n * 7 % 120);
        if n / 120 % 2 == 1 { Commit::new().delete(name) } else { Commit::new().put(name, "x", None) }
    });
    for round in 0..20 {
        // An engine that never waits would keep the writer from being run at all.
        tokio::task::yield_now().await;
        let mut range = Range { reverse: round % 2 == 1, ..Range::all().limit(7) };
        let mut seen = Vec::new();
        loop {
            let page = list(&rig, &ground, range.clone()).await?;
            ensure!(seen.len() < 10_000, "paging does not come to an end");
            seen.extend(ids(&page));
            tokio::task::yield_now().await;
            let Some(last) = page.items.last().filter(|_| page.more) else { break };
            range = range.after(last.id.clone());
        }
        seen.retain(|name| name.ends_with(b"stable"));
        if round % 2 == 1 {
            seen.reverse();
        }
        ensure_eq!(seen, stable, "items that were there throughout are not seen exactly once");
    }
    stop.store(true, Ordering::Relaxed);
    task.await.expect("the writer ends")?;
    Ok(())
}

async fn one_instant(rig: Rig) -> LawResult {
    let ground = rig.ordered_ground().await?;
    ground.commit(&ground.place("p"), Commit::new().put("left", "x", None)).await?;
    let (stop, task) = writer(ground.clone(), |n| {
        let (from, to) = if n % 2 == 0 { ("left", "right") } else { ("right", "left") };
        Commit::new().delete(from).put(to, "x", None)
    });
    for _ in 0..150 {
        tokio::task::yield_now().await;
        let ranges = [Range::prefix("left"), Range::prefix("right"), Range::all().count_only()];
        let pages = rig.engine().list(&Cx::new(), &ground.place("p"), &ranges).await?;
        let seen = (pages[0].items.len(), pages[1].items.len(), pages[2].count);
        ensure!(
            matches!(seen, (1, 0, Some(1)) | (0, 1, Some(1))),
            "one item that changes its name is seen as {seen:?}"
        );
    }
    stop.store(true, Ordering::Relaxed);
    task.await.expect("the writer ends")?;
    Ok(())
}
