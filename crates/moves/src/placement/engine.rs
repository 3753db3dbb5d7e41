//! One space at its home: fills in the epoch, and settles the space's controls when the engine says `Moved`.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use statehold_core::{
    Address, Bucket, Commit, Control, Cx, Description, Engine, Epoch, Error, Item, Kind, Page, Place, Probe,
    Range, Receipt, Result, Revision, Role, Scan, ScanPage, Space, Time,
};
use statehold_journal::control::{ControlTables, Placement};

use super::Mounted;
use super::policy::{Step, step};

/// Most rounds of reading and establishing controls before the caller is told to come back.
pub const SETTLE_TRIES_MAX: usize = 8;
/// Most times that one call is sent again after `Moved`.
const MOVED_TRIES_MAX: usize = 3;
/// Longest that controls are being settled, for a caller who waits longer or for ever.
const SETTLE_WAIT_MAX: Duration = Duration::from_secs(5);

/// A space at its home. To a store it is the engine.
///
/// A call that the engine refuses with `Moved` has changed nothing: the controls are settled once, whoever asks, and
/// the call is sent again. No other failure is repeated here.
pub struct Placed {
    space: Space,
    mounted: Mounted,
    tables: Arc<ControlTables>,
    epoch: AtomicU64,
    /// Raised by every settling, so that callers refused together settle once.
    settled: AtomicU64,
    settling: tokio::sync::Mutex<()>,
}

impl fmt::Debug for Placed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Placed({:?} at {} {:?})", self.space, self.mounted.engine.description().name, self.epoch())
    }
}

impl Placed {
    /// Puts a space at the engine that its placement names, and settles its controls.
    ///
    /// # Errors
    /// `Refused` where the engine's copy of the space belongs to another installation; `Moved` where this engine is
    /// not the home of every bucket; what the engine and the control tables answer.
    pub async fn open(
        space: Space,
        placement: &Placement,
        mounted: Mounted,
        tables: Arc<ControlTables>,
    ) -> Result<Arc<Self>> {
        let placed = Self {
            space,
            mounted,
            tables,
            epoch: AtomicU64::new(placement.epoch.0),
            settled: AtomicU64::new(0),
            settling: tokio::sync::Mutex::new(()),
        };
        placed.within(None, placed.settle(0)).await?;
        Ok(Arc::new(placed))
    }

