//! The statehold command.
fn main() {}
