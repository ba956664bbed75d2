//! Clients: log in, come back, log out, through any node, and write down what they saw.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use crate::book::Known;
use crate::fleet::{Ask, Outcome, Route, Said, Wait, boot_micros};
use crate::history::{Call, Cookie, Deed, Micros, Policy, ProcessNo, Reached, Seen, Span, What};
use crate::world::World;

pub struct Client {
    world: Arc<World>,
    random: StdRng,
}

/// How many times, and how often, a session that was just revoked is looked at through every node.
const CHASE: (u32, Duration) = (30, Duration::from_millis(100));

/// A call before it is known what to call it.
struct Asked {
    process: ProcessNo,
    span: Span,
    longest: Micros,
    fresh: bool,
    /// Nothing when there was no answer.
    said: Option<Said>,
}

impl Client {
    pub fn new(world: Arc<World>, seed: u64) -> Self {
        Self { world, random: StdRng::seed_from_u64(seed) }
    }

    /// Goes on until the world is over.
    pub async fn run(mut self) {
        while !self.world.over.load(Ordering::SeqCst) {
            let pause = self.random.random_range(10..120);
            tokio::time::sleep(Duration::from_millis(pause)).await;
            if let Some(slot) = self.choose_slot() {
                self.step(slot).await;
            }
        }
    }

    /// Mostly one that answers.
    fn choose_slot(&mut self) -> Option<usize> {
        let brave = self.random.random_bool(0.03);
        let answers = |slot: &usize| {
            let running = self.world.slots[*slot].now();
            running.node.is_ready() && (brave || !running.is_stopped.load(Ordering::SeqCst))
        };
        let slots: Vec<_> = (0..self.world.slots.len()).filter(answers).collect();
        slots.choose(&mut self.random).copied()
    }

    async fn step(&mut self, slot: usize) {
        let random = &mut self.random;
        let (any, live) = (self.world.book.any(random), self.world.book.live(random));
        let route = *[Route::Default, Route::Default, Route::Relaxed, Route::Strict].choose(random).unwrap();
        match (random.random_range(0..100), any, live) {
            (0..55, Some(known), _) => {
                let (cookie, text) = known.any(random);
                self.open(slot, cookie, text, route).await;
            }
            (55..68, _, live) => {
                let again = live.filter(|_| random.random_bool(0.2));
                self.log_in(slot, again).await;
            }
            (68..74, _, Some(known)) => self.log_out(slot, &known).await,
            (74..79, _, Some(known)) => {
                let deed = |reached| Deed::Revoke { what: What::Session(known.session), reached };
                let wait = *[Wait::No, Wait::No, Wait::Replicated, Wait::InForce].choose(random).unwrap();
                self.world.book.revoked(known.session);
                self.revoke(slot, Ask::RevokeSession { handle: known.handle.clone(), wait }, deed).await;
                self.chase(known.newest());
            }
            (79..83, _, Some(known)) => self.cut_off(slot, &known).await,
            (83..90, _, Some(known)) => self.reduce(slot, &known).await,
            (90..99, _, Some(known)) => self.spend(slot, &known).await,
            (99, _, _) if random.random_bool(0.05) => {
                self.world.book.revoked_where(|_| true);
                self.revoke(slot, Ask::RevokeAll, |reached| Deed::Revoke { what: What::Everybody, reached }).await;
            }
            _ => {}
        }
    }

    async fn ask(&self, slot: usize, ask: Ask) -> Asked {
        let running = self.world.slots[slot].now();
        let (process, asked) = (running.process, boot_micros());
        match running.node.ask(ask).await {
            Outcome::Answer(answer) => {
                let (span, said) = (Span::of(answer.began, answer.ended), Some(answer.said));
                Asked { process, span, longest: answer.longest, fresh: answer.fresh, said }
            }
            Outcome::Died => {
                Asked { process, span: Span::of(asked, boot_micros()), longest: 0, fresh: false, said: None }
            }
            Outcome::Hung => {
                let span = Span::of(asked, boot_micros());
                Asked { process, span, longest: Micros::MAX, fresh: false, said: None }
            }
        }
    }

    fn write(&self, asked: &Asked, deed: Deed) {
        let Asked { process, span, longest, .. } = *asked;
        self.world.book.call(Call { process, span, longest, deed });
    }

