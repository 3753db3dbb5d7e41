//! Limits: `/v1/limits`.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Ref, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use crate::values::{Dur, Ts};

/// Most policies that are asked together.
pub const POLICIES_AT_ONCE_MAX: usize = 8;

/// Asks a policy about one call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckLimit {
    /// Whose limit it is.
    pub subject: String,
    /// A class of the policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Units the call costs, 1 to the limit; 1 unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<u32>,
}

/// How a check is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct CheckQuery {
    /// Whether a denial is answered with status 429 instead of 200.
    pub enforce: Option<bool>,
}

/// Which class of a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ClassQuery {
    /// The class; the policy itself unless said.
    pub class: Option<String>,
}

/// What a limit answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LimitResult {
    /// Whether the call may go on.
    pub allowed: bool,
    /// The limit.
    pub limit: u64,
    /// Units that can still be taken now.
    pub remaining: u64,
    /// When the limit is whole again if nothing more is taken.
    pub reset_at: Ts,
    /// Milliseconds until one call of that cost would be admitted; absent when allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// The engine could not answer: this process decided alone.
    pub degraded: bool,
}

/// Asks several policies about one call: allowed only if all allow; a denial takes from none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckLimits {
    /// Whose limits they are.
    pub subject: String,
    /// 1 to 8 policies, each at most once.
    pub policies: Vec<PolicyAsked>,
}

/// A policy: its name alone, or with a class and a cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyAsked {
    /// The policy.
    pub policy: String,
    /// A class of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Units the call costs; 1 unless said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<u32>,
}

/// A policy with a class and a cost.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyAskedInFull {
    /// The policy.
    policy: String,
    /// A class of it.
    class: Option<String>,
    /// Units the call costs; 1 unless said.
    cost: Option<u32>,
}

impl<'de> Deserialize<'de> for PolicyAsked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Wanted;
        impl<'de> Visitor<'de> for Wanted {
            type Value = PolicyAsked;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a policy's name or {policy, class?, cost?}")
            }

            fn visit_str<E: de::Error>(self, policy: &str) -> Result<PolicyAsked, E> {
                Ok(PolicyAsked { policy: policy.to_owned(), class: None, cost: None })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<PolicyAsked, A::Error> {
                let full = PolicyAskedInFull::deserialize(MapAccessDeserializer::new(map))?;
                let PolicyAskedInFull { policy, class, cost } = full;
                Ok(PolicyAsked { policy, class, cost })
            }
        }
        deserializer.deserialize_any(Wanted)
    }
}

impl PartialSchema for PolicyAsked {
    fn schema() -> RefOr<Schema> {
        let name = ObjectBuilder::new().schema_type(Type::String).build();
        let full = RefOr::Ref(Ref::from_schema_name("PolicyAskedInFull"));
        OneOfBuilder::new().item(name).item(full).into()
    }
}

impl ToSchema for PolicyAsked {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((PolicyAskedInFull::name().into_owned(), PolicyAskedInFull::schema()));
    }
}

/// What several limits answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LimitResults {
    /// Whether the call may go on.
    pub allowed: bool,
    /// Milliseconds until every policy would admit the call; absent when allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// One result per policy, in order: whether it alone would admit the call.
    pub results: Vec<LimitResultOf>,
}

/// What one of several limits answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LimitResultOf {
    /// The policy.
    pub policy: String,
    /// Its class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Its answer.
    #[serde(flatten)]
    pub result: LimitResult,
}

/// What a reset did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LimitReset {
    /// Whether anything had been taken.
    pub reset: bool,
}

/// How calls are admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LimitAlgorithm {
    /// An exact log of the last window.
    Sliding,
    /// A rate and a burst.
    TokenBucket,
    /// Windows counted from the epoch.
    Fixed,
}

/// What a policy answers while its engine cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LimitOnUnavailable {
    /// Checks fail.
    Closed,
    /// Calls pass up to a ceiling of the process.
    Open,
}

/// A policy in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LimitPolicy {
    /// Its name.
    pub name: String,
    /// How calls are admitted.
    pub algorithm: LimitAlgorithm,
    /// The numbers of the policy itself.
    #[serde(flatten)]
    pub rule: LimitRule,
    /// Those of its classes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub classes: BTreeMap<String, LimitRule>,
    /// What it answers while its engine cannot.
    pub on_unavailable: LimitOnUnavailable,
    /// It decides and counts without ever denying.
    pub shadow: bool,
}

/// The numbers of a policy: limit and window, or rate and burst.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LimitRule {
    /// Units per window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Dur>,
    /// Units per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Units at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_asked_by_name_or_in_full() {
        let body = r#"{"subject":"s","policies":["api",{"policy":"api","class":"bulk","cost":2}]}"#;
        let asked: CheckLimits = serde_json::from_str(body).unwrap();
        assert_eq!(asked.policies[0].policy, "api");
        assert_eq!((asked.policies[1].class.as_deref(), asked.policies[1].cost), (Some("bulk"), Some(2)));
        let unknown =
            serde_json::from_str::<CheckLimits>(r#"{"subject":"s","policies":[{"policy":"a","x":1}]}"#);
        assert!(unknown.unwrap_err().to_string().starts_with("unknown field"));
        assert!(serde_json::from_str::<CheckLimits>(r#"{"subject":"s","policies":[1]}"#).is_err());
    }
}
