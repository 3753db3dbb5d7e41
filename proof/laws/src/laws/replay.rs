//! Commits that are sent again.

use std::time::Duration;

use bytes::Bytes;
use statehold_core::{Commit, CommitId, Kind, LimitPolicy, MutationOutcome};
use tokio::task::JoinSet;

use super::{always, check};
use crate::breach::{LawResult, ensure, ensure_eq};
use crate::broken::broken;
use crate::law::Law;
use crate::rig::Rig;

pub(super) const LAWS: &[Law] = &[
    Law {
        id: "replay.same-id",
        promise: "A change sent again under its id answers as it did first and happens once; other content is refused.",
        applies: always,
        check: check!(same_id),
        broken: broken![commit::ForgetsIds, commit::TakesOtherContent],
    },
    Law {
        id: "replay.remembers",
        promise: "A change's id is remembered as long as the engine says, whatever became of what it changed.",
        applies: always,
        check: check!(remembers),
        broken: broken![commit::ForgetsEarly],
    },
    Law {
        id: "replay.refused",
        promise: "A refused change leaves nothing behind: its id is free for a better one.",
        applies: always,
        check: check!(refused),
        broken: broken![commit::RemembersRefusals],
    },
    Law {
        id: "replay.at-once",
        promise: "The same change sent many times at once happens once, and every sender gets the same receipt.",
        applies: always,
        check: check!(at_once),
        broken: broken![commit::ForgetsIds, commit::ForgetsItsLock],
    },
];

async fn same_id(rig: Rig) -> LawResult {
    let ground = rig.plain_ground().await?;
    let at = ground.place("p");
    let id = CommitId::from_bytes([1; 16]);
    ground.commit(&at, Commit::new().put("old", "1", None)).await?;
    let limit = LimitPolicy::Fixed { limit: 9, window: Duration::from_mins(1) };
    let commit = Commit::new()
        .with_id(id)
        .absent("new")
        .put("new", "1", rig.deadline(Duration::from_secs(5)))
        .add("n", 3, None)
        .delete("old")
        .touch("nowhere", None)
        .take("limit", limit, 2);
    let first = ground.commit(&at, commit.clone()).await?;
    ensure!(!first.replayed, "a first commit says that it is a repeat");
    rig.advance(Duration::from_secs(6));
    for _ in 0..3 {
        let again = ground.commit(&at, commit.clone()).await?;
        ensure!(again.replayed, "a repeat says that it is the first");
        ensure_eq!(again.revision, first.revision, "a repeat has another revision");
        ensure_eq!(again.outcomes, first.outcomes, "a repeat has other outcomes");
    }
    let read = ground.value(&at, "n").await?;
    ensure_eq!(read, Some(Bytes::from_static(b"3")), "a repeated add was added again");
    for (other, what) in [
        (Commit::new().with_id(id).add("n", 4, None), "another delta"),
        (commit.clone().put("more", "1", None), "one mutation more"),
        (Commit { checks: Vec::new(), ..commit.clone() }, "a check less"),
        (Commit::new().with_id(id), "nothing at all"),
    ] {
        ground.refused(&at, other, Kind::Invalid, &format!("{what} under a used id")).await?;
    }
    ensure_eq!(ground.value(&at, "n").await?, read, "other content under a used id happened");
    let elsewhere = ground.commit(&ground.place("q"), Commit::new().with_id(id).add("n", 4, None)).await?;
    ensure!(!elsewhere.replayed, "an id that another partition used counts as used here");
    let expected = vec![MutationOutcome::Added { value: 4, created: true }];
    ensure_eq!(elsewhere.outcomes, expected, "a commit in another partition");
    Ok(())
}

async fn remembers(rig: Rig) -> LawResult {
    let ground = rig.plain_ground().await?;
    let at = ground.place("p");
    let memory = rig.offer().guarantees.commit_memory;
    let commit = Commit::new().with_id(CommitId::from_bytes([2; 16])).put("x", "1", None).add("n", 1, None);
    let first = ground.commit(&at, commit.clone()).await?;
    ground.commit(&at, Commit::new().delete("x").delete("n")).await?;
    // Later ids remove expired receipts of the partition, and only these.
    rig.advance(memory / 2);
    for n in 0..10 {
        let other = Commit::new().with_id(CommitId::from_bytes([100 + n; 16])).add("other", 1, None);
        ground.commit(&at, other).await?;
    }
    rig.advance((memory / 2).saturating_sub(Duration::from_millis(10)));
    let again = ground.commit(&at, commit).await?;
    ensure!(again.replayed, "an id was forgotten before {memory:?} had passed");
    ensure_eq!(again.revision, first.revision, "a repeat has another revision");
    ensure_eq!(ground.get(&at, "x").await?, None, "a repeat brought back what was deleted");
    Ok(())
}

async fn refused(rig: Rig) -> LawResult {
    let ground = rig.plain_ground().await?;
    let at = ground.place("p");
    let id = CommitId::from_bytes([3; 16]);
    let bad = Commit::new().with_id(id).present("x").put("y", "1", None);
    ground.refused(&at, bad.clone(), Kind::Conflict, "a failed check").await?;
    ground.refused(&at, bad, Kind::Conflict, "the same commit again").await?;
    let better = Commit::new().with_id(id).put("y", "2", None);
    let receipt = ground.commit(&at, better).await;
    ensure!(receipt.is_ok(), "the id of a refused commit is taken: {receipt:?}");
    ensure_eq!(
        ground.value(&at, "y").await?.as_deref().map(<[u8]>::to_vec),
        Some(b"2".to_vec()),
        "the better commit"
    );
    Ok(())
}

async fn at_once(rig: Rig) -> LawResult {
    let ground = rig.plain_ground().await?;
    for round in 0..12 {
        let at = ground.place(format!("p{round}"));
        let mut senders = JoinSet::new();
        for _ in 0..8 {
            let (ground, at) = (ground.clone(), at.clone());
            let commit = Commit::new().with_id(CommitId::from_bytes([round; 16])).add("n", 1, None);
            senders.spawn(async move { ground.commit(&at, commit).await });
        }
        let receipts = senders.join_all().await.into_iter().collect::<statehold_core::Result<Vec<_>>>()?;
        let firsts = receipts.iter().filter(|receipt| !receipt.replayed).count();
        ensure_eq!(firsts, 1, "of eight sendings of one commit another number than one was the first");
        let same = receipts.iter().all(|receipt| receipt.revision == receipts[0].revision);
        ensure!(same, "the senders of one commit got different revisions: {receipts:?}");
        let read = ground.value(&at, "n").await?;
        ensure_eq!(
            read,
            Some(Bytes::from_static(b"1")),
            "one commit sent eight times happened more than once"
        );
    }
    Ok(())
}
