//! Several operations in one request: batches, and commits of a group.

use axum::extract::State;
use statehold_api::cache::{
    BATCH_OPS_MAX, Batch, BatchDone, BatchOp, BatchOpName, BatchResult, GroupCommit, GroupCommitted,
    GroupCondition, GroupWrite, GroupWriteName, IncrEntry,
};
use statehold_api::{Code, FieldError, ProblemBody, Rev};
use statehold_core::Revision;
use statehold_stores::cache::{self, BatchAnswer, BatchWrite, CacheError, Condition, Stored, Write, Written};
use statehold_stores::value::Id;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::wire::{self, Read, WireValue, expires_at, rev, wrong};
use super::{not_stored, one, store};
use crate::app::AppState;
use crate::auth::{Caller, Scope, needs};
use crate::extract::{Call, Json, Path};
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(batch)).routes(routes!(commit))
}

/// Makes several operations, each with its own result. Writes of one group that stand together are one commit.
#[utoipa::path(post, path = "/v1/cache/batch", tag = "cache", request_body = Batch,
    responses((status = 200, description = "One result per operation, in order", body = BatchDone)))]
async fn batch(
    caller: Caller<needs::CacheReadOrWrite>,
    State(state): State<AppState>,
    Call(cx): Call,
    Json(wanted): Json<Batch>,
) -> Result<Json<BatchDone>, Problem> {
    let reads = wanted.ops.iter().any(|op| op.op == BatchOpName::Get);
    if reads {
        caller.require(Scope::CacheRead)?;
    }
    if !reads || wanted.ops.iter().any(|op| op.op != BatchOpName::Get) {
        caller.require(Scope::CacheWrite)?;
    }
    if wanted.ops.len() > BATCH_OPS_MAX {
        return Err(CacheError::BatchTooLarge.into());
    }
    let ops = all(wanted.ops.into_iter().enumerate().map(|(index, op)| read_op(op, index)))?;
    let answers = store(&state, &caller).await?.batch(&cx, ops).await?;
    let results = answers.into_iter().map(|answer| answer.map_or_else(|e| failed(&e.into()), answered));
    Ok(Json(BatchDone { results: results.collect() }))
}

/// Changes entries of one group together: every condition holds and every write happens, or nothing does.
#[utoipa::path(post, path = "/v1/cache/groups/{group}/commit", tag = "cache", request_body = GroupCommit,
    params(("group" = String, Path, description = "The group")),
    responses((status = 200, description = "Done", body = GroupCommitted),
        (status = 412, description = "A condition does not hold: failed_index", body = ProblemBody,
            content_type = "application/problem+json")))]
async fn commit(
    caller: Caller<needs::CacheWrite>,
    State(state): State<AppState>,
    Call(cx): Call,
    Path(group): Path<String>,
    Json(wanted): Json<GroupCommit>,
) -> Result<Json<GroupCommitted>, Problem> {
    let group = wire::id(&group, "group").map_err(one)?;
    let conditions = wanted.conditions.unwrap_or_default();
    if conditions.len() + wanted.writes.len() > cache::GROUP_COMMIT_MAX {
        return Err(CacheError::BatchTooLarge.into());
    }
    let conditions =
        all(conditions.into_iter().enumerate().map(|(index, given)| read_condition(given, index)))?;
    let writes = all(wanted.writes.into_iter().enumerate().map(|(index, given)| read_write(given, index)))?;
    let revision = store(&state, &caller).await?.commit(&cx, &group, conditions, &writes).await?;
    Ok(Json(GroupCommitted { revision: rev(revision) }))
}

/// Everything read, or every mistake.
fn all<T>(read: impl Iterator<Item = Read<T>>) -> Result<Vec<T>, Problem> {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for one in read {
        match one {
            Ok(value) => good.push(value),
            Err(error) => bad.push(error),
        }
    }
    if bad.is_empty() { Ok(good) } else { Err(Problem::fields(bad)) }
}

fn read_op(op: BatchOp, index: usize) -> Read<cache::BatchOp> {
    let at = format!("ops[{index}].");
    let key = wire::key(&op.key, op.group.as_deref(), &at)?;
    let values = op.value.is_some() || op.value_b64.is_some();
    let putting = op.mode.is_some() || op.keep_ttl.is_some();
    let adding = op.by.is_some() || op.min.is_some() || op.max.is_some();
    let (ttl, revision) = (op.ttl.is_some(), op.if_revision.is_some());
    let (foreign, name) = match op.op {
        BatchOpName::Get => (values || putting || adding || ttl || revision, "get"),
        BatchOpName::Set => (adding, "set"),
        BatchOpName::Delete => (values || putting || adding || ttl, "delete"),
        BatchOpName::Incr => (values || putting || revision, "incr"),
    };
    if foreign {
        return Err(not_of(&at, name));
    }
    let incr = IncrEntry { by: op.by, ttl: op.ttl, min: op.min, max: op.max };
    let write = match op.op {
        BatchOpName::Get => return Ok(cache::BatchOp::Get(key)),
        BatchOpName::Delete => Write::Delete,
        BatchOpName::Incr => Write::Incr(wire::incr(&incr, &at)?),
        BatchOpName::Set => {
            let value = WireValue { value: op.value, value_b64: op.value_b64 };
            Write::Set(wire::set(value, op.ttl, op.keep_ttl, &at)?)
        }
    };
    let mode = wire::mode(op.mode, op.if_revision, &at)?;
    Ok(cache::BatchOp::Write(BatchWrite { key, write, mode }))
}

