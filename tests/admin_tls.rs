//! `sealjar admin` speaks TLS itself: curl believes it by the operator's own authority, and nobody reads along.
#![cfg(all(feature = "cli", unix))]

mod admin_support;

use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use admin_support::{Endpoint, json, sealjar, token};
use sealjar::Sessions;
use serde_json::Value;

fn openssl(folder: &Path, words: &str) {
    let output = Command::new("openssl").current_dir(folder).args(words.split_whitespace()).output().unwrap();
    assert!(output.status.success(), "openssl {words}: {output:?}");
}

/// An authority, and two certificates of it for this machine, each with its key.
fn certificates(folder: &Path) {
    let new = "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2";
    openssl(folder, &format!("{new} -x509 -keyout ours.key -out ours.pem -subj /CN=ours"));
    std::fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1,DNS:admin.example").unwrap();
    for name in ["one", "two"] {
        openssl(folder, &format!("{new} -keyout {name}.key -out request.pem -subj /CN=localhost"));
        openssl(
            folder,
            &format!(
                "x509 -req -in request.pem -CA ours.pem -CAkey ours.key -CAcreateserial -out {name}.pem -extfile names"
            ),
        );
        mode(&folder.join(format!("{name}.key")), 0o600);
    }
}

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

async fn stage() -> (tempfile::TempDir, Sessions<u32>) {
    let home = tempfile::tempdir().unwrap();
    json(home.path(), None, &["keys", "init"]);
    let app = Sessions::<u32>::builder("shop").home(home.path()).localhost().start().await.unwrap();
    certificates(home.path());
    (home, app)
}

fn curl(home: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new("curl");
    command.current_dir(home).args(["-sS", "--max-time", "20"]).args(arguments).output().unwrap()
}

