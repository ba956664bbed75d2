//! The way to the server is encrypted, under a certificate authority of the operator's own.
#![cfg(all(feature = "redis", feature = "cli"))]

mod redis_support;

use std::path::Path;
use std::process::{Command, Output};

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

#[test]
fn tls_is_spoken_with_a_trusted_server_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
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
    let file = |name: &str| path.join(name).display().to_string();
    let (cert, key, ours) = (file("cert.pem"), file("key.pem"), file("ours.pem"));
    let Some(server) = Server::try_with(&[
        "--port",
        "0",
        "--tls-port",
        "{port}",
        "--appendonly",
        "yes",
        "--tls-auth-clients",
        "no",
        "--tls-cert-file",
        &cert,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &ours,
    ]) else {
        eprintln!("skipped: {} was built without TLS", redis_support::program().display());
        return;
    };
    let home = path.join("home");
    let keys = Command::new(env!("CARGO_BIN_EXE_sealjar")).env("SEALJAR_HOME", &home).args(["keys", "init"]).output();
    assert!(keys.unwrap().status.success());
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
