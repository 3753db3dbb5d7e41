//! Whom a command talks to: a server elsewhere, the server that holds the data directory, or the data directory itself.
//!
//! All three are asked through the same routes, so that a verb is written once and means one thing.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::Value;
use statehold::Config;
use statehold_server::InProcess;

use crate::arguments::Common;
use crate::configured;
use crate::exit::{Exit, Failure};
use crate::serving;

/// How long a command waits for a server's answer.
const ANSWER_WAIT: Duration = Duration::from_mins(1);
/// How long it waits to find out whether a server holds the data directory.
const CONNECT_WAIT: Duration = Duration::from_secs(3);

/// Whom the command talks to.
pub(crate) enum Target {
    /// A server, with the key to show it.
    Server(Server),
    /// The data directory, opened in this process.
    Directory(Box<Directory>),
}

/// A server that is asked over HTTP.
pub(crate) struct Server {
    client: Client,
    url: String,
    key: Option<String>,
    namespace: String,
}

/// The product over the data directory, inside this process.
pub(crate) struct Directory {
    hold: statehold::Statehold,
    routes: InProcess,
    namespace: String,
}

impl Target {
    /// Finds out whom to talk to and opens it.
    pub(crate) async fn find(common: &Common) -> Result<Self, Failure> {
        let namespace = common.namespace.clone().unwrap_or_else(|| "default".to_owned());
        if let Some(url) = &common.url {
            let key = common.api_key_file.as_deref().map(read_key).transpose()?;
            return Ok(Self::Server(Server::new(url, key, namespace)?));
        }
        let config = configured::load(common)?;
        if let Some(server) = running(&config, common, &namespace).await? {
            return Ok(Self::Server(server));
        }
        let hold = serving::open(config).await?;
        let routes = InProcess::new(&hold)
            .map_err(|error| Failure::internal("the routes cannot be opened").caused_by(&error))?;
        Ok(Self::Directory(Box::new(Directory { hold, routes, namespace })))
    }

    /// Asks for `path` and answers the document, or the problem as a failure.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let (status, text) = self.ask(method, path, body).await?;
        let document: Value = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&text)
                .map_err(|error| Failure::internal("the server's answer is no JSON").caused_by(&error))?
        };
        if (200..300).contains(&status) { Ok(document) } else { Err(problem(status, &document)) }
    }

    /// Asks for `path` and answers status and document, whatever the status.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(u16, Vec<u8>), Failure> {
        match self {
            Self::Server(server) => server.ask(method, path, body).await,
            Self::Directory(directory) => directory.ask(method, path, body).await,
        }
    }

    /// Lets go of what was opened.
    pub(crate) async fn close(self) {
        if let Self::Directory(directory) = self {
            directory.hold.close().await;
        }
    }
}

impl Server {
    fn new(url: &str, key: Option<String>, namespace: String) -> Result<Self, Failure> {
        let client = Client::builder().timeout(ANSWER_WAIT).connect_timeout(CONNECT_WAIT).build();
        let client =
            client.map_err(|error| Failure::internal("cannot make an HTTP client").caused_by(&error))?;
        Ok(Self { client, url: url.trim_end_matches('/').to_owned(), key, namespace })
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(u16, Vec<u8>), Failure> {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        request = request.header("Statehold-Namespace", &self.namespace);
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let lost = |error: reqwest::Error| {
            Failure::new(Exit::Unavailable, "cannot reach the server")
                .caused_by(&error.without_url())
                .hint("is it running? `statehold health` asks it, `statehold serve` starts one")
        };
        let reply = request.send().await.map_err(lost)?;
        let status = reply.status().as_u16();
        Ok((status, reply.bytes().await.map_err(lost)?.to_vec()))
    }
}

impl Directory {
    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(u16, Vec<u8>), Failure> {
        let body = body.map(ToString::to_string);
        let answer = self.routes.ask(method.as_str(), path, &self.namespace, body).await;
        let (status, body) =
            answer.map_err(|error| Failure::internal("the route gave no answer").caused_by(&error))?;
        Ok((status, body.to_vec()))
    }
}

/// The server that holds the data directory, if one answers at the address noted there.
async fn running(config: &Config, common: &Common, namespace: &str) -> Result<Option<Server>, Failure> {
    let files = config.files();
    // An address outlives a killed server, and whoever listens there now must not be shown the key.
    if configured::holder(&files.lock()).is_none() {
        return Ok(None);
    }
    let Ok(address) = std::fs::read_to_string(files.server_address()) else { return Ok(None) };
    let key_file = common.api_key_file.clone().unwrap_or_else(|| files.operator_key());
    let server = Server::new(address.trim(), read_key(&key_file).ok(), namespace.to_owned())?;
    let alive = server.client.get(format!("{}/health/live", server.url)).timeout(CONNECT_WAIT).send().await;
    Ok(alive.is_ok().then_some(server))
}

fn read_key(file: impl AsRef<Path>) -> Result<String, Failure> {
    let file: PathBuf = file.as_ref().to_path_buf();
    let key = std::fs::read_to_string(&file).map_err(|error| {
        Failure::usage(format!("cannot read the API key file {}", file.display())).caused_by(&error)
    })?;
    Ok(key.trim().to_owned())
}

/// A problem document as a failure.
fn problem(status: u16, document: &Value) -> Failure {
    let text = |member: &str| document.get(member).and_then(Value::as_str).unwrap_or_default().to_owned();
    let exit = match status {
        400 | 413 | 415 | 422 => Exit::Usage,
        500 => Exit::Internal,
        501.. => Exit::Unavailable,
        _ => Exit::Refused,
    };
    let (code, title, detail) = (text("code"), text("title"), text("detail"));
    let mut failure = Failure::new(exit, if detail.is_empty() { title } else { detail });
    failure.causes.push(format!("{status} {code}"));
    let errors = document.get("errors").and_then(Value::as_array);
    for error in errors.into_iter().flatten() {
        let member = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default();
        failure.causes.push(format!("{}: {} ({})", member("path"), member("detail"), member("code")));
    }
    match code.as_str() {
        "credentials_missing" | "credentials_invalid" | "credentials_expired" => failure
            .hint("give a key with `--api-key-file FILE`, or make one with `statehold keys api create`"),
        "insufficient_scope" => failure.hint("`statehold keys api list` shows what each key may do"),
        _ => failure,
    }
}
