//! The JSON schemas of what is asked and answered.
#![allow(clippy::needless_pass_by_value, reason = "schemas are built in place, one in the other")]

use serde_json::{Value, json};

use crate::rotation::KeyState;
use crate::trouble::{Severity, Trouble};
use crate::verdict::Verdict;

use super::audit::Event;
use super::problem::Kind;
use super::rows::{KINDS, STATES};
use super::scope::Scope;

/// All of them, by name.
#[must_use]
pub fn schemas() -> Value {
    json!({
        "Problem": problem(),
        "Revoke": revoke(),
        "DryRun": closed(json!({
            "dry_run": { "const": true },
            "app": text(),
            "scope": text(),
            "target": or_null(text()),
            "records": count(),
            "nodes": count(),
        })),
        "Operation": operation(),
        "Operations": closed(json!({ "operations": list("Operation") })),
        "Revocations": closed(json!({
            "total": count(),
            "revocations": { "type": "array", "items": closed(json!({
                "kind": { "enum": KINDS },
                "scope": text(),
                "what": text(),
                "as_of": or_null(time()),
                "until": or_null(day()),
            })) },
            "next": or_null(text()),
        })),
        "Pasted": closed(json!({ "cookie": { "type": "string", "description": "A bare value, a Cookie: line or a Set-Cookie: line." } })),
        "Explanation": explanation(),
        "Keys": closed(json!({ "keys": list("Key"), "refused": texts(), "healed": flag(), "nodes": texts() })),
        "Key": key(),
        "StepWanted": step_wanted(json!({})),
        "RetireWanted": step_wanted(json!({ "force": {
            "type": "boolean",
            "default": false,
            "description": "Although cookies under it may be good: whoever holds one has to log in again.",
        } })),
        "CompromiseWanted": step_wanted(json!({ "replacement": {
            "type": "string",
            "pattern": "^[0-9a-f]{8}$",
            "description": "What seals instead; else a key that all live nodes have, or a new one.",
        } })),
        "RotateWanted": step_wanted(json!({
            "wait": { "enum": ["staged", "promoted"], "default": "staged" },
            "timeout_seconds": { "type": "integer", "minimum": 1, "maximum": 60, "default": 10, "description": "The longest wait." },
        })),
        "KeyDone": closed(json!({
            "dry_run": flag(),
            "key": or_null(text()),
            "changes": { "type": "array", "items": closed(json!({ "key": text(), "state": text() })) },
            "warning": or_null(text()),
            "operation": or_null(json!({ "$ref": "#/components/schemas/Operation" })),
        })),
        "Rotated": closed(json!({
            "dry_run": flag(),
            "key": or_null(text()),
            "found": or_null(json!({ "enum": ["new", "before", "unfinished"] })),
            "promoted": flag(),
            "waiting_for": texts(),
            "operation": or_null(json!({ "$ref": "#/components/schemas/Operation" })),
        })),
        "Rotation": closed(json!({ "staged": or_null(json!({ "$ref": "#/components/schemas/Key" })) })),
        "Nodes": closed(json!({ "healed": flag(), "incarnation": text(), "nodes": list("Node") })),
        "Node": node(),
        "Forgotten": closed(json!({ "dry_run": flag(), "id": text(), "forgotten": { "const": true } })),
        "Store": closed(json!({
            "store": text(),
            "app": text(),
            "incarnation": text(),
            "healed": flag(),
            "records": count(),
            "position": count(),
            "freshness": { "enum": ["joining", "fresh", "stale", "lost"] },
            "nodes": count(),
            "memory": { "$ref": "#/components/schemas/Memory" },
            "risks": list("Risk"),
        })),
        "Memory": memory(),
        "Risk": risk(),
        "Making": json!({ "type": "object", "additionalProperties": false, "properties": {
            "after_loss": { "type": "boolean", "default": false },
            "dry_run": { "type": "boolean", "default": false },
            "reason": { "type": "string", "maxLength": 500 },
        } }),
        "Made": closed(json!({ "dry_run": flag(), "made": { "enum": ["new", "after_loss", "already"] } })),
        "Audit": closed(json!({ "records": list("AuditRecord"), "next": or_null(text()) })),
        "AuditRecord": audit_record(),
        "Token": closed(json!({
            "id": text(),
            "name": text(),
            "scopes": { "type": "array", "items": { "enum": Scope::ALL } },
            "expires": or_null(time()),
        })),
        "Status": closed(json!({ "status": { "enum": ["alive", "ready"] } })),
        "Document": { "type": "object", "required": ["openapi", "info", "paths"] },
    })
}

