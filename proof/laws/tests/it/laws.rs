//! Each law on each stack, as a test of its own name.

use std::collections::BTreeSet;
use std::path::Path;

use statehold_laws::{Applies, Breach, Law, Rig, Stack, laws, plain, run_on, run_on_broken, stacks};

use super::block_on;

fn law(group: &str, name: &str) -> &'static Law {
    let id = format!("{group}.{}", name.replace('_', "-"));
    laws().find(|law| law.id == id).unwrap_or_else(|| panic!("there is no law `{id}`"))
}

fn stack(name: &str) -> Stack {
    Stack::named(name).expect("the stack is listed")
}

fn keeps(stack: &Stack, law: &Law) {
    if let Err(breach) = block_on(run_on(law, stack)) {
        panic!("`{}` breaks {}: {}\n{breach}", stack.name, law.id, law.promise);
    }
}

/// The law fails on every engine that was made to break it, and says so in its own words.
fn bites(law: &Law) {
    assert!(!law.broken.is_empty(), "no engine was made that breaks {}", law.id);
    for broken in law.broken {
        match block_on(run_on_broken(law, broken)) {
            Ok(()) => panic!("{} does not catch `{broken:?}`", law.id),
            Err(Breach::Trouble(error)) => panic!("{} meets trouble with `{broken:?}`: {error:?}", law.id),
            Err(Breach::Broken(message)) => {
                assert!(!message.is_empty(), "{} says nothing of `{broken:?}`", law.id);
            }
        }
    }
}

/// All laws by group, handed to another macro. A test below holds this list against the laws.
macro_rules! with_laws {
    ($macro:ident $(, $run:expr)?) => {
        $macro! { $($run;)?
            announce: with_the_commit order prefix lagged;
            basics: round_trip look_alikes many outcomes counter;
            bounds: served commit fetch list scan;
            carry: exact newer_wins regressed markers fenced continues forget;
            checks: each atomic write_skew;
            deadline: absent_at touch every_verb observed;
            errors: outcome deadline;
            fence: epoch roles read floor time_floor missing void establish set_control marks mark_states clear;
            list: order bounds window pages one_instant;
            race: one_winner no_lost_update no_revival;
            replay: same_id remembers refused at_once;
            restart: keeps whole incarnation revision replay fence;
            revision: grows receipt not_reused;
            scan: complete live expired raw;
            take: reference exact denied;
        }
    };
}

macro_rules! tests {
    ($run:expr; $($group:ident: $($law:ident)+;)+) => {
        $(mod $group {
            $(#[test]
            fn $law() {
                ($run)(super::super::law(stringify!($group), stringify!($law)));
            })+
        })+
    };
}

macro_rules! ids {
    ($($group:ident: $($law:ident)+;)+) => {
        [$($(law(stringify!($group), stringify!($law)).id),+),+]
    };
}

/// One module of tests for one stack.
macro_rules! on_stack {
    ($module:ident, $stack:expr) => {
        mod $module {
            with_laws!(tests, |law| super::super::keeps(&$stack, law));
        }
    };
}

mod broken {
    with_laws!(tests, super::super::bites);
}
on_stack!(plain, statehold_laws::plain());
on_stack!(memory, super::super::stack("memory"));
on_stack!(embedded, super::super::stack("embedded"));
on_stack!(embedded_normal, super::super::stack("embedded, normal"));
on_stack!(metrics_memory, super::super::stack("metrics > memory"));
on_stack!(deadline_memory, super::super::stack("deadline > memory"));
on_stack!(production_memory, super::super::stack("production > memory"));
on_stack!(production_embedded, super::super::stack("production > embedded"));

#[test]
fn f299_every_law_is_run_on_every_stack() {
    let listed = BTreeSet::from(with_laws!(ids));
    let written: BTreeSet<&str> = laws().map(|law| law.id).collect();
    assert_eq!(listed, written, "the list in this file and the laws differ");
    let stacks: Vec<&str> = stacks().iter().map(|stack| stack.name).collect();
    let here = include_str!("laws.rs");
    for stack in stacks {
        assert!(here.contains(&format!("stack(\"{stack}\")")), "no tests for the stack `{stack}`");
    }
}

#[test]
fn every_law_applies_to_the_plain_engine_that_the_broken_ones_are_made_of() {
    let offer = block_on(async { Rig::new(plain().maker()).await.expect("the plain engine starts").offer() });
    for law in laws() {
        assert_eq!((law.applies)(&offer), Applies::Yes, "{} is not shown to bite", law.id);
    }
}

/// The laws that a stack does not promise.
fn not_promised(name: &str) -> BTreeSet<&'static str> {
    let offer = block_on(async { Rig::new(stack(name).maker()).await.expect("the stack starts").offer() });
    laws().filter(|law| (law.applies)(&offer) != Applies::Yes).map(|law| law.id).collect()
}

#[test]
fn f037_memory_promises_every_law_but_those_of_a_kept_file() {
    let kept = ["restart.keeps", "restart.whole", "restart.replay", "restart.fence"];
    let expected: BTreeSet<&str> = kept.into_iter().collect();
    assert_eq!(not_promised("production > memory"), expected);
}

#[test]
fn f299_embedded_in_production_promises_every_law() {
    assert_eq!(not_promised("production > embedded"), BTreeSet::new());
}

#[test]
fn f301_no_law_sleeps() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/laws");
    for entry in std::fs::read_dir(folder).expect("the laws have a folder") {
        let path = entry.expect("a law's file").path();
        let text = std::fs::read_to_string(&path).expect("a law's file");
        assert!(!text.contains("sleep"), "{} sleeps; turn the clock", path.display());
    }
}

#[test]
fn f303_what_was_acknowledged_is_equal_after_every_restart() {
    for stack in stacks() {
        for id in ["restart.keeps", "restart.revision", "restart.replay"] {
            keeps(&stack, laws().find(|law| law.id == id).expect("the law is written"));
        }
    }
}

/// The ids of the behaviour bullets in a source file of core: "/// - `group.name`: a fact".
fn bullets(source: &str) -> impl Iterator<Item = &str> {
    source
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("/// - `")?.split_once("`: ").map(|(id, _)| id))
}

#[test]
fn every_bullet_of_the_contract_is_a_law_and_every_law_a_bullet() {
    let sources = [
        include_str!("../../../../crates/core/src/engine.rs"),
        include_str!("../../../../crates/core/src/movable.rs"),
        include_str!("../../../../crates/core/src/signals.rs"),
    ];
    let mut promised: Vec<&str> = sources.into_iter().flat_map(bullets).collect();
    promised.sort_unstable();
    let mut kept: Vec<&str> = laws().map(|law| law.id).collect();
    kept.sort_unstable();
    assert_eq!(promised, kept, "the bullets on the traits of core (left) and the laws (right) differ");
}
