//! The program `sealjar admin` as a process, and a client that says exactly what it is told to.
#![allow(dead_code, reason = "each test program uses a part")]

#[allow(clippy::duplicate_mod, reason = "each helper brings it along")]
#[path = "../canaries/mod.rs"]
pub mod canaries;

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

/// Longer than anything here takes.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `sealjar` in a home; `list` is the address of a list on a server.
pub fn sealjar(home: &Path, list: Option<&str>, arguments: &[&str]) -> std::process::Output {
    let output = command(home, list).args(arguments).stdin(Stdio::null()).output().unwrap();
    canaries::keep(&output.stderr);
    canaries::plant_keys(&home.join("keys"));
    output
}

/// Its answer as JSON.
pub fn json(home: &Path, list: Option<&str>, arguments: &[&str]) -> Value {
    let output = sealjar(home, list, &[&["--json"], arguments].concat());
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{arguments:?}: {e}: {output:?}"))
}

pub fn command(home: &Path, list: Option<&str>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sealjar"));
    command.env("SEALJAR_HOME", home).env("SEALJAR_APP", "shop").env_remove("REDIS_URL");
    command.envs(canaries::folder().map(|_| canaries::LOUD));
    if let Some(list) = list {
        command.env("REDIS_URL", list);
    }
    command
}

/// A running endpoint; it ends with this value.
pub struct Endpoint {
    pub address: SocketAddr,
    child: Child,
    stderr: Option<std::thread::JoinHandle<String>>,
}

impl Endpoint {
    /// Starts it in a home that has keys and a list.
    pub fn start(home: &Path, list: Option<&str>) -> Self {
        Self::with(home, list, &[])
    }

    pub fn with(home: &Path, list: Option<&str>, arguments: &[&str]) -> Self {
        Self::run(command(home, list), arguments)
    }

    pub fn run(mut command: Command, arguments: &[&str]) -> Self {
        command.args(["--json", "admin"]).args(arguments);
        if !arguments.contains(&"--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let stderr = std::thread::spawn(move || {
            let mut said = String::new();
            let _ = std::io::Read::read_to_string(&mut stderr, &mut said);
            canaries::keep(said.as_bytes());
            said
        });
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let address = lines.find_map(|line| Some(line.split_once("://")?.1.split('"').next()?.to_owned()));
        let Some(address) = address else {
            let _ = child.wait();
            panic!("the endpoint did not start: {}", stderr.join().unwrap());
        };
        Self { address: address.parse().unwrap(), child, stderr: Some(stderr) }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many sockets it has open.
    pub fn sockets(&self) -> usize {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap();
        let is_socket = |path| std::fs::read_link(path).is_ok_and(|what| what.to_string_lossy().starts_with("socket:"));
        open.filter(|file| file.as_ref().is_ok_and(|file| is_socket(file.path()))).count()
    }

    pub fn signal(&self, name: &str) {
        assert!(
            Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap().success()
        );
    }

    /// Waits until it has ended; what it said on standard error.
    pub fn ended(mut self) -> (ExitStatus, String) {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "the endpoint did not end");
            std::thread::sleep(Duration::from_millis(10));
        };
        (status, self.stderr.take().unwrap().join().unwrap())
    }

    /// Asks as a program does, with a token.
    pub async fn ask(&self, token: &str, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let mut ask = Ask::new(method, path).token(token);
        if let Some(body) = body {
            ask = ask.json(&body.to_string());
        }
        ask.send(self.address).await
    }

    pub async fn get(&self, token: &str, path: &str) -> Value {
        let answer = self.ask(token, "GET", path, None).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A request, field by field.
#[derive(Clone)]
pub struct Ask {
    method: String,
    path: String,
    from: Ipv4Addr,
    host: Option<String>,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Ask {
    pub fn new(method: &str, path: &str) -> Self {
        let (method, path) = (method.to_owned(), path.to_owned());
        Self {
            method,
            path,
            from: Ipv4Addr::LOCALHOST,
            host: Some(String::new()),
            fields: Vec::new(),
            body: Vec::new(),
        }
    }

    pub fn token(self, token: &str) -> Self {
        self.field("Authorization", &format!("Bearer {token}"))
    }

    pub fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn json(self, body: &str) -> Self {
        self.body(body).field("Content-Type", "application/json")
    }

    pub fn body(self, body: &str) -> Self {
        self.body_bytes(body.as_bytes())
    }

    pub fn body_bytes(self, body: &[u8]) -> Self {
        Self { body: body.to_vec(), ..self }
    }

    pub fn path(self, path: &str) -> Self {
        Self { path: path.to_owned(), ..self }
    }

    pub fn method(self, method: &str) -> Self {
        Self { method: method.to_owned(), ..self }
    }

    /// From another address of this machine.
    pub fn from(self, from: [u8; 4]) -> Self {
        Self { from: from.into(), ..self }
    }

    /// For another host; nothing leaves the field out.
    pub fn host(self, host: Option<&str>) -> Self {
        Self { host: host.map(str::to_owned), ..self }
    }

    /// The bytes of the request.
    pub fn bytes(&self, address: SocketAddr) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        match &self.host {
            Some(host) if host.is_empty() => write!(head, "Host: {address}\r\n").unwrap(),
            Some(host) => write!(head, "Host: {host}\r\n").unwrap(),
            None => {}
        }
        for (name, value) in &self.fields {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        if !self.body.is_empty() || self.method == "POST" {
            write!(head, "Content-Length: {}\r\n", self.body.len()).unwrap();
        }
        [head.as_bytes(), b"Connection: close\r\n\r\n", &self.body].concat()
    }

    pub async fn connect(&self, address: SocketAddr) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((self.from, 0).into()).unwrap();
        let mut stream = socket.connect(address).await.unwrap();
        stream.write_all(&self.bytes(address)).await.unwrap();
        stream
    }

    pub async fn send(&self, address: SocketAddr) -> Answer {
        let mut stream = self.connect(address).await;
        let mut bytes = Vec::new();
        // A server that refuses a body may close before it was sent.
        let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("an answer in time");
        Answer::of(&String::from_utf8_lossy(&bytes))
    }
}

impl Answer {
    fn of(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no answer: {text:?}"));
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// The last part of the problem's type.
    pub fn problem(&self) -> String {
        assert_eq!(self.field("content-type"), Some("application/problem+json"), "{self:?}");
        let body = self.json();
        assert_eq!(body["status"], self.status, "{self:?}");
        body["type"].as_str().unwrap().strip_prefix("urn:sealjar:problem:").unwrap().to_owned()
    }
}

/// A token with these scopes.
pub fn token(home: &Path, scopes: &str) -> String {
    let made = json(home, None, &["token", "new", "--scope", scopes, "--name", scopes]);
    let token = made["token"].as_str().unwrap().to_owned();
    canaries::plant(&token);
    token
}

/// The key of a provider (RFC 7517, appendix A.1), whose private half nobody here has.
const JWKS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"1","use":"sig",
    "x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}"#;

impl Endpoint {
    /// One that receives a provider's logouts as well, at `/backchannel-logout`. `tests/admin_backchannel.rs` has a
    /// provider that signs; this one's tokens are all refused.
    pub fn with_provider(home: &Path, list: Option<&str>) -> Self {
        let jwks = home.join("jwks.json");
        std::fs::write(&jwks, JWKS).unwrap();
        let who = ["--backchannel-issuer", "https://id.example.org", "--backchannel-client-id", "shop-client"];
        let keys = ["--backchannel-algorithm", "ES256", "--backchannel-jwks", jwks.to_str().unwrap()];
        Self::with(home, list, &[who, keys].concat())
    }
}
