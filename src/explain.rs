//! Why was this cookie refused? Everything that the operator may know of it, and nothing secret.
//!
//! It runs the very pipeline that requests run ([`crate::judge`]) and adds what the envelope shows. The
//! payload is never part of it.

mod hit;

use std::time::Duration;

use serde::Serialize;

use crate::config::Config;
use crate::cookie::header;
use crate::judge::{self, Refusal};
use crate::revocation::freshness::Admission;
use crate::revocation::{RoutePolicy, View};
use crate::ring::KeyRing;
use crate::seal::Opened;
use crate::time::{Now, Seconds};
use crate::verdict::Verdict;
use crate::wire::Unverified;

pub use hit::{Hit, KeyNodes};

/// What there is to say about a cookie.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// The verdict's code.
    pub verdict: &'static str,
    /// The likely cause.
    pub cause: &'static str,
    /// What to do.
    pub fix: &'static str,
    /// The name of the cookie that was looked for.
    pub cookie: String,
    /// Name and value together, of the first one found.
    pub characters: Option<usize>,
    /// The suite that the envelope names.
    pub suite: Option<&'static str>,
    /// The key that the envelope names.
    pub key: Option<String>,
    /// Where that key stands; none if it is unknown.
    pub key_state: Option<&'static str>,
    /// Which nodes have that key, where somebody asked them.
    pub key_nodes: Option<KeyNodes>,
    /// What the seal vouches for, when it held.
    pub session: Option<SessionFacts>,
    /// The record of the list that the session was refused for, when that is why.
    pub hit: Option<Hit>,
}

/// The facts of a session whose seal held.
#[derive(Clone, Debug, Serialize)]
pub struct SessionFacts {
    /// What `revoke session` takes.
    pub handle: String,
    /// Whether somebody is logged in.
    pub logged_in: bool,
    /// Rises when rights are taken away.
    pub generation: u32,
    /// The app's version of its type.
    pub schema: u16,
    /// When it began, by the list's clock (a lower bound).
    pub born: String,
    /// When the user last proved who they are.
    pub authenticated_at: String,
    /// When this copy was sealed.
    pub sealed_at: String,
    /// When the session ends whatever happens.
    pub expires: String,
    /// Seconds until it ends for not being used; 0 if it has.
    pub idle_left: u64,
    /// Seconds until it ends whatever happens; 0 if it has.
    pub absolute_left: u64,
}

/// Explains a bare value, a `Cookie:` line or a `Set-Cookie:` line.
#[must_use]
pub fn explain(text: &str, config: &Config, ring: &KeyRing, view: &View, now: Now) -> Explanation {
    let field = cookie_field(text, config.cookie().name());
    let fields = || std::iter::once(field.as_bytes());
    let admission = RoutePolicy::Relaxed.admit(view.freshness(config.bounds(), now));
    let (verdict, opened) = match judge::authenticate(fields(), config, ring, now) {
        Ok(_) if admission == Admission::Unavailable => (Verdict::ListUnavailable, Vec::new()),
        Ok(authentic) => match judge::judge(authentic, view, now) {
            Ok(opened) => (Verdict::Live, vec![opened]),
            Err(Refusal { verdict, opened, .. }) => (verdict, opened),
        },
        Err(Refusal { verdict, opened, .. }) => (verdict, opened),
    };
    let found = header::find(fields(), config.cookie().name()).ok();
    let value = found.map(|found| found.first);
    let envelope = value.and_then(|value| Unverified::parse(value).ok());
    let key = envelope.as_ref().map(Unverified::key_id);
    Explanation {
        verdict: verdict.code(),
        cause: verdict.cause(),
        fix: verdict.fix(),
        cookie: config.cookie().name().to_owned(),
        characters: value.map(|value| config.cookie().characters(value.len())),
        suite: envelope.as_ref().map(|envelope| envelope.suite().name()),
        key: key.map(|key| key.to_string()),
        key_state: key.and_then(|key| ring.state(key)).map(crate::rotation::KeyState::name),
        key_nodes: None,
        session: opened.first().map(|opened| facts(opened, config, now.seconds())),
        hit: Hit::find(verdict, key, opened.first(), view, now),
    }
}

impl Explanation {
    /// The verdict itself.
    ///
    /// # Panics
    ///
    /// Never for a value of ours: the code is one of the closed list.
    pub fn verdict(&self) -> Verdict {
        Verdict::from_code(self.verdict).expect("made from a verdict")
    }
}

/// Turns what people paste into a `Cookie` field: base64url without padding has no `=`, so text without
/// one is a bare value.
fn cookie_field(text: &str, name: &str) -> String {
    // What surrounds pasted lines, and no more: a Unicode space is part of a name, for requests too.
    let trim = |text| str::trim_matches(text, [' ', '\t', '\r', '\n']);
    let text = trim(text);
    let strip = |prefix: &str| {
        let head = text.get(..prefix.len())?;
        head.eq_ignore_ascii_case(prefix).then(|| trim(&text[prefix.len()..]))
    };
    if let Some(line) = strip("set-cookie:") {
        return line.split(';').next().unwrap_or_default().to_owned();
    }
    match strip("cookie:") {
        Some(line) => line.to_owned(),
        None if text.is_empty() || text.contains('=') => text.to_owned(),
        None => format!("{name}={text}"),
    }
}

fn facts(opened: &Opened, config: &Config, now: Seconds) -> SessionFacts {
    let claims = &opened.claims;
    let left = |end: Seconds| now.until(end).as_secs();
    let idle_end: Seconds = claims.sealed_at.after(config.idle());
    SessionFacts {
        handle: opened.handle().to_string(),
        logged_in: claims.tags.subject.is_some(),
        generation: claims.generation,
        schema: claims.schema,
        born: claims.born.seconds().to_string(),
        authenticated_at: claims.authenticated_at.to_string(),
        sealed_at: claims.sealed_at.to_string(),
        expires: claims.expires.to_string(),
        idle_left: left(idle_end.min(claims.expires)),
        absolute_left: left(claims.expires),
    }
}

/// A span in words, for people: `4 h 12 min`, `38 s`.
#[must_use]
pub fn in_words(span: Duration) -> String {
    let s = span.as_secs();
    match s {
        0..60 => format!("{s} s"),
        60..3600 => format!("{} min {} s", s / 60, s % 60),
        3600..86_400 => format!("{} h {} min", s / 3600, s / 60 % 60),
        _ => format!("{} d {} h", s / 86_400, s / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_paste_becomes_a_cookie_field() {
        for (pasted, field) in [
            ("AQEB", "shop=AQEB"),
            (" AQEB\n", "shop=AQEB"),
            ("Cookie: a=1; shop=AQEB", "a=1; shop=AQEB"),
            ("cookie:shop=AQEB", "shop=AQEB"),
            ("Set-Cookie: shop=AQEB; Path=/; HttpOnly", "shop=AQEB"),
            ("shop=AQEB", "shop=AQEB"),
            ("", ""),
            ("é", "shop=é"),
        ] {
            assert_eq!(cookie_field(pasted, "shop"), field, "{pasted}");
        }
    }

    #[test]
    fn spans_read_well() {
        let words = |s| in_words(Duration::from_secs(s));
        assert_eq!(
            [words(38), words(125), words(15_120), words(180_000)],
            ["38 s", "2 min 5 s", "4 h 12 min", "2 d 2 h"]
        );
    }
}
