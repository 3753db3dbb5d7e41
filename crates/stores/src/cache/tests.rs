//! The cache on every engine.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use statehold_core::{Commit, Cx, Deadline, Kind, Revision};

use super::{
    BATCH_MAX, BatchAnswer, BatchOp, BatchWrite, Cache, CacheError, CachePolicy, Condition, Incr, Key, Mode,
    Remaining, Set, Stored, Ttl, Value, Write, Written, codec,
};
use crate::bed::Bed;
use crate::value::{Dur, Id};

const MINUTE: Duration = Duration::from_mins(1);

fn id(text: &str) -> Id {
    Id::new(text).unwrap()
}

fn key(text: &str) -> Key {
    Key::new(id(text))
}

fn of(group: &str, text: &str) -> Key {
    Key::in_group(id(group), id(text))
}

fn json(text: &str) -> Value {
    Value::json(text).unwrap()
}

fn set(text: &str) -> Set {
    Set::new(json(text))
}

fn put(text: &str) -> Write {
    Write::Set(set(text))
}

fn ttl(duration: Duration) -> Ttl {
    Ttl::For(Dur::new(duration).unwrap())
}

fn cx() -> Cx {
    Cx::new()
}

async fn caches(rules: CachePolicy) -> Vec<(Bed, Arc<Cache>)> {
    let beds = Bed::on_every_engine(Cache::TRAITS).await;
    let with_cache = |bed: Bed| {
        let cache = Arc::new(Cache::new(bed.home.clone(), rules));
        (bed, cache)
    };
    beds.into_iter().map(with_cache).collect()
}

async fn strict() -> Vec<(Bed, Arc<Cache>)> {
    caches(CachePolicy::default()).await
}

async fn lax() -> Vec<(Bed, Arc<Cache>)> {
    caches(CachePolicy { allow_no_expiry: true, ..CachePolicy::default() }).await
}

async fn value_of(cache: &Cache, key: &Key) -> Option<Value> {
    cache.get(&cx(), key).await.unwrap().map(|entry| entry.value)
}

fn revision_of(stored: Stored) -> Revision {
    match stored {
        Stored::Yes { revision, .. } => revision,
        Stored::No { .. } => panic!("not stored"),
    }
}

