//! Whoever reaches the admin endpoint can open connections and say nothing, or not listen: they are bounded, in number,
//! time and memory, and nobody is kept out by them for long.
#![cfg(all(feature = "cli", target_os = "linux"))]

mod admin_support;

use std::process::Command;
use std::time::{Duration, Instant};

use admin_support::{Ask, Endpoint, PATIENCE, command, json, token};
use sealjar::Sessions;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

/// A home with keys and a list; the app that made them is on it.
async fn stage() -> (tempfile::TempDir, Sessions<u32>) {
    let home = tempfile::tempdir().unwrap();
    json(home.path(), None, &["keys", "init"]);
    let app = Sessions::<u32>::builder("shop").home(home.path()).localhost().start().await.unwrap();
    (home, app)
}

/// Reads to the end, which has to come.
async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    // Whether it was closed or reset is the system's choice: something may have come that nobody read.
    let _ = ended.expect("the connection is closed");
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_does_not_end_is_not_waited_for() {
    let (home, _app) = stage().await;
    let endpoint = Endpoint::start(home.path(), None);
    let connect = async |said: &str| {
        let mut stream = TcpStream::connect(endpoint.address).await.unwrap();
        stream.write_all(said.as_bytes()).await.unwrap();
        stream
    };
    let half = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n", endpoint.address);
    let (began, mut silent, mut slow) = (Instant::now(), connect("").await, connect(&half).await);
    let mut idle = connect(&format!("{half}\r\n")).await;
    rest(&mut silent).await;
    rest(&mut slow).await;
    assert!(rest(&mut idle).await.starts_with(b"HTTP/1.1 200"), "it was answered, and then said nothing more");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    // A head that is longer than any is refused while it comes.
    let mut long = connect(&half).await;
    let _ = long.write_all(format!("x: {}", "x".repeat(40_000)).as_bytes()).await;
    assert!(rest(&mut long).await.starts_with(b"HTTP/1.1 431"));
    let head = Ask::new("GET", "/healthz").field("x", &"x".repeat(20_000));
    assert_eq!(head.send(endpoint.address).await.status, 200, "as long as cookies of the same site can make one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_bounded_and_who_waits_is_answered() {
    let (home, _app) = stage().await;
    let endpoint = Endpoint::start(home.path(), None);
    let token = token(home.path(), "read,revoke");
    let before = endpoint.sockets();
    let mut silent = Vec::new();
    for _ in 0..600 {
        silent.push(TcpStream::connect(endpoint.address).await.unwrap());
    }
    let revoke = Ask::new("POST", "/v1/revocations").token(&token).json(r#"{"scope":"label","target":"x"}"#);
    let revoked = tokio::spawn({
        let address = endpoint.address;
        async move { revoke.send(address).await.status }
    });
    let mut most = 0;
    while !revoked.is_finished() {
        most = most.max(endpoint.sockets().saturating_sub(before));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(revoked.await.unwrap(), 201, "those before it were let go of");
    assert!((200..=256).contains(&most), "{most}");
    endpoint.signal("TERM");
    drop(silent);
    let (status, said) = endpoint.ended();
    let lines = said.matches("as many connections are open as there may be").count();
    assert!(status.success() && (1..=4).contains(&lines), "{status}, {lines} lines: {said}");
}

/// Out of file handles: that is said once, not ten times a second, and ends when some are free again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_cannot_be_accepted_are_told_once() {
    let (home, _app) = stage().await;
    let sealjar = command(home.path(), None);
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -n 48; exec \"$0\" \"$@\""]).arg(sealjar.get_program());
    for (name, value) in sealjar.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    let endpoint = Endpoint::run(limited, &[]);
    let mut many = Vec::new();
    for _ in 0..64 {
        many.push(TcpStream::connect(endpoint.address).await.unwrap());
    }
    // Those that were accepted are closed after 10 seconds, and then the others are accepted.
    for stream in &mut many {
        rest(stream).await;
    }
    assert_eq!(Ask::new("GET", "/healthz").send(endpoint.address).await.status, 200);
    endpoint.signal("TERM");
    let (status, said) = endpoint.ended();
    let lines = said.matches("connections cannot be accepted").count();
    assert!(status.success() && (1..=4).contains(&lines), "{lines}: {said}");
}

/// Who asks and does not read the answers holds a connection, and what is on its way, for ten seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_listen_is_let_go_of() {
    let (home, _app) = stage().await;
    let endpoint = Endpoint::start(home.path(), None);
    let before = endpoint.sockets();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut deaf = socket.connect(endpoint.address).await.unwrap();
    let ask = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", endpoint.address);
    // Answers of many megabytes: more than the system takes into its own buffers.
    let asks = ask.repeat(2_000);
    let _ = tokio::time::timeout(Duration::from_secs(5), deaf.write_all(asks.as_bytes())).await;
    let (began, mut seen) = (Instant::now(), false);
    while !seen || endpoint.sockets() > before {
        seen |= endpoint.sockets() > before;
        assert!(began.elapsed() < Duration::from_secs(25), "seen: {seen}, and it is still open");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // And it had not been answered in full.
    let answered = rest(&mut deaf).await;
    let answers = String::from_utf8_lossy(&answered).matches("HTTP/1.1 200").count();
    assert!((1..2_000).contains(&answers), "{answers}");
}
