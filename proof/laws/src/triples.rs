//! Work on the embedded engine that shows at a glance whether a commit was torn: three items, always written together.

use std::path::Path;
use std::sync::Arc;

use statehold_core::{
    Bucket, Commit, Control, Cx, Engine, Epoch, Error, ManualClock, Movable, Namespace, Partition, Place,
    Range, Result, Revision, Role, Space, StoreName, Term, Time, Traits,
};
use statehold_engines::sql::{EmbeddedConfig, EmbeddedEngine};

use crate::rig::OWNER;

/// The embedded engine in a directory, with one space open.
#[derive(Debug)]
pub struct Triples {
    engine: Arc<EmbeddedEngine>,
    space: Space,
    epoch: Epoch,
}

impl Triples {
    /// Opens the engine, and the space where it is not open yet.
    ///
    /// # Errors
    /// What the engine meets.
    pub async fn open(directory: &Path) -> Result<Self> {
        let config = EmbeddedConfig::at("embedded", directory.join("state.db"));
        let engine = EmbeddedEngine::open(config, Arc::new(ManualClock::default()))?;
        let space = Space::new(Namespace::new("law")?, StoreName::new("triples")?);
        let space = space.with_traits(Traits { ordered: true, ..Traits::default() });
        let (cx, first) = (Cx::new(), [Bucket::new(0)]);
        let incarnation = engine.incarnation(&cx, &space, &first).await?[0];
        let present = engine.control(&cx, &space, &first).await?[0];
        let epoch = Epoch(present.map_or(1, |control| control.epoch.0));
        let control = Control {
            role: Role::Open,
            epoch,
            term: Term(1),
            marking: false,
            floor: Revision::ZERO,
            time_floor: Time::default(),
            incarnation,
            owner: OWNER,
            move_id: None,
        };
        if present.is_none() {
            engine.establish(&cx, &space, &control).await?;
        }
        Ok(Self { engine, space, epoch })
    }

    fn place(&self, writer: u8) -> Result<Place> {
        Ok(Place::new(&self.space, Partition::new(vec![writer])?).at(self.epoch))
    }

    /// Writes one number to all three items of a writer.
    ///
    /// # Errors
    /// What the engine meets.
    pub async fn write(&self, writer: u8, number: u64) -> Result<()> {
        let text = number.to_string();
        let commit =
            ["a", "b", "c"].iter().fold(Commit::new(), |commit, item| commit.put(*item, text.clone(), None));
        self.engine.commit(&Cx::new(), &self.place(writer)?, &commit).await.map(drop)
    }

    /// The numbers and revisions of a writer's items.
    ///
    /// # Errors
    /// What the engine meets.
    pub async fn read(&self, writer: u8) -> Result<Vec<(u64, Revision)>> {
        let page = self.engine.list(&Cx::new(), &self.place(writer)?, &[Range::all()]).await?.remove(0);
        let number = |value: &[u8]| std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
        let items = page.items.iter().map(|item| Some((number(&item.value)?, item.revision)));
        items.collect::<Option<_>>().ok_or_else(|| Error::corrupt("a triple does not hold a number"))
    }

    /// Ends the engine in order.
    pub fn close(&self) {
        self.engine.close();
    }
}