    /// Moves the space on by an epoch, where it is: whoever still sends at an earlier one is refused by the engine, and
    /// where the namespace serves no longer, for good.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn fence_out(&self) -> Result<()> {
        self.within(None, async {
            let _one_at_a_time = self.settling.lock().await;
            let before = self.epoch();
            let buckets: Vec<Bucket> = self.space.all_buckets().collect();
            let cx = Cx::new();
            for _ in 0..SETTLE_TRIES_MAX {
                let placement = self.tables.placement(&self.space)?.ok_or_else(gone)?;
                let present = self.mounted.engine.incarnation(&cx, &self.space, &buckets).await?;
                let controls = self.mounted.engine.control(&cx, &self.space, &buckets).await?;
                let incarnation = present.first().copied().ok_or_else(gone)?;
                self.establish(&cx, &placement, incarnation, &controls).await?;
                let epoch = self.find_epoch().await?;
                if epoch > before {
                    self.epoch.store(epoch.0, Ordering::Release);
                    self.settled.fetch_add(1, Ordering::AcqRel);
                    return Ok(());
                }
            }
            Err(Error::new(Kind::Unavailable, "the space's epoch does not grow"))
        })
        .await
    }

    /// Bounds work on controls by the caller's deadline. What is under way when it passes is compare-and-set: the next
    /// caller finds it done or does it.
    async fn within<T>(
        &self,
        deadline: Option<Instant>,
        work: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let end = Instant::now() + SETTLE_WAIT_MAX;
        let end = deadline.map_or(end, |deadline| deadline.min(end));
        tokio::time::timeout_at(end.into(), work).await.unwrap_or_else(|_| {
            let error =
                Error::new(Kind::Deadline, "the time ran out while the space's controls were settled");
            Err(error.during("placement.settle").at_engine(&self.mounted.engine.description().name))
        })
    }

    /// The epoch that calls are sent at.
    pub fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(Ordering::Acquire))
    }

    /// The space.
    pub fn space(&self) -> &Space {
        &self.space
    }

    /// Settles the controls, unless another caller has since `seen` was read.
    async fn settle(&self, seen: u64) -> Result<()> {
        let _one_at_a_time = self.settling.lock().await;
        if self.settled.load(Ordering::Acquire) != seen {
            return Ok(());
        }
        let epoch = self.find_epoch().await?;
        self.epoch.store(epoch.0, Ordering::Release);
        self.settled.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    async fn find_epoch(&self) -> Result<Epoch> {
        let buckets: Vec<Bucket> = self.space.all_buckets().collect();
        let cx = Cx::new();
        let engine = &self.mounted.engine;
        for _ in 0..SETTLE_TRIES_MAX {
            let placement = self.tables.placement(&self.space)?.ok_or_else(gone)?;
            if placement.engine != engine.description().name {
                return Err(Error::moved(None).during("placement.settle"));
            }
            let present = engine.incarnation(&cx, &self.space, &buckets).await?;
            let controls = engine.control(&cx, &self.space, &buckets).await?;
            let seen = present.iter().copied().zip(controls.iter().map(Option::as_ref));
            match step(placement.epoch, self.tables.owner(), seen) {
                Step::Serve(epoch) => return Ok(epoch),
                Step::Adopt { epoch, term } => {
                    if self.tables.adopt_placement(&placement, epoch, term).await? {
                        tracing::warn!(
                            event = "control_put_back",
                            space = self.space.key(),
                            "the control tables are older than the engine, whose epoch and term hold"
                        );
                    }
                }
                Step::Establish => {
                    let incarnation = present.first().copied().ok_or_else(gone)?;
                    self.establish(&cx, &placement, incarnation, &controls).await?;
                }
                Step::Foreign => return Err(foreign()),
                Step::Elsewhere => return Err(Error::moved(None).during("placement.settle")),
            }
        }
        Err(Error::new(Kind::Unavailable, "the space's controls do not settle").during("placement.settle"))
    }

    /// One try at a fresh term. What another caller did meanwhile is met by the next round.
    async fn establish(
        &self,
        cx: &Cx,
        placement: &Placement,
        incarnation: statehold_core::Incarnation,
        controls: &[Option<Control>],
    ) -> Result<()> {
        let known = controls.iter().flatten();
        let floor = known.clone().map(|control| control.floor).max().unwrap_or(Revision::ZERO);
        let highest = known.map(|control| (control.epoch, control.term)).max().unwrap_or_default();
        let Some(drawn) = self.tables.advance_placement(placement, highest).await? else {
            return Ok(());
        };
        let control = Control {
            role: Role::Open,
            epoch: drawn.epoch,
            term: drawn.term,
            marking: false,
            floor,
            time_floor: Time::default(),
            incarnation,
            owner: self.tables.owner(),
            move_id: None,
        };
        match self.mounted.engine.establish(cx, &self.space, &control).await {
            Ok(()) => {
                tracing::info!(
                    event = "space_established",
                    space = self.space.key(),
                    engine = %drawn.engine,
                    epoch = drawn.epoch.0,
                    term = drawn.term.0,
                    "the space's controls were established"
                );
                Ok(())
            }
            // The engine holds something newer than the tables know, or has just changed its history.
            Err(error) if error.kind() == Kind::Conflict => self.tables.skip_terms().await,
            Err(error) if error.kind() == Kind::Moved => Ok(()),
            Err(error) if error.kind() == Kind::Refused => Err(foreign().caused_by(error)),
            Err(error) => Err(error),
        }
    }

    /// Whether to send a call again: only after `Moved`, which says for certain that nothing happened, and only while
    /// the namespace serves: who was fenced out of a deleted one stays out.
    async fn learn(&self, cx: &Cx, error: Error, seen: u64, tries: usize) -> Result<()> {
        if error.kind() != Kind::Moved || tries >= MOVED_TRIES_MAX {
            return Err(error);
        }
        if self.tables.has_deleted(self.space.namespace()) {
            return Err(Error::new(Kind::NotFound, "the namespace was deleted").during("placement.settle"));
        }
        // Boxed: the rare case must not widen the future of every call.
        Box::pin(self.within(cx.deadline, self.settle(seen))).await
    }

    fn settled(&self) -> u64 {
        self.settled.load(Ordering::Acquire)
    }
}

#[async_trait]
impl Engine for Placed {
    fn description(&self) -> &Description {
        self.mounted.stack.description()
    }

    async fn fetch(&self, cx: &Cx, wanted: &[Address]) -> Result<Vec<Option<Item>>> {
        // A read names no epoch: a fenced one is judged by the bucket's role alone.
        let mut tries = 0;
        loop {
            let seen = self.settled();
            match self.mounted.stack.fetch(cx, wanted).await {
                Err(error) => self.learn(cx, error, seen, tries).await?,
                found => return found,
            }
            tries += 1;
        }
    }

    async fn list(&self, cx: &Cx, at: &Place, ranges: &[Range]) -> Result<Vec<Page>> {
        let mut tries = 0;
        loop {
            let seen = self.settled();
            match self.mounted.stack.list(cx, at, ranges).await {
                Err(error) => self.learn(cx, error, seen, tries).await?,
                found => return found,
            }
            tries += 1;
        }
    }

    async fn commit(&self, cx: &Cx, at: &Place, commit: &Commit) -> Result<Receipt> {
        let mut tries = 0;
        loop {
            let seen = self.settled();
            let place = at.clone().at(self.epoch());
            match self.mounted.stack.commit(cx, &place, commit).await {
                Err(error) => self.learn(cx, error, seen, tries).await?,
                done => return done,
            }
            tries += 1;
        }
    }

    async fn scan(&self, cx: &Cx, scan: &Scan) -> Result<ScanPage> {
        self.mounted.stack.scan(cx, scan).await
    }

    async fn probe(&self, cx: &Cx) -> Result<Probe> {
        self.mounted.stack.probe(cx).await
    }
}

fn gone() -> Error {
    Error::new(Kind::NotFound, "the space was deleted")
}

fn foreign() -> Error {
    Error::new(Kind::Refused, "the space at this engine belongs to another installation")
}
