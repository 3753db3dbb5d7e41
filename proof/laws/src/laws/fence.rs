//! Who may commit and read, and when nobody may.

use std::time::Duration;

use statehold_core::{
    Bucket, Commit, Control, Cx, Epoch, Incarnation, Kind, Movable, Owner, Place, Revision, Role, Term,
    Traits,
};

use super::{always, check};
use crate::breach::{Breach, LawResult, ensure, ensure_eq};
use crate::broken::broken;
use crate::law::Law;
use crate::rig::{Ground, Restart, Rig, refused};

pub(super) const LAWS: &[Law] = &[
    Law {
        id: "fence.epoch",
        promise: "Who believes in another epoch is refused, told the present one, and changes nothing.",
        applies: always,
        check: check!(epoch),
        broken: broken![fence::IgnoresEpochs, fence::HidesTheEpoch],
    },
    Law {
        id: "fence.roles",
        promise: "Only an open bucket takes changes; sealed, following and away ones refuse them.",
        applies: always,
        check: check!(roles),
        broken: broken![fence::IgnoresRoles],
    },
    Law {
        id: "fence.read",
        promise: "A fenced read is served by open and sealed buckets alone.",
        applies: always,
        check: check!(read),
        broken: broken![fence::ReadsAnywhere, fence::ReadsOpenOnly],
    },
    Law {
        id: "fence.floor",
        promise: "After a hand-over every revision is greater than all that the old home issued.",
        applies: always,
        check: check!(floor),
        broken: broken![fence::IgnoresFloors],
    },
    Law {
        id: "fence.time-floor",
        promise: "Nothing that had expired at the old home is alive again at the new one, whatever its clock says.",
        applies: always,
        check: check!(time_floor),
        broken: broken![fence::IgnoresTimeFloors],
    },
    Law {
        id: "fence.missing",
        promise: "A space that was never established refuses everything.",
        applies: always,
        check: check!(missing),
        broken: broken![fence::OpensWhatIsMissing],
    },
    Law {
        id: "fence.void",
        promise: "A control of another history refuses everything until it is installed again.",
        applies: always,
        check: check!(void),
        broken: broken![fence::IgnoresHistories],
    },
    Law {
        id: "fence.establish",
        promise: "A space is established over older controls of its own deployment in the present history, and never otherwise.",
        applies: always,
        check: check!(establish),
        broken: broken![fence::EstablishesAnything],
    },
    Law {
        id: "fence.set-control",
        promise: "A control is replaced by compare-and-set and only grows: of two who change it at once, one wins.",
        applies: always,
        check: check!(set_control),
        broken: broken![fence::SetsBlindly, fence::SetsBackwards],
    },
];

fn put() -> Commit {
    Commit::new().put("x", "2", None)
}

/// A ground with one item, and its place.
async fn one_item(rig: &Rig) -> LawResult<(Ground, Place)> {
    let ground = rig.plain_ground().await?;
    let at = ground.place("p");
    ground.commit(&at, Commit::new().put("x", "1", None)).await?;
    Ok((ground, at))
}

/// A partition of another bucket.
fn neighbour(ground: &Ground, at: &Place) -> Place {
    let mut places = (0..1_000).map(|n| ground.place(format!("q{n}")));
    places
        .find(|other| other.bucket != at.bucket)
        .expect("a thousand partitions meet more than one bucket of eight")
}

/// The item is as [`one_item`] put it.
async fn untouched(ground: &Ground, at: &Place, what: &str) -> LawResult {
    let read = ground.value(at, "x").await?;
    ensure_eq!(read.as_deref(), Some(&b"1"[..]), "{what} was refused, and happened");
    Ok(())
}

async fn epoch(rig: Rig) -> LawResult {
    let (ground, at) = one_item(&rig).await?;
    let present = ground.turn(at.bucket, |control| control.epoch = Epoch(5)).await?.epoch;
    for epoch in [Epoch(0), Epoch(1), Epoch(4), Epoch(6), Epoch(u64::MAX >> 1)] {
        let what = format!("a commit at {epoch:?}");
        let error = ground.refused(&at.clone().at(epoch), put(), Kind::Moved, &what).await?;
        ensure_eq!(error.moved_to(), Some(present), "{what} was told another epoch");
        untouched(&ground, &at, &what).await?;
    }
    let receipt = ground.commit(&at.clone().at(present), put()).await?;
    ensure!(receipt.revision > Revision::ZERO, "a commit at the present epoch");
    let elsewhere = neighbour(&ground, &at);
    ground.commit(&elsewhere, put()).await?;
    Ok(())
}

