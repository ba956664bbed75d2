//! Golden cookies with every single fault, and hostile headers: nothing is accepted, nothing panics, and
//! the work stays bounded.
//!
//! In a release build about twenty million cases; in a debug build every 97th of them.

#[path = "testkit/case.rs"]
#[expect(dead_code, reason = "the test kit itself uses the rest")]
mod case;
#[path = "testkit/hostile.rs"]
mod hostile;

use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use case::{Case, folder, read_all};
use sealjar::config::Config;
use sealjar::cookie::header;
use sealjar::judge::authenticate;
use sealjar::ring::KeyRing;
use sealjar::time::Now;
use sealjar::verdict::Verdict;

const STRIDE: usize = if cfg!(debug_assertions) { 97 } else { 1 };
const THREADS: usize = 2;
/// How far apart the two sides of a splice may be cut.
const REACH: usize = 256;

/// A frozen cookie of the test kit with what it is judged by.
struct Golden {
    name: String,
    field: Vec<u8>,
    start: usize,
    config: Config,
    ring: KeyRing,
    now: Now,
}

impl Golden {
    fn of(case: &Case) -> Self {
        let field = case.fields[0].clone();
        let start = case.cookie.len() + 1;
        Self { name: case.name.clone(), field, start, config: case.config(), ring: case.ring(), now: case.clock() }
    }

    fn text(&self) -> &[u8] {
        &self.field[self.start..]
    }

    fn is_large(&self) -> bool {
        self.text().len() > 2000
    }
}

/// Live cookies of both suites: with and without tags and extras, of all endings and sizes. All are of one
/// session, under one key, app and name, so that nothing but the seals tells their parts apart.
fn goldens() -> Vec<Golden> {
    const CONTENTS: [&str; 12] = [
        "minimal",
        "login",
        "labels",
        "extras",
        "everything",
        "label-only",
        "ending-0",
        "ending-1",
        "ending-2",
        "text",
        "numbers",
        "largest",
    ];
    let wanted: HashSet<_> = ["encrypted", "signed"]
        .into_iter()
        .flat_map(|suite| CONTENTS.map(|content| format!("live-{suite}-{content}")))
        .collect();
    let cases = read_all(&folder());
    let goldens: Vec<_> = cases.iter().filter(|case| wanted.contains(&case.name)).map(Golden::of).collect();
    assert_eq!(goldens.len(), wanted.len(), "the kit has lost golden cookies");
    goldens
}

/// Judges mutations and counts what comes out.
struct Tally<'a> {
    golden: &'a Golden,
    field: Vec<u8>,
    seen: usize,
    verdicts: [usize; Verdict::ALL.len()],
    /// Mutations that only changed what stands around the value, or made another golden one.
    same: usize,
    accepted: Vec<String>,
}

impl<'a> Tally<'a> {
    fn new(golden: &'a Golden) -> Self {
        let field = golden.field[..golden.start].to_vec();
        Self { golden, field, seen: 0, verdicts: [0; Verdict::ALL.len()], same: 0, accepted: Vec::new() }
    }

    /// Judges our name with the value that `parts` make up, through the whole path of a request.
    fn judge(&mut self, texts: &HashSet<&[u8]>, parts: &[&[u8]]) {
        self.seen += 1;
        if !self.seen.is_multiple_of(STRIDE) {
            return;
        }
        let Golden { start, config, ring, now, .. } = self.golden;
        self.field.truncate(*start);
        for part in parts {
            self.field.extend_from_slice(part);
        }
        let verdict = match authenticate([&self.field[..]], config, ring, *now) {
            Ok(_) => Verdict::Live,
            Err(refusal) => refusal.verdict,
        };
        self.verdicts[verdict.index()] += 1;
        if verdict.is_live() {
            let found = header::find([&self.field[..]], config.cookie().name()).expect("it was accepted");
            if found.values().all(|value| texts.contains(&value)) {
                self.same += 1;
            } else {
                self.accepted.push(format!("{}: {}", self.golden.name, self.field.escape_ascii()));
            }
        }
    }

    fn single_faults(&mut self, texts: &HashSet<&[u8]>) {
        let golden = self.golden;
        let text = golden.text();
        for i in 0..text.len() {
            let (before, at, after) = (&text[..i], text[i], &text[i + 1..]);
            for byte in (0..=u8::MAX).filter(|&byte| byte != at) {
                self.judge(texts, &[before, &[byte], after]);
            }
            self.judge(texts, &[before, after]);
            self.judge(texts, &[before]);
            self.judge(texts, &[after]);
            self.judge(texts, &[before, format!("%{at:02X}").as_bytes(), after]);
            self.judge(texts, &[before, format!("%{at:02x}").as_bytes(), after]);
            if let Some((&next, rest)) = after.split_first().filter(|&(&next, _)| next != at) {
                self.judge(texts, &[before, &[next, at], rest]);
            }
        }
        for i in 0..=text.len() {
            for byte in 0..=u8::MAX {
                self.judge(texts, &[&text[..i], &[byte], &text[i..]]);
            }
        }
        for (before, after) in [("\"", "\""), ("'", "'"), ("(", ")"), ("<", ">")] {
            self.judge(texts, &[before.as_bytes(), text, after.as_bytes()]);
        }
        for after in
            ["=", "==", "===", "%3D", "%3D%3D", ".", "..", "\r\n", "\u{a0}", "\u{2003}", ",a=b", "A", "AA", "AAAA"]
        {
            self.judge(texts, &[text, after.as_bytes()]);
            self.judge(texts, &[after.as_bytes(), text]);
        }
        self.judge(texts, &[&text.to_ascii_lowercase()]);
        self.judge(texts, &[&text.to_ascii_uppercase()]);
        self.judge(texts, &[text, text]);
        self.judge(texts, &[text, b".", text]);
    }

