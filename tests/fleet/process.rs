//! A node as the test sees it: a process that can be asked, stopped and killed.

use std::collections::HashMap;
use std::env;
use std::path::PathBuf;
use std::process::{Command as Kill, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sealjar::io::follow::process_name;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::{mpsc, oneshot, watch};

use super::boot_micros;
use super::node::{BOUNDS, HOME, LOUD, URL};
use super::wire::{Answer, Ask, Line, MARK, Question};

/// What all nodes of a fleet have in common, and the address that this one is given.
#[derive(Clone, Debug)]
pub struct Setup {
    pub url: String,
    /// The folder with the keys.
    pub home: PathBuf,
    /// S and H.
    pub bounds: (Duration, Duration),
}

/// What came of a question.
#[derive(Debug)]
pub enum Outcome {
    Answer(Answer),
    /// The process ended before it answered.
    Died,
    /// It ran, and had not answered after [`HANG`].
    Hung,
}

impl Outcome {
    /// The answer, where nothing else may happen.
    pub fn answer(self) -> Answer {
        match self {
            Self::Answer(answer) => answer,
            other => panic!("the node did not answer: {other:?}"),
        }
    }
}

/// A request may take two calls of 10 s each; what takes longer than this has hung whatever it is.
pub const HANG: Duration = Duration::from_secs(25);

/// A running node; it ends with this value.
pub struct Node {
    pid: u32,
    child: Mutex<Child>,
    questions: mpsc::UnboundedSender<String>,
    shared: Arc<Shared>,
    ready: watch::Receiver<Option<u64>>,
    numbers: AtomicU64,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<HashMap<u64, oneshot::Sender<Answer>>>,
    /// Boot time since when it runs; the maximum while it is stopped.
    running: AtomicU64,
    killed: AtomicBool,
    /// Why it could not start, last.
    trouble: Mutex<String>,
}

impl Node {
    /// Starts a node. It serves when [`Node::ready`] says so.
    pub fn spawn(setup: &Setup) -> Self {
        Self::spawn_with(setup, &[])
    }

    /// With variables of its own.
    pub fn spawn_with(setup: &Setup, variables: &[(&str, &str)]) -> Self {
        let (fresh, lost) = setup.bounds;
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--ignored", "--exact", "node", "--nocapture"])
            .env(URL, &setup.url)
            .env(HOME, &setup.home)
            .env(BOUNDS, format!("{} {}", fresh.as_millis(), lost.as_millis()))
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(if env::var_os(LOUD).is_some() { Stdio::inherit() } else { Stdio::null() })
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (mut stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (questions, mut to_write) = mpsc::unbounded_channel::<String>();
        tokio::spawn(async move {
            while let Some(line) = to_write.recv().await {
                // It may have been killed; the reader notices.
                let _ = stdin.write_all(line.as_bytes()).await;
            }
        });
        let (shared, (tell, ready)) = (Arc::new(Shared::default()), watch::channel(None));
        tokio::spawn(listen(stdout, shared.clone(), tell));
        let pid = child.id().unwrap();
        Self { pid, child: Mutex::new(child), questions, shared, ready, numbers: AtomicU64::new(0) }
    }

    /// Since when it serves; waits until it does. None when it ended before.
    pub async fn ready(&self) -> Option<u64> {
        let mut ready = self.ready.clone();
        ready.wait_for(Option::is_some).await.ok().and_then(|at| *at)
    }

    pub fn is_ready(&self) -> bool {
        self.ready.borrow().is_some()
    }

    /// What operators call it.
    pub fn name(&self) -> String {
        let this = process_name();
        format!("{}:{}", this.rsplit_once(':').unwrap().0, self.pid)
    }

    /// Why it could not start when it last tried.
    pub fn trouble(&self) -> String {
        self.shared.trouble.lock().unwrap().clone()
    }

    pub async fn ask(&self, ask: Ask) -> Outcome {
        let (tell, mut told) = oneshot::channel();
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        self.shared.waiting.lock().unwrap().insert(number, tell);
        if self.shared.killed.load(Ordering::SeqCst) {
            self.shared.waiting.lock().unwrap().clear();
        }
        let line = serde_json::to_string(&Question { number, ask }).unwrap() + "\n";
        let _ = self.questions.send(line);
        let asked = boot_micros();
        loop {
            match tokio::time::timeout(Duration::from_millis(500), &mut told).await {
                Ok(Ok(answer)) => return Outcome::Answer(answer),
                Ok(Err(_)) => return Outcome::Died,
                Err(_) => {
                    let since = self.shared.running.load(Ordering::SeqCst).max(asked);
                    if u128::from(boot_micros().saturating_sub(since)) > HANG.as_micros() {
                        return Outcome::Hung;
                    }
                }
            }
        }
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// `kill -9`. Answers the boot time after which it did nothing more.
    pub fn kill(&self) -> u64 {
        let mut child = self.child.lock().unwrap();
        let _ = child.start_kill();
        while let Ok(None) = child.try_wait() {
            std::thread::sleep(Duration::from_millis(1));
        }
        boot_micros()
    }

    /// Freezes it.
    pub fn stop(&self) {
        self.shared.running.store(u64::MAX, Ordering::SeqCst);
        self.signal("STOP");
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        self.signal("CONT");
        self.shared.running.store(boot_micros(), Ordering::SeqCst);
    }

    fn signal(&self, name: &str) {
        let _ = Kill::new("kill").args([&format!("-{name}"), &self.pid.to_string()]).status();
    }
}

async fn listen(stdout: ChildStdout, shared: Arc<Shared>, ready: watch::Sender<Option<u64>>) {
    let mut lines = BufReader::new(stdout).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let Some(line) = line.strip_prefix(MARK) else { continue };
        match serde_json::from_str(line).unwrap() {
            Line::Ready { at } => drop(ready.send(Some(at))),
            Line::NotReady { why } => *shared.trouble.lock().unwrap() = why,
            Line::Answer(answer) => {
                let tell = shared.waiting.lock().unwrap().remove(&answer.number);
                // Whoever asked may have given up.
                tell.into_iter().for_each(|tell| drop(tell.send(answer.clone())));
            }
        }
    }
    shared.killed.store(true, Ordering::SeqCst);
    shared.waiting.lock().unwrap().clear();
}