async fn roles(rig: Rig) -> LawResult {
    for role in [Role::Sealed, Role::Following, Role::Away] {
        let (ground, at) = one_item(&rig).await?;
        let control = ground.turn(at.bucket, |control| control.role = role).await?;
        let what = format!("a commit in a bucket that is {role:?}");
        let error = ground.refused(&at.clone().at(control.epoch), put(), Kind::Moved, &what).await?;
        ensure_eq!(error.moved_to(), Some(control.epoch), "{what} was told another epoch");
        ground.refused(&at, put(), Kind::Moved, "a commit at the epoch before").await?;
        untouched(&ground, &at, &what).await?;
        let open = ground.turn(at.bucket, |control| control.role = Role::Open).await?;
        ground.commit(&at.clone().at(open.epoch), put()).await?;
    }
    Ok(())
}

async fn read(rig: Rig) -> LawResult {
    let fenced = Cx::new().fenced();
    for (role, served) in
        [(Role::Open, true), (Role::Sealed, true), (Role::Following, false), (Role::Away, false)]
    {
        let ground = rig.ordered_ground().await?;
        let at = ground.place("p");
        ground.commit(&at, Commit::new().put("x", "1", None)).await?;
        ground.turn(at.bucket, |control| control.role = role).await?;
        let fetched = rig.engine().fetch(&fenced, &[at.item("x")]).await;
        let listed = rig.engine().list(&fenced, &at, &[statehold_core::Range::all()]).await;
        if served {
            let fetched = fetched.map(|items| items.len()).map_err(|error| error.kind());
            ensure_eq!(fetched, Ok(1), "a fenced fetch from a bucket that is {role:?}");
            let listed = listed.map(|pages| pages[0].items.len()).map_err(|error| error.kind());
            ensure_eq!(listed, Ok(1), "a fenced list of a bucket that is {role:?}");
        } else {
            refused(fetched, Kind::Moved, &format!("a fenced fetch from a bucket that is {role:?}"))?;
            refused(listed, Kind::Moved, &format!("a fenced list of a bucket that is {role:?}"))?;
        }
    }
    Ok(())
}

async fn floor(rig: Rig) -> LawResult {
    let ground = rig.ground_of(Traits::default(), 1).await?;
    let at = ground.place("p");
    let own = ground.commit(&at, put()).await?.revision;
    let floors =
        [(own.term(), own.n() + 1_000), (Term(own.term().0 + 3), 70_000), (Term(own.term().0 + 9), 3)];
    for (term, n) in floors {
        let floor = Revision::new(term, n)?;
        let control = ground
            .turn(at.bucket, |control| {
                control.floor = floor;
                control.term = term;
            })
            .await?;
        let first = ground.commit(&at.clone().at(control.epoch), put()).await?.revision;
        let second = ground.commit(&at.clone().at(control.epoch), put()).await?.revision;
        ensure!(first > floor && second > first, "over the floor {floor:?} come {first:?} and {second:?}");
        ensure_eq!(first.term(), term, "a revision of another term");
        let shown = ground.control(at.bucket).await?.map(|control| control.floor);
        ensure!(shown >= Some(second), "a control shows the floor {shown:?} after {second:?}");
    }
    Ok(())
}

async fn time_floor(rig: Rig) -> LawResult {
    let ground = rig.plain_ground().await?;
    let at = ground.place("p");
    let deadline = rig.deadline(Duration::from_secs(10));
    ground.commit(&at, Commit::new().put("x", "1", deadline).put("y", "1", None)).await?;
    // The old home's clock was a minute ahead, so that the item had expired there.
    let time_floor = rig.now().plus(Duration::from_mins(1));
    let control = ground.turn(at.bucket, |control| control.time_floor = time_floor).await?;
    let at = at.at(control.epoch);
    let fetched = rig.engine().fetch(&Cx::new().fenced(), &[at.item("x"), at.item("y")]).await?;
    let there: Vec<bool> = fetched.iter().map(Option::is_some).collect();
    ensure_eq!(there, vec![false, true], "items read under a time floor");
    ground.refused(&at, Commit::new().present("x").put("z", "1", None), Kind::Conflict, "a check").await?;
    ground.commit(&at, Commit::new().absent("x").put("z", "1", None)).await?;
    Ok(())
}

