//! What a stop leaves.

use std::time::Duration;

use bytes::Bytes;
use statehold_core::{
    Bucket, Commit, CommitId, Cx, Durability, Kind, MarkKind, Place, Range, Result, Revision, Traits,
};

use super::{always, check, where_kept, where_synced};
use crate::breach::{LawResult, ensure, ensure_eq};
use crate::broken::broken;
use crate::law::Law;
use crate::rig::{Ground, Restart, Rig};

pub(super) const LAWS: &[Law] = &[
    Law {
        id: "restart.keeps",
        promise: "Everything acknowledged is there after a restart, as it was, and nothing deleted is back.",
        applies: where_kept,
        check: check!(keeps),
        broken: broken![restart::ForgetsOnKill, restart::LosesDeadlines],
    },
    Law {
        id: "restart.whole",
        promise: "A kill in the middle of traffic leaves every change whole or not at all.",
        applies: where_kept,
        check: check!(whole),
        broken: broken![restart::TearsOnKill],
    },
    Law {
        id: "restart.incarnation",
        promise: "A restart that may have lost acknowledged changes is seen as one; one that cannot have is not.",
        applies: always,
        check: check!(incarnation),
        broken: broken![restart::ForgetsOnKill, restart::AlwaysAnother],
    },
    Law {
        id: "restart.revision",
        promise: "Revisions go on growing over a restart; none is used again.",
        applies: always,
        check: check!(revision),
        broken: broken![restart::BeginsRevisionsAnew],
    },
    Law {
        id: "restart.replay",
        promise: "A change sent again after a restart still happens once.",
        applies: where_kept,
        check: check!(replay),
        broken: broken![restart::ForgetsReceipts],
    },
    Law {
        id: "restart.fence",
        promise: "Who was refused before a restart is refused after it: controls and marks are kept.",
        applies: where_synced,
        check: check!(fence),
        broken: broken![restart::ForgetsControls, restart::ForgetsMarks],
    },
];

const BOTH: [Restart; 2] = [Restart::Clean, Restart::Killed];

async fn keeps(mut rig: Rig) -> LawResult {
    let mut ground = rig.ordered_ground().await?;
    for (round, how) in BOTH.into_iter().enumerate() {
        let at = ground.place(format!("p{round}"));
        let long = rig.deadline(Duration::from_hours(1));
        let commit =
            Commit::new().put("bytes", "\0x\u{7f}", long).put("deleted", "1", None).put("old", "1", None);
        ground.commit(&at, commit).await?;
        ground
            .commit(&at, Commit::new().add("counter", 41, None).delete("deleted").put("old", "2", None))
            .await?;
        ground
            .commit(
                &at,
                Commit::new().add("counter", 1, None).put("ends", "1", rig.deadline(Duration::from_secs(1))),
            )
            .await?;
        rig.advance(Duration::from_secs(2));
        let before = everything(&rig, &ground, round).await?;
        ensure_eq!(before.len(), 3, "items before the restart");
        rig.restart(how).await?;
        ground = rig.again(&ground).await?;
        let after = everything(&rig, &ground, round).await?;
        ensure_eq!(after, before, "a restart ({how:?}) changed what was acknowledged");
    }
    Ok(())
}

async fn everything(rig: &Rig, ground: &Ground, round: usize) -> Result<Vec<statehold_core::Item>> {
    let at = ground.place(format!("p{round}"));
    Ok(rig.engine().list(&Cx::new(), &at, &[Range::all()]).await?.remove(0).items)
}

async fn whole(mut rig: Rig) -> LawResult {
    const WRITERS: u8 = 4;
    let mut ground = rig.ordered_ground().await?;
    for round in 0..3 {
        let mut writers = Vec::new();
        for writer in 0..WRITERS {
            let (ground, at) = (ground.clone(), ground.place(vec![round, writer]));
            writers.push(tokio::spawn(async move { write_triples(&ground, &at).await }));
        }
        // Each has begun, and none is likely to be done.
        for writer in 0..WRITERS {
            let at = ground.place(vec![round, writer]);
            let mut looks = 0;
            while ground.get(&at, "a").await?.is_none() {
                looks += 1;
                ensure!(looks < 1_000_000, "a writer never begins");
                tokio::task::yield_now().await;
            }
        }
        rig.restart(Restart::Killed).await?;
        for writer in writers {
            // The writers go on at the engine that is about to go away; what it answers them is no matter.
            let _ = writer.await.expect("a writer ends");
        }
        ground = rig.again(&ground).await?;
        for writer in 0..WRITERS {
            let at = ground.place(vec![round, writer]);
            let page = rig.engine().list(&Cx::new(), &at, &[Range::all()]).await?.remove(0);
            let seen: Vec<_> = page.items.iter().map(|item| (item.value.clone(), item.revision)).collect();
            let same = seen.windows(2).all(|pair| pair[0] == pair[1]);
            ensure!(seen.len() == 3 && same, "a kill left half a change: {seen:?}");
        }
    }
    Ok(())
}

