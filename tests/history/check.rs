//! The checker: a pure function of a history.
//!
//! **Promise B(S)**: from the moment a revocation is COMMITTED and not lost by the store (or REPLICATED on the
//! replica that is promoted), no fresh node accepts a matching cookie in a check that starts S later, plus
//! `min-replicas-max-lag` across a failover. **Promise D**: a revocation that was `IN_FORCE`, or REPLICATED as
//! above, is not forgotten while one node or one node's file survives.
//!
//! Where the history does not say what happened, the checker takes what is better for the library: what it
//! reports is broken for certain.

use std::collections::BTreeMap;
use std::fmt;

use super::{Call, Cookie, Deed, History, Life, Loss, Micros, Policy, ProcessNo, Reached, Seen, SessionNo, Span, What};

/// A broken promise, with the calls that show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Breach {
    /// Promise B: accepted too long after the revocation.
    Bound {
        cookie: Cookie,
        what: What,
        policy: Policy,
        process: ProcessNo,
        revoked: Span,
        accepted: Span,
        after: Micros,
    },
    /// Promise D: accepted although it was in force.
    Forgotten { cookie: Cookie, process: ProcessNo, in_force: Micros, accepted: Span },
    /// A process that knew it was there all the time, and has not given it back to the others.
    NotGivenBack { cookie: Cookie, process: ProcessNo, known_to: ProcessNo, revoked: Span, accepted: Span },
    /// A live session was refused.
    FalseLogout { cookie: Cookie, process: ProcessNo, verdict: String, refused: Span },
    /// A one-time value was handed out twice.
    Twice { value: u32, takes: [Span; 2] },
    /// A one-time value was handed out after the store had lost that it may have been before.
    AfterLoss { value: u32, taken: Span, loss: Span },
    /// A call took too long.
    Hang { process: ProcessNo, call: Span, longest: Micros },
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |micros: &Micros| micros / 1000;
        match self {
            Self::Bound { cookie, what, policy, process, revoked, accepted, after } => write!(
                f,
                "promise B: {cookie:?} was revoked in {revoked} ({what:?}), and {process:?} accepted it ({policy:?}) in {accepted}, {} ms later",
                ms(after)
            ),
            Self::Forgotten { cookie, process, in_force, accepted } => write!(
                f,
                "promise D: the end of {cookie:?} was in force at {:.3} s, and {process:?} accepted it in {accepted}",
                super::seconds(*in_force)
            ),
            Self::NotGivenBack { cookie, process, known_to, revoked, accepted } => write!(
                f,
                "not given back: {known_to:?} revoked {cookie:?} in {revoked} and was there since, and {process:?} accepted it in {accepted}"
            ),
            Self::FalseLogout { cookie, process, verdict, refused } => {
                write!(f, "false logout: nobody revoked {cookie:?}, and {process:?} refused it in {refused}: {verdict}")
            }
            Self::Twice { value, takes: [one, two] } => {
                write!(f, "one-time value {value} was taken in {one} and in {two}")
            }
            Self::AfterLoss { value, taken, loss } => {
                write!(f, "one-time value {value} was taken in {taken}, after the loss in {loss}")
            }
            Self::Hang { process, call, longest } => write!(f, "hang: {process:?} took {} ms in {call}", ms(longest)),
        }
    }
}

/// Every breach of the history.
#[must_use]
pub fn check(history: &History) -> Vec<Breach> {
    let facts = Facts::of(history);
    let mut breaches = Vec::new();
    for call in &history.calls {
        if call.longest.saturating_sub(facts.frozen(call)) > history.bounds.patience {
            breaches.push(Breach::Hang { process: call.process, call: call.span, longest: call.longest });
        }
        if let Deed::Open { cookie, policy, seen } = &call.deed {
            match seen {
                Seen::Live => breaches.extend(facts.accepted(call, *cookie, *policy)),
                Seen::Refused(verdict) => breaches.extend(facts.refused(call, *cookie, verdict)),
                Seen::Unavailable => {}
            }
        }
    }
    breaches.extend(facts.taken());
    breaches
}

