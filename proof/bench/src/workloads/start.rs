//! G16: how long the program takes from its start to ready with a million items, and what it weighs.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use statehold_core::Cx;
use statehold_stores::cache::{GROUP_COMMIT_MAX, Key, Mode, Set, Value};
use statehold_stores::value::Id;
use tokio::runtime::Builder;
use tokio::task::JoinSet;

use super::Workload;
use super::embedded::directory;
use super::home::value;
use super::system::{namespace, open};
use crate::error::BenchError;
use crate::options::Options;
use crate::report::{Outcome, spread};

/// Items in the file.
const ITEMS: usize = 1_000_000;
/// Commits in flight while it is filled.
const FILLING: usize = 8;
/// Between two questions whether it is ready.
const ASK_EVERY: Duration = Duration::from_millis(2);
/// Longest that a start may take before the bench gives up.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a program that is ready rests before its memory is read.
const REST: Duration = Duration::from_secs(2);
const MIB: f64 = 1_048_576.0;

pub(super) fn start(workload: &'static Workload, options: &Options) -> Result<Outcome, BenchError> {
    let program = options.program.as_deref().ok_or(BenchError::NoProgram)?;
    let directory = directory(options)?;
    let home = directory.path().join("data");
    fill(&home, options.value_bytes)?;
    let mut counters = BTreeMap::new();
    let (mut ready, mut resident) = (Vec::new(), Vec::new());
    for _ in 0..options.pairs {
        let mut started = Started::start(program, &home)?;
        ready.push(started.ready()?.as_secs_f64() * 1_000.0);
        std::thread::sleep(REST);
        resident.extend(started.resident_mib());
        started.end()?;
    }
    let (median, min, max) = spread(&ready);
    counters.insert("ready_ms_median", median);
    counters.insert("ready_ms_min", min);
    counters.insert("ready_ms_max", max);
    if !resident.is_empty() {
        counters.insert("idle_resident_mib", spread(&resident).0);
    }
    counters.insert("program_mib", std::fs::metadata(program)?.len() as f64 / MIB);
    Ok(Outcome {
        workload: workload.name,
        goal: workload.goal,
        work: workload.work,
        pairs: options.pairs,
        sides: Vec::new(),
        ratios: Vec::new(),
        counters,
    })
}

/// Puts [`ITEMS`] entries into a data directory, through the product.
fn fill(home: &Path, value_bytes: usize) -> Result<(), BenchError> {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let (hold, _, _) = open(home).await?;
        let cache = hold.cache(&namespace()?).await?;
        let mut begun = JoinSet::new();
        for first in (0..ITEMS).step_by(GROUP_COMMIT_MAX) {
            let group = Id::new(format!("group-{first:08}")).map_err(BenchError::system)?;
            let entry = |n: usize| {
                let key = Id::new(format!("item-{n:08}")).map_err(BenchError::system)?;
                let set = Set::new(Value::Bytes(value(n, value_bytes)));
                Ok::<_, BenchError>((Key::in_group(group.clone(), key), set, Mode::Any))
            };
            let entries =
                (first..ITEMS.min(first + GROUP_COMMIT_MAX)).map(entry).collect::<Result<Vec<_>, _>>()?;
            let cache = cache.clone();
            begun.spawn(async move { cache.set_many(&Cx::new(), entries).await });
            if begun.len() >= FILLING {
                stored(begun.join_next().await)?;
            }
        }
        while let Some(done) = begun.join_next().await {
            stored(Some(done))?;
        }
        hold.close().await;
        Ok(())
    })
}

type Filled = Result<
    Vec<statehold_stores::cache::BatchResult<statehold_stores::cache::Stored>>,
    statehold_stores::cache::CacheError,
>;

fn stored(done: Option<Result<Filled, tokio::task::JoinError>>) -> Result<(), BenchError> {
    let Some(done) = done else { return Ok(()) };
    for entry in done.expect("filling does not panic").map_err(BenchError::system)? {
        entry.map_err(BenchError::system)?;
    }
    Ok(())
}

/// The program while it runs; ended when dropped.
struct Started {
    child: Child,
    began: Instant,
    address: SocketAddr,
}

impl Started {
    fn start(program: &Path, home: &Path) -> Result<Self, BenchError> {
        // A port that was free a moment ago.
        let address = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
        let began = Instant::now();
        let child = Command::new(program)
            .arg("serve")
            .arg("--data")
            .arg(home)
            .arg("--listen")
            .arg(address.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self { child, began, address })
    }

    /// Waits for the first 200 of `/health/ready`; how long after the start it came.
    fn ready(&mut self) -> Result<Duration, BenchError> {
        while self.began.elapsed() < PATIENCE {
            if self.is_ready() {
                return Ok(self.began.elapsed());
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(BenchError::Answer(format!("the program ended: {status}")));
            }
            std::thread::sleep(ASK_EVERY);
        }
        Err(BenchError::Answer("it did not become ready".to_owned()))
    }

    fn is_ready(&self) -> bool {
        let asked = || -> std::io::Result<bool> {
            let mut stream = TcpStream::connect(self.address)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            let request = "GET /health/ready HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n";
            stream.write_all(request.as_bytes())?;
            let mut status = [0; 12];
            stream.read_exact(&mut status)?;
            Ok(&status == b"HTTP/1.1 200")
        };
        // Refused means not yet.
        asked().unwrap_or(false)
    }

    /// Resident memory, where the system tells.
    fn resident_mib(&self) -> Option<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib / 1_024.0)
    }

    fn end(&mut self) -> Result<(), BenchError> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.end();
    }
}
