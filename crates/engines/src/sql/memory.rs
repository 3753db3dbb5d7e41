//! What the writer keeps in memory: history, spaces, controls. Read whole at start, written through.

use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use parking_lot::RwLock;
use statehold_core::{Bucket, Control, Error, Result, Revision, Space, Term, Time, Traits};
use statehold_sql::{Sql, Tx, Val};

use super::history::History;
use super::rows;

static SPACES: Sql = Sql::new(
    "SELECT id, key, buckets, traits, role, epoch, term, marking, floor, time_floor, incarnation, owner, move_id
     FROM spaces",
);
static BUCKETS: Sql = Sql::new(
    "SELECT space, bucket, high, issued_term,
        role, epoch, term, marking, floor, time_floor, incarnation, owner, move_id FROM buckets",
);
static ADD_SPACE: Sql =
    Sql::new("INSERT INTO spaces (key, buckets, traits) VALUES ($1, $2, $3) RETURNING id");
static SET_SPACE: Sql = Sql::new(
    "UPDATE spaces SET traits = $2, role = $3, epoch = $4, term = $5, marking = $6, floor = $7, time_floor = $8,
        incarnation = $9, owner = $10, move_id = $11 WHERE id = $1",
);
static SET_BUCKET: Sql = Sql::new(
    "INSERT INTO buckets (space, bucket, high, issued_term,
        role, epoch, term, marking, floor, time_floor, incarnation, owner, move_id)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
     ON CONFLICT (space, bucket) DO UPDATE SET high = excluded.high, issued_term = excluded.issued_term,
        role = excluded.role, epoch = excluded.epoch, term = excluded.term, marking = excluded.marking,
        floor = excluded.floor, time_floor = excluded.time_floor, incarnation = excluded.incarnation,
        owner = excluded.owner, move_id = excluded.move_id",
);

/// A map that no caller can choose the collisions of.
pub(super) type Map<K, V> = HashMap<K, V, RandomState>;

/// Everything that a commit is judged by besides its items.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) history: History,
    pub(super) spaces: Map<Box<str>, Kept>,
    /// What readers know has changed.
    pub(super) changed: bool,
}

/// What is kept of a space.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) id: i64,
    pub(super) buckets: u16,
    pub(super) traits: Traits,
    pub(super) control: Option<Control>,
    pub(super) own: Map<Bucket, KeptBucket>,
}

/// What is kept of a bucket that differs from its space.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct KeptBucket {
    pub(super) control: Option<Control>,
    /// The highest revision issued here or carried in.
    pub(super) high: Revision,
    /// The term of the last revision issued here: in it, `high` is not written with every commit but follows from
    /// the engine's counter.
    pub(super) issued_term: Option<Term>,
}

impl Memory {
    /// Reads it from the database.
    pub(super) fn load(tx: &Tx<'_>) -> Result<Self> {
        let history =
            History::read(tx)?.ok_or_else(|| Error::corrupt("the database has lost its history"))?;
        let mut names = Map::default();
        let mut spaces = Map::default();
        for (key, kept) in tx.query(&SPACES, &[], |row| {
            let kept = Kept {
                id: row.int(0)?,
                buckets: u16::try_from(row.int(2)?)
                    .map_err(|_| Error::corrupt("a space has no such buckets"))?,
                traits: rows::traits_of(row.int(3)?),
                control: rows::control(row, 4)?,
                own: Map::default(),
            };
            Ok((Box::<str>::from(row.text(1)?), kept))
        })? {
            names.insert(kept.id, key.clone());
            spaces.insert(key, kept);
        }
        for (space, bucket, kept) in tx.query(&BUCKETS, &[], |row| {
            let issued_term = row.opt_int(3)?.map(|term| Term(term as u32));
            let mut high = rows::revision_of(row.int(2)?);
            if let Some(term) = issued_term {
                high = high.max(Revision::new(term, history.counter)?);
            }
            let bucket = Bucket::new(row.int(1)? as u16);
            Ok((row.int(0)?, bucket, KeptBucket { control: rows::control(row, 4)?, high, issued_term }))
        })? {
            let known = names.get(&space).and_then(|name| spaces.get_mut(name));
            known.ok_or_else(|| Error::corrupt("a bucket has no space"))?.own.insert(bucket, kept);
        }
        Ok(Self { history, spaces, changed: true })
    }

