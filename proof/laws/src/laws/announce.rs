//! What subscribers hear.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use statehold_core::{
    Announcement, Commit, CommitId, Cx, Kind, Revision, Signal, SignalStream, Topic, Traits,
};

use super::{check, where_heard};
use crate::breach::{Breach, LawResult, ensure, ensure_eq};
use crate::broken::broken;
use crate::law::Law;
use crate::rig::Rig;

pub(super) const LAWS: &[Law] = &[
    Law {
        id: "announce.with-the-commit",
        promise: "Subscribers hear of every change that happened, once, and of none that did not.",
        applies: where_heard,
        check: check!(with_the_commit),
        broken: broken![announce::TellsRefusals, announce::TellsRepeats, announce::ForgetsToTell],
    },
    Law {
        id: "announce.order",
        promise: "News of one partition arrives in the order in which it happened.",
        applies: where_heard,
        check: check!(order),
        broken: broken![announce::HoldsOneBack],
    },
    Law {
        id: "announce.prefix",
        promise: "A subscriber hears the topics that begin with its prefix, and no others.",
        applies: where_heard,
        check: check!(prefix),
        broken: broken![announce::HearsEverything, announce::HearsWholeTopics],
    },
    Law {
        id: "announce.lagged",
        promise: "A subscriber that is too slow is told how much it missed, and never holds up a change.",
        applies: where_heard,
        check: check!(lagged),
        broken: broken![announce::LagsInSilence],
    },
];

const TRAITS: Traits =
    Traits { ordered: false, observes_expiry: false, announces: true, unsynced: false, disposable: false };
/// Far beyond what an engine in this process takes; reached only where a message is missing.
const PATIENCE: Duration = Duration::from_secs(3);

fn topic(name: impl Into<Bytes>) -> Topic {
    Topic::new(name).expect("the laws name topics of 1 to 200 bytes")
}

fn news(name: &'static str, payload: impl Into<Bytes>) -> Announcement {
    Announcement { topic: topic(name), payload: payload.into() }
}

async fn next(stream: &mut SignalStream, what: &str) -> LawResult<Signal> {
    match tokio::time::timeout(PATIENCE, stream.next()).await {
        Ok(Some(signal)) => Ok(signal),
        Ok(None) => Err(Breach::Broken(format!("the subscription ended before {what}"))),
        Err(_) => Err(Breach::Broken(format!("{what} was never heard"))),
    }
}

async fn hear(stream: &mut SignalStream, payload: &str, revision: Revision) -> LawResult {
    let signal = next(stream, payload).await?;
    let expected =
        Signal::Message { topic: topic("news"), payload: Bytes::from(payload.to_owned()), revision };
    ensure_eq!(signal, expected, "something else was heard");
    Ok(())
}

async fn with_the_commit(rig: Rig) -> LawResult {
    let ground = rig.ground(TRAITS).await?;
    let at = ground.place("p");
    ground.commit(&at, Commit::new().announce(news("news", "before anybody listened"))).await?;
    let mut stream = rig.signals()?.subscribe(&Cx::new(), &topic("news")).await?;
    let first = ground.commit(&at, Commit::new().put("x", "1", None).announce(news("news", "first"))).await?;
    hear(&mut stream, "first", first.revision).await?;
    let refused = Commit::new().absent("x").put("x", "2", None).announce(news("news", "refused"));
    ground.refused(&at, refused, Kind::Conflict, "a failed check").await?;
    let stale = at.clone().at(statehold_core::Epoch(9));
    ground
        .refused(&stale, Commit::new().announce(news("news", "stale")), Kind::Moved, "another epoch")
        .await?;
    let named = Commit::new()
        .with_id(CommitId::from_bytes([1; 16]))
        .add("n", 1, None)
        .announce(news("news", "named"));
    let receipt = ground.commit(&at, named.clone()).await?;
    hear(&mut stream, "named", receipt.revision).await?;
    ground.commit(&at, named).await?;
    let both = Commit::new().put("x", "3", None).announce(news("news", "one")).announce(news("news", "two"));
    let receipt = ground.commit(&at, both).await?;
    hear(&mut stream, "one", receipt.revision).await?;
    hear(&mut stream, "two", receipt.revision).await?;
    Ok(())
}

