//! The policies in force, each with its counters: `statehold_limit_decisions_total{policy,decision}`.

use std::collections::HashMap;
use std::sync::Arc;

use metrics::{Counter, counter};

use super::builtin::Policies;
use super::policy::Policy;

/// What a decision is counted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decided {
    Allow,
    Deny,
    ShadowDeny,
    Open,
    Unavailable,
}

const LABELS: [&str; 5] = ["allow", "deny", "shadow_deny", "open", "unavailable"];

/// The policies of one configuration, ready to be asked.
#[derive(Debug)]
pub(super) struct InForce {
    pub(super) policies: Policies,
    by_name: HashMap<Arc<str>, Standing>,
}

/// One policy in force.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) policy: Policy,
    counters: [Counter; LABELS.len()],
}

impl InForce {
    pub(super) fn new(policies: Policies) -> Self {
        let standing = |policy: &Policy| {
            let name = policy.name();
            let counter = |decision: &'static str| counter!("statehold_limit_decisions_total", "policy" => Arc::clone(name), "decision" => decision);
            (Arc::clone(name), Standing { policy: policy.clone(), counters: LABELS.map(counter) })
        };
        let by_name = policies.iter().map(standing).collect();
        Self { policies, by_name }
    }

    pub(super) fn get(&self, policy: &str) -> Option<&Standing> {
        self.by_name.get(policy)
    }
}

impl Standing {
    pub(super) fn count(&self, decided: Decided) {
        self.counters[decided as usize].increment(1);
    }
}