/// The history, sorted for questions.
struct Facts<'a> {
    history: &'a History,
    logins: BTreeMap<SessionNo, (Span, u32)>,
    of_session: BTreeMap<SessionNo, Vec<Revoked<'a>>>,
    of_subject: BTreeMap<u32, Vec<Revoked<'a>>>,
    of_everybody: Vec<Revoked<'a>>,
}

/// A revocation.
#[derive(Clone, Copy)]
struct Revoked<'a> {
    call: &'a Call,
    what: What,
    reached: Reached,
    /// From when on every process had it.
    in_force: Option<Micros>,
}

/// Whether a revocation means a cookie.
#[derive(PartialEq)]
enum Meant {
    No,
    /// They happened at the same time, or nobody knows whether the one happened at all.
    Perhaps,
    Certainly,
}

impl<'a> Facts<'a> {
    fn of(history: &'a History) -> Self {
        let login = |call: &Call| match call.deed {
            Deed::Login { session, subject } => Some((session, (call.span, subject))),
            _ => None,
        };
        let logins = history.calls.iter().filter_map(login).collect();
        let (of_session, of_subject, of_everybody) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        let mut facts = Self { history, logins, of_session, of_subject, of_everybody };
        let refusals = refusals(history);
        for call in &history.calls {
            let Deed::Revoke { what, reached } = call.deed else { continue };
            let in_force = facts.in_force(call, what, reached, &refusals);
            let revoked = Revoked { call, what, reached, in_force };
            match what {
                What::Session(session) | What::Floor(session, _) => {
                    facts.of_session.entry(session).or_default().push(revoked);
                }
                What::Subject(subject) => facts.of_subject.entry(subject).or_default().push(revoked),
                What::Everybody => facts.of_everybody.push(revoked),
            }
        }
        facts
    }

    /// When it was in force: when the call said so, or when every process that had the list by then had
    /// refused a cookie that nothing else denies by that verdict.
    fn in_force(&self, call: &Call, what: What, reached: Reached, refusals: &Refusals) -> Option<Micros> {
        if reached == Reached::InForce {
            return Some(call.span.ended);
        }
        if reached < Reached::Committed {
            return None;
        }
        let (What::Session(session) | What::Floor(session, _)) = what else { return None };
        let refused = refusals.get(&session)?;
        let first = |process| {
            if process == call.process {
                return Some(call.span.ended);
            }
            let shows = |(cookie, span, verdict): &&(Cookie, Span, &str)| {
                span.began > call.span.ended
                    && match what {
                        What::Floor(_, floor) => *verdict == "superseded" && cookie.generation + 1 == floor,
                        _ => *verdict == "revoked_session",
                    }
            };
            refused.get(&process)?.iter().find(shows).map(|(_, span, _)| span.ended)
        };
        let mut at = call.span.ended;
        // Whoever became ready meanwhile has to have it too.
        loop {
            let mut later = at;
            for life in self.history.lives.iter().filter(|life| life.may_read_at(at)) {
                match (first(life.process), life.killed) {
                    (Some(refused), _) => later = later.max(refused),
                    (None, Some(killed)) => later = later.max(killed),
                    (None, None) => return None,
                }
            }
            if later == at {
                return Some(at);
            }
            at = later;
        }
    }

