//! The rules of sessions as pure functions: no clock, no I/O.

use std::time::Duration;

use statehold_core::{Deadline, Time};

use super::model::{Platform, SessionId, SessionKind, SessionState};

/// Most sessions of one owner where a kind sets no limit of its own.
pub const CONCURRENT_MAX: u32 = 10_000;
/// A session not used for this long is idle.
pub const IDLE_AFTER: Duration = Duration::from_mins(5);
/// A session with less than this left is expiring.
pub const EXPIRING_BELOW: Duration = Duration::from_mins(2);
/// An owner's head item outlives the last membership change by at least this.
pub const MARK_KEPT_MIN: Duration = Duration::from_hours(48);

/// What happens to one more session than a kind allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The oldest sessions end for it.
    EvictOldest,
    /// It is refused.
    Refuse,
}

/// The rules of one kind of session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KindPolicy {
    /// How long a session lives unless renewed: 1 s up to the longest life.
    pub ttl: Duration,
    /// How long a session lives without being used: at least 60 s, or none for no such bound.
    pub idle: Option<Duration>,
    /// The longest life from creation: 60 s..30 d.
    pub lifetime_max: Duration,
    /// Most live sessions of one owner: 1..1000, or 0 for no limit up to [`CONCURRENT_MAX`].
    pub concurrent_max: u32,
    /// What happens over that.
    pub over: Over,
    /// A new session ends the live one of the same platform.
    pub one_per_platform: bool,
    /// The last use is noted at most once in this time: 0..60 s.
    pub touch_granularity: Duration,
    /// How long before the deadline an expiry is announced; zero for never.
    pub expiring_notice: Duration,
}

impl KindPolicy {
    /// The rules of a kind unless configured otherwise.
    pub const fn default_of(kind: SessionKind) -> Self {
        let base = Self {
            ttl: Duration::from_hours(1),
            idle: None,
            lifetime_max: Duration::from_hours(24),
            concurrent_max: 5,
            over: Over::EvictOldest,
            one_per_platform: false,
            touch_granularity: Duration::from_secs(5),
            expiring_notice: Duration::from_mins(2),
        };
        match kind {
            SessionKind::User => Self { idle: Some(Duration::from_mins(30)), ..base },
            SessionKind::Node => base,
            SessionKind::Service => Self { concurrent_max: 100, expiring_notice: Duration::ZERO, ..base },
        }
    }

    /// The name of the first setting that is out of bounds, with what is legal.
    pub fn fault(&self) -> Option<(&'static str, &'static str)> {
        let within = |value: Duration, min: Duration, max: Duration| (min..=max).contains(&value);
        let (second, minute) = (Duration::from_secs(1), Duration::from_mins(1));
        let days_30 = Duration::from_hours(30 * 24);
        if !within(self.lifetime_max, minute, days_30) {
            Some(("max_lifetime", "60 s to 30 d"))
        } else if !within(self.ttl, second, self.lifetime_max) {
            Some(("ttl", "1 s up to max_lifetime"))
        } else if self.idle.is_some_and(|idle| !within(idle, minute, Duration::from_hours(3_650 * 24))) {
            Some(("idle_ttl", "at least 60 s, or none"))
        } else if self.concurrent_max > 1_000 {
            Some(("max_concurrent", "1 to 1000, or 0 for no limit up to 10000"))
        } else if self.touch_granularity > minute {
            Some(("touch_granularity", "0 to 60 s"))
        } else if self.expiring_notice > self.lifetime_max {
            Some(("expiring_notice", "0 up to max_lifetime"))
        } else {
            None
        }
    }

    /// Most live sessions of one owner, as a number.
    pub const fn most(&self) -> usize {
        if self.concurrent_max == 0 { CONCURRENT_MAX as usize } else { self.concurrent_max as usize }
    }

    /// The lifetime of a new session, or none when the one asked for is outside the policy.
    pub fn lifetime(&self, asked: Option<Duration>) -> Option<Duration> {
        let ttl = asked.unwrap_or(self.ttl);
        (Duration::from_secs(1)..=self.lifetime_max).contains(&ttl).then_some(ttl)
    }

    /// The instant from which a session is absent: the earliest of its absolute end, its last use plus the idle
    /// time, and its creation plus the longest life.
    pub fn deadline(&self, created_at: Time, expires_at: Time, last_accessed_at: Time) -> Deadline {
        let bound = expires_at.min(created_at.plus(self.lifetime_max));
        Deadline::at(self.idle.map_or(bound, |idle| bound.min(last_accessed_at.plus(idle))))
    }

