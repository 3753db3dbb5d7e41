//! What no race may bring about, and that each test would notice: every race also runs on an engine that is broken in
//! the way its guard is for, and must find the impossible there.

use std::fmt;

use async_trait::async_trait;
use serde_json::json;
use statehold_core::{
    Commit, Description, Item, Mutation, Page, Probe, Receipt, Result as CoreResult, Scan, ScanPage,
};
use tokio::task::JoinSet;

use super::*;

on_every_engine!(
    f058_nothing_revives_a_revoked_session,
    f058_revoked_against_a_thousand_validates,
    f067_of_61_requests_at_once_exactly_60_are_allowed_and_counted,
    f069_parallel_logins_never_pass_the_limit,
    f070_parallel_logins_leave_one_per_platform,
    membership_changes_wait_for_each_other_and_nothing_else_waits,
    no_session_outlives_the_revocation_it_raced,
    f059_parallel_renewals_each_add_once,
    parallel_changes_of_data_are_merged_field_by_field,
    f062_a_session_is_listed_throughout_its_renewals,
);

/// How an engine is broken.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// It forgets what a commit asked to hold.
    ForgetsChecks,
    /// It does the mutations of a commit one by one.
    HalfCommits,
    /// It replaces an item by removing it first.
    RemovesFirst,
}

/// An engine with a fault, and slow enough that races meet.
struct Broken {
    inner: Arc<dyn Engine>,
    fault: Fault,
}

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Broken({:?})", self.fault)
    }
}

async fn let_others_run() {
    tokio::time::sleep(Duration::from_micros(200)).await;
}

#[async_trait]
impl Engine for Broken {
    fn description(&self) -> &Description {
        self.inner.description()
    }

    async fn fetch(&self, cx: &Cx, wanted: &[statehold_core::Address]) -> CoreResult<Vec<Option<Item>>> {
        let found = self.inner.fetch(cx, wanted).await;
        let_others_run().await;
        found
    }

    async fn list(&self, cx: &Cx, at: &Place, ranges: &[Range]) -> CoreResult<Vec<Page>> {
        let found = self.inner.list(cx, at, ranges).await;
        let_others_run().await;
        found
    }

    async fn commit(&self, cx: &Cx, at: &Place, commit: &Commit) -> CoreResult<Receipt> {
        let checks =
            if matches!(self.fault, Fault::ForgetsChecks) { Vec::new() } else { commit.checks.clone() };
        match self.fault {
            Fault::ForgetsChecks => self.inner.commit(cx, at, &Commit { checks, ..commit.clone() }).await,
            Fault::RemovesFirst => {
                let put = commit.mutations.iter().find(|mutation| matches!(mutation, Mutation::Put { .. }));
                if let Some(put) = put {
                    let removal = Commit { checks, ..Commit::new().delete(put.item().clone()) };
                    self.inner.commit(cx, at, &removal).await?;
                    let_others_run().await;
                }
                self.inner.commit(cx, at, &Commit { checks: Vec::new(), ..commit.clone() }).await
            }
            Fault::HalfCommits => {
                let mut last = None;
                let mut outcomes = Vec::new();
                for mutation in &commit.mutations {
                    let step =
                        Commit { mutations: vec![mutation.clone()], checks: checks.clone(), ..Commit::new() };
                    let mut receipt = self.inner.commit(cx, at, &step).await?;
                    outcomes.append(&mut receipt.outcomes);
                    last = Some(receipt);
                }
                let last = last.expect("a commit of the store changes something");
                Ok(Receipt { outcomes, ..last })
            }
        }
    }

    async fn scan(&self, cx: &Cx, scan: &Scan) -> CoreResult<ScanPage> {
        self.inner.scan(cx, scan).await
    }

    async fn probe(&self, cx: &Cx) -> CoreResult<Probe> {
        self.inner.probe(cx).await
    }
}

/// What a race found: the impossible, in words, or nothing.
type Finding = Option<String>;

