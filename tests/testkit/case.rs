//! Reads the files of the test kit and judges them with the crate's own public functions.
//!
//! The format is described in `README.md` beside this file, for implementers in any language.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sealjar::config::Config;
use sealjar::id::{Incarnation, KeyId, ShortId, Tag};
use sealjar::judge::{self, Authentic, Refusal};
use sealjar::key::Key;
use sealjar::revocation::freshness::{Admission, RoutePolicy};
use sealjar::revocation::{Beat, Heard, Profile, Record, Records, Replica, View};
use sealjar::ring::{KeyRing, RingKey};
use sealjar::rotation::{KeyRecord, KeyState, Rotation};
use sealjar::seal::Opened;
use sealjar::secret::Secret;
use sealjar::time::{Day, Now, Position, Seconds};
use sealjar::wire::Suite;
use sealjar::{Verdict, payload};

/// One file.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    pub name: String,
    pub about: String,
    pub expect: Verdict,
    pub app: String,
    pub cookie: String,
    pub suite: Suite,
    pub idle: u64,
    pub absolute: u64,
    pub now: u32,
    pub keys: Vec<[u8; 32]>,
    pub key_states: Vec<(KeyId, KeyState)>,
    pub list: List,
    pub records: Vec<Record>,
    pub form: Form,
    pub payload: Option<String>,
    pub fields: Vec<Vec<u8>>,
}

/// What is known of the list's age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// It was never read.
    None,
    /// It was read `age` seconds ago and its clock then said `clock` milliseconds.
    Read { clock: u64, age: u64 },
}

/// What the payload is decoded as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Anything that describes itself.
    Any,
    /// [`Account`].
    Account,
}

/// The typed payload of the kit.
#[derive(serde::Serialize, serde::Deserialize)]
pub struct Account {
    pub name: String,
    pub level: u32,
}

/// Boot time in every case; any value that leaves room for an age does.
const BOOT: Duration = Duration::from_secs(1_000_000);

/// What came of a case.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    pub verdict: Verdict,
    /// Canonical JSON, for live ones.
    pub payload: Option<String>,
}

/// The folder of the files.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/testkit/cases")
}

/// Every file of a folder, by name.
pub fn read_all(folder: &Path) -> Vec<Case> {
    let entries = std::fs::read_dir(folder).expect("the folder of cases");
    let mut cases: Vec<_> = entries
        .map(|entry| entry.expect("a folder entry").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "txt"))
        .map(|path| {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).expect("a case is text");
            Case::parse(&name, &text).unwrap_or_else(|problem| panic!("{name}: {problem}"))
        })
        .collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases
}

impl Case {
    /// Reads a file. Every header line that is not known is an error, so that none is passed over.
    pub fn parse(name: &str, text: &str) -> Result<Self, String> {
        let (head, body) = text.split_once("\n\n").ok_or("there is no blank line")?;
        let mut case = Self {
            name: name.to_owned(),
            about: String::new(),
            expect: Verdict::Live,
            app: String::new(),
            cookie: String::new(),
            suite: Suite::Encrypted,
            idle: 0,
            absolute: 0,
            now: 0,
            keys: Vec::new(),
            key_states: Vec::new(),
            list: List::None,
            records: Vec::new(),
            form: Form::Any,
            payload: None,
            fields: Vec::new(),
        };
        for line in head.lines() {
            case.header(line).ok_or_else(|| format!("the line {line:?} is not understood"))?;
        }
        for line in body.lines() {
            let field = line.strip_prefix("Cookie:").ok_or_else(|| format!("no Cookie field: {line:?}"))?;
            let field = field.strip_prefix(' ').unwrap_or_default();
            case.fields.push(unescape(field).ok_or_else(|| format!("bad escape: {field:?}"))?);
        }
        Ok(case)
    }

