//! Recorded histories, and the checker that judges them.

use statehold_core::{Revision, Term};
use statehold_laws::history::{Answer, COUNTER, Call, Model, Op, check, record};
use statehold_laws::{Broken, Rig, Seeded, Stack, laws, plain};
use stateright::semantics::{ConsistencyTester, LinearizabilityTester, SequentialSpec};

use super::block_on;

const HISTORIES: u32 = 25;

fn linearizable(stack: &Stack) {
    block_on(async {
        let rig = Rig::new(stack.maker()).await.expect("the stack starts");
        let mut seeds = Seeded::fresh();
        for _ in 0..HISTORIES {
            let seed = seeds.draw();
            let calls = record(&rig, seed).await.unwrap_or_else(|error| panic!("seed {seed}: {error:?}"));
            check(&calls).unwrap_or_else(|stuck| panic!("`{}`, seed {seed}: {stuck}", stack.name));
        }
    });
}

#[test]
fn the_plain_engine_is_linearizable() {
    linearizable(&plain());
}

#[test]
fn f300_memory_is_linearizable() {
    linearizable(&Stack::named("memory").expect("it is listed"));
}

#[test]
fn f300_embedded_is_linearizable() {
    linearizable(&Stack::named("embedded").expect("it is listed"));
}

#[test]
fn production_over_embedded_is_linearizable() {
    linearizable(&Stack::named("production > embedded").expect("it is listed"));
}

/// The checker refuses histories of engines that are not linearizable.
#[test]
fn f300_broken_engines_are_caught_by_their_histories() {
    for name in ["ForgetsItsLock", "AppliesHalf", "StandsStill"] {
        let broken = laws().flat_map(|law| law.broken).find(|broken| broken.name == name);
        let broken: &Broken = broken.unwrap_or_else(|| panic!("there is no broken engine `{name}`"));
        let caught = block_on(async {
            let rig = Rig::new(broken.maker()).await.expect("the broken engine starts");
            for seed in 0..HISTORIES.into() {
                if record(&rig, seed).await.is_ok_and(|calls| check(&calls).is_err()) {
                    return true;
                }
            }
            false
        });
        assert!(caught, "{HISTORIES} histories of `{name}` are linearizable");
    }
}

fn r(n: u64) -> Revision {
    Revision::new(Term(1), n).expect("within bounds")
}

fn call(client: u32, op: Op, invoked: u64, answered: u64, answer: Answer) -> Call {
    Call { client, op, invoked, answered: Some((answered, answer)) }
}

fn put(value: i64) -> Op {
    Op::Put { item: 1, value }
}

fn fetch() -> Op {
    Op::Fetch { item: 1 }
}

fn seen(value: i64, n: u64) -> Answer {
    Answer::Seen(vec![(1, value, r(n))])
}

#[test]
fn a_stale_read_is_refused() {
    let fresh = [
        call(1, put(1), 0, 1, Answer::Wrote(r(1))),
        call(1, put(2), 2, 5, Answer::Wrote(r(2))),
        call(2, fetch(), 3, 4, seen(1, 1)),
        call(2, fetch(), 6, 7, seen(2, 2)),
    ];
    assert_eq!(check(&fresh), Ok(()), "a read beside the second put may see the first");
    let mut stale = fresh;
    stale[3].answered = Some((7, seen(1, 1)));
    let stuck = check(&stale).expect_err("a read after the second put was answered sees the first");
    assert_eq!((stuck.ordered, stuck.stuck.len()), (3, 1), "{stuck}");
}

#[test]
fn a_lost_update_is_refused() {
    let swap = |value| Op::Swap { item: 1, expect: r(1), value };
    let both = [
        call(1, put(1), 0, 1, Answer::Wrote(r(1))),
        call(2, swap(2), 2, 5, Answer::Wrote(r(2))),
        call(3, swap(3), 3, 4, Answer::Wrote(r(3))),
    ];
    assert!(check(&both).is_err(), "two swaps of one revision both succeeded");
    let add = |client, invoked, sum, n| {
        call(client, Op::Add { delta: 1 }, invoked, invoked + 10, Answer::Sum(r(n), sum))
    };
    assert_eq!(check(&[add(1, 0, 1, 1), add(2, 1, 2, 2)]), Ok(()));
    assert!(check(&[add(1, 0, 1, 1), add(2, 1, 1, 2)]).is_err(), "two adds of one have the sum one");
}

