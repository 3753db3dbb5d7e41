//! What the laws do not cover: the bound on memory, the sweep, the engine's own queues.

use statehold_core::{
    Announcement, Commit, CommitId, Control, Cx, Deadline, Engine, EngineExt, Epoch, ItemKey, Kind,
    ManualClock, Movable, MutationOutcome, Namespace, Outcome, Owner, Partition, Place, Probe, Revision,
    Role, Scan, Signal, Signals, Space, StoreName, Term, Time, Topic, Traits, View,
};

use super::*;

struct Bench {
    engine: Arc<MemoryEngine>,
    clock: Arc<ManualClock>,
    space: Space,
}

impl Bench {
    fn new(traits: Traits, bytes_max: u64, disposable_bytes_max: u64) -> Self {
        let clock = Arc::new(ManualClock::default());
        let config = MemoryConfig { bytes_max, disposable_bytes_max, ..MemoryConfig::default() };
        let engine = MemoryEngine::new(config, Arc::clone(&clock) as Arc<dyn Clock>);
        let name = Namespace::new("shop").unwrap();
        let space = Space::new(name, StoreName::new("s").unwrap()).with_traits(traits);
        Self { engine, clock, space }
    }

    async fn established(traits: Traits, bytes_max: u64, disposable_bytes_max: u64) -> Self {
        let bench = Self::new(traits, bytes_max, disposable_bytes_max);
        bench.engine.establish(&Cx::new(), &bench.space, &bench.control(1)).await.unwrap();
        bench
    }

    fn control(&self, epoch: u64) -> Control {
        Control {
            role: Role::Open,
            epoch: Epoch(epoch),
            term: Term(1),
            marking: false,
            floor: Revision::ZERO,
            time_floor: Time::default(),
            incarnation: self.engine.incarnation,
            owner: Owner([7; 16]),
            move_id: None,
        }
    }

    fn place(&self, partition: &str) -> Place {
        Place::new(&self.space, Partition::new(partition.to_owned()).unwrap()).at(Epoch(1))
    }

    async fn put(&self, partition: &str, bytes: usize, ttl_ms: Option<u64>) -> statehold_core::Result<()> {
        let deadline = ttl_ms.map(|ms| Deadline::after(self.clock.now(), Duration::from_millis(ms)));
        let commit = Commit::new().put("i", vec![b'x'; bytes], deadline);
        self.engine.commit(&Cx::new(), &self.place(partition), &commit).await.map(drop)
    }

    async fn has(&self, partition: &str) -> bool {
        self.engine.get(&Cx::new(), &self.place(partition).item("i")).await.unwrap().is_some()
    }

    async fn probe(&self) -> Probe {
        self.engine.probe(&Cx::new()).await.unwrap()
    }

    async fn raw(&self) -> usize {
        self.engine.scan(&Cx::new(), &Scan::new(&self.space, View::Raw)).await.unwrap().items.len()
    }
}

const DISPOSABLE: Traits =
    Traits { ordered: false, observes_expiry: false, announces: false, unsynced: true, disposable: true };
/// Ten items of 1,000 bytes fit, eleven do not.
const TEN_ITEMS: u64 = 10 * 1_400;

#[tokio::test]
async fn a_full_engine_refuses_growth_and_nothing_else() {
    let bench = Bench::established(Traits::default(), TEN_ITEMS, 0).await;
    for n in 0..10 {
        bench.put(&n.to_string(), 1_000, None).await.unwrap();
    }
    let full = bench.put("10", 1_000, None).await.unwrap_err();
    assert_eq!((full.kind(), full.outcome()), (Kind::Overloaded, Outcome::NoEffect));
    assert!(!bench.has("10").await);
    bench.put("3", 1_000, None).await.unwrap();
    assert!(bench.engine.remove(&Cx::new(), &bench.place("0").item("i")).await.unwrap());
    bench.put("10", 1_000, None).await.unwrap();
    let probe = bench.probe().await;
    assert!(probe.bytes <= probe.bytes_max);
    assert_eq!(probe.evicted, 0);
}

#[tokio::test]
async fn a_disposable_space_keeps_what_was_used_last() {
    let bench = Bench::established(DISPOSABLE, u64::MAX, TEN_ITEMS).await;
    for n in 0..10 {
        bench.put(&n.to_string(), 1_000, None).await.unwrap();
    }
    assert!(bench.has("0").await && bench.has("2").await);
    for n in 10..13 {
        bench.put(&n.to_string(), 1_000, None).await.unwrap();
    }
    let mut kept = Vec::new();
    for n in 0..13 {
        if bench.has(&n.to_string()).await {
            kept.push(n);
        }
    }
    assert_eq!(kept, [0, 2, 5, 6, 7, 8, 9, 10, 11, 12]);
    assert_eq!(bench.probe().await.evicted, 3);
    assert!(bench.probe().await.bytes.unwrap() <= TEN_ITEMS);
}

