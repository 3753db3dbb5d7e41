//! An engine under test, and the ground that a law stands on.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use statehold_core::{
    Bucket, Clock, Commit, Control, Cx, Deadline, Engine, Epoch, Error, Incarnation, Item, ItemId, Kind,
    Movable, Namespace, Outcome, Owner, Partition, Place, Receipt, Result, Revision, Role, Signals, Space,
    StoreName, Term, Time, Traits,
};
use tempfile::TempDir;

use crate::breach::{Breach, LawResult, ensure, ensure_eq};
use crate::law::Offer;
use crate::plain::Shelf;
use crate::stack::{Make, Parts};

/// The deployment that the laws run in.
pub(crate) const OWNER: Owner = Owner([7; 16]);

/// How an engine stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// Closed in order.
    Clean,
    /// Ended in the middle: what is on disk at this moment is all that the next start finds.
    Killed,
}

/// Where an engine under test lives across its restarts.
#[derive(Debug)]
pub struct Site {
    /// A directory of its own.
    pub directory: TempDir,
    /// The time.
    pub clock: Arc<statehold_core::ManualClock>,
    /// What the plain engine keeps across its restarts.
    pub(crate) shelf: Shelf,
    /// How the engine stopped last; none at its first start.
    pub stopped: Option<Restart>,
}

impl Site {
    fn new() -> Result<Self> {
        Ok(Self { directory: directory()?, clock: Arc::default(), shelf: Shelf::default(), stopped: None })
    }

    /// What a start after a kill finds: the same files, copied at this moment.
    fn copied(&self) -> Result<Self> {
        let copy = directory()?;
        copy_files(self.directory.path(), copy.path())
            .map_err(|error| trouble(error, "a site cannot be copied"))?;
        Ok(Self {
            directory: copy,
            clock: Arc::clone(&self.clock),
            shelf: Arc::new(Mutex::new(self.shelf.lock().clone())),
            stopped: Some(Restart::Killed),
        })
    }
}

fn directory() -> Result<TempDir> {
    tempfile::tempdir().map_err(|error| trouble(error, "no directory for a site"))
}

fn trouble(error: std::io::Error, message: &'static str) -> Error {
    Error::internal(message).caused_by(error)
}

