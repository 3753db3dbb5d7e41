//! Which engine is a space's home, and the installation's counter of terms.

use std::sync::Arc;

use statehold_core::{Epoch, Error, Namespace, Owner, Result, Space, StoreName, Term, Traits};
use statehold_sql::{Database, Row, Sql, Tx, Val};

use super::ControlTables;
use super::rows::{count, draw_term, installation, micros, raise_term};

/// How far the counter of terms jumps when an engine shows that the tables were put back.
pub const TERMS_SKIPPED: u32 = 1_024;

static FIND: Sql = Sql::new(
    "SELECT namespace, store, engine, buckets, traits, epoch, term FROM placements WHERE space = $1",
);
static ALL: Sql =
    Sql::new("SELECT namespace, store, engine, buckets, traits, epoch, term FROM placements ORDER BY space");
static INSERT: Sql = Sql::new(
    "INSERT INTO placements (space, namespace, store, engine, buckets, traits, epoch, term, created_at) \
     VALUES ($1, $2, $3, $4, $5, $6, 0, 0, $7) ON CONFLICT (space) DO NOTHING",
);
static ADVANCE: Sql =
    Sql::new("UPDATE placements SET epoch = $4, term = $5 WHERE space = $1 AND epoch = $2 AND term = $3");
static NOTED_OPENS: Sql = Sql::new("SELECT opens FROM engine_opens WHERE engine = $1");
static NOTE_OPENS: Sql = Sql::new(
    "INSERT INTO engine_opens VALUES ($1, $2, $3) ON CONFLICT (engine) \
     DO UPDATE SET opens = max(opens, excluded.opens), noted_at = excluded.noted_at",
);

/// A space's home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The space, with the buckets and traits it was created with.
    pub space: Space,
    /// The engine's name.
    pub engine: Arc<str>,
    /// How often the home has changed.
    pub epoch: Epoch,
    /// The term of the revisions issued there.
    pub term: Term,
}

impl ControlTables {
    /// The installation that every space here belongs to.
    pub fn owner(&self) -> Owner {
        self.installation.owner
    }

    /// A space's home; none for a space that was never created.
    pub fn placement(&self, space: &Space) -> Result<Option<Placement>> {
        let key: Val = space.key().into();
        self.db.read_inline("placements.find", |tx| find(tx, &key))
    }

    /// Every space's home.
    pub async fn placements(&self) -> Result<Vec<Placement>> {
        self.db.read("placements.all", |tx| tx.query(&ALL, &[], read)).await
    }

    /// A space's home; a new space is placed at `engine`.
    ///
    /// # Errors
    /// `Unsupported` where the space was created with another layout than this version gives it.
    pub async fn place(&self, space: &Space, engine: &Arc<str>) -> Result<Placement> {
        if let Some(known) = self.placement(space)? {
            return same_layout(known, space);
        }
        let (wanted, engine, now) = (space.clone(), Arc::clone(engine), self.clock.now());
        let placement = self
            .db
            .write("placements.place", move |tx| {
                tx.execute(
                    &INSERT,
                    &[
                        wanted.key().into(),
                        wanted.namespace().as_str().into(),
                        wanted.store().as_str().into(),
                        engine.as_ref().into(),
                        wanted.buckets().into(),
                        traits_number(wanted.traits()).into(),
                        micros(now),
                    ],
                )?;
                find(tx, &wanted.key().into())?.ok_or_else(|| Error::internal("a placement vanished at once"))
            })
            .await?;
        same_layout(placement, space)
    }

    /// Raises a placement's epoch with a freshly drawn term, if it is still as the caller knows it: both end up above
    /// what the placement and the engine (`highest`) have. None where another caller was first.
    pub async fn advance_placement(
        &self,
        known: &Placement,
        highest: (Epoch, Term),
    ) -> Result<Option<Placement>> {
        let known = known.clone();
        self.db
            .write("placements.advance", move |tx| {
                let epoch = Epoch(known.epoch.max(highest.0).0 + 1);
                let term = draw_term(tx, known.term.max(highest.1))?;
                let advanced = Placement { epoch, term, ..known.clone() };
                Ok(replace(tx, &known, &advanced)?.then_some(advanced))
            })
            .await
    }

