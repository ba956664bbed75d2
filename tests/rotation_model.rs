//! The rotation protocol, looked through state by state: what must hold holds in every state within the bounds,
//! and without any one of the nine rules it does not. `docs/rotation-model.md` says what the bounds mean.

mod rotation_support;

use std::time::Instant;

use proptest::prelude::*;
use stateright::{Checker, HasDiscoveries, Model};

use rotation_support::{Budget, Rules, World};

/// One rotation, and the longest life of a cookie passes once.
const CALM: Budget = Budget { failovers: 0, wipes: 0, crashes: 0, compromises: 0, ages: 1, stages: 1, returns: 0 };
const FAILOVER: Budget = Budget { failovers: 1, ..CALM };
const WIPE: Budget = Budget { wipes: 1, ..CALM };

/// So many nodes; or one less, and one that is started.
fn nodes(count: usize, budget: Budget) -> World {
    World::new(&[(count, 0), (count - 1, 1)], budget)
}

fn alone(budget: Budget) -> World {
    World { durable: true, ..World::new(&[(1, 0)], budget) }
}

/// Looks through the whole space, and says how large it was.
fn looked_through(name: &str, world: World) -> usize {
    let began = Instant::now();
    let checker = world.checker().threads(2).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let (states, depth, took) = (checker.unique_state_count(), checker.max_depth(), began.elapsed().as_secs_f32());
    println!("{name}: {states} states, depth {depth}, {took:.1} s");
    checker.assert_properties();
    states
}

/// The same, and the document knows that number.
fn holds(name: &str, world: World) {
    let states = looked_through(name, world);
    let digits = states.to_string();
    let grouped = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect::<Vec<_>>().join(",");
    let document = include_str!("../docs/rotation-model.md");
    assert!(document.contains(&format!(" {grouped} |")), "docs/rotation-model.md does not say {grouped} of {name}");
}

