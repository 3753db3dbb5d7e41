//! Recording what concurrent clients see of one partition.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use statehold_core::{Commit, Cx, Engine, Item, Kind, MutationOutcome, Place, Range, Result, Revision};
use tokio::task::{JoinHandle, JoinSet};

use super::{Answer, COUNTER, Call, Op};
use crate::random::Seeded;
use crate::rig::Rig;

const CLIENTS: u32 = 5;
const CALLS: u32 = 16;
/// How often a client does not wait for a write: its outcome stays unknown.
const UNANSWERED_ONE_IN: u64 = 12;

/// Lets clients loose on one partition of a fresh space, from a seed.
///
/// # Errors
/// What the engine meets.
pub async fn record(rig: &Rig, seed: u64) -> Result<Vec<Call>> {
    let ground = rig.ordered_ground().await?;
    let clock = Arc::new(AtomicU64::new(0));
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let random = Seeded::new(seed ^ u64::from(client).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let (engine, at) = (Arc::clone(rig.engine()), ground.place("p"));
        clients.spawn(Client { engine, at, clock: Arc::clone(&clock), random, number: client }.run());
    }
    let mut calls = Vec::new();
    for recorded in clients.join_all().await {
        calls.extend(recorded?);
    }
    Ok(calls)
}

struct Client {
    engine: Arc<dyn Engine>,
    at: Place,
    clock: Arc<AtomicU64>,
    random: Seeded,
    number: u32,
}

impl Client {
    async fn run(mut self) -> Result<Vec<Call>> {
        let mut calls = Vec::new();
        let mut unanswered: Vec<JoinHandle<Result<Answer>>> = Vec::new();
        let mut last_seen = Revision::ZERO;
        for turn in 0..CALLS {
            let op = self.choose(i64::from(self.number * 1_000 + turn), last_seen);
            let waits = matches!(op, Op::Fetch { .. } | Op::List) || !self.random.one_in(UNANSWERED_ONE_IN);
            let client = self.number + CLIENTS * unanswered.len() as u32;
            let invoked = self.clock.fetch_add(1, Ordering::SeqCst);
            let doing = perform(Arc::clone(&self.engine), self.at.clone(), op.clone());
            if !waits {
                unanswered.push(tokio::spawn(doing));
                calls.push(Call { client, op, invoked, answered: None });
                continue;
            }
            let answer = doing.await?;
            let answered = self.clock.fetch_add(1, Ordering::SeqCst);
            if let Answer::Seen(seen) = &answer {
                last_seen = seen.iter().rev().map(|(_, _, revision)| *revision).next().unwrap_or(last_seen);
            }
            calls.push(Call { client, op, invoked, answered: Some((answered, answer)) });
            tokio::task::yield_now().await;
        }
        for doing in unanswered {
            doing.await.expect("a call ends")?;
        }
        Ok(calls)
    }

    fn choose(&mut self, value: i64, last_seen: Revision) -> Op {
        let item = 1 + self.random.below(2) as u8;
        match self.random.below(10) {
            0 | 1 => Op::Put { item, value },
            2 => Op::PutBoth { items: [1, 2], value },
            3 | 4 => Op::Swap { item, expect: last_seen, value },
            5 => Op::Delete { item: self.random.below(3) as u8 },
            6 => Op::Add { delta: 1 + self.random.below(9) as i64 },
            7 | 8 => Op::Fetch { item: self.random.below(3) as u8 },
            _ => Op::List,
        }
    }
}

/// Does what the client asked for, and says it in the words of the history.
async fn perform(engine: Arc<dyn Engine>, at: Place, op: Op) -> Result<Answer> {
    let name = |item: u8| vec![item];
    let text = |value: i64| value.to_string();
    let commit = match op {
        Op::Put { item, value } => Commit::new().put(name(item), text(value), None),
        Op::PutBoth { items: [first, second], value } => {
            Commit::new().put(name(first), text(value), None).put(name(second), text(value), None)
        }
        Op::Swap { item, expect, value } => {
            Commit::new().at(name(item), expect).put(name(item), text(value), None)
        }
        Op::Delete { item } => Commit::new().delete(name(item)),
        Op::Add { delta } => Commit::new().add(name(COUNTER), delta, None),
        Op::Fetch { item } => {
            let found = engine.fetch(&Cx::new(), &[at.item(name(item))]).await?;
            return Ok(Answer::Seen(found.iter().flatten().map(seen).collect()));
        }
        Op::List => {
            let page = engine.list(&Cx::new(), &at, &[Range::all()]).await?.remove(0);
            return Ok(Answer::Seen(page.items.iter().map(seen).collect()));
        }
    };
    match engine.commit(&Cx::new(), &at, &commit).await {
        Err(error) if error.kind() == Kind::Conflict => Ok(Answer::Refused),
        Err(error) => Err(error),
        Ok(receipt) => Ok(match receipt.outcomes[0] {
            MutationOutcome::Added { value, .. } => Answer::Sum(receipt.revision, value),
            MutationOutcome::Deleted { revision } => Answer::Deleted(receipt.revision, Some(revision)),
            MutationOutcome::Missed => Answer::Deleted(receipt.revision, None),
            _ => Answer::Wrote(receipt.revision),
        }),
    }
}

fn seen(item: &Item) -> (u8, i64, Revision) {
    let number = std::str::from_utf8(&item.value).ok().and_then(|text| text.parse().ok());
    let name = item.id.as_bytes().first().copied();
    (name.unwrap_or(u8::MAX), number.unwrap_or(i64::MIN), item.revision)
}