/// Status and body, as the operator's authority vouches for.
fn trusted(home: &Path, token: &str, arguments: &[&str]) -> (String, String) {
    let authorization = format!("Authorization: Bearer {token}");
    let common = ["--cacert", "ours.pem", "-H", &authorization, "-w", "\n%{http_code}"];
    let output = curl(home, &[&common[..], arguments].concat());
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    let (body, status) = said.rsplit_once('\n').unwrap();
    (status.to_owned(), body.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_endpoint_speaks_tls_and_nothing_else() {
    let (home, _app) = stage().await;
    let (home, token) = (home.path(), token(home.path(), "read,revoke"));
    let files = [home.join("one.pem"), home.join("one.key")].map(|file| file.display().to_string());
    let tls = ["--tls-cert", &files[0], "--tls-key", &files[1], "--host", "admin.example"];
    // Beyond this machine as well: that is what the certificate is for.
    let endpoint = Endpoint::with(home, None, &[&tls[..], &["--listen", "0.0.0.0:0"]].concat());
    let port = endpoint.address.port();
    let url = |path: &str| format!("https://127.0.0.1:{port}{path}");
    // Who says nothing holds up nobody.
    let silent: Vec<_> = (0..20).map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap()).collect();
    let (status, body) = trusted(home, &token, &[&url("/v1/nodes")]);
    assert_eq!(
        (&*status, serde_json::from_str::<Value>(&body).unwrap()["nodes"].as_array().unwrap().len()),
        ("200", 1)
    );
    let own = format!("Origin: https://127.0.0.1:{port}");
    let wanted =
        [&*url("/v1/revocations"), "-H", "Content-Type: application/json", "-d", r#"{"scope":"label","target":"x"}"#];
    assert_eq!(trusted(home, &token, &[&wanted[..], &["-H", &own]].concat()).0, "201", "browsers see https");
    let other = own.replace("https", "http");
    assert_eq!(trusted(home, &token, &[&wanted[..], &["-H", &other]].concat()).0, "403");
    let named = format!("admin.example:{port}:127.0.0.1");
    let there = format!("https://admin.example:{port}/readyz");
    assert_eq!(trusted(home, &token, &["--resolve", &named, &there]).0, "200");
    assert_eq!(trusted(home, "sealjar_admin_wrong", &[&url("/v1/nodes")]).0, "401");

    // Nobody who trusts another authority, speaks an old version, or no TLS at all.
    let untrusting = curl(home, &[&url("/healthz")]);
    assert_eq!(untrusting.status.code(), Some(60), "{untrusting:?}");
    let old = curl(home, &["--cacert", "ours.pem", "--tls-max", "1.1", &url("/healthz")]);
    assert!(!old.status.success(), "{old:?}");
    let plain = curl(home, &[&format!("http://127.0.0.1:{port}/healthz")]);
    assert!(!plain.status.success() && plain.stdout.is_empty(), "{plain:?}");

    // The peer's address is known behind TLS: failures are counted by it.
    let (_, audit) = trusted(home, &token, &[&url("/v1/audit")]);
    let audit: Value = serde_json::from_str(&audit).unwrap();
    // What came over the wire: the start, and what the command line did, came from no address.
    let is_from_here = |it: &Value| it["actor"].as_str().is_some_and(|actor| actor.starts_with("command line"));
    let records = audit["records"].as_array().unwrap().iter();
    let records = records.filter(|it| it["action"] != "admin" && !is_from_here(it));
    assert!(records.clone().count() >= 4 && records.clone().all(|it| it["peer"] == "127.0.0.1"), "{audit}");

    // A stream of events goes over it, and does not keep the program from ending.
    let mut events = Command::new("curl")
        .current_dir(home)
        .args(["-sSN", "--cacert", "ours.pem", "-H", &format!("Authorization: Bearer {token}"), &url("/v1/events")])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(events.stdout.take().unwrap()));
    assert!(lines.any(|line| line.unwrap() == "event: hello"));
    drop(silent);
    endpoint.signal("TERM");
    let (status, said) = endpoint.ended();
    assert!(status.success(), "{said}");
    assert!(!said.contains("still being answered"), "{said}");
    events.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_used_is_told_before_anything_is_served() {
    let (home, _app) = stage().await;
    let home = home.path();
    std::fs::write(home.join("junk.key"), "hunter2").unwrap();
    mode(&home.join("junk.key"), 0o600);
    std::fs::copy(home.join("one.key"), home.join("open.key")).unwrap();
    mode(&home.join("open.key"), 0o644);
    for (cert, key, code, why) in [
        ("none.pem", "one.key", 3, &["none.pem", "No such file"][..]),
        ("names", "one.key", 3, &["names cannot be read (there is none in it)"]),
        ("one.pem", "none.key", 3, &["none.key", "there is no such file"]),
        ("one.pem", "junk.key", 3, &["junk.key", "there is none in it"]),
        ("one.pem", "open.key", 3, &["open.key", "chmod 600"]),
        ("one.pem", "two.key", 3, &["two.key does not belong to the certificate in", "one.pem"]),
    ] {
        let (cert, key) = (home.join(cert).display().to_string(), home.join(key).display().to_string());
        let output = sealjar(home, None, &["admin", "--listen", "127.0.0.1:0", "--tls-cert", &cert, "--tls-key", &key]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(why.iter().all(|word| said.contains(word)) && !said.contains("hunter2"), "{why:?}: {said}");
    }
    for flags in [
        &["--tls-cert", "one.pem"][..],
        &["--tls-key", "one.key"],
        &["--tls-cert", "one.pem", "--tls-key", "one.key", "--behind-tls-proxy"],
        &["--tls-cert", "one.pem", "--tls-key", "one.key", "--allow-plain-http"],
    ] {
        assert_eq!(sealjar(home, None, &[&["admin"], flags].concat()).status.code(), Some(2), "{flags:?}");
    }
    // Without any of the three it stays on this machine.
    let refused = sealjar(home, None, &["admin", "--listen", "0.0.0.0:0"]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(refused.status.code() == Some(2) && said.contains("--tls-cert"), "{said}");
}
