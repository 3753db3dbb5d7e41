//! Rate limits.

use std::time::Duration;

use statehold_core::{Commit, Decision, Failure, Kind, LimitPolicy, MutationOutcome, Refusal};
use tokio::task::JoinSet;

use super::{always, check};
use crate::breach::{LawResult, ensure, ensure_eq};
use crate::broken::broken;
use crate::law::Law;
use crate::random::Seeded;
use crate::reference::Reference;
use crate::rig::{Ground, Rig};

pub(super) const LAWS: &[Law] = &[
    Law {
        id: "take.reference",
        promise: "Every rate-limit decision is the one that the policy's plain description gives for the same history.",
        applies: always,
        check: check!(reference),
        broken: broken![commit::AdmitsOneMore, commit::IgnoresCosts, commit::ChargesDenials],
    },
    Law {
        id: "take.exact",
        promise: "Of any number of concurrent calls exactly the limit is admitted.",
        applies: always,
        check: check!(exact),
        broken: broken![commit::AdmitsOneMore, commit::ForgetsItsLock],
    },
    Law {
        id: "take.denied",
        promise: "A denied call refuses the whole change, and every decision of it is told.",
        applies: always,
        check: check!(denied),
        broken: broken![commit::AppliesHalf, commit::HidesDecisions],
    },
];

/// One call of a limit; its decision, admitted or denied.
async fn take(ground: &Ground, item: &str, policy: LimitPolicy, cost: u32) -> LawResult<Decision> {
    match ground.commit(&ground.place("p"), Commit::new().take(item.to_owned(), policy, cost)).await {
        Ok(receipt) => match receipt.outcomes[..] {
            [MutationOutcome::Taken(decision)] => Ok(decision),
            _ => Err(crate::Breach::Broken(format!("an admitted take answers {:?}", receipt.outcomes))),
        },
        Err(error) => match error.conflict_detail().map(|conflict| &conflict.decisions[..]) {
            Some(&[(0, decision)]) => Ok(decision),
            _ => Err(error.into()),
        },
    }
}

fn policies(random: &mut Seeded) -> [LimitPolicy; 3] {
    let limit = 1 + random.below(7) as u32;
    let window = Duration::from_micros(1 + random.below(3_000_000));
    // Uneven on purpose: whole nanoseconds that no microsecond divides.
    let interval = Duration::from_nanos(1 + random.below(900_000_007));
    [
        LimitPolicy::Sliding { limit, window },
        LimitPolicy::TokenBucket { interval, burst: limit },
        LimitPolicy::Fixed { limit, window },
    ]
}

async fn reference(rig: Rig) -> LawResult {
    let ground = rig.plain_ground().await?;
    let mut random = Seeded::fresh();
    for timeline in 0..24 {
        for policy in policies(&mut random) {
            let mut reference = Reference::new(policy);
            let (LimitPolicy::Sliding { limit, window: span }
            | LimitPolicy::Fixed { limit, window: span }
            | LimitPolicy::TokenBucket { burst: limit, interval: span }) = policy;
            let item = format!("{timeline} {policy:?}");
            for call in 0..24 {
                let step = Duration::from_micros(random.below(span.as_micros() as u64 * 3 / 4 + 2));
                match random.below(8) {
                    0 => {}
                    // A clock that is set back admits nothing that a right clock would not have.
                    1 => rig.set_clock(rig.now().minus(step)),
                    _ => rig.advance(step),
                }
                let cost = if random.one_in(3) { 1 + random.below(u64::from(limit)) as u32 } else { 1 };
                let verdict = reference.call(rig.now(), cost);
                let decision = take(&ground, &item, policy, cost).await?;
                let what = format!("seed {}, {policy:?}, call {call} of cost {cost}", random.seed());
                ensure_eq!(decision.allowed, verdict.allowed, "{what}: admitted");
                ensure_eq!(decision.remaining, verdict.remaining, "{what}: remaining");
                ensure_eq!(decision.limit, u64::from(limit), "{what}: the limit");
                let wait = (!verdict.allowed).then(|| verdict.wait.max(Duration::from_millis(1)));
                ensure!(decision.retry_after == wait, "{what}: {:?} is not {wait:?}", decision.retry_after);
            }
        }
    }
    Ok(())
}

async fn exact(rig: Rig) -> LawResult {
    const LIMIT: usize = 60;
    let ground = rig.plain_ground().await?;
    let hour = Duration::from_hours(1);
    let limit = LIMIT as u32;
    for policy in [
        LimitPolicy::Sliding { limit, window: hour },
        LimitPolicy::TokenBucket { interval: hour, burst: limit },
        LimitPolicy::Fixed { limit, window: hour },
    ] {
        for round in 0..3 {
            let mut callers = JoinSet::new();
            for _ in 0..=LIMIT {
                let (ground, item) = (ground.clone(), format!("{round} {policy:?}"));
                callers.spawn(async move {
                    take(&ground, &item, policy, 1).await.map(|decision| decision.allowed)
                });
            }
            let answers = callers.join_all().await.into_iter().collect::<LawResult<Vec<bool>>>()?;
            let admitted = answers.iter().filter(|allowed| **allowed).count();
            ensure_eq!(admitted, LIMIT, "{policy:?}: admitted of {} concurrent calls", LIMIT + 1);
        }
    }
    Ok(())
}

async fn denied(rig: Rig) -> LawResult {
    let ground = rig.plain_ground().await?;
    let at = ground.place("p");
    let wide = LimitPolicy::Fixed { limit: 10, window: Duration::from_hours(1) };
    let narrow = LimitPolicy::Sliding { limit: 1, window: Duration::from_hours(1) };
    let commit = Commit::new().take("wide", wide, 2).put("note", "1", None).take("narrow", narrow, 1);
    ground.commit(&at, commit).await?;
    let before = ground.get(&at, "note").await?;
    let commit = Commit::new().take("wide", wide, 3).put("note", "2", None).take("narrow", narrow, 1);
    let error = ground.refused(&at, commit, Kind::Conflict, "a denied take").await?;
    let Some(conflict) = error.conflict_detail() else {
        return Err(crate::Breach::Broken("a denial does not say what failed".into()));
    };
    let expected = vec![Failure::Mutation { index: 2, refusal: Refusal::Denied }];
    ensure_eq!(conflict.failures, expected, "a denial names other failures");
    let told: Vec<_> =
        conflict.decisions.iter().map(|(index, decision)| (*index, decision.allowed)).collect();
    ensure_eq!(told, vec![(0, true), (2, false)], "the decisions of a denied commit");
    ensure_eq!(ground.get(&at, "note").await?, before, "a denied commit changed another item");
    let left = take(&ground, "wide", wide, 1).await?.remaining;
    ensure_eq!(left, 7, "a denied commit took from another limit");
    Ok(())
}
