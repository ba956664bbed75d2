//! A steady load through all nodes in turn: logins, reads, writes. Nobody may lose a session, and no node may be
//! given a cookie that it cannot open.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::fleet::{Ask, Route, Said};
use crate::world::{ABSOLUTE, IDLE, World};

/// Between two requests of a visitor.
const PACE: Duration = Duration::from_millis(100);
/// Seconds are counted whole, and machines are busy.
const SLACK: Duration = Duration::from_secs(2);

#[derive(Default)]
pub struct Counts {
    pub logins: AtomicU64,
    pub reads: AtomicU64,
    pub writes: AtomicU64,
    /// 503: the client keeps its cookie and asks again.
    pub again: AtomicU64,
    /// A node was killed or frozen under a write, so that nobody knows which cookie is the newest.
    pub unknown: AtomicU64,
    pub expired: AtomicU64,
    turn: AtomicUsize,
}

pub struct Load {
    pub counts: Arc<Counts>,
    tasks: Vec<JoinHandle<()>>,
}

impl Load {
    pub fn start(world: &Arc<World>, visitors: usize) -> Self {
        let counts = Arc::new(Counts::default());
        let visit = |number| tokio::spawn(visit(number, world.clone(), counts.clone()));
        Self { tasks: (0..visitors).map(visit).collect(), counts }
    }

    /// Ends the load, and says what it was.
    pub async fn end(self, world: &World) -> String {
        world.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        let Counts { logins, reads, writes, again, unknown, expired, .. } = &*self.counts;
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        format!(
            "{} logins, {} reads, {} writes; {} asked again, {} expired as they should, {} unknown under a kill",
            of(logins),
            of(reads),
            of(writes),
            of(again),
            of(expired),
            of(unknown)
        )
    }
}

/// What a visitor has.
struct Held {
    cookie: String,
    born: Instant,
    used: Instant,
    /// How often it was used.
    steps: u32,
}

async fn visit(number: usize, world: Arc<World>, counts: Arc<Counts>) {
    let mut held: Option<Held> = None;
    let count = |what: &AtomicU64| {
        what.fetch_add(1, Ordering::Relaxed);
    };
    while !world.is_over() {
        tokio::time::sleep(PACE).await;
        let up = world.up();
        let node = up[counts.turn.fetch_add(1, Ordering::Relaxed) % up.len()];
        let Some(Held { cookie, born, used, steps }) = held.take() else {
            let asked = Instant::now();
            match world.ask(node, Ask::Login { subject: number.to_string(), cookie: None }).await {
                Some(Said::Done { cookie: Some(cookie), .. }) => {
                    count(&counts.logins);
                    held = Some(Held { cookie, born: asked, used: asked, steps: 0 });
                }
                Some(Said::Failed { kind, .. }) if kind == "store" => count(&counts.again),
                None => count(&counts.again),
                Some(other) => world.fault(format!("visitor {number} could not log in: {other:?}")),
            }
            continue;
        };
        let writes = steps % 5 == 4;
        let (asked, same) = (Instant::now(), cookie.clone());
        let ask = if writes { Ask::Reduce { cookie } } else { Ask::Open { cookie, route: Route::Default } };
        match world.ask(node, ask).await {
            Some(Said::Done { cookie, .. }) => {
                count(&counts.writes);
                held = Some(Held { cookie: cookie.unwrap_or(same), born, used: asked, steps: steps + 1 });
            }
            Some(Said::Verdict { code, cookie }) if code == "live" => {
                count(&counts.reads);
                held = Some(Held { cookie: cookie.unwrap_or(same), born, used: asked, steps: steps + 1 });
            }
            Some(Said::Verdict { code, .. }) if code == "list_unavailable" => {
                count(&counts.again);
                held = Some(Held { cookie: same, born, used, steps });
            }
            Some(Said::Verdict { code, .. }) if is_over(&code, born, used) => count(&counts.expired),
            // Nobody knows whether the write was done.
            None | Some(Said::Failed { .. }) if writes => count(&counts.unknown),
            None => {
                count(&counts.again);
                held = Some(Held { cookie: same, born, used, steps });
            }
            Some(other) => {
                let age = born.elapsed();
                world.fault(format!("visitor {number} lost a session of {age:?} at node {node}: {other:?}"));
            }
        }
    }
}

/// Whether the session has ended because its time was over, and for no other reason.
fn is_over(code: &str, born: Instant, used: Instant) -> bool {
    match code {
        "absolute_expired" => born.elapsed() + SLACK >= ABSOLUTE,
        "idle_expired" => used.elapsed() + SLACK >= IDLE,
        _ => false,
    }
}

/// Cookies that stay as they are, to be shown to every node: one that is sealed by any node must be opened by all.
#[derive(Default)]
pub struct Elders(Vec<(String, usize, Instant)>);

impl Elders {
    /// One from each node that serves.
    pub async fn seal(&mut self, world: &World) {
        for node in world.up() {
            let born = Instant::now();
            if let Some(Said::Done { cookie: Some(cookie), .. }) =
                world.ask(node, Ask::Login { subject: "elder".into(), cookie: None }).await
            {
                self.0.push((cookie, node, born));
            }
        }
    }

    /// Shows each to all. Answers how many were shown.
    pub async fn show(&mut self, world: &World) -> usize {
        self.0.retain(|(.., born)| born.elapsed() + SLACK < IDLE);
        let mut shown = 0;
        for (cookie, by, born) in &self.0 {
            let nodes = world.up();
            let show = |node: &usize| world.ask(*node, Ask::Open { cookie: cookie.clone(), route: Route::Default });
            let said = futures_util::future::join_all(nodes.iter().map(show)).await;
            for (node, said) in nodes.into_iter().zip(said) {
                match said {
                    Some(Said::Verdict { code, .. }) if code == "live" => shown += 1,
                    Some(Said::Verdict { code, .. }) if code == "list_unavailable" => {}
                    Some(Said::Verdict { code, .. }) if is_over(&code, *born, *born) => {}
                    // It was stopped or ended meanwhile.
                    None => {}
                    Some(other) => world.fault(format!("node {node} cannot open what node {by} sealed: {other:?}")),
                }
            }
        }
        shown
    }
}
