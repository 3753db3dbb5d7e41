//! Taking states over from another engine.

use std::time::Duration;

use bytes::Bytes;
use statehold_core::{
    Body, Bucket, Carried, CarryOutcome, Commit, Cx, Deadline, Epoch, Form, ItemKey, Kind, Partition, PassId,
    Revision, Role, Scanned, State, Term, Traits, View,
};

use super::{always, check, every_item};
use crate::breach::{LawResult, ensure, ensure_eq};
use crate::broken::broken;
use crate::law::Law;
use crate::rig::{Ground, Rig, refused};

pub(super) const LAWS: &[Law] = &[
    Law {
        id: "carry.exact",
        promise: "What is carried arrives as it was: revision, base, deadline, form and bytes.",
        applies: always,
        check: check!(exact),
        broken: broken![carry::LosesDeadlines, carry::LosesBases],
    },
    Law {
        id: "carry.newer-wins",
        promise: "An older state never replaces a newer one, and the same revision with other content is an alarm.",
        applies: always,
        check: check!(newer_wins),
        broken: broken![carry::OverwritesNewer, carry::HidesForks],
    },
    Law {
        id: "carry.regressed",
        promise: "A write that proves that the home lost an earlier one is told, and replaces nothing.",
        applies: always,
        check: check!(regressed),
        broken: broken![carry::MissesLosses],
    },
    Law {
        id: "carry.markers",
        promise: "A deletion is carried as a marker: the item goes, and an older state cannot bring it back.",
        applies: always,
        check: check!(markers),
        broken: broken![carry::DropsMarkers],
    },
    Law {
        id: "carry.fenced",
        promise: "Nothing is carried into a bucket that does not follow at this epoch.",
        applies: always,
        check: check!(fenced),
        broken: broken![carry::CarriesAnywhere, carry::CarriesAtAnyEpoch],
    },
    Law {
        id: "carry.continues",
        promise: "A bucket that opens after it followed issues revisions above everything that was carried into it.",
        applies: always,
        check: check!(continues),
        broken: broken![fence::IgnoresFloors],
    },
    Law {
        id: "carry.forget",
        promise: "A bucket is forgotten only where it is away, and then nothing of it is left but its control.",
        applies: always,
        check: check!(forget),
        broken: broken![carry::ForgetsAnything],
    },
];

const BUCKET: Bucket = Bucket::new(0);
const FOLLOWING: Epoch = Epoch(2);

fn r(term: u32, n: u64) -> Revision {
    Revision::new(Term(term), n).expect("the laws number within bounds")
}

fn state(revision: Revision, base: Revision, value: &'static str) -> State {
    let body = Body { form: Form::Bytes, value: Bytes::from_static(value.as_bytes()), deadline: None };
    State { revision, base, body: Some(body) }
}

fn carried(item: &'static str, state: State) -> Carried {
    let partition = Partition::new("p").expect("a name of one byte");
    Carried { partition, key: ItemKey::item(&item.into()), state }
}

/// A ground of one bucket that follows at epoch 2.
async fn follower(rig: &Rig) -> LawResult<Ground> {
    let ground = rig.ground_of(Traits::default(), 1).await?;
    ground.turn(BUCKET, |control| control.role = Role::Following).await?;
    Ok(ground)
}

async fn carry(
    rig: &Rig,
    ground: &Ground,
    at: Epoch,
    items: &[Carried],
) -> statehold_core::Result<Vec<CarryOutcome>> {
    rig.base().carry(&Cx::new(), &ground.space, BUCKET, at, PassId([3; 16]), items).await
}

async fn one(rig: &Rig, ground: &Ground, state: State) -> LawResult<CarryOutcome> {
    let outcomes = carry(rig, ground, FOLLOWING, &[carried("x", state)]).await?;
    ensure_eq!(outcomes.len(), 1, "outcomes of one carried item");
    Ok(outcomes[0])
}

/// What the follower keeps of the item.
async fn kept(rig: &Rig, ground: &Ground) -> LawResult<Option<State>> {
    let key = ItemKey::item(&"x".into());
    let found = every_item(rig.engine(), &ground.space, View::Raw).await?;
    Ok(found.into_iter().find(|found: &Scanned| found.key == key).map(|found| found.state))
}

