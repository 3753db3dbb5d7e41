//! Revisions.

use std::collections::HashSet;

use statehold_core::{Commit, Result, Revision, Traits};
use tokio::task::JoinSet;

use super::{always, check};
use crate::breach::{LawResult, ensure, ensure_eq};
use crate::broken::broken;
use crate::law::Law;
use crate::rig::Rig;

pub(super) const LAWS: &[Law] = &[
    Law {
        id: "revision.grows",
        promise: "Every change in a partition has a greater revision than all before it, and no two changes share one.",
        applies: always,
        check: check!(grows),
        broken: broken![commit::StandsStill, commit::ForgetsItsLock],
    },
    Law {
        id: "revision.receipt",
        promise: "Everything that one change wrote bears the revision of its receipt; nothing else does.",
        applies: always,
        check: check!(receipt),
        broken: broken![commit::NumbersEachWrite],
    },
    Law {
        id: "revision.not-reused",
        promise: "A revision is never used again, also not after deletion or expiry.",
        applies: always,
        check: check!(not_reused),
        broken: broken![commit::ReusesRevisions],
    },
];

async fn grows(rig: Rig) -> LawResult {
    let ground = rig.ground_of(Traits::default(), 1).await?;
    let mut writers = JoinSet::new();
    for writer in 0..8 {
        let ground = ground.clone();
        writers.spawn(async move {
            let mut issued = Vec::new();
            for n in 0..24 {
                let at = ground.place(format!("p{}", (writer + n) % 4));
                let revision =
                    ground.commit(&at, Commit::new().put(format!("i{writer}"), "x", None)).await?.revision;
                issued.push((at.partition, revision));
            }
            Result::<_>::Ok(issued)
        });
    }
    let mut seen = HashSet::new();
    for issued in writers.join_all().await {
        let issued = issued?;
        for (index, (partition, revision)) in issued.iter().enumerate() {
            ensure!(seen.insert(*revision), "two commits of one bucket have the revision {revision:?}");
            let earlier =
                issued[..index].iter().filter(|(of, _)| of == partition).map(|(_, earlier)| *earlier).max();
            let grown = earlier.is_none_or(|earlier| earlier < *revision);
            ensure!(grown, "{revision:?} came after {earlier:?} in {partition:?}");
        }
    }
    ensure!(!seen.contains(&Revision::ZERO), "a commit has the revision zero");
    Ok(())
}

async fn receipt(rig: Rig) -> LawResult {
    let ground = rig.plain_ground().await?;
    let at = ground.place("p");
    let first =
        ground.commit(&at, Commit::new().put("a", "1", None).put("b", "1", None).put("c", "1", None)).await?;
    let commit = Commit::new().put("a", "2", None).touch("b", None).add("n", 1, None).delete("nowhere");
    let second = ground.commit(&at, commit).await?;
    for (item, expected) in
        [("a", second.revision), ("b", second.revision), ("n", second.revision), ("c", first.revision)]
    {
        let read = ground.get(&at, item).await?.map(|item| item.revision);
        ensure_eq!(
            read,
            Some(expected),
            "`{item}` bears another revision than the commit that wrote it last"
        );
    }
    Ok(())
}

async fn not_reused(rig: Rig) -> LawResult {
    let ground = rig.ground_of(Traits::default(), 1).await?;
    let at = ground.place("p");
    let mut highest = Revision::ZERO;
    for round in 0..6 {
        let deadline = rig.deadline(std::time::Duration::from_secs(1));
        for commit in [
            Commit::new().put("x", "1", deadline),
            Commit::new().delete("x"),
            Commit::new().add("x", 1, deadline),
        ] {
            let revision = ground.commit(&at, commit).await?.revision;
            ensure!(revision > highest, "round {round}: {revision:?} after {highest:?}");
            highest = revision;
        }
        rig.advance(std::time::Duration::from_secs(2));
        ensure_eq!(ground.get(&at, "x").await?, None, "an item outlived its deadline");
        let revision = ground.commit(&at, Commit::new().delete("x").put("y", "1", None)).await?.revision;
        ensure!(revision > highest, "round {round}, after expiry: {revision:?} after {highest:?}");
        highest = revision;
        highest = highest.max(ground.commit(&at, Commit::new().delete("y")).await?.revision);
    }
    Ok(())
}
