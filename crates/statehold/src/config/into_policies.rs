//! The rules of the stores, from the settings: the one place where the two meet.

use std::collections::BTreeMap;
use std::sync::Arc;

use statehold_stores::cache::CachePolicy;
use statehold_stores::limits::{self, BUILTIN, ClassDefinition, Definition, Policies, PolicyFault};
use statehold_stores::sessions::policy::{self, KindPolicy, Over};
use statehold_stores::value::Dur;

use super::Config;
use super::settings::{
    Algorithm, LimitClassSettings, LimitPolicySettings, LimitsSettings, OnUnavailable, OverLimit,
    SessionKindSettings,
};

impl Config {
    /// The rules of the cache.
    pub fn cache_policy(&self) -> CachePolicy {
        CachePolicy {
            default_ttl: Dur::new(self.cache.default_ttl)
                .expect("the table of keys bounds it as durations are"),
            value_bytes_max: self.cache.max_value,
            allow_no_expiry: self.cache.allow_no_expiry,
        }
    }

    /// The limit policies in force.
    pub fn limit_policies(&self) -> Policies {
        limits(&self.limits).expect("the checks at load asked the store itself")
    }

    /// The rules of every kind of session.
    pub fn session_policies(&self) -> policy::Policies {
        let kind =
            |name: &str| session_kind(self.sessions.get(name).expect("the table of keys names every kind"));
        policy::Policies { user: kind("user"), node: kind("node"), service: kind("service") }
    }
}

/// Every policy by name; a built-in one that is missing was removed.
pub(super) fn limits(settings: &LimitsSettings) -> Result<Policies, Vec<PolicyFault>> {
    let mut written: BTreeMap<Arc<str>, Option<Definition>> =
        BUILTIN.iter().map(|&name| (Arc::from(name), None)).collect();
    for (name, policy) in &settings.policies {
        written.insert(Arc::clone(name), Some(definition(policy)));
    }
    Policies::new(written)
}

fn definition(policy: &LimitPolicySettings) -> Definition {
    let bucket = policy.algorithm == Algorithm::TokenBucket;
    let class = |class: &LimitClassSettings| ClassDefinition {
        limit: (!bucket).then_some(class.limit),
        rate: bucket.then_some(class.rate),
        burst: bucket.then_some(class.burst),
    };
    Definition {
        algorithm: Some(match policy.algorithm {
            Algorithm::Sliding => limits::Algorithm::Sliding,
            Algorithm::TokenBucket => limits::Algorithm::TokenBucket,
            Algorithm::Fixed => limits::Algorithm::Fixed,
        }),
        limit: (!bucket).then_some(policy.limit),
        window: (!bucket).then_some(policy.window),
        rate: bucket.then_some(policy.rate),
        burst: bucket.then_some(policy.burst),
        classes: policy.classes.iter().map(|(name, settings)| (Arc::clone(name), class(settings))).collect(),
        on_unavailable: Some(match policy.on_unavailable {
            OnUnavailable::Closed => limits::OnUnavailable::Closed,
            OnUnavailable::Open => limits::OnUnavailable::Open,
        }),
        local_guard: policy.local_guard,
        shadow: Some(policy.shadow),
    }
}

pub(super) fn session_kind(settings: &SessionKindSettings) -> KindPolicy {
    KindPolicy {
        ttl: settings.absolute_ttl,
        idle: settings.idle_ttl,
        lifetime_max: settings.max_lifetime,
        concurrent_max: settings.max_concurrent,
        over: match settings.over_limit {
            OverLimit::EvictOldest => Over::EvictOldest,
            OverLimit::Refuse => Over::Refuse,
        },
        one_per_platform: settings.one_per_platform,
        touch_granularity: settings.touch_granularity,
        expiring_notice: settings.expiring_notice,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Sources;
    use super::*;

    /// The table of keys shows the defaults of the stores; the stores own them.
    #[test]
    fn what_the_table_says_is_what_the_stores_do() {
        let config = Config::load(&Sources::default()).expect("the defaults are legal");
        assert_eq!(config.limit_policies(), Policies::default());
        assert_eq!(config.cache_policy(), CachePolicy::default());
        assert_eq!(config.session_policies(), policy::Policies::default());
    }
}
