//! What an API key may do.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

macro_rules! scopes {
    ($($name:ident = $text:literal $doc:literal $(, part of $whole:ident)?;)*) => {
        /// One right of an API key.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
        pub enum Scope {
            $(
                #[doc = $doc]
                #[serde(rename = $text)]
                $name,
            )*
        }

        impl Scope {
            /// Every scope.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The scope as it travels.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The scope that includes this one, if any does.
            pub const fn whole(self) -> Option<Self> {
                match self { $(Self::$name => scopes!(@whole $($whole)?),)* }
            }
        }
    };
    (@whole) => { None };
    (@whole $whole:ident) => { Some(Self::$whole) };
}

scopes! {
    CacheRead = "cache:read" "Read the cache.", part of CacheAdmin;
    CacheWrite = "cache:write" "Change the cache.", part of CacheAdmin;
    CacheAdmin = "cache:admin" "Everything in the cache.";
    SessionsRead = "sessions:read" "List and count sessions.", part of SessionsAdmin;
    SessionsWrite = "sessions:write" "Create, use and end sessions.", part of SessionsAdmin;
    SessionsAdmin = "sessions:admin" "Everything about sessions.";
    LimitsRead = "limits:read" "See limit policies and what is left.", part of LimitsAdmin;
    LimitsWrite = "limits:write" "Ask limits, which consumes.", part of LimitsAdmin;
    LimitsAdmin = "limits:admin" "Everything about limits.";
    HealthRead = "health:read" "See health in detail.";
    MetricsRead = "metrics:read" "Read the metrics.";
    OpsRead = "ops:read" "See the status of the installation.", part of OpsAdmin;
    OpsAdmin = "ops:admin" "Operate the installation: keys, namespaces, jobs.";
}

impl Scope {
    /// Whether holding `self` satisfies a need for `need`.
    pub fn includes(self, need: Self) -> bool {
        self == need || need.whole() == Some(self)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is no scope of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownScope;

impl fmt::Display for UnknownScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a scope")
    }
}

impl std::error::Error for UnknownScope {}

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        Self::ALL.iter().copied().find(|scope| scope.as_str() == text).ok_or(UnknownScope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_admin_includes_others_and_only_of_its_own_family() {
        for held in Scope::ALL {
            for need in Scope::ALL {
                let family = |scope: &Scope| scope.as_str().split_once(':').expect("family:level").0;
                let admin = held.as_str().ends_with(":admin") && family(held) == family(need);
                assert_eq!(held.includes(*need), held == need || admin, "{held} for {need}");
            }
            assert_eq!(held.as_str().parse(), Ok(*held));
        }
    }
}
