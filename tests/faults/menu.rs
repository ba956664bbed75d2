//! What can go wrong, one function each: breaks something, waits, and mends it. What the store may have lost by
//! it goes into the history.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use tempfile::TempDir;

use crate::failover;
use crate::fleet::boot_micros;
use crate::fleet::link::Way;
use crate::history::{Loss, Micros, Span};
use crate::world::World;

/// What happens to the server.
#[derive(Clone, Copy, Debug)]
pub enum ServerFault {
    Kill,
    Stop,
    Flush,
    RestartEmpty,
    RestartOld,
    FullMemory,
    SlowReplies,
    LostBucket,
    Failover,
}

/// What happens to a node or to its link.
#[derive(Clone, Copy, Debug)]
pub enum NodeFault {
    Cut,
    Frozen,
    Slow,
    Reset,
    Kill,
    /// All of them: what they knew is in their files alone.
    KillAll,
    Stop,
}

/// A file of the server from some time before, for [`ServerFault::RestartOld`].
pub struct OldFile {
    folder: TempDir,
    kept_until: Micros,
}

impl OldFile {
    pub fn of(world: &World) -> Self {
        let kept_until = boot_micros();
        Self { folder: world.primary().copy(), kept_until }
    }
}

/// Between these many milliseconds, more often short.
fn span(random: &mut StdRng, least: u64, most: u64) -> Duration {
    let part = random.random::<f64>().powi(2);
    Duration::from_millis(least).mul_f64(1.0 - part) + Duration::from_millis(most).mul_f64(part)
}

pub async fn server_fault(world: &Arc<World>, random: &mut StdRng, old: &mut OldFile) {
    use ServerFault::{Failover, Flush, FullMemory, Kill, LostBucket, RestartEmpty, RestartOld, SlowReplies, Stop};
    let alone = [Kill, Stop, Flush, RestartEmpty, RestartOld, FullMemory, SlowReplies, LostBucket];
    let with_replicas =
        [Failover, Failover, Failover, Failover, Kill, Stop, Flush, FullMemory, SlowReplies, LostBucket];
    let menu = if world.plan.replicas > 0 { &with_replicas[..] } else { &alone[..] };
    let fault = *menu.choose(random).unwrap();
    let (began, server) = (boot_micros(), world.primary());
    world.book.say(format!("server: {fault:?}"));
    let lost = |began, kept_until| Loss {
        span: Span::of(began, boot_micros()),
        kept_until,
        values: !matches!(fault, LostBucket),
        failover: false,
        moved: Vec::new(),
    };
    match fault {
        Kill => {
            server.kill();
            tokio::time::sleep(span(random, 0, 8_000)).await;
            server.restart();
        }
        Stop => {
            server.signal("STOP");
            tokio::time::sleep(span(random, 100, 9_000)).await;
            server.signal("CONT");
        }
        Flush => {
            // Where its replicas are away it may be refused.
            if server.try_command(&["FLUSHALL"]).await.is_ok() {
                world.book.loss(lost(began, 0));
            }
        }
        RestartEmpty => {
            server.kill();
            server.forget();
            tokio::time::sleep(span(random, 0, 5_000)).await;
            world.book.loss(lost(began, 0));
            server.restart();
        }
        RestartOld => {
            server.kill();
            server.restore(&old.folder);
            tokio::time::sleep(span(random, 0, 5_000)).await;
            world.book.loss(lost(began, old.kept_until));
            server.restart();
        }
        FullMemory => {
            server.command(&["CONFIG", "SET", "maxmemory", "1"]).await;
            tokio::time::sleep(span(random, 100, 8_000)).await;
            server.command(&["CONFIG", "SET", "maxmemory", "0"]).await;
        }
        SlowReplies => {
            let pause = span(random, 100, 6_000);
            let kind = if random.random_bool(0.5) { "ALL" } else { "WRITE" };
            server.command(&["CLIENT", "PAUSE", &pause.as_millis().to_string(), kind]).await;
            tokio::time::sleep(pause).await;
        }
        LostBucket => {
            let days = server.command(&["KEYS", "{sealjar:shop}:[sgc]:*"]).await;
            let days: Vec<String> = redis::from_redis_value(days).unwrap();
            if let Some(day) = days.choose(random)
                && server.try_command(&["DEL", day]).await.is_ok()
            {
                world.book.loss(lost(began, 0));
            }
        }
        Failover => failover::run(world, random).await,
    }
    world.book.say("server: mended");
    world.book.trouble(Span::of(began, boot_micros()));
    // Of another server than the last one, perhaps.
    if random.random_bool(0.3) || matches!(fault, Failover) {
        *old = OldFile::of(world);
    }
}

pub async fn node_fault(world: &Arc<World>, random: &mut StdRng) {
    use NodeFault::{Cut, Frozen, Kill, KillAll, Reset, Slow, Stop};
    let any = [Cut, Cut, Frozen, Frozen, Slow, Reset, Kill, Stop, Stop];
    let with_files = [Cut, Cut, Frozen, Slow, Reset, Kill, Kill, KillAll, Stop];
    let fault = *(if world.plan.files { &with_files } else { &any }).choose(random).unwrap();
    let slot = random.random_range(0..world.slots.len());
    let (began, link, running) = (boot_micros(), &world.slots[slot].link, world.slots[slot].now());
    world.book.say(format!("{:?}: {fault:?}", running.process));
    match fault {
        Cut | Frozen | Slow => {
            let delay = span(random, 20, 1_500);
            link.set(match fault {
                Cut => Way::Cut,
                Frozen => Way::Frozen,
                _ => Way::Slow(delay),
            });
            tokio::time::sleep(span(random, 200, 12_000)).await;
            link.set(Way::Open);
        }
        Reset => link.reset(),
        Kill => {
            // Somebody has to remember.
            let ready = world.slots.iter().filter(|slot| slot.now().node.is_ready()).count();
            if ready > 2 || !running.node.is_ready() {
                world.kill(slot);
                tokio::time::sleep(span(random, 0, 3_000)).await;
                world.respawn(slot);
            }
        }
        KillAll => {
            (0..world.slots.len()).for_each(|slot| world.kill(slot));
            tokio::time::sleep(span(random, 0, 3_000)).await;
            (0..world.slots.len()).for_each(|slot| world.respawn(slot));
        }
        Stop => {
            running.is_stopped.store(true, Ordering::SeqCst);
            // Before it is stopped, and after it goes on.
            let stopped = boot_micros();
            running.node.stop();
            tokio::time::sleep(span(random, 200, 15_000)).await;
            running.node.go_on();
            running.is_stopped.store(false, Ordering::SeqCst);
            world.book.life(running.process, |life| life.stops.push(Span::of(stopped, boot_micros())));
        }
    }
    world.book.say(format!("{:?}: mended", running.process));
    world.book.trouble(Span::of(began, boot_micros()));
}
