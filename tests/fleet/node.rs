//! The node itself, in a process of its own.

use std::env;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use sealjar::io::in_force::Wish;
use sealjar::io::ring_secret;
use sealjar::revocation::{Durability, Freshness, Receipt};
use sealjar::{Error, Request, Session, Sessions, Stamp, hours, minutes};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::boot_micros;
use super::wire::{Answer, Ask, Line, MARK, Question, Route, Said, Wait};
use crate::redis_support::canaries;

/// Set where somebody wants to see what nodes log.
pub const LOUD: &str = "SEALJAR_TEST_LOUD";
pub const URL: &str = "SEALJAR_TEST_URL";
pub const HOME: &str = "SEALJAR_TEST_HOME";
/// S and H in milliseconds, `5000 60000`.
pub const BOUNDS: &str = "SEALJAR_TEST_BOUNDS";
/// Idle and absolute in seconds, `10 15`.
pub const LIVES: &str = "SEALJAR_TEST_LIVES";
/// The node's own file, where it has one.
pub const FILE: &str = "SEALJAR_TEST_FILE";
pub const APP: &str = "shop";

/// A one-time value lives as long as it may.
const ONCE: (&str, Duration) = ("captcha", minutes(10));
/// Longer than any test takes; a tenth of it is when a cookie is sealed anew.
const IDLE: Duration = minutes(30);
/// How long a revocation waits to be in force.
const PATIENCE: Duration = Duration::from_secs(8);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Visitor {
    pub name: String,
    pub steps: u32,
}

/// Serves until the test goes away. Does nothing where no test has started it.
pub async fn serve() {
    let Ok(url) = env::var(URL) else { return };
    if env::var_os(LOUD).is_some() {
        tracing_subscriber::fmt().with_ansi(false).with_writer(std::io::stderr).init();
    }
    canaries::listen();
    canaries::plant_keys(&PathBuf::from(env::var_os(HOME).unwrap()));
    let sessions = start(&url).await;
    say(&Line::Ready { at: boot_micros() });
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let Question { number, ask } = serde_json::from_str(&line).unwrap();
        let sessions = sessions.clone();
        tokio::spawn(async move {
            let (mut timer, began) = (Timer::default(), boot_micros());
            // After `began`, so that whoever was revoked S before it is in a list that is fresh now.
            let fresh = sessions.freshness() == Freshness::Fresh;
            let said = act(&sessions, ask, &mut timer).await;
            let ended = boot_micros();
            say(&Line::Answer(Answer { number, began, ended, fresh, longest: timer.longest, said }));
        });
    }
}

