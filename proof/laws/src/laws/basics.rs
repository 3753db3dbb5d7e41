//! What is put is what is read.

use bytes::Bytes;
use statehold_core::{
    Commit, CommitId, Cx, Failure, Form, Kind, Mutation, MutationOutcome, Range, Refusal, Traits, View,
};

use super::{always, check, every_item};
use crate::breach::{LawResult, ensure, ensure_eq};
use crate::broken::broken;
use crate::law::Law;
use crate::rig::Rig;

pub(super) const LAWS: &[Law] = &[
    Law {
        id: "basics.round-trip",
        promise: "What was put is read back to the byte, with its deadline, by every way of reading.",
        applies: always,
        check: check!(round_trip),
        broken: broken![read::EndsAtNul, read::ReadsText, commit::LosesDeadlines],
    },
    Law {
        id: "basics.look-alikes",
        promise: "Names that look alike never meet, whatever bytes they have.",
        applies: always,
        check: check!(look_alikes),
        broken: broken![commit::TakesSlashForColon, commit::CutsNames],
    },
    Law {
        id: "basics.many",
        promise: "One read of many items answers each in the order asked, repeated and absent ones too.",
        applies: always,
        check: check!(many),
        broken: broken![read::LeavesOutAbsent, read::SortsAnswers],
    },
    Law {
        id: "basics.outcomes",
        promise: "A change says of each of its parts what it did.",
        applies: always,
        check: check!(outcomes),
        broken: broken![commit::SaysCreated],
    },
    Law {
        id: "basics.counter",
        promise: "A counter begins at 0, adds exactly, keeps its deadline and never leaves the range asked for.",
        applies: always,
        check: check!(counter),
        broken: broken![commit::IgnoresRanges, commit::ExtendsCounters],
    },
];

async fn round_trip(rig: Rig) -> LawResult {
    let ground = rig.ordered_ground().await?;
    let at = ground.place("p");
    let mut values: Vec<Bytes> = (0..=u8::MAX).map(|byte| Bytes::from(vec![byte])).collect();
    values.push(Bytes::new());
    values.push((0..=u8::MAX).collect::<Vec<_>>().into());
    values.push(Bytes::from_static(b"nul \0 in the middle, then \xff\xfe\xc3\x28"));
    values.push(
        (0..1 << 20).map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect::<Vec<_>>().into(),
    );
    let deadline = rig.deadline(std::time::Duration::from_mins(1));
    for (index, value) in values.iter().enumerate() {
        let item = format!("{index:04}");
        let deadline = deadline.filter(|_| index % 2 == 0);
        let receipt = ground.commit(&at, Commit::new().put(item.clone(), value.clone(), deadline)).await?;
        let Some(read) = ground.get(&at, item).await? else {
            return Err(crate::Breach::Broken(format!("value {index} was put and is absent")));
        };
        ensure!(
            read.value == value,
            "value {index} of {} bytes is read as {} others",
            value.len(),
            read.value.len()
        );
        ensure_eq!(read.form, Form::Bytes, "bytes are read in another form");
        ensure_eq!(read.revision, receipt.revision, "the item bears another revision than its receipt");
        ensure_eq!(read.deadline, deadline, "the item bears another deadline");
    }
    let mut pages = rig.engine().list(&Cx::new(), &at, &[Range::all()]).await?;
    let listed: Vec<Bytes> = pages.remove(0).items.into_iter().map(|item| item.value).collect();
    ensure!(listed == values, "a list reads other bytes than were put");
    let scanned = every_item(rig.engine(), &ground.space, View::Live).await?;
    ensure_eq!(scanned.len(), values.len(), "a scan finds another number of items");
    for found in scanned {
        let index = found.key.id().and_then(|id| String::from_utf8(id.as_bytes().to_vec()).ok());
        let index: usize = index.and_then(|index| index.parse().ok()).unwrap_or(usize::MAX);
        let value = found.state.body.map(|body| body.value);
        ensure!(value.as_ref() == values.get(index), "a scan reads other bytes of value {index}");
    }
    Ok(())
}