/// The bed's own engine never brings the impossible about; the broken one does, in at most so many rounds.
async fn never_but_when_broken(
    bed: &Bed,
    fault: Fault,
    race: impl AsyncFn(&Bed, Vec<Arc<Sessions>>, usize) -> Finding,
) {
    const ROUNDS: usize = 12;
    const ROUNDS_BROKEN: usize = 60;
    for round in 0..ROUNDS {
        let sound = bed.instances(Arc::clone(&bed.home.engine), 4);
        let found = race(bed, sound, round).await;
        assert_eq!(found, None, "round {round}");
    }
    for round in ROUNDS..ROUNDS + ROUNDS_BROKEN {
        let broken = Arc::new(Broken { inner: Arc::clone(&bed.home.engine), fault });
        if race(bed, bed.instances(broken, 4), round).await.is_some() {
            return;
        }
    }
    panic!("an engine that {fault:?} was not noticed");
}

/// Runs tasks at once, spread over instances, and waits for all of them.
async fn at_once<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    instances: &[Arc<Sessions>],
    tasks: usize,
    task: impl Fn(Arc<Sessions>, usize) -> F,
) -> Vec<T> {
    let barrier = Arc::new(tokio::sync::Barrier::new(tasks));
    let mut running = JoinSet::new();
    for n in 0..tasks {
        let work = task(Arc::clone(&instances[n % instances.len()]), n);
        let barrier = Arc::clone(&barrier);
        running.spawn(async move {
            barrier.wait().await;
            work.await
        });
    }
    running.join_all().await
}

async fn f058_nothing_revives_a_revoked_session(bed: Bed) {
    never_but_when_broken(&bed, Fault::ForgetsChecks, async |bed, instances, round| {
        let owner = format!("owner-{round}");
        let created = bed.create(&owner).await;
        // From here on a validation is due for a touch.
        bed.clock.advance(SECOND * 5);
        let token: Arc<str> = created.token.expose().as_str().into();
        let answers = at_once(&instances, 17, |sessions, n| {
            let token = Arc::clone(&token);
            async move {
                let cx = Cx::new();
                let by = By::Token(&token);
                let answer = match n {
                    8 => {
                        return sessions.revoke(&cx, by, RevokeReason::User).await.map(drop);
                    }
                    n if n % 4 == 0 => sessions.validate(&cx, &token, None, true).await.map(drop),
                    n if n % 4 == 1 => sessions.renew(&cx, &token, seconds(9)).await.map(drop),
                    n if n % 4 == 2 => sessions.record_request(&cx, &token, None, None).await.map(drop),
                    _ => sessions.update_data(&cx, by, &object(json!({"a": n})), None).await.map(drop),
                };
                match answer {
                    Ok(()) | Err(SessionError::Invalid) => Ok(()),
                    Err(other) => Err(other),
                }
            }
        })
        .await;
        if let Some(error) = answers.into_iter().find_map(Result::err) {
            return Some(format!("a loser was answered {error:?}"));
        }
        let left = bed.items(&owner).await;
        let left: Vec<_> = left.into_iter().filter(|item| item != "mark").collect();
        (!left.is_empty()).then(|| format!("left behind: {left:?}"))
    })
    .await;
}

async fn f058_revoked_against_a_thousand_validates(bed: Bed) {
    let created = bed.create("a").await;
    let token: Arc<str> = created.token.expose().as_str().into();
    let instances = bed.instances(Arc::clone(&bed.home.engine), 4);
    let revoked = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let clock = Arc::clone(&bed.clock);
    at_once(&instances, 101, |sessions, n| {
        let (token, revoked, clock) = (Arc::clone(&token), Arc::clone(&revoked), Arc::clone(&clock));
        async move {
            let cx = Cx::new();
            if n == 50 {
                assert!(sessions.revoke(&cx, By::Token(&token), RevokeReason::User).await.unwrap());
                revoked.store(true, std::sync::atomic::Ordering::SeqCst);
                return;
            }
            for _ in 0..10 {
                clock.advance(SECOND);
                let gone = revoked.load(std::sync::atomic::Ordering::SeqCst);
                let answer = sessions.validate(&cx, &token, None, true).await;
                assert!(!gone || matches!(answer, Err(SessionError::Invalid)), "{answer:?}");
            }
        }
    })
    .await;
    assert_eq!(bed.items("a").await, ["mark"]);
}

