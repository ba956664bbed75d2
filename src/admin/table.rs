//! The table of routes: all that the endpoint does. Dispatcher, guard, audit and OpenAPI document read it.

use super::calls::keys::Verb;
use super::calls::{keys, looks, metrics, nodes, revocations, rotations, store};
use super::guard::Need;
use super::openapi::{EVENTS, HTML, METRICS};
use super::problem::Kind;
use super::route::{DRY_RUN, Parameter, Route};
use super::scope::Scope;

const READ: Need = Need::OneOf(&[Scope::Read]);
const REVOKE: Need = Need::OneOf(&[Scope::Revoke]);
/// Whoever may change something may see how far it has come.
const FOLLOW: Need = Need::OneOf(&[Scope::Read, Scope::Revoke, Scope::Keys]);
const KEYS: Need = Need::OneOf(&[Scope::Keys]);
const ANY: Need = Need::OneOf(&Scope::ALL);

const LIMIT: Parameter = Parameter {
    name: "limit",
    about: "At most this many.",
    schema: r#"{"type": "integer", "minimum": 1, "maximum": 500, "default": 100}"#,
};

/// A route that looks: no body, no further problems.
const LOOK: Route = Route {
    id: "",
    method: "GET",
    path: "",
    need: READ,
    about: "",
    query: &[],
    body: None,
    answers: &[],
    problems: &[],
    is_written: true,
    changes: false,
    call: |_, _| Box::pin(async { Ok(looks::health()) }),
};

/// A step of a key.
const KEY_STEP: Route = Route {
    method: "POST",
    need: KEYS,
    body: Some("StepWanted"),
    answers: &[
        (200, "KeyDone", "What would be done; or it was done before."),
        (201, "KeyDone", "It is done; the operation says which nodes have heard."),
    ],
    problems: &[Kind::NotFound, Kind::WrongState, Kind::StoreUnavailable],
    changes: true,
    ..LOOK
};