/// As a supervisor would: until it works.
async fn start(url: &str) -> Sessions<Visitor> {
    let bounds = env::var(BOUNDS).unwrap_or_else(|_| "5000 60000".into());
    let bounds: Vec<_> = bounds.split(' ').map(|text| Duration::from_millis(text.parse().unwrap())).collect();
    let lives = env::var(LIVES).unwrap_or_default();
    let lives: Vec<_> = lives.split_whitespace().map(|text| Duration::from_secs(text.parse().unwrap())).collect();
    let (idle, absolute) = if let [idle, absolute] = *lives { (idle, absolute) } else { (IDLE, hours(12)) };
    loop {
        let mut builder = Sessions::builder(APP).keys(env::var(HOME).unwrap()).list(url);
        if let Some(secret) = ring_secret::from_env().unwrap() {
            builder = builder.ring_secret(secret);
        }
        if let Some(file) = env::var_os(FILE) {
            builder = builder.own_file(file);
        }
        match builder.idle(idle).absolute(absolute).bounds(bounds[0], bounds[1]).start().await {
            Ok(sessions) => return sessions,
            Err(error) => say(&Line::NotReady { why: error.to_string() }),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn say(line: &Line) {
    let mut out = std::io::stdout().lock();
    // The test program prints its own words without ending the line.
    let text = format!("\n{MARK}{}\n", serde_json::to_string(line).unwrap());
    // Nobody listens any more when the test is over.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Remembers the longest of several calls.
#[derive(Default)]
struct Timer {
    longest: u64,
}

impl Timer {
    async fn time<T>(&mut self, call: impl Future<Output = T>) -> T {
        let began = boot_micros();
        let done = call.await;
        self.longest = self.longest.max(boot_micros() - began);
        done
    }

    async fn open(&mut self, sessions: &Sessions<Visitor>, cookie: Option<&str>) -> Session<Visitor> {
        self.time(sessions.begin(cookie.map(str::as_bytes), Request::default())).await
    }
}

async fn act(sessions: &Sessions<Visitor>, ask: Ask, timer: &mut Timer) -> Said {
    match ask {
        Ask::Open { cookie, route } => {
            let sessions = match route {
                Route::Relaxed => sessions.relaxed(),
                Route::Default => sessions.clone(),
                Route::Strict => sessions.strict(),
            };
            verdict(timer.open(&sessions, Some(&cookie)).await)
        }
        Ask::Stay { cookie } => {
            let session = timer.open(sessions, Some(&cookie)).await;
            let code = session.revoked().await.code().to_owned();
            session.discard();
            Said::Verdict { code, cookie: None }
        }
        Ask::Login { subject, cookie } => {
            let mut session = timer.open(sessions, cookie.as_deref()).await;
            let value = Visitor { name: subject.clone(), steps: 0 };
            let done = timer.time(session.login(subject, value)).await;
            finish(session, done.map(Durability::name))
        }
        Ask::Logout { cookie } => {
            let mut session = timer.open(sessions, Some(&cookie)).await;
            if !session.verdict().is_live() {
                return verdict(session);
            }
            let done = timer.time(session.logout()).await;
            finish(session, done.map(Durability::name))
        }
        Ask::LogoutEverywhere { cookie } => {
            let mut session = timer.open(sessions, Some(&cookie)).await;
            if !session.verdict().is_live() {
                return verdict(session);
            }
            let done = timer.time(session.logout_everywhere()).await;
            finish(session, done.map(Durability::name))
        }
        Ask::Reduce { cookie } => {
            let mut session = timer.open(sessions, Some(&cookie)).await;
            if !session.verdict().is_live() {
                return verdict(session);
            }
            let done = timer.time(session.reduce(|visitor| visitor.steps += 1)).await;
            finish(session, done.map(|()| "committed"))
        }
        Ask::Offer { cookie } => {
            let mut session = timer.open(sessions, Some(&cookie)).await;
            if !session.verdict().is_live() {
                return verdict(session);
            }
            let done = session.offer_once(ONCE.0, &"answer", ONCE.1);
            finish(session, done.map(|()| "offered"))
        }
        Ask::Take { cookie } => {
            let mut session = timer.open(sessions, Some(&cookie)).await;
            if !session.verdict().is_live() {
                return verdict(session);
            }
            match timer.time(session.take_once::<String>(ONCE.0)).await {
                Ok(taken) => Said::Taken { code: taken.code().to_owned(), cookie: stamp(session) },
                Err(error) => failed(&error, session),
            }
        }
        Ask::RevokeSession { handle, wait } => {
            let done = timer.time(sessions.revoke_session(handle.parse().unwrap())).await;
            revoked(sessions, done, wait).await
        }
        Ask::RevokeSubject { subject, wait } => {
            let done = timer.time(sessions.revoke_subject(&subject)).await;
            revoked(sessions, done, wait).await
        }
        Ask::RevokeAll => {
            let done = timer.time(sessions.revoke_all()).await;
            revoked(sessions, done, Wait::No).await
        }
        Ask::Freshness => Said::Fresh(sessions.freshness() == Freshness::Fresh),
    }
}

fn verdict(session: Session<Visitor>) -> Said {
    let code = session.verdict().code().to_owned();
    Said::Verdict { code, cookie: stamp(session) }
}

fn finish(session: Session<Visitor>, done: Result<&str, Error>) -> Said {
    match done {
        Ok(durability) => {
            let (durability, handle) = (durability.to_owned(), session.handle().map(|handle| handle.to_string()));
            let verdict = session.verdict().code().to_owned();
            Said::Done { verdict, durability, cookie: stamp(session), handle }
        }
        Err(error) => failed(&error, session),
    }
}

async fn revoked(sessions: &Sessions<Visitor>, done: Result<Receipt, Error>, wait: Wait) -> Said {
    let receipt = match done {
        Ok(receipt) => receipt,
        Err(error) => return Said::Failed { kind: kind(&error).to_owned(), words: error.to_string() },
    };
    let mut durability = receipt.durability;
    let wished = match wait {
        Wait::No => durability,
        Wait::Replicated => Durability::Replicated,
        Wait::InForce => Durability::InForce,
    };
    if wished > durability {
        let wish = Wish { durability: wished, replicas: 1, patience: PATIENCE };
        // Where the store cannot be asked, it is as durable as it was.
        durability = sessions.wait(&receipt, wish, |_, _| ()).await.map_or(durability, |reached| reached.durability);
    }
    Said::Done { verdict: String::new(), durability: durability.name().to_owned(), cookie: None, handle: None }
}

fn failed(error: &Error, session: Session<Visitor>) -> Said {
    session.discard();
    Said::Failed { kind: kind(error).to_owned(), words: error.to_string() }
}

fn kind(error: &Error) -> &'static str {
    match error {
        Error::Store { .. } => "store",
        Error::Superseded => "superseded",
        _ => "other",
    }
}

/// `name=value` of the cookie that the response would set; none if it sets or keeps none.
fn stamp(session: Session<Visitor>) -> Option<String> {
    let Stamp::SetCookie(lines) = session.commit().unwrap() else { return None };
    let line = lines.last().filter(|line| !line.contains("Max-Age=0"))?;
    let cookie = line.split(';').next()?;
    canaries::plant_cookie(cookie);
    Some(cookie.to_owned())
}