async fn missing(rig: Rig) -> LawResult {
    let space = rig.wild(Traits::default(), 4)?;
    let partition = statehold_core::Partition::new("p")?;
    let controls = rig.base().control(&Cx::new(), &space, &[Bucket::new(0), Bucket::new(3)]).await?;
    ensure_eq!(controls, vec![None, None], "controls of a space that was never established");
    for epoch in [Epoch(0), Epoch(1)] {
        let at = Place::new(&space, partition.clone()).at(epoch);
        let error = refused(rig.engine().commit(&Cx::new(), &at, &put()).await, Kind::Moved, "a commit")?;
        ensure_eq!(error.moved_to(), None, "an epoch was told where there is none");
        refused(
            rig.engine().fetch(&Cx::new().fenced(), &[at.item("x")]).await,
            Kind::Moved,
            "a fenced fetch",
        )?;
        let carried = rig
            .base()
            .carry(&Cx::new(), &space, at.bucket, epoch, statehold_core::PassId::default(), &[])
            .await;
        refused(carried, Kind::Moved, "a carry")?;
    }
    Ok(())
}

async fn void(mut rig: Rig) -> LawResult {
    let (ground, at) = one_item(&rig).await?;
    let (cx, space) = (Cx::new(), &ground.space);
    let present = ground.control(at.bucket).await?;
    let Some(control) = present else {
        return Err(Breach::Broken("an established bucket shows no control".into()));
    };
    let foreign = Control { epoch: Epoch(2), incarnation: Incarnation([9; 16]), ..control };
    let answer = rig.base().set_control(&cx, space, at.bucket, Some(&control), &foreign).await;
    refused(answer, Kind::Moved, "a control of another history")?;
    ground.commit(&at, put()).await?;

    // Where a kill may lose what such a space holds, it leaves its control void.
    let ground = rig.ground(Traits { unsynced: true, ..Traits::default() }).await?;
    let at = ground.place("p");
    let own = ground.turn(at.bucket, |_| ()).await?;
    let at = at.at(own.epoch);
    ground.commit(&at, Commit::new().put("x", "1", None)).await?;
    let before = rig.incarnation(&ground.space).await?;
    rig.restart(Restart::Killed).await?;
    if rig.incarnation(&ground.space).await? == before {
        return Ok(());
    }
    let commit = rig.engine().commit(&Cx::new(), &at, &put()).await;
    refused(commit, Kind::Moved, "a commit under a void control")?;
    let fetch = rig.engine().fetch(&Cx::new().fenced(), &[at.item("x")]).await;
    refused(fetch, Kind::Moved, "a fenced fetch under one")?;
    let kept = rig.engine().fetch(&Cx::new(), &[at.item("x")]).await?.remove(0);
    ensure!(kept.is_none_or(|item| item.value == "1"), "a commit under a void control happened");
    let again = rig.again(&ground).await?;
    again.commit(&again.place("p"), put()).await?;
    Ok(())
}