/// Looks for a way to break one of these invariants, and shows the shortest.
fn breaks(name: &str, invariants: &[&'static str], world: World) {
    let world = World { watch: invariants.to_vec(), ..world };
    let checker = world.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let found = checker.discoveries();
    let (broken, path) = found.into_iter().next().unwrap_or_else(|| panic!("{name}: nothing breaks without it"));
    let steps: Vec<_> = path.into_actions().iter().map(ToString::to_string).collect();
    println!(
        "without {name}: {broken} is broken after {} states\n  {}",
        checker.unique_state_count(),
        steps.join(", ")
    );
}

// ── What must hold, holds ────────────────────────────────────────────────────────────────────────────────────────

#[test]
#[cfg_attr(debug_assertions, ignore = "slow in a debug build: add --release")]
fn two_nodes_hold_through_a_failover_and_a_crash_and_finish() {
    holds("two nodes, failover, crash", nodes(2, Budget { crashes: 1, ..FAILOVER }).finishing());
}

#[test]
#[cfg_attr(debug_assertions, ignore = "slow in a debug build: add --release")]
fn two_nodes_hold_through_a_wipe_and_a_crash_and_finish() {
    holds("two nodes, wipe, crash", nodes(2, Budget { crashes: 1, ..WIPE }).finishing());
}

#[test]
#[cfg_attr(debug_assertions, ignore = "slow in a debug build: add --release")]
fn two_nodes_hold_while_an_older_key_is_promoted_again() {
    holds("two nodes, failover, crash, going back", nodes(2, Budget { crashes: 1, returns: 1, ..FAILOVER }));
}

#[test]
#[cfg_attr(debug_assertions, ignore = "slow in a debug build: add --release")]
fn a_completed_compromise_is_not_undone() {
    holds("two nodes, failover, compromise", nodes(2, Budget { compromises: 1, ..FAILOVER }));
    holds("two nodes, wipe, compromise", nodes(2, Budget { compromises: 1, ..WIPE }));
}

#[test]
#[cfg_attr(debug_assertions, ignore = "slow in a debug build: add --release")]
fn two_nodes_with_disks_hold_through_a_failover_and_two_crashes() {
    holds(
        "two nodes with disks, failover, two crashes",
        World { durable: true, ..nodes(2, Budget { crashes: 2, ..FAILOVER }) },
    );
}

#[test]
#[cfg_attr(debug_assertions, ignore = "slow in a debug build: add --release")]
fn a_node_alone_with_its_disk_holds() {
    holds("one node, failover, crash, going back", alone(Budget { crashes: 1, returns: 1, ..FAILOVER }));
    holds("one node, wipe, crash, compromise", alone(Budget { crashes: 1, compromises: 1, ..WIPE }));
}

#[test]
#[cfg_attr(debug_assertions, ignore = "slow in a debug build: add --release")]
fn three_nodes_hold_through_a_failover() {
    holds("three nodes, failover", nodes(3, FAILOVER));
}

#[test]
#[cfg_attr(debug_assertions, ignore = "slow in a debug build: add --release")]
fn three_nodes_hold_through_a_wipe_and_finish() {
    holds("three nodes, wipe", nodes(3, WIPE).finishing());
}

#[test]
#[cfg_attr(debug_assertions, ignore = "slow in a debug build: add --release")]
fn two_nodes_hold_through_a_loss_a_crash_and_a_compromise() {
    let both = |loss| Budget { crashes: 1, compromises: 1, ..loss };
    holds("two nodes, failover, crash, compromise", nodes(2, both(FAILOVER)));
    holds("two nodes, wipe, crash, compromise", nodes(2, both(WIPE)));
}

#[test]
#[cfg_attr(debug_assertions, ignore = "slow in a debug build: add --release")]
fn two_nodes_hold_through_two_losses() {
    holds("two nodes, two failovers", nodes(2, Budget { failovers: 2, ..CALM }));
    holds("two nodes, wipe, failover", nodes(2, Budget { failovers: 1, ..WIPE }));
}

#[test]
#[cfg_attr(debug_assertions, ignore = "slow in a debug build: add --release")]
fn three_nodes_hold_through_a_loss_and_a_crash() {
    holds("three nodes, failover, crash", nodes(3, Budget { crashes: 1, ..FAILOVER }));
    holds("three nodes, wipe, crash", nodes(3, Budget { crashes: 1, ..WIPE }));
}

#[test]
#[ignore = "a minute, and two gigabytes: cargo test --release --test rotation_model -- --ignored"]
fn three_nodes_hold_through_a_failover_and_a_compromise() {
    holds("three nodes, failover, compromise", nodes(3, Budget { compromises: 1, ..FAILOVER }));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    /// Beyond the bounds: five nodes, more faults, and whatever happens.
    #[test]
    fn five_nodes_hold_on_random_walks(
        steps in proptest::collection::vec(any::<prop::sample::Index>(), 1..150),
        losses in prop_oneof![Just((1, 0)), Just((0, 1))],
    ) {
        let (failovers, wipes) = losses;
        let budget = Budget { failovers, wipes, crashes: 3, compromises: 1, ages: 2, stages: 1, returns: 1 };
        let world = World::new(&[(4, 1)], budget);
        let mut state = world.init_states().remove(0);
        for step in steps {
            let next = world.next_states(&state);
            if next.is_empty() {
                break;
            }
            state = step.get(&next).clone();
            prop_assert_eq!(state.broke, None, "{:?}", state);
        }
    }
}

// ── Without any one of the nine rules, it does not ───────────────────────────────────────────────────────────────

#[test]
#[cfg_attr(debug_assertions, ignore = "slow in a debug build: add --release")]
fn the_acknowledgement_gate_is_needed() {
    let rules = Rules { acknowledge: false, ..Rules::ALL };
    breaks("the acknowledgement gate", &["K1"], World { rules, ..nodes(2, CALM) });
}

#[test]
#[cfg_attr(debug_assertions, ignore = "slow in a debug build: add --release")]
fn registering_before_loading_is_needed() {
    let rules = Rules { register_first: false, ..Rules::ALL };
    breaks("registering before loading", &["K1"], World { rules, ..nodes(3, CALM) });
}

#[test]
#[cfg_attr(debug_assertions, ignore = "slow in a debug build: add --release")]
fn waiting_out_the_leases_after_a_loss_is_needed() {
    let rules = Rules { wait_out_leases: false, ..Rules::ALL };
    breaks("waiting out the leases", &["K1"], World { rules, ..nodes(3, WIPE) });
}

#[test]
#[cfg_attr(debug_assertions, ignore = "slow in a debug build: add --release")]
fn giving_back_is_needed() {
    let rules = Rules { push_back: false, ..Rules::ALL };
    breaks("giving back", &["K1"], World { rules, ..nodes(3, WIPE) });
}

#[test]
#[cfg_attr(debug_assertions, ignore = "slow in a debug build: add --release")]
fn healing_before_a_node_joins_is_needed() {
    let rules = Rules { heal_before_joining: false, ..Rules::ALL };
    breaks("healing before a node joins", &["K1"], World { rules, ..nodes(3, FAILOVER) });
}

#[test]
#[cfg_attr(debug_assertions, ignore = "slow in a debug build: add --release")]
fn healing_before_a_fenced_node_resumes_is_needed() {
    let rules = Rules { heal_before_resuming: false, ..Rules::ALL };
    breaks("healing before a fenced node resumes", &["K1"], World { rules, ..nodes(3, FAILOVER) });
}

#[test]
#[cfg_attr(debug_assertions, ignore = "slow in a debug build: add --release")]
fn two_holders_are_needed() {
    let rules = Rules { two_holders: false, ..Rules::ALL };
    breaks("two holders", &["K2"], World { rules, ..nodes(2, FAILOVER) });
    let compromise = Budget { compromises: 1, ..FAILOVER };
    breaks("two holders of a compromise", &["K6"], World { rules, ..nodes(2, compromise) });
}

#[test]
#[cfg_attr(debug_assertions, ignore = "slow in a debug build: add --release")]
fn the_drain_gate_is_needed() {
    let rules = Rules { drain: false, ..Rules::ALL };
    breaks("the drain gate", &["K1"], World { rules, ..nodes(3, CALM) });
    breaks("the drain gate", &["K2"], World { rules, ..nodes(2, CALM) });
}

#[test]
#[cfg_attr(debug_assertions, ignore = "slow in a debug build: add --release")]
fn not_serving_past_the_lease_is_needed() {
    let rules = Rules { stop_at_the_lease: false, ..Rules::ALL };
    breaks("stopping at the lease", &["K1"], World { rules, ..nodes(3, CALM) });
}

/// What the protocol does not promise, it does not keep: the bounds are as wide as they can be.
#[test]
#[cfg_attr(debug_assertions, ignore = "slow in a debug build: add --release")]
fn beyond_the_limit_it_breaks() {
    let beyond = World { beyond_the_limit: true, ..nodes(2, Budget { crashes: 1, ..FAILOVER }) };
    breaks("a survivor who knows", &["K2"], beyond);
}
