//! The history checker finds what is planted, and is silent about what was promised to nobody.

mod history;

use history::{
    Bounds, Breach, Call, Cookie, Deed, History, Life, Loss, Micros, Policy, ProcessNo, Reached, Seen, SessionNo, Span,
    What, check,
};

const SECOND: Micros = 1_000_000;
const ONE: ProcessNo = ProcessNo(1);
const TWO: ProcessNo = ProcessNo(2);
const ADA: SessionNo = SessionNo(1);
const POLICY: Policy = Policy::Default;

/// Two processes that are there all the time, and Ada, subject 7, who logged in at 1 s.
fn calm() -> History {
    let life = |process| Life { process, begun: 0, ready: Some(0), killed: None, has_file: false, stops: Vec::new() };
    let mut history = History { lives: vec![life(ONE), life(TWO)], bounds: Bounds::default(), ..History::default() };
    history.bounds.lag = 2 * SECOND;
    at(&mut history, ONE, 1, Deed::Login { session: ADA, subject: 7 });
    history
}

/// A call that takes a tenth of a second, and begins at that second.
fn at(history: &mut History, process: ProcessNo, second: u64, deed: Deed) {
    let began = second * SECOND;
    history.calls.push(Call { process, span: Span::of(began, began + SECOND / 10), longest: SECOND / 10, deed });
}

fn revoke(what: What, reached: Reached) -> Deed {
    Deed::Revoke { what, reached }
}

fn open(seen: Seen) -> Deed {
    Deed::Open { cookie: Cookie { session: ADA, generation: 0 }, policy: POLICY, seen }
}

fn refused() -> Deed {
    open(Seen::Refused("revoked_session".into()))
}

fn loss(from: u64, to: u64, kept_until: u64) -> Loss {
    let span = Span::of(from * SECOND, to * SECOND);
    Loss { span, kept_until: kept_until * SECOND, values: true, failover: false, moved: Vec::new() }
}

fn names(history: &History) -> Vec<&'static str> {
    let name = |breach: &Breach| match breach {
        Breach::Bound { .. } => "bound",
        Breach::Forgotten { .. } => "forgotten",
        Breach::NotGivenBack { .. } => "not given back",
        Breach::FalseLogout { .. } => "false logout",
        Breach::Twice { .. } => "twice",
        Breach::AfterLoss { .. } => "after loss",
        Breach::Hang { .. } => "hang",
    };
    check(history).iter().map(name).collect()
}

#[test]
fn a_late_acceptance_breaches_the_bound() {
    let mut history = calm();
    at(&mut history, ONE, 10, revoke(What::Session(ADA), Reached::Committed));
    at(&mut history, TWO, 15, open(Seen::Live));
    assert_eq!(names(&history), [""; 0], "it began 4.9 s after the call returned");
    at(&mut history, TWO, 16, open(Seen::Unavailable));
    assert_eq!(names(&history), [""; 0], "503 is always right");
    at(&mut history, TWO, 16, open(Seen::Live));
    assert_eq!(names(&history), ["bound"]);
    let said = check(&history)[0].to_string();
    assert!(said.contains("promise B") && said.contains("5900 ms later"), "{said}");
}

#[test]
fn each_scope_is_looked_for() {
    for (what, generation, breached) in [
        (What::Session(ADA), 0, true),
        (What::Session(SessionNo(2)), 0, false),
        (What::Subject(7), 0, true),
        (What::Subject(8), 0, false),
        (What::Everybody, 0, true),
        (What::Floor(ADA, 1), 0, true),
        (What::Floor(ADA, 1), 1, false),
    ] {
        let mut history = calm();
        at(&mut history, ONE, 10, revoke(what, Reached::Committed));
        let cookie = Cookie { session: ADA, generation };
        at(&mut history, TWO, 30, Deed::Open { cookie, policy: POLICY, seen: Seen::Live });
        assert_eq!(!names(&history).is_empty(), breached, "{what:?}, generation {generation}");
        history.calls.pop();
        at(&mut history, TWO, 30, Deed::Open { cookie, policy: POLICY, seen: Seen::Refused("any".into()) });
        assert_eq!(names(&history).is_empty(), breached, "{what:?}, generation {generation}, refused");
    }
}

