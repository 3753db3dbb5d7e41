//! What an API key may do: a closed list of scopes and what each implies.

use std::fmt;

use statehold_core::{Error, Result};

macro_rules! scopes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),* $(,)?) => {
        /// One right of an API key.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Scope {
            $($(#[$doc])* $variant),*
        }

        impl Scope {
            /// Every scope, for tables and help.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The scope's name, as keys and problems show it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),*
                }
            }
        }
    };
}

scopes! {
    /// Reads cache entries.
    CacheRead = "cache:read",
    /// Changes cache entries.
    CacheWrite = "cache:write",
    /// Reads, changes and administers the cache.
    CacheAdmin = "cache:admin",
    /// Reads and validates sessions.
    SessionsRead = "sessions:read",
    /// Creates, renews and ends sessions.
    SessionsWrite = "sessions:write",
    /// Acts on the sessions of any owner; implied by nothing else.
    SessionsAdmin = "sessions:admin",
    /// Reads rate limits without taking from them.
    LimitsRead = "limits:read",
    /// Takes from rate limits.
    LimitsWrite = "limits:write",
    /// Resets rate limits.
    LimitsAdmin = "limits:admin",
    /// Reads the system's status, keys, namespaces and jobs.
    OpsRead = "ops:read",
    /// Changes keys and namespaces, runs jobs.
    OpsAdmin = "ops:admin",
    /// Reads the full health report.
    HealthRead = "health:read",
    /// Reads the metrics.
    MetricsRead = "metrics:read",
}

impl Scope {
    /// Takes a name.
    ///
    /// # Errors
    /// `Invalid` for a name that is no scope.
    pub fn parse(name: &str) -> Result<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|scope| scope.as_str() == name)
            .ok_or_else(|| Error::invalid("a scope is not known"))
    }

    /// The scopes that come with this one: an administrator of a store also reads and writes it, and nothing else
    /// implies anything.
    pub const fn implied(self) -> &'static [Self] {
        match self {
            Self::CacheAdmin => &[Self::CacheRead, Self::CacheWrite],
            Self::SessionsAdmin => &[Self::SessionsRead, Self::SessionsWrite],
            Self::LimitsAdmin => &[Self::LimitsRead, Self::LimitsWrite],
            Self::OpsAdmin => &[Self::OpsRead],
            Self::CacheRead
            | Self::CacheWrite
            | Self::SessionsRead
            | Self::SessionsWrite
            | Self::LimitsRead
            | Self::LimitsWrite
            | Self::OpsRead
            | Self::HealthRead
            | Self::MetricsRead => &[],
        }
    }

    const fn bit(self) -> u32 {
        1 << self as u8
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The scopes that a key was given. What they imply is answered by [`Self::allows`] and never stored.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ScopeSet {
    given: u32,
    allowed: u32,
}

impl ScopeSet {
    /// Every scope: an operator's key.
    pub fn all() -> Self {
        Scope::ALL.iter().copied().collect()
    }

    /// Takes names.
    ///
    /// # Errors
    /// `Invalid` when one of them is no scope.
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        names.into_iter().map(Scope::parse).collect()
    }

    /// Whether the scope was given, or is implied by one that was.
    pub const fn allows(self, scope: Scope) -> bool {
        self.allowed & scope.bit() != 0
    }

    /// Whether nothing was given.
    pub const fn is_empty(self) -> bool {
        self.given == 0
    }

    /// The scopes that were given, in the order of [`Scope::ALL`].
    pub fn given(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.iter().copied().filter(move |scope| self.given & scope.bit() != 0)
    }
}

impl FromIterator<Scope> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        scopes.into_iter().fold(Self::default(), |set, scope| Self {
            given: set.given | scope.bit(),
            allowed: scope.implied().iter().fold(set.allowed | scope.bit(), |all, one| all | one.bit()),
        })
    }
}

impl fmt::Debug for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.given().map(Scope::as_str)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for &scope in Scope::ALL {
            assert_eq!(Scope::parse(scope.as_str()).unwrap(), scope);
        }
        assert!(Scope::parse("cache:*").is_err());
    }

    #[test]
    fn only_an_administrator_gets_more_than_was_given() {
        for &scope in Scope::ALL {
            let set: ScopeSet = [scope].into_iter().collect();
            let expected = 1 + scope.implied().len();
            assert_eq!(Scope::ALL.iter().filter(|&&other| set.allows(other)).count(), expected, "{scope}");
            assert_eq!(set.given().collect::<Vec<_>>(), [scope]);
        }
        let writer = ScopeSet::parse(["sessions:write", "sessions:read"]).unwrap();
        assert!(!writer.allows(Scope::SessionsAdmin));
        let operator = ScopeSet::parse(["ops:admin"]).unwrap();
        assert!(operator.allows(Scope::OpsRead) && !operator.allows(Scope::CacheRead));
    }
}