    /// All revocations that may mean a cookie.
    fn of_cookie(&self, cookie: Cookie) -> impl Iterator<Item = &Revoked<'a>> {
        let subject = self.logins.get(&cookie.session).and_then(|(_, subject)| self.of_subject.get(subject));
        let session = self.of_session.get(&cookie.session);
        session.into_iter().chain(subject).flatten().chain(&self.of_everybody)
    }

    fn means(&self, revoked: &Revoked, cookie: Cookie) -> Meant {
        let login = self.logins.get(&cookie.session);
        // A login that could not ask the store is born at the last position that its process knew, which may be S old.
        let late = login.is_some_and(|(span, _)| self.history.troubles.iter().any(|trouble| trouble.overlaps(*span)));
        let slack = if late { self.history.bounds.fresh } else { 0 };
        means(revoked.what, cookie, login, revoked.call, revoked.reached, slack)
    }

    fn accepted(&self, call: &Call, cookie: Cookie, policy: Policy) -> Option<Breach> {
        let certain = self.of_cookie(cookie).filter(|revoked| self.means(revoked, cookie) == Meant::Certainly);
        for revoked in certain {
            let (accepted, process) = (call.span, call.process);
            if let Some(in_force) =
                revoked.in_force.filter(|at| *at < accepted.began && self.survives(*at, accepted.began))
            {
                return Some(Breach::Forgotten { cookie, process, in_force, accepted });
            }
            if self.is_given_back(revoked, accepted) {
                let (known_to, revoked) = (revoked.call.process, revoked.call.span);
                return Some(Breach::NotGivenBack { cookie, process, known_to, revoked, accepted });
            }
            let Some(bound) = self.bound(revoked, call, policy) else { continue };
            let after = accepted.began.saturating_sub(revoked.call.span.ended);
            if after > bound {
                let (what, revoked) = (revoked.what, revoked.call.span);
                return Some(Breach::Bound { cookie, what, policy, process, revoked, accepted, after });
            }
        }
        None
    }

    /// How long after a revocation a call may still accept. None: for ever, because the store may have lost it.
    fn bound(&self, revoked: &Revoked, call: &Call, policy: Policy) -> Option<Micros> {
        let bounds = self.history.bounds;
        if revoked.reached < Reached::Committed {
            // It is in force where it was accepted.
            return (revoked.reached == Reached::Accepted && revoked.call.process == call.process).then_some(0);
        }
        // Whoever published it knows it, whatever the store does.
        if revoked.call.process == call.process {
            return (!self.is_of_another_time(revoked)).then_some(0);
        }
        let losses = || self.history.losses.iter().filter(|loss| loss.span.began <= call.span.ended);
        if losses().any(|loss| may_have_lost(loss, revoked)) {
            return None;
        }
        let within = match policy {
            Policy::Strict => 0,
            Policy::Default | Policy::Relaxed { fresh: true } => bounds.fresh,
            Policy::Relaxed { fresh: false } => bounds.lost,
        };
        // While a replica was promoted, some may have been at the old primary until it stopped taking writes.
        let crossed = losses().any(|loss| loss.failover && revoked.call.span.began <= loss.span.ended);
        Some(within + if crossed { bounds.lag } else { 0 })
    }

    /// Whether it may have been committed at a primary that was deposed by then. Its position is of that
    /// one's time, and says nothing of sessions that were born meanwhile at the other one.
    fn is_of_another_time(&self, revoked: &Revoked) -> bool {
        let has_position = matches!(revoked.what, What::Subject(_) | What::Everybody);
        has_position && self.history.losses.iter().any(|loss| loss.failover && may_have_lost(loss, revoked))
    }

    /// Whether it must be known everywhere by now, whatever the store lost, because the process that published it
    /// has been there all the time, and all was well since.
    fn is_given_back(&self, revoked: &Revoked, accepted: Span) -> bool {
        let (call, is_published) =
            (revoked.call, revoked.reached >= Reached::Committed && !self.is_of_another_time(revoked));
        let since = |calm: &&Span| call.span.ended < calm.began && calm.ended < accepted.began;
        let is_there = |at| self.life(call.process).is_some_and(|life| life.is_ready_at(at));
        is_published && self.history.calms.iter().rev().find(since).is_some_and(|calm| is_there(calm.ended))
    }

    fn life(&self, process: ProcessNo) -> Option<&Life> {
        self.history.lives.iter().find(|life| life.process == process)
    }

    /// For how long of a call its process was frozen.
    fn frozen(&self, call: &Call) -> Micros {
        let stops = self.life(call.process).into_iter().flat_map(|life| &life.stops);
        stops.map(|stop| stop.shared(call.span)).sum()
    }

    /// Whether a process that had the list, or its file, was there at all times.
    fn survives(&self, from: Micros, to: Micros) -> bool {
        let lives = &self.history.lives;
        if lives.iter().any(|life| life.has_file && life.ready.is_some_and(|ready| ready <= from)) {
            return true;
        }
        let mut at = from;
        while at < to {
            let lasts = |life: &Life| life.is_ready_at(at).then(|| life.killed.unwrap_or(Micros::MAX));
            match lives.iter().filter_map(lasts).max() {
                Some(until) if until > at => at = until,
                _ => return false,
            }
        }
        true
    }

    fn refused(&self, call: &Call, cookie: Cookie, verdict: &str) -> Option<Breach> {
        let may_be =
            |revoked: &Revoked| revoked.call.span.began <= call.span.ended && self.means(revoked, cookie) != Meant::No;
        if self.of_cookie(cookie).any(may_be) {
            return None;
        }
        let (process, verdict, refused) = (call.process, verdict.to_owned(), call.span);
        Some(Breach::FalseLogout { cookie, process, verdict, refused })
    }

    fn taken(&self) -> Vec<Breach> {
        let mut winners = BTreeMap::<u32, Span>::new();
        let mut breaches = Vec::new();
        for call in &self.history.calls {
            let Deed::Take { value, minted, first: true } = call.deed else { continue };
            if let Some(before) = winners.insert(value, call.span) {
                breaches.push(Breach::Twice { value, takes: [before, call.span] });
            }
            let lost = |loss: &&Loss| loss.values && minted < loss.span.began && loss.span.ended < call.span.began;
            if let Some(loss) = self.history.losses.iter().find(lost) {
                breaches.push(Breach::AfterLoss { value, taken: call.span, loss: loss.span });
            }
        }
        breaches
    }
}

