//! Many callers at once.

use bytes::Bytes;
use statehold_core::{Commit, Kind, Result};
use tokio::task::JoinSet;

use super::{always, check};
use crate::breach::{LawResult, ensure, ensure_eq};
use crate::broken::broken;
use crate::law::Law;
use crate::rig::Rig;

pub(super) const LAWS: &[Law] = &[
    Law {
        id: "race.one-winner",
        promise: "Of any number of callers who create one thing at once, exactly one succeeds.",
        applies: always,
        check: check!(one_winner),
        broken: broken![commit::DropsChecks, commit::ForgetsItsLock],
    },
    Law {
        id: "race.no-lost-update",
        promise: "Concurrent adds sum exactly, and a chain of compare-and-set loses no step.",
        applies: always,
        check: check!(no_lost_update),
        broken: broken![commit::ForgetsItsLock],
    },
    Law {
        id: "race.no-revival",
        promise: "What was deleted stays deleted, whoever touches or replaces it at the same moment.",
        applies: always,
        check: check!(no_revival),
        broken: broken![commit::TouchRevives, commit::ForgetsItsLock],
    },
];

async fn one_winner(rig: Rig) -> LawResult {
    const CREATORS: usize = 32;
    let ground = rig.plain_ground().await?;
    for round in 0..12 {
        let mut creators = JoinSet::new();
        for creator in 0..CREATORS {
            let (ground, at) = (ground.clone(), ground.place(format!("p{round}")));
            creators.spawn(async move {
                let commit = Commit::new().absent("x").put("x", creator.to_string(), None);
                (creator, ground.commit(&at, commit).await)
            });
        }
        let answers = creators.join_all().await;
        let winners: Vec<usize> =
            answers.iter().filter(|(_, answer)| answer.is_ok()).map(|(creator, _)| *creator).collect();
        ensure_eq!(winners.len(), 1, "of {CREATORS} creators another number than one succeeded");
        for (_, answer) in answers {
            if let Err(error) = answer {
                ensure_eq!(error.kind(), Kind::Conflict, "a loser was told something else");
            }
        }
        let read = ground.value(&ground.place(format!("p{round}")), "x").await?;
        ensure_eq!(read, Some(Bytes::from(winners[0].to_string())), "the winner's value is not the one kept");
    }
    Ok(())
}

async fn no_lost_update(rig: Rig) -> LawResult {
    const ADDERS: i64 = 64;
    const STEPS: u64 = 8;
    let ground = rig.plain_ground().await?;
    for round in 0..4 {
        let at = ground.place(format!("sum{round}"));
        let mut adders = JoinSet::new();
        for delta in 1..=ADDERS {
            let (ground, at) = (ground.clone(), at.clone());
            adders.spawn(async move { ground.commit(&at, Commit::new().add("n", delta, None)).await });
        }
        adders.join_all().await.into_iter().collect::<Result<Vec<_>>>()?;
        let sum = ADDERS * (ADDERS + 1) / 2;
        let read = ground.value(&at, "n").await?;
        ensure_eq!(read, Some(Bytes::from(sum.to_string())), "{ADDERS} concurrent adds have another sum");
    }
    let at = ground.place("chain");
    ground.commit(&at, Commit::new().put("n", "0", None)).await?;
    let mut climbers = JoinSet::new();
    for _ in 0..STEPS {
        let (ground, at) = (ground.clone(), at.clone());
        climbers.spawn(async move {
            for _ in 0..STEPS {
                climb(&ground, &at).await?;
            }
            LawResult::Ok(())
        });
    }
    climbers.join_all().await.into_iter().collect::<LawResult<Vec<_>>>()?;
    let read = ground.value(&at, "n").await?;
    ensure_eq!(read, Some(Bytes::from((STEPS * STEPS).to_string())), "a chain of compare-and-set lost steps");
    Ok(())
}

/// Raises a number by one with compare-and-set, as often as it takes.
async fn climb(ground: &crate::Ground, at: &statehold_core::Place) -> LawResult {
    for _ in 0..10_000 {
        let item = ground.get(at, "n").await?;
        let Some(item) = item else { return Err(crate::Breach::Broken("the number went away".into())) };
        let next = String::from_utf8_lossy(&item.value).parse::<u64>().unwrap_or(0) + 1;
        let commit = Commit::new().at("n", item.revision).put("n", next.to_string(), None);
        match ground.commit(at, commit).await {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == Kind::Conflict => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(crate::Breach::Broken("10000 compare-and-sets in a row were refused".into()))
}

async fn no_revival(rig: Rig) -> LawResult {
    let ground = rig.plain_ground().await?;
    let deadline = rig.deadline(std::time::Duration::from_hours(1));
    for round in 0..40 {
        let at = ground.place(format!("p{round}"));
        let there = ground.commit(&at, Commit::new().put("session", "1", None)).await?.revision;
        let mut callers = JoinSet::new();
        for commit in [
            Commit::new().touch("session", deadline),
            Commit::new().at("session", there).put("session", "2", deadline),
            Commit::new().delete("session"),
            Commit::new().present("session").put("session", "3", deadline),
            Commit::new().touch("session", None),
        ] {
            let (ground, at) = (ground.clone(), at.clone());
            callers.spawn(async move { ground.commit(&at, commit).await });
        }
        for answer in callers.join_all().await {
            if let Err(error) = answer {
                ensure!(error.kind() == Kind::Conflict, "a caller was told something else: {error:?}");
            }
        }
        ground.commit(&at, Commit::new().touch("session", deadline)).await?;
        let read = ground.get(&at, "session").await?;
        ensure_eq!(read, None, "round {round}: what was deleted came back");
    }
    Ok(())
}