const NAMES: [&[u8]; 20] = [
    b"a",
    b"a/b",
    b"a:b",
    b"{a}",
    b"{a",
    b"a}",
    b"a\0",
    b"a\0b",
    b"\0",
    b"A",
    b"a ",
    b"ab",
    b"a/b/c",
    b"a:b:c",
    b"\xff",
    b"\xff\xfe",
    b"\xc3\x28",
    b"a%2Fb",
    b"\x01a",
    b"\x02",
];

async fn look_alikes(rig: Rig) -> LawResult {
    let ground = rig.ordered_ground().await?;
    let other = rig.ordered_ground().await?;
    let long: Vec<Vec<u8>> = (0..2).map(|last| [vec![b'n'; 1_023], vec![last]].concat()).collect();
    let names: Vec<&[u8]> = NAMES.iter().copied().chain(long.iter().map(Vec::as_slice)).collect();
    let value = |partition: &[u8], item: &[u8]| Bytes::from([partition, b"|", item].concat());
    for partition in &names {
        let at = ground.place(partition.to_vec());
        let mut commit =
            Commit::new().with_id(CommitId::from_bytes([b'a'; 16])).put("", value(partition, b""), None);
        commit = commit.put(vec![b'a'; 16], value(partition, b"id"), None);
        for item in &names {
            commit = commit.put(item.to_vec(), value(partition, item), None);
        }
        ground.commit(&at, commit).await?;
    }
    for partition in &names {
        let at = ground.place(partition.to_vec());
        for item in &names {
            let read = ground.value(&at, item.to_vec()).await?;
            ensure_eq!(read, Some(value(partition, item)), "an item is read as another one");
        }
        ensure_eq!(
            ground.value(&at, "").await?,
            Some(value(partition, b"")),
            "the empty name is another one"
        );
        let listed = rig.engine().list(&Cx::new(), &at, &[Range::all().count_only()]).await?;
        ensure_eq!(listed[0].count, Some(names.len() as u64 + 2), "a partition holds what others put");
        let elsewhere = other.place(partition.to_vec());
        ensure_eq!(other.get(&elsewhere, "a").await?, None, "a space shows what another one holds");
    }
    Ok(())
}

async fn many(rig: Rig) -> LawResult {
    let ground = rig.plain_ground().await?;
    let mut wanted = Vec::new();
    for n in (0..60).rev() {
        let at = ground.place(format!("p{}", n % 7));
        let item = format!("i{n}");
        if n % 3 != 0 {
            ground.commit(&at, Commit::new().put(item.clone(), format!("v{n}"), None)).await?;
        }
        wanted.push(at.item(item));
    }
    wanted.push(wanted[1].clone());
    wanted.push(wanted[0].clone());
    let read = rig.engine().fetch(&Cx::new(), &wanted).await?;
    ensure_eq!(read.len(), wanted.len(), "a fetch has another number of answers than addresses");
    for (index, (answer, address)) in read.iter().zip(&wanted).enumerate() {
        let n: u32 = String::from_utf8_lossy(&address.item.as_bytes()[1..]).parse().unwrap_or(0);
        let expected = (!n.is_multiple_of(3)).then(|| Bytes::from(format!("v{n}")));
        ensure_eq!(
            answer.as_ref().map(|item| item.value.clone()),
            expected,
            "answer {index} is another item's"
        );
    }
    ensure!(rig.engine().fetch(&Cx::new(), &[]).await?.is_empty(), "a fetch of nothing answers something");
    Ok(())
}

