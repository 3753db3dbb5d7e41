//! A `statehold serve` process over a directory, and a client that talks to it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;

/// How long a start or a stop may take before the test says that it hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// The command under test.
pub(crate) fn statehold() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_statehold"));
    command.env_clear().stdin(Stdio::null());
    command
}

/// Runs the command to its end.
pub(crate) fn run(directory: &Path, arguments: &[&str]) -> Output {
    statehold().current_dir(directory).args(arguments).output().expect("the command starts")
}

/// What the command said on stderr.
pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A key that no other test has seen, as `openssl rand -hex 32` writes it.
pub(crate) fn fresh_key() -> String {
    statehold::secrets::KeyMaterial::generate().expect("random numbers").to_hex().to_string()
}

/// A running server.
pub(crate) struct Served {
    child: Child,
    pub(crate) data: PathBuf,
    pub(crate) url: String,
    pub(crate) key: String,
    pub(crate) client: Client,
}

impl Served {
    /// Starts a server over `directory/statehold-data` and waits until it is ready.
    pub(crate) async fn start(directory: &Path) -> Self {
        Self::start_with(directory, |_| {}).await
    }

    /// The same, with more arguments or variables.
    pub(crate) async fn start_with(directory: &Path, change: impl FnOnce(&mut Command)) -> Self {
        let data = directory.join("statehold-data");
        let mut command = statehold();
        command.current_dir(directory).args(["serve", "--listen", "127.0.0.1:0"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        change(&mut command);
        let address = data.join("server.addr");
        let _ = std::fs::remove_file(&address);
        let child = command.spawn().expect("the server starts");
        let mut served = Self { child, data, url: String::new(), key: String::new(), client: Client::new() };
        served.wait_until_ready(&address).await;
        served
    }

    async fn wait_until_ready(&mut self, address: &Path) {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().expect("the server can be waited for") {
                panic!("the server ended with {status} before it was ready");
            }
            if let Ok(noted) = std::fs::read_to_string(address) {
                let noted = noted.trim();
                self.url = if noted.contains("://") { noted.to_owned() } else { format!("http://{noted}") };
                let ready = self.client.get(format!("{}/health/ready", self.url)).send().await;
                if ready.is_ok_and(|reply| reply.status() == 200) {
                    self.key =
                        std::fs::read_to_string(self.data.join("operator.key")).expect("the operator key");
                    self.key.truncate(self.key.trim_end().len());
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the server was not ready within {PATIENCE:?}");
    }

    /// A request with the operator's key.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.url));
        request.bearer_auth(&self.key).header("Statehold-Namespace", "default")
    }

    /// GET, answered.
    pub(crate) async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.expect("an answer")
    }

    /// A request with a JSON body, answered.
    pub(crate) async fn send(&self, method: Method, path: &str, body: &Value) -> Response {
        self.request(method, path).json(body).send().await.expect("an answer")
    }

    /// The process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, and the process is gone when this returns.
    pub(crate) fn kill(mut self) -> PathBuf {
        self.child.kill().expect("the server can be killed");
        self.child.wait().expect("the server is gone");
        self.data.clone()
    }

    /// SIGTERM; answers the exit code.
    pub(crate) fn stop(mut self) -> i32 {
        self.signal("TERM");
        self.wait()
    }

    /// Sends a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status();
        assert!(sent.expect("`kill` runs").success(), "the signal was sent");
    }

    /// Waits for the end; answers the exit code.
    pub(crate) fn wait(&mut self) -> i32 {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().expect("the server can be waited for") {
                return status.code().unwrap_or(-1);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the server did not end within {PATIENCE:?}");
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The answer's document, after its status was looked at.
pub(crate) async fn document(reply: Response, status: u16) -> Value {
    let met = reply.status().as_u16();
    let text = reply.text().await.expect("a body");
    assert_eq!(met, status, "{text}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("no JSON ({error}): {text}"))
}
