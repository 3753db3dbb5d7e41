//! Deadlines.

use std::time::Duration;

use bytes::Bytes;
use statehold_core::{Commit, Cx, Kind, LimitPolicy, MutationOutcome, Range, Revision, Time, Traits, View};

use super::{always, check, every_item};
use crate::breach::{LawResult, ensure, ensure_eq};
use crate::broken::broken;
use crate::law::Law;
use crate::rig::{Ground, Rig};

pub(super) const LAWS: &[Law] = &[
    Law {
        id: "deadline.absent-at",
        promise: "An item is there until its deadline and gone from it on, to the millisecond.",
        applies: always,
        check: check!(absent_at),
        broken: broken![read::ServesExpired, read::EndsEarly],
    },
    Law {
        id: "deadline.touch",
        promise: "A touch replaces the deadline of a live item and nothing else; it never brings one back.",
        applies: always,
        check: check!(touch),
        broken: broken![commit::TouchRevives, commit::ForgetsTheTime, commit::LosesTouches],
    },
    Law {
        id: "deadline.every-verb",
        promise: "What has expired is absent for everything: checks, changes, lists, counts, scans.",
        applies: always,
        check: check!(every_verb),
        broken: broken![commit::ForgetsTheTime, read::ListsExpired, read::ScansExpired],
    },
    Law {
        id: "deadline.observed",
        promise: "Where the store observes expiry, an expired item is shown to it until it is reaped, and only then gone.",
        applies: always,
        check: check!(observed),
        broken: broken![read::SweepsObserved, commit::ReapsAnything],
    },
];

const TRAITS: Traits =
    Traits { ordered: true, observes_expiry: false, announces: false, unsynced: false, disposable: false };

async fn absent_at(rig: Rig) -> LawResult {
    let ground = rig.ground(TRAITS).await?;
    let at = ground.place("p");
    // Deadlines are whole milliseconds; the clock stands between two of them as often as on one.
    rig.set_clock(Time::from_micros(1_700_000_000_000_000));
    for offset in [0, 1, 500, 999] {
        let end = rig.now().plus(Duration::from_secs(10));
        let deadline = statehold_core::Deadline::at(end);
        ground.commit(&at, Commit::new().put("x", "1", Some(deadline)).put("y", "1", None)).await?;
        for (now, there) in [
            (deadline.time().minus(Duration::from_secs(5)), true),
            (deadline.time().minus(Duration::from_micros(1)), true),
            (deadline.time(), false),
            (deadline.time().plus(Duration::from_millis(1)), false),
            (deadline.time().plus(Duration::from_hours(1)), false),
        ] {
            rig.set_clock(now);
            let read = ground.get(&at, "x").await?.is_some();
            ensure_eq!(read, there, "an item that ends at {deadline:?} is fetched at {now:?}");
            let pages = rig.engine().list(&Cx::new(), &at, &[Range::all()]).await?;
            ensure_eq!(
                pages[0].items.len(),
                1 + usize::from(there),
                "items listed at {now:?}, one ends at {deadline:?}"
            );
        }
        rig.set_clock(Time::from_micros(1_800_000_000_000_000 + offset));
    }
    Ok(())
}

async fn touch(rig: Rig) -> LawResult {
    let ground = rig.ground(TRAITS).await?;
    let at = ground.place("p");
    let (short, long) = (rig.deadline(Duration::from_secs(10)), rig.deadline(Duration::from_mins(1)));
    ground.commit(&at, Commit::new().put("x", "value", short)).await?;
    for deadline in [long, short, None, long] {
        let receipt = ground.commit(&at, Commit::new().touch("x", deadline)).await?;
        ensure_eq!(receipt.outcomes, vec![MutationOutcome::Touched], "a touch of a live item");
        let read = ground.get(&at, "x").await?.map(|item| (item.value, item.deadline, item.revision));
        ensure_eq!(
            read,
            Some((Bytes::from_static(b"value"), deadline, receipt.revision)),
            "a touched item is read"
        );
    }
    rig.advance(Duration::from_secs(30));
    ensure!(ground.get(&at, "x").await?.is_some(), "a touch did not extend an item");
    rig.advance(Duration::from_secs(30));
    let receipt = ground.commit(&at, Commit::new().touch("x", None).touch("never", long)).await?;
    ensure_eq!(receipt.outcomes, vec![MutationOutcome::Missed; 2], "a touch of what is not there");
    for item in ["x", "never"] {
        ensure_eq!(ground.get(&at, item).await?, None, "a touch brought an item back");
    }
    Ok(())
}