#[tokio::test]
async fn a_store_that_must_not_lose_takes_the_room_of_disposable_ones() {
    let bench = Bench::established(DISPOSABLE, TEN_ITEMS, TEN_ITEMS).await;
    for n in 0..10 {
        bench.put(&n.to_string(), 1_000, None).await.unwrap();
    }
    let name = Namespace::new("shop").unwrap();
    let strict = Bench { space: Space::new(name, StoreName::new("strict").unwrap()), ..bench };
    strict.engine.establish(&Cx::new(), &strict.space, &strict.control(1)).await.unwrap();
    for n in 0..10 {
        strict.put(&n.to_string(), 1_000, None).await.unwrap();
    }
    assert_eq!(strict.probe().await.evicted, 10);
    assert_eq!(strict.put("10", 1_000, None).await.unwrap_err().kind(), Kind::Overloaded);
}

#[tokio::test]
async fn nothing_is_evicted_or_swept_while_a_bucket_marks() {
    let bench = Bench::established(DISPOSABLE, u64::MAX, TEN_ITEMS).await;
    for n in 0..10 {
        bench.put(&n.to_string(), 1_000, Some(5)).await.unwrap();
    }
    let marking = Control { marking: true, ..bench.control(2) };
    bench.engine.establish(&Cx::new(), &bench.space, &marking).await.unwrap();
    bench.clock.advance(Duration::from_secs(1));
    assert_eq!(bench.engine.sweep(1_000), 0);
    let place = bench.place("new").at(Epoch(2));
    let grown = bench.engine.commit(&Cx::new(), &place, &Commit::new().put("i", vec![0; 1_000], None)).await;
    assert_eq!(grown.unwrap_err().kind(), Kind::Overloaded);
    assert_eq!(bench.raw().await, 10);
}

#[tokio::test]
async fn a_sweep_is_bounded_and_goes_on_where_it_ended() {
    let bench = Bench::established(Traits::default(), u64::MAX, 0).await;
    for n in 0..100 {
        bench.put(&n.to_string(), 10, Some(5)).await.unwrap();
    }
    bench.put("stays", 10, None).await.unwrap();
    bench.clock.advance(Duration::from_millis(5));
    assert!(!bench.has("7").await);
    let mut gone = Vec::new();
    while gone.last() != Some(&0) {
        gone.push(bench.engine.sweep(30));
    }
    assert_eq!(gone, [30, 30, 30, 10, 0]);
    assert_eq!(bench.raw().await, 1);
    let one = bench.probe().await.bytes;
    bench.engine.remove(&Cx::new(), &bench.place("stays").item("i")).await.unwrap();
    assert!(one > Some(0));
    assert_eq!(bench.probe().await.bytes, Some(0));
}

#[tokio::test]
async fn a_commit_lets_a_bounded_number_of_expired_items_go() {
    let bench = Bench::established(Traits::default(), u64::MAX, 0).await;
    let place = bench.place("p");
    let soon = Some(Deadline::after(bench.clock.now(), Duration::from_millis(5)));
    let many = (0..20).fold(Commit::new(), |commit, n| commit.put(format!("{n}"), "v", soon));
    bench.engine.commit(&Cx::new(), &place, &many).await.unwrap();
    bench.clock.advance(Duration::from_millis(5));
    bench.engine.commit(&Cx::new(), &place, &Commit::new().put("live", "v", None)).await.unwrap();
    assert_eq!(bench.raw().await, 1 + 20 - 8);
}

#[tokio::test]
async fn where_expiry_is_observed_only_a_reap_removes() {
    let traits = Traits { observes_expiry: true, ..Traits::default() };
    let bench = Bench::established(traits, u64::MAX, 0).await;
    bench.put("p", 10, Some(5)).await.unwrap();
    bench.clock.advance(Duration::from_millis(5));
    assert_eq!(bench.engine.sweep(100), 0);
    let expired = Scan::new(&bench.space, View::Expired(bench.clock.now()));
    let page = bench.engine.scan(&Cx::new(), &expired).await.unwrap();
    let [seen] = &page.items[..] else { panic!("{page:?}") };
    assert_eq!(seen.key, ItemKey::item(&"i".into()));
    let reap = Commit::new().reap("i", seen.state.revision);
    let receipt = bench.engine.commit(&Cx::new(), &bench.place("p"), &reap).await.unwrap();
    assert_eq!(receipt.outcomes, [MutationOutcome::Reaped]);
    assert_eq!(bench.raw().await, 0);
}