fn not_of(at: &str, name: &str) -> FieldError {
    let path = at.trim_end_matches('.');
    wrong(Code::UnknownField, path, format!("a field is not one of the operation `{name}`"))
}

fn read_condition(given: GroupCondition, index: usize) -> Read<(Id, Condition)> {
    let at = format!("conditions[{index}].");
    let key = wire::id(&given.key, format!("{at}key"))?;
    let GroupCondition { exists, revision, value, value_b64, .. } = given;
    let condition = match (exists, revision, value.is_some() || value_b64.is_some()) {
        (Some(exists), None, false) => Condition::Exists(exists),
        (None, Some(Rev(revision)), false) => Condition::Revision(Revision::from_u64(revision)),
        (None, None, true) => Condition::Value(wire::value(WireValue { value, value_b64 }, &at)?),
        _ => {
            let path = at.trim_end_matches('.');
            return Err(wrong(Code::OutOfRange, path, "give one of exists, revision and value"));
        }
    };
    Ok((key, condition))
}

fn read_write(given: GroupWrite, index: usize) -> Read<(Id, Write)> {
    let at = format!("writes[{index}].");
    let key = wire::id(&given.key, format!("{at}key"))?;
    let values = given.value.is_some() || given.value_b64.is_some() || given.keep_ttl.is_some();
    let adding = given.by.is_some() || given.min.is_some() || given.max.is_some();
    let (foreign, name) = match given.op {
        GroupWriteName::Set => (adding, "set"),
        GroupWriteName::Delete => (values || adding || given.ttl.is_some(), "delete"),
        GroupWriteName::Incr => (values, "incr"),
    };
    if foreign {
        return Err(not_of(&at, name));
    }
    let incr = IncrEntry { by: given.by, ttl: given.ttl, min: given.min, max: given.max };
    let write = match given.op {
        GroupWriteName::Delete => Write::Delete,
        GroupWriteName::Incr => Write::Incr(wire::incr(&incr, &at)?),
        GroupWriteName::Set => {
            let value = WireValue { value: given.value, value_b64: given.value_b64 };
            Write::Set(wire::set(value, given.ttl, given.keep_ttl, &at)?)
        }
    };
    Ok((key, write))
}

fn answered(answer: BatchAnswer) -> BatchResult {
    match answer {
        BatchAnswer::Entry(None) => failed(&Problem::new(Code::KeyNotFound)),
        BatchAnswer::Entry(Some(entry)) => {
            let (WireValue { value, value_b64 }, kind) = wire::shown(entry.value);
            BatchResult {
                status: 200,
                value,
                value_b64,
                kind: Some(kind),
                revision: Some(rev(entry.revision)),
                expires_at: expires_at(entry.deadline),
                ..BatchResult::default()
            }
        }
        BatchAnswer::Written(Written::Set(Stored::No { present })) => failed(&not_stored(present)),
        BatchAnswer::Written(Written::Set(Stored::Yes { created, revision, deadline })) => BatchResult {
            status: if created { 201 } else { 200 },
            stored: Some(true),
            revision: Some(rev(revision)),
            expires_at: expires_at(deadline),
            ..BatchResult::default()
        },
        BatchAnswer::Written(Written::Deleted(deleted)) => {
            BatchResult { status: 200, deleted: Some(deleted.into()), ..BatchResult::default() }
        }
        BatchAnswer::Written(Written::Sum(sum)) => BatchResult {
            status: 200,
            value: Some(statehold_api::cache::Int(sum.value).json()),
            revision: Some(rev(sum.revision)),
            ..BatchResult::default()
        },
    }
}

fn failed(problem: &Problem) -> BatchResult {
    let members = problem.members();
    BatchResult {
        status: problem.code().status(),
        code: Some(problem.code()),
        detail: problem.said().map(str::to_owned),
        current_revision: members.current_revision.as_deref().and_then(Rev::parse),
        failed_index: members.failed_index,
        ..BatchResult::default()
    }
}