async fn outcomes(rig: Rig) -> LawResult {
    let ground = rig.plain_ground().await?;
    let at = ground.place("p");
    let first = ground.commit(&at, Commit::new().put("a", "1", None).put("b", "1", None)).await?;
    let created = MutationOutcome::Put { replaced: None };
    ensure_eq!(first.outcomes, vec![created.clone(), created.clone()], "creating is answered otherwise");
    ensure!(!first.replayed, "a first commit says that it is a repeat");
    let (a, b) = (Some(first.revision), first.revision);
    let commit =
        Commit::new().put("a", "2", None).delete("b").delete("c").touch("d", None).put("e", "", None);
    let second = ground.commit(&at, commit).await?;
    let expected = vec![
        MutationOutcome::Put { replaced: a },
        MutationOutcome::Deleted { revision: b },
        MutationOutcome::Missed,
        MutationOutcome::Missed,
        created,
    ];
    ensure_eq!(second.outcomes, expected, "a mixed commit is answered otherwise");
    let third =
        ground.commit(&at, Commit::new().touch("a", None).reap("a", second.revision).delete("e")).await;
    let twice = crate::rig::refused(third, Kind::Invalid, "a commit that names an item twice")?;
    drop(twice);
    let fourth = ground.commit(&at, Commit::new().touch("a", None).reap("e", second.revision)).await?;
    let expected = vec![MutationOutcome::Touched, MutationOutcome::Missed];
    ensure_eq!(fourth.outcomes, expected, "a touch beside a reap of a live item is answered otherwise");
    Ok(())
}

async fn counter(rig: Rig) -> LawResult {
    let ground = rig.ground(Traits::default()).await?;
    let at = ground.place("p");
    let deadline = rig.deadline(std::time::Duration::from_mins(1));
    let later = rig.deadline(std::time::Duration::from_mins(9));
    let added = |value, created| vec![MutationOutcome::Added { value, created }];
    let first = ground.commit(&at, Commit::new().add("n", 5, deadline)).await?;
    ensure_eq!(first.outcomes, added(5, true), "the first add");
    let second = ground.commit(&at, Commit::new().add("n", -7, later)).await?;
    ensure_eq!(second.outcomes, added(-2, false), "the second add");
    let read = ground.get(&at, "n").await?;
    let seen = read.as_ref().map(|item| (item.form, item.value.clone(), item.deadline));
    ensure_eq!(seen, Some((Form::Counter, Bytes::from_static(b"-2"), deadline)), "the counter is read");
    ground.commit(&at, Commit::new().put("bytes", "5", None)).await?;
    let add = |item: &'static str, delta, range| {
        Commit::new().mutate(Mutation::Add { item: item.into(), delta, range, deadline_if_new: None })
    };
    let full = i64::MIN..=i64::MAX;
    for (commit, refusal, what) in [
        (add("n", 12, 0..=9), Refusal::OutOfRange { present: -2 }, "a sum above its range"),
        (add("n", 1, 0..=9), Refusal::OutOfRange { present: -2 }, "a sum below its range"),
        (add("n", i64::MIN, full.clone()), Refusal::Overflow { present: -2 }, "a sum beyond i64"),
        (add("fresh", 10, 0..=9), Refusal::OutOfRange { present: 0 }, "a first sum above its range"),
        (add("bytes", 1, full.clone()), Refusal::WrongForm, "an add to bytes"),
    ] {
        let error = ground.refused(&at, commit, Kind::Conflict, what).await?;
        let failures = error.conflict_detail().map(|conflict| conflict.failures.clone());
        let expected = vec![Failure::Mutation { index: 0, refusal }];
        ensure_eq!(failures, Some(expected), "{what} is refused otherwise");
    }
    ensure_eq!(ground.get(&at, "n").await?, read, "a refused add changed the counter");
    ensure_eq!(ground.get(&at, "fresh").await?, None, "a refused add created a counter");
    for (delta, sum) in [(i64::MAX, i64::MAX - 2), (2, i64::MAX), (i64::MIN, -1), (i64::MIN + 1, i64::MIN)] {
        let receipt = ground.commit(&at, add("n", delta, full.clone())).await?;
        ensure_eq!(receipt.outcomes, added(sum, false), "an add near the ends of i64");
    }
    ensure_eq!(ground.value(&at, "n").await?, Some(Bytes::from(i64::MIN.to_string())), "the least counter");
    Ok(())
}
