//! Rows of the tables as values of the contract, and back.

use bytes::Bytes;
use statehold_core::{
    Body, Control, Deadline, Epoch, Error, Form, Incarnation, MarkKind, MoveId, Owner, Result, Revision,
    Role, State, Term, Time, Traits,
};
use statehold_sql::{Row, Val};

/// The form of an absence marker.
const FORM_MARKER: i64 = 0;

/// An item's state from the columns form, revision, base, deadline_ms, and value where it was asked for.
pub(super) fn state(row: &Row<'_>, first: usize, value: Option<usize>) -> Result<State> {
    let form = row.int(first)?;
    let revision = revision_of(row.int(first + 1)?);
    let base = revision_of(row.int(first + 2)?);
    let body = if form == FORM_MARKER {
        None
    } else {
        let number = u8::try_from(form).map_err(|_| Error::corrupt("an item has an unknown form"))?;
        let value = value.map_or(Ok(Bytes::new()), |column| row.bytes(column))?;
        Some(Body { form: Form::from_number(number)?, value, deadline: deadline(row, first + 3)? })
    };
    Ok(State { revision, base, body })
}

/// A deadline, where there is one.
pub(super) fn deadline(row: &Row<'_>, column: usize) -> Result<Option<Deadline>> {
    Ok(row.opt_int(column)?.map(|millis| Deadline::from_millis(millis.cast_unsigned())))
}

/// A revision as its column holds it.
pub(super) const fn revision_of(column: i64) -> Revision {
    Revision::from_u64(column.cast_unsigned())
}

/// A revision as a parameter.
pub(super) const fn revision_val(revision: Revision) -> Val {
    Val::Int(revision.get().cast_signed())
}

/// Form, revision, base, deadline and value as parameters.
pub(super) fn state_vals(state: &State) -> [Val; 5] {
    let (form, deadline, value) = match &state.body {
        Some(body) => (i64::from(body.form.number()), body.deadline, Val::Blob(body.value.clone())),
        None => (FORM_MARKER, None, Val::Blob(Bytes::new())),
    };
    [Val::Int(form), revision_val(state.revision), revision_val(state.base), deadline_val(deadline), value]
}

fn deadline_val(deadline: Option<Deadline>) -> Val {
    deadline.map_or(Val::Null, |deadline| Val::Int(millis(deadline.millis())))
}

/// Milliseconds as their column holds them; what lies after the year 292,000,000 is held as that.
pub(super) fn millis(millis: u64) -> i64 {
    i64::try_from(millis).unwrap_or(i64::MAX)
}

/// How many columns a control has, in the order of the schema.
pub(super) const CONTROL_COLUMNS: usize = 9;

/// A control from its columns; none where there is none.
pub(super) fn control(row: &Row<'_>, first: usize) -> Result<Option<Control>> {
    let Some(role) = row.opt_int(first)? else { return Ok(None) };
    let role = u8::try_from(role).map_err(|_| Error::corrupt("a control has an unknown role"))?;
    let term =
        u32::try_from(row.int(first + 2)?).map_err(|_| Error::corrupt("a control's term is too big"))?;
    let move_id = row.opt_blob(first + 8)?.map(|id| <[u8; 16]>::try_from(id).map(MoveId)).transpose();
    Ok(Some(Control {
        role: Role::from_number(role)?,
        epoch: Epoch(row.int(first + 1)?.cast_unsigned()),
        term: Term(term),
        marking: row.bool(first + 3)?,
        floor: revision_of(row.int(first + 4)?),
        time_floor: Time::from_micros(row.int(first + 5)?.cast_unsigned()),
        incarnation: Incarnation(row.array(first + 6)?),
        owner: Owner(row.array(first + 7)?),
        move_id: move_id.map_err(|_| Error::corrupt("a control's move is no id"))?,
    }))
}

/// A control as parameters, in the order of the schema.
pub(super) fn control_vals(control: Option<&Control>) -> [Val; CONTROL_COLUMNS] {
    let Some(control) = control else { return [const { Val::Null }; CONTROL_COLUMNS] };
    [
        Val::Int(control.role.number().into()),
        Val::Int(control.epoch.0.cast_signed()),
        Val::from(control.term.0),
        Val::from(control.marking),
        revision_val(control.floor),
        Val::Int(control.time_floor.micros().cast_signed()),
        Val::from(control.incarnation.0),
        Val::from(control.owner.0),
        Val::from(control.move_id.map(|id| id.0)),
    ]
}

/// A mark's kind as its column holds it.
pub(super) const fn kind_number(kind: MarkKind) -> i64 {
    match kind {
        MarkKind::Dirty => 1,
        MarkKind::Unchecked => 2,
    }
}

/// A space's traits as one number.
pub(super) fn traits_number(traits: Traits) -> i64 {
    let Traits { ordered, observes_expiry, announces, unsynced, disposable } = traits;
    [ordered, observes_expiry, announces, unsynced, disposable]
        .into_iter()
        .enumerate()
        .map(|(bit, set)| i64::from(set) << bit)
        .sum()
}

/// Takes back what [`traits_number`] gave.
pub(super) fn traits_of(number: i64) -> Traits {
    let set = |bit: u8| number >> bit & 1 == 1;
    Traits {
        ordered: set(0),
        observes_expiry: set(1),
        announces: set(2),
        unsynced: set(3),
        disposable: set(4),
    }
}