#[test]
fn each_policy_has_its_bound() {
    for (policy, good, bad) in [
        (Policy::Strict, 10, 11),
        (Policy::Relaxed { fresh: true }, 15, 16),
        (Policy::Relaxed { fresh: false }, 70, 71),
    ] {
        for (second, expected) in [(good, 0), (bad, 1)] {
            let mut history = calm();
            at(&mut history, ONE, 10, revoke(What::Session(ADA), Reached::Committed));
            let cookie = Cookie { session: ADA, generation: 0 };
            at(&mut history, TWO, second, Deed::Open { cookie, policy, seen: Seen::Live });
            assert_eq!(names(&history).len(), expected, "{policy:?} at {second} s");
        }
    }
}

#[test]
fn the_process_that_revoked_knows_at_once() {
    for (reached, expected) in
        [(Reached::Committed, vec!["bound"]), (Reached::Accepted, vec!["bound"]), (Reached::Unknown, vec![])]
    {
        let mut history = calm();
        at(&mut history, ONE, 10, revoke(What::Session(ADA), reached));
        at(&mut history, ONE, 11, open(Seen::Live));
        assert_eq!(names(&history), expected, "{reached:?}");
    }
}

#[test]
fn what_the_store_lost_is_not_bound_by_time() {
    for (lost, expected) in [
        (loss(20, 21, 0), vec![]),
        (loss(20, 21, 9), vec![]),
        (loss(20, 21, 11), vec!["bound"]),
        (loss(31, 32, 0), vec!["bound"]),
        (loss(5, 6, 0), vec!["bound"]),
    ] {
        let mut history = calm();
        at(&mut history, ONE, 10, revoke(What::Session(ADA), Reached::Committed));
        at(&mut history, TWO, 30, open(Seen::Live));
        history.losses.push(lost.clone());
        assert_eq!(names(&history), expected, "{lost:?}");
    }
}

#[test]
fn a_failover_keeps_what_was_replicated_or_went_to_the_new_primary() {
    let failover = Loss { failover: true, moved: vec![(ONE, 12 * SECOND)], ..loss(5, 20, 4) };
    for (second, reached, opened, expected) in [
        (10, Reached::Committed, 40, vec![]),
        (10, Reached::Replicated, 40, vec!["bound"]),
        (13, Reached::Committed, 40, vec!["bound"]),
        (13, Reached::Committed, 20, vec![]),
        (13, Reached::Committed, 21, vec!["bound"]),
    ] {
        let mut history = calm();
        history.losses.push(failover.clone());
        at(&mut history, ONE, second, revoke(What::Session(ADA), reached));
        at(&mut history, TWO, opened, open(Seen::Live));
        assert_eq!(names(&history), expected, "{reached:?} at {second} s, opened at {opened} s");
    }
}

/// A cut-off is a position, and that of a deposed primary is behind those that the new one gives out.
#[test]
fn a_cut_off_at_a_deposed_primary_means_nobody_at_the_new_one() {
    for (what, expected) in [(What::Session(ADA), vec!["bound", "not given back"]), (What::Subject(7), vec![])] {
        let mut history = calm();
        history.losses.push(Loss { failover: true, ..loss(5, 20, 4) });
        history.calms.push(Span::of(30 * SECOND, 31 * SECOND));
        at(&mut history, ONE, 10, revoke(what, Reached::Committed));
        at(&mut history, ONE, 11, open(Seen::Live));
        at(&mut history, TWO, 40, open(Seen::Live));
        assert_eq!(names(&history), expected, "{what:?}");
    }
}

#[test]
fn what_was_in_force_is_not_forgotten_by_any_loss() {
    for (reached, expected) in [(Reached::InForce, vec!["forgotten"]), (Reached::Committed, vec![])] {
        let mut history = calm();
        at(&mut history, ONE, 10, revoke(What::Session(ADA), reached));
        history.losses.push(loss(20, 21, 0));
        at(&mut history, TWO, 22, open(Seen::Live));
        assert_eq!(names(&history), expected);
    }
}