    /// A bucket's control as commits see it: its own, else its space's unless that is void.
    pub(super) fn control(&self, space: &Space, bucket: Bucket) -> Option<Control> {
        let present = self.history.of(space);
        let kept = self.spaces.get(space.key())?;
        let own = kept.own.get(&bucket);
        let of_space = || kept.control.filter(|control| control.incarnation == present);
        let mut control = own.and_then(|own| own.control).or_else(of_space)?;
        control.floor = control.floor.max(own.map_or(Revision::ZERO, |own| own.high));
        Some(control)
    }

    /// What is kept of a space, made where it is new.
    pub(super) fn space(&mut self, tx: &Tx<'_>, space: &Space) -> Result<&mut Kept> {
        if !self.spaces.contains_key(space.key()) {
            let row = [
                Val::from(space.key()),
                Val::from(space.buckets()),
                Val::Int(rows::traits_number(space.traits())),
            ];
            let id = tx
                .query_row(&ADD_SPACE, &row, |row| row.int(0))?
                .ok_or_else(|| Error::internal("an insert returned nothing"))?;
            let kept = Kept {
                id,
                buckets: space.buckets(),
                traits: space.traits(),
                control: None,
                own: Map::default(),
            };
            self.spaces.insert(space.key().into(), kept);
            self.changed = true;
        }
        Ok(self.spaces.get_mut(space.key()).expect("it was there or has been inserted"))
    }

    /// The next revision's number is above what was handed over.
    pub(super) fn raise_counter(&mut self, floor: Revision) -> bool {
        let raised = floor.n() > self.history.counter;
        self.history.counter = self.history.counter.max(floor.n());
        raised
    }
}

impl Kept {
    /// Whether anything of a move is going on here, so that nothing may be swept.
    pub(super) fn is_moving(&self) -> bool {
        let of = |control: &Control| control.marking || control.role != statehold_core::Role::Open;
        self.control.iter().any(of) || self.own.values().filter_map(|own| own.control.as_ref()).any(of)
    }

    /// Writes the space's own row.
    pub(super) fn write(&self, tx: &Tx<'_>) -> Result<()> {
        let mut row = vec![Val::Int(self.id), Val::Int(rows::traits_number(self.traits))];
        row.extend(rows::control_vals(self.control.as_ref()));
        tx.execute(&SET_SPACE, &row).map(drop)
    }

    /// Writes one bucket's row.
    pub(super) fn write_bucket(&self, tx: &Tx<'_>, bucket: Bucket) -> Result<()> {
        let kept = self.own.get(&bucket).copied().unwrap_or_default();
        let mut row = vec![
            Val::Int(self.id),
            Val::from(bucket.number()),
            rows::revision_val(kept.high),
            Val::from(kept.issued_term.map(|term| term.0)),
        ];
        row.extend(rows::control_vals(kept.control.as_ref()));
        tx.execute(&SET_BUCKET, &row).map(drop)
    }
}

/// What readers need to know of spaces without asking the database; replaced after the commit that changed it.
#[derive(Debug, Default)]
pub(super) struct Directory(RwLock<Map<Box<str>, Arc<Known>>>);

/// What readers know of a space.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) id: i64,
    /// The time floor of buckets without a control of their own.
    time_floor: Time,
    /// Those of the others, where they are not zero.
    own_time_floors: Map<Bucket, Time>,
}

impl Known {
    /// The earliest instant that may judge an expiry in a bucket.
    pub(super) fn time_floor(&self, bucket: Bucket) -> Time {
        let own = if self.own_time_floors.is_empty() { None } else { self.own_time_floors.get(&bucket) };
        own.copied().unwrap_or(self.time_floor)
    }
}

impl Directory {
    pub(super) fn get(&self, space: &Space) -> Option<Arc<Known>> {
        self.0.read().get(space.key()).cloned()
    }

    /// Tells readers what has changed.
    pub(super) fn publish(&self, memory: &mut Memory) {
        if !std::mem::take(&mut memory.changed) {
            return;
        }
        let known = |kept: &Kept| {
            let floor = kept.control.map_or(Time::default(), |control| control.time_floor);
            let own = kept.own.iter().filter_map(|(&bucket, own)| Some((bucket, own.control?.time_floor)));
            Arc::new(Known {
                id: kept.id,
                time_floor: floor,
                own_time_floors: own.filter(|(_, own)| *own != floor).collect(),
            })
        };
        let all = memory.spaces.iter().map(|(key, kept)| (key.clone(), known(kept))).collect();
        *self.0.write() = all;
    }
}
