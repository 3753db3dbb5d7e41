//! `statehold serve`

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use statehold::config::Sources;
use statehold::telemetry::{Logs, Metrics, Traces, install_panic_hook};
use statehold::{Config, Statehold, SystemClock, VERSION};
use statehold_server::{Remote, Server, Settings};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::arguments::Common;
use crate::configured::{self, flag};
use crate::exit::{Exit, Failure};
use crate::printer::{Printer, cell};
use crate::serving;

/// The most of a stop's grace that the spans still waiting may take to reach the collector.
const FLUSH_MAX: Duration = Duration::from_secs(2);

pub(super) async fn run(common: &Common, listen: Option<String>, printer: Printer) -> Result<Exit, Failure> {
    let listen = listen.map(|address| flag("--listen", "server.listen", &address));
    let sources = configured::sources(common, listen);
    let config = configured::load_from(&sources)?;
    let (logs, metrics, traces) = telemetry(&config)?;
    let flush = config.server.shutdown_grace.min(FLUSH_MAX);
    let settings = Settings::from(&config);
    let tls = config.server.tls.is_some();
    let hold = serving::open(config).await?;
    let served = serve(&hold, settings, metrics, tls, printer, (logs, sources)).await;
    hold.close().await;
    if let Some(traces) = traces {
        traces.close(flush).await;
    }
    served.map(|()| Exit::Done)
}

fn telemetry(config: &Config) -> Result<(Logs, Option<Metrics>, Option<Traces>), Failure> {
    let traces = Traces::open(&config.trace)
        .map_err(|error| Failure::internal("traces cannot be set up").caused_by(&error))?;
    let logs = Logs::install(&config.log, Arc::new(SystemClock), traces.as_ref())
        .map_err(|error| Failure::internal("logs cannot be set up").caused_by(&error))?;
    install_panic_hook();
    let metrics =
        config.metrics.enabled.then(|| Metrics::install(config.profile, config.features, &SystemClock));
    Ok((logs, metrics.flatten(), traces))
}

async fn serve(
    hold: &Statehold,
    settings: Settings,
    metrics: Option<Metrics>,
    tls: bool,
    printer: Printer,
    reload: (Logs, Sources),
) -> Result<(), Failure> {
    let server = Server::bind(hold.clone(), metrics, settings).await.map_err(|error| {
        Failure::new(Exit::Unavailable, "the server cannot start")
            .caused_by(&error)
            .hint("choose another address with `--listen ADDR`")
    })?;
    let address = server.addresses()[0];
    let url = format!("{}://{}", if tls { "https" } else { "http" }, reachable(address));
    let noted = hold.note_server(&url);
    noted.map_err(|error| {
        Failure::new(Exit::Unavailable, "the server's address cannot be noted in the data directory")
            .caused_by(&error)
    })?;
    let signals = Signals::listen()
        .map_err(|error| Failure::internal("signals cannot be listened for").caused_by(&error))?;
    let obeying = tokio::spawn(signals.obey(server.remote(), hold.clone(), reload));
    printer.answer(&ready(hold, &url), text);
    server.run().await;
    obeying.abort();
    Ok(())
}

/// What a person needs to begin.
fn ready(hold: &Statehold, url: &str) -> Value {
    let config = hold.config();
    let key = config.files().operator_key();
    json!({
        "version": VERSION,
        "profile": config.profile.as_str(),
        "url": url,
        "data": config.data_dir,
        "operator_key": key.exists().then_some(&key),
        "try": format!("curl -s -H \"Authorization: Bearer $(cat {})\" {url}/v1/status", quoted(&key)),
    })
}

fn text(ready: &Value) -> String {
    let mut lines = vec![
        format!("statehold {} ({}) is ready", cell(ready, "/version"), cell(ready, "/profile")),
        format!("  address  {}", cell(ready, "/url")),
        format!("  data     {}", cell(ready, "/data")),
    ];
    if ready["operator_key"].is_null() {
        lines.push("  key      none yet: `statehold keys api create --operator --name NAME`".to_owned());
    } else {
        lines.push(format!("  key      {}", cell(ready, "/operator_key")));
        lines.push(format!("  try      {}", cell(ready, "/try")));
    }
    lines.join("\n")
}

/// An address that a client on this machine can connect to.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// A path as one word of a shell.
fn quoted(path: &Path) -> String {
    let path = path.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_');
    if path.chars().all(plain) { path.into_owned() } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

/// The signals that a server obeys.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// SIGTERM and SIGINT stop, gracefully and the second time now; SIGHUP reads configuration and certificate again.
    async fn obey(mut self, remote: Remote, hold: Statehold, reload: (Logs, Sources)) {
        loop {
            tokio::select! {
                Some(()) = self.terminate.recv() => stop(&remote, &hold),
                Some(()) = self.interrupt.recv() => stop(&remote, &hold),
                Some(()) = self.hang_up.recv() => read_again(&remote, &hold, &reload),
                else => return,
            }
        }
    }
}

fn stop(remote: &Remote, hold: &Statehold) {
    hold.drain();
    remote.stop();
}

fn read_again(remote: &Remote, hold: &Statehold, (logs, sources): &(Logs, Sources)) {
    match hold.reload(sources) {
        Ok(change) => {
            logs.apply(&hold.config().log);
            tracing::info!(
                event = "configuration_reloaded",
                changed = change.changed.join(", "),
                needs_restart = change.needs_restart.join(", "),
                "configuration read again"
            );
        }
        Err(errors) => {
            tracing::error!(event = "configuration_refused", mistakes = %errors, "configuration not changed");
        }
    }
    if let Err(error) = remote.reload_tls() {
        tracing::error!(event = "certificate_refused", error = %error, "the certificate before stays in force");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_of_a_shell() {
        assert_eq!(quoted(Path::new("/a/b-c_d.key")), "/a/b-c_d.key");
        assert_eq!(quoted(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }

    #[test]
    fn everywhere_is_reached_at_home() {
        let any: SocketAddr = "0.0.0.0:7600".parse().expect("an address");
        assert_eq!(reachable(any).to_string(), "127.0.0.1:7600");
    }
}
