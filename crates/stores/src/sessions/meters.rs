//! What sessions count about themselves. Labels come from closed lists.

use std::sync::OnceLock;

use metrics::{Counter, counter, gauge};

use super::model::{Active, RevokeReason, SessionKind};
use super::policy::EndedWhy;
use super::{SessionError, Sessions};
use crate::observe::Meter;

/// One meter per operation, and the store's own counters.
#[derive(Debug)]
pub(super) struct Meters {
    pub(super) create: Meter,
    pub(super) validate: Meter,
    pub(super) get: Meter,
    pub(super) record_request: Meter,
    pub(super) request_count: Meter,
    pub(super) renew: Meter,
    pub(super) update_data: Meter,
    pub(super) set_level: Meter,
    pub(super) revoke: Meter,
    pub(super) revoke_all: Meter,
    pub(super) list: Meter,
    pub(super) owner_metrics: Meter,
    pub(super) count: Meter,
    pub(super) sweep: Meter,
    pub(super) epoch: Meter,
    validations: [OnceLock<Counter>; 5],
}

/// Why a session ended, as a metric's label.
#[derive(Clone, Copy)]
pub(super) enum EndReason {
    Revoked(RevokeReason),
    Replaced(EndedWhy),
    Expired,
}

impl EndReason {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Revoked(reason) => reason.as_str(),
            Self::Replaced(EndedWhy::Evicted) => "evicted",
            Self::Replaced(EndedWhy::Platform) => "platform",
            Self::Expired => "expired",
        }
    }
}

impl Meters {
    pub(super) const fn new() -> Self {
        const fn meter(operation: &'static str) -> Meter {
            Meter::new(Sessions::STORE, operation)
        }
        Self {
            create: meter("create"),
            validate: meter("validate"),
            get: meter("get"),
            record_request: meter("record_request"),
            request_count: meter("request_count"),
            renew: meter("renew"),
            update_data: meter("update_data"),
            set_level: meter("set_level"),
            revoke: meter("revoke"),
            revoke_all: meter("revoke_all"),
            list: meter("list"),
            owner_metrics: meter("owner_metrics"),
            count: meter("count"),
            sweep: meter("sweep"),
            epoch: meter("epoch"),
            validations: [const { OnceLock::new() }; 5],
        }
    }

    pub(super) fn created(kind: SessionKind) {
        counter!("statehold_sessions_created_total", "kind" => kind.as_str()).increment(1);
    }

    pub(super) fn ended(kind: SessionKind, reason: EndReason, sessions: u64) {
        if sessions > 0 {
            counter!("statehold_sessions_ended_total", "kind" => kind.as_str(), "reason" => reason.as_str())
                .increment(sessions);
        }
    }

    pub(super) fn validated<T>(&self, answer: &Result<T, SessionError>) {
        const RESULTS: [&str; 5] = ["valid", "invalid", "insufficient_level", "contention", "error"];
        let result = match answer {
            Ok(_) => 0,
            Err(SessionError::Invalid) => 1,
            Err(SessionError::InsufficientLevel) => 2,
            Err(SessionError::Contention) => 3,
            Err(_) => 4,
        };
        self.validations[result]
            .get_or_init(|| counter!("statehold_session_validations_total", "result" => RESULTS[result]))
            .increment(1);
    }
}

impl Active {
    /// Shows these figures as `statehold_sessions_active{kind}`: the sum over all namespaces, once a minute.
    pub fn publish(&self) {
        for kind in SessionKind::ALL {
            gauge!("statehold_sessions_active", "kind" => kind.as_str()).set(self.of(*kind) as f64);
        }
    }
}
