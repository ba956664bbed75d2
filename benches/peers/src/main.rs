//! What sessions add to the CPU time of a request: sealjar beside the session crates that people use today.
//!
//! ```text
//! bash benches/peers/run.sh [rounds [seconds]]        31 rounds of 1 second for each app, unless told otherwise
//! ```
//!
//! Each app is a process of its own. In every round each of them is loaded by `wrk` in turn; its user and
//! system time from before to after, and Redis's, divided by the requests that were answered, is the figure. What
//! sessions add is the difference to the same framework without sessions in the same round, so that a busy
//! moment of the machine falls on both; the median of the rounds is told.

mod load;
mod serve;
#[path = "../../support/session.rs"]
mod session;

use load::{App, Redis};

/// A framework, or one with sessions.
struct System {
    name: &'static str,
    about: &'static str,
    /// The same framework without sessions.
    bare: Option<&'static str>,
}

const fn system(name: &'static str, about: &'static str, bare: Option<&'static str>) -> System {
    System { name, about, bare }
}

const SYSTEMS: [System; 7] = [
    system("warp", "warp 0.4, no session", None),
    system("sealjar", "warp, sealjar", Some("warp")),
    system("axum", "axum 0.8, no session", None),
    system("seshcookie", "axum, seshcookie", Some("axum")),
    system("tower-sessions", "axum, tower-sessions on Redis", Some("axum")),
    system("actix", "actix-web 4, no session", None),
    system("actix-session", "actix-web, actix-session on Redis", Some("actix")),
];

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["serve", system, port, redis] => serve::serve(system, port.parse().unwrap(), redis),
        ["compare", server, rounds, seconds] => compare(server, rounds.parse().unwrap(), seconds.parse().unwrap()),
        _ => eprintln!("bash benches/peers/run.sh"),
    }
}

fn compare(server: &str, rounds: usize, seconds: u32) {
    let redis = Redis::start(server);
    let apps: Vec<_> = SYSTEMS.iter().map(|system| App::start(system.name, system.bare.is_some(), &redis)).collect();
    // The first requests find cold caches and grow the heap.
    for app in &apps {
        app.load(1, &redis);
    }
    let mut samples = vec![Vec::new(); SYSTEMS.len()];
    for round in 0..rounds {
        // A framework and what stands on it follow one another; who is first changes.
        for nth in 0..SYSTEMS.len() {
            let nth = (nth + round) % SYSTEMS.len();
            samples[nth].push(apps[nth].load(seconds, &redis));
        }
    }
    println!("{rounds} rounds of {seconds} s, µs of CPU for each GET /me, medians (quartiles)\n");
    println!("{:<36}{:>8}{:>8}{:>22}{:>12}", "", "server", "Redis", "sessions add", "/ sealjar");
    let ours = added(&samples, 1);
    for (nth, system) in SYSTEMS.iter().enumerate() {
        let server = quartiles(samples[nth].iter().map(|sample| sample.server).collect())[1];
        let redis = quartiles(samples[nth].iter().map(|sample| sample.redis).collect())[1];
        print!("{:<36}{server:>8.2}{redis:>8.2}", system.about);
        if system.bare.is_some() {
            let [low, median, high] = added(&samples, nth);
            print!("{:>22}{:>12.1}", format!("{median:.2} ({low:.2} – {high:.2})"), median / ours[1]);
        }
        println!();
    }
}

/// What sessions add, Redis's part included.
fn added(samples: &[Vec<load::Sample>], nth: usize) -> [f64; 3] {
    let bare = SYSTEMS.iter().position(|system| Some(system.name) == SYSTEMS[nth].bare).expect("it is one of them");
    let pairs = samples[nth].iter().zip(&samples[bare]);
    quartiles(pairs.map(|(with, without)| with.server + with.redis - without.server - without.redis).collect())
}

fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[(values.len() - 1) * quarter / 4])
}