fn problem() -> Value {
    let types: Vec<_> = Kind::ALL.iter().map(|kind| format!("urn:sealjar:problem:{}", kind.name())).collect();
    json!({
        "type": "object",
        "description": "Problem details (RFC 9457).",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": { "enum": types },
            "title": text(),
            "status": { "type": "integer", "minimum": 400, "maximum": 599 },
            "detail": { "type": "string", "description": "What happened, why, and what to do." },
            "needs": { "type": "array", "items": { "enum": Scope::ALL } },
            "waiting_for": texts(),
            "may_pass": flag(),
        },
    })
}

fn revoke() -> Value {
    let common = json!({
        "reason": { "type": "string", "maxLength": 500, "description": "Why: stands in the audit." },
        "wait": { "enum": ["committed", "replicated", "in_force"], "default": "committed" },
        "replicas": { "type": "integer", "minimum": 1, "maximum": 100, "default": 1, "description": "For wait: replicated." },
        "timeout_seconds": { "type": "integer", "minimum": 1, "maximum": 60, "default": 10, "description": "The longest wait." },
        "dry_run": { "type": "boolean", "default": false },
    });
    let of = |scope: Value, target: Option<Value>| {
        let mut properties = common.clone();
        properties["scope"] = scope;
        let mut required = vec!["scope"];
        if let Some(target) = target {
            properties["target"] = target;
            required.push("target");
        }
        json!({ "type": "object", "required": required, "additionalProperties": false, "properties": properties })
    };
    let handle = "^[0-9a-f]{16}(-[0-9]{4}-[0-9]{2}-[0-9]{2})?$";
    json!({ "oneOf": [
        of(json!({ "enum": ["subject", "tenant", "label"] }), Some(json!({ "type": "string", "minLength": 1, "maxLength": 255 }))),
        of(json!({ "const": "session" }), Some(json!({ "type": "string", "pattern": handle, "description": "A session's handle, or only its id." }))),
        of(json!({ "const": "all", "description": "Needs revoke.all." }), None),
    ] })
}

fn operation() -> Value {
    let all = |of: Value| json!({ "type": "array", "items": closed(of) });
    let missing = all(json!({ "id": text(), "name": text() }));
    let done = all(json!({ "id": text(), "name": text(), "after_ms": or_null(count()), "lapsed": flag() }));
    closed(json!({
        "id": text(),
        "state": { "enum": ["accepted", "committed", "replicated", "in_force", "incomplete"] },
        "scope": text(),
        "target": or_null(text()),
        "reason": or_null(text()),
        "actor": text(),
        "requested_at": time(),
        "as_of": time(),
        "position": count(),
        "records": count(),
        "replicas": or_null(count()),
        "in_force_after_ms": or_null(count()),
        "compromise": {
            "description": "Of a leaked key: whether every live node has heard that it is denied and nothing can undo that, \
                with how many of them, or what that waits for. Null for everything else.",
            "anyOf": [
                closed(json!({ "complete": flag(), "nodes": or_null(count()), "waits": or_null(text()) })),
                { "type": "null" },
            ],
        },
        "nodes": or_null(closed(json!({
            "total": count(),
            "confirmed": count(),
            "done": done,
            "outstanding": missing,
            "store_whole": flag(),
        }))),
    }))
}

fn node() -> Value {
    closed(json!({
        "id": text(),
        "name": text(),
        "state": { "enum": STATES },
        "late": flag(),
        "silent_ms": count(),
        "lapses_in_ms": or_null(count()),
        "applied": or_null(count()),
        "spooled": or_null(count()),
        "version": or_null(text()),
        "keys": or_null(json!({ "type": "object" })),
        "verdicts": or_null(json!({ "type": "object", "additionalProperties": count() })),
    }))
}

fn memory() -> Value {
    let bytes = |of: &str| json!({ "anyOf": [count(), { "type": "null" }], "description": of });
    closed(json!({
        "here": { "allOf": [count()], "description": "Bytes of this process's copy of the list." },
        "list": bytes("Bytes of the list in its store: a file with what SQLite keeps beside it, or the records on a server."),
        "server": bytes("Bytes that the server uses, for all that it holds."),
        "limit": bytes("Bytes that the server may use; null where it has no limit."),
    }))
}

