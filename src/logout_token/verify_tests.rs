//! The pure verification at its edges. What other libraries mint, and what attackers do with it, is in
//! `tests/backchannel`.

use proptest::prelude::*;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

use super::*;
use crate::wire::encode;

const NOW: Seconds = Seconds(1_795_447_200);

struct Issuer {
    pair: Ed25519KeyPair,
    keys: KeySet,
    rules: Rules,
}

impl Issuer {
    fn new() -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "k", "x": encode(pair.public_key().as_ref()) });
        let keys = KeySet::parse(json!({ "keys": [jwk] }).to_string().as_bytes()).unwrap();
        let mut rules = Rules::new("https://id.example.org", "shop");
        rules.algorithms = vec![Algorithm::EdDsa];
        Self { pair, keys, rules }
    }

    fn sign(&self, header: &str, payload: &[u8]) -> String {
        let message = format!("{}.{}", encode(header.as_bytes()), encode(payload));
        let signature = self.pair.sign(message.as_bytes());
        format!("{message}.{}", encode(signature.as_ref()))
    }

    fn judge(&self, header: &str, payload: &str) -> Result<LogoutRequest, Refusal> {
        verify(self.sign(header, payload.as_bytes()).as_bytes(), &self.rules, &self.keys, NOW)
    }

    /// Good claims with one of them changed, or taken away by `null`.
    fn with(&self, name: &str, value: Value) -> Result<LogoutRequest, Refusal> {
        let mut claims = claims();
        claims[name] = value;
        if claims[name].is_null() {
            claims.as_object_mut().unwrap().remove(name);
        }
        self.judge(HEADER, &claims.to_string())
    }
}

const HEADER: &str = r#"{"alg":"EdDSA","typ":"logout+jwt","kid":"k"}"#;

fn claims() -> Value {
    json!({
        "iss": "https://id.example.org", "aud": "shop", "iat": NOW.0, "exp": NOW.0 + 120, "jti": "t1",
        "sub": "248289761001", "sid": "08a5019c", "events": { EVENT: {} },
    })
}

#[test]
fn a_good_token_asks_for_the_end_of_a_session_or_of_all_of_a_subject() {
    let issuer = Issuer::new();
    let request = issuer.judge(HEADER, &claims().to_string()).unwrap();
    assert_eq!((request.token_id(), request.expires()), ("t1", Seconds(NOW.0 + 120)));
    assert_eq!(request.scope(), &Scope::Session("08a5019c".into()), "the session, where it is named");
    let request = issuer.with("sid", Value::Null).unwrap();
    assert_eq!(request.scope(), &Scope::Subject("248289761001".into()));
    assert_eq!(issuer.with("sub", Value::Null).unwrap().scope(), &Scope::Session("08a5019c".into()));
    let said = format!("{request:?}");
    assert!(!said.contains("248289761001") && !said.contains("t1"), "{said}");
}

#[test]
fn times_are_judged_to_the_second() {
    let issuer = Issuer::new();
    let at = |name: &str, offset: i64| issuer.with(name, json!(i64::from(NOW.0) + offset)).map(drop);
    assert_eq!(at("exp", -60), Err(Refusal::Expired));
    assert_eq!(at("exp", -59), Ok(()), "a minute for clocks that differ");
    assert_eq!(at("exp", 660), Ok(()), "ten minutes, and that minute");
    assert_eq!(at("exp", 661), Err(Refusal::TooLong));
    assert_eq!(at("iat", 60), Ok(()));
    assert_eq!(at("iat", 61), Err(Refusal::FromTheFuture));
    assert_eq!(at("nbf", 61), Err(Refusal::FromTheFuture));
    assert_eq!(at("nbf", -1), Ok(()));
    let fraction = issuer.with("iat", json!(f64::from(NOW.0) + 0.5)).map(drop);
    assert_eq!(fraction, Ok(()), "NumericDate allows fractions");
    for not_a_date in [json!("1795447200"), json!(-1), json!(true), json!([NOW.0])] {
        assert_eq!(issuer.with("iat", not_a_date).map(drop), Err(Refusal::Claims));
    }
    assert_eq!(issuer.with("exp", json!(1e300)).map(drop), Err(Refusal::Claims));
    assert_eq!(issuer.with("exp", json!(u64::MAX)).map(drop), Err(Refusal::TooLong));
}