async fn f067_of_61_requests_at_once_exactly_60_are_allowed_and_counted(bed: Bed) {
    never_but_when_broken(&bed, Fault::HalfCommits, async |bed, instances, round| {
        let created = bed.create(&format!("owner-{round}")).await;
        let token: Arc<str> = created.token.expose().as_str().into();
        let answers = at_once(&instances, 61, |sessions, _| {
            let token = Arc::clone(&token);
            async move { sessions.record_request(&Cx::new(), &token, None, None).await.unwrap() }
        })
        .await;
        let allowed = answers.iter().filter(|answer| answer.allowed).count();
        let count = bed.sessions.request_count(&bed.cx, &token, seconds(60)).await.unwrap();
        let exact = RequestCount { in_window: 60, lifetime: 60 };
        (allowed != 60 || count != exact).then(|| format!("{allowed} allowed, {count:?}"))
    })
    .await;
}

async fn f069_parallel_logins_never_pass_the_limit(bed: Bed) {
    never_but_when_broken(&bed, Fault::ForgetsChecks, async |bed, instances, round| {
        let owner = format!("owner-{round}");
        let created = at_once(&instances, 50, |sessions, _| {
            let new = user(&owner);
            async move { sessions.create(&Cx::new(), &new).await }
        })
        .await;
        let evicted: usize = created.iter().flatten().map(|created| created.evicted.len()).sum();
        let made = created.iter().flatten().count();
        let live = bed.listed(&owner).await.len();
        // A login that met only losers may give up, changing nothing; it never breaks the limit.
        let lost = created.iter().all(|one| matches!(one, Ok(_) | Err(SessionError::Contention)));
        let exact = live == 5 && made - evicted == 5 && lost;
        (!exact).then(|| format!("{live} live, {made} created, {evicted} evicted"))
    })
    .await;
}

async fn f070_parallel_logins_leave_one_per_platform(bed: Bed) {
    let bed = bed.with(&users(|user| user.one_per_platform = true));
    never_but_when_broken(&bed, Fault::ForgetsChecks, async |bed, instances, round| {
        let owner = format!("owner-{round}");
        at_once(&instances, 16, |sessions, n| {
            let platform = Some(if n % 2 == 0 { Platform::Web } else { Platform::Mobile });
            let new = NewSession { platform, ..user(&owner) };
            async move { sessions.create(&Cx::new(), &new).await.map(drop) }
        })
        .await;
        let live = bed.listed(&owner).await.len();
        (live != 2).then(|| format!("{live} live on two platforms"))
    })
    .await;
}

async fn membership_changes_wait_for_each_other_and_nothing_else_waits(bed: Bed) {
    let created = bed.create("a").await;
    let token = created.token.expose();
    let turn = bed.sessions.queue.turn(&bed.place("a").partition).await.unwrap();
    let soon = SECOND * 5;
    let work = async {
        bed.validate(&created.token).await.unwrap();
        bed.sessions.renew(&bed.cx, &token, seconds(1)).await.unwrap();
        bed.sessions.update_data(&bed.cx, By::Token(&token), &object(json!({"a": 1})), None).await.unwrap();
        assert!(bed.sessions.record_request(&bed.cx, &token, None, None).await.unwrap().allowed);
        assert_eq!(bed.listed("a").await.len(), 1);
    };
    tokio::time::timeout(soon, work).await.expect("nothing of this waits for a membership change");
    let brief = Duration::from_millis(30);
    assert!(tokio::time::timeout(brief, bed.create("a")).await.is_err(), "a login waits for its turn");
    drop(turn);
    tokio::time::timeout(soon, bed.create("a")).await.expect("its turn has come");
}