async fn every_verb(rig: Rig) -> LawResult {
    let ground = rig.ground(TRAITS).await?;
    let at = ground.place("p");
    let soon = rig.deadline(Duration::from_secs(1));
    let items = ["bytes", "deleted", "touched", "replaced"];
    let mut commit = Commit::new().add("counter", 7, soon).put("stays", "1", None);
    let limit = LimitPolicy::Fixed { limit: 1, window: Duration::from_secs(1) };
    commit = items.iter().fold(commit, |commit, item| commit.put(*item, "1", soon)).take("limit", limit, 1);
    let first = ground.commit(&at, commit).await?.revision;
    rig.advance(Duration::from_secs(2));

    ensure_eq!(names_listed(&rig, &ground).await?, vec!["stays"], "a list after a deadline");
    let scanned = every_item(rig.engine(), &ground.space, View::Live).await?;
    ensure_eq!(scanned.len(), 1, "live items scanned after a deadline");
    let deny = [
        Commit::new().present("bytes").put("new", "1", None),
        Commit::new().at("bytes", first).put("new", "1", None),
    ];
    for commit in deny {
        ground.refused(&at, commit, Kind::Conflict, "a check that asks for an expired item").await?;
    }
    let later = rig.deadline(Duration::from_secs(9));
    let commit = Commit::new()
        .absent("bytes")
        .delete("deleted")
        .touch("touched", None)
        .put("replaced", "2", None)
        .add("counter", 2, later)
        .take("limit", limit, 1);
    let receipt = ground.commit(&at, commit).await?;
    let expected = [
        MutationOutcome::Missed,
        MutationOutcome::Missed,
        MutationOutcome::Put { replaced: None },
        MutationOutcome::Added { value: 2, created: true },
    ];
    ensure_eq!(receipt.outcomes[..4], expected[..], "a commit on expired items");
    let counter = ground.get(&at, "counter").await?.and_then(|item| item.deadline);
    ensure_eq!(counter, later, "a counter that began anew has another deadline");
    let expected = vec!["counter", "limit", "replaced", "stays"];
    ensure_eq!(names_listed(&rig, &ground).await?, expected, "a list after a commit on expired items");
    Ok(())
}

async fn names_listed(rig: &Rig, ground: &Ground) -> LawResult<Vec<String>> {
    let ranges = [Range::all(), Range::all().count_only()];
    let pages = rig.engine().list(&Cx::new(), &ground.place("p"), &ranges).await?;
    let names = pages[0].items.iter().map(|item| String::from_utf8_lossy(item.id.as_bytes()).into_owned());
    let names: Vec<String> = names.collect();
    ensure_eq!(pages[1].count, Some(names.len() as u64), "the count and the list differ");
    Ok(names)
}

async fn observed(rig: Rig) -> LawResult {
    let ground = rig.ground(Traits { observes_expiry: true, ..TRAITS }).await?;
    let at = ground.place("p");
    let soon = rig.deadline(Duration::from_secs(1));
    let commit = Commit::new().put("x", "last words", soon).put("y", "1", soon).put("live", "1", None);
    let first = ground.commit(&at, commit).await?.revision;
    ensure!(expired(&rig, &ground).await?.is_empty(), "a scan shows as expired what is not");
    let early = ground.commit(&at, Commit::new().reap("x", first).reap("live", first)).await?;
    ensure_eq!(early.outcomes, vec![MutationOutcome::Missed; 2], "a reap of live items");
    ensure!(ground.get(&at, "x").await?.is_some(), "a reap removed a live item");
    rig.advance(Duration::from_hours(24));
    for _ in 0..2 {
        let seen = expired(&rig, &ground).await?;
        ensure_eq!(
            seen,
            vec![("x".into(), first), ("y".into(), first)],
            "expired items shown before they are reaped"
        );
    }
    let back = ground.commit(&at, Commit::new().put("y", "2", None)).await?.revision;
    let other = Revision::from_u64(first.get() + 1_000);
    let missed = ground.commit(&at, Commit::new().reap("y", first).reap("x", other)).await?;
    ensure_eq!(missed.outcomes, vec![MutationOutcome::Missed; 2], "a reap of what has changed");
    let read = ground.get(&at, "y").await?.map(|item| item.revision);
    ensure_eq!(read, Some(back), "a reap removed an item that was put again");
    let reaped = ground.commit(&at, Commit::new().reap("x", first)).await?;
    ensure_eq!(reaped.outcomes, vec![MutationOutcome::Reaped], "a reap of an expired item");
    let again = ground.commit(&at, Commit::new().reap("x", first)).await?;
    ensure_eq!(again.outcomes, vec![MutationOutcome::Missed], "a second reap");
    ensure!(expired(&rig, &ground).await?.is_empty(), "a reaped item is still shown as expired");
    Ok(())
}

/// The names and revisions that the expired view shows.
async fn expired(rig: &Rig, ground: &Ground) -> LawResult<Vec<(String, Revision)>> {
    let found = every_item(rig.engine(), &ground.space, View::Expired(rig.now())).await?;
    let named = found.into_iter().filter_map(|found| Some((found.key.id()?, found.state.revision)));
    let mut named: Vec<_> =
        named.map(|(id, revision)| (String::from_utf8_lossy(id.as_bytes()).into_owned(), revision)).collect();
    named.sort();
    Ok(named)
}
