//! G9: session validate over HTTP beside axum with one get of bare SQLite, under the same load, in the same process and
//! runtime.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use parking_lot::Mutex;
use rusqlite::{Connection, params};
use statehold::Statehold;
use statehold_core::Cx;
use statehold_server::{Remote, Server, Settings};
use statehold_stores::sessions::{NewSession, SessionKind};
use statehold_stores::value::Id;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use super::Workload;
use super::embedded::directory;
use super::system::{install_metrics, namespace, open};
use crate::error::BenchError;
use crate::load::Load;
use crate::measure::{Side, compare};
use crate::options::Options;
use crate::report::Outcome;

/// Connections of the load, as `wrk -c64`.
const CONNECTIONS: usize = 64;
/// Reading connections of the floor, as many as the embedded engine has by itself here.
const READERS: usize = 2;
/// Bytes of a row of the floor: about what a session's answer has.
const ROW_BYTES: usize = 258;
const ANY_PORT: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

/// Both servers on one runtime.
struct Served {
    runtime: Runtime,
    ours: Load,
    floor: Load,
    hold: Statehold,
    remote: Remote,
    running: Option<JoinHandle<bool>>,
    _directory: TempDir,
}

impl Served {
    fn start(options: &Options) -> Result<Self, BenchError> {
        install_metrics();
        let runtime = Builder::new_multi_thread().worker_threads(options.threads).enable_all().build()?;
        let directory = directory(options)?;
        let floor = runtime.block_on(serve_floor(&directory))?;
        let floor = Load::get(floor, "/row", &[], CONNECTIONS);
        let (hold, server, key) = runtime.block_on(async {
            let (hold, config, key) = open(&directory.path().join("data")).await?;
            let mut settings = Settings::from(&config);
            settings.server.listen = vec![SocketAddr::from(ANY_PORT)];
            let server = Server::bind(hold.clone(), None, settings).await.map_err(BenchError::system)?;
            Ok::<_, BenchError>((hold, server, key))
        })?;
        let token = runtime.block_on(one_session(&hold))?;
        let address = server.addresses()[0];
        let bearer = format!("Bearer {key}");
        let headers =
            [("Authorization", &*bearer), ("Statehold-Namespace", "default"), ("X-Session-Id", &*token)];
        let ours = Load::get(address, "/v1/sessions/current", &headers, CONNECTIONS);
        let remote = server.remote();
        let running = Some(runtime.spawn(server.run()));
        Ok(Self { runtime, ours, floor, hold, remote, running, _directory: directory })
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // The second call ends what the first one would wait for.
        self.remote.stop();
        self.remote.stop();
        let running = self.running.take();
        self.runtime.block_on(async {
            if let Some(running) = running {
                // How it stopped is no part of the measurement.
                let _ = running.await;
            }
            self.hold.close().await;
        });
    }
}

async fn one_session(hold: &Statehold) -> Result<String, BenchError> {
    let store = hold.sessions(&namespace()?).await?;
    let owner = Id::new("alice").map_err(BenchError::system)?;
    let new = NewSession::new(SessionKind::User, owner);
    let created = store.create(&Cx::new(), &new).await.map_err(BenchError::system)?;
    Ok(created.token.expose().as_str().to_owned())
}

/// Connections that only read, used on the thread that asks: what the embedded engine does, without it.
struct Rows {
    connections: Vec<Mutex<Connection>>,
    next: AtomicUsize,
}

impl Rows {
    fn open(directory: &TempDir) -> Result<Self, BenchError> {
        let path = directory.path().join("floor.db");
        let writer = Connection::open(&path)?;
        writer.execute_batch(
            "PRAGMA journal_mode = WAL;
             CREATE TABLE items (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;",
        )?;
        let value = format!("\"{}\"", "v".repeat(ROW_BYTES - 2)).into_bytes();
        writer.execute("INSERT INTO items (key, value) VALUES ('one', ?1)", params![value])?;
        let open = || Connection::open(&path).map(Mutex::new);
        let connections = (0..READERS).map(|_| open()).collect::<Result<_, _>>()?;
        Ok(Self { connections, next: AtomicUsize::new(0) })
    }

    fn get(&self) -> rusqlite::Result<Vec<u8>> {
        let free = self.connections.iter().find_map(Mutex::try_lock);
        let connection = free.unwrap_or_else(|| {
            self.connections[self.next.fetch_add(1, Ordering::Relaxed) % self.connections.len()].lock()
        });
        connection
            .prepare_cached("SELECT value FROM items WHERE key = ?1")?
            .query_row(["one"], |row| row.get(0))
    }
}

async fn serve_floor(directory: &TempDir) -> Result<SocketAddr, BenchError> {
    let rows = Arc::new(Rows::open(directory)?);
    let row = async |State(rows): State<Arc<Rows>>| {
        let row = rows.get().expect("the row was filled in");
        ([(CONTENT_TYPE, "application/json")], row)
    };
    let listener = TcpListener::bind(SocketAddr::from(ANY_PORT)).await?;
    let address = listener.local_addr()?;
    let router = Router::new().route("/row", get(row)).with_state(rows);
    // Ends with the runtime.
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

pub(super) fn validate(workload: &'static Workload, options: &Options) -> Result<Outcome, BenchError> {
    let served = Served::start(options)?;
    let sides = vec![
        Side::new("validate over HTTP", None, |span| served.ours.turn(span)),
        Side::new("axum and one get of bare SQLite", Some(0.70), |span| served.floor.turn(span)),
    ];
    compare(workload, options, sides)
}
