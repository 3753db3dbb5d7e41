//! Errors of the engine contract as problems.

use statehold_api::Code;
use statehold_core::{Error, Kind, Outcome};

use super::Problem;

/// Said whenever nobody knows whether the change was made.
const MAY_HAVE_HAPPENED: &str = "the change may have been made: look before you repeat it";

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let code = code(error.kind(), error.outcome());
        let problem = Self::new(code);
        let problem = match (error.kind(), error.outcome()) {
            (_, Outcome::Unknown) => problem.detail(MAY_HAVE_HAPPENED),
            // Messages of the contract hold no keys, values or hosts; with an engine's name they stay inside.
            (Kind::Invalid | Kind::NotFound, Outcome::NoEffect) if error.engine().is_none() => {
                problem.detail(error.to_string())
            }
            _ => problem,
        };
        problem.caused_by(error)
    }
}

fn code(kind: Kind, outcome: Outcome) -> Code {
    match (kind, outcome) {
        (Kind::Corrupt, _) => Code::CorruptValue,
        (Kind::Internal | Kind::Unsupported, _) => Code::Internal,
        (Kind::Moved, Outcome::NoEffect) => Code::BucketMoving,
        (Kind::Conflict, Outcome::NoEffect) => Code::Contention,
        (Kind::Invalid, Outcome::NoEffect) => Code::OutOfRange,
        (Kind::NotFound, Outcome::NoEffect) => Code::NotFound,
        (Kind::Overloaded, Outcome::NoEffect) => Code::EngineFull,
        (Kind::Deadline, Outcome::NoEffect) => Code::Busy,
        (Kind::Unavailable | Kind::Refused, _) | (_, Outcome::Unknown) => Code::EngineUnavailable,
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    #[test]
    fn the_whole_table() {
        let mut table = String::new();
        for kind in Kind::ALL {
            for outcome in [Outcome::NoEffect, Outcome::Unknown] {
                let code = code(kind, outcome);
                writeln!(table, "{kind:?} {outcome:?} -> {} {code}", code.status())
                    .expect("writing to a string");
            }
        }
        insta::assert_snapshot!(table);
    }

    #[tokio::test]
    async fn what_an_engine_says_stays_inside() {
        for kind in Kind::ALL {
            let error = Error::new(kind, "secret").at_engine(&"main".into()).caused_by("host:5432");
            let reply = Problem::from(error).render("/", "c");
            let body = axum::body::to_bytes(reply.into_body(), 65_536).await.unwrap();
            let text = String::from_utf8_lossy(&body);
            assert!(!text.contains("secret") && !text.contains("main") && !text.contains("5432"), "{text}");
        }
    }
}