    /// Writes down what was seen of a cookie.
    fn saw(&self, asked: &Asked, cookie: Cookie, policy: Policy, code: &str) -> Seen {
        let seen = match code {
            "live" => Seen::Live,
            "list_unavailable" => Seen::Unavailable,
            code => Seen::Refused(code.to_owned()),
        };
        self.write(asked, Deed::Open { cookie, policy, seen: seen.clone() });
        seen
    }

    pub async fn open(&mut self, slot: usize, cookie: Cookie, text: String, route: Route) -> Option<Seen> {
        let asked = self.ask(slot, Ask::Open { cookie: text, route }).await;
        let policy = match route {
            Route::Relaxed => Policy::Relaxed { fresh: asked.fresh },
            Route::Default => Policy::Default,
            Route::Strict => Policy::Strict,
        };
        let Some(Said::Verdict { code, cookie: again }) = &asked.said else {
            self.write(&asked, Deed::Nothing);
            return None;
        };
        // Sealed anew, and worth no more than the one before.
        again.iter().for_each(|text| self.world.book.got(cookie, text.clone()));
        Some(self.saw(&asked, cookie, policy, code))
    }

    /// A session of a subject who may have others.
    pub async fn login(&mut self, slot: usize) -> Option<Known> {
        self.log_in(slot, None).await
    }

    async fn log_in(&mut self, slot: usize, before: Option<Known>) -> Option<Known> {
        let subject = before.as_ref().map_or_else(|| self.random.random(), |known| known.subject);
        let old = before.map(|known| (known.session, known.newest().1));
        old.iter().for_each(|(session, _)| self.world.book.revoked(*session));
        let text = old.as_ref().map(|(_, text)| text.clone());
        let asked = self.ask(slot, Ask::Login { subject: subject.to_string(), cookie: text }).await;
        if let Some(Said::Done { verdict, durability, cookie: Some(cookie), handle: Some(handle) }) = &asked.said {
            if let Some((session, _)) = old {
                // Where the old cookie was not live there was nothing to revoke.
                let reached = if verdict == "live" { reached(durability) } else { Reached::Unknown };
                self.write(&asked, Deed::Revoke { what: What::Session(session), reached });
            }
            let session = self.world.book.logged_in(subject, handle.clone(), cookie.clone());
            self.write(&asked, Deed::Login { session, subject });
            let cookies = vec![(Cookie { session, generation: 0 }, cookie.clone())];
            return Some(Known { session, subject, handle: handle.clone(), cookies, is_revoked: false });
        }
        let unknown = |session| Deed::Revoke { what: What::Session(session), reached: Reached::Unknown };
        self.write(&asked, old.map_or(Deed::Nothing, |(session, _)| unknown(session)));
        None
    }

    async fn log_out(&mut self, slot: usize, known: &Known) {
        let (cookie, text) = known.newest();
        self.world.book.revoked(known.session);
        let asked = self.ask(slot, Ask::Logout { cookie: text }).await;
        self.ended(&asked, cookie, What::Session(known.session));
        self.chase(known.newest());
    }

    async fn cut_off(&mut self, slot: usize, known: &Known) {
        let subject = known.subject;
        self.world.book.revoked_where(|other| other.subject == subject);
        if self.random.random_bool(0.5) {
            let deed = |reached| Deed::Revoke { what: What::Subject(subject), reached };
            let wait = *[Wait::No, Wait::Replicated, Wait::InForce].choose(&mut self.random).unwrap();
            self.revoke(slot, Ask::RevokeSubject { subject: subject.to_string(), wait }, deed).await;
        } else {
            let (cookie, text) = known.newest();
            let asked = self.ask(slot, Ask::LogoutEverywhere { cookie: text }).await;
            self.ended(&asked, cookie, What::Subject(subject));
        }
        self.chase(known.newest());
        // Whoever was cut off logs in again, mostly elsewhere.
        if let Some(slot) = self.choose_slot() {
            let asked = self.ask(slot, Ask::Login { subject: subject.to_string(), cookie: None }).await;
            if let Some(Said::Done { cookie: Some(cookie), handle: Some(handle), .. }) = &asked.said {
                let session = self.world.book.logged_in(subject, handle.clone(), cookie.clone());
                self.write(&asked, Deed::Login { session, subject });
            } else {
                self.write(&asked, Deed::Nothing);
            }
        }
    }

