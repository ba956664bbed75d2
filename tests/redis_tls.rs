//! The way to the server is encrypted, under a certificate authority of the operator's own.
#![cfg(all(feature = "redis", feature = "cli"))]

mod redis_support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use redis_support::sentinel::{SERVICE, Sentinel};
use redis_support::{PASSWORD, Server};

fn openssl(folder: &Path, words: &str) {
    let output = Command::new("openssl").current_dir(folder).args(words.split_whitespace()).output().unwrap();
    assert!(output.status.success(), "openssl {words}: {output:?}");
}

/// In a process of its own, because a program reads its authorities once, from its environment.
fn init(home: &Path, url: &str, authority: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sealjar"));
    command.env("SEALJAR_HOME", home).env("REDIS_URL", url).env("SSL_CERT_FILE", authority).env_remove("SSL_CERT_DIR");
    command.args(["--app", "shop", "store", "init"]).output().unwrap()
}

/// Two authorities, and a certificate of one of them for this machine.
fn certificates(path: &Path) {
    let new = "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2";
    for authority in ["ours", "theirs"] {
        openssl(path, &format!("{new} -x509 -keyout {authority}.key -out {authority}.pem -subj /CN={authority}"));
    }
    openssl(path, &format!("{new} -keyout key.pem -out request.pem -subj /CN=localhost"));
    std::fs::write(path.join("names"), "subjectAltName=IP:127.0.0.1").unwrap();
    openssl(
        path,
        "x509 -req -in request.pem -CA ours.pem -CAkey ours.key -CAcreateserial -out cert.pem -extfile names",
    );
}

/// What a server or a Sentinel is told about TLS, one setting a line.
fn settings(path: &Path) -> String {
    let file = |name: &str| path.join(name).display().to_string();
    let (cert, key, ours) = (file("cert.pem"), file("key.pem"), file("ours.pem"));
    format!(
        "port 0\ntls-port {{port}}\ntls-auth-clients no\ntls-replication yes\ntls-cert-file {cert}\n\
         tls-key-file {key}\ntls-ca-cert-file {ours}\n"
    )
}

/// A server that speaks nothing but TLS, if the program can.
fn server(path: &Path) -> Option<Server> {
    let settings = settings(path);
    let settings = settings.lines().flat_map(|line| line.split(' '));
    let dashed = settings.enumerate().map(|(i, word)| if i % 2 == 0 { format!("--{word}") } else { word.to_owned() });
    let dashed: Vec<_> = dashed.chain(["--appendonly".into(), "yes".into()]).collect();
    let server = Server::try_with(&dashed.iter().map(String::as_str).collect::<Vec<_>>());
    if server.is_none() {
        eprintln!("skipped: {} was built without TLS", redis_support::program().display());
    }
    server
}

fn keys(path: &Path) -> PathBuf {
    let home = path.join("home");
    let keys = Command::new(env!("CARGO_BIN_EXE_sealjar")).env("SEALJAR_HOME", &home).args(["keys", "init"]).output();
    assert!(keys.unwrap().status.success());
    home
}

#[test]
fn tls_is_spoken_with_a_trusted_server_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    certificates(path);
    let Some(server) = server(path) else { return };
    let home = keys(path);
    let url = format!("rediss://:{PASSWORD}@127.0.0.1:{}", server.port());
    let refused = init(&home, &url, &path.join("theirs.pem"));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(4), "{said}");
    assert!(said.contains("has a certificate that is not trusted here") && said.contains("SSL_CERT_FILE"), "{said}");
    let made = init(&home, &url, &path.join("ours.pem"));
    assert!(made.status.success(), "{made:?}");
    assert!(String::from_utf8_lossy(&made.stdout).contains("Made the revocation list at rediss://127.0.0.1"));
    let plain = init(&home, &url.replace("rediss", "redis"), &path.join("ours.pem"));
    assert_eq!(plain.status.code(), Some(4), "{plain:?}");
}

#[test]
fn tls_is_spoken_with_sentinels_and_with_whom_they_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    certificates(path);
    let Some(server) = server(path) else { return };
    let sentinel = Sentinel::try_with(SERVICE, server.port(), &settings(path)).unwrap();
    let home = keys(path);
    // Nobody speaks of replicas here: there are none.
    let url = format!("rediss+sentinel://:{PASSWORD}@127.0.0.1:{}/{SERVICE}?replicas=0", sentinel.port);
    let refused = init(&home, &url, &path.join("theirs.pem"));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("none of the Sentinels") && said.contains("certificate that is not trusted here"), "{said}");
    let made = init(&home, &url, &path.join("ours.pem"));
    assert!(made.status.success(), "{made:?}");
    let plain = init(&home, &url.replace("rediss", "redis"), &path.join("ours.pem"));
    assert_eq!(plain.status.code(), Some(4), "{plain:?}");
}
