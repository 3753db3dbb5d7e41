//! Whether a store may live on an engine. Without clock and I/O.

use statehold_core::{Description, Durability, Needs, Shortfall};

use crate::config::Profile;

/// What becomes of a store at an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// The engine gives what the store needs.
    Fits,
    /// The store may be there, and the operator should know.
    Warned(String),
    /// The store must not be there.
    Refused(String),
}

/// Judges a store at an engine.
///
/// Production keeps no store in memory unless it is told to, whatever the store needs, because a restart would empty
/// it; development warns.
pub(crate) fn judge(
    profile: Profile,
    store: &str,
    needs: Needs,
    allow_volatile: bool,
    engine: &Description,
) -> Judgement {
    let volatile = engine.guarantees.durability == Durability::Volatile;
    let strict = profile == Profile::Production;
    let place = format!("store `{store}` on engine `{}` ({})", engine.name, engine.kind);
    if volatile && strict && !allow_volatile {
        return Judgement::Refused(format!("{place}: everything in it ends with the process"));
    }
    let excused = |shortfall: &Shortfall| {
        volatile && allow_volatile && matches!(shortfall, Shortfall::Durability { .. })
    };
    let shortfalls = needs.shortfalls(&engine.guarantees);
    let missing: Vec<_> =
        shortfalls.iter().filter(|shortfall| !excused(shortfall)).map(ToString::to_string).collect();
    let ends = || format!("{place}: everything in it ends with the process");
    let lacks = || format!("{place}: it {}", missing.join("; it "));
    match (missing.is_empty(), volatile) {
        (true, false) => Judgement::Fits,
        (false, _) if strict => Judgement::Refused(lacks()),
        (false, false) => Judgement::Warned(lacks()),
        (_, true) => Judgement::Warned(ends()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use statehold_core::{EngineKind, Guarantees, Replication};

    use super::*;

    const SESSIONS: Needs = Needs { durability: Durability::Buffered, tolerates_eviction: false };
    const CACHE: Needs = Needs { durability: Durability::Volatile, tolerates_eviction: true };

    fn engine(durability: Durability) -> Description {
        let kind = match durability {
            Durability::Volatile => EngineKind::Memory,
            _ => EngineKind::Embedded,
        };
        Description {
            name: "main".into(),
            kind,
            guarantees: Guarantees {
                durability,
                replication: Replication::None,
                shared: false,
                evicts: false,
                clock_skew_max: Duration::ZERO,
                staleness_max: Duration::ZERO,
                commit_memory: Duration::from_mins(10),
            },
            value_bytes_max: 1 << 20,
        }
    }

    #[test]
    fn f042_production_keeps_nothing_in_memory_unless_it_is_told_to() {
        let memory = engine(Durability::Volatile);
        for needs in [SESSIONS, CACHE] {
            let refused = judge(Profile::Production, "x", needs, false, &memory);
            assert!(
                matches!(&refused, Judgement::Refused(text) if text.contains("`x`") && text.contains("`main`"))
            );
            assert!(matches!(judge(Profile::Production, "x", needs, true, &memory), Judgement::Warned(_)));
            assert!(matches!(judge(Profile::Development, "x", needs, false, &memory), Judgement::Warned(_)));
        }
    }

    #[test]
    fn what_an_engine_lacks_is_refused_in_production_and_told_in_development() {
        let needs = Needs { durability: Durability::Synced, ..SESSIONS };
        let buffered = engine(Durability::Buffered);
        assert!(matches!(judge(Profile::Production, "x", needs, true, &buffered), Judgement::Refused(_)));
        assert!(matches!(judge(Profile::Development, "x", needs, false, &buffered), Judgement::Warned(_)));
        assert_eq!(judge(Profile::Production, "x", SESSIONS, false, &buffered), Judgement::Fits);
        assert_eq!(
            judge(Profile::Production, "x", needs, false, &engine(Durability::Synced)),
            Judgement::Fits
        );
    }
}
