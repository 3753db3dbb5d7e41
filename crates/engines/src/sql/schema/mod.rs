//! The tables of the engine, step by step.

use statehold_sql::Step;

/// Every step, in order. A step that was released never changes.
pub(super) static STEPS: &[Step] =
    &[Step { version: 1, name: "items", script: include_str!("0001_items.sql") }];