fn risk() -> Value {
    closed(json!({
        "code": { "enum": Trouble::ALL.map(Trouble::code).as_slice() },
        "severity": { "enum": ([Severity::Warning, Severity::Problem].map(Severity::name)) },
        "seen": text(),
        "fix": text(),
    }))
}

fn key() -> Value {
    closed(json!({
        "id": text(),
        "state": { "enum": KeyState::ALL.map(KeyState::name) },
        "role": { "enum": ["seals", "opens", "refused"] },
        "promotion": count(),
        "created": or_null(time()),
        "counts_from": {
            "description": "When it was staged, or retired; of one that seals no more, until when a node may have.",
            "anyOf": [time(), { "type": "null" }],
        },
        "age_seconds": or_null(count()),
        "opened": {
            "description": "Cookies that nodes have opened under it on this UTC day, by the clock of the list.",
            "type": "integer",
            "minimum": 0,
        },
        "last_seen": or_null(time()),
        "has": texts(),
        "lacks": texts(),
        "sealing": texts(),
        "next": or_null(closed(json!({ "step": text(), "waits": or_null(text()) }))),
    }))
}

fn step_wanted(more: Value) -> Value {
    let mut properties = json!({
        "reason": { "type": "string", "maxLength": 500, "description": "Why: stands in the audit." },
        "dry_run": { "type": "boolean", "default": false },
    });
    if let (Some(properties), Some(more)) = (properties.as_object_mut(), more.as_object()) {
        properties.extend(more.clone());
    }
    json!({ "type": "object", "additionalProperties": false, "properties": properties })
}

fn explanation() -> Value {
    let session = closed(json!({
        "handle": text(),
        "logged_in": flag(),
        "generation": count(),
        "schema": count(),
        "born": time(),
        "authenticated_at": time(),
        "sealed_at": time(),
        "expires": time(),
        "idle_left": count(),
        "absolute_left": count(),
    }));
    let hit = closed(json!({
        "scope": text(),
        "target": or_null(text()),
        "as_of": or_null(time()),
        "floor": or_null(count()),
    }));
    let revoked = closed(json!({
        "seq": count(),
        "at": time(),
        "action": text(),
        "actor": or_null(text()),
        "peer": or_null(text()),
        "reason": or_null(text()),
        "result": or_null(text()),
    }));
    closed(json!({
        "verdict": { "enum": Verdict::ALL.map(Verdict::code) },
        "cause": text(),
        "fix": text(),
        "cookie": text(),
        "characters": or_null(count()),
        "suite": or_null(text()),
        "key": or_null(text()),
        "key_state": or_null(text()),
        "key_nodes": or_null(closed(json!({ "have": texts(), "lack": texts() }))),
        "session": or_null(session),
        "hit": or_null(hit),
        "revoked_by": or_null(revoked),
    }))
}

fn audit_record() -> Value {
    json!({
        "type": "object",
        "required": ["seq", "at", "event", "action"],
        "additionalProperties": false,
        "properties": {
            "seq": count(),
            "at": time(),
            "event": { "enum": Event::ALL.map(Event::name) },
            "action": text(),
            "actor": text(),
            "peer": text(),
            "scope": text(),
            "target": text(),
            "reason": text(),
            "of": count(),
            "status": count(),
            "result": text(),
            "count": count(),
        },
    })
}

/// An object that has these members and no others.
fn closed(properties: Value) -> Value {
    let required: Vec<_> = properties.as_object().into_iter().flat_map(|members| members.keys().cloned()).collect();
    json!({ "type": "object", "required": required, "additionalProperties": false, "properties": properties })
}

fn list(of: &str) -> Value {
    json!({ "type": "array", "items": { "$ref": format!("#/components/schemas/{of}") } })
}

fn or_null(schema: Value) -> Value {
    json!({ "anyOf": [schema, { "type": "null" }] })
}

fn texts() -> Value {
    json!({ "type": "array", "items": text() })
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn count() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

fn flag() -> Value {
    json!({ "type": "boolean" })
}

/// RFC 3339 in UTC.
fn time() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

fn day() -> Value {
    json!({ "type": "string", "format": "date" })
}
