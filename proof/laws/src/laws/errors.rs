//! Errors that an engine in this process can show.

use std::time::Duration;

use statehold_core::{Commit, Cx, Kind, Outcome, Range};

use super::{always, check, where_timed};
use crate::breach::{LawResult, ensure, ensure_eq};
use crate::broken::broken;
use crate::law::Law;
use crate::rig::{Rig, refused};

pub(super) const LAWS: &[Law] = &[
    Law {
        id: "errors.outcome",
        promise: "Every error says whether anything may have changed, and where it says that nothing did, nothing did.",
        applies: always,
        check: check!(outcome),
        broken: broken![commit::AppliesHalf, commit::LiesNowAndThen],
    },
    Law {
        id: "errors.deadline",
        promise: "A call whose time has run out is answered as such at once, and is not begun.",
        applies: where_timed,
        check: check!(deadline),
        broken: broken![read::IgnoresTime],
    },
];

async fn outcome(rig: Rig) -> LawResult {
    let ground = rig.plain_ground().await?;
    let at = ground.place("p");
    ground.commit(&at, Commit::new().put("text", "0", None)).await?;
    for n in 0..60 {
        let before = ground.get(&at, "text").await?;
        let new = format!("new-{n}");
        let commit = Commit::new().put(new.clone(), "1", None).put("text", n.to_string(), None);
        let (at, commit) = match n % 6 {
            0 => (at.clone(), commit.present("nowhere")),
            1 => (at.clone(), commit.add("text-is-no-counter", i64::MAX, None).add("n", 1, None)),
            2 => (at.clone().at(statehold_core::Epoch(77)), commit),
            3 => (at.clone(), commit.put(vec![b'x'; 5_000], "1", None)),
            _ => (at.clone(), commit),
        };
        match ground.commit(&at, commit).await {
            Ok(receipt) => {
                let read = ground.get(&at, "text").await?.map(|item| item.revision);
                ensure_eq!(read, Some(receipt.revision), "an accepted commit did not happen");
            }
            Err(error) if error.outcome() == Outcome::NoEffect => {
                let after = (ground.get(&at, "text").await?, ground.get(&at, new).await?);
                ensure_eq!(
                    after,
                    (before, None),
                    "an error says that nothing happened, and it did: {error:?}"
                );
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

async fn deadline(rig: Rig) -> LawResult {
    let ground = rig.ordered_ground().await?;
    let at = ground.place("p");
    let engine = rig.engine();
    let late = Cx::new().within(Duration::ZERO);
    refused(engine.fetch(&late, &[at.item("x")]).await, Kind::Deadline, "a late fetch")?;
    refused(engine.list(&late, &at, &[Range::all()]).await, Kind::Deadline, "a late list")?;
    let put = Commit::new().put("x", "1", None);
    match engine.commit(&late, &at, &put).await {
        Ok(receipt) => return Err(crate::Breach::Broken(format!("a late commit was answered {receipt:?}"))),
        Err(error) => {
            ensure_eq!(error.kind(), Kind::Deadline, "a late commit was refused with another kind");
            let there = ground.get(&at, "x").await?.is_some();
            ensure!(
                !there || error.outcome() == Outcome::Unknown,
                "a late commit happened and says that it did not"
            );
        }
    }
    let in_time = Cx::new().within(Duration::from_mins(1));
    engine.commit(&in_time, &at, &put).await?;
    ensure_eq!(engine.fetch(&in_time, &[at.item("x")]).await?.len(), 1, "answers in time");
    Ok(())
}
