//! A replica is promoted, with or without lost writes, while the old primary may go on answering.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;

use crate::fleet::boot_micros;
use crate::fleet::link::Way;
use crate::history::{Loss, Micros, ProcessNo, Span};
use crate::world::{MAX_LAG, World};

/// What becomes of the old primary while another one is promoted.
#[derive(Clone, Copy, Debug)]
enum Old {
    /// It goes on answering those who are connected to it, without replicas.
    Deposed,
    /// It is frozen, and wakes up when all is over.
    Frozen,
    Killed,
}

/// The whole of it: the replicas lose the primary, one of them is promoted, the nodes are led to it one by one,
/// and the old one comes back as a replica.
pub async fn run(world: &Arc<World>, random: &mut StdRng) {
    let from = world.primary.load(Ordering::SeqCst);
    let others: Vec<_> = (0..world.servers.len()).filter(|server| *server != from).collect();
    let to = others[random.random_range(0..others.len())];
    let old = [Old::Deposed, Old::Deposed, Old::Frozen, Old::Killed][random.random_range(0..4)];
    let cut = if random.random_bool(0.5) { Way::Cut } else { Way::Frozen };
    let wait = Duration::from_millis(random.random_range(0..=(MAX_LAG * 1_000 + 1_500)));
    world.book.say(format!("server {from} to {to}: {old:?}, links {cut:?}, {wait:?}"));

    let kept_until = world.in_sync().await;
    let began = boot_micros();
    match old {
        Old::Deposed => others.iter().for_each(|server| world.follows[*server].set(cut)),
        Old::Frozen => world.servers[from].signal("STOP"),
        Old::Killed => world.servers[from].kill(),
    }
    tokio::time::sleep(wait).await;
    world.servers[to].command(&["REPLICAOF", "NO", "ONE"]).await;
    world.primary.store(to, Ordering::SeqCst);
    for server in others.iter().filter(|server| **server != to) {
        world.follows[*server].lead(world.servers[to].port());
        world.follows[*server].reset();
        world.follows[*server].set(Way::Open);
    }
    let moved = move_nodes(world, random, to).await;
    match old {
        Old::Deposed => {}
        Old::Frozen => world.servers[from].signal("CONT"),
        Old::Killed => {
            if random.random_bool(0.5) {
                world.servers[from].forget();
            }
            world.servers[from].restart();
        }
    }
    // Whoever is still connected to the old one stays so for a while.
    tokio::time::sleep(Duration::from_millis(random.random_range(0..3_000))).await;
    world.follows[from].lead(world.servers[to].port());
    world.follows[from].set(Way::Open);
    world.follow(from).await;
    world.follows[to].reset();
    for slot in &world.slots {
        slot.link.lead(world.servers[to].port());
        slot.link.reset();
    }
    world.book.loss(Loss { span: Span::of(began, boot_micros()), kept_until, values: true, failover: true, moved });
    world.in_sync().await;
}

/// Leads the nodes to the new primary, one after the other. Some keep their connections to the old one, and some
/// go on knowing no other.
async fn move_nodes(world: &Arc<World>, random: &mut StdRng, to: usize) -> Vec<(ProcessNo, Micros)> {
    let mut order: Vec<_> = (0..world.slots.len()).collect();
    order.shuffle(random);
    let mut moved = Vec::new();
    for slot in order {
        tokio::time::sleep(Duration::from_millis(random.random_range(0..1_500))).await;
        let slot = &world.slots[slot];
        let process = slot.now().process;
        match random.random_range(0..10) {
            0..2 => {}
            2..4 => slot.link.lead(world.servers[to].port()),
            _ => {
                slot.link.lead(world.servers[to].port());
                slot.link.reset();
                moved.push((process, boot_micros()));
            }
        }
    }
    moved
}