async fn exact(rig: Rig) -> LawResult {
    let ground = follower(&rig).await?;
    let soon = Deadline::after(rig.now(), Duration::from_mins(5));
    let past = Deadline::at(rig.now().minus(Duration::from_mins(5)));
    let body = |form, value: &'static [u8], deadline| {
        Some(Body { form, value: Bytes::from_static(value), deadline })
    };
    let states = [
        body(Form::Bytes, b"\0\xff", Some(soon)),
        body(Form::Bytes, b"", None),
        body(Form::Counter, b"-12", Some(soon)),
        body(Form::Limit, b"\x03\0\0\0\0\0\0\0\x01\0\0\0\x05", Some(soon)),
        body(Form::Bytes, b"expired", Some(past)),
        None,
    ];
    let names = ["a", "b", "c", "d", "e", "f"];
    let items: Vec<Carried> = (0_u64..)
        .zip(names.iter().zip(states))
        .map(|(n, (name, body))| carried(name, State { revision: r(4, 100 - n), base: r(2, n), body }))
        .collect();
    let outcomes = carry(&rig, &ground, FOLLOWING, &items).await?;
    ensure_eq!(outcomes, vec![CarryOutcome::Accepted; items.len()], "states carried into an empty bucket");
    let found = every_item(rig.engine(), &ground.space, View::Raw).await?;
    for item in &items {
        let arrived = found.iter().find(|found| found.key == item.key && found.partition == item.partition);
        ensure_eq!(arrived.map(|found| &found.state), Some(&item.state), "what arrived of {:?}", item.key);
    }
    ensure_eq!(found.len(), items.len(), "items in the bucket");
    let again = carry(&rig, &ground, FOLLOWING, &items).await?;
    ensure_eq!(again, vec![CarryOutcome::Same; items.len()], "the same states carried again");
    Ok(())
}

async fn newer_wins(rig: Rig) -> LawResult {
    let ground = follower(&rig).await?;
    let present = state(r(2, 10), r(2, 1), "present");
    let table = [
        (present.clone(), CarryOutcome::Accepted, "the first state"),
        (present.clone(), CarryOutcome::Same, "the same state"),
        (state(r(2, 9), r(2, 1), "older"), CarryOutcome::Newer(r(2, 10)), "an older state"),
        (state(r(1, 999), r(0, 0), "older"), CarryOutcome::Newer(r(2, 10)), "a state of an older term"),
        (state(r(2, 10), r(2, 1), "forked"), CarryOutcome::Forked, "other content under the same revision"),
        (State { body: None, ..present.clone() }, CarryOutcome::Forked, "a marker under the same revision"),
    ];
    for (incoming, expected, what) in table {
        ensure_eq!(one(&rig, &ground, incoming).await?, expected, "{what}");
        ensure_eq!(kept(&rig, &ground).await?, Some(present.clone()), "what is kept after {what}");
    }
    let next = state(r(2, 11), r(2, 1), "next");
    ensure_eq!(one(&rig, &ground, next.clone()).await?, CarryOutcome::Accepted, "a newer state");
    ensure_eq!(kept(&rig, &ground).await?, Some(next), "what is kept after a newer state");
    Ok(())
}

async fn regressed(rig: Rig) -> LawResult {
    let ground = follower(&rig).await?;
    let present = state(r(2, 10), r(1, 1), "acknowledged");
    one(&rig, &ground, present.clone()).await?;
    // A later term that replaced something older than what is here: the home had lost this one.
    let lost = state(r(3, 1), r(2, 7), "after a loss");
    ensure_eq!(one(&rig, &ground, lost).await?, CarryOutcome::Regressed(r(2, 10)), "proof of a loss");
    ensure_eq!(kept(&rig, &ground).await?, Some(present), "what is kept after proof of a loss");
    let sound = state(r(3, 2), r(2, 10), "after this one");
    ensure_eq!(
        one(&rig, &ground, sound).await?,
        CarryOutcome::Accepted,
        "a later term that replaced this one"
    );
    Ok(())
}

