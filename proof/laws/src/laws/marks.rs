//! Marks: what a move has still to carry.

use std::collections::BTreeMap;

use statehold_core::{Commit, CommitId, Cx, ItemKey, Mark, MarkKind, Marked, Revision, Role, Traits};

use super::{always, check};
use crate::breach::{LawResult, ensure, ensure_eq};
use crate::broken::broken;
use crate::law::Law;
use crate::rig::{Ground, Rig};

pub(super) const LAWS: &[Law] = &[
    Law {
        id: "fence.marks",
        promise: "While a bucket marks, a change marks exactly what it changed, at its revision; else it marks nothing.",
        applies: always,
        check: check!(marks),
        broken: broken![fence::MarksAtAnotherRevision, fence::MarksOnlyReceipts, fence::MarksWhatIsNotAsked],
    },
    Law {
        id: "fence.mark-states",
        promise: "A mark comes with what is kept of its item at that moment, deletions as markers, as many as asked for.",
        applies: always,
        check: check!(states),
        broken: broken![commit::DropsMarkers],
    },
    Law {
        id: "fence.clear",
        promise: "A mark goes only at the revision that was carried: what changed again stays marked.",
        applies: always,
        check: check!(clear),
        broken: broken![fence::ClearsBlindly, fence::ClearsAnyKind],
    },
];

async fn marked(rig: &Rig, ground: &Ground, kind: MarkKind) -> LawResult<Vec<Marked>> {
    let bucket = statehold_core::Bucket::new(0);
    Ok(rig.base().marks(&Cx::new(), &ground.space, bucket, kind, 1_000).await?)
}

fn by_key(found: &[Marked]) -> BTreeMap<ItemKey, Revision> {
    found.iter().map(|marked| (marked.mark.key.clone(), marked.mark.revision)).collect()
}

fn item(name: &str) -> ItemKey {
    ItemKey::item(&name.to_owned().into())
}

/// A ground of one bucket that marks, after a commit that it did not mark.
async fn marking(rig: &Rig) -> LawResult<(Ground, statehold_core::Place)> {
    let ground = rig.ground_of(Traits::default(), 1).await?;
    let at = ground.place("p");
    let items = ["a", "b", "c", "d", "e"];
    let before = items.iter().fold(Commit::new(), |commit, item| commit.put(*item, "1", None));
    ground.commit(&at, before).await?;
    let found = marked(rig, &ground, MarkKind::Dirty).await?;
    ensure!(found.is_empty(), "a commit marked {} items in a bucket that does not mark", found.len());
    let control = ground.turn(at.bucket, |control| control.marking = true).await?;
    Ok((ground, at.at(control.epoch)))
}

async fn marks(rig: Rig) -> LawResult {
    let (ground, at) = marking(&rig).await?;
    let commit = Commit::new().put("a", "2", None).delete("b").touch("c", None).add("n", 1, None);
    let first = ground.commit(&at, commit.delete("nowhere").touch("never", None)).await?.revision;
    let mut expected: BTreeMap<_, _> = ["a", "b", "c", "n"].map(|name| (item(name), first)).into();
    ensure_eq!(by_key(&marked(&rig, &ground, MarkKind::Dirty).await?), expected, "the marks of one commit");
    let refused = Commit::new().put("d", "2", None).present("nowhere");
    ground.refused(&at, refused, statehold_core::Kind::Conflict, "a failed check").await?;
    let id = CommitId::from_bytes([1; 16]);
    let named = Commit::new().with_id(id).put("a", "3", None);
    let second = ground.commit(&at, named.clone()).await?.revision;
    ground.commit(&at, named).await?;
    expected.extend([(item("a"), second), (ItemKey::receipt(&id), second)]);
    let found = by_key(&marked(&rig, &ground, MarkKind::Dirty).await?);
    ensure_eq!(found, expected, "the marks after a refused, a named and a repeated commit");
    let off = ground.turn(at.bucket, |control| control.marking = false).await?;
    ground.commit(&at.clone().at(off.epoch), Commit::new().put("e", "2", None)).await?;
    let found = by_key(&marked(&rig, &ground, MarkKind::Dirty).await?);
    ensure!(!found.contains_key(&item("e")), "a bucket that does not mark any more marked an item");
    Ok(())
}