async fn no_session_outlives_the_revocation_it_raced(bed: Bed) {
    never_but_when_broken(&bed, Fault::ForgetsChecks, async |bed, instances, round| {
        let owner = format!("owner-{round}");
        // Every login read the epoch before it checked the principal, and then the principal is disabled.
        let epoch = bed.sessions.epoch(&bed.cx, SessionKind::User, &id(&owner)).await.unwrap();
        let answers = at_once(&instances, 13, |sessions, n| {
            let owner = owner.clone();
            async move {
                let cx = Cx::new();
                if n == 6 {
                    let (kind, owner) = (SessionKind::User, id(&owner));
                    let why = RevokeReason::Principal;
                    return sessions.revoke_all(&cx, kind, &owner, None, why).await.map(drop);
                }
                let new = NewSession { expect_epoch: Some(epoch), ..user(&owner) };
                match sessions.create(&cx, &new).await {
                    Ok(_) | Err(SessionError::OwnerEpochChanged | SessionError::Contention) => Ok(()),
                    Err(error) => Err(error),
                }
            }
        })
        .await;
        if let Some(error) = answers.into_iter().find_map(Result::err) {
            return Some(format!("{error:?}"));
        }
        let live = bed.listed(&owner).await.len();
        (live != 0).then(|| format!("{live} sessions outlived the revocation"))
    })
    .await;
}

async fn f059_parallel_renewals_each_add_once(bed: Bed) {
    never_but_when_broken(&bed, Fault::ForgetsChecks, async |bed, instances, round| {
        let created = bed.create(&format!("owner-{round}")).await;
        let token: Arc<str> = created.token.expose().as_str().into();
        let answers = at_once(&instances, 8, |sessions, _| {
            let token = Arc::clone(&token);
            async move { sessions.renew(&Cx::new(), &token, seconds(600)).await.is_ok() }
        })
        .await;
        let renewed = answers.into_iter().filter(|renewed| *renewed).count() as u32;
        let session = bed.sessions.get(&bed.cx, By::Token(&token)).await.unwrap();
        let added = session.expires_at.since(created.session.expires_at);
        (added != SECOND * 600 * renewed).then(|| format!("{renewed} renewals added {added:?}"))
    })
    .await;
}

async fn parallel_changes_of_data_are_merged_field_by_field(bed: Bed) {
    never_but_when_broken(&bed, Fault::ForgetsChecks, async |bed, instances, round| {
        let created = bed.create(&format!("owner-{round}")).await;
        let token: Arc<str> = created.token.expose().as_str().into();
        let answers = at_once(&instances, 8, |sessions, n| {
            let token = Arc::clone(&token);
            async move {
                let patch = object(json!({ format!("field-{n}"): n }));
                sessions.update_data(&Cx::new(), By::Token(&token), &patch, None).await.is_ok()
            }
        })
        .await;
        let session = bed.sessions.get(&bed.cx, By::Token(&token)).await.unwrap();
        let kept = (0..8).filter(|n| session.data.contains_key(&format!("field-{n}"))).count();
        let changed = answers.into_iter().filter(|changed| *changed).count();
        let exact = kept == changed && session.data_version == changed as u64;
        (!exact).then(|| format!("{changed} changes left {kept} fields"))
    })
    .await;
}

async fn f062_a_session_is_listed_throughout_its_renewals(bed: Bed) {
    never_but_when_broken(&bed, Fault::RemovesFirst, async |bed, instances, round| {
        let owner = format!("owner-{round}");
        let created = bed.create(&owner).await;
        let token: Arc<str> = created.token.expose().as_str().into();
        let answers = at_once(&instances, 9, |sessions, n| {
            let (token, owner) = (Arc::clone(&token), id(&owner));
            async move {
                let cx = Cx::new();
                if n < 4 {
                    let _ = sessions.renew(&cx, &token, seconds(1)).await;
                    return true;
                }
                for _ in 0..10 {
                    if sessions.list(&cx, SessionKind::User, &owner).await.unwrap().len() != 1 {
                        return false;
                    }
                }
                true
            }
        })
        .await;
        answers.contains(&false).then(|| "a live session was not listed".to_owned())
    })
    .await;
}
