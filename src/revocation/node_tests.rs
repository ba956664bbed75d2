use super::*;

const LIFE: Incarnation = Incarnation(1);
const SEEN: Position = Position(1_000_000);

fn node(applied: u64, lease: Option<Duration>) -> Node {
    let report = Report { applied, ..Report::new("web:1".into(), lease) };
    Node { id: NodeId(applied), seen: SEEN, gave_back: Some(LIFE), report: Some(report) }
}

fn nodes(now: Position, nodes: Vec<Node>) -> Nodes {
    Nodes { incarnation: LIFE, begun: Position(0), healed: true, now, nodes }
}

#[test]
fn a_node_is_waited_for_until_it_has_applied_or_lapsed() {
    let all = vec![node(99, Some(minutes(1))), node(100, Some(minutes(1))), node(0, None)];
    let lapses = SEEN.after(minutes(1)).after(MARGIN);
    let outstanding = |now| {
        let progress = nodes(now, all.clone()).progress(LIFE, Position(100));
        progress.outstanding.iter().map(|node| node.id.0).collect::<Vec<_>>()
    };
    assert_eq!(outstanding(SEEN), [99, 0]);
    assert_eq!(outstanding(lapses), [99, 0]);
    assert_eq!(outstanding(lapses.next()), [0], "one without a lease never lapses");
}

#[test]
fn gates_name_nodes_in_the_same_order_whoever_was_heard_last() {
    let called = |name: &str| Node { report: Some(Report::new(name.into(), None)), ..node(1, None) };
    let names = |all: &[&str]| {
        let nodes = nodes(SEEN, all.iter().map(|name| called(name)).collect());
        nodes.members().into_iter().map(|member| member.name).collect::<Vec<_>>()
    };
    assert_eq!(names(&["web:2", "web:1", "web:3"]), ["web:1", "web:2", "web:3"]);
    assert_eq!(names(&["web:3", "web:2", "web:1"]), names(&["web:2", "web:1", "web:3"]));
}

#[test]
fn what_was_applied_in_another_life_counts_for_nothing() {
    let elsewhere = Node { gave_back: Some(Incarnation(2)), ..node(500, Some(minutes(1))) };
    let known = nodes(SEEN, vec![elsewhere]);
    assert!(!known.progress(LIFE, Position(100)).is_in_force());
    let other = known.progress(Incarnation(2), Position(100));
    assert!(other.lost && !other.is_in_force(), "the store has begun another life");
    assert!(nodes(SEEN, vec![node(100, None)]).progress(LIFE, Position(100)).is_in_force());
    let healing = Nodes { healed: false, ..nodes(SEEN, vec![node(100, None)]) };
    assert!(!healing.progress(LIFE, Position(100)).is_in_force());
}

#[test]
fn memory_is_waited_for_a_minute_also_of_those_that_never_lapse() {
    let owing = Node { gave_back: None, ..node(0, None) };
    assert!(owing.owes(LIFE, Position(0), SEEN.after(MEMORY).after(MARGIN)));
    assert!(!owing.owes(LIFE, Position(0), SEEN.after(MEMORY).after(MARGIN).next()));
    assert!(!node(0, None).owes(LIFE, Position(0), SEEN));
}

#[test]
fn a_store_is_whole_when_a_witness_gave_back_or_a_lease_is_over() {
    let (begun, lease) = (SEEN, Duration::from_secs(5));
    let over = SEEN.after(lease).after(MARGIN);
    let of = |served, gave_back| {
        let report = Report { served, ..Report::new("web:1".into(), Some(lease)) };
        Node { seen: SEEN, gave_back, report: Some(report), ..node(1, None) }
    };
    let whole = |nodes: &[Node], now| heal(nodes, LIFE, begun, now).is_ok();
    assert!(whole(&[of(true, Some(LIFE))], SEEN), "it served through the loss");
    assert!(!whole(&[of(false, Some(LIFE))], SEEN), "others may know more, and it has not asked them");
    assert!(whole(&[of(false, Some(LIFE))], over), "they had their time");
    let late = of(true, Some(Incarnation(9)));
    assert!(!whole(&[of(true, Some(LIFE)), late.clone()], over), "who is known is waited for");
    assert!(whole(&[of(true, Some(LIFE)), late], over.next()));
    assert!(!whole(&[], SEEN.after(MEMORY)), "nobody is known: a minute and the margin");
    assert!(whole(&[], SEEN.after(MEMORY).after(MARGIN)));
}

#[test]
fn a_node_is_late_long_before_it_lapses() {
    for node in [node(0, Some(minutes(1))), node(0, None)] {
        let bound = SEEN.after(MARGIN);
        assert_eq!((node.is_late(bound), node.is_late(bound.next())), (false, true));
        assert!(!node.has_lapsed(bound.next()));
    }
}

#[test]
fn a_node_that_says_nothing_readable_lapses_like_any_other() {
    let strange = Node { report: None, ..node(0, None) };
    assert!(!strange.has_lapsed(SEEN) && strange.has_lapsed(SEEN.after(MEMORY).after(MARGIN).next()));
}