async fn establish(rig: Rig) -> LawResult {
    let (ground, at) = one_item(&rig).await?;
    let (cx, base, space) = (Cx::new(), rig.base(), &ground.space);
    let first = rig.open_control(space).await?;
    base.establish(&cx, space, &first).await?;
    untouched(&ground, &at, "the same control again").await?;
    let next = Control { epoch: Epoch(7), term: Term(7), ..first };
    let wrong = [
        (Control { marking: true, ..first }, Kind::Conflict, "another control of the same epoch and term"),
        (Control { epoch: Epoch(0), term: Term(9), ..first }, Kind::Conflict, "a control of an older epoch"),
        (Control { term: Term(0), ..next }, Kind::Conflict, "a control of a later epoch and an older term"),
        (Control { owner: Owner([8; 16]), ..next }, Kind::Refused, "a control of another deployment"),
        (Control { incarnation: Incarnation([9; 16]), ..next }, Kind::Moved, "a control of another history"),
    ];
    for (control, kind, what) in wrong {
        refused(base.establish(&cx, space, &control).await, kind, what)?;
        let shown =
            ground.control(at.bucket).await?.map(|control| (control.epoch, control.term, control.marking));
        ensure_eq!(shown, Some((Epoch(1), Term(1), false)), "{what} was refused, and installed");
    }
    let elsewhere = neighbour(&ground, &at);
    ground.turn(elsewhere.bucket, |control| control.epoch = Epoch(4)).await?;
    let below = Control { epoch: Epoch(3), term: Term(3), ..first };
    refused(
        base.establish(&cx, space, &below).await,
        Kind::Conflict,
        "a control older than one bucket's own",
    )?;
    base.establish(&cx, space, &next).await?;
    ground.refused(&at, put(), Kind::Moved, "a commit at the epoch before").await?;
    ground.commit(&at.clone().at(Epoch(7)), put()).await?;
    ground.commit(&elsewhere.at(Epoch(4)), put()).await?;
    Ok(())
}

async fn set_control(rig: Rig) -> LawResult {
    let (ground, at) = one_item(&rig).await?;
    let (cx, space, bucket) = (Cx::new(), &ground.space, at.bucket);
    let base: &dyn Movable = &**rig.base();
    let Some(first) = ground.control(bucket).await? else {
        return Err(Breach::Broken("an established bucket shows no control".into()));
    };
    let next = Control { epoch: Epoch(2), role: Role::Sealed, ..first };
    let others = [
        (None, "no control"),
        (Some(Control { role: Role::Away, ..first }), "another role"),
        (Some(Control { marking: true, ..first }), "another marking"),
        (Some(Control { epoch: Epoch(9), ..first }), "another epoch"),
        (Some(Control { term: Term(9), ..first }), "another term"),
        (Some(Control { owner: Owner([1; 16]), ..first }), "another owner"),
    ];
    for (expect, what) in others {
        let answer = base.set_control(&cx, space, bucket, expect.as_ref(), &next).await;
        refused(answer, Kind::Conflict, &format!("a control set by somebody who expected {what}"))?;
    }
    for (epoch, term, what) in [
        (Epoch(1), Term(1), "the same epoch and term"),
        (Epoch(0), Term(5), "an older epoch"),
        (Epoch(1), Term(0), "an older term"),
        (Epoch(2), Term(0), "a later epoch and an older term"),
    ] {
        let back = Control { epoch, term, role: Role::Away, ..first };
        let answer = base.set_control(&cx, space, bucket, Some(&first), &back).await;
        refused(answer, Kind::Conflict, &format!("a control with {what}"))?;
    }
    let foreign = Control { owner: Owner([1; 16]), ..next };
    let answer = base.set_control(&cx, space, bucket, Some(&first), &foreign).await;
    refused(answer, Kind::Refused, "a control of another deployment")?;
    ground.commit(&at, put()).await?;
    // The floor has grown by that commit: it is no part of what must be expected.
    base.set_control(&cx, space, bucket, Some(&first), &next).await?;
    let sealed = ground.control(bucket).await?.map(|control| (control.role, control.epoch));
    ensure_eq!(sealed, Some((Role::Sealed, Epoch(2))), "the control that was set");
    let Some(present) = ground.control(bucket).await? else {
        return Err(Breach::Broken("a bucket lost its control".into()));
    };
    let mut rivals = tokio::task::JoinSet::new();
    for n in 0..8 {
        let (base, space) = (std::sync::Arc::clone(rig.base()), space.clone());
        let mine = Control { epoch: Epoch(10 + n), role: Role::Open, ..present };
        rivals.spawn(async move {
            base.set_control(&Cx::new(), &space, bucket, Some(&present), &mine).await.is_ok()
        });
    }
    let winners = rivals.join_all().await.into_iter().filter(|won| *won).count();
    ensure_eq!(winners, 1, "winners among eight who set one control at once");
    Ok(())
}
