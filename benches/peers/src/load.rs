//! Processes: Redis, the apps, `wrk`; and the CPU time they took.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// The app has one core; what loads it, and Redis, have the other.
const APP_CORE: &str = "0";
const OTHER_CORE: &str = "1";

/// µs of CPU for one request.
#[derive(Clone, Copy)]
pub struct Sample {
    pub server: f64,
    pub redis: f64,
}

/// A process that ends with this value.
struct Process(Child);

impl Process {
    fn start(core: &str, program: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new("taskset");
        command.args(["-c", core, program]).args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
        Self(command.spawn().unwrap_or_else(|error| panic!("{program}: {error}")))
    }

    /// User and system time of all threads so far, in µs. The kernel keeps their sum in nanoseconds here; the two
    /// that `stat` shows are parts of it in steps of 10 ms, which is too coarse for a second of load.
    fn cpu(&self) -> f64 {
        let threads = fs::read_dir(format!("/proc/{}/task", self.0.id())).expect("it runs");
        let nanos = |thread: fs::DirEntry| -> f64 {
            let stat = fs::read_to_string(thread.path().join("schedstat")).expect("no thread ends meanwhile");
            stat.split(' ').next().and_then(|nanos| nanos.parse().ok()).expect("a number")
        };
        threads.map(|thread| nanos(thread.expect("it runs"))).sum::<f64>() / 1000.0
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub struct Redis {
    process: Process,
    url: String,
    _folder: TempDir,
}

impl Redis {
    pub fn start(program: &str) -> Self {
        let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
        let (text, path) = (port.to_string(), folder.path().display().to_string());
        let settings = ["--port", &text, "--bind", "127.0.0.1", "--dir", &path, "--save", "", "--appendonly", "yes"];
        let process = Process::start(OTHER_CORE, program, &settings);
        await_port(port);
        Self { process, url: format!("redis://127.0.0.1:{port}"), _folder: folder }
    }
}

/// One of the apps, with the cookie of somebody who is logged in.
pub struct App {
    process: Process,
    port: u16,
    cookie: Option<String>,
}

impl App {
    pub fn start(name: &str, has_sessions: bool, redis: &Redis) -> Self {
        let (port, program) = (free_port(), std::env::current_exe().unwrap().display().to_string());
        let process = Process::start(APP_CORE, &program, &["serve", name, &port.to_string(), &redis.url]);
        await_port(port);
        let mut app = Self { process, port, cookie: None };
        if has_sessions {
            assert!(app.ask("GET /me").starts_with("HTTP/1.1 401"), "{name} knows nobody yet");
            let answer = app.ask("POST /login");
            let set = answer.lines().find_map(|line| {
                let (field, value) = line.split_once(": ")?;
                field.eq_ignore_ascii_case("set-cookie").then(|| value.split(';').next().unwrap_or_default())
            });
            app.cookie = Some(set.unwrap_or_else(|| panic!("{name} sets no cookie: {answer}")).to_owned());
        }
        let answer = app.ask("GET /me");
        let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
        assert_eq!(body, r#"{"name":"Ada Lovelace","user_id":184467440737095}"#, "{name}");
        app
    }

    fn ask(&self, what: &str) -> String {
        let cookie = self.cookie.as_ref().map(|cookie| format!("Cookie: {cookie}\r\n")).unwrap_or_default();
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        let end = "Content-Length: 0\r\nConnection: close\r\n\r\n";
        write!(stream, "{what} HTTP/1.1\r\nHost: localhost\r\n{cookie}{end}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Loads it for so many seconds.
    pub fn load(&self, seconds: u32, redis: &Redis) -> Sample {
        let url = format!("http://127.0.0.1:{}/me", self.port);
        let mut wrk = Command::new("taskset");
        wrk.args(["-c", OTHER_CORE, "wrk", "-t1", "-c16", &format!("-d{seconds}s")]);
        if let Some(cookie) = &self.cookie {
            wrk.args(["-H", &format!("Cookie: {cookie}")]);
        }
        let before = [self.process.cpu(), redis.process.cpu()];
        let said = wrk.arg(url).output().expect("wrk");
        let after = [self.process.cpu(), redis.process.cpu()];
        let said = String::from_utf8(said.stdout).expect("text");
        assert!(!said.contains("Non-2xx") && !said.contains("Socket errors"), "{said}");
        let requests = said.lines().find_map(|line| line.trim().split_once(" requests in "));
        let requests: f64 = requests.unwrap_or_else(|| panic!("{said}")).0.parse().expect("a number");
        Sample { server: (after[0] - before[0]) / requests, redis: (after[1] - before[1]) / requests }
    }
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

fn await_port(port: u16) {
    for _ in 0..500 {
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("nobody listens at port {port}");
}