async fn write_triples(ground: &Ground, at: &Place) -> Result<()> {
    for n in 0..40 {
        let commit =
            ["a", "b", "c"].iter().fold(Commit::new(), |commit, item| commit.put(*item, n.to_string(), None));
        ground.commit(at, commit).await?;
        tokio::task::yield_now().await;
    }
    Ok(())
}

async fn incarnation(mut rig: Rig) -> LawResult {
    let mut ground = rig.plain_ground().await?;
    let durability = rig.offer().guarantees.durability;
    for how in BOTH {
        let at = ground.place("p");
        let before = rig.incarnation(&ground.space).await?;
        ground.commit(&at, Commit::new().put("x", "1", None)).await?;
        rig.restart(how).await?;
        let after = rig.incarnation(&ground.space).await?;
        let kept = rig.engine().fetch(&Cx::new(), &[at.item("x")]).await?.remove(0).is_some();
        ensure!(kept || before != after, "a restart ({how:?}) lost a change and shows the same incarnation");
        let may_lose = match durability {
            Durability::Volatile => true,
            Durability::Buffered => how == Restart::Killed,
            Durability::Synced => false,
        };
        let expected = if may_lose { "another" } else { "the same" };
        let shown = if before == after { "the same" } else { "another" };
        ensure_eq!(shown, expected, "the incarnation after a restart ({how:?}) under {durability:?}");
        ground = rig.again(&ground).await?;
    }
    Ok(())
}

async fn revision(mut rig: Rig) -> LawResult {
    let mut ground = rig.ground_of(Traits::default(), 1).await?;
    let mut highest = Revision::ZERO;
    for how in [Restart::Clean, Restart::Killed, Restart::Killed, Restart::Clean] {
        for commit in
            [Commit::new().put("x", "1", None), Commit::new().put("y", "1", None), Commit::new().delete("y")]
        {
            let revision = ground.commit(&ground.place("p"), commit).await?.revision;
            ensure!(revision > highest, "after a restart ({how:?}): {revision:?} after {highest:?}");
            highest = revision;
        }
        let gone = ground.commit(&ground.place("p"), Commit::new().delete("x")).await?.revision;
        highest = highest.max(gone);
        rig.restart(how).await?;
        ground = rig.again(&ground).await?;
    }
    Ok(())
}

async fn replay(mut rig: Rig) -> LawResult {
    let mut ground = rig.plain_ground().await?;
    for (round, how) in BOTH.into_iter().enumerate() {
        let commit = Commit::new().with_id(CommitId::from_bytes([round as u8; 16])).add("n", 5, None);
        let first = ground.commit(&ground.place("p"), commit.clone()).await?;
        rig.restart(how).await?;
        ground = rig.again(&ground).await?;
        let again = ground.commit(&ground.place("p"), commit.clone()).await?;
        let answer = (again.replayed, again.revision, again.outcomes);
        ensure_eq!(answer, (true, first.revision, first.outcomes), "a repeat after a restart ({how:?})");
        let sum = Bytes::from((5 * (round + 1)).to_string());
        ensure_eq!(ground.value(&ground.place("p"), "n").await?, Some(sum), "the sum after a repeat");
        let other = Commit { id: commit.id, ..Commit::new() }.add("n", 6, None);
        ground.refused(&ground.place("p"), other, Kind::Invalid, "other content under a used id").await?;
    }
    Ok(())
}

async fn fence(mut rig: Rig) -> LawResult {
    let ground = rig.ground_of(Traits::default(), 1).await?;
    let bucket = Bucket::new(0);
    let marking = ground.turn(bucket, |control| control.marking = true).await?;
    let at = ground.place("p").at(marking.epoch);
    let wrote = ground.commit(&at, Commit::new().put("x", "1", None)).await?.revision;
    for how in BOTH {
        rig.restart(how).await?;
        let ground = rig.again(&ground).await?;
        let stale = ground.place("p");
        ground
            .refused(&stale, Commit::new().put("x", "2", None), Kind::Moved, "a stale epoch after a restart")
            .await?;
        let control = ground
            .control(bucket)
            .await?
            .map(|control| (control.role, control.epoch, control.term, control.marking));
        let expected = (marking.role, marking.epoch, marking.term, true);
        ensure_eq!(control, Some(expected), "the control after a restart ({how:?})");
        let marks = rig.base().marks(&Cx::new(), &ground.space, bucket, MarkKind::Dirty, 10).await?;
        let marks: Vec<_> = marks.into_iter().map(|marked| marked.mark.revision).collect();
        ensure_eq!(marks, vec![wrote], "the marks after a restart ({how:?})");
    }
    Ok(())
}
