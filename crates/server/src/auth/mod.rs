//! Who calls: API keys, the namespace they choose, the address they come from.

mod address;
pub(crate) mod applied;
mod attempts;
pub(crate) mod needs;

use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use statehold_api::Code;
use statehold_core::Namespace;
use statehold_journal::control::{ApiKey, KeyNamespaces, KeyRefusal};
use tracing::Span;

pub(crate) use self::address::Peer;
use self::needs::{Need, Nothing};
use crate::app::AppState;
use crate::extract::carries_a_token;
use crate::in_process::LocalOperator;
use crate::problem::Problem;

pub(crate) use statehold_journal::control::Scope;

/// The header by which a key of several namespaces says which.
pub(crate) const NAMESPACE: HeaderName = HeaderName::from_static("statehold-namespace");

/// Who calls, in which namespace. Taking one as the first argument is what makes a route ask for credentials, and `N` is
/// the scope it asks for: a key without it is refused before anything else of the request is read.
#[derive(Clone, Debug)]
pub(crate) struct Caller<N> {
    operator: Operator<N>,
    namespace: Namespace,
}

impl<N> Caller<N> {
    /// The namespace of this request.
    pub(crate) fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Refuses unless the key has this scope too: for what only the body says.
    ///
    /// # Errors
    /// 403 `insufficient_scope`, naming it.
    pub(crate) fn require(&self, scope: Scope) -> Result<(), Problem> {
        if self.has(scope) { Ok(()) } else { Err(Problem::insufficient_scope(scope)) }
    }

    /// Whether the key has the scope or one that includes it.
    pub(crate) fn has(&self, scope: Scope) -> bool {
        self.operator.has(scope)
    }
}

/// Who calls, on routes that belong to no namespace; its key has the scope `N`.
#[derive(Clone, Debug)]
pub(crate) struct Operator<N = Nothing> {
    key: Arc<ApiKey>,
    need: PhantomData<N>,
}

impl<N> Operator<N> {
    /// Whether the key has the scope or one that includes it.
    pub(crate) fn has(&self, scope: Scope) -> bool {
        self.key.scopes.allows(scope)
    }

    /// The key's id, for what keeps account.
    pub(crate) fn key_id(&self) -> &str {
        self.key.id.as_str()
    }
}

impl<N: Need> FromRequestParts<AppState> for Operator<N> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let key = authenticate(parts, state).await?;
        if let Some(first) = N::ANY_OF.first()
            && !N::ANY_OF.iter().any(|scope| key.scopes.allows(*scope))
        {
            return Err(Problem::insufficient_scope(*first));
        }
        Ok(Self { key, need: PhantomData })
    }
}

/// The key that a request carries.
async fn authenticate(parts: &Parts, state: &AppState) -> Result<Arc<ApiKey>, Problem> {
    if carries_a_token(&parts.uri) {
        let detail = "send credentials in a header";
        return Err(Problem::field(Code::TokenInQuery, "", detail));
    }
    if let Some(LocalOperator(key)) = parts.extensions.get() {
        return Ok(Arc::clone(key));
    }
    let address = address::client(parts, &state.settings().server.trusted_proxies);
    let verified = bearer(&parts.headers)
        .and_then(|text| state.hold().control().verify_key(text, address).map_err(refused));
    match verified {
        Ok(key) => {
            Span::current().record("principal", key.id.as_str());
            Ok(key)
        }
        Err(refusal) => Err(attempts::charge(state, address, refusal).await),
    }
}

impl<N: Need> OptionalFromRequestParts<AppState> for Operator<N> {
    type Rejection = Problem;

    /// None when no credentials are sent; wrong ones are refused all the same.
    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Option<Self>, Problem> {
        if parts.headers.contains_key(AUTHORIZATION) || parts.extensions.get::<LocalOperator>().is_some() {
            <Self as FromRequestParts<AppState>>::from_request_parts(parts, state).await.map(Some)
        } else {
            Ok(None)
        }
    }
}

