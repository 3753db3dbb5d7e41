//! What routes ask of a key, as types: a route names its scope where it takes its caller, so that no route can read a
//! body, a path or a query for a key that may not use it.

use super::Scope;

/// What a route asks of a key.
pub(crate) trait Need: Send {
    /// The key has one of these, or the route asks for none. A refusal names the first.
    const ANY_OF: &'static [Scope];
}

macro_rules! needs {
    ($($(#[$doc:meta])* $name:ident: $($scope:ident),*;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $name;

        impl Need for $name {
            const ANY_OF: &'static [Scope] = &[$(Scope::$scope),*];
        }
    )*};
}

needs! {
    /// Any valid key.
    Nothing:;
    /// `cache:read`.
    CacheRead: CacheRead;
    /// `cache:write`.
    CacheWrite: CacheWrite;
    /// `cache:read` or `cache:write`: the body says which.
    CacheReadOrWrite: CacheRead, CacheWrite;
    /// `sessions:read`.
    SessionsRead: SessionsRead;
    /// `sessions:write`.
    SessionsWrite: SessionsWrite;
    /// `limits:read`.
    LimitsRead: LimitsRead;
    /// `limits:write`.
    LimitsWrite: LimitsWrite;
    /// `limits:admin`.
    LimitsAdmin: LimitsAdmin;
    /// `ops:read`.
    OpsRead: OpsRead;
    /// `ops:admin`.
    OpsAdmin: OpsAdmin;
    /// `metrics:read`.
    MetricsRead: MetricsRead;
}