async fn order(rig: Rig) -> LawResult {
    const EACH: usize = 50;
    let ground = rig.ground(TRAITS).await?;
    let mut stream = rig.signals()?.subscribe(&Cx::new(), &topic("news")).await?;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..4_u8 {
        let ground = ground.clone();
        writers.spawn(async move {
            for n in 0..EACH {
                let commit =
                    Commit::new().put("x", n.to_string(), None).announce(news("news", vec![writer % 2]));
                ground.commit(&ground.place(format!("p{}", writer % 2)), commit).await?;
            }
            LawResult::Ok(())
        });
    }
    writers.join_all().await.into_iter().collect::<LawResult<Vec<_>>>()?;
    let mut last = [Revision::ZERO; 2];
    for n in 0..4 * EACH {
        let Signal::Message { payload, revision, .. } = next(&mut stream, &format!("message {n}")).await?
        else {
            return Err(Breach::Broken(
                "a subscriber that is not slow was told that it missed something".into(),
            ));
        };
        let last = &mut last[usize::from(payload[0])];
        ensure!(*last < revision, "{revision:?} was heard after {last:?} of the same partition");
        *last = revision;
    }
    Ok(())
}

async fn prefix(rig: Rig) -> LawResult {
    let ground = rig.ground(TRAITS).await?;
    let mut stream = rig.signals()?.subscribe(&Cx::new(), &topic("shop/a")).await?;
    let at = ground.place("p");
    for name in ["shop/b", "shop/", "hop/a", "shop/a", "SHOP/A", "shop/a/1", "shop", "shop/ab", "x"] {
        ground.commit(&at, Commit::new().announce(news(name, name))).await?;
    }
    ground.commit(&at, Commit::new().announce(news("shop/a!", "end"))).await?;
    let mut heard = Vec::new();
    loop {
        match next(&mut stream, "the last message").await? {
            Signal::Message { payload, .. } if payload == "end" => break,
            Signal::Message { payload, .. } => heard.push(payload),
            other => return Err(Breach::Broken(format!("{other:?} was heard"))),
        }
    }
    ensure_eq!(heard, ["shop/a", "shop/a/1", "shop/ab"].map(Bytes::from), "other topics were heard");
    Ok(())
}

async fn lagged(rig: Rig) -> LawResult {
    const COMMITS: u64 = 100;
    const EACH: u64 = 1_000;
    let ground = rig.ground(TRAITS).await?;
    let at = ground.place("p");
    let mut stream = rig.signals()?.subscribe(&Cx::new(), &topic("news")).await?;
    let loud = (0..EACH).fold(Commit::new(), |commit, _| commit.announce(news("news", "x")));
    for _ in 0..COMMITS {
        let commit = tokio::time::timeout(PATIENCE, ground.commit(&at, loud.clone())).await;
        let Ok(answer) = commit else {
            return Err(Breach::Broken("a slow subscriber holds up commits".into()));
        };
        answer?;
    }
    let (mut heard, mut missed) = (0, 0);
    while heard + missed < COMMITS * EACH {
        let what = format!("the rest after {heard} heard and {missed} missed of {}", COMMITS * EACH);
        match next(&mut stream, &what).await? {
            Signal::Message { .. } => heard += 1,
            Signal::Lagged(count) => missed += count,
            Signal::Gap => return Err(Breach::Broken("a gap without a disconnect".into())),
        }
    }
    ensure_eq!(heard + missed, COMMITS * EACH, "messages heard and missed");
    ensure!(missed > 0, "{heard} messages waited for one subscriber: its buffer has no bound");
    Ok(())
}
