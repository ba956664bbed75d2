//! The independent reader: it agrees on every file, and on random cookies sealed on either side.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use sealjar::id::Tag;
use sealjar::time::{Position, Seconds};
use sealjar::verdict::Verdict;
use sealjar::wire::Suite;
use serde_json::{Map, Value, json};

use crate::case::{Case, folder, read_all};
use crate::generate::seed::{CLOCK, IDLE, NOW, Seed, key};

/// Random cookies each way.
const RANDOM: usize = 2000;

#[test]
fn python_reader_agrees() {
    agree(&read_all(&folder()), &folder());
}

#[test]
fn python_opens_what_the_crate_seals() {
    let folder = tempfile::tempdir().unwrap();
    let mut chance = Chance(1);
    let cases: Vec<_> = (0..RANDOM).map(|n| random_case(n, &mut chance)).collect();
    let live = cases.iter().filter(|case| case.expect.is_live()).count();
    assert!(live > RANDOM / 2 && live < RANDOM, "{live} of {RANDOM} are live");
    for case in &cases {
        fs::write(folder.path().join(format!("{}.txt", case.name)), case.to_text()).unwrap();
    }
    agree(&cases, folder.path());
}

#[test]
fn the_crate_opens_what_python_seals() {
    let folder = tempfile::tempdir().unwrap();
    run("writer.py", &[RANDOM.to_string(), "1".into(), folder.path().display().to_string()]);
    let cases = read_all(folder.path());
    assert_eq!(cases.len(), RANDOM);
    for case in cases {
        assert_eq!(case.problem(), None, "{}", case.to_text());
    }
}

/// The reader's verdict and payload for each file are those that the case expects.
fn agree(cases: &[Case], folder: &Path) {
    let printed = run("reader.py", &[folder.display().to_string()]);
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(lines.len(), cases.len(), "the reader prints one line for each file");
    let differ: Vec<_> = cases
        .iter()
        .zip(lines)
        .filter_map(|(case, line)| {
            let payload = case.payload.as_deref().unwrap_or_default();
            let ours = format!("{}\t{}\t{payload}", case.name, case.expect);
            (ours != line).then(|| format!("the file: {ours}\n  reader: {line}"))
        })
        .collect();
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

fn run(script: &str, arguments: &[String]) -> String {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/testkit").join(script);
    let mut python = Command::new(PYTHON.get_or_init(python));
    let output = python.arg("-B").arg(script).args(arguments).output().expect("python3 ran before");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("the reader prints UTF-8")
}

/// A Python that has the package `cryptography`: the system's, or one in a venv of this test's own.
fn python() -> PathBuf {
    const INSTALL: &str = "The reader needs python3 with venv and the package `cryptography`: \
        apt-get install python3 python3-venv python3-cryptography";
    let imports = |python: &Path| Command::new(python).args(["-c", "import cryptography"]).output();
    let system = PathBuf::from("python3");
    match imports(&system) {
        Err(e) => panic!("python3 does not run ({e}). {INSTALL}"),
        Ok(output) if output.status.success() => return system,
        Ok(_) => {}
    }
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("testkit-venv");
    let python = home.join("bin/python3");
    if imports(&python).is_ok_and(|output| output.status.success()) {
        return python;
    }
    let step = |program: &Path, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output();
        let output = output.unwrap_or_else(|e| panic!("{}: {e}. {INSTALL}", program.display()));
        assert!(output.status.success(), "{}\n{INSTALL}", String::from_utf8_lossy(&output.stderr));
    };
    step(&system, &["-m", "venv", home.to_str().expect("a path in UTF-8")]);
    step(&python, &["-m", "pip", "install", "--quiet", "cryptography>=42"]);
    python
}

/// A cookie with everything at random; every fourth has one character changed.
fn random_case(n: usize, chance: &mut Chance) -> Case {
    let suite = *chance.pick(&[Suite::Encrypted, Suite::Signed]);
    let number = chance.byte();
    let seed = Seed::of(suite).value(&chance.object(3)).with(|s| {
        s.key = number;
        (*chance.pick(&["shop", "blog", "an-app-2"])).clone_into(&mut s.app);
        (*chance.pick(&["__Host-shop", "sid", "__Secure-x"])).clone_into(&mut s.cookie);
        s.session.0 = std::array::from_fn(|_| chance.byte());
        s.extras = (0..chance.below(60) * chance.below(2)).map(|_| chance.byte()).collect();
        s.randomness = chance.byte();
        let claims = &mut s.claims;
        claims.born = Position(chance.next() % CLOCK);
        claims.generation = chance.u32();
        claims.sealed_at = Seconds(NOW - chance.u32() % IDLE);
        claims.expires = Seconds(NOW + 1 + chance.u32() % 40_000);
        claims.authenticated_at = Seconds(chance.u32());
        claims.schema = u16::from(chance.byte());
        claims.tags.subject = (chance.below(2) == 0).then(|| Tag(chance.next()));
        claims.tags.tenant = (chance.below(2) == 0).then(|| Tag(chance.next()));
        for _ in 0..chance.below(5) {
            assert!(claims.tags.add_label(Tag(chance.next())));
        }
    });
    let mut case = seed.case(&format!("random-{n:05}"), "sealed by the crate", Verdict::Live);
    case.keys = vec![key(number)];
    if chance.below(4) == 0 {
        let field = &mut case.fields[0];
        let at = seed.cookie.len() + 1 + chance.below(field.len() - seed.cookie.len() - 1);
        field[at] = *chance.pick(b"AQgw_-.;Z0");
        let outcome = case.run();
        (case.expect, case.payload) = (outcome.verdict, outcome.payload);
    }
    case
}

/// `SplitMix64`: the same cookies in every run.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 33).expect("31 bits") % end
    }

    fn u32(&mut self) -> u32 {
        u32::try_from(self.next() >> 32).expect("32 bits")
    }

    fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    fn text(&mut self) -> String {
        (0..self.below(20)).map(|_| *self.pick(&['a', 'Z', '0', ' ', '"', '\\', '\n', '\0', 'é', '日', '🦀'])).collect()
    }

    fn object(&mut self, depth: usize) -> Value {
        let members: Map<_, _> = (0..self.below(6)).map(|_| (self.text(), self.value(depth))).collect();
        Value::Object(members)
    }

    fn value(&mut self, depth: usize) -> Value {
        match self.below(if depth > 0 { 8 } else { 6 }) {
            0 => Value::Null,
            1 => json!(self.below(2) == 0),
            2 => json!(self.next()),
            3 => json!(self.next().cast_signed() >> self.below(64)),
            // Quarters: both sides write these alike.
            4 => json!(f64::from(self.u32() >> 8) / 4.0 - 1000.0),
            5 => json!(self.text()),
            6 => (0..self.below(5)).map(|_| self.value(depth - 1)).collect(),
            _ => self.object(depth - 1),
        }
    }
}
