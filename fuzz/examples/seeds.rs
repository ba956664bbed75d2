//! Writes the fuzz targets' first inputs, made from the test kit, into `corpus/`.

#[path = "../../tests/testkit/case.rs"]
#[expect(dead_code, reason = "the test kit itself uses the rest")]
mod case;
#[path = "../fuzz_targets/kit.rs"]
#[expect(dead_code, reason = "the targets use the rest")]
mod kit;

use std::fs;
use std::path::{Path, PathBuf};

use sealjar::key::{Key, ListKey};
use sealjar::secret::Secret;
use sealjar::time::Seconds;
use sealjar::verdict::Verdict;
use sealjar::wire::Suite;
use sha2::{Digest as _, Sha256};

fn main() {
    let kit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/testkit/cases");
    let cases = case::read_all(&kit);
    assert!(!cases.is_empty(), "the test kit is empty");
    for case in &cases {
        let header = case.fields.join(&b'\n');
        write("header", &case.name, &header);
        for (n, value) in values(&header).enumerate() {
            write("envelope", &format!("{}-{n}", case.name), value);
        }
        let Ok(opened) = case.open(&case.config(), &case.replica().view()) else { continue };
        let choice = u8::from(opened.suite == Suite::Signed);
        write("payload", &case.name, &[&[choice], opened.payload()].concat());
        let mut claims = Vec::new();
        opened.claims.encode(opened.extras(), &mut claims);
        claims.extend_from_slice(opened.payload());
        write("envelope", &format!("{}-claims", case.name), &claims);
        assert!(matches!(case.expect, Verdict::Live | Verdict::Undecodable), "{}", case.name);
    }
    for n in 0..3 {
        let secret = || Secret::new(Sha256::digest(format!("fuzz {n}")).into());
        let key = Key::dangerous_from_bytes(secret(), Seconds(kit::NOW + n)).to_file();
        write("key_file", &format!("key-{n}"), key.as_bytes());
        write("key_file", &format!("key-{n}-crlf"), key.replace('\n', "\r\n").as_bytes());
        write("key_file", &format!("list-{n}"), ListKey::from_bytes(secret()).to_file().as_bytes());
    }
    let published = Key::dangerous_from_bytes(Secret::new(cases[0].keys[0]), Seconds(0));
    write("key_file", "published", published.to_file().as_bytes());
}

/// Whatever stands behind our name.
fn values(header: &[u8]) -> impl Iterator<Item = &[u8]> {
    let pairs = header.split(|&b| b == b';' || b == b'\n').map(<[u8]>::trim_ascii);
    pairs.filter_map(|pair| pair.strip_prefix(kit::NAME.as_bytes())?.strip_prefix(b"=")).map(<[u8]>::trim_ascii)
}

fn write(target: &str, name: &str, bytes: &[u8]) {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "corpus", target].iter().collect();
    fs::create_dir_all(&folder).expect("the corpus can be written");
    fs::write(folder.join(name), bytes).expect("the corpus can be written");
}
