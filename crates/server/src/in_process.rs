//! The routes inside one process, for whoever holds the data directory: no socket, no stored key.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, Request};
use bytes::Bytes;
use http_body_util::BodyExt;
use statehold::Statehold;
use statehold_core::{Error, Result};
use statehold_journal::control::{ApiKey, KeyNamespaces, NewKey, ScopeSet};
use tower::ServiceExt;

use crate::accept::Listener;
use crate::app::AppState;
use crate::auth::NAMESPACE;
use crate::routes;
use crate::settings::Settings;

/// The key of the person in front of the machine. It is drawn for one process, is accepted by no socket, because a
/// request that came over one cannot carry it, and is never stored.
#[derive(Clone)]
pub(crate) struct LocalOperator(pub(crate) Arc<ApiKey>);

/// Every route of the API, asked without a socket by an operator who holds the data directory.
pub struct InProcess {
    routes: Router,
    operator: LocalOperator,
}

impl InProcess {
    /// Takes the routes over a running system.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn new(hold: &Statehold) -> Result<Self> {
        let settings = Settings::from(hold.config().as_ref());
        let (api, document) = routes::api().split_for_parts();
        let state = AppState::described(hold.clone(), None, settings, &document);
        let issued = hold.control().draft_key(NewKey {
            name: "the person in front of the machine".to_owned(),
            namespaces: KeyNamespaces::All,
            scopes: ScopeSet::all(),
            lifetime: None,
            allowed_cidrs: Vec::new(),
            created_by: "local".to_owned(),
        })?;
        Ok(Self { routes: routes::serve(api, state), operator: LocalOperator(Arc::new(issued.key)) })
    }

    /// Asks one route in a namespace, with a JSON body or none; answers status and body.
    ///
    /// # Errors
    /// `Invalid` when method, path or namespace are no parts of a request.
    pub async fn ask(
        &self,
        method: &str,
        path: &str,
        namespace: &str,
        body: Option<String>,
    ) -> Result<(u16, Bytes)> {
        let bad = |error: axum::http::Error| Error::invalid("this is no request").caused_by(error);
        let method = Method::from_bytes(method.as_bytes()).map_err(|error| bad(error.into()))?;
        let mut request = Request::builder().method(method).uri(path).header(NAMESPACE, namespace);
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let mut request = request.body(body.map_or_else(Body::empty, Body::from)).map_err(bad)?;
        request.extensions_mut().insert(self.operator.clone());
        request.extensions_mut().insert(Listener::Api);
        let Ok(reply) = self.routes.clone().oneshot(request).await;
        let status = reply.status().as_u16();
        let body = reply.into_body().collect().await;
        let body = body.map_err(|error| Error::internal("the answer broke off").caused_by(error))?;
        Ok((status, body.to_bytes()))
    }
}