#[tokio::test]
async fn f001_what_is_set_is_read_back_and_an_absent_key_is_none() {
    for (bed, cache) in strict().await {
        let key = key("user:1");
        assert_eq!(cache.get(&cx(), &key).await.unwrap(), None, "{}", bed.name);
        assert!(!cache.exists(&cx(), &key).await.unwrap());
        assert!(!cache.delete(&cx(), &key, None).await.unwrap());

        let stored = cache.set(&cx(), &key, set(r#"{"b":1, "a":[]}"#), Mode::Any).await.unwrap();
        assert!(matches!(stored, Stored::Yes { created: true, .. }));
        let entry = cache.get(&cx(), &key).await.unwrap().unwrap();
        assert_eq!(entry.revision, revision_of(stored));
        assert!(matches!(&entry.value, Value::Json(raw) if raw.get() == r#"{"b":1, "a":[]}"#));
        assert!(cache.exists(&cx(), &key).await.unwrap());

        let again = cache.set(&cx(), &key, set("2"), Mode::Any).await.unwrap();
        assert!(matches!(again, Stored::Yes { created: false, .. }));
        assert!(revision_of(again) > revision_of(stored));
        assert!(cache.delete(&cx(), &key, None).await.unwrap());
        assert!(!cache.delete(&cx(), &key, None).await.unwrap());
        assert_eq!(cache.get(&cx(), &key).await.unwrap(), None);
    }
}

#[tokio::test]
async fn f001_every_byte_comes_back_and_empty_is_not_absent() {
    for (_, cache) in strict().await {
        let all: Bytes = (0..=255_u8).collect();
        for bytes in [all, Bytes::new()] {
            let value = Value::Bytes(bytes.clone());
            cache.set(&cx(), &key("k"), Set::new(value), Mode::Any).await.unwrap();
            let entry = cache.get(&cx(), &key("k")).await.unwrap().unwrap();
            assert_eq!(entry.value.kind(), "bytes");
            assert_eq!(entry.value.into_bytes(), bytes);
        }
    }
}

#[tokio::test]
async fn f001_one_operation_is_one_round_trip() {
    for (bed, cache) in strict().await {
        let key = of("g", "k");
        bed.seat.calls();
        cache.set(&cx(), &key, set("1"), Mode::Any).await.unwrap();
        assert_eq!(bed.seat.calls(), (0, 1));
        cache.set(&cx(), &key, set("1"), Mode::IfPresent).await.unwrap();
        assert_eq!(bed.seat.calls(), (0, 1));
        cache.get(&cx(), &key).await.unwrap();
        assert_eq!(bed.seat.calls(), (1, 0));
        cache.delete(&cx(), &key, None).await.unwrap();
        cache.incr(&cx(), &key, Incr::default()).await.unwrap();
        assert_eq!(bed.seat.calls(), (0, 2));
    }
}

#[tokio::test]
async fn f002_an_entry_ends_at_its_deadline_and_gets_the_default_without_one() {
    for (bed, cache) in strict().await {
        let now = bed.now();
        let stored = cache.set(&cx(), &key("a"), set("1"), Mode::Any).await.unwrap();
        let default = Deadline::after(now, Duration::from_hours(1));
        assert!(matches!(stored, Stored::Yes { deadline: Some(deadline), .. } if deadline == default));
        cache.set(&cx(), &key("b"), set("1").living(ttl(MINUTE)), Mode::Any).await.unwrap();
        let never = cache.set(&cx(), &key("c"), set("1").living(Ttl::Never), Mode::Any).await;
        assert!(matches!(never, Err(CacheError::TtlRequired)), "{}", bed.name);
        assert_eq!(value_of(&cache, &key("c")).await, None);

        bed.advance(Duration::from_millis(59_999));
        assert!(cache.exists(&cx(), &key("b")).await.unwrap());
        bed.advance(Duration::from_millis(1));
        assert!(!cache.exists(&cx(), &key("b")).await.unwrap());
        assert!(!cache.delete(&cx(), &key("b"), None).await.unwrap());
        bed.advance(Duration::from_hours(1));
        assert_eq!(cache.ttl(&cx(), &key("a")).await.unwrap(), Remaining::Absent);
    }
}

#[tokio::test]
async fn f002_a_write_may_keep_the_deadline_that_is_there() {
    for (bed, cache) in lax().await {
        let keep = |text, life| Set { keep_ttl: true, ..set(text).living(life) };
        let key = of("g", "k");
        // Where nothing is, the ttl of the call counts.
        cache.set(&cx(), &key, keep("1", ttl(MINUTE)), Mode::Any).await.unwrap();
        bed.advance(Duration::from_secs(20));
        cache.set(&cx(), &key, keep("2", ttl(10 * MINUTE)), Mode::Any).await.unwrap();
        let left = cache.ttl(&cx(), &key).await.unwrap();
        assert_eq!(left, Remaining::Left(Duration::from_secs(40)), "{}", bed.name);
        bed.advance(Duration::from_secs(40));
        assert_eq!(value_of(&cache, &key).await, None);

        cache.set(&cx(), &key, set("1").living(Ttl::Never), Mode::Any).await.unwrap();
        cache.set(&cx(), &key, keep("2", ttl(MINUTE)), Mode::Any).await.unwrap();
        assert_eq!(cache.ttl(&cx(), &key).await.unwrap(), Remaining::NoExpiry);
    }
}

#[tokio::test]
async fn f002_keeping_a_deadline_survives_a_race_and_names_endless_ones() {
    for (bed, cache) in strict().await {
        let key = key("k");
        let place = bed.home.place(codec::address(&key).0).unwrap();
        let deadline = Deadline::after(bed.now(), MINUTE);
        let other = Commit::new().put("v", "1j9", Some(deadline));
        cache.set(&cx(), &key, set("1"), Mode::Any).await.unwrap();
        bed.seat.race(place.clone(), other.clone(), false);
        let keep = || Set { keep_ttl: true, ..set("2") };
        cache.set(&cx(), &key, keep(), Mode::Any).await.unwrap();
        assert_eq!(value_of(&cache, &key).await, Some(json("2")));
        assert_eq!(cache.ttl(&cx(), &key).await.unwrap(), Remaining::Left(MINUTE), "{}", bed.name);

        bed.seat.calls();
        bed.seat.race(place, other, true);
        let lost = cache.set(&cx(), &key, keep(), Mode::Any).await;
        assert!(matches!(lost, Err(CacheError::Contention)), "{lost:?}");
        assert_eq!(bed.seat.calls(), (16, 16));
        bed.seat.end_race();
        assert_eq!(value_of(&cache, &key).await, Some(json("9")));
    }
}

#[tokio::test]
async fn f003_ttl_tells_absent_from_endless_from_time_left() {
    for (bed, cache) in lax().await {
        let key = key("k");
        assert_eq!(cache.ttl(&cx(), &key).await.unwrap(), Remaining::Absent);
        assert_eq!(cache.expire(&cx(), &key, Dur::new(MINUTE).unwrap()).await.unwrap(), None);
        assert_eq!(cache.persist(&cx(), &key).await.unwrap(), None);
        assert_eq!(cache.get(&cx(), &key).await.unwrap(), None, "a touch revives nothing");

        cache.set(&cx(), &key, set("1").living(Ttl::Never), Mode::Any).await.unwrap();
        assert_eq!(cache.ttl(&cx(), &key).await.unwrap(), Remaining::NoExpiry);
        let touched = cache.expire(&cx(), &key, Dur::new(MINUTE).unwrap()).await.unwrap().unwrap();
        assert_eq!(touched.deadline, Some(Deadline::after(bed.now(), MINUTE)));
        assert_eq!(cache.ttl(&cx(), &key).await.unwrap(), Remaining::Left(MINUTE));
        assert_eq!(cache.persist(&cx(), &key).await.unwrap().unwrap().deadline, None);
        assert_eq!(cache.ttl(&cx(), &key).await.unwrap(), Remaining::NoExpiry);
        assert_eq!(value_of(&cache, &key).await, Some(json("1")));
    }
}

#[tokio::test]
async fn f003_persist_is_refused_where_every_entry_must_expire() {
    for (_, cache) in strict().await {
        cache.set(&cx(), &key("k"), set("1"), Mode::Any).await.unwrap();
        let refused = cache.persist(&cx(), &key("k")).await;
        assert!(matches!(refused, Err(CacheError::PersistForbidden)));
        assert!(matches!(cache.ttl(&cx(), &key("k")).await.unwrap(), Remaining::Left(_)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f008_a_thousand_parallel_adds_sum_to_a_thousand_under_the_first_deadline() {
    for (bed, cache) in strict().await {
        let adds: Vec<_> = (0..1_000)
            .map(|n| {
                let cache = Arc::clone(&cache);
                let incr = Incr { ttl: ttl(MINUTE * (n % 3 + 1)), ..Incr::default() };
                tokio::spawn(async move { cache.incr(&cx(), &key("n"), incr).await.unwrap() })
            })
            .collect();
        let mut sums = Vec::new();
        for add in adds {
            sums.push(add.await.unwrap());
        }
        assert_eq!(sums.iter().map(|sum| sum.value).collect::<BTreeSet<_>>(), (1..=1_000).collect());
        assert_eq!(sums.iter().filter(|sum| sum.created).count(), 1);
        assert_eq!(value_of(&cache, &key("n")).await, Some(Value::Counter(1_000)), "{}", bed.name);
        let Remaining::Left(left) = cache.ttl(&cx(), &key("n")).await.unwrap() else { panic!("no deadline") };
        assert!([MINUTE, 2 * MINUTE, 3 * MINUTE].contains(&left));
    }
}

#[tokio::test]
async fn f008_a_counter_keeps_its_deadline_and_refuses_without_a_trace() {
    for (bed, cache) in strict().await {
        let n = key("n");
        let add = |by| Incr { by, ..Incr::default() };
        cache.incr(&cx(), &n, Incr { ttl: ttl(MINUTE), ..add(5) }).await.unwrap();
        bed.advance(Duration::from_secs(10));
        cache.incr(&cx(), &n, Incr { ttl: ttl(MINUTE), ..add(1) }).await.unwrap();
        assert_eq!(cache.ttl(&cx(), &n).await.unwrap(), Remaining::Left(Duration::from_secs(50)));
        let before = cache.get(&cx(), &n).await.unwrap();

        let overflow = cache.incr(&cx(), &n, add(i64::MAX)).await;
        assert!(matches!(overflow, Err(CacheError::CounterOverflow)), "{overflow:?}");
        let bound = cache.incr(&cx(), &n, Incr { range: i64::MIN..=6, ..add(1) }).await;
        assert!(matches!(bound, Err(CacheError::CounterBound)), "{bound:?}");
        let nothing = cache.incr(&cx(), &n, add(0)).await;
        assert!(matches!(nothing, Err(CacheError::OutOfRange { field: "by" })));
        #[expect(clippy::reversed_empty_ranges, reason = "the empty range is what is refused")]
        let empty = cache.incr(&cx(), &n, Incr { range: 2..=1, ..add(1) }).await;
        assert!(matches!(empty, Err(CacheError::OutOfRange { field: "min" })));
        let endless = cache.incr(&cx(), &key("m"), Incr { ttl: Ttl::Never, ..add(1) }).await;
        assert!(matches!(endless, Err(CacheError::TtlRequired)));
        assert_eq!(cache.get(&cx(), &n).await.unwrap(), before, "{}", bed.name);

        cache.set(&cx(), &key("j"), set("5"), Mode::Any).await.unwrap();
        let wrong = cache.incr(&cx(), &key("j"), add(1)).await;
        assert!(matches!(wrong, Err(CacheError::WrongType)), "{wrong:?}");
        let made = cache.set(&cx(), &n, Set::new(Value::Counter(1)), Mode::Any).await;
        assert!(matches!(made, Err(CacheError::OutOfRange { field: "value" })));
        assert_eq!(cache.get(&cx(), &n).await.unwrap().unwrap().value.into_bytes(), "6");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f009_of_many_creators_one_stores_and_with_its_ttl() {
    for (bed, cache) in strict().await {
        let creators: Vec<_> = (1..=64_u32)
            .map(|n| {
                let cache = Arc::clone(&cache);
                let set = set(&n.to_string()).living(ttl(MINUTE * n));
                tokio::spawn(
                    async move { (n, cache.set(&cx(), &key("k"), set, Mode::IfAbsent).await.unwrap()) },
                )
            })
            .collect();
        let mut winners = Vec::new();
        for creator in creators {
            let (n, stored) = creator.await.unwrap();
            if let Stored::Yes { created, .. } = stored {
                assert!(created);
                winners.push(n);
            }
        }
        let [winner] = winners[..] else { panic!("{}: {winners:?}", bed.name) };
        assert_eq!(value_of(&cache, &key("k")).await, Some(json(&winner.to_string())));
        assert_eq!(cache.ttl(&cx(), &key("k")).await.unwrap(), Remaining::Left(MINUTE * winner));
    }
}

#[tokio::test]
async fn f009_writes_by_revision_present_and_value() {
    for (_, cache) in strict().await {
        let k = key("k");
        let no = cache.set(&cx(), &k, set("1"), Mode::IfPresent).await.unwrap();
        assert_eq!(no, Stored::No { present: None });
        let wrong = cache.set(&cx(), &k, set("1"), Mode::IfRevision(Revision::from_u64(1))).await;
        assert!(matches!(wrong, Err(CacheError::RevisionMismatch { current: None })));

        let first = revision_of(cache.set(&cx(), &k, set("1"), Mode::IfAbsent).await.unwrap());
        let no = cache.set(&cx(), &k, set("2"), Mode::IfAbsent).await.unwrap();
        assert_eq!(no, Stored::No { present: Some(first) });
        let second = revision_of(cache.set(&cx(), &k, set("2"), Mode::IfRevision(first)).await.unwrap());
        let stale = cache.set(&cx(), &k, set("3"), Mode::IfRevision(first)).await;
        assert!(matches!(stale, Err(CacheError::RevisionMismatch { current: Some(now) }) if now == second));
        let stale = cache.delete(&cx(), &k, Some(first)).await;
        assert!(matches!(stale, Err(CacheError::RevisionMismatch { current: Some(now) }) if now == second));
        assert_eq!(value_of(&cache, &k).await, Some(json("2")));

        cache.set(&cx(), &k, set("3"), Mode::IfValue(json("2"))).await.unwrap();
        let other = cache.set(&cx(), &k, set("4"), Mode::IfValue(json("2"))).await;
        assert!(matches!(other, Err(CacheError::RevisionMismatch { .. })));
        assert!(!cache.delete_if_value(&cx(), &k, json("2")).await.unwrap());
        assert!(cache.delete_if_value(&cx(), &k, json(" 3 ")).await.unwrap());
        assert!(!cache.delete_if_value(&cx(), &k, json("3")).await.unwrap());
    }
}

#[tokio::test]
async fn f009_compare_and_delete_never_deletes_what_another_just_wrote() {
    for (bed, cache) in strict().await {
        let k = key("lock");
        cache.set(&cx(), &k, set("\"mine\""), Mode::Any).await.unwrap();
        let place = bed.home.place(codec::address(&k).0).unwrap();
        let theirs = Commit::new().put("v", "1j\"theirs\"", Some(Deadline::after(bed.now(), MINUTE)));
        bed.seat.race(place, theirs, false);
        assert!(!cache.delete_if_value(&cx(), &k, json("\"mine\"")).await.unwrap());
        assert_eq!(value_of(&cache, &k).await, Some(json("\"theirs\"")), "{}", bed.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f009_a_chain_of_compare_and_set_loses_no_step() {
    for (bed, cache) in strict().await {
        cache.set(&cx(), &key("n"), set("0"), Mode::Any).await.unwrap();
        let workers: Vec<_> = (0..4)
            .map(|_| {
                let cache = Arc::clone(&cache);
                tokio::spawn(async move {
                    let mut done = 0;
                    while done < 25 {
                        let entry = cache.get(&cx(), &key("n")).await.unwrap().unwrap();
                        let Value::Json(raw) = &entry.value else { panic!("not JSON") };
                        let next = raw.get().parse::<u32>().unwrap() + 1;
                        let mode = Mode::IfRevision(entry.revision);
                        match cache.set(&cx(), &key("n"), set(&next.to_string()), mode).await {
                            Ok(_) => done += 1,
                            Err(CacheError::RevisionMismatch { .. }) => tokio::task::yield_now().await,
                            Err(error) => panic!("{error}"),
                        }
                    }
                })
            })
            .collect();
        for worker in workers {
            worker.await.unwrap();
        }
        assert_eq!(value_of(&cache, &key("n")).await, Some(json("100")), "{}", bed.name);
    }
}

#[tokio::test]
async fn f010_a_thousand_reads_are_one_fetch_in_order() {
    for (bed, cache) in strict().await {
        let write = |n: usize| (key(&format!("k{n}")), set(&n.to_string()), Mode::Any);
        let stored = cache.set_many(&cx(), (0..500).map(write).collect()).await.unwrap();
        assert!(stored.iter().all(|stored| matches!(stored, Ok(Stored::Yes { created: true, .. }))));
        bed.seat.calls();
        let mut keys: Vec<_> = (0..BATCH_MAX - 1).rev().map(|n| key(&format!("k{n}"))).collect();
        keys.push(key("k499"));
        let read = cache.get_many(&cx(), &keys).await.unwrap();
        assert_eq!(bed.seat.calls(), (1, 0));
        for (position, entry) in read.into_iter().enumerate() {
            let number = if position == BATCH_MAX - 1 { 499 } else { BATCH_MAX - 2 - position };
            let value = entry.unwrap().map(|entry| entry.value);
            assert_eq!(value, (number < 500).then(|| json(&number.to_string())), "{position}");
        }
        let deleted = cache.delete_many(&cx(), vec![(key("k0"), None), (key("k500"), None)]).await.unwrap();
        assert!(matches!(deleted[..], [Ok(true), Ok(false)]), "{}", bed.name);
    }
}

#[tokio::test]
async fn f010_batches_are_bounded() {
    for (_, cache) in strict().await {
        let keys: Vec<_> = (0..=BATCH_MAX).map(|n| key(&n.to_string())).collect();
        assert!(matches!(cache.get_many(&cx(), &keys).await, Err(CacheError::BatchTooLarge)));
        let deletes = keys.into_iter().map(|key| (key, None)).collect();
        assert!(matches!(cache.delete_many(&cx(), deletes).await, Err(CacheError::BatchTooLarge)));
        let large = Set::new(Value::Bytes(Bytes::from(vec![0; 1 << 20])));
        let sets = (0..9).map(|n| (key(&n.to_string()), large.clone(), Mode::Any)).collect();
        assert!(matches!(cache.set_many(&cx(), sets).await, Err(CacheError::BatchTooLarge)));
        assert_eq!(value_of(&cache, &key("0")).await, None);
        assert!(cache.get_many(&cx(), &[]).await.unwrap().is_empty());
        assert!(cache.write_many(&cx(), &[]).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn f010_every_entry_of_a_batch_has_its_own_answer() {
    for (_, cache) in strict().await {
        cache.set(&cx(), &key("there"), set("0"), Mode::Any).await.unwrap();
        let writes = [
            BatchWrite { mode: Mode::IfAbsent, ..BatchWrite::new(key("there"), put("1")) },
            BatchWrite::new(key("new"), put("1")),
            BatchWrite::new(key("endless"), Write::Set(set("1").living(Ttl::Never))),
            BatchWrite::new(key("n"), Write::Incr(Incr::default())),
            BatchWrite::new(key("n"), Write::Incr(Incr::default())),
            BatchWrite::new(key("new"), Write::Delete),
        ];
        let results = cache.write_many(&cx(), &writes).await.unwrap();
        assert!(matches!(results[0], Ok(Written::Set(Stored::No { present: Some(_) }))));
        assert!(matches!(results[1], Ok(Written::Set(Stored::Yes { .. }))));
        assert!(matches!(results[2], Err(CacheError::TtlRequired)));
        assert!(matches!(results[3], Ok(Written::Sum(sum)) if sum.value == 1));
        assert!(matches!(results[4], Ok(Written::Sum(sum)) if sum.value == 2), "a key again comes after");
        assert!(matches!(results[5], Ok(Written::Deleted(true))));
        assert_eq!(value_of(&cache, &key("new")).await, None);
        assert_eq!(value_of(&cache, &key("there")).await, Some(json("0")));
    }
}

#[tokio::test]
async fn f010_the_keys_of_one_group_are_one_commit() {
    for (bed, cache) in strict().await {
        let sets = (0..10).map(|n| (of("g", &n.to_string()), set("1"), Mode::Any));
        let sets = sets.chain([(key("own"), set("1"), Mode::Any)]).collect();
        bed.seat.calls();
        let stored = cache.set_many(&cx(), sets).await.unwrap();
        assert_eq!(bed.seat.calls(), (0, 2));
        let revisions: BTreeSet<_> = stored[..10].iter().map(|s| revision_of(*s.as_ref().unwrap())).collect();
        assert_eq!(revisions.len(), 1);

        let writes = [
            BatchWrite::new(of("g", "0"), put("2")),
            BatchWrite { mode: Mode::IfAbsent, ..BatchWrite::new(of("g", "1"), put("2")) },
            BatchWrite::new(of("g", "2"), Write::Delete),
            BatchWrite::new(of("h", "0"), put("2")),
        ];
        let results = cache.write_many(&cx(), &writes).await.unwrap();
        assert!(matches!(results[0], Err(CacheError::GroupRefused { index: 1 })), "{}", bed.name);
        assert!(matches!(results[1], Ok(Written::Set(Stored::No { present: Some(_) }))));
        assert!(matches!(results[2], Err(CacheError::GroupRefused { index: 1 })));
        assert!(results[3].is_ok());
        for n in ["0", "1", "2"] {
            assert_eq!(value_of(&cache, &of("g", n)).await, Some(json("1")));
        }
    }
}

#[tokio::test]
async fn f010_a_mixed_batch_takes_effect_in_order() {
    for (bed, cache) in strict().await {
        let get = |text| BatchOp::Get(key(text));
        let write = |key, write| BatchOp::Write(BatchWrite::new(key, write));
        let absent =
            |key| BatchOp::Write(BatchWrite { mode: Mode::IfAbsent, ..BatchWrite::new(key, put("1")) });
        bed.seat.calls();
        let ops = vec![
            get("a"),
            get("b"),
            write(key("a"), put("1")),
            write(of("g", "x"), put("1")),
            write(of("g", "y"), put("1")),
            get("a"),
            write(of("g", "z"), put("1")),
            absent(of("g", "x")),
            write(key("a"), Write::Delete),
            get("a"),
        ];
        let answers = cache.batch(&cx(), ops).await.unwrap();
        assert_eq!(bed.seat.calls(), (3, 4), "{}", bed.name);
        let entry = |n: usize| match &answers[n] {
            Ok(BatchAnswer::Entry(entry)) => entry.as_ref().map(|entry| entry.value.clone()),
            other => panic!("{n}: {other:?}"),
        };
        assert_eq!((entry(0), entry(1), entry(5), entry(9)), (None, None, Some(json("1")), None));
        assert!(matches!(answers[6], Err(CacheError::GroupRefused { index: 7 })));
        assert!(matches!(answers[7], Ok(BatchAnswer::Written(Written::Set(Stored::No { .. })))));
        assert!(matches!(answers[8], Ok(BatchAnswer::Written(Written::Deleted(true)))));
    }
}

#[tokio::test]
async fn f011_a_failed_condition_is_named_and_writes_nothing() {
    for (bed, cache) in strict().await {
        let g = id("g");
        let writes = |text: &str| {
            vec![(id("a"), put(text)), (id("b"), put(text)), (id("n"), Write::Incr(Incr::default()))]
        };
        let first =
            cache.commit(&cx(), &g, vec![(id("a"), Condition::Exists(false))], &writes("1")).await.unwrap();
        let conditions = vec![
            (id("a"), Condition::Exists(true)),
            (id("b"), Condition::Revision(first)),
            (id("a"), Condition::Value(json("1"))),
            (id("n"), Condition::Value(json("1"))),
            (id("z"), Condition::Exists(false)),
        ];
        let second = cache.commit(&cx(), &g, conditions.clone(), &writes("2")).await.unwrap();
        assert!(second > first);
        let failed = [
            (0, (id("z"), Condition::Exists(true)), None),
            (1, (id("b"), Condition::Revision(first)), Some(second)),
            (2, (id("a"), Condition::Value(json("1"))), Some(second)),
            (3, (id("n"), Condition::Value(json("1"))), Some(second)),
            (4, (id("a"), Condition::Exists(false)), Some(second)),
        ];
        let holding: Vec<_> = vec![
            (id("a"), Condition::Exists(true)),
            (id("b"), Condition::Revision(second)),
            (id("a"), Condition::Value(json("2"))),
            (id("n"), Condition::Value(json("2"))),
            (id("z"), Condition::Exists(false)),
        ];
        for (index, condition, current) in failed {
            let mut conditions = holding.clone();
            conditions[index] = condition;
            let refused = cache.commit(&cx(), &g, conditions, &writes("3")).await;
            let named = matches!(
                refused,
                Err(CacheError::ConditionFailed { index: found, current: now }) if found == index && now == current
            );
            assert!(named, "{}: {index}: {refused:?}", bed.name);
        }
        for name in ["a", "b"] {
            assert_eq!(value_of(&cache, &of("g", name)).await, Some(json("2")));
        }
        assert_eq!(value_of(&cache, &of("g", "n")).await, Some(Value::Counter(2)));
    }
}

#[tokio::test]
async fn f011_a_refused_write_takes_the_others_along() {
    for (_, cache) in strict().await {
        let g = id("g");
        cache.set(&cx(), &of("g", "text"), set("\"x\""), Mode::Any).await.unwrap();
        let writes = [(id("a"), put("1")), (id("text"), Write::Incr(Incr::default()))];
        assert!(matches!(cache.commit(&cx(), &g, vec![], &writes).await, Err(CacheError::WrongType)));
        assert_eq!(value_of(&cache, &of("g", "a")).await, None);

        let twice = [(id("a"), put("1")), (id("a"), Write::Delete)];
        assert!(matches!(cache.commit(&cx(), &g, vec![], &twice).await, Err(CacheError::KeyTwice)));
        let none = cache.commit(&cx(), &g, vec![(id("a"), Condition::Exists(false))], &[]).await;
        assert!(matches!(none, Err(CacheError::OutOfRange { field: "writes" })));
        let many: Vec<_> = (0..257).map(|n: u32| (id(&n.to_string()), put("1"))).collect();
        assert!(matches!(cache.commit(&cx(), &g, vec![], &many).await, Err(CacheError::BatchTooLarge)));
        assert!(cache.commit(&cx(), &g, vec![], &many[1..]).await.is_ok());
    }
}

#[tokio::test]
async fn f011_a_condition_on_a_value_holds_at_the_commit_itself() {
    for (bed, cache) in strict().await {
        let g = id("g");
        cache.set(&cx(), &of("g", "a"), set("1"), Mode::Any).await.unwrap();
        let place = bed.home.place(codec::group_partition(&g)).unwrap();
        let other = Commit::new().put("v:a", "1j2", Some(Deadline::after(bed.now(), MINUTE)));
        bed.seat.race(place, other, false);
        let conditions = vec![(id("a"), Condition::Value(json("1")))];
        let refused = cache.commit(&cx(), &g, conditions, &[(id("b"), put("1"))]).await;
        assert!(matches!(refused, Err(CacheError::ConditionFailed { index: 0, .. })), "{refused:?}");
        assert_eq!(value_of(&cache, &of("g", "b")).await, None, "{}", bed.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f011_transfers_in_a_group_never_show_half_a_commit() {
    for (bed, cache) in strict().await {
        let (a, b) = (of("g", "a"), of("g", "b"));
        let moves: Vec<_> = (0..8_i64)
            .map(|n| {
                let cache = Arc::clone(&cache);
                tokio::spawn(async move {
                    for step in 0..25 {
                        let by = (n * 25 + step) % 7 + 1;
                        let add = |by| Write::Incr(Incr { by, ..Incr::default() });
                        let writes = [(id("a"), add(by)), (id("b"), add(-by))];
                        cache.commit(&cx(), &id("g"), vec![], &writes).await.unwrap();
                    }
                })
            })
            .collect();
        let keys = [a.clone(), b.clone()];
        for _ in 0..50 {
            let read = cache.get_many(&cx(), &keys).await.unwrap();
            // Two items of one fetch may be read at two instants, but no item shows half of a commit.
            assert!(read.into_iter().all(|entry| entry.is_ok()));
            tokio::task::yield_now().await;
        }
        for task in moves {
            task.await.unwrap();
        }
        let read = cache.get_many(&cx(), &keys).await.unwrap();
        let entries: Vec<_> = read.into_iter().map(|entry| entry.unwrap().unwrap()).collect();
        let sum: i64 =
            entries.iter().map(|e| if let Value::Counter(n) = e.value { n } else { panic!() }).sum();
        assert_eq!(sum, 0, "{}", bed.name);
        assert_eq!(entries[0].revision, entries[1].revision);
    }
}

#[tokio::test]
async fn f031_look_alike_names_are_different_entries() {
    for (bed, cache) in strict().await {
        let names = ["a:b", "a/b", "{a}b", "a", "b", "v", "g:a", "k:a", "v:a", "a:", ":a", "é", "a b"];
        let mut all: Vec<Key> = names.iter().map(|name| key(name)).collect();
        all.extend(names.iter().flat_map(|group| names.iter().map(|name| of(group, name))));
        for (number, key) in all.iter().enumerate() {
            cache.set(&cx(), key, set(&number.to_string()), Mode::IfAbsent).await.unwrap();
        }
        let read = cache.get_many(&cx(), &all).await.unwrap();
        for (number, entry) in read.into_iter().enumerate() {
            assert_eq!(entry.unwrap().unwrap().value, json(&number.to_string()), "{}", bed.name);
        }
    }
}

#[tokio::test]
async fn f032_a_value_over_the_limit_is_refused_and_one_at_it_is_kept() {
    let rules = CachePolicy { value_bytes_max: 1_000, ..CachePolicy::default() };
    for (bed, cache) in caches(rules).await {
        let bytes = |length| Set::new(Value::Bytes(Bytes::from(vec![b'x'; length])));
        cache.set(&cx(), &key("k"), bytes(1_000), Mode::Any).await.unwrap();
        let large = cache.set(&cx(), &key("k"), bytes(1_001), Mode::Any).await;
        assert!(matches!(large, Err(CacheError::ValueTooLarge { bytes_max: 1_000 })));
        let text = format!("\"{}\"", "x".repeat(999));
        let large = cache.set(&cx(), &key("k"), set(&text), Mode::Any).await;
        assert!(matches!(large, Err(CacheError::ValueTooLarge { .. })));
        assert_eq!(cache.get(&cx(), &key("k")).await.unwrap().unwrap().value.into_bytes().len(), 1_000);

        // A cache that allows more than its engine takes is bounded by the engine.
        let engine_max = bed.home.engine.description().value_bytes_max;
        cache.reload(CachePolicy { value_bytes_max: CachePolicy::VALUE_BYTES_CEILING, ..rules });
        let most = engine_max - codec::HEADER_BYTES;
        assert_eq!(cache.rules().value_bytes_max, most.min(CachePolicy::VALUE_BYTES_CEILING));
        cache.set(&cx(), &key("k"), bytes(most), Mode::Any).await.unwrap();
        let large = cache.set(&cx(), &key("k"), bytes(most + 1), Mode::Any).await;
        assert!(matches!(large, Err(CacheError::ValueTooLarge { .. })), "{}", bed.name);
    }
}

#[tokio::test]
async fn f033_a_value_that_means_nothing_is_an_error_everywhere_and_can_be_replaced() {
    for (bed, cache) in strict().await {
        let k = key("k");
        let place = bed.home.place(codec::address(&k).0).unwrap();
        let torn = Commit::new().put("v", "1j{\"a\":", Some(Deadline::after(bed.now(), MINUTE)));
        bed.seat.race(place, torn, false);
        cache.delete(&cx(), &key("other"), None).await.unwrap();
        let corrupt = |error: CacheError| matches!(error, CacheError::Engine(e) if e.kind() == Kind::Corrupt);
        assert!(corrupt(cache.get(&cx(), &k).await.unwrap_err()), "{}", bed.name);
        assert!(corrupt(cache.delete_if_value(&cx(), &k, json("1")).await.unwrap_err()));
        let mut read = cache.get_many(&cx(), &[k.clone(), key("absent")]).await.unwrap();
        assert!(matches!(read.pop(), Some(Ok(None))));
        assert!(corrupt(read.pop().unwrap().unwrap_err()));
        assert!(cache.exists(&cx(), &k).await.unwrap());
        cache.set(&cx(), &k, set("1"), Mode::IfPresent).await.unwrap();
        assert_eq!(value_of(&cache, &k).await, Some(json("1")));
    }
}

#[tokio::test]
async fn f033_an_engine_that_is_down_is_an_error_never_absence() {
    for (bed, cache) in strict().await {
        cache.set(&cx(), &key("k"), set("1"), Mode::Any).await.unwrap();
        bed.seat.fail(Some(Kind::Unavailable));
        let down =
            |error: CacheError| matches!(error, CacheError::Engine(e) if e.kind() == Kind::Unavailable);
        assert!(down(cache.get(&cx(), &key("k")).await.unwrap_err()));
        assert!(down(cache.exists(&cx(), &key("k")).await.unwrap_err()));
        assert!(down(cache.ttl(&cx(), &key("k")).await.unwrap_err()));
        assert!(down(cache.delete(&cx(), &key("k"), None).await.unwrap_err()));
        assert!(down(cache.get_many(&cx(), &[key("k")]).await.unwrap_err()));
        let writes = [
            BatchWrite::new(of("g", "a"), put("1")),
            BatchWrite::new(of("g", "b"), put("1")),
            BatchWrite::new(key("k"), put("2")),
        ];
        for result in cache.write_many(&cx(), &writes).await.unwrap() {
            assert!(down(result.unwrap_err()), "{}", bed.name);
        }
        bed.seat.fail(None);
        assert_eq!(value_of(&cache, &key("k")).await, Some(json("1")));
    }
}

#[tokio::test]
async fn a_reload_changes_the_default_ttl_of_later_writes_alone() {
    for (bed, cache) in strict().await {
        cache.set(&cx(), &key("a"), set("1"), Mode::Any).await.unwrap();
        cache.reload(CachePolicy { default_ttl: Dur::new(MINUTE).unwrap(), ..CachePolicy::default() });
        cache.set(&cx(), &key("b"), set("1"), Mode::Any).await.unwrap();
        assert_eq!(cache.ttl(&cx(), &key("a")).await.unwrap(), Remaining::Left(60 * MINUTE), "{}", bed.name);
        assert_eq!(cache.ttl(&cx(), &key("b")).await.unwrap(), Remaining::Left(MINUTE));
    }
}
