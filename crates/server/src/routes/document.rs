//! The OpenAPI document: what the routes say of themselves, and what is true of all of them, said once.

use serde_json::{Map, Value, json};
use statehold_api::ProblemBody;
use utoipa::OpenApi;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Statehold",
        description = "The state layer for backend services. Every request carries an API key as `Authorization: Bearer` \
            unless its route is public; a key of several namespaces also sends `Statehold-Namespace`. Every reply \
            carries `X-Correlation-Id`; every error is a problem (RFC 9457) with a code from a closed list.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    components(schemas(ProblemBody))
)]
struct Base;

/// The document that routes are added to.
pub(crate) fn base() -> utoipa::openapi::OpenApi {
    Base::openapi()
}

/// Errors that every route may give.
const ERRORS: [(&str, &str); 5] = [
    ("422", "Something in the request is not valid; `errors` says what and where"),
    ("405", "The route does not answer this method"),
    ("429", "Too many requests; `Retry-After` says when to come back"),
    ("500", "Something went wrong inside"),
    ("503", "It cannot be served now; `Retry-After` says when to come back"),
];
/// Errors of routes that ask for credentials.
const CREDENTIAL_ERRORS: [(&str, &str); 3] = [
    ("400", "The body is not JSON, or the namespace must be named"),
    ("401", "The credentials are missing, not valid or expired"),
    ("403", "The credentials do not reach this"),
];
/// Errors of routes that take a body.
const BODY_ERRORS: [(&str, &str); 2] =
    [("413", "The body is too large"), ("415", "The body is not application/json")];

/// What a route answers whose path names a thing.
const NAMED_ERRORS: [(&str, &str); 1] = [("404", "There is no such thing")];
/// What a route answers that changes something.
const CHANGE_ERRORS: [(&str, &str); 1] =
    [("409", "The present state does not allow it, or others kept changing it (`contention`)")];

/// The document with what is true of every route: errors and credentials.
pub(crate) fn finish(document: &utoipa::openapi::OpenApi) -> Value {
    let mut document = serde_json::to_value(document).expect("a document has string keys");
    document["components"]["securitySchemes"] =
        json!({"key": {"type": "http", "scheme": "bearer", "description": "An API key: shk_<id>_<secret>"}});
    for (path, item) in document["paths"].as_object_mut().into_iter().flatten() {
        let named = path.contains('{');
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            if let Some(operation) = operation.as_object_mut() {
                complete(operation, named, method != "get");
            }
        }
    }
    document
}

fn complete(operation: &mut Map<String, Value>, named: bool, changes: bool) {
    // Handlers are named within their file; a document needs names of its own.
    if let (Some(tag), Some(id)) = (operation["tags"][0].as_str(), operation["operationId"].as_str()) {
        operation.insert("operationId".to_owned(), format!("{tag}_{id}").into());
    }
    let public = operation.contains_key("security");
    if !public {
        operation.insert("security".to_owned(), json!([{"key": []}]));
    }
    let takes_body = operation.contains_key("requestBody");
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    let problem =
        json!({"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemBody"}}});
    let all = ERRORS
        .iter()
        .chain(CREDENTIAL_ERRORS.iter().filter(|_| !public))
        .chain(BODY_ERRORS.iter().filter(|_| takes_body))
        .chain(NAMED_ERRORS.iter().filter(|_| named))
        .chain(CHANGE_ERRORS.iter().filter(|_| changes));
    for (status, description) in all {
        responses
            .entry((*status).to_owned())
            .or_insert_with(|| json!({"description": description, "content": problem}));
    }
}
