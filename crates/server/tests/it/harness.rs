//! A real server in this process, on a loopback port, over a directory of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use statehold::telemetry::Metrics;
use statehold::{Config, Statehold};
use statehold_api::{Code, ProblemBody};
use statehold_core::{ManualClock, Namespace};
use statehold_journal::control::{IssuedKey, KeyNamespaces, NewKey, Scope, ScopeSet};
use statehold_server::{Remote, Server, Settings};
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// Longest that a test waits for what should come at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A running server. Dropping it stops it.
pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    pub(crate) ops_address: Option<SocketAddr>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) hold: Statehold,
    /// The text of a key that may do everything everywhere.
    pub(crate) operator: String,
    pub(crate) client: Client,
    pub(crate) remote: Remote,
    running: JoinHandle<bool>,
    _directory: TempDir,
}

impl TestServer {
    /// A server with default settings.
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// A server with changed settings.
    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::configured(|_| {}, change).await
    }

    /// A server with a changed configuration and changed settings.
    pub(crate) async fn configured(
        configure: impl FnOnce(&mut Config),
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::default());
        let mut config = Config::in_directory(directory.path()).unwrap();
        configure(&mut config);
        let metrics = Metrics::install(config.profile, config.features, &*clock);
        let hold = Statehold::open(config.clone(), Arc::clone(&clock) as _).await.unwrap();
        let mut settings = Settings::from(&config);
        settings.server.listen = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
        settings.server.drain_delay = Duration::ZERO;
        settings.server.shutdown_grace = PATIENCE;
        change(&mut settings);
        let server = Server::bind(hold.clone(), metrics, settings).await.unwrap();
        let address = server.addresses()[0];
        let ops_address = server.ops_addresses().first().copied();
        let remote = server.remote();
        let running = tokio::spawn(server.run());
        let mut server = Self {
            address,
            ops_address,
            clock,
            hold,
            operator: String::new(),
            client: Client::builder().timeout(PATIENCE).build().unwrap(),
            remote,
            running,
            _directory: directory,
        };
        let operator = server.key(&["*"], Scope::ALL).await;
        server.operator = String::from(operator.text.expose());
        server
    }

    /// A new key for these namespaces (`*` for all) with these scopes.
    pub(crate) async fn key(&self, namespaces: &[&str], scopes: &[Scope]) -> IssuedKey {
        self.key_with(namespaces, scopes, |_| {}).await
    }

    /// The same, changed before it is made.
    pub(crate) async fn key_with(
        &self,
        namespaces: &[&str],
        scopes: &[Scope],
        change: impl FnOnce(&mut NewKey),
    ) -> IssuedKey {
        let namespaces = match namespaces {
            ["*"] => KeyNamespaces::All,
            names => KeyNamespaces::These(names.iter().map(|name| Namespace::new(*name).unwrap()).collect()),
        };
        let mut new = NewKey {
            name: "test".to_owned(),
            namespaces,
            scopes: scopes.iter().copied().collect::<ScopeSet>(),
            lifetime: None,
            allowed_cidrs: Vec::new(),
            created_by: "test".to_owned(),
        };
        change(&mut new);
        self.hold.control().create_key(new).await.unwrap()
    }

    /// A request without credentials.
    pub(crate) fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    /// A request with the operator's key in the namespace `default`.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.bare(method, path).bearer_auth(&self.operator).header("Statehold-Namespace", "default")
    }

    /// GET with the operator's key.
    pub(crate) async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    /// POST of JSON with the operator's key.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Response {
        self.request(Method::POST, path).json(body).send().await.unwrap()
    }

    /// Stops gracefully and says whether everything in flight was finished.
    pub(crate) async fn stopped(self) -> bool {
        self.remote.stop();
        tokio::time::timeout(PATIENCE, self.running).await.expect("it stops").unwrap()
    }

    /// Waits for the end of a server that was told to stop.
    pub(crate) async fn ended(self) -> bool {
        tokio::time::timeout(PATIENCE, self.running).await.expect("it stops").unwrap()
    }
}

/// The JSON of a reply that must have this status.
pub(crate) async fn json(response: Response, status: u16) -> Value {
    let (got, text) = (response.status().as_u16(), response.text().await.unwrap());
    assert_eq!(got, status, "{text}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The problem of a reply that must be one, in every respect: type, status, code and correlation id agree.
pub(crate) async fn problem(response: Response) -> ProblemBody {
    let status = response.status();
    let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let (media, correlation) = (header("content-type"), header("x-correlation-id").expect("always returned"));
    let (authenticate, retry_after) = (header("www-authenticate"), header("retry-after"));
    assert_eq!(header("x-content-type-options").as_deref(), Some("nosniff"));
    let text = response.text().await.unwrap();
    assert_eq!(media.as_deref(), Some("application/problem+json"), "{status}: {text}");
    let body: ProblemBody = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(body.urn, format!("urn:statehold:problem:{}", body.code));
    assert_eq!((body.status, body.code.status()), (status.as_u16(), status.as_u16()));
    assert_eq!(body.title, body.code.title());
    assert_eq!(body.correlation_id, correlation);
    assert_eq!(authenticate.is_some(), status == StatusCode::UNAUTHORIZED, "{text}");
    assert_eq!(!body.members.errors.is_empty(), status == StatusCode::UNPROCESSABLE_ENTITY, "{text}");
    if status == StatusCode::SERVICE_UNAVAILABLE {
        assert!(retry_after.is_some(), "{text}");
    }
    body
}

/// The problem of a reply that must have this code.
pub(crate) async fn refused(response: Response, code: Code) -> ProblemBody {
    let body = problem(response).await;
    assert_eq!(body.code, code, "{body:?}");
    body
}
