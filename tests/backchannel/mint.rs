//! The provider: keys, tokens, and a JWK Set that is served and counted.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use warp::Filter;
use warp::http::StatusCode;

use crate::app::serve;

pub const ISSUER: &str = "https://id.example.org/realms/one";
pub const CLIENT: &str = "shop-client";
pub const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// The library that mints, in versions that are known to do what is asked of them here.
const PACKAGES: [&str; 2] = ["PyJWT==2.15.1", "cryptography==50.0.2"];

/// A key pair of the provider's, and what it is called.
#[derive(Clone)]
pub struct Key {
    number: u64,
    pub id: String,
    pub alg: &'static str,
    pub jwk: Value,
}

impl Key {
    pub fn new(id: &str, alg: &'static str) -> Self {
        let kind = match alg {
            "RS256" | "PS256" => "RSA",
            "ES256" => "P-256",
            _ => "Ed25519",
        };
        let made = call(&json!({ "call": "new_key", "kind": kind }));
        let mut jwk = made["jwk"].clone();
        jwk["kid"] = json!(id);
        jwk["use"] = json!("sig");
        Self { number: made["key"].as_u64().unwrap(), id: id.to_owned(), alg, jwk }
    }

    /// A token as a provider mints it.
    pub fn token(&self, claims: &Value) -> String {
        self.with_header(&json!({}), claims)
    }

    /// With members of the header changed, and taken away by `null`.
    pub fn with_header(&self, changes: &Value, claims: &Value) -> String {
        let header = self.header(changes);
        self.ask(json!({ "call": "claims", "alg": self.alg, "header": header, "claims": claims }))
    }

    /// A good signature over whatever is asked for.
    pub fn over(&self, payload: &str) -> String {
        self.ask(json!({ "call": "payload", "alg": self.alg, "header": self.header(&json!({})), "payload": payload }))
    }

    /// Another algorithm of the same key.
    pub fn signed_as(&self, alg: &str, claims: &Value) -> String {
        self.ask(json!({ "call": "claims", "alg": alg, "header": self.header(&json!({})), "claims": claims }))
    }

    /// HS256, with the public key for a secret.
    pub fn misused(&self, form: &str, claims: &Value) -> String {
        let header = self.header(&json!({ "alg": "HS256" }));
        self.ask(json!({ "call": "shared_secret", "form": form, "header": header, "claims": claims }))
    }

    pub fn unsigned(&self, claims: &Value) -> String {
        token(&json!({ "call": "unsigned", "header": self.header(&json!({})), "claims": claims }))
    }

    fn header(&self, changes: &Value) -> Value {
        let mut header = json!({ "typ": "logout+jwt", "kid": self.id });
        for (name, value) in changes.as_object().unwrap() {
            if value.is_null() && name != "typ" {
                header.as_object_mut().unwrap().remove(name);
            } else {
                // PyJWT leaves `typ` out when it is null, and says JWT when it is not mentioned.
                header[name] = value.clone();
            }
        }
        header
    }

    fn ask(&self, mut request: Value) -> String {
        request["key"] = json!(self.number);
        token(&request)
    }
}

/// Claims of a good logout token that was issued now, without `sub` and `sid`; each with its own `jti`.
pub fn claims() -> Value {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let (now, n) = (now(), NEXT.fetch_add(1, Ordering::Relaxed));
    json!({ "iss": ISSUER, "aud": CLIENT, "iat": now, "exp": now + 120, "jti": format!("jti-{n}"), "events": { EVENT: {} } })
}

/// The same, with members added, changed, or taken away by `null`.
pub fn claims_with(changes: &Value) -> Value {
    let mut claims = claims();
    let members = claims.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    claims
}

pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

pub fn jwks(keys: &[&Key]) -> String {
    json!({ "keys": keys.iter().map(|key| key.jwk.clone()).collect::<Vec<_>>() }).to_string()
}

/// The provider's `jwks_uri`: what it serves can be changed, and it counts how often it was asked.
#[derive(Clone)]
pub struct JwksServer {
    pub url: String,
    answer: Arc<Mutex<(StatusCode, String)>>,
    asked: Arc<AtomicUsize>,
}

impl JwksServer {
    /// In the runtime that is entered.
    pub fn start(keys: &[&Key]) -> Self {
        let answer = Arc::new(Mutex::new((StatusCode::OK, jwks(keys))));
        let asked = Arc::new(AtomicUsize::new(0));
        let (served, counted) = (answer.clone(), asked.clone());
        let route = warp::path!("jwks").and(warp::get()).map(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            let (status, body) = served.lock().unwrap().clone();
            let reply = warp::reply::with_header(body, "location", "/elsewhere");
            warp::reply::with_status(reply, status)
        });
        let elsewhere = jwks(keys);
        let route = route.or(warp::path!("elsewhere").map(move || elsewhere.clone()));
        Self { url: format!("{}/jwks", serve(route)), answer, asked }
    }

    pub fn serves(&self, keys: &[&Key]) {
        self.answers(StatusCode::OK, jwks(keys));
    }

    pub fn answers(&self, status: StatusCode, body: impl Into<String>) {
        *self.answer.lock().unwrap() = (status, body.into());
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn token(request: &Value) -> String {
    call(request)["token"].as_str().unwrap().to_owned()
}

/// One process mints for all tests; it ends with this one, when its stdin is closed.
fn call(request: &Value) -> Value {
    struct Mint(Child, ChildStdin, BufReader<ChildStdout>);
    static MINT: OnceLock<Mutex<Mint>> = OnceLock::new();
    let mint = MINT.get_or_init(|| {
        let mut child = mint_py(&[]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Mutex::new(Mint(child, stdin, stdout))
    });
    let mut mint = mint.lock().unwrap();
    writeln!(mint.1, "{request}").unwrap();
    let mut line = String::new();
    mint.2.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap_or_else(|_| panic!("mint.py ({}) does not answer {request}", mint.0.id()))
}

pub fn mint_py(arguments: &[&str]) -> Command {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/backchannel/mint.py");
    let mut command = Command::new(PYTHON.get_or_init(python));
    command.arg("-B").arg(script).args(arguments);
    command
}

/// A Python with the packages, in a venv of this test's own.
fn python() -> PathBuf {
    const INSTALL: &str = "This test needs python3 with venv, and PyPI: apt-get install python3 python3-venv";
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("backchannel-venv");
    let python = home.join("bin/python3");
    let versions = PACKAGES.map(|package| {
        let (name, version) = package.split_once("==").unwrap();
        format!("assert importlib.metadata.version('{name}') == '{version}'")
    });
    let check = format!("import importlib.metadata\n{}", versions.join("\n"));
    let has_them = || Command::new(&python).args(["-c", &check]).output().is_ok_and(|output| output.status.success());
    if has_them() {
        return python;
    }
    let step = |program: &Path, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output();
        let output = output.unwrap_or_else(|error| panic!("{}: {error}. {INSTALL}", program.display()));
        assert!(output.status.success(), "{}\n{INSTALL}", String::from_utf8_lossy(&output.stderr));
    };
    step(Path::new("python3"), &["-m", "venv", home.to_str().unwrap()]);
    step(&python, &["-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGES[0], PACKAGES[1]]);
    assert!(has_them(), "pip installed other versions than it was told");
    python
}