    /// Takes over what the engine shows where it is ahead of the placement; answers whether the tables were put back,
    /// which shows in a term that they never drew: then no term near it is drawn again. Changes nothing where another
    /// caller was first.
    pub async fn adopt_placement(&self, known: &Placement, epoch: Epoch, term: Term) -> Result<bool> {
        let known = known.clone();
        self.db
            .write("placements.adopt", move |tx| {
                let put_back = term > installation(tx)?.term;
                if put_back {
                    raise_term(tx, Term(term.0.saturating_add(TERMS_SKIPPED)))?;
                }
                replace(tx, &known, &Placement { epoch, term, ..known.clone() })?;
                Ok(put_back)
            })
            .await
    }

    /// Jumps over terms that may have been used before the tables were put back.
    pub async fn skip_terms(&self) -> Result<()> {
        self.db
            .write("terms.skip", |tx| {
                let present = installation(tx)?.term;
                raise_term(tx, Term(present.0.saturating_add(TERMS_SKIPPED)))
            })
            .await
    }

    /// How often an engine's file had been opened when it was last noted; zero for never.
    pub async fn noted_opens(&self, engine: &str) -> Result<u64> {
        let engine: Val = engine.into();
        let noted = self
            .db
            .read("opens.find", move |tx| tx.query_row(&NOTED_OPENS, &[engine], |row| row.int(0)))
            .await?;
        noted.map_or(Ok(0), count)
    }

    /// Notes how often an engine's file has been opened; the note never falls.
    pub async fn note_opens(&self, engine: &str, opens: u64) -> Result<()> {
        let opens = i64::try_from(opens).map_err(|_| Error::invalid("an engine was opened too often"))?;
        let parameters = [engine.into(), opens.into(), micros(self.clock.now())];
        self.db.write("opens.note", move |tx| tx.execute(&NOTE_OPENS, &parameters).map(drop)).await
    }
}

/// Every space's home in a record database that is not otherwise opened, for looking it over.
///
/// # Errors
/// What the database answers.
pub fn read_placements(db: &Database) -> Result<Vec<Placement>> {
    db.read_inline("placements.look", |tx| tx.query(&ALL, &[], read))
}

fn find(tx: &Tx<'_>, space: &Val) -> Result<Option<Placement>> {
    tx.query_row(&FIND, std::slice::from_ref(space), read)
}

fn read(row: &Row<'_>) -> Result<Placement> {
    let buckets =
        u16::try_from(row.int(3)?).map_err(|_| Error::corrupt("a placement's buckets are no u16"))?;
    let space = Space::new(Namespace::new(row.text(0)?)?, StoreName::new(row.text(1)?)?)
        .with_buckets(buckets)?
        .with_traits(traits(row.int(4)?));
    let term = u32::try_from(row.int(6)?).map_err(|_| Error::corrupt("a placement's term is no u32"))?;
    Ok(Placement { space, engine: row.text(2)?.into(), epoch: Epoch(count(row.int(5)?)?), term: Term(term) })
}

/// Compare-and-set on (epoch, term), which grow with every change.
fn replace(tx: &Tx<'_>, known: &Placement, next: &Placement) -> Result<bool> {
    let epoch = |epoch: Epoch| i64::try_from(epoch.0).map_err(|_| Error::invalid("an epoch is too large"));
    let changed = tx.execute(
        &ADVANCE,
        &[
            known.space.key().into(),
            epoch(known.epoch)?.into(),
            known.term.0.into(),
            epoch(next.epoch)?.into(),
            next.term.0.into(),
        ],
    )?;
    Ok(changed > 0)
}

/// A space keeps the layout it was created with; how it is synced and whether it may be evicted is the caller's word.
fn same_layout(known: Placement, wanted: &Space) -> Result<Placement> {
    let layout = |traits: Traits| (traits.ordered, traits.observes_expiry, traits.announces);
    if layout(known.space.traits()) != layout(wanted.traits()) {
        return Err(Error::new(
            statehold_core::Kind::Unsupported,
            "the space was created with another layout than this version gives it",
        ));
    }
    Ok(Placement { space: known.space.with_traits(wanted.traits()), ..known })
}

/// Traits as bits; a bit keeps its meaning for ever.
fn traits_number(traits: Traits) -> i64 {
    let Traits { ordered, observes_expiry, announces, unsynced, disposable } = traits;
    let bits = [ordered, observes_expiry, announces, unsynced, disposable];
    bits.into_iter().enumerate().map(|(bit, set)| i64::from(set) << bit).sum()
}

fn traits(number: i64) -> Traits {
    let bit = |bit: u32| number >> bit & 1 == 1;
    Traits {
        ordered: bit(0),
        observes_expiry: bit(1),
        announces: bit(2),
        unsynced: bit(3),
        disposable: bit(4),
    }
}