async fn markers(rig: Rig) -> LawResult {
    let ground = follower(&rig).await?;
    one(&rig, &ground, state(r(2, 10), r(2, 1), "present")).await?;
    let marker = State { revision: r(2, 12), base: r(2, 1), body: None };
    ensure_eq!(one(&rig, &ground, marker.clone()).await?, CarryOutcome::Accepted, "a marker");
    let read = ground.get(&ground.place("p"), "x").await?;
    ensure_eq!(read, None, "an item after the marker of its deletion");
    let late = state(r(2, 11), r(2, 1), "late");
    ensure_eq!(
        one(&rig, &ground, late).await?,
        CarryOutcome::Newer(r(2, 12)),
        "a state older than the deletion"
    );
    ensure_eq!(kept(&rig, &ground).await?, Some(marker), "what is kept of a deleted item");
    Ok(())
}

async fn fenced(rig: Rig) -> LawResult {
    let ground = follower(&rig).await?;
    let items = [carried("x", state(r(2, 10), r(2, 1), "late"))];
    for epoch in [Epoch(0), Epoch(1), Epoch(3)] {
        let what = format!("a carry at {epoch:?}");
        let error = refused(carry(&rig, &ground, epoch, &items).await, Kind::Moved, &what)?;
        ensure_eq!(error.moved_to(), Some(FOLLOWING), "{what} was told another epoch");
    }
    for role in [Role::Open, Role::Sealed, Role::Away] {
        let control = ground.turn(BUCKET, |control| control.role = role).await?;
        let what = format!("a carry into a bucket that is {role:?}");
        refused(carry(&rig, &ground, control.epoch, &items).await, Kind::Moved, &what)?;
    }
    ensure_eq!(kept(&rig, &ground).await?, None, "what was carried by refused carries");
    Ok(())
}

async fn continues(rig: Rig) -> LawResult {
    let ground = follower(&rig).await?;
    let highest = r(5, 5_000);
    carry(&rig, &ground, FOLLOWING, &[carried("x", state(highest, r(5, 1), "1"))]).await?;
    let control = ground
        .turn(BUCKET, |control| {
            control.role = Role::Open;
            control.term = Term(6);
            control.floor = highest;
        })
        .await?;
    let at = ground.place("p").at(control.epoch);
    let receipt = ground.commit(&at, Commit::new().at("x", highest).put("x", "2", None)).await?;
    ensure!(receipt.revision > highest, "{:?} was issued after {highest:?} was carried", receipt.revision);
    let base = kept(&rig, &ground).await?.map(|state| state.base);
    ensure_eq!(base, Some(highest), "the base of the first write of a new term");
    Ok(())
}

async fn forget(rig: Rig) -> LawResult {
    let ground = rig.ground_of(Traits::default(), 2).await?;
    for n in 0..8 {
        let id = statehold_core::CommitId::from_bytes([n; 16]);
        ground.commit(&ground.place(format!("p{n}")), Commit::new().with_id(id).put("x", "1", None)).await?;
    }
    let count = async |bucket: u16| -> LawResult<usize> {
        let found = every_item(rig.engine(), &ground.space, View::Raw).await?;
        Ok(found.iter().filter(|found| found.bucket.number() == bucket).count())
    };
    let (first, second) = (count(0).await?, count(1).await?);
    ensure!(first > 0 && second > 0, "eight partitions hash to one bucket of two");
    for role in [Role::Open, Role::Sealed, Role::Following] {
        ground.turn(BUCKET, |control| control.role = role).await?;
        let answer = rig.base().forget(&Cx::new(), &ground.space, &[BUCKET]).await;
        refused(answer, Kind::Conflict, &format!("forgetting a bucket that is {role:?}"))?;
        ensure_eq!(count(0).await?, first, "items of a bucket that was not forgotten");
    }
    let away = ground.turn(BUCKET, |control| control.role = Role::Away).await?;
    let both = [BUCKET, Bucket::new(1)];
    refused(
        rig.base().forget(&Cx::new(), &ground.space, &both).await,
        Kind::Conflict,
        "forgetting one of two that is open",
    )?;
    rig.base().forget(&Cx::new(), &ground.space, &[BUCKET]).await?;
    ensure_eq!(
        (count(0).await?, count(1).await?),
        (0, second),
        "items of a forgotten bucket and of its neighbour"
    );
    let control = ground.control(BUCKET).await?.map(|control| (control.role, control.epoch));
    ensure_eq!(control, Some((Role::Away, away.epoch)), "the control of a forgotten bucket");
    Ok(())
}