async fn states(rig: Rig) -> LawResult {
    let (ground, at) = marking(&rig).await?;
    ground.commit(&at, Commit::new().put("a", "2", None).delete("b")).await?;
    let latest = ground.commit(&at, Commit::new().put("a", "3", None).add("n", 7, None)).await?.revision;
    let found = marked(&rig, &ground, MarkKind::Dirty).await?;
    ensure_eq!(found.len(), 3, "marks with their states");
    for marked in &found {
        let Some(state) = &marked.state else {
            let what = format!(
                "{:?} is marked, and nothing is kept of it: a deletion would never be carried",
                marked.mark.key
            );
            return Err(crate::Breach::Broken(what));
        };
        ensure_eq!(state.revision, marked.mark.revision, "a mark beside another revision of its item");
        let value = state.body.as_ref().map(|body| body.value.to_vec());
        let expected = match marked.mark.key.id().as_ref().map(|id| id.as_bytes().as_ref()) {
            Some(b"a") => Some(b"3".to_vec()),
            Some(b"n") => Some(b"7".to_vec()),
            _ => None,
        };
        ensure_eq!(value, expected, "the state beside the mark of {:?}", marked.mark.key);
        ensure!(state.revision <= latest, "a state of a revision that was never issued");
    }
    for limit in [1, 2, 3] {
        let some = rig.base().marks(&Cx::new(), &ground.space, at.bucket, MarkKind::Dirty, limit).await?;
        ensure_eq!(some.len(), limit, "marks where so many were asked for");
    }
    Ok(())
}

async fn clear(rig: Rig) -> LawResult {
    let (ground, at) = marking(&rig).await?;
    let clear = |done: Vec<Mark>| {
        let (base, space) = (std::sync::Arc::clone(rig.base()), ground.space.clone());
        async move { base.clear(&Cx::new(), &space, statehold_core::Bucket::new(0), &done).await }
    };
    ground.commit(&at, Commit::new().put("a", "2", None).put("b", "2", None)).await?;
    let seen: Vec<Mark> =
        marked(&rig, &ground, MarkKind::Dirty).await?.into_iter().map(|marked| marked.mark).collect();
    let newer = ground.commit(&at, Commit::new().put("a", "3", None)).await?.revision;
    ensure_eq!(clear(seen.clone()).await?, 1, "marks cleared of two, one of which had changed again");
    let dirty = by_key(&marked(&rig, &ground, MarkKind::Dirty).await?);
    ensure_eq!(dirty, BTreeMap::from([(item("a"), newer)]), "what stays dirty");
    let unchecked = marked(&rig, &ground, MarkKind::Unchecked).await?;
    ensure!(by_key(&unchecked).contains_key(&item("b")), "a cleared mark is not kept as unchecked");
    ensure_eq!(clear(seen).await?, 0, "marks cleared twice, by a stale list of dirty ones");
    let unchecked: Vec<Mark> = unchecked.into_iter().map(|marked| marked.mark).collect();
    ensure_eq!(clear(unchecked).await?, 1, "unchecked marks cleared");
    ensure!(
        marked(&rig, &ground, MarkKind::Unchecked).await?.is_empty(),
        "an unchecked mark stays when cleared"
    );
    let sealed = ground.turn(at.bucket, |control| control.role = Role::Sealed).await?;
    ensure_eq!(sealed.role, Role::Sealed, "a seal");
    let dirty: Vec<Mark> =
        marked(&rig, &ground, MarkKind::Dirty).await?.into_iter().map(|marked| marked.mark).collect();
    ensure_eq!(clear(dirty).await?, 1, "marks drained under a seal");
    Ok(())
}