fn means(
    what: What,
    cookie: Cookie,
    login: Option<&(Span, u32)>,
    call: &Call,
    reached: Reached,
    slack: Micros,
) -> Meant {
    let is_meant = match what {
        What::Session(session) => cookie.session == session,
        What::Floor(session, floor) => cookie.session == session && cookie.generation < floor,
        What::Subject(_) | What::Everybody => {
            let Some((login, subject)) = login else { return Meant::No };
            if let What::Subject(cut) = what
                && cut != *subject
            {
                return Meant::No;
            }
            // One that waits in a node's file has its position from when it is published, and nobody told when that was.
            let has_position = reached >= Reached::Committed;
            let is_after = has_position && login.began > call.span.ended.saturating_add(slack);
            if !is_after && login.ended >= call.span.began {
                return Meant::Perhaps;
            }
            !is_after
        }
    };
    match (is_meant, reached) {
        (false, _) => Meant::No,
        (true, Reached::Unknown) => Meant::Perhaps,
        (true, _) => Meant::Certainly,
    }
}

/// Whether the store may have forgotten a revocation that it had taken.
fn may_have_lost(loss: &Loss, revoked: &Revoked) -> bool {
    let span = revoked.call.span;
    if loss.failover && revoked.reached >= Reached::Replicated {
        return false;
    }
    let has_moved = loss.moved.iter().any(|(process, at)| *process == revoked.call.process && *at < span.began);
    span.ended > loss.kept_until && span.began <= loss.span.ended && !has_moved
}

type Refusals<'a> = BTreeMap<SessionNo, BTreeMap<ProcessNo, Vec<(Cookie, Span, &'a str)>>>;

fn refusals(history: &History) -> Refusals<'_> {
    let mut refusals = Refusals::new();
    for call in &history.calls {
        let Deed::Open { cookie, seen: Seen::Refused(verdict), .. } = &call.deed else { continue };
        let of_session = refusals.entry(cookie.session).or_default();
        of_session.entry(call.process).or_default().push((*cookie, call.span, verdict));
    }
    refusals
}

impl Life {
    /// Whether it has the list then, or is reading it to begin with.
    fn may_read_at(&self, at: Micros) -> bool {
        self.begun <= at && self.killed.is_none_or(|killed| at < killed)
    }

    fn is_ready_at(&self, at: Micros) -> bool {
        self.ready.is_some_and(|ready| ready <= at) && self.killed.is_none_or(|killed| at < killed)
    }
}
