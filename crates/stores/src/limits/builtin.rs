//! The set of policies that a process knows: the built-in ones, redefined or completed by configuration.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::policy::{Definition, POLICIES_MAX, Policy, PolicyFault, PolicyProblem};

const MINUTE: Duration = Duration::from_mins(1);
/// Built-in policies that the product itself applies.
const INDISPENSABLE: [&str; 3] = ["session", "login", "reset"];

/// The built-in definition of a policy.
pub fn builtin(name: &str) -> Option<Definition> {
    Some(match name {
        "session" => Definition::sliding(60, MINUTE).with_class("sync", 600),
        "login" => Definition::sliding(5, MINUTE),
        "login_ip" => Definition::sliding(300, MINUTE),
        "api" => Definition::sliding(100, MINUTE).with_class("bulk", 1_000).open(),
        "endpoint" => Definition::sliding(100, MINUTE).open(),
        "reset" => Definition::sliding(3, Duration::from_hours(1)),
        _ => return None,
    })
}

/// The names of the built-in policies.
pub const BUILTIN: [&str; 6] = ["session", "login", "login_ip", "api", "endpoint", "reset"];

/// Every policy that may be asked for, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policies(BTreeMap<Arc<str>, Policy>);

impl Default for Policies {
    /// The built-in policies.
    fn default() -> Self {
        Self::new(BTreeMap::new()).expect("the built-in policies are within their bounds")
    }
}

impl Policies {
    /// The built-in policies, each completed by or replaced with what is `written` about it, and every other policy
    /// that is. None removes a built-in policy.
    ///
    /// # Errors
    /// Every fault of every policy, the removal of one that the product needs included.
    pub fn new(written: BTreeMap<Arc<str>, Option<Definition>>) -> Result<Self, Vec<PolicyFault>> {
        let mut definitions: BTreeMap<Arc<str>, Definition> =
            BUILTIN.iter().filter_map(|&name| Some((name.into(), builtin(name)?))).collect();
        let mut faults = Vec::new();
        for (name, definition) in written {
            match definition {
                Some(definition) => {
                    let definition = match definitions.get(&name) {
                        Some(base) => definition.over(base),
                        None => definition,
                    };
                    definitions.insert(name, definition);
                }
                None if INDISPENSABLE.contains(&&*name) => faults.push(PolicyFault {
                    policy: name,
                    class: None,
                    field: "name",
                    problem: PolicyProblem::Indispensable,
                }),
                None => drop(definitions.remove(&name)),
            }
        }
        if definitions.len() > POLICIES_MAX {
            let legal = "one of at most 1000 policies";
            let problem = PolicyProblem::OutOfRange { legal };
            faults.push(PolicyFault { policy: "*".into(), class: None, field: "name", problem });
        }
        let mut policies = BTreeMap::new();
        for (name, definition) in definitions {
            match Policy::new(&name, &definition) {
                Ok(policy) => drop(policies.insert(name, policy)),
                Err(found) => faults.extend(found),
            }
        }
        if faults.is_empty() { Ok(Self(policies)) } else { Err(faults) }
    }

    /// The policy of that name.
    pub fn get(&self, name: &str) -> Option<&Policy> {
        self.0.get(name)
    }

    /// Every policy, in the order of the names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Policy> {
        self.0.values()
    }
}