    /// What came of a request that opens a session and ends it.
    fn ended(&self, asked: &Asked, cookie: Cookie, what: What) {
        match &asked.said {
            Some(Said::Verdict { code, .. }) => drop(self.saw(asked, cookie, Policy::Default, code)),
            Some(Said::Done { durability, .. }) => {
                self.write(asked, Deed::Revoke { what, reached: reached(durability) });
            }
            _ => self.write(asked, Deed::Revoke { what, reached: Reached::Unknown }),
        }
    }

    async fn revoke(&self, slot: usize, ask: Ask, deed: impl FnOnce(Reached) -> Deed) {
        let asked = self.ask(slot, ask).await;
        let reached = match &asked.said {
            Some(Said::Done { durability, .. }) => reached(durability),
            _ => Reached::Unknown,
        };
        self.write(&asked, deed(reached));
    }

    async fn reduce(&mut self, slot: usize, known: &Known) {
        let (cookie, text) = known.newest();
        let asked = self.ask(slot, Ask::Reduce { cookie: text.clone() }).await;
        let (session, floor) = (cookie.session, cookie.generation + 1);
        match &asked.said {
            Some(Said::Verdict { code, .. }) => drop(self.saw(&asked, cookie, Policy::Default, code)),
            Some(Said::Failed { kind, .. }) if kind == "superseded" => {
                self.saw(&asked, cookie, Policy::Strict, "superseded");
            }
            Some(Said::Done { durability, cookie: Some(newer), .. }) => {
                self.world.book.got(Cookie { session, generation: floor }, newer.clone());
                self.write(&asked, Deed::Revoke { what: What::Floor(session, floor), reached: reached(durability) });
                self.chase((cookie, text));
            }
            _ => {
                self.world.book.revoked(session);
                self.write(&asked, Deed::Revoke { what: What::Floor(session, floor), reached: Reached::Unknown });
            }
        }
    }

    /// Offers a one-time value, and has several copies of the cookie taken at once, and one later.
    async fn spend(&mut self, slot: usize, known: &Known) {
        let (cookie, text) = known.newest();
        let asked = self.ask(slot, Ask::Offer { cookie: text }).await;
        let offered = match &asked.said {
            Some(Said::Done { cookie: Some(offered), .. }) => offered.clone(),
            Some(Said::Verdict { code, .. }) => return drop(self.saw(&asked, cookie, Policy::Default, code)),
            _ => return self.write(&asked, Deed::Nothing),
        };
        let (value, minted) = (self.world.book.new_value(), asked.span.ended);
        let slots: Vec<_> = (0..3).filter_map(|_| self.choose_slot()).collect();
        let take = async |slot: usize| {
            let asked = self.ask(slot, Ask::Take { cookie: offered.clone() }).await;
            match &asked.said {
                Some(Said::Taken { code, .. }) => {
                    self.write(&asked, Deed::Take { value, minted, first: code == "first" });
                }
                Some(Said::Verdict { code, .. }) => drop(self.saw(&asked, cookie, Policy::Default, code)),
                _ => self.write(&asked, Deed::Nothing),
            }
        };
        let [one, two, three] = slots[..] else { return };
        tokio::join!(take(one), take(two));
        take(three).await;
    }

    /// Looks at a session through every node until each has refused it, so that it is known when all did.
    fn chase(&mut self, (cookie, text): (Cookie, String)) {
        let (world, seed) = (self.world.clone(), self.random.random());
        tokio::spawn(async move {
            for slot in 0..world.slots.len() {
                let mut client = Self::new(world.clone(), seed);
                let text = text.clone();
                tokio::spawn(async move {
                    for _ in 0..CHASE.0 {
                        let running = client.world.slots[slot].now();
                        let answers = running.node.is_ready() && !running.is_stopped.load(Ordering::SeqCst);
                        if client.world.over.load(Ordering::SeqCst) || !answers {
                            return;
                        }
                        if let Some(Seen::Refused(_)) = client.open(slot, cookie, text.clone(), Route::Default).await {
                            return;
                        }
                        tokio::time::sleep(CHASE.1).await;
                    }
                });
            }
        });
    }
}

fn reached(durability: &str) -> Reached {
    match durability {
        "accepted" => Reached::Accepted,
        "replicated" => Reached::Replicated,
        "in_force" => Reached::InForce,
        _ => Reached::Committed,
    }
}