#[tokio::test]
async fn expired_receipts_go_even_where_expiry_is_observed() {
    let traits = Traits { observes_expiry: true, ..Traits::default() };
    let bench = Bench::established(traits, u64::MAX, 0).await;
    let commit = Commit::new().with_id(CommitId::from_bytes([1; 16])).add("n", 1, None);
    bench.engine.commit(&Cx::new(), &bench.place("p"), &commit).await.unwrap();
    bench.clock.advance(COMMIT_MEMORY);
    let expired = Scan::new(&bench.space, View::Expired(bench.clock.now()));
    assert!(bench.engine.scan(&Cx::new(), &expired).await.unwrap().items.is_empty());
    assert_eq!(bench.engine.sweep(100), 1);
    assert_eq!(bench.raw().await, 1);
}

#[tokio::test]
async fn a_deadline_that_moves_on_is_found_where_it_is() {
    let bench = Bench::established(Traits::default(), u64::MAX, 0).await;
    bench.put("p", 1, Some(10)).await.unwrap();
    let later = Deadline::after(bench.clock.now(), Duration::from_millis(100));
    let touch = Commit::new().touch("i", Some(later));
    bench.engine.commit(&Cx::new(), &bench.place("p"), &touch).await.unwrap();
    bench.clock.advance(Duration::from_millis(50));
    assert_eq!(bench.engine.sweep(100), 0);
    assert!(bench.has("p").await);
    let scan = |time| Scan::new(&bench.space, View::Expired(time));
    bench.clock.advance(Duration::from_millis(50));
    let page = bench.engine.scan(&Cx::new(), &scan(later.time())).await.unwrap();
    assert_eq!(page.items.len(), 1);
    let before = later.time().minus(Duration::from_millis(1));
    assert!(bench.engine.scan(&Cx::new(), &scan(before)).await.unwrap().items.is_empty());
    assert_eq!(bench.engine.sweep(100), 1);
}

#[tokio::test]
async fn markers_go_once_the_move_is_over() {
    let bench = Bench::established(Traits::default(), u64::MAX, 0).await;
    let marking = Control { marking: true, ..bench.control(2) };
    bench.engine.establish(&Cx::new(), &bench.space, &marking).await.unwrap();
    let place = bench.place("p").at(Epoch(2));
    let cx = Cx::new();
    bench.engine.commit(&cx, &place, &Commit::new().put("i", "v", None)).await.unwrap();
    bench.engine.commit(&cx, &place, &Commit::new().delete("i")).await.unwrap();
    assert_eq!((bench.raw().await, bench.engine.sweep(10)), (1, 0));
    bench.engine.establish(&cx, &bench.space, &bench.control(3)).await.unwrap();
    assert_eq!((bench.engine.sweep(10), bench.raw().await), (1, 0));
    assert_eq!(bench.probe().await.bytes, Some(0));
}

#[tokio::test]
async fn what_was_forgotten_gives_its_room_back() {
    let bench = Bench::established(Traits::default(), u64::MAX, 0).await;
    let cx = Cx::new();
    bench.put("p", 100, Some(50)).await.unwrap();
    let bucket = bench.place("p").bucket;
    let present = bench.engine.control(&cx, &bench.space, &[bucket]).await.unwrap()[0].unwrap();
    assert_eq!(present.floor.n(), 1);
    let away = Control { role: Role::Away, ..bench.control(2) };
    let forgotten = bench.engine.forget(&cx, &bench.space, &[bucket]).await;
    assert_eq!(forgotten.unwrap_err().kind(), Kind::Conflict);
    bench.engine.set_control(&cx, &bench.space, bucket, Some(&present), &away).await.unwrap();
    bench.engine.forget(&cx, &bench.space, &[bucket]).await.unwrap();
    assert_eq!(bench.raw().await, 0);
    assert_eq!(bench.probe().await.bytes, Some(0));
}

#[tokio::test]
async fn a_commit_is_told_once_and_a_refused_one_never() {
    use std::task::{Context, Poll, Waker};
    let bench = Bench::established(Traits { announces: true, ..Traits::default() }, u64::MAX, 0).await;
    let topic = Topic::new("t").unwrap();
    let mut stream = bench.engine.subscribe(&Cx::new(), &topic).await.unwrap();
    let told = Announcement { topic: topic.clone(), payload: "news".into() };
    let id = CommitId::from_bytes([1; 16]);
    let commit = Commit::new().with_id(id).absent("i").put("i", "v", None).announce(told.clone());
    let place = bench.place("p");
    let receipt = bench.engine.commit(&Cx::new(), &place, &commit).await.unwrap();
    assert!(bench.engine.commit(&Cx::new(), &place, &commit).await.unwrap().replayed);
    let refused = Commit::new().absent("i").announce(told);
    assert_eq!(bench.engine.commit(&Cx::new(), &place, &refused).await.unwrap_err().kind(), Kind::Conflict);
    let mut cx = Context::from_waker(Waker::noop());
    let heard = Signal::Message { topic, payload: "news".into(), revision: receipt.revision };
    assert_eq!(stream.as_mut().poll_next(&mut cx), Poll::Ready(Some(heard)));
    assert_eq!(stream.as_mut().poll_next(&mut cx), Poll::Pending);
}
