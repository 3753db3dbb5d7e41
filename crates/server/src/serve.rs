//! The running server: from listeners to the last answer.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use statehold::Statehold;
use statehold::telemetry::Metrics;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::accept::{Acceptor, Gate, Listener, Tls, TlsError};
use crate::app::{AppState, Phase};
use crate::routes;
use crate::settings::Settings;

/// Why a server does not start.
#[derive(Debug)]
pub enum StartError {
    /// An address cannot be listened on.
    Listen(SocketAddr, io::Error),
    /// TLS cannot be set up.
    Tls(TlsError),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen(address, _) => write!(f, "cannot listen on {address}"),
            Self::Tls(_) => f.write_str("cannot set up TLS"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Listen(_, error) => Some(error),
            Self::Tls(error) => Some(error),
        }
    }
}

/// A server that listens already and answers once [`Self::run`] is awaited.
pub struct Server {
    state: AppState,
    acceptors: Vec<Acceptor>,
    addresses: Vec<SocketAddr>,
    ops_addresses: Vec<SocketAddr>,
    connections: TaskTracker,
    gate: watch::Sender<Gate>,
    tls: Option<Arc<Tls>>,
    orders: watch::Sender<Order>,
}

/// How far the server has been told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Order {
    Run,
    Stop,
    StopNow,
}

/// Tells a running server what to do. Cheap to clone.
#[derive(Clone)]
pub struct Remote {
    orders: watch::Sender<Order>,
    tls: Option<Arc<Tls>>,
}

impl Remote {
    /// Stops: the first call gracefully, a second one now.
    pub fn stop(&self) {
        self.orders.send_modify(|order| {
            *order = if *order == Order::Run { Order::Stop } else { Order::StopNow };
        });
    }

    /// Reads the certificate again. When that fails, the one before stays.
    ///
    /// # Errors
    /// Why the new one cannot be used.
    pub fn reload_tls(&self) -> Result<(), TlsError> {
        self.tls.as_ref().map_or(Ok(()), |tls| tls.reload())
    }
}

impl Server {
    /// Listens on every address of the settings. `metrics` are what `/metrics` shows; they must have been installed
    /// before.
    ///
    /// # Errors
    /// When an address is taken or not ours, or TLS cannot be set up.
    pub async fn bind(
        hold: Statehold,
        metrics: Option<Metrics>,
        settings: Settings,
    ) -> Result<Self, StartError> {
        let tls =
            settings.server.tls.clone().map(Tls::load).transpose().map_err(StartError::Tls)?.map(Arc::new);
        let (api, document) = routes::api().split_for_parts();
        let state = AppState::described(hold, metrics, settings, &document);
        let mut server = Self {
            acceptors: Vec::new(),
            addresses: Vec::new(),
            ops_addresses: Vec::new(),
            connections: TaskTracker::new(),
            gate: watch::Sender::new(Gate::Open),
            tls,
            orders: watch::Sender::new(Order::Run),
            state,
        };
        let api = routes::serve(api, server.state.clone());
        for address in server.state.settings().server.listen.clone() {
            let bound = server.listen(address, Listener::Api, &api).await?;
            server.addresses.push(bound);
        }
        let ops = routes::serve(routes::ops().into(), server.state.clone());
        for address in server.state.settings().server.ops_listen.clone() {
            let bound = server.listen(address, Listener::Ops, &ops).await?;
            server.ops_addresses.push(bound);
        }
        Ok(server)
    }

    async fn listen(
        &mut self,
        address: SocketAddr,
        kind: Listener,
        router: &Router,
    ) -> Result<SocketAddr, StartError> {
        let refused = |error| StartError::Listen(address, error);
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let bound = listener.local_addr().map_err(refused)?;
        self.acceptors.push(Acceptor {
            listener,
            kind,
            tls: self.tls.clone(),
            router: router.clone(),
            state: self.state.clone(),
            gate: self.gate.subscribe(),
            connections: self.connections.clone(),
        });
        Ok(bound)
    }

    /// The addresses of the API, with the ports that were given where the settings said 0.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The addresses of the ops listener.
    pub fn ops_addresses(&self) -> &[SocketAddr] {
        &self.ops_addresses
    }

    /// Tells the server what to do while it runs.
    pub fn remote(&self) -> Remote {
        Remote { orders: self.orders.clone(), tls: self.tls.clone() }
    }

    /// Answers until told to stop, and until what was in flight is answered or the grace is over. Says whether
    /// everything was finished.
    pub async fn run(mut self) -> bool {
        for acceptor in self.acceptors.drain(..) {
            self.connections.spawn(acceptor.run());
        }
        self.connections.close();
        let mut orders = self.orders.subscribe();
        told(&mut orders, Order::Stop).await;
        let delay = self.state.settings().server.drain_delay;
        info!(event = "draining", delay_ms = delay.as_millis() as u64, "readiness says no from now on");
        self.state.hold().drain();
        self.state.enter(Phase::Draining);
        let _ = tokio::time::timeout(delay, told(&mut orders, Order::StopNow)).await;
        self.state.enter(Phase::Stopping);
        self.gate.send_replace(Gate::Closing);
        let finished = tokio::select! {
            finished = tokio::time::timeout(self.state.settings().server.shutdown_grace, self.finished()) => finished.is_ok(),
            () = told(&mut orders, Order::StopNow) => false,
        };
        self.gate.send_replace(Gate::Shut);
        if finished {
            info!(event = "stopped", "every request in flight was answered");
        } else {
            warn!(
                event = "stopped_early",
                connections = self.connections.len(),
                "requests in flight were cut"
            );
        }
        finished
    }

    /// Waits for every connection and every change to end.
    async fn finished(&self) {
        self.connections.wait().await;
        self.state.changes().close();
        self.state.changes().wait().await;
    }
}

async fn told(orders: &mut watch::Receiver<Order>, wanted: Order) {
    // The sender lives as long as the server.
    let _ = orders.wait_for(|order| *order >= wanted).await;
}
