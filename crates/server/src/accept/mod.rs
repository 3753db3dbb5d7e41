//! Connections: our own accept loop, because time limits on heads and handshakes need one.
//!
//! A connection takes one of a bounded number of places before it is accepted. It must finish its TLS handshake, begin
//! its first request and finish every request's head in bounded time. Stopping lets requests in flight finish.

mod tls;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_util::task::TaskTracker;
use tower::Service;
use tracing::{debug, warn};

pub(crate) use self::tls::Tls;
pub use self::tls::TlsError;
use crate::app::AppState;
use crate::auth::Peer;

/// Most bytes of a request's head.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Most requests at once on one HTTP/2 connection.
const STREAMS_MAX: u32 = 256;
/// How often an HTTP/2 client is asked whether it is still there, and how long it has to answer.
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// How long accepting rests when the system has no descriptor left.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// How far listeners and connections are on the way to the stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Gate {
    /// Connections are taken.
    Open,
    /// No new ones; those there finish what they have begun.
    Closing,
    /// Everything is dropped.
    Shut,
}

/// Which of the two kinds of listener a request came through; beside every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listener {
    /// Serves the API.
    Api,
    /// Serves health and metrics to operators.
    Ops,
}

/// One listener with all that its connections need.
pub(crate) struct Acceptor {
    pub(crate) listener: TcpListener,
    pub(crate) kind: Listener,
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) router: Router,
    pub(crate) state: AppState,
    pub(crate) gate: watch::Receiver<Gate>,
    pub(crate) connections: TaskTracker,
}

impl Acceptor {
    /// Accepts until the gate closes.
    pub(crate) async fn run(mut self) {
        let places = Arc::new(Semaphore::new(self.state.settings().server.max_connections));
        loop {
            // The place comes first: beyond the bound, clients wait in the kernel's queue and cost nothing here.
            let accepted = async {
                let place = Arc::clone(&places).acquire_owned().await.expect("the semaphore is never closed");
                (place, self.listener.accept().await)
            };
            let (place, accepted) = tokio::select! {
                accepted = accepted => accepted,
                () = closing(&mut self.gate) => return,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let connection = self.connection(peer);
                    self.connections.spawn(async move {
                        connection.serve(stream).await;
                        drop(place);
                    });
                }
                Err(error) => self.rest(&error).await,
            }
        }
    }

    fn connection(&self, peer: SocketAddr) -> Connection {
        Connection {
            peer,
            kind: self.kind,
            tls: self.tls.clone(),
            router: self.router.clone(),
            state: self.state.clone(),
            gate: self.gate.clone(),
        }
    }

    /// A client that left before it was accepted is no trouble; a lack of descriptors passes.
    async fn rest(&self, error: &io::Error) {
        let gone = [io::ErrorKind::ConnectionAborted, io::ErrorKind::ConnectionReset];
        if !gone.contains(&error.kind()) {
            warn!(event = "accept_failed", %error, "a connection could not be accepted");
            tokio::time::sleep(ACCEPT_REST).await;
        }
    }
}

async fn closing(gate: &mut watch::Receiver<Gate>) {
    // A sender that is gone means that the server is.
    let _ = gate.wait_for(|gate| *gate > Gate::Open).await;
}

struct Connection {
    peer: SocketAddr,
    kind: Listener,
    tls: Option<Arc<Tls>>,
    router: Router,
    state: AppState,
    gate: watch::Receiver<Gate>,
}

impl Connection {
    async fn serve(self, stream: TcpStream) {
        let present = self.state.meters().connection();
        if let Err(error) = stream.set_nodelay(true) {
            debug!(event = "nodelay_failed", %error, "TCP_NODELAY could not be set");
        }
        match self.tls.clone() {
            None => self.answer(stream).await,
            Some(tls) => {
                let limit = self.state.settings().handshake_timeout;
                match tokio::time::timeout(limit, tls.acceptor().accept(stream)).await {
                    Ok(Ok(stream)) => self.answer(stream).await,
                    Ok(Err(error)) => debug!(event = "handshake_failed", %error, "a TLS handshake failed"),
                    Err(_) => debug!(event = "handshake_slow", "a TLS handshake took too long"),
                }
            }
        }
        drop(present);
    }

    async fn answer(mut self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let begun = Arc::new(AtomicBool::new(false));
        let service = Requests {
            router: self.router.clone(),
            peer: Peer(self.peer),
            kind: self.kind,
            begun: Arc::clone(&begun),
        };
        let head_timeout = self.state.settings().header_timeout;
        let builder = builder(head_timeout);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        // The time limit on heads starts only when the protocol is known; this one covers what comes before.
        let mut first = pin!(tokio::time::sleep(head_timeout));
        let (mut waiting, mut closing) = (true, false);
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        debug!(event = "connection_failed", %error, "a connection ended early");
                    }
                    return;
                }
                () = first.as_mut(), if waiting => {
                    waiting = false;
                    if !begun.load(Ordering::Relaxed) {
                        return;
                    }
                }
                gate = next_gate(&mut self.gate, closing) => match gate {
                    Gate::Open => {}
                    Gate::Closing => {
                        closing = true;
                        connection.as_mut().graceful_shutdown();
                    }
                    Gate::Shut => return,
                }
            }
        }
    }
}

/// Waits for the gate's next step that this connection has not taken yet.
async fn next_gate(gate: &mut watch::Receiver<Gate>, closing: bool) -> Gate {
    let seen = if closing { Gate::Closing } else { Gate::Open };
    gate.wait_for(|gate| *gate > seen).await.map_or(Gate::Shut, |gate| *gate)
}

fn builder(head_timeout: Duration) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout)
        .max_buf_size(HEAD_BYTES_MAX)
        .pipeline_flush(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEAD_BYTES_MAX as u32)
        .max_concurrent_streams(STREAMS_MAX)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

/// Hands requests of one connection to the routes, with what is known of the connection.
#[derive(Clone)]
struct Requests {
    router: Router,
    peer: Peer,
    kind: Listener,
    begun: Arc<AtomicBool>,
}

impl hyper::service::Service<Request<Incoming>> for Requests {
    type Response = Response;
    type Error = Infallible;
    type Future = <Router as Service<Request<Body>>>::Future;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        self.begun.store(true, Ordering::Relaxed);
        request.extensions_mut().insert(self.peer);
        request.extensions_mut().insert(self.kind);
        self.router.clone().call(request.map(Body::new))
    }
}