    /// The end of a renewed session: `max(expires_at, now) + additional`, at most creation plus the longest life;
    /// none when it is there already.
    pub fn renewed(
        &self,
        created_at: Time,
        expires_at: Time,
        now: Time,
        additional: Duration,
    ) -> Option<Time> {
        let bound = created_at.plus(self.lifetime_max);
        (expires_at < bound).then(|| expires_at.max(now).plus(additional).min(bound))
    }

    /// Whether a use at `now` is to be noted.
    pub fn touch_due(&self, last_accessed_at: Time, now: Time) -> bool {
        now > last_accessed_at && now.since(last_accessed_at) >= self.touch_granularity
    }

    /// Who must leave for one more session on `platform`, of the owner's live ones.
    pub fn admit(&self, live: &[Member], platform: Option<Platform>) -> Admission {
        let replaced =
            |member: &&Member| self.one_per_platform && platform.is_some() && member.platform == platform;
        let mut ended: Vec<Ended> = live
            .iter()
            .filter(replaced)
            .map(|member| Ended { member: *member, why: EndedWhy::Platform })
            .collect();
        let mut kept: Vec<&Member> = live.iter().filter(|member| !replaced(member)).collect();
        let surplus = (kept.len() + 1).saturating_sub(self.most());
        if surplus > 0 {
            if self.over == Over::Refuse {
                return Admission::Refused;
            }
            kept.sort_unstable_by_key(|member| (member.created_at, member.id));
            let oldest = kept.iter().take(surplus);
            ended.extend(oldest.map(|member| Ended { member: **member, why: EndedWhy::Evicted }));
        }
        ended.sort_unstable_by_key(|ended| (ended.member.created_at, ended.member.id));
        Admission::Admitted(ended)
    }

    /// How long an owner's head item outlives a membership change.
    pub fn mark_kept(&self) -> Duration {
        self.lifetime_max.max(MARK_KEPT_MIN)
    }
}

/// One live session of an owner, as far as admission looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The session.
    pub id: SessionId,
    /// When it was created.
    pub created_at: Time,
    /// What its client runs on.
    pub platform: Option<Platform>,
}

/// A session that ends so that another can begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The session.
    pub member: Member,
    /// Why.
    pub why: EndedWhy,
}

/// Why a session ends so that another can begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedWhy {
    /// The owner had as many as allowed.
    Evicted,
    /// The new one is on the same platform.
    Platform,
}

/// Whether one more session may begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may, when these end; oldest first.
    Admitted(Vec<Ended>),
    /// It may not.
    Refused,
}

/// The rules of every kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policies {
    /// Of people.
    pub user: KindPolicy,
    /// Of nodes.
    pub node: KindPolicy,
    /// Of services.
    pub service: KindPolicy,
}

impl Policies {
    /// The rules of one kind.
    pub const fn of(&self, kind: SessionKind) -> &KindPolicy {
        match kind {
            SessionKind::User => &self.user,
            SessionKind::Node => &self.node,
            SessionKind::Service => &self.service,
        }
    }
}

impl Default for Policies {
    fn default() -> Self {
        Self {
            user: KindPolicy::default_of(SessionKind::User),
            node: KindPolicy::default_of(SessionKind::Node),
            service: KindPolicy::default_of(SessionKind::Service),
        }
    }
}