    fn header(&mut self, line: &str) -> Option<()> {
        let (name, value) = line.split_once(": ")?;
        let words: Vec<_> = value.split(' ').collect();
        match name {
            "about" => value.clone_into(&mut self.about),
            "expect" => self.expect = Verdict::from_code(value)?,
            "app" => value.clone_into(&mut self.app),
            "cookie" => value.clone_into(&mut self.cookie),
            "suite" => self.suite = [Suite::Encrypted, Suite::Signed].into_iter().find(|s| s.name() == value)?,
            "idle" => self.idle = value.parse().ok()?,
            "absolute" => self.absolute = value.parse().ok()?,
            "now" => self.now = value.parse().ok()?,
            "key" => self.keys.push(from_hex(value)?.try_into().ok()?),
            "key-state" => {
                let &[id, state] = words.as_slice() else { return None };
                let state = KeyState::ALL.into_iter().find(|known| known.name() == state)?;
                self.key_states.push((id.parse().ok()?, state));
            }
            "list" => {
                self.list = match words.as_slice() {
                    ["none"] => List::None,
                    ["clock", clock, "age", age] => List::Read { clock: clock.parse().ok()?, age: age.parse().ok()? },
                    _ => return None,
                }
            }
            "revoked" => self.records.push(record(&words)?),
            "type" => {
                self.form = match value {
                    "any" => Form::Any,
                    "account" => Form::Account,
                    _ => return None,
                }
            }
            "payload" => self.payload = Some(value.to_owned()),
            _ => return None,
        }
        Some(())
    }

    /// The text of the file.
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "about: {}\nexpect: {}\napp: {}\ncookie: {}\nsuite: {}\nidle: {}\nabsolute: {}\nnow: {}\n",
            self.about,
            self.expect,
            self.app,
            self.cookie,
            self.suite.name(),
            self.idle,
            self.absolute,
            self.now,
        );
        let mut line = |name: &str, value: String| {
            let _ = writeln!(text, "{name}: {value}");
        };
        for key in &self.keys {
            line("key", to_hex(key));
        }
        for (id, state) in &self.key_states {
            line("key-state", format!("{id} {state}"));
        }
        line(
            "list",
            match self.list {
                List::None => "none".into(),
                List::Read { clock, age } => format!("clock {clock} age {age}"),
            },
        );
        for record in &self.records {
            line("revoked", record_text(record));
        }
        if self.form == Form::Account {
            line("type", "account".into());
        }
        if let Some(payload) = &self.payload {
            line("payload", payload.clone());
        }
        text.push('\n');
        for field in &self.fields {
            let field = escape(field);
            let _ = writeln!(text, "Cookie:{}{field}", if field.is_empty() { "" } else { " " });
        }
        text
    }

    pub fn config(&self) -> Config {
        let (idle, absolute) = (Duration::from_secs(self.idle), Duration::from_secs(self.absolute));
        let profile = Profile { cookie: self.cookie.clone(), suite: self.suite, idle, absolute, longest: absolute };
        Config::of_profile(&self.app, &profile).unwrap_or_else(|e| panic!("{}: {e}", self.name))
    }

    pub fn ring(&self) -> KeyRing {
        let mut rotation = Rotation::default();
        for &(id, state) in &self.key_states {
            rotation.insert(id, KeyRecord::new(state, 0));
        }
        let key = |bytes: &[u8; 32]| Key::dangerous_from_bytes(Secret::new(*bytes), Seconds(0));
        let keys = self.keys.iter().map(|bytes| Arc::new(RingKey::new(&key(bytes), &self.app))).collect();
        KeyRing::assemble(keys, rotation, Seconds(self.now), Duration::ZERO)
    }

    pub fn replica(&self) -> Replica {
        let replica = Replica::default();
        replica.apply(&self.records, Position(0));
        if let List::Read { clock, age } = self.list {
            let beat = Beat {
                incarnation: Incarnation(1),
                position: Position(clock),
                clock: Position(clock),
                records: Records::default(),
                whole: true,
                healed: true,
                heard: Heard::Yes,
            };
            let boot = BOOT.checked_sub(Duration::from_secs(age)).expect("an age below the time since boot");
            replica.confirm(&beat, Now { boot, ..self.clock() });
        }
        replica
    }

    pub fn clock(&self) -> Now {
        Now { millis: u64::from(self.now) * 1000, boot: BOOT }
    }

    /// Envelope, key, seal and times.
    pub fn authenticate(&self, config: &Config) -> Result<Authentic, Verdict> {
        let fields = self.fields.iter().map(Vec::as_slice);
        judge::authenticate(fields, config, &self.ring(), self.clock()).map_err(|refusal| refusal.verdict)
    }

    /// The whole pipeline, as a relaxed route runs it.
    pub fn run(&self) -> Outcome {
        match self.open(&self.config(), &self.replica().view()).and_then(|opened| self.decode(&opened)) {
            Ok(payload) => Outcome { verdict: Verdict::Live, payload: Some(payload) },
            Err(verdict) => Outcome { verdict, payload: None },
        }
    }

    /// What came out instead of what the file says.
    pub fn problem(&self) -> Option<Outcome> {
        let outcome = self.run();
        (outcome.verdict != self.expect || outcome.payload != self.payload).then_some(outcome)
    }

    /// Everything but the payload.
    pub fn open(&self, config: &Config, view: &View) -> Result<Opened, Verdict> {
        let authentic = self.authenticate(config)?;
        match RoutePolicy::Relaxed.admit(view.freshness(config.bounds(), self.clock())) {
            Admission::Unavailable => Err(Verdict::ListUnavailable),
            _ => judge::judge(authentic, view, self.clock()).map_err(|Refusal { verdict, .. }| verdict),
        }
    }

    fn decode(&self, opened: &Opened) -> Result<String, Verdict> {
        let (suite, bytes) = (opened.suite, opened.payload());
        let value = match self.form {
            Form::Any => payload::decode::<serde_json::Value>(suite, bytes).ok(),
            Form::Account => {
                payload::decode::<Account>(suite, bytes).ok().and_then(|account| serde_json::to_value(account).ok())
            }
        };
        value.map(|value| value.to_string()).ok_or(Verdict::Undecodable)
    }
}

