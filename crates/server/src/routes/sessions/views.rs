//! Sessions as the wire shows them.

use statehold_api::sessions as wire;
use statehold_api::{Rev, Ts};
use statehold_core::Time;
use statehold_stores::sessions::{
    Level, Platform, Requested, Session, SessionContext, SessionKind, SessionState,
};

pub(super) const fn kind(kind: wire::Kind) -> SessionKind {
    match kind {
        wire::Kind::User => SessionKind::User,
        wire::Kind::Node => SessionKind::Node,
        wire::Kind::Service => SessionKind::Service,
    }
}

const fn shown_kind(kind: SessionKind) -> wire::Kind {
    match kind {
        SessionKind::User => wire::Kind::User,
        SessionKind::Node => wire::Kind::Node,
        SessionKind::Service => wire::Kind::Service,
    }
}

pub(super) const fn level(level: wire::Level) -> Level {
    match level {
        wire::Level::ReadOnly => Level::ReadOnly,
        wire::Level::ReadWrite => Level::ReadWrite,
        wire::Level::Admin => Level::Admin,
    }
}

pub(super) const fn shown_level(level: Level) -> wire::Level {
    match level {
        Level::ReadOnly => wire::Level::ReadOnly,
        Level::ReadWrite => wire::Level::ReadWrite,
        Level::Admin => wire::Level::Admin,
    }
}

pub(super) const fn platform(platform: wire::Platform) -> Platform {
    match platform {
        wire::Platform::Web => Platform::Web,
        wire::Platform::Mobile => Platform::Mobile,
        wire::Platform::Desktop => Platform::Desktop,
        wire::Platform::Other => Platform::Other,
    }
}

const fn shown_platform(platform: Platform) -> wire::Platform {
    match platform {
        Platform::Web => wire::Platform::Web,
        Platform::Mobile => wire::Platform::Mobile,
        Platform::Desktop => wire::Platform::Desktop,
        Platform::Other => wire::Platform::Other,
    }
}

const fn shown_state(state: SessionState) -> wire::State {
    match state {
        SessionState::Active => wire::State::Active,
        SessionState::Idle => wire::State::Idle,
        SessionState::Expiring => wire::State::Expiring,
    }
}

/// What a level lets a session do: everything that the levels below it do, and its own.
fn capabilities(level: Level) -> Vec<wire::Capability> {
    [
        (Level::ReadOnly, wire::Capability::Read),
        (Level::ReadWrite, wire::Capability::Write),
        (Level::Admin, wire::Capability::Admin),
    ]
    .into_iter()
    .filter(|(need, _)| level >= *need)
    .map(|(_, capability)| capability)
    .collect()
}

fn ts(time: Time) -> Ts {
    Ts::from_micros(time.micros())
}

pub(super) fn session(session: &Session, now: Time) -> wire::Session {
    wire::Session {
        session_id: session.id.to_string(),
        kind: shown_kind(session.kind),
        owner: session.owner.as_str().to_owned(),
        channel_id: session.channel_id.as_ref().map(|id| id.as_str().to_owned()),
        level: shown_level(session.level),
        state: shown_state(session.state(now)),
        created_at: ts(session.created_at),
        expires_at: ts(session.expires_at),
        remaining_seconds: session.remaining_seconds(now),
        last_accessed_at: ts(session.last_accessed_at),
        epoch: session.epoch,
        platform: session.platform.map(shown_platform),
        ip: session.ip.map(|ip| ip.to_string()),
        user_agent: session.user_agent.as_deref().map(str::to_owned),
        device: session.device.as_deref().map(str::to_owned),
        data: session.data.clone(),
        data_version: session.data_version,
        request_count: session.request_count,
        revision: Rev(session.revision.get()),
    }
}

pub(super) fn context(context: &SessionContext) -> wire::SessionContext {
    wire::SessionContext {
        session_id: context.session_id.to_string(),
        kind: shown_kind(context.kind),
        owner: context.owner.as_str().to_owned(),
        channel_id: context.channel_id.as_ref().map(|id| id.as_str().to_owned()),
        level: shown_level(context.level),
        capabilities: capabilities(context.level),
        state: shown_state(context.state),
        expires_at: ts(context.expires_at),
        remaining_seconds: context.remaining_seconds,
        request_count: context.request_count,
        revision: Rev(context.revision.get()),
    }
}

pub(super) fn recorded(requested: &Requested) -> wire::RequestRecorded {
    wire::RequestRecorded {
        allowed: requested.allowed,
        limit: requested.limit,
        remaining: requested.remaining,
        reset_at: ts(requested.reset_at),
        request_count: requested.request_count,
    }
}
