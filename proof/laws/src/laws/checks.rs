//! What must hold before anything happens.

use statehold_core::{Check, Commit, Failure, Kind, Revision};

use super::{always, check};
use crate::breach::{LawResult, ensure, ensure_eq};
use crate::broken::broken;
use crate::law::Law;
use crate::rig::Rig;

pub(super) const LAWS: &[Law] = &[
    Law {
        id: "checks.each",
        promise: "A change that asks for something is refused when that does not hold, and is told what does.",
        applies: always,
        check: check!(each),
        broken: broken![commit::DropsChecks, commit::ChecksTheFirstOnly],
    },
    Law {
        id: "checks.atomic",
        promise: "Nothing of a refused change is ever visible.",
        applies: always,
        check: check!(atomic),
        broken: broken![commit::AppliesHalf],
    },
    Law {
        id: "checks.write-skew",
        promise: "Two changes that would each undo what the other relied on never both happen.",
        applies: always,
        check: check!(write_skew),
        broken: broken![commit::DropsChecks, commit::ForgetsItsLock],
    },
];

async fn each(rig: Rig) -> LawResult {
    let ground = rig.plain_ground().await?;
    let at = ground.place("p");
    let there = ground.commit(&at, Commit::new().put("there", "1", None)).await?.revision;
    let later = Revision::from_u64(there.get() + 1);
    let table = [
        (Check::Absent("gone".into()), true),
        (Check::Absent("there".into()), false),
        (Check::Present("there".into()), true),
        (Check::Present("gone".into()), false),
        (Check::At("there".into(), there), true),
        (Check::At("there".into(), later), false),
        (Check::At("there".into(), Revision::ZERO), false),
        (Check::At("gone".into(), there), false),
        (Check::At("gone".into(), Revision::ZERO), false),
    ];
    for (first, first_holds) in &table {
        for (second, second_holds) in &table {
            let commit = Commit::new().check(first.clone()).check(second.clone()).put("target", "x", None);
            let what = format!("{first:?} and {second:?}");
            let answer = ground.commit(&at, commit.clone()).await;
            if *first_holds && *second_holds {
                ensure!(answer.is_ok(), "{what} hold, and the commit was refused: {answer:?}");
                continue;
            }
            let error = crate::rig::refused(answer, Kind::Conflict, &what)?;
            let present = |check: &Check| (check.item().as_bytes() == "there").then_some(there);
            let mut expected = Vec::new();
            if !first_holds {
                expected.push(Failure::Check { index: 0, present: present(first) });
            }
            if !second_holds {
                expected.push(Failure::Check { index: 1, present: present(second) });
            }
            let failures = error.conflict_detail().map(|conflict| conflict.failures.clone());
            ensure_eq!(failures, Some(expected), "{what}: the refusal names other failures");
        }
    }
    Ok(())
}

async fn atomic(rig: Rig) -> LawResult {
    let ground = rig.plain_ground().await?;
    let at = ground.place("p");
    ground.commit(&at, Commit::new().put("bytes", "1", None).put("kept", "1", None)).await?;
    let before = ground.get(&at, "kept").await?;
    let bad_check = Commit::new().put("new", "2", None).delete("kept").present("nowhere");
    ground.refused(&at, bad_check, Kind::Conflict, "a failed check").await?;
    let bad_add = Commit::new().put("new", "2", None).delete("kept").add("bytes", 1, None);
    ground.refused(&at, bad_add, Kind::Conflict, "an add on bytes").await?;
    let bad_first = Commit::new().add("bytes", 1, None).put("new", "2", None).touch("kept", None);
    ground.refused(&at, bad_first, Kind::Conflict, "an add on bytes before others").await?;
    ensure_eq!(ground.get(&at, "new").await?, None, "a refused commit created an item");
    ensure_eq!(ground.get(&at, "kept").await?, before, "a refused commit changed an item");
    ensure_eq!(
        ground.value(&at, "bytes").await?.as_deref(),
        Some(&b"1"[..]),
        "a refused commit changed an item"
    );
    Ok(())
}

async fn write_skew(rig: Rig) -> LawResult {
    let ground = rig.plain_ground().await?;
    for round in 0..40 {
        let at = ground.place(format!("p{round}"));
        let one = {
            let (ground, at) = (ground.clone(), at.clone());
            tokio::spawn(
                async move { ground.commit(&at, Commit::new().absent("x").put("y", "1", None)).await },
            )
        };
        let other = {
            let (ground, at) = (ground.clone(), at.clone());
            tokio::spawn(
                async move { ground.commit(&at, Commit::new().absent("y").put("x", "1", None)).await },
            )
        };
        let (one, other) = (one.await.expect("a commit ends"), other.await.expect("a commit ends"));
        ensure!(
            one.is_ok() != other.is_ok(),
            "of two commits that exclude each other {} happened: {one:?} and {other:?}",
            usize::from(one.is_ok()) + usize::from(other.is_ok()),
        );
    }
    Ok(())
}
