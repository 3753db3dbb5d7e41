//! Each law on each stack, as a test of its own name.

use std::collections::BTreeSet;

use statehold_laws::{Applies, Breach, Law, Rig, Stack, laws, plain, run_on, run_on_broken, stacks};

/// Runs something on several threads, whatever the machine has.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build();
    runtime.expect("a runtime starts").block_on(future)
}

fn law(group: &str, name: &str) -> &'static Law {
    let id = format!("{group}.{}", name.replace('_', "-"));
    laws().find(|law| law.id == id).unwrap_or_else(|| panic!("there is no law `{id}`"))
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
            Err(Breach::Broken(message)) => println!("{} catches `{broken:?}`: {message}", law.id),
        }
    }
}

/// All laws by group, handed to another macro. A test below holds this list against the laws.
macro_rules! with_laws {
    ($macro:ident $(, $run:expr)?) => {
        $macro! { $($run;)?
            checks: each atomic write_skew;
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

#[test]
fn f299_every_law_is_run_on_every_stack() {
    let listed = BTreeSet::from(with_laws!(ids));
    let written: BTreeSet<&str> = laws().map(|law| law.id).collect();
    assert_eq!(listed, written, "the list in this file and the laws differ");
    let stacks: Vec<&str> = stacks().iter().map(|stack| stack.name).collect();
    let here = include_str!("laws.rs");
    for stack in stacks {
        assert!(here.contains(&format!("Stack::named(\"{stack}\")")), "no tests for the stack `{stack}`");
    }
}

#[test]
fn every_law_applies_to_the_plain_engine_that_the_broken_ones_are_made_of() {
    let offer = block_on(async { Rig::new(plain().maker()).await.expect("the plain engine starts").offer() });
    for law in laws() {
        assert_eq!((law.applies)(&offer), Applies::Yes, "{} is not shown to bite", law.id);
    }
}
