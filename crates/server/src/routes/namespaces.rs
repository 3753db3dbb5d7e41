//! `/v1/namespaces`.

use axum::extract::State;
use axum::http::StatusCode;
use statehold_api::namespaces::{CreateNamespace, DeleteNamespaceQuery, NamespaceView};
use statehold_api::{Code, Page, PageQuery, Ts};
use statehold_core::{Kind, Namespace};
use statehold_journal::control::NamespaceRow;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::AppState;
use crate::auth::{Operator, needs};
use crate::cursor;
use crate::extract::{Json, Path, Query};
use crate::problem::Problem;

pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(delete))
}

/// Lists namespaces by name, deleted ones included until their data is removed.
#[utoipa::path(get, path = "/v1/namespaces", tag = "namespaces", params(PageQuery),
    responses((status = 200, description = "A page of namespaces", body = Page<NamespaceView>)))]
async fn list(
    _: Operator<needs::OpsAdmin>,
    State(state): State<AppState>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<NamespaceView>>, Problem> {
    let rows = state.hold().control().namespaces();
    let place = |row: &NamespaceRow| (0, row.name.as_str().to_owned());
    cursor::page(&query, "namespaces", rows, place, shown).map(Json)
}

/// Makes a namespace.
#[utoipa::path(post, path = "/v1/namespaces", tag = "namespaces", request_body = CreateNamespace,
    responses((status = 201, description = "The namespace", body = NamespaceView)))]
async fn create(
    _: Operator<needs::OpsAdmin>,
    State(state): State<AppState>,
    Json(wanted): Json<CreateNamespace>,
) -> Result<(StatusCode, Json<NamespaceView>), Problem> {
    match state.hold().control().create_namespace(&named(&wanted.name)?).await {
        Ok(row) => Ok((StatusCode::CREATED, Json(shown(&row)))),
        Err(error) if error.kind() == Kind::Conflict => Err(Problem::new(Code::Exists)),
        Err(error) => Err(error.into()),
    }
}

/// Deletes a namespace: it serves no longer at once, and its data is removed after seven days.
#[utoipa::path(delete, path = "/v1/namespaces/{name}", tag = "namespaces",
    params(("name" = String, Path, description = "The namespace"), DeleteNamespaceQuery),
    responses((status = 200, description = "The namespace with the time of its deletion", body = NamespaceView)))]
async fn delete(
    _: Operator<needs::OpsAdmin>,
    State(state): State<AppState>,
    Path(name): Path<String>,
    Query(query): Query<DeleteNamespaceQuery>,
) -> Result<Json<NamespaceView>, Problem> {
    if query.confirm != name {
        return Err(Problem::field(Code::OutOfRange, "confirm", "repeat the namespace's name to confirm"));
    }
    let row = state.hold().control().delete_namespace(&named(&name)?).await?;
    Ok(Json(shown(&row)))
}

fn named(name: &str) -> Result<Namespace, Problem> {
    Namespace::new(name).map_err(|error| Problem::field(Code::InvalidId, "name", error.to_string()))
}

fn shown(row: &NamespaceRow) -> NamespaceView {
    NamespaceView {
        name: row.name.as_str().to_owned(),
        created_at: Ts::from_micros(row.created_at.micros()),
        deleted_at: row.deleted_at.map(|time| Ts::from_micros(time.micros())),
    }
}