/// Copies a directory's files. Names in reverse order, so that a write-ahead log is copied before the file that a
/// checkpoint would empty it into.
fn copy_files(from: &Path, to: &Path) -> std::io::Result<()> {
    let mut entries: Vec<_> = std::fs::read_dir(from)?.collect::<std::io::Result<_>>()?;
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.file_name()));
    for entry in entries {
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            std::fs::create_dir(&target)?;
            copy_files(&entry.path(), &target)?;
        } else if !entry.file_name().as_encoded_bytes().ends_with(b"-shm") {
            std::fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

/// An engine under test: the stack as callers see it, and what a mover reaches below it.
pub struct Rig {
    make: Make,
    site: Site,
    parts: Option<Parts>,
    spaces: AtomicU32,
}

impl Rig {
    /// Starts an engine on a site of its own.
    ///
    /// # Errors
    /// What the start meets.
    pub async fn new(make: Make) -> Result<Self> {
        let site = Site::new()?;
        let parts = make(&site).await?;
        Ok(Self { make, site, parts: Some(parts), spaces: AtomicU32::new(0) })
    }

    fn parts(&self) -> &Parts {
        self.parts.as_ref().expect("a rig without a running engine has failed to restart, and said so")
    }

    /// The outermost layer.
    pub fn engine(&self) -> &Arc<dyn Engine> {
        &self.parts().engine
    }

    /// The engine itself, as a mover sees it.
    pub fn base(&self) -> &Arc<dyn Movable> {
        &self.parts().base
    }

    /// The engine as subscribers see it.
    ///
    /// # Errors
    /// A breach where the stack offers none: laws about signals do not apply there.
    pub fn signals(&self) -> LawResult<&Arc<dyn Signals>> {
        let Some(signals) = &self.parts().signals else {
            return Err(Breach::Broken("the stack has no signals, and the law was run on it".into()));
        };
        Ok(signals)
    }

    /// What the stack promises.
    pub fn offer(&self) -> Offer {
        let description = self.parts().engine.description();
        Offer {
            kind: description.kind,
            guarantees: description.guarantees,
            signals: self.parts().signals.is_some(),
            slots: self.parts().slots.clone(),
        }
    }

    /// The instant that the clock shows.
    pub fn now(&self) -> Time {
        self.site.clock.now()
    }

    /// Turns the clock forward.
    pub fn advance(&self, by: Duration) {
        self.site.clock.advance(by);
    }

    /// Sets the clock, also back.
    pub fn set_clock(&self, to: Time) {
        self.site.clock.set(to);
    }

    /// A deadline so long after now.
    pub fn deadline(&self, ttl: Duration) -> Option<Deadline> {
        Some(Deadline::after(self.now(), ttl))
    }

    /// Stops the engine and starts it again where it was.
    ///
    /// # Errors
    /// What the start meets.
    pub async fn restart(&mut self, how: Restart) -> Result<()> {
        match how {
            Restart::Clean => {
                // The first engine lets go of the directory before the next one takes it.
                let close = self.parts.take().and_then(|parts| parts.close);
                if let Some(close) = close {
                    close().await?;
                }
                self.site.stopped = Some(how);
                self.parts = Some((self.make)(&self.site).await?);
            }
            Restart::Killed => {
                let site = self.site.copied()?;
                self.parts = Some((self.make)(&site).await?);
                self.site = site;
            }
        }
        Ok(())
    }

    /// A space that no control was ever installed for.
    ///
    /// # Errors
    /// None for these names.
    pub fn wild(&self, traits: Traits, buckets: u16) -> Result<Space> {
        let number = self.spaces.fetch_add(1, Ordering::Relaxed);
        let space = Space::new(Namespace::new(format!("law-{number}"))?, StoreName::new("ground")?);
        space.with_traits(traits).with_buckets(buckets)
    }

    /// A space of its own with these traits and 8 buckets, open at epoch 1.
    ///
    /// # Errors
    /// What the engine meets.
    pub async fn ground(&self, traits: Traits) -> Result<Ground> {
        self.ground_of(traits, 8).await
    }

    /// The same with so many buckets.
    ///
    /// # Errors
    /// What the engine meets.
    pub async fn ground_of(&self, traits: Traits, buckets: u16) -> Result<Ground> {
        let space = self.wild(traits, buckets)?;
        self.establish(space, Epoch(1), Term(1)).await
    }

    /// The same without traits.
    ///
    /// # Errors
    /// What the engine meets.
    pub async fn plain_ground(&self) -> Result<Ground> {
        self.ground(Traits::default()).await
    }

    /// The same with lists.
    ///
    /// # Errors
    /// What the engine meets.
    pub async fn ordered_ground(&self) -> Result<Ground> {
        self.ground(Traits { ordered: true, ..Traits::default() }).await
    }

    async fn establish(&self, space: Space, epoch: Epoch, term: Term) -> Result<Ground> {
        let control = Control { epoch, term, ..self.open_control(&space).await? };
        self.base().establish(&Cx::new(), &space, &control).await?;
        Ok(Ground { engine: Arc::clone(self.engine()), base: Arc::clone(self.base()), space, epoch })
    }

    /// A control at epoch 1 and term 1 that lets everything happen.
    pub(crate) async fn open_control(&self, space: &Space) -> Result<Control> {
        Ok(Control {
            role: Role::Open,
            epoch: Epoch(1),
            term: Term(1),
            marking: false,
            floor: Revision::ZERO,
            time_floor: Time::default(),
            incarnation: self.incarnation(space).await?,
            owner: OWNER,
            move_id: None,
        })
    }

    /// The engine's present history.
    pub(crate) async fn incarnation(&self, space: &Space) -> Result<Incarnation> {
        let found = self.base().incarnation(&Cx::new(), space, &[Bucket::new(0)]).await?;
        found.first().copied().ok_or_else(|| Error::internal("no incarnation was answered"))
    }

    /// The same ground after a restart; established anew, one epoch and term on, where the engine's history is another.
    ///
    /// # Errors
    /// What the engine meets.
    pub async fn again(&self, ground: &Ground) -> Result<Ground> {
        let present = self.incarnation(&ground.space).await?;
        let controls = self.base().control(&Cx::new(), &ground.space, &[Bucket::new(0)]).await?;
        let stands = matches!(&controls[..], [Some(control)] if control.incarnation == present);
        if stands {
            let (engine, base) = (Arc::clone(self.engine()), Arc::clone(self.base()));
            return Ok(Ground { engine, base, ..ground.clone() });
        }
        let (epoch, term) = (Epoch(ground.epoch.0 + 1), Term(ground.epoch.0 as u32 + 1));
        self.establish(ground.space.clone(), epoch, term).await
    }
}

/// A space that is open at an epoch, seen through the stack.
#[derive(Clone, Debug)]
pub struct Ground {
    engine: Arc<dyn Engine>,
    base: Arc<dyn Movable>,
    /// The space.
    pub space: Space,
    /// The epoch at which it is open.
    pub epoch: Epoch,
}

impl Ground {
    /// A partition at the present epoch.
    pub fn place(&self, partition: impl Into<Bytes>) -> Place {
        let partition = Partition::new(partition).expect("the laws name partitions of 1 to 1024 bytes");
        Place::new(&self.space, partition).at(self.epoch)
    }

    /// Commits in a partition.
    ///
    /// # Errors
    /// What the engine answers.
    pub async fn commit(&self, at: &Place, commit: Commit) -> Result<Receipt> {
        self.engine.commit(&Cx::new(), at, &commit).await
    }

    /// Reads one item.
    ///
    /// # Errors
    /// What the engine answers.
    pub async fn get(&self, at: &Place, item: impl Into<ItemId>) -> Result<Option<Item>> {
        Ok(self.engine.fetch(&Cx::new(), &[at.item(item)]).await?.pop().flatten())
    }

    /// Reads one item's bytes.
    ///
    /// # Errors
    /// What the engine answers.
    pub async fn value(&self, at: &Place, item: impl Into<ItemId>) -> Result<Option<Bytes>> {
        Ok(self.get(at, item).await?.map(|item| item.value))
    }

    /// A commit that must be refused with this kind and no effect; the error, for a closer look.
    ///
    /// # Errors
    /// A breach where it was not.
    pub async fn refused(&self, at: &Place, commit: Commit, kind: Kind, what: &str) -> LawResult<Error> {
        refused(self.commit(at, commit).await, kind, what)
    }

    /// One bucket's control, as commits see it.
    pub(crate) async fn control(&self, bucket: Bucket) -> Result<Option<Control>> {
        Ok(self.base.control(&Cx::new(), &self.space, &[bucket]).await?.pop().flatten())
    }

    /// Changes a bucket's control, one epoch on; answers the new one.
    pub(crate) async fn turn(&self, bucket: Bucket, change: impl FnOnce(&mut Control)) -> LawResult<Control> {
        let present = self.control(bucket).await?;
        let Some(mut next) = present else {
            return Err(Breach::Broken("an established bucket shows no control".into()));
        };
        next.epoch = Epoch(next.epoch.0 + 1);
        change(&mut next);
        self.base.set_control(&Cx::new(), &self.space, bucket, present.as_ref(), &next).await?;
        Ok(next)
    }
}

/// An answer that must be an error of this kind that says that nothing happened.
pub(crate) fn refused<T: std::fmt::Debug>(answer: Result<T>, kind: Kind, what: &str) -> LawResult<Error> {
    match answer {
        Ok(answer) => Err(Breach::Broken(format!("{what} was accepted: {answer:?}"))),
        Err(error) => {
            ensure_eq!(error.kind(), kind, "{what} was refused with another kind");
            ensure!(
                error.outcome() == Outcome::NoEffect,
                "{what} was refused, and may have happened: {error:?}"
            );
            Ok(error)
        }
    }
}
