//! What every write may owe: the control tables.

pub mod control;