impl<N: Need> FromRequestParts<AppState> for Caller<N> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let operator = <Operator<N> as FromRequestParts<AppState>>::from_request_parts(parts, state).await?;
        let namespace = choose(&operator.key.namespaces, &parts.headers)?;
        if !state.hold().control().serves_namespace(&namespace) {
            return Err(Problem::new(Code::NamespaceForbidden).detail("there is no such namespace"));
        }
        Span::current().record("namespace", namespace.as_str());
        applied::charge(parts, state, &namespace, &operator.key).await?;
        Ok(Self { operator, namespace })
    }
}

/// The bearer credentials. Other schemes beside them are for routes that know them.
fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut tokens = headers.get_all(AUTHORIZATION).iter().filter_map(|value| {
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    match (tokens.next(), tokens.next()) {
        (Some(token), None) => Ok(token),
        (Some(_), Some(_)) => Err(Problem::new(Code::CredentialsInvalid).detail("two keys were sent")),
        (None, _) => {
            Err(Problem::new(Code::CredentialsMissing).detail("send Authorization: Bearer with an API key"))
        }
    }
}

fn refused(refusal: KeyRefusal) -> Problem {
    Problem::new(match refusal {
        KeyRefusal::Invalid => Code::CredentialsInvalid,
        KeyRefusal::Expired => Code::CredentialsExpired,
        KeyRefusal::AddressNotAllowed => Code::AddressNotAllowed,
    })
}

/// The namespace of a request: the one it names, else the key's only one.
fn choose(reached: &KeyNamespaces, headers: &HeaderMap) -> Result<Namespace, Problem> {
    let forbidden = || Problem::new(Code::NamespaceForbidden);
    let mut named = headers.get_all(NAMESPACE).iter();
    match (named.next(), named.next()) {
        (None, _) => reached
            .only()
            .cloned()
            .ok_or_else(|| Problem::new(Code::NamespaceRequired).detail("send Statehold-Namespace")),
        (Some(_), Some(_)) => Err(forbidden().detail("two namespaces were sent")),
        (Some(name), None) => {
            let name = name.to_str().map_err(|_| forbidden())?;
            let namespace = Namespace::new(name)
                .map_err(|error| Problem::field(Code::InvalidId, NAMESPACE.as_str(), error.to_string()))?;
            if reached.contains(&namespace) { Ok(namespace) } else { Err(forbidden()) }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn chosen(reached: &[&str], named: &[&'static str]) -> Result<String, Code> {
        let reached = match reached {
            ["*"] => KeyNamespaces::All,
            names => KeyNamespaces::These(names.iter().map(|name| Namespace::new(*name).unwrap()).collect()),
        };
        let mut headers = HeaderMap::new();
        for name in named {
            headers.append(NAMESPACE, HeaderValue::from_static(name));
        }
        choose(&reached, &headers).map(|name| name.as_str().to_owned()).map_err(|problem| problem.code())
    }

    #[test]
    fn a_namespace_is_named_unless_there_is_only_one() {
        assert_eq!(chosen(&["shop"], &[]), Ok("shop".into()));
        assert_eq!(chosen(&["shop"], &["shop"]), Ok("shop".into()));
        assert_eq!(chosen(&["shop", "blog"], &["blog"]), Ok("blog".into()));
        assert_eq!(chosen(&["*"], &["any"]), Ok("any".into()));
        assert_eq!(chosen(&["shop", "blog"], &[]), Err(Code::NamespaceRequired));
        assert_eq!(chosen(&["*"], &[]), Err(Code::NamespaceRequired));
        assert_eq!(chosen(&["shop"], &["blog"]), Err(Code::NamespaceForbidden));
        assert_eq!(chosen(&["shop"], &["shop", "shop"]), Err(Code::NamespaceForbidden));
        assert_eq!(chosen(&["*"], &["No Such"]), Err(Code::InvalidId));
    }
}