#[test]
fn a_member_that_stands_there_twice_or_is_null_deceives_nobody() {
    let issuer = Issuer::new();
    let text = claims().to_string();
    let twice = text.replacen('{', r#"{"iss":"https://id.example.org","#, 1);
    assert_eq!(issuer.judge(HEADER, &twice).map(drop), Err(Refusal::Claims));
    let null = text.replacen('{', r#"{"nonce":null,"#, 1);
    assert_eq!(issuer.judge(HEADER, &null).map(drop), Err(Refusal::Nonce));
    let empty = json!({ "sub": "", "sid": "" });
    let mut nobody = claims();
    nobody.as_object_mut().unwrap().extend(empty.as_object().unwrap().clone());
    assert_eq!(issuer.judge(HEADER, &nobody.to_string()).map(drop), Err(Refusal::Nobody));
    let deep = format!("{}{}", text.trim_end_matches('}'), ",\"x\":".to_owned() + &"[".repeat(2000));
    assert_eq!(issuer.judge(HEADER, &deep).map(drop), Err(Refusal::Claims), "and nothing overflows");
}

#[test]
fn types_are_media_types() {
    let mut issuer = Issuer::new();
    let with_type = |issuer: &Issuer, typ: &str| {
        issuer.judge(&format!(r#"{{"alg":"EdDSA","kid":"k"{typ}}}"#), &claims().to_string()).map(drop)
    };
    let typed = [r#","typ":"logout+jwt""#, r#","typ":"Logout+JWT""#, r#","typ":"application/logout+jwt""#];
    let untyped = ["", r#","typ":"JWT""#, r#","typ":"jwt""#];
    let others = [r#","typ":"at+jwt""#, r#","typ":"secevent+jwt""#, r#","typ":"logout""#, r#","typ":"""#];
    for (require, untyped_is) in [(false, Ok(())), (true, Err(Refusal::Type))] {
        issuer.rules.require_type = require;
        typed.iter().for_each(|typ| assert_eq!(with_type(&issuer, typ), Ok(()), "{typ}"));
        untyped.iter().for_each(|typ| assert_eq!(with_type(&issuer, typ), untyped_is, "{typ}"));
        others.iter().for_each(|typ| assert_eq!(with_type(&issuer, typ), Err(Refusal::Type), "{typ}"));
    }
}

#[test]
fn an_algorithm_that_is_not_on_the_list_is_not_verified() {
    let mut issuer = Issuer::new();
    issuer.rules.algorithms = vec![Algorithm::Rs256, Algorithm::Es256];
    assert_eq!(issuer.judge(HEADER, &claims().to_string()).map(drop), Err(Refusal::Algorithm));
    for alg in ["none", "None", "HS256", "RS512", "ES384", "Ed25519", "eddsa", ""] {
        let header = format!(r#"{{"alg":"{alg}","kid":"k"}}"#);
        assert_eq!(issuer.judge(&header, &claims().to_string()).map(drop), Err(Refusal::Algorithm), "{alg}");
    }
}

#[test]
fn every_truncation_and_every_changed_character_is_refused() {
    let issuer = Issuer::new();
    let token = issuer.sign(HEADER, claims().to_string().as_bytes());
    let judge = |token: &[u8]| verify(token, &issuer.rules, &issuer.keys, NOW);
    assert!(judge(token.as_bytes()).is_ok());
    for i in 0..token.len() {
        assert!(judge(&token.as_bytes()[..i]).is_err(), "cut off at {i}");
        let mut changed = token.clone().into_bytes();
        changed[i] = if changed[i] == b'A' { b'B' } else { b'A' };
        assert!(judge(&changed).is_err(), "changed at {i}");
    }
    let padded = format!("{token}=");
    assert_eq!(judge(padded.as_bytes()).map(drop), Err(Refusal::Malformed), "a second spelling");
    assert_eq!(judge(&vec![b'A'; MAX_TOKEN + 1]).map(drop), Err(Refusal::TooLarge));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(token in proptest::collection::vec(any::<u8>(), 0..400)) {
        let issuer = Issuer::new();
        prop_assert!(verify(&token, &issuer.rules, &issuer.keys, NOW).is_err());
    }

    #[test]
    fn no_signed_json_makes_it_panic(header in "\\PC{0,40}", payload in "\\PC{0,200}") {
        let issuer = Issuer::new();
        let _ = issuer.judge(&header, &payload);
        let _ = issuer.judge(HEADER, &payload);
    }
}
