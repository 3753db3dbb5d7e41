//! The laws of the engine contract, and what breaks them.
//!
//! A [`Law`] is one promise of the contract with the test that checks it; it bears the id of a behaviour bullet on the
//! traits of `statehold-core`. A [`Stack`] is an engine as somebody runs it, bare or with layers around it. Every law
//! is run on every stack that promises it, and on deliberately broken engines that it must catch.
//!
//! **Add an engine:** one line in [`stacks`], one in `tests/it/laws.rs`, and `cargo run -p statehold-laws --example page`.

mod breach;
mod broken;
pub mod history;
mod law;
mod laws;
mod page;
mod plain;
mod random;
mod reference;
mod rig;
mod stack;
pub mod triples;

pub use breach::{Breach, LawResult};
pub use broken::Broken;
pub use law::{Applies, Law, Offer, run_on, run_on_broken};
pub use laws::all as laws;
pub use page::page;
pub use random::Seeded;
pub use rig::{Ground, Restart, Rig, Site};
pub use stack::{Close, Make, Parts, Stack, plain, stacks};