#[test]
fn an_unknown_outcome_may_have_happened_at_any_time_or_never() {
    let unknown = Call { client: 1, op: put(7), invoked: 0, answered: None };
    let absent = || Answer::Seen(Vec::new());
    for answers in [[absent(), absent()], [absent(), seen(7, 3)], [seen(7, 3), seen(7, 3)]] {
        let [first, second] = answers;
        let calls = [unknown.clone(), call(2, fetch(), 1, 2, first), call(2, fetch(), 3, 4, second)];
        assert_eq!(check(&calls), Ok(()), "{calls:?}");
    }
    let back = [unknown, call(2, fetch(), 1, 2, seen(7, 3)), call(2, fetch(), 3, 4, absent())];
    assert!(check(&back).is_err(), "what was seen went away by itself");
}

/// The model as stateright wants it.
#[derive(Clone, Debug, Default)]
struct Reference(Model);

impl SequentialSpec for Reference {
    type Op = Op;
    type Ret = Answer;

    fn invoke(&mut self, op: &Op) -> Answer {
        if let Some(next) = self.0.after(op, None).into_iter().next() {
            self.0 = next;
        }
        Answer::Refused
    }

    fn is_valid_step(&mut self, op: &Op, answer: &Answer) -> bool {
        match self.0.after(op, Some(answer)).into_iter().next() {
            Some(next) => {
                self.0 = next;
                true
            }
            None => false,
        }
    }
}

/// What stateright says of the same history.
fn stateright_agrees(calls: &[Call]) -> bool {
    let invocations = calls.iter().map(|call| (call.invoked, call, None));
    let answers =
        calls.iter().filter_map(|call| call.answered.as_ref().map(|(at, answer)| (*at, call, Some(answer))));
    let mut events: Vec<_> = invocations.chain(answers).collect();
    events.sort_by_key(|(at, ..)| *at);
    let mut tester = LinearizabilityTester::new(Reference::default());
    for (_, call, answer) in events {
        let step = match answer {
            None => tester.on_invoke(call.client, call.op.clone()).map(drop),
            Some(answer) => tester.on_return(call.client, answer.clone()).map(drop),
        };
        step.expect("the history is well formed");
    }
    tester.is_consistent()
}

/// A history that one engine gave, answered truly, with one answer changed as often as not.
fn generated(random: &mut Seeded) -> Vec<Call> {
    const CLIENTS: u64 = 3;
    let mut values: Vec<Option<(i64, u64)>> = vec![None; 3];
    let mut free_at = [0; CLIENTS as usize];
    let mut calls = Vec::new();
    for n in 1..=9_u64 {
        let (client, item) = (random.below(CLIENTS), random.below(3) as u8);
        // Happens at 1000·n; the client calls before that and is answered after it, others in between.
        let at = 1_000 * n;
        let Some(idle) = at.checked_sub(free_at[client as usize]).filter(|idle| *idle > 0) else { continue };
        let value = n as i64;
        let (op, answer) = match random.below(4) {
            0 if item != COUNTER => {
                values[usize::from(item)] = Some((value, n));
                (Op::Put { item, value }, Answer::Wrote(r(n)))
            }
            1 => {
                let sum = values[0].map_or(0, |(sum, _)| sum) + value;
                values[0] = Some((sum, n));
                (Op::Add { delta: value }, Answer::Sum(r(n), sum))
            }
            2 => {
                let had = values[usize::from(item)].take().map(|(_, at)| r(at));
                (Op::Delete { item }, Answer::Deleted(r(n), had))
            }
            _ => {
                let seen = values[usize::from(item)].map(|(value, at)| (item, value, r(at)));
                (Op::Fetch { item }, Answer::Seen(seen.into_iter().collect()))
            }
        };
        let invoked = at - random.below(idle).min(2_500);
        let answered = at + 1 + random.below(2_500);
        free_at[client as usize] = answered;
        let (invoked, answered) = (invoked * 100 + 2 * n, answered * 100 + 2 * n + 1);
        calls.push(call(client as u32, op, invoked, answered, answer));
    }
    if random.one_in(2) && !calls.is_empty() {
        let index = random.below(calls.len() as u64) as usize;
        let other = random.below(calls.len() as u64) as usize;
        let answer = calls[other].answered.as_ref().map(|(_, answer)| answer.clone());
        if let (Some((_, mine)), Some(answer)) = (&mut calls[index].answered, answer) {
            *mine = answer;
        }
    }
    calls
}

#[test]
fn the_checker_and_stateright_agree() {
    let mut random = Seeded::fresh();
    let seed = random.seed();
    let mut verdicts = [0; 2];
    for _ in 0..400 {
        let calls = generated(&mut random);
        let ours = check(&calls).is_ok();
        assert_eq!(ours, stateright_agrees(&calls), "seed {seed}: {calls:#?}");
        verdicts[usize::from(ours)] += 1;
    }
    assert!(verdicts.iter().all(|count| *count > 20), "seed {seed}: both verdicts are met: {verdicts:?}");
}