    /// Each part written with every other last digit, padded, and in the standard alphabet.
    fn other_spellings(&mut self, texts: &HashSet<&[u8]>) {
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let golden = self.golden;
        let text = golden.text();
        let ends: Vec<_> = (1..=text.len()).filter(|&i| i == text.len() || text[i] == b'.').collect();
        for end in ends {
            for digit in DIGITS.iter().filter(|&&digit| digit != text[end - 1]) {
                self.judge(texts, &[&text[..end - 1], &[*digit], &text[end..]]);
            }
            for padding in [&b"="[..], b"=="] {
                self.judge(texts, &[&text[..end], padding, &text[end..]]);
            }
        }
        let standard: Vec<_> = text
            .iter()
            .map(|byte| match byte {
                b'-' => b'+',
                b'_' => b'/',
                other => *other,
            })
            .collect();
        if standard != text {
            self.judge(texts, &[&standard]);
        }
    }

    /// The beginning of this cookie and the end of another, cut at every place.
    fn splices(&mut self, texts: &HashSet<&[u8]>, other: &Golden) {
        let golden = self.golden;
        let (a, b) = (golden.text(), other.text());
        let reach = if golden.is_large() || other.is_large() { 0 } else { REACH };
        for i in 1..a.len() {
            for j in i.saturating_sub(reach)..=(i + reach).min(b.len() - 1) {
                self.judge(texts, &[&a[..i], &b[j..]]);
            }
        }
    }

    /// Parts of three signed cookies together.
    fn recombined(&mut self, texts: &HashSet<&[u8]>, goldens: &[Golden]) {
        let parts: Vec<Vec<_>> = goldens.iter().map(|golden| golden.text().split(|&b| b == b'.').collect()).collect();
        let signed: Vec<_> = parts.iter().filter(|parts| parts.len() == 3).collect();
        let golden = self.golden;
        let head = golden.text().split(|&b| b == b'.').next().unwrap_or_default();
        for payload in &signed {
            for mac in &signed {
                self.judge(texts, &[head, b".", payload[1], b".", mac[2]]);
            }
        }
    }
}

#[test]
fn no_mutation_of_a_golden_cookie_is_accepted() {
    let began = Instant::now();
    let goldens = goldens();
    let texts: HashSet<_> = goldens.iter().map(Golden::text).collect();
    assert_eq!(texts.len(), goldens.len());
    // Each golden cookie alone, then with each other one.
    let tasks: Vec<_> = (0..goldens.len()).flat_map(|a| (0..goldens.len()).map(move |b| (a, b))).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut sum = (0, 0, [0; Verdict::ALL.len()], Vec::new());
        while let Some(&(a, b)) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut tally = Tally::new(&goldens[a]);
            if a == b {
                tally.single_faults(&texts);
                tally.other_spellings(&texts);
                tally.recombined(&texts, &goldens);
            } else {
                tally.splices(&texts, &goldens[b]);
            }
            let Tally { seen, same, verdicts, accepted, .. } = tally;
            sum.0 += seen / STRIDE;
            sum.1 += same;
            sum.2.iter_mut().zip(verdicts).for_each(|(sum, n)| *sum += n);
            sum.3.extend(accepted);
        }
        sum
    };
    let (mut cases, mut same, mut verdicts, mut accepted) = (0, 0, [0; Verdict::ALL.len()], Vec::new());
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            let sum = thread.join().expect("a mutation panicked");
            (cases, same) = (cases + sum.0, same + sum.1);
            verdicts.iter_mut().zip(sum.2).for_each(|(all, n)| *all += n);
            accepted.extend(sum.3);
        }
    });
    let counts = Verdict::ALL.iter().zip(verdicts).filter(|(_, n)| *n > 0).fold(String::new(), |mut text, (v, n)| {
        let _ = write!(text, " {v} {n}");
        text
    });
    println!("{cases} mutations of {} cookies in {:.1?}:{counts}", goldens.len(), began.elapsed());
    assert!(accepted.is_empty(), "accepted: {accepted:#?}");
    assert_eq!(verdicts.iter().sum::<usize>(), cases);
    assert_eq!(verdicts[Verdict::Live.index()], same, "what is live is a golden value, unchanged");
    if STRIDE == 1 {
        assert!(cases >= 15_000_000, "only {cases} mutations were tried");
        for verdict in
            [Verdict::Malformed, Verdict::TooLarge, Verdict::WrongSuite, Verdict::UnknownKey, Verdict::BadSeal]
        {
            assert!(verdicts[verdict.index()] > 100, "{verdict}: {}", verdicts[verdict.index()]);
        }
    } else {
        assert!(cases > 100_000, "only {cases} mutations were tried");
    }
}

#[test]
fn every_golden_cookie_is_live() {
    for golden in goldens() {
        let Golden { name, field, config, ring, now, .. } = golden;
        assert!(authenticate([&field[..]], &config, &ring, now).is_ok(), "{name}");
    }
}
