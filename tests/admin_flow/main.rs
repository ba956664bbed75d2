//! The admin endpoint as a process, over both stores: revoked, followed node by node, explained, written down.
#![cfg(all(feature = "cli", unix))]

#[path = "../admin_support/mod.rs"]
mod admin_support;
#[path = "../redis_support/mod.rs"]
mod redis_support;
#[path = "../support_sessions/mod.rs"]
mod support_sessions;

mod stage;

mod keys;
mod log;
mod requests;
mod revocations;

/// The same promises over both stores.
macro_rules! over_both_stores {
    ($($part:ident::$test:ident),* $(,)?) => {
        mod sqlite { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() { super::$part::$test(super::stage::Stage::sqlite()).await }
        )* }
        mod redis { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() { super::$part::$test(super::stage::Stage::redis()).await }
        )* }
    };
}

over_both_stores!(
    revocations::a_user_is_logged_out_everywhere_and_the_audit_says_who_and_why,
    revocations::every_scope_revokes_what_it_says,
    revocations::a_node_that_is_missing_is_named_and_the_operation_goes_on,
    requests::what_changes_is_told_as_it_changes,
    requests::pages_show_every_revocation_once,
    requests::a_key_makes_a_request_happen_once,
    requests::a_client_that_hangs_up_stops_nothing,
    keys::a_key_is_rotated_step_by_step_and_a_shut_gate_says_for_whom_it_waits,
    keys::a_rotation_that_is_waited_for_ends_with_the_promotion_or_names_who_is_missing,
    keys::a_leaked_key_is_denied_and_everybody_logs_in_again,
);
