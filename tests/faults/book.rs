//! What all clients of a world write down: the history, and the cookies that they hold.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, IteratorRandom as _};

use crate::fleet::boot_micros;
use crate::history::{Call, Cookie, History, Life, Loss, Micros, ProcessNo, SessionNo, Span};

#[derive(Default)]
pub struct Book {
    history: Mutex<History>,
    sessions: Mutex<Vec<Known>>,
    /// What was done to the world, for whoever reads of a breach.
    told: Mutex<Vec<(Micros, String)>>,
    processes: AtomicU32,
    values: AtomicU32,
}

/// A session that a client has.
#[derive(Clone, Debug)]
pub struct Known {
    pub session: SessionNo,
    pub subject: u32,
    pub handle: String,
    /// Its cookies, oldest first: several of one generation where it was sealed anew.
    pub cookies: Vec<(Cookie, String)>,
    /// Whether somebody has asked for its end, or that of an older copy.
    pub is_revoked: bool,
}

/// No session keeps more cookies than this.
const COOKIES: usize = 6;

impl Book {
    pub fn with(history: History) -> Self {
        Self { history: Mutex::new(history), ..Self::default() }
    }

    pub fn history(&self) -> History {
        self.history.lock().unwrap().clone()
    }

    pub fn say(&self, what: impl Into<String>) {
        self.told.lock().unwrap().push((boot_micros(), what.into()));
    }

    /// What was told, with the seconds since the first.
    pub fn story(&self) -> Vec<String> {
        self.told
            .lock()
            .unwrap()
            .iter()
            .map(|(at, what)| format!("{}.{:03} s  {what}", at / 1_000_000, at / 1000 % 1000))
            .collect()
    }

    pub fn call(&self, call: Call) {
        self.history.lock().unwrap().calls.push(call);
    }

    /// A process that has just been started.
    pub fn begins(&self, has_file: bool) -> ProcessNo {
        let process = ProcessNo(self.processes.fetch_add(1, Ordering::SeqCst));
        let life = Life { process, begun: boot_micros(), ready: None, killed: None, has_file, stops: Vec::new() };
        self.history.lock().unwrap().lives.push(life);
        process
    }

    pub fn life(&self, process: ProcessNo, change: impl FnOnce(&mut Life)) {
        change(self.history.lock().unwrap().lives.iter_mut().find(|life| life.process == process).unwrap());
    }

    pub fn loss(&self, loss: Loss) {
        self.history.lock().unwrap().losses.push(loss);
    }

    pub fn trouble(&self, span: Span) {
        self.history.lock().unwrap().troubles.push(span);
    }

    pub fn calm(&self, span: Span) {
        self.history.lock().unwrap().calms.push(span);
    }

    pub fn new_value(&self) -> u32 {
        self.values.fetch_add(1, Ordering::SeqCst)
    }

    pub fn logged_in(&self, subject: u32, handle: String, cookie: String) -> SessionNo {
        let mut sessions = self.sessions.lock().unwrap();
        let session = SessionNo(u32::try_from(sessions.len()).unwrap());
        let cookies = vec![(Cookie { session, generation: 0 }, cookie)];
        sessions.push(Known { session, subject, handle, cookies, is_revoked: false });
        session
    }

    /// One more cookie of a session.
    pub fn got(&self, cookie: Cookie, text: String) {
        let cookies = &mut self.sessions.lock().unwrap()[cookie.session.0 as usize].cookies;
        cookies.push((cookie, text));
        if cookies.len() > COOKIES {
            cookies.remove(1);
        }
    }

    pub fn revoked(&self, session: SessionNo) {
        self.sessions.lock().unwrap()[session.0 as usize].is_revoked = true;
    }

    pub fn revoked_where(&self, is_meant: impl Fn(&Known) -> bool) {
        self.sessions
            .lock()
            .unwrap()
            .iter_mut()
            .filter(|known| is_meant(known))
            .for_each(|known| known.is_revoked = true);
    }

    /// One of the latest sessions that nobody has revoked.
    pub fn live(&self, random: &mut StdRng) -> Option<Known> {
        let sessions = self.sessions.lock().unwrap();
        sessions.iter().rev().filter(|known| !known.is_revoked).take(20).choose(random).cloned()
    }

    /// Any of the latest sessions.
    pub fn any(&self, random: &mut StdRng) -> Option<Known> {
        let sessions = self.sessions.lock().unwrap();
        sessions.iter().rev().take(60).choose(random).cloned()
    }

    /// The latest sessions and some of the others.
    pub fn sample(&self, random: &mut StdRng, number: usize) -> Vec<Known> {
        let sessions = self.sessions.lock().unwrap();
        let (before, latest) = sessions.split_at(sessions.len().saturating_sub(number));
        latest.iter().chain(before.iter().sample(random, number)).cloned().collect()
    }
}

impl Known {
    pub fn newest(&self) -> (Cookie, String) {
        self.cookies.last().unwrap().clone()
    }

    pub fn any(&self, random: &mut StdRng) -> (Cookie, String) {
        self.cookies.choose(random).unwrap().clone()
    }
}