#[test]
fn it_is_in_force_when_every_process_has_refused() {
    let mut history = calm();
    at(&mut history, ONE, 10, revoke(What::Session(ADA), Reached::Committed));
    history.losses.push(loss(20, 21, 0));
    let three = ProcessNo(3);
    history.lives.push(Life {
        process: three,
        begun: 22 * SECOND,
        ready: Some(25 * SECOND),
        killed: None,
        has_file: false,
        stops: Vec::new(),
    });
    at(&mut history, three, 30, open(Seen::Live));
    assert_eq!(names(&history), [""; 0], "the other one never showed that it had it");
    at(&mut history, TWO, 12, open(Seen::Refused("superseded".into())));
    assert_eq!(names(&history), [""; 0], "it refused it for another reason");
    at(&mut history, TWO, 12, refused());
    assert_eq!(names(&history), ["forgotten"]);
    // From 25 s on nobody was there.
    history.lives[0].killed = Some(15 * SECOND);
    history.lives[1].killed = Some(24 * SECOND);
    assert_eq!(names(&history), [""; 0]);
    history.lives[1].killed = Some(26 * SECOND);
    assert_eq!(names(&history), ["forgotten"], "one handed it on");
    history.lives[1].killed = Some(24 * SECOND);
    history.lives[1].has_file = true;
    assert_eq!(names(&history), ["forgotten"], "a file has survived");
    history.lives[2].begun = 9 * SECOND;
    assert_eq!(names(&history), [""; 0], "it may have read the list before that");
}

#[test]
fn a_process_that_knows_gives_it_back() {
    let mut history = calm();
    at(&mut history, ONE, 10, revoke(What::Session(ADA), Reached::Committed));
    history.losses.push(loss(20, 21, 0));
    history.calms.push(Span::of(9 * SECOND, 15 * SECOND));
    history.calms.push(Span::of(30 * SECOND, 40 * SECOND));
    at(&mut history, TWO, 39, open(Seen::Live));
    assert_eq!(names(&history), [""; 0], "not calm yet, or it was revoked only then");
    at(&mut history, TWO, 41, open(Seen::Live));
    assert_eq!(names(&history), ["not given back"]);
    history.lives[0].killed = Some(39 * SECOND);
    assert_eq!(names(&history), [""; 0], "it is gone, and so is what it knew");
}

#[test]
fn a_refusal_needs_a_reason() {
    let mut history = calm();
    at(&mut history, TWO, 5, refused());
    assert_eq!(names(&history), ["false logout"]);
    at(&mut history, ONE, 4, revoke(What::Session(ADA), Reached::Unknown));
    assert_eq!(names(&history), [""; 0], "it may have happened");
    history.calls.pop();
    at(&mut history, ONE, 6, revoke(What::Session(ADA), Reached::Committed));
    assert_eq!(names(&history), ["false logout"], "it came later");
}

#[test]
fn whoever_logs_in_after_a_cut_off_is_in() {
    for (second, reached, trouble, expected) in [
        (0, Reached::Committed, false, vec!["false logout"]),
        (1, Reached::Committed, false, vec![]),
        (0, Reached::Committed, true, vec![]),
        (0, Reached::Accepted, false, vec![]),
        (0, Reached::Unknown, false, vec![]),
    ] {
        let mut history = calm();
        at(&mut history, TWO, second, revoke(What::Subject(7), reached));
        if trouble {
            history.troubles.push(Span::of(0, SECOND));
        }
        at(&mut history, TWO, 20, refused());
        assert_eq!(names(&history), expected, "{reached:?} at {second} s");
    }
}

#[test]
fn a_one_time_value_has_one_winner_and_none_after_a_loss() {
    let take = |first| Deed::Take { value: 1, minted: 2 * SECOND, first };
    let mut history = calm();
    at(&mut history, ONE, 3, take(true));
    at(&mut history, TWO, 3, take(false));
    assert_eq!(names(&history), [""; 0]);
    history.losses.push(loss(1, 2, 0));
    assert_eq!(names(&history), [""; 0], "it was minted after that");
    at(&mut history, TWO, 4, take(true));
    assert_eq!(names(&history), ["twice"]);
    history.calls.truncate(1);
    history.losses.push(loss(5, 6, 0));
    at(&mut history, TWO, 7, take(true));
    assert_eq!(names(&history), ["after loss"]);
    history.losses[1].values = false;
    assert_eq!(names(&history), [""; 0]);
}

#[test]
fn a_call_that_takes_too_long_is_told() {
    let mut history = calm();
    at(&mut history, ONE, 3, open(Seen::Live));
    history.calls[1].longest = 10 * SECOND;
    assert_eq!(names(&history), [""; 0]);
    history.calls[1].longest += 1;
    assert_eq!(names(&history), ["hang"]);
    history.lives[0].stops.push(Span::of(0, 3 * SECOND + 2));
    assert_eq!(names(&history), [""; 0], "it was frozen for two of these microseconds");
}