/// Every route.
pub static ROUTES: &[Route] = &[
    Route {
        id: "revoke",
        method: "POST",
        path: "/v1/revocations",
        need: REVOKE,
        about: "Revokes sessions, or says what that would write. There is no way back but logging in again.",
        body: Some("Revoke"),
        answers: &[
            (200, "DryRun", "What would be written; nothing was changed."),
            (201, "Operation", "Revoked, and worth what was waited for."),
            (202, "Operation", "Revoked; what was waited for was not reached in time. The operation names the nodes."),
        ],
        problems: &[Kind::StoreUnavailable],
        changes: true,
        call: |service, ask| Box::pin(revocations::revoke(service, ask)),
        ..LOOK
    },
    Route {
        id: "list_revocations",
        path: "/v1/revocations",
        about: "What is in the list, page by page. Names stand there as keyed hashes only.",
        query: &[
            LIMIT,
            Parameter {
                name: "cursor",
                about: "`next` of the page before.",
                schema: r#"{"type": "string", "pattern": "^([0-9a-f]{2}){1,13}$"}"#,
            },
            Parameter {
                name: "kind",
                about: "Only this kind.",
                schema: r#"{"type": "string", "enum": ["session", "generation_floor", "cut_off", "all", "forgotten", "key"]}"#,
            },
            Parameter {
                name: "target",
                about: "Only what begins with this: a session's id or handle, a keyed hash, a key's id.",
                schema: r#"{"type": "string", "pattern": "^[0-9a-f-]{1,40}$"}"#,
            },
        ],
        answers: &[(200, "Revocations", "A page.")],
        problems: &[Kind::StoreUnavailable],
        call: |service, ask| Box::pin(revocations::list(service, ask)),
        ..LOOK
    },
    Route {
        id: "list_operations",
        path: "/v1/operations",
        need: FOLLOW,
        about: "The last operations of this process, the newest first, as far as is known.",
        query: &[LIMIT],
        answers: &[(200, "Operations", "The operations.")],
        call: |service, ask| Box::pin(async { revocations::operations(service, ask) }),
        ..LOOK
    },
    Route {
        id: "operation",
        path: "/v1/operations/{id}",
        need: FOLLOW,
        about: "How far an operation has come, and which nodes are missing. Looks each time.",
        answers: &[(200, "Operation", "The operation.")],
        problems: &[Kind::NotFound, Kind::StoreUnavailable],
        call: |service, ask| Box::pin(revocations::operation(service, ask)),
        ..LOOK
    },
    Route {
        id: "explain",
        method: "POST",
        path: "/v1/explain",
        about: "Says why a cookie is accepted or refused, and who revoked it. Never its payload.",
        body: Some("Pasted"),
        answers: &[(200, "Explanation", "The verdict.")],
        problems: &[Kind::WrongState, Kind::StoreUnavailable],
        call: |service, ask| Box::pin(looks::explain(service, ask)),
        ..LOOK
    },
    Route {
        id: "list_keys",
        path: "/v1/keys",
        about: "Every key of the fleet: its state, what is opened under it, which nodes have it, what comes next.",
        answers: &[(200, "Keys", "The keys.")],
        problems: &[Kind::StoreUnavailable],
        call: |service, _| Box::pin(keys::list(service)),
        ..LOOK
    },
    Route {
        id: "key",
        path: "/v1/keys/{id}",
        about: "One key.",
        answers: &[(200, "Key", "The key.")],
        problems: &[Kind::NotFound, Kind::StoreUnavailable],
        call: |service, ask| Box::pin(keys::look(service, ask)),
        ..LOOK
    },
    Route {
        id: "promote_key",
        path: "/v1/keys/{id}:promote",
        about: "Seals with this key from now on, when every live node has it.",
        call: |service, ask| Box::pin(keys::step(service, ask, Verb::Promote)),
        ..KEY_STEP
    },
    Route {
        id: "retire_key",
        path: "/v1/keys/{id}:retire",
        body: Some("RetireWanted"),
        about: "Takes a key out of service: its cookies are refused.",
        call: |service, ask| Box::pin(keys::step(service, ask, Verb::Retire)),
        ..KEY_STEP
    },
    Route {
        id: "destroy_key",
        path: "/v1/keys/{id}:destroy",
        about: "Erases a retired key's bytes everywhere; its id stays.",
        call: |service, ask| Box::pin(keys::step(service, ask, Verb::Destroy)),
        ..KEY_STEP
    },
    Route {
        id: "abort_key",
        path: "/v1/keys/{id}:abort",
        about: "Takes a staged key back.",
        call: |service, ask| Box::pin(keys::step(service, ask, Verb::Abort)),
        ..KEY_STEP
    },
    Route {
        id: "compromise_key",
        path: "/v1/keys/{id}:compromise",
        body: Some("CompromiseWanted"),
        about: "A key is known to others: denies it, puts another in its place, and logs everybody out.",
        call: |service, ask| Box::pin(keys::step(service, ask, Verb::Compromise)),
        ..KEY_STEP
    },
    Route {
        id: "rotation",
        path: "/v1/rotations",
        about: "The key that is on its way to the nodes, and who lacks it.",
        answers: &[(200, "Rotation", "The key, or none.")],
        problems: &[Kind::StoreUnavailable],
        call: |service, _| Box::pin(rotations::look(service)),
        ..LOOK
    },
    Route {
        id: "rotate",
        method: "POST",
        path: "/v1/rotations",
        need: KEYS,
        about: "Makes a new key, which begins its way to the nodes, and promotes it if that is waited for.",
        body: Some("RotateWanted"),
        answers: &[
            (200, "Rotated", "What would be done."),
            (201, "Rotated", "It is on its way, and has come as far as was waited for."),
            (202, "Rotated", "It is on its way, and not promoted: some nodes lack it. Ask again, and it goes on."),
        ],
        problems: &[Kind::WrongState, Kind::StoreUnavailable],
        changes: true,
        call: |service, ask| Box::pin(rotations::rotate(service, ask)),
        ..LOOK
    },
    Route {
        id: "list_nodes",
        path: "/v1/nodes",
        about: "The processes that serve sessions by this list, how current each is, and when it lapses.",
        answers: &[(200, "Nodes", "The nodes.")],
        problems: &[Kind::StoreUnavailable],
        call: |service, _| Box::pin(nodes::list(service)),
        ..LOOK
    },
    Route {
        id: "forget_node",
        method: "POST",
        path: "/v1/nodes/{id}:forget",
        need: KEYS,
        about: "Takes a node off the list that will not come back, so that nobody waits for it.",
        query: &[DRY_RUN],
        answers: &[(200, "Forgotten", "It is off the list; if it is alive after all, it registers again.")],
        problems: &[Kind::NotFound, Kind::StoreUnavailable],
        changes: true,
        call: |service, ask| Box::pin(nodes::forget(service, ask)),
        ..LOOK
    },
    Route {
        id: "store",
        path: "/v1/store",
        about: "Where the list is, its present life, how much is in it, what it takes up, and what is risky about it.",
        answers: &[(200, "Store", "The store.")],
        problems: &[Kind::StoreUnavailable],
        call: |service, _| Box::pin(store::look(service)),
        ..LOOK
    },
    Route {
        id: "init_store",
        method: "POST",
        path: "/v1/store:init",
        need: Need::OneOf(&[Scope::RevokeAll]),
        about: "Makes the list where it is missing; anew, when it was lost and nobody knows it: that logs everybody out.",
        body: Some("Making"),
        answers: &[(200, "Made", "It is made; or, with dry_run, what would come of it.")],
        problems: &[Kind::WrongState, Kind::StoreUnavailable],
        changes: true,
        call: |service, ask| Box::pin(store::init(service, ask)),
        ..LOOK
    },
    Route {
        id: "events",
        path: "/v1/events",
        about: "What changes, as it changes: server-sent events hello, revocations, nodes, operation, store.",
        answers: &[(200, EVENTS, "Events, until the client goes.")],
        problems: &[Kind::TooMuchAtOnce],
        call: |service, ask| Box::pin(async { looks::events(service, ask) }),
        ..LOOK
    },
    Route {
        id: "list_audit",
        path: "/v1/audit",
        about: "What was done and what was refused, the newest first.",
        query: &[
            LIMIT,
            Parameter {
                name: "cursor",
                about: "`next` of the page before.",
                schema: r#"{"type": "integer", "minimum": 1, "maximum": 9007199254740991}"#,
            },
            Parameter {
                name: "event",
                about: "Only this kind.",
                schema: r#"{"type": "string", "enum": ["read", "attempt", "outcome", "refused", "tail_lost", "torn_line", "started"]}"#,
            },
            Parameter {
                name: "without",
                about: "All but this kind: `read` leaves what was only looked at.",
                schema: r#"{"type": "string", "enum": ["read", "attempt", "outcome", "refused", "tail_lost", "torn_line", "started"]}"#,
            },
            Parameter {
                name: "target",
                about: "Only what concerned this: a session's handle, a keyed hash, a key's id.",
                schema: r#"{"type": "string", "pattern": "^[0-9a-f-]{1,40}$"}"#,
            },
        ],
        answers: &[(200, "Audit", "A page.")],
        call: |service, ask| Box::pin(looks::audit(service, ask)),
        ..LOOK
    },
    Route {
        id: "token",
        path: "/v1/token",
        need: ANY,
        about: "What this token is good for.",
        answers: &[(200, "Token", "The token, without itself.")],
        call: |_, ask| Box::pin(async { Ok(looks::token(ask)) }),
        ..LOOK
    },
    Route {
        id: "console",
        path: "/",
        need: Need::Nothing,
        is_written: false,
        about: "The console: a page for a browser. It holds nothing; what it shows it asks for with your token.",
        answers: &[(200, HTML, "The page.")],
        call: |_, _| Box::pin(async { Ok(looks::console()) }),
        ..LOOK
    },
    Route {
        id: "metrics",
        path: "/metrics",
        about: "What this process knows, in the text format of Prometheus. Only refusals of it are in the audit.",
        answers: &[(200, METRICS, "The metrics; also while the store is away.")],
        is_written: false,
        call: |service, _| Box::pin(async { Ok(metrics::metrics(service).await) }),
        ..LOOK
    },
    Route {
        id: "health",
        path: "/healthz",
        need: Need::Nothing,
        is_written: false,
        about: "Whether this process is alive.",
        answers: &[(200, "Status", "It is.")],
        ..LOOK
    },
    Route {
        id: "ready",
        path: "/readyz",
        need: Need::Nothing,
        is_written: false,
        about: "Whether the list can be read.",
        answers: &[(200, "Status", "It can.")],
        problems: &[Kind::StoreUnavailable],
        call: |service, _| Box::pin(looks::ready(service)),
        ..LOOK
    },
    Route {
        id: "openapi",
        path: "/openapi.json",
        need: Need::Nothing,
        is_written: false,
        about: "This document.",
        answers: &[(200, "Document", "OpenAPI 3.1.")],
        call: |service, ask| Box::pin(async { Ok(looks::document(service, ask)) }),
        ..LOOK
    },
];

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::admin::audit::Event;
    use crate::admin::openapi;
    use crate::admin::rows::KINDS;

    /// A word list of a query is written in the table and in the code; they are the same.
    #[test]
    fn words_of_the_query_are_the_codes() {
        let words = |id: &str, name: &str| -> Value {
            let route = ROUTES.iter().find(|route| route.id == id).unwrap();
            let field = route.query.iter().find(|field| field.name == name).unwrap();
            serde_json::from_str::<Value>(field.schema).unwrap()["enum"].clone()
        };
        assert_eq!(words("list_revocations", "kind"), json!(KINDS));
        assert_eq!(words("list_audit", "event"), json!(Event::ALL.map(Event::name)));
        assert_eq!(words("list_audit", "without"), json!(Event::ALL.map(Event::name)));
    }

    #[test]
    fn names_and_paths_are_their_own_and_every_schema_is_there() {
        let document = openapi::document(ROUTES, "");
        for (n, route) in ROUTES.iter().enumerate() {
            let same =
                |other: &&Route| other.id == route.id || (other.path, other.method) == (route.path, route.method);
            assert!(!ROUTES[..n].iter().any(|other| same(&other)), "{}", route.id);
            assert!(!(route.is_written && route.need == Need::Nothing), "who shows no token fills no disk");
            assert!(!route.id.is_empty() && !route.about.is_empty() && !route.answers.is_empty());
            assert!(route.query.iter().all(|field| serde_json::from_str::<Value>(field.schema).is_ok()));
        }
        let text = document.to_string();
        let used = text.split("#/components/schemas/").skip(1).map(|rest| rest.split('"').next().unwrap());
        let (schemas, mut count) = (&document["components"]["schemas"], 0);
        for name in used {
            assert!(schemas[name].is_object(), "{name} is not described");
            count += 1;
        }
        assert!(count > 50);
    }
}
