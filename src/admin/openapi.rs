//! The OpenAPI 3.1 document, made from the table of routes: what is not in the table is not served, and what
//! is served is in the document.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::guard::Need;
use super::problem::Kind;
use super::route::{Parameter, Route};
use super::schemas::schemas;

/// The document. `mounted` is where the routes are mounted; empty for the root.
#[must_use]
pub fn document(routes: &[Route], mounted: &str) -> Value {
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for route in routes {
        paths.entry(route.path).or_default().insert(route.method.to_lowercase(), operation(route));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "sealjar admin",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Revocations, nodes and keys of sealjar. Every request is guarded and written down.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": if mounted.is_empty() { "/" } else { mounted } }],
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "securitySchemes": { "token": {
                "type": "http",
                "scheme": "bearer",
                "description": "Made by `sealjar token new`. Its scopes: read, revoke, revoke.all, keys.",
            } },
        },
    })
}

fn operation(route: &Route) -> Value {
    let mut parameters: Vec<_> = route.query.iter().map(query).collect();
    if route.path.contains("{id}") {
        parameters.push(json!({ "name": "id", "in": "path", "required": true, "schema": { "type": "string", "pattern": "^[0-9a-zA-Z_-]{1,128}$" } }));
    }
    if route.changes {
        parameters.push(json!({
            "name": "Idempotency-Key",
            "in": "header",
            "required": false,
            "description": "The same request with the same key is done once, and answered again.",
            "schema": { "type": "string", "pattern": "^[!-~]{1,255}$" },
        }));
    }
    let mut operation = json!({
        "operationId": route.id,
        "summary": route.about,
        "parameters": parameters,
        "responses": responses(route),
    });
    match route.need {
        Need::Nothing => operation["security"] = json!([]),
        Need::OneOf(scopes) => {
            operation["security"] = json!([{ "token": [] }]);
            operation["x-scopes"] = json!(scopes);
        }
    }
    if let Some(body) = route.body {
        operation["requestBody"] =
            json!({ "required": true, "content": { "application/json": { "schema": reference(body) } } });
    }
    operation
}

fn query(field: &Parameter) -> Value {
    let schema: Value = serde_json::from_str(field.schema).unwrap_or_default();
    json!({ "name": field.name, "in": "query", "required": false, "description": field.about, "schema": schema })
}

fn responses(route: &Route) -> Value {
    let mut responses = Map::new();
    for (status, schema, about) in route.answers {
        let (kind, schema) = match *schema {
            EVENTS | HTML | METRICS => (*schema, json!({ "type": "string" })),
            _ => ("application/json", reference(schema)),
        };
        let mut response = json!({ "description": about, "content": { kind: { "schema": schema } } });
        if matches!(status, 201 | 202) {
            response["headers"] =
                json!({ "Location": { "description": "Where the operation is.", "schema": { "type": "string" } } });
        }
        responses.insert(status.to_string(), response);
    }
    let mut by_status: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    for kind in problems(route) {
        by_status.entry(kind.status()).or_default().push(kind.title());
    }
    for (status, titles) in by_status {
        let mut response = json!({
            "description": titles.join(". Or: "),
            "content": { "application/problem+json": { "schema": reference("Problem") } },
        });
        let header = match status {
            401 => Some("WWW-Authenticate"),
            429 | 503 => Some("Retry-After"),
            _ => None,
        };
        if let Some(header) = header {
            response["headers"] = json!({ header: { "schema": { "type": "string" } } });
        }
        responses.insert(status.to_string(), response);
    }
    Value::Object(responses)
}

/// Every problem that a route may have.
#[must_use]
pub fn problems(route: &Route) -> Vec<Kind> {
    let mut kinds = vec![Kind::BadRequest, Kind::NoHost, Kind::ForeignOrigin, Kind::ForeignHost];
    if route.need != Need::Nothing {
        kinds.extend([Kind::TokenMissing, Kind::TokenUnknown, Kind::ScopeMissing, Kind::TooManyFailures]);
        kinds.extend([Kind::AuditUnavailable, Kind::Internal]);
    }
    if route.body.is_some() {
        kinds.extend([Kind::TooSlow, Kind::TooLarge, Kind::WrongMediaType, Kind::Invalid]);
    }
    if route.changes {
        kinds.extend([Kind::InProgress, Kind::OtherRequest, Kind::TooMuchAtOnce]);
    }
    kinds.extend(route.problems);
    kinds.dedup();
    kinds
}

/// Stands in the table for a stream of events.
pub const EVENTS: &str = "text/event-stream";

/// Stands in the table for metrics.
pub const METRICS: &str = "text/plain";

/// Stands in the table for a page.
pub const HTML: &str = "text/html";

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}
