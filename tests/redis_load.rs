//! A million revocations, two hundred more every second, the server restarted once: every answer of the login
//! example is the right one. `bash tests/load.sh` runs it.
#![cfg(all(feature = "redis", feature = "warp", feature = "sqlite"))]

mod redis_support;
mod support;

use std::env;
use std::fmt::Write as _;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use redis_support::{Server, address, program};
use sealjar::id::ShortId;
use sealjar::io::folder::KeyFolder;
use sealjar::io::redis::{Options, RedisStore};
use sealjar::revocation::{Revocation, RevocationStore as _};
use sealjar::time::{Clock, Day};
use sealjar::{Map, Request, Sessions};
use serde_json::json;
use support::{Answer, Process, command, http};
use tokio::runtime::Runtime;

/// What the example calls itself.
const APP: &str = "login";
const RECORDS: u64 = 1_000_000;
const BATCH: u64 = 20_000;
/// So many every twentieth of a second.
const TRICKLE: u64 = 10;
const USERS: u64 = 64;
/// S.
const BOUND: Duration = Duration::from_secs(5);

/// Counts the statuses, and answers that are not what they look like. What it calls wrong is printed at the end.
const SCRIPT: &str = r#"
local cookies = { COOKIES }
local threads = {}
wrong, right, first = 0, 0, ""
function setup(thread) table.insert(threads, thread) end
function request()
  return wrk.format("GET", "/me", { ["Cookie"] = cookies[math.random(#cookies)] })
end
function response(status, headers, body)
  if status == 200 and body:find('"user_id":', 1, true) then
    right = right + 1
  else
    wrong = wrong + 1
    if first == "" then first = status .. " " .. body end
  end
end
function done(summary)
  local all, bad, said, errors = 0, 0, "", summary.errors
  for _, thread in ipairs(threads) do
    all, bad = all + thread:get("right"), bad + thread:get("wrong")
    if thread:get("first") ~= "" then said = thread:get("first") end
  end
  local broken = errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format("right %d wrong %d broken %d %s\n", all, bad, broken, said))
end
"#;

struct World {
    server: Server,
    store: RedisStore,
    /// Opens the example's cookies, to know what to revoke.
    reader: Sessions<Map>,
    runtime: Runtime,
    url: String,
    over: AtomicBool,
    wrong: Mutex<Vec<String>>,
    published: AtomicU64,
    asked: AtomicU64,
}

impl World {
    fn get(&self, cookie: &str) -> Answer {
        self.asked.fetch_add(1, Ordering::Relaxed);
        http("GET", &format!("{}/me", self.url), [("cookie", cookie.to_owned())], None)
    }

    fn wrong(&self, what: String) {
        self.wrong.lock().unwrap().push(what);
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// A cookie of a new session; none while the list cannot be written.
    fn log_in(&self, user: u64) -> Option<String> {
        let body = json!({ "user_id": user, "name": "Ada", "email": "ada@example.org" }).to_string();
        let answer = http("POST", &format!("{}/login", self.url), [], Some(("application/json", &body)));
        let cookie = answer.all("set-cookie").next().and_then(|line| line.split(';').next()).map(str::to_owned);
        assert!(matches!(answer.status, 200 | 503), "{} {}", answer.status, answer.text);
        cookie.filter(|_| answer.status == 200)
    }

    /// Revokes a session that is open somewhere, as an operator would.
    fn revoke(&self, cookie: &str) {
        let opened = self.reader.begin([cookie.as_bytes()], Request::default());
        let handle = self.runtime.block_on(opened).handle().expect("it is live");
        self.publish(&[Revocation::Session { id: handle.id, day: handle.day }]);
    }

    /// Until it is committed.
    fn publish(&self, wishes: &[Revocation]) {
        while let Err(error) = self.runtime.block_on(self.store.publish(wishes)) {
            assert!(!self.is_over(), "{error}");
        }
        self.published.fetch_add(wishes.len() as u64, Ordering::Relaxed);
    }
}

/// Revocations of sessions that nobody has.
fn strangers(number: u64) -> Vec<Revocation> {
    let day = Clock::system().now().seconds().day();
    let stranger = |n| Revocation::Session { id: ShortId(rand::random()), day: Day(day.0 + n % 2) };
    (0..u32::try_from(number).unwrap()).map(stranger).collect()
}

#[test]
#[ignore = "a minute under load: run by tests/load.sh"]
fn every_answer_is_the_right_one_under_load() {
    let seconds = env::var("SEALJAR_LOAD_SECONDS").map_or(60, |text| text.parse::<u64>().unwrap());
    let home = tempfile::tempdir().unwrap();
    let server = Server::with_users(program(), &["--appendonly", "yes"], APP).expect("it starts");
    let log = std::fs::File::create(home.path().join("log")).unwrap();
    let mut example = command(APP, home.path());
    let example = example.env("REDIS_URL", server.url()).env("PORT", "0").stderr(log);
    let process = Process::start(example).unwrap();
    let url = process.after("open ").split(' ').next().unwrap().to_owned();

    let runtime = Runtime::new().unwrap();
    let keys = KeyFolder::new(home.path().join("keys"));
    let list_key = keys.list_key().unwrap();
    let options = Options { app: APP, list_key: &list_key, clock: Clock::system() };
    let store = runtime.block_on(RedisStore::open(address(&server.url()), &options)).unwrap();
    let builder = Sessions::<Map>::builder(APP).keys(keys.path()).list(server.url()).localhost();
    let reader = runtime.block_on(builder.start()).unwrap();
    let world = Arc::new(World {
        server,
        store,
        reader,
        runtime,
        url,
        over: AtomicBool::new(false),
        wrong: Mutex::default(),
        published: AtomicU64::new(0),
        asked: AtomicU64::new(0),
    });

    let began = Instant::now();
    for _ in 0..RECORDS / BATCH {
        world.publish(&strangers(BATCH));
    }
    println!("{RECORDS} revocations published in {:.1?}", began.elapsed());
    let logged_in = |user| support::eventually("log in", || world.log_in(user).ok_or_else(|| "503".into()));
    let users: Vec<(u64, String)> = (0..USERS).map(|user| (user, logged_in(user))).collect();
    let (gone, live) = users.split_at(users.len() / 4);
    for (_, cookie) in gone {
        world.revoke(cookie);
        let revoked = Instant::now();
        while world.get(cookie).status != 401 {
            assert!(revoked.elapsed() < BOUND, "it was revoked");
        }
    }

    let script = home.path().join("wrk.lua");
    let cookies = live.iter().fold(String::new(), |mut text, (_, cookie)| {
        let _ = write!(text, "{cookie:?},");
        text
    });
    std::fs::write(&script, SCRIPT.replace("COOKIES", &cookies)).unwrap();
    let mut workers = Vec::new();
    let mut goes_on = |work: Box<dyn Fn(&World) + Send>| {
        let world = world.clone();
        workers.push(thread::spawn(move || {
            while !world.is_over() {
                work(&world);
            }
        }));
    };
    goes_on(Box::new(|world| {
        world.publish(&strangers(TRICKLE));
        thread::sleep(Duration::from_millis(50));
    }));
    goes_on(Box::new(victim));
    for _ in 0..2 {
        let (live, gone) = (live.to_vec(), gone.to_vec());
        goes_on(Box::new(move |world| look(world, &live, &gone)));
    }
    let restarter = world.clone();
    let restart = thread::spawn(move || {
        thread::sleep(Duration::from_secs(seconds) / 2);
        let began = Instant::now();
        restarter.server.kill();
        restarter.server.restart();
        began.elapsed()
    });
    let wrk = Command::new("wrk")
        .args(["-t", "1", "-c", "16", "-d", &format!("{seconds}s"), "--timeout", "10s", "-s"])
        .arg(&script)
        .arg(format!("{}/me", world.url))
        .output()
        .expect("wrk is installed (apt-get install wrk)");
    world.over.store(true, Ordering::SeqCst);
    let away = restart.join().unwrap();
    workers.into_iter().for_each(|worker| worker.join().unwrap());

    let said = String::from_utf8_lossy(&wrk.stdout).into_owned();
    let counts = said.lines().find(|line| line.starts_with("right ")).unwrap_or_else(|| panic!("{said} {wrk:?}"));
    let (published, asked) = (world.published.load(Ordering::Relaxed), world.asked.load(Ordering::Relaxed));
    println!("wrk, {seconds} s: {counts}; {asked} answers looked at beside it");
    println!("{} revocations while it ran; the server was away for {away:.1?}", published - RECORDS);
    for line in said.lines().filter(|line| line.contains("Requests/sec") || line.contains("Latency")) {
        println!("{}", line.trim());
    }
    let wrong = world.wrong.lock().unwrap();
    assert!(wrong.is_empty(), "{} wrong answers: {:?}", wrong.len(), wrong.iter().take(5).collect::<Vec<_>>());
    let number = |name: &str| {
        let mut words = counts.split(' ').skip_while(|word| *word != name);
        words.nth(1).unwrap().parse::<u64>().unwrap()
    };
    assert_eq!((number("wrong"), number("broken")), (0, 0), "{counts}");
    assert!(number("right") > 1_000, "it was under load");
    assert!(published - RECORDS > seconds * 100, "revocations arrived: {}", published - RECORDS);
}

/// The right answer for each cookie.
fn look(world: &World, live: &[(u64, String)], gone: &[(u64, String)]) {
    for ((user, cookie), (_, revoked)) in live.iter().zip(gone.iter().cycle()) {
        let answer = world.get(cookie);
        if answer.status != 200 || answer.json["user_id"] != *user {
            world.wrong(format!("user {user} got {} {}", answer.status, answer.text));
        }
        let answer = world.get(revoked);
        if answer.status != 401 || answer.json["verdict"] != "revoked_session" {
            world.wrong(format!("a session that was revoked got {} {}", answer.status, answer.text));
        }
        if world.is_over() {
            return;
        }
    }
}

/// One more session that is revoked, and is refused within the bound.
fn victim(world: &World) {
    let Some(cookie) = world.log_in(1_000) else { return };
    if world.get(&cookie).status != 200 {
        world.wrong("a new session was refused".into());
    }
    world.revoke(&cookie);
    let revoked = Instant::now();
    loop {
        let asked = Instant::now();
        let answer = world.get(&cookie);
        match answer.status {
            401 => return,
            200 if asked.duration_since(revoked) <= BOUND => thread::sleep(Duration::from_millis(10)),
            status => return world.wrong(format!("{status} {:?} after it was revoked", asked.duration_since(revoked))),
        }
    }
}
