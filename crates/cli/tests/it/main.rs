//! The command and the server as a new user meets them: real processes, real directories, real signals.

mod bad_starts;
mod crash;
mod first_run;
mod served;
mod traces;
mod verbs;
