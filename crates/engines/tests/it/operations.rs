//! Random operations over a small world, so that they meet.

use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use statehold_core::LimitPolicy;

/// Names that are easily mistaken for one another.
pub(crate) const ITEMS: [&[u8]; 9] =
    [b"", b"a", b"a\0", b"ab", b"b", b"\xff", b"sliding", b"bucket", b"fixed"];
pub(crate) const PARTITIONS: [&[u8]; 4] = [b"p", b"p\0", b"P", b"\xff\xfe"];
/// More items than one page of the engine's own structures holds side by side.
pub(crate) const CROWD: u8 = 40;

/// What the space and its control are like.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) observes_expiry: bool,
    pub(crate) marking: bool,
}

pub(crate) fn setting() -> impl Strategy<Value = Setting> {
    any::<(bool, bool)>().prop_map(|(observes_expiry, marking)| Setting { observes_expiry, marking })
}

/// Which revision a check or reap names; the present one is known only when it runs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Named {
    Present,
    Older,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum CheckSpec {
    Absent,
    Present,
    At(Named),
}

#[derive(Clone, Debug)]
pub(crate) enum MutationSpec {
    Put { value: u8, ttl_ms: Option<u16> },
    Delete,
    Touch { ttl_ms: Option<u16> },
    Add { delta: i64, low: i64, high: i64, ttl_ms: Option<u16> },
    Take { cost: u32 },
    Reap { named: Named },
}

#[derive(Clone, Debug)]
pub(crate) struct RangeSpec {
    pub(crate) from: Option<(u8, bool)>,
    pub(crate) to: Option<(u8, bool)>,
    pub(crate) reverse: bool,
    pub(crate) skip: usize,
    pub(crate) limit: usize,
    pub(crate) values: bool,
    pub(crate) count: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Operation {
    Commit {
        partition: u8,
        id: Option<u8>,
        checks: Vec<(u8, CheckSpec)>,
        mutations: Vec<(u8, MutationSpec)>,
    },
    /// An earlier commit again, to the byte.
    Resend {
        nth: u8,
    },
    /// Many items at once, or all of them deleted.
    Crowd {
        partition: u8,
        delete: bool,
    },
    Fetch,
    List {
        partition: u8,
        ranges: Vec<RangeSpec>,
    },
    ScanLive {
        limit: usize,
    },
    ScanExpired {
        limit: usize,
        back_ms: u16,
    },
    ScanRaw {
        limit: usize,
    },
    Advance {
        micros: u32,
    },
    /// Whatever the engine does beside its verbs: a sweep, a restart.
    Tidy,
}

/// The policy of a limit, by its item; other items take as the sliding one does.
pub(crate) fn policy(item: &[u8]) -> LimitPolicy {
    match item {
        b"bucket" => LimitPolicy::TokenBucket { interval: Duration::from_nanos(1_234_567), burst: 4 },
        b"fixed" => LimitPolicy::Fixed { limit: 4, window: Duration::from_micros(7_001) },
        _ => LimitPolicy::Sliding { limit: 4, window: Duration::from_micros(5_003) },
    }
}

fn ttl() -> impl Strategy<Value = Option<u16>> {
    option::of(0..20_u16)
}

fn named() -> impl Strategy<Value = Named> {
    prop_oneof![3 => Just(Named::Present), 1 => Just(Named::Older)]
}

fn check() -> impl Strategy<Value = CheckSpec> {
    prop_oneof![Just(CheckSpec::Absent), Just(CheckSpec::Present), named().prop_map(CheckSpec::At),]
}

fn mutation() -> impl Strategy<Value = MutationSpec> {
    let bound = prop_oneof![Just(i64::MIN), -3..3_i64, Just(i64::MAX)];
    let delta = prop_oneof![8 => -2..4_i64, 1 => Just(i64::MAX), 1 => Just(i64::MIN)];
    prop_oneof![
        4 => (any::<u8>(), ttl()).prop_map(|(value, ttl_ms)| MutationSpec::Put { value, ttl_ms }),
        2 => Just(MutationSpec::Delete),
        2 => ttl().prop_map(|ttl_ms| MutationSpec::Touch { ttl_ms }),
        3 => (delta, bound.clone(), bound, ttl()).prop_map(|(delta, a, b, ttl_ms)| MutationSpec::Add {
            delta,
            low: a.min(b),
            high: a.max(b),
            ttl_ms,
        }),
        3 => (1..4_u32).prop_map(|cost| MutationSpec::Take { cost }),
        2 => named().prop_map(|named| MutationSpec::Reap { named }),
    ]
}

fn range() -> impl Strategy<Value = RangeSpec> {
    let end = || option::of((0..ITEMS.len() as u8, any::<bool>()));
    let flags = any::<(bool, bool, bool)>();
    (end(), end(), flags, 0..4_usize, 0..5_usize).prop_map(|(from, to, flags, skip, limit)| {
        let (reverse, values, count) = flags;
        RangeSpec { from, to, reverse, skip, limit, values, count: count || limit == 0 }
    })
}

fn operation() -> impl Strategy<Value = Operation> {
    let partition = || 0..PARTITIONS.len() as u8;
    let item = || 0..ITEMS.len() as u8;
    let commit = (
        partition(),
        option::weighted(0.3, 0..4_u8),
        vec((item(), check()), 0..3),
        vec((item(), mutation()), 0..4),
    )
        .prop_map(|(partition, id, checks, mutations)| Operation::Commit {
            partition,
            id,
            checks,
            mutations,
        });
    let time = prop_oneof![6 => 0..4_000_u32, 2 => 0..30_000_u32, 1 => Just(601_000_000)];
    prop_oneof![
        14 => commit,
        2 => any::<u8>().prop_map(|nth| Operation::Resend { nth }),
        1 => (partition(), any::<bool>()).prop_map(|(partition, delete)| Operation::Crowd { partition, delete }),
        2 => Just(Operation::Fetch),
        2 => (partition(), vec(range(), 1..4)).prop_map(|(partition, ranges)| Operation::List { partition, ranges }),
        1 => (1..9_usize).prop_map(|limit| Operation::ScanLive { limit }),
        1 => (1..9_usize, 0..5_u16).prop_map(|(limit, back_ms)| Operation::ScanExpired { limit, back_ms }),
        1 => (1..9_usize).prop_map(|limit| Operation::ScanRaw { limit }),
        5 => time.prop_map(|micros| Operation::Advance { micros }),
        1 => Just(Operation::Tidy),
    ]
}

pub(crate) fn operations(count_max: usize) -> impl Strategy<Value = Vec<Operation>> {
    vec(operation(), 1..count_max)
}