fn record(words: &[&str]) -> Option<Record> {
    let tag = |hex: &str| u64::from_str_radix(hex, 16).ok().map(Tag);
    let day = |text: &str| text.parse::<Day>().ok();
    let id = |text: &str| text.parse::<ShortId>().ok();
    Some(match *words {
        ["session", session, last] => Record::Session { id: id(session)?, day: day(last)? },
        ["floor", session, floor, last] => {
            Record::Floor { id: id(session)?, floor: floor.parse().ok()?, day: day(last)? }
        }
        ["tag", hex, position, last] => {
            Record::CutOff { tag: tag(hex)?, position: Position(position.parse().ok()?), day: day(last)? }
        }
        ["all", position] => Record::Everybody { position: Position(position.parse().ok()?) },
        ["forgotten", first, position] => {
            Record::Forgotten { day: day(first)?, position: Position(position.parse().ok()?) }
        }
        _ => return None,
    })
}

fn record_text(record: &Record) -> String {
    match *record {
        Record::Session { id, day } => format!("session {id} {day}"),
        Record::Floor { id, floor, day } => format!("floor {id} {floor} {day}"),
        Record::CutOff { tag, position, day } => format!("tag {:016x} {} {day}", tag.0, position.0),
        Record::Everybody { position } => format!("all {}", position.0),
        Record::Forgotten { day, position } => format!("forgotten {day} {}", position.0),
        Record::Key { .. } => unreachable!("key records stand in lines of their own"),
    }
}

/// Every byte that is not printable ASCII, a backslash, and spaces at the ends become `\xHH`.
fn escape(field: &[u8]) -> String {
    let mut text = String::new();
    for (i, &byte) in field.iter().enumerate() {
        let at_an_end = i == 0 || i + 1 == field.len();
        match byte {
            b' ' if !at_an_end => text.push(' '),
            0x21..=0x7e if byte != b'\\' => text.push(char::from(byte)),
            _ => {
                let _ = write!(text, "\\x{byte:02x}");
            }
        }
    }
    text
}

fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let hex = rest[at..].strip_prefix("\\x")?.get(..2)?;
        bytes.extend(from_hex(hex)?);
        rest = &rest[at + 4..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    Some(bytes)
}

pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn from_hex(hex: &str) -> Option<Vec<u8>> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let plain = hex.len().is_multiple_of(2) && hex.bytes().all(|b| b.is_ascii_hexdigit());
    plain.then(|| hex.as_bytes().chunks(2).map(byte).collect()).flatten()
}
