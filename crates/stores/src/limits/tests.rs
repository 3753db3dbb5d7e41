//! The limits on every engine.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use statehold_core::{Commit, Cx, Deadline, Kind, LimitPolicy, Time};
use statehold_laws::Seeded;

use super::{
    Ask, BUILTIN, ClassDefinition, Definition, LimitError, Limits, Policies, Policy, PolicyFault,
    PolicyProblem, Verdict, builtin, codec,
};
use crate::bed::Bed;
use crate::value::Id;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);

fn cx() -> Cx {
    Cx::new()
}

fn subject(name: &str) -> Id {
    Id::new(name).unwrap()
}

fn policies(own: impl IntoIterator<Item = (&'static str, Definition)>) -> Policies {
    Policies::new(own.into_iter().map(|(name, definition)| (name.into(), Some(definition))).collect())
        .unwrap()
}

async fn limits(own: impl IntoIterator<Item = (&'static str, Definition)>) -> Vec<(Bed, Arc<Limits>)> {
    let policies = policies(own);
    let with_limits = |bed: Bed| {
        let limits = Arc::new(Limits::new(bed.home.clone(), policies.clone()));
        (bed, limits)
    };
    Bed::on_every_engine(Limits::TRAITS).await.into_iter().map(with_limits).collect()
}

async fn check(limits: &Limits, policy: &str) -> Verdict {
    limits.check(&cx(), &subject("s"), Ask::one(policy)).await.unwrap()
}

/// Of `calls` at once, how many were admitted.
async fn admitted(limits: &Arc<Limits>, who: &str, ask: Ask<'static>, calls: usize) -> usize {
    let tasks: Vec<_> = (0..calls)
        .map(|_| {
            let (limits, who) = (Arc::clone(limits), subject(who));
            tokio::spawn(async move { limits.check(&cx(), &who, ask).await.unwrap().allowed })
        })
        .collect();
    let mut admitted = 0;
    for task in tasks {
        admitted += usize::from(task.await.unwrap());
    }
    admitted
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f139_of_61_calls_at_once_60_are_allowed() {
    for (bed, limits) in limits([]).await {
        assert_eq!(admitted(&limits, "s", Ask::one("session"), 61).await, 60, "{}", bed.name);
        assert_eq!(admitted(&limits, "another", Ask::one("session"), 61).await, 60, "subjects do not share");
        let denied = check(&limits, "session").await;
        assert_eq!((denied.allowed, denied.limit, denied.remaining), (false, 60, 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f140_a_class_has_its_own_limit_and_its_own_count() {
    for (bed, limits) in limits([]).await {
        assert_eq!(admitted(&limits, "s", Ask::one("session"), 61).await, 60);
        let sync = Ask::one("session").of_class("sync");
        assert_eq!(admitted(&limits, "s", sync, 601).await, 600, "{}", bed.name);
        let unknown = Ask::one("session").of_class("other");
        let error = limits.check(&cx(), &subject("s"), unknown).await;
        assert!(matches!(error, Err(LimitError::PolicyNotFound)));
    }
}

#[tokio::test]
async fn f139_a_denied_call_changes_nothing_and_a_check_is_one_commit() {
    for (bed, limits) in limits([("p", Definition::sliding(1, MINUTE))]).await {
        check(&limits, "p").await;
        let first = limits.peek(&cx(), &subject("s"), "p", None).await.unwrap();
        bed.advance(SECOND);
        bed.seat.calls();
        let denied = check(&limits, "p").await;
        assert_eq!(bed.seat.calls(), (0, 1));
        assert_eq!(denied.retry_after, Some(Duration::from_secs(59)));
        let after = limits.peek(&cx(), &subject("s"), "p", None).await.unwrap();
        assert_eq!((after.remaining, after.reset_at), (first.remaining, first.reset_at), "{}", bed.name);
    }
}

/// The three algorithms written a second time, as plainly as possible.
enum Model {
    Sliding { limit: u64, window: u64, admitted: Vec<(u64, u64)> },
    Bucket { interval_ns: u128, burst: u128, arrival_ns: u128 },
    Fixed { limit: u64, window: u64, used: BTreeMap<u64, u64> },
}

impl Model {
    fn of(rule: LimitPolicy) -> Self {
        match rule {
            LimitPolicy::Sliding { limit, window } => {
                Self::Sliding { limit: limit.into(), window: window.as_micros() as u64, admitted: Vec::new() }
            }
            LimitPolicy::TokenBucket { interval, burst } => {
                Self::Bucket { interval_ns: interval.as_nanos(), burst: burst.into(), arrival_ns: 0 }
            }
            LimitPolicy::Fixed { limit, window } => {
                Self::Fixed { limit: limit.into(), window: window.as_micros() as u64, used: BTreeMap::new() }
            }
        }
    }

    /// Whether a call is admitted, and what is left after it.
    fn call(&mut self, now: u64, cost: u64) -> (bool, u64) {
        match self {
            Self::Sliding { limit, window, admitted } => {
                let used: u64 = admitted.iter().filter(|(at, _)| at + *window > now).map(|(_, n)| n).sum();
                if used + cost > *limit {
                    return (false, limit.saturating_sub(used));
                }
                admitted.push((now, cost));
                (true, *limit - used - cost)
            }
            Self::Bucket { interval_ns, burst, arrival_ns } => {
                let now_ns = u128::from(now) * 1_000;
                let arrival = (*arrival_ns).max(now_ns);
                let next = arrival + u128::from(cost) * *interval_ns;
                let admitted = next <= now_ns + *burst * *interval_ns;
                if admitted {
                    *arrival_ns = next;
                }
                let present = (*arrival_ns).max(now_ns);
                (admitted, ((now_ns + *burst * *interval_ns - present) / *interval_ns) as u64)
            }
            Self::Fixed { limit, window, used } => {
                let used = used.entry(now / *window).or_default();
                let admitted = *used + cost <= *limit;
                if admitted {
                    *used += cost;
                }
                (admitted, *limit - *used)
            }
        }
    }
}

async fn schedule(bed: &Bed, limits: &Limits, policy: &str, random: &mut Seeded) {
    let rule = limits.rule(policy, None).unwrap();
    let mut model = Model::of(rule);
    let who = subject(&format!("{policy}-{}", random.seed()));
    for step in 0..300 {
        match random.below(4) {
            0 => {}
            1 => bed.advance(Duration::from_micros(random.below(1_000))),
            2 => bed.advance(Duration::from_millis(random.below(300))),
            _ => bed.advance(Duration::from_millis(random.below(1_500))),
        }
        let cost = random.below(3) as u32 + 1;
        let ask = Ask::one(policy).costing(cost);
        let verdict = limits.check(&cx(), &who, ask).await.unwrap();
        let expected = model.call(bed.now().micros(), cost.into());
        let context = || format!("{} {policy} seed {} step {step}", bed.name, random.seed());
        assert_eq!((verdict.allowed, verdict.remaining), expected, "{}", context());
        assert_eq!(verdict.retry_after.is_none(), verdict.allowed, "{}", context());
    }
}

fn three_algorithms() -> [(&'static str, Definition); 3] {
    [
        ("sliding", Definition::sliding(7, 2 * SECOND)),
        ("bucket", Definition::token_bucket(3.0, 7)),
        ("fixed", Definition::fixed(7, 2 * SECOND)),
    ]
}

#[tokio::test]
async fn f144_a_token_bucket_equals_an_integer_model_on_random_schedules() {
    for (bed, limits) in limits(three_algorithms()).await {
        for _ in 0..4 {
            schedule(&bed, &limits, "bucket", &mut Seeded::fresh()).await;
        }
    }
}

#[tokio::test]
async fn f145_a_fixed_window_equals_its_model_and_resets_at_the_boundary_only() {
    for (bed, limits) in limits(three_algorithms()).await {
        for _ in 0..4 {
            schedule(&bed, &limits, "fixed", &mut Seeded::fresh()).await;
        }
        let window_us = (2 * SECOND).as_micros() as u64;
        let boundary = Time::from_micros((bed.now().micros() / window_us + 1) * window_us);
        bed.advance(boundary.since(bed.now()));
        let who = subject("boundary");
        let ask = Ask::one("fixed");
        for left in (0..7).rev() {
            let verdict = limits.check(&cx(), &who, ask).await.unwrap();
            assert_eq!((verdict.allowed, verdict.remaining), (true, left));
        }
        bed.advance(Duration::from_micros(window_us - 1));
        assert!(!limits.check(&cx(), &who, ask).await.unwrap().allowed, "{}", bed.name);
        bed.advance(Duration::from_micros(1));
        assert!(limits.check(&cx(), &who, ask).await.unwrap().allowed);
    }
}

#[tokio::test]
async fn f139_a_sliding_window_equals_its_model_on_random_schedules() {
    for (bed, limits) in limits(three_algorithms()).await {
        for _ in 0..4 {
            schedule(&bed, &limits, "sliding", &mut Seeded::fresh()).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f146_instances_on_one_engine_admit_exactly_the_limit_together() {
    for (bed, first) in limits([("p", Definition::fixed(500, 31 * 24 * 60 * MINUTE))]).await {
        let second = Arc::new(Limits::new(bed.home.clone(), first.policies()));
        let (one, two) = tokio::join!(
            admitted(&first, "s", Ask::one("p"), 400),
            admitted(&second, "s", Ask::one("p"), 400)
        );
        assert_eq!(one + two, 500, "{}", bed.name);
    }
}

#[tokio::test]
async fn f147_a_call_at_the_stated_time_succeeds_and_not_before() {
    for (bed, limits) in limits(three_algorithms()).await {
        for policy in ["sliding", "bucket", "fixed"] {
            let who = subject(policy);
            let ask = Ask::one(policy).costing(3);
            for _ in 0..2 {
                assert!(limits.check(&cx(), &who, ask).await.unwrap().allowed);
                bed.advance(Duration::from_micros(1_234));
            }
            // Six of seven are taken, and a boundary of a fixed window may have passed: ask until it denies.
            let mut verdict = limits.check(&cx(), &who, ask).await.unwrap();
            while verdict.allowed {
                verdict = limits.check(&cx(), &who, ask).await.unwrap();
            }
            // A bucket's wait is in nanoseconds, the clock turns in microseconds.
            let wait = Duration::from_micros(verdict.retry_after.unwrap().as_nanos().div_ceil(1_000) as u64);
            assert!(wait >= Duration::from_millis(1));
            bed.advance(wait.saturating_sub(Duration::from_micros(2)));
            let early = limits.check(&cx(), &who, ask).await.unwrap();
            assert!(!early.allowed, "{} {policy} {wait:?}", bed.name);
            bed.advance(Duration::from_micros(2));
            assert!(limits.check(&cx(), &who, ask).await.unwrap().allowed, "{} {policy} {wait:?}", bed.name);
        }
    }
}

#[tokio::test]
async fn f147_peek_tells_what_is_left_and_takes_nothing() {
    for (bed, limits) in limits(three_algorithms()).await {
        for policy in ["sliding", "bucket", "fixed"] {
            let who = subject(policy);
            let fresh = limits.peek(&cx(), &who, policy, None).await.unwrap();
            assert_eq!((fresh.allowed, fresh.remaining, fresh.reset_at), (true, 7, bed.now()));
            let taken = limits.check(&cx(), &who, Ask::one(policy).costing(3)).await.unwrap();
            for _ in 0..3 {
                let left = limits.peek(&cx(), &who, policy, None).await.unwrap();
                assert_eq!((left.allowed, left.remaining, left.retry_after), (true, 4, None), "{}", bed.name);
                assert_eq!(left.reset_at, Deadline::at(taken.reset_at).time().min(left.reset_at));
                assert!(left.reset_at > bed.now());
            }
            limits.check(&cx(), &who, Ask::one(policy).costing(4)).await.unwrap();
            let none = limits.peek(&cx(), &who, policy, None).await.unwrap();
            assert_eq!((none.allowed, none.remaining), (false, 0));
            assert!(none.retry_after.is_some());
        }
        let unknown = limits.peek(&cx(), &subject("s"), "unknown", None).await;
        assert!(matches!(unknown, Err(LimitError::PolicyNotFound)));
    }
}

#[tokio::test]
async fn a_cost_outside_1_to_the_limit_is_refused_before_the_engine() {
    for (bed, limits) in limits(three_algorithms()).await {
        bed.seat.calls();
        for policy in ["sliding", "bucket", "fixed"] {
            for cost in [0, 8, u32::MAX] {
                let error = limits.check(&cx(), &subject("s"), Ask::one(policy).costing(cost)).await;
                assert!(matches!(error, Err(LimitError::CostOutOfRange { limit: 7 })), "{policy} {cost}");
            }
        }
        let unknown = limits.check(&cx(), &subject("s"), Ask::one("unknown")).await;
        assert!(matches!(unknown, Err(LimitError::PolicyNotFound)));
        assert_eq!(bed.seat.calls(), (0, 0), "{}", bed.name);
    }
}

#[tokio::test]
async fn a_denial_takes_from_none_of_several_policies() {
    let own = [
        ("wide", Definition::sliding(10, MINUTE)),
        ("bucket", Definition::token_bucket(1.0, 10)),
        ("narrow", Definition::fixed(2, 31 * 24 * 60 * MINUTE)),
    ];
    for (bed, limits) in limits(own).await {
        let who = subject("s");
        let asks = [Ask::one("wide"), Ask::one("bucket").costing(2), Ask::one("narrow")];
        bed.seat.calls();
        for left in [1, 0] {
            let verdicts = limits.check_all(&cx(), &who, &asks).await.unwrap();
            assert!(verdicts.allowed && verdicts.retry_after().is_none());
            assert_eq!(verdicts.each[2].remaining, left);
        }
        assert_eq!(bed.seat.calls(), (0, 2));
        let denied = limits.check_all(&cx(), &who, &asks).await.unwrap();
        assert!(!denied.allowed);
        let left: Vec<_> = denied.each.iter().map(|verdict| (verdict.allowed, verdict.remaining)).collect();
        assert_eq!(left, [(true, 8), (true, 6), (false, 0)], "{}", bed.name);
        assert!(denied.retry_after().is_some());
        for (policy, left) in [("wide", 8), ("bucket", 6), ("narrow", 0)] {
            assert_eq!(limits.peek(&cx(), &who, policy, None).await.unwrap().remaining, left, "{policy}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_policies_at_once_are_exact_under_a_race() {
    let own = [("a", Definition::sliding(100, MINUTE)), ("b", Definition::sliding(30, MINUTE))];
    for (bed, limits) in limits(own).await {
        let tasks: Vec<_> = (0..80)
            .map(|_| {
                let limits = Arc::clone(&limits);
                let asks = [Ask::one("a"), Ask::one("b")];
                tokio::spawn(
                    async move { limits.check_all(&cx(), &subject("s"), &asks).await.unwrap().allowed },
                )
            })
            .collect();
        let mut allowed = 0;
        for task in tasks {
            allowed += u64::from(task.await.unwrap());
        }
        assert_eq!(allowed, 30);
        assert_eq!(limits.peek(&cx(), &subject("s"), "a", None).await.unwrap().remaining, 70, "{}", bed.name);
    }
}

#[tokio::test]
async fn several_policies_are_1_to_8_different_ones() {
    for (_, limits) in limits([]).await {
        let who = subject("s");
        let none = limits.check_all(&cx(), &who, &[]).await;
        assert!(matches!(none, Err(LimitError::PoliciesOutOfRange)));
        let many = limits.check_all(&cx(), &who, &[Ask::one("api"); 9]).await;
        assert!(matches!(many, Err(LimitError::PoliciesOutOfRange)));
        let twice = limits.check_all(&cx(), &who, &[Ask::one("api"), Ask::one("api")]).await;
        assert!(matches!(twice, Err(LimitError::PolicyTwice)));
        let classes = [Ask::one("api"), Ask::one("api").of_class("bulk")];
        assert!(limits.check_all(&cx(), &who, &classes).await.unwrap().allowed);
        let unknown = limits.check_all(&cx(), &who, &[Ask::one("api"), Ask::one("unknown")]).await;
        assert!(matches!(unknown, Err(LimitError::PolicyNotFound)));
        assert_eq!(limits.peek(&cx(), &who, "api", None).await.unwrap().remaining, 99);
    }
}

#[tokio::test]
async fn reset_forgets_a_policy_with_its_classes_and_nothing_else() {
    for (bed, limits) in limits([]).await {
        let who = subject("s");
        assert!(!limits.reset(&cx(), &who, "api").await.unwrap());
        let classed = Ask::one("api").of_class("bulk");
        for ask in [Ask::one("api"), classed, Ask::one("endpoint")] {
            limits.check(&cx(), &who, ask).await.unwrap();
        }
        limits.check(&cx(), &subject("t"), Ask::one("api")).await.unwrap();
        bed.seat.calls();
        assert!(limits.reset(&cx(), &who, "api").await.unwrap());
        assert_eq!(bed.seat.calls(), (0, 1));
        assert!(!limits.reset(&cx(), &who, "api").await.unwrap());
        let left = |who: &'static str, policy: &'static str, class: Option<&'static str>| {
            let limits = &limits;
            async move { limits.peek(&cx(), &subject(who), policy, class).await.unwrap().remaining }
        };
        assert_eq!(left("s", "api", None).await, 100, "{}", bed.name);
        assert_eq!(left("s", "api", Some("bulk")).await, 1_000);
        assert_eq!(left("s", "endpoint", None).await, 99);
        assert_eq!(left("t", "api", None).await, 99);
        assert!(matches!(limits.reset(&cx(), &who, "unknown").await, Err(LimitError::PolicyNotFound)));
    }
}

#[tokio::test]
async fn f148_a_closed_policy_fails_and_an_open_one_passes_degraded_up_to_its_guard() {
    let guarded = Definition { local_guard: Some(3), ..Definition::sliding(2, MINUTE).open() };
    for (bed, limits) in limits([("guarded", guarded)]).await {
        for kind in [Kind::Unavailable, Kind::Deadline, Kind::Refused, Kind::Overloaded, Kind::Moved] {
            bed.seat.fail(Some(kind));
            let login = limits.check(&cx(), &subject("s"), Ask::one("login")).await;
            assert!(matches!(login, Err(LimitError::Unavailable(_))), "{kind:?}");
            let api = limits.check(&cx(), &subject("s"), Ask::one("api")).await.unwrap();
            assert!(api.allowed && api.degraded, "{kind:?}");
        }
        let mut allowed = 0;
        for call in 0..5 {
            let who = subject(&call.to_string());
            let verdict = limits.check(&cx(), &who, Ask::one("guarded")).await.unwrap();
            assert!(verdict.degraded && verdict.limit == 2 && verdict.remaining <= 2);
            assert_eq!(verdict.retry_after.is_none(), verdict.allowed);
            allowed += u32::from(verdict.allowed);
        }
        assert_eq!(allowed, 3, "the guard is this process's, whoever calls");
        bed.advance(MINUTE);
        assert!(check(&limits, "guarded").await.allowed, "{}", bed.name);

        bed.seat.fail(None);
        let back = check(&limits, "guarded").await;
        assert!(back.allowed && !back.degraded && back.remaining == 1);
    }
}

#[tokio::test]
async fn f148_the_default_guard_is_ten_times_the_limit() {
    for (bed, limits) in limits([("p", Definition::sliding(2, MINUTE).open())]).await {
        bed.seat.fail(Some(Kind::Unavailable));
        for call in 0..25 {
            assert_eq!(check(&limits, "p").await.allowed, call < 20, "{} {call}", bed.name);
        }
    }
}

#[tokio::test]
async fn f148_several_policies_are_closed_if_one_is_and_guards_are_taken_together() {
    let open = |guard| Definition { local_guard: Some(guard), ..Definition::sliding(5, MINUTE).open() };
    for (bed, limits) in limits([("a", open(5)), ("b", open(2))]).await {
        bed.seat.fail(Some(Kind::Unavailable));
        let who = subject("s");
        let closed = limits.check_all(&cx(), &who, &[Ask::one("a"), Ask::one("login")]).await;
        assert!(matches!(closed, Err(LimitError::Unavailable(_))));
        let both = [Ask::one("a"), Ask::one("b")];
        for call in 0..5 {
            let verdicts = limits.check_all(&cx(), &who, &both).await.unwrap();
            assert_eq!(verdicts.allowed, call < 2, "{} {call}", bed.name);
            assert!(verdicts.each.iter().all(|verdict| verdict.degraded));
        }
        let left = limits.check(&cx(), &who, Ask::one("a")).await.unwrap().remaining;
        assert_eq!(left, 2, "denied calls took nothing from the other guard");
        let peek = limits.peek(&cx(), &who, "a", None).await;
        assert!(matches!(peek, Err(LimitError::Engine(_))));
        assert!(matches!(limits.reset(&cx(), &who, "a").await, Err(LimitError::Engine(_))));
    }
}

#[tokio::test]
async fn a_corrupt_state_is_an_error_even_where_the_policy_is_open() {
    for (bed, limits) in limits([]).await {
        let place = bed.home.place(codec::partition(&subject("s"))).unwrap();
        let deadline = Some(Deadline::after(bed.now(), MINUTE));
        let other = Commit::new().put(codec::item("api", None), "not a limit", deadline);
        bed.seat.race(place, other, false);
        let error = limits.check(&cx(), &subject("s"), Ask::one("api")).await.unwrap_err();
        assert!(matches!(error, LimitError::Engine(e) if e.kind() == Kind::Corrupt), "{}", bed.name);
        let error = limits.peek(&cx(), &subject("s"), "api", None).await.unwrap_err();
        assert!(matches!(error, LimitError::Engine(e) if e.kind() == Kind::Corrupt));
        assert!(limits.reset(&cx(), &subject("s"), "api").await.unwrap());
        assert!(check(&limits, "api").await.allowed);
    }
}

#[tokio::test]
async fn a_shadow_decides_and_never_denies_nor_holds_others_back() {
    let own = [
        ("shadow", Definition::sliding(1, MINUTE).shadowed()),
        ("dark", Definition::sliding(1, MINUTE).shadowed()),
        ("real", Definition::sliding(3, MINUTE)),
    ];
    for (bed, limits) in limits(own).await {
        for _ in 0..3 {
            let verdict = check(&limits, "shadow").await;
            assert!(verdict.allowed && verdict.retry_after.is_none());
        }
        let who = subject("t");
        let asks = [Ask::one("shadow"), Ask::one("dark"), Ask::one("real")];
        for call in 0..4 {
            let verdicts = limits.check_all(&cx(), &who, &asks).await.unwrap();
            assert_eq!(verdicts.allowed, call < 3, "{} {call}", bed.name);
            assert!(verdicts.each[0].allowed && verdicts.each[1].allowed);
        }
        bed.seat.fail(Some(Kind::Unavailable));
        let verdict = check(&limits, "shadow").await;
        assert!(verdict.allowed && verdict.degraded, "a closed shadow does not deny either");
    }
}

#[tokio::test]
async fn a_reload_puts_other_policies_in_force_and_keeps_what_was_taken() {
    for (bed, limits) in limits([("p", Definition::sliding(2, MINUTE))]).await {
        check(&limits, "p").await;
        check(&limits, "p").await;
        assert!(!check(&limits, "p").await.allowed);
        limits.reload(policies([("p", Definition::sliding(3, MINUTE))]));
        assert!(check(&limits, "p").await.allowed);
        assert!(!check(&limits, "p").await.allowed, "{}", bed.name);
        limits.reload(policies([]));
        let gone = limits.check(&cx(), &subject("s"), Ask::one("p")).await;
        assert!(matches!(gone, Err(LimitError::PolicyNotFound)));
    }
}

#[tokio::test]
async fn f031_subjects_and_policies_with_separators_do_not_share() {
    let one = || Definition::sliding(1, MINUTE).with_class("b", 1);
    for (bed, limits) in limits([("a", one()), ("a:b", one()), ("a/b", one())]).await {
        let asks = [Ask::one("a"), Ask::one("a").of_class("b"), Ask::one("a:b"), Ask::one("a/b")];
        for who in ["s", "s:a", "s:s", ":s", "{s}", "s/a"] {
            for ask in asks {
                let verdict = limits.check(&cx(), &subject(who), ask).await.unwrap();
                assert!(verdict.allowed, "{} {who} {ask:?}", bed.name);
            }
        }
    }
}

#[test]
fn built_in_policies_are_those_of_the_specification() {
    let policies = Policies::default();
    let rule = |name: &str, class| policies.get(name).unwrap().rule(class);
    let sliding = |limit, window| Some(LimitPolicy::Sliding { limit, window });
    assert_eq!(rule("session", None), sliding(60, MINUTE));
    assert_eq!(rule("session", Some("sync")), sliding(600, MINUTE));
    assert_eq!(rule("login", None), sliding(5, MINUTE));
    assert_eq!(rule("login_ip", None), sliding(300, MINUTE));
    assert_eq!(rule("api", None), sliding(100, MINUTE));
    assert_eq!(rule("api", Some("bulk")), sliding(1_000, MINUTE));
    assert_eq!(rule("endpoint", None), sliding(100, MINUTE));
    assert_eq!(rule("reset", None), sliding(3, 60 * MINUTE));
    let open: Vec<_> = policies
        .iter()
        .filter(|p| p.on_unavailable() == super::OnUnavailable::Open)
        .map(Policy::name)
        .collect();
    assert_eq!(open.iter().map(|name| &***name).collect::<Vec<_>>(), ["api", "endpoint"]);
    assert_eq!(policies.iter().len(), BUILTIN.len());
}

#[test]
fn built_in_policies_may_be_redefined_in_part_and_three_may_not_go() {
    let limit = |limit| Definition { limit: Some(limit), ..Definition::default() };
    let redefined = policies([("api", limit(7))]);
    let api = redefined.get("api").unwrap();
    assert_eq!(api.rule(None), Some(LimitPolicy::Sliding { limit: 7, window: MINUTE }));
    assert_eq!(api.rule(Some("bulk")), Some(LimitPolicy::Sliding { limit: 1_000, window: MINUTE }));
    assert_eq!(api.on_unavailable(), super::OnUnavailable::Open);
    let bucket = policies([("api", Definition::token_bucket(2.0, 5))]);
    assert_eq!(bucket.get("api").unwrap().classes().len(), 0, "classes of limits are not a bucket's");

    assert!(Policies::new([("api".into(), None)].into()).unwrap().get("api").is_none());
    for name in ["session", "login", "reset"] {
        let faults = Policies::new([(name.into(), None)].into()).unwrap_err();
        assert_eq!(faults[0].problem, PolicyProblem::Indispensable);
        assert!(faults[0].to_string().contains(name), "{}", faults[0]);
        assert!(builtin(name).is_some());
    }
}

fn faults(definition: &Definition) -> Vec<(&'static str, PolicyProblem)> {
    let of = |fault: &PolicyFault| (fault.field, fault.problem);
    Policy::new("p", definition).err().map_or_else(Vec::new, |faults| faults.iter().map(of).collect())
}

#[test]
fn policies_keep_their_bounds() {
    let day = 24 * 60 * MINUTE;
    let legal = [
        Definition::sliding(1, SECOND),
        Definition::sliding(1_000, day),
        Definition::fixed(1_000_000_000, 31 * day),
        Definition::fixed(1, Duration::from_millis(1)),
        Definition::token_bucket(0.001, 1),
        Definition::token_bucket(1e9, 1_000_000),
        Definition { algorithm: Some(super::Algorithm::TokenBucket), ..Definition::default() },
    ];
    for definition in &legal {
        assert_eq!(faults(definition), [], "{definition:?}");
    }
    let illegal = [
        (Definition::sliding(0, SECOND), "limit"),
        (Definition::sliding(1_001, SECOND), "limit"),
        (Definition::sliding(1, Duration::from_millis(999)), "window"),
        (Definition::sliding(1, day + SECOND), "window"),
        (Definition::sliding(1, SECOND + Duration::from_micros(1)), "window"),
        (Definition::fixed(1_000_000_001, SECOND), "limit"),
        (Definition::fixed(1, 31 * day + SECOND), "window"),
        (Definition::fixed(1, Duration::ZERO), "window"),
        (Definition::token_bucket(0.0, 1), "rate"),
        (Definition::token_bucket(-1.0, 1), "rate"),
        (Definition::token_bucket(f64::NAN, 1), "rate"),
        (Definition::token_bucket(f64::INFINITY, 1), "rate"),
        (Definition::token_bucket(1e-300, 1), "rate"),
        (Definition::token_bucket(1e-6, 1_000_000), "rate"),
        (Definition::token_bucket(1.0, 0), "burst"),
        (Definition::token_bucket(1.0, 1_000_001), "burst"),
        (Definition { local_guard: Some(0), ..Definition::sliding(1, SECOND) }, "local_guard"),
        (Definition::sliding(1, SECOND).with_class("c", 1_001), "limit"),
        (Definition::sliding(1, SECOND).with_class("", 1), "class"),
    ];
    for (definition, field) in &illegal {
        let found = faults(definition);
        let in_range =
            |(f, p): &(&str, PolicyProblem)| f == field && matches!(p, PolicyProblem::OutOfRange { .. });
        assert!(found.iter().any(in_range), "{definition:?}: {found:?}");
    }
    assert_eq!(
        faults(&Definition::default()),
        [("limit", PolicyProblem::Missing), ("window", PolicyProblem::Missing)]
    );
    let mixed = Definition { rate: Some(1.0), ..Definition::sliding(1, SECOND) };
    assert_eq!(faults(&mixed), [("rate", PolicyProblem::NotOfThisAlgorithm)]);
    let mixed = Definition { limit: Some(1), ..Definition::token_bucket(1.0, 1) };
    assert_eq!(faults(&mixed), [("limit", PolicyProblem::NotOfThisAlgorithm)]);
    for name in ["", &"x".repeat(65), "a\n"] {
        assert!(Policy::new(name, &legal[0]).is_err());
    }
    let mut crowded = legal[0].clone();
    crowded.classes = (0..17).map(|n| (n.to_string().into(), ClassDefinition::default())).collect();
    assert_eq!(faults(&crowded).first().map(|(field, _)| *field), Some("classes"));
}