/// What a live session looks like: `expiring` before `idle` before `active`.
pub fn state(last_accessed_at: Time, deadline: Deadline, now: Time) -> SessionState {
    if deadline.left(now) < EXPIRING_BELOW {
        SessionState::Expiring
    } else if now.since(last_accessed_at) >= IDLE_AFTER {
        SessionState::Idle
    } else {
        SessionState::Active
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Case = (&'static str, fn(&mut KindPolicy, Duration), Duration, Duration);

    const HOUR: Duration = Duration::from_hours(1);
    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: u64) -> Time {
        Time::from_millis(seconds * 1_000)
    }

    fn user() -> KindPolicy {
        KindPolicy::default_of(SessionKind::User)
    }

    fn member(n: u8, created: u64, platform: Option<Platform>) -> Member {
        Member { id: SessionId::from_bytes([n; 16]), created_at: at(created), platform }
    }

    #[test]
    fn the_defaults_are_the_table() {
        let table = Policies::default();
        for kind in SessionKind::ALL {
            let policy = table.of(*kind);
            assert_eq!(policy.fault(), None);
            assert_eq!((policy.ttl, policy.lifetime_max), (HOUR, HOUR * 24));
            assert_eq!(policy.touch_granularity, SECOND * 5);
            assert_eq!((policy.over, policy.one_per_platform), (Over::EvictOldest, false));
        }
        assert_eq!(table.user.idle, Some(SECOND * 1_800));
        assert_eq!((table.node.idle, table.service.idle), (None, None));
        assert_eq!([table.user.most(), table.node.most(), table.service.most()], [5, 5, 100]);
        let notices = [table.user, table.node, table.service].map(|policy| policy.expiring_notice);
        assert_eq!(notices, [SECOND * 120, SECOND * 120, Duration::ZERO]);
    }

    #[test]
    fn every_bound_of_the_table_is_checked_at_both_ends() {
        let base = KindPolicy { lifetime_max: HOUR * 24 * 30, ..user() };
        let cases: [Case; 4] = [
            (
                "max_lifetime",
                |p, v| (p.lifetime_max, p.ttl, p.expiring_notice) = (v, v.min(HOUR), Duration::ZERO),
                SECOND * 60,
                HOUR * 24 * 30,
            ),
            ("ttl", |p, v| p.ttl = v, SECOND, HOUR * 24 * 30),
            ("touch_granularity", |p, v| p.touch_granularity = v, Duration::ZERO, SECOND * 60),
            ("expiring_notice", |p, v| p.expiring_notice = v, Duration::ZERO, HOUR * 24 * 30),
        ];
        for (name, set, min, max) in cases {
            for (value, legal) in [(min, true), (max, true), (max + SECOND, false)] {
                let mut policy = base;
                set(&mut policy, value);
                assert_eq!(policy.fault().map(|fault| fault.0), (!legal).then_some(name), "{name} {value:?}");
            }
            if let Some(below) = min.checked_sub(Duration::from_millis(1)) {
                let mut policy = base;
                set(&mut policy, below);
                assert!(policy.fault().is_some(), "{name} {below:?}");
            }
        }
        assert_eq!(KindPolicy { idle: Some(SECOND * 59), ..base }.fault().map(|f| f.0), Some("idle_ttl"));
        assert_eq!(KindPolicy { idle: Some(SECOND * 60), ..base }.fault(), None);
        assert_eq!(KindPolicy { concurrent_max: 1_001, ..base }.fault().map(|f| f.0), Some("max_concurrent"));
        assert_eq!(KindPolicy { concurrent_max: 0, ..base }.most(), 10_000);
    }

    #[test]
    fn f056_a_lifetime_is_one_second_up_to_the_longest_life() {
        let policy = user();
        assert_eq!(policy.lifetime(None), Some(HOUR));
        for (asked, legal) in [
            (SECOND, true),
            (HOUR * 24, true),
            (Duration::from_millis(999), false),
            (HOUR * 24 + Duration::from_millis(1), false),
        ] {
            assert_eq!(policy.lifetime(Some(asked)).is_some(), legal, "{asked:?}");
        }
    }

    #[test]
    fn f068_the_earliest_of_three_bounds_ends_a_session() {
        let policy = user();
        let end =
            |created, expires, accessed| policy.deadline(at(created), at(expires), at(accessed)).millis();
        assert_eq!(end(0, 3_600, 0), 1_800_000, "idle");
        assert_eq!(end(0, 3_600, 3_000), 3_600_000, "absolute");
        assert_eq!(end(0, 200_000, 86_000), 86_400_000, "longest life");
        let node = KindPolicy::default_of(SessionKind::Node);
        assert_eq!(node.deadline(at(0), at(3_600), at(0)).millis(), 3_600_000, "no idle bound");
    }

    #[test]
    fn f059_renew_adds_to_the_later_of_end_and_now_and_is_bounded() {
        let policy = user();
        let renewed = |expires, now, additional| policy.renewed(at(0), at(expires), at(now), additional);
        assert_eq!(renewed(3_600, 100, HOUR), Some(at(7_200)), "from the old end");
        assert_eq!(renewed(3_600, 4_000, HOUR), Some(at(7_600)), "from now");
        assert_eq!(renewed(86_000, 100, HOUR), Some(at(86_400)), "capped");
        assert_eq!(renewed(86_400, 100, HOUR), None, "at the bound already");
        assert_eq!(renewed(86_399, 100, Duration::MAX), Some(at(86_400)), "no overflow");
    }

    #[test]
    fn a_use_is_noted_once_per_granularity_and_never_backwards() {
        let policy = user();
        for (now, due) in [(99, false), (100, false), (104, false), (105, true), (1_000, true)] {
            assert_eq!(policy.touch_due(at(100), at(now)), due, "{now}");
        }
        let always = KindPolicy { touch_granularity: Duration::ZERO, ..policy };
        assert!(!always.touch_due(at(100), at(100)) && always.touch_due(at(100), at(101)));
    }

    #[test]
    fn f075_states_are_derived_from_use_and_time_left() {
        let deadline = Deadline::at(at(3_600));
        for (accessed, now, expected) in [
            (0, 0, SessionState::Active),
            (0, 299, SessionState::Active),
            (0, 300, SessionState::Idle),
            (3_400, 3_480, SessionState::Active),
            (0, 3_480, SessionState::Idle),
            (0, 3_481, SessionState::Expiring),
            (3_481, 3_481, SessionState::Expiring),
        ] {
            assert_eq!(state(at(accessed), deadline, at(now)), expected, "{accessed} {now}");
        }
    }

    #[test]
    fn f069_the_oldest_leave_first_and_ties_break_by_id() {
        let policy = KindPolicy { concurrent_max: 2, ..user() };
        let leavers = |live: &[Member]| match policy.admit(live, None) {
            Admission::Admitted(ended) => ended.iter().map(|e| e.member.id.as_bytes()[0]).collect::<Vec<_>>(),
            Admission::Refused => panic!("refused"),
        };
        assert_eq!(leavers(&[]), [0; 0]);
        assert_eq!(leavers(&[member(1, 10, None)]), [0; 0]);
        assert_eq!(leavers(&[member(1, 10, None), member(2, 9, None)]), [2]);
        assert_eq!(leavers(&[member(5, 10, None), member(4, 10, None)]), [4]);
        let four = [member(1, 4, None), member(2, 3, None), member(3, 2, None), member(4, 1, None)];
        assert_eq!(leavers(&four), [4, 3, 2], "a limit that was lowered takes effect");
        let refusing = KindPolicy { over: Over::Refuse, ..policy };
        assert_eq!(refusing.admit(&four[..2], None), Admission::Refused);
        assert_eq!(refusing.admit(&four[..1], None), Admission::Admitted(Vec::new()));
    }

    #[test]
    fn f070_the_same_platform_is_replaced_before_anyone_is_evicted() {
        let (web, mobile) = (Some(Platform::Web), Some(Platform::Mobile));
        let policy = KindPolicy { concurrent_max: 2, one_per_platform: true, over: Over::Refuse, ..user() };
        let live = [member(1, 1, web), member(2, 2, mobile)];
        let ended = |platform| match policy.admit(&live, platform) {
            Admission::Admitted(ended) => {
                Some(ended.iter().map(|e| (e.member.id.as_bytes()[0], e.why)).collect::<Vec<_>>())
            }
            Admission::Refused => None,
        };
        assert_eq!(ended(mobile), Some(vec![(2, EndedWhy::Platform)]));
        assert_eq!(ended(Some(Platform::Desktop)), None, "a third platform is one too many");
        assert_eq!(ended(None), None, "no platform replaces nobody");
        let off = KindPolicy { one_per_platform: false, ..policy };
        assert_eq!(off.admit(&live, web), Admission::Refused);
    }

    /// Whatever the owner has, at most the limit is live afterwards, and a platform at most once where it is on.
    #[test]
    fn admission_holds_for_every_small_owner() {
        let platforms = [None, Some(Platform::Web), Some(Platform::Mobile)];
        for shape in 0..3_usize.pow(4) {
            let live: Vec<Member> = (0..4)
                .map(|n| member(n as u8 + 1, 10 - u64::from(n), platforms[shape / 3_usize.pow(n) % 3]))
                .collect();
            for (most, one_per_platform) in [(1, true), (2, true), (5, true), (2, false), (3, false)] {
                for platform in platforms {
                    let policy = KindPolicy { concurrent_max: most, one_per_platform, ..user() };
                    let Admission::Admitted(ended) = policy.admit(&live, platform) else { panic!("refused") };
                    let stays = |member: &&Member| !ended.iter().any(|ended| ended.member.id == member.id);
                    let left: Vec<&Member> = live.iter().filter(stays).collect();
                    assert!(left.len() < most as usize);
                    let again = platform.is_some() && left.iter().any(|member| member.platform == platform);
                    assert!(!(one_per_platform && again));
                }
            }
        }
    }
}
