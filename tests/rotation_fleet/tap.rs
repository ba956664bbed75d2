//! A proxy between the program and its server that reads the commands which pass, and lets nothing more through from the
//! n-th on that may change the list.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// What does not get through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The server never hears of the command.
    Request,
    /// The server has done it, and nobody is told.
    Answer,
}

/// One proxy; it ends with this value, and so do its connections.
pub struct Tap {
    port: u16,
    shared: Arc<Shared>,
    task: AbortHandle,
}

struct Shared {
    /// Which of the writes is the last one, from 1 on.
    at: usize,
    lost: Lost,
    writes: Mutex<Vec<String>>,
    reached: watch::Sender<bool>,
}

impl Shared {
    /// Counts a write.
    fn is_last(&self, words: &[String]) -> bool {
        let mut writes = self.writes.lock().unwrap();
        writes.push(in_words(words));
        writes.len() == self.at
    }
}

impl Tap {
    /// In front of a port of this machine.
    pub async fn to(server: u16, at: usize, lost: Lost) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared { at, lost, writes: Mutex::default(), reached: watch::Sender::new(false) });
        let task = tokio::spawn(accept(listener, server, shared.clone())).abort_handle();
        Self { port, shared, task }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Waits until the n-th write is lost, or done and its answer lost.
    pub async fn reached(&self) {
        self.shared.reached.subscribe().wait_for(|reached| *reached).await.unwrap();
    }

    /// The writes that came, in words.
    pub fn writes(&self) -> Vec<String> {
        self.shared.writes.lock().unwrap().clone()
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, server: u16, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        connections.spawn(join(client, server, shared.clone()));
    }
}

async fn join(client: TcpStream, server: u16, shared: Arc<Shared>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let mute = AtomicBool::new(false);
    tokio::select! {
        () = requests(from_client, to_server, &shared, &mute) => {}
        () = answers(from_server, to_client, &shared, &mute) => {}
    }
}

async fn requests(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, shared: &Shared, mute: &AtomicBool) {
    let (mut bytes, mut in_transaction) = (Vec::new(), false);
    while let Ok(1..) = from.read_buf(&mut bytes).await {
        while let Some((length, words)) = command(&bytes) {
            in_transaction = in_transaction && words[0] != "EXEC" || words[0] == "MULTI";
            if changes(&words) {
                assert!(!in_transaction, "its own answer would not say that it was done: {words:?}");
                match (shared.is_last(&words), shared.lost) {
                    (true, Lost::Request) => {
                        shared.reached.send_replace(true);
                        return std::future::pending().await;
                    }
                    (true, Lost::Answer) => mute.store(true, Ordering::SeqCst),
                    (false, _) => {}
                }
            }
            if to.write_all(&bytes[..length]).await.is_err() {
                return;
            }
            bytes.drain(..length);
        }
    }
}

/// The program asks one thing at a time on a connection, so what comes when it is mute is the answer to the last write.
async fn answers(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, shared: &Shared, mute: &AtomicBool) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut bytes).await {
        if mute.load(Ordering::SeqCst) {
            shared.reached.send_replace(true);
            return std::future::pending().await;
        }
        if to.write_all(&bytes[..length]).await.is_err() {
            return;
        }
    }
}

/// The first whole command and its length: an array of strings.
fn command(bytes: &[u8]) -> Option<(usize, Vec<String>)> {
    let mut at = 0;
    let words = (0..number(bytes, &mut at, b'*')?).map(|_| {
        let length = number(bytes, &mut at, b'$')?;
        let word = bytes.get(at..at + length + 2)?;
        at += length + 2;
        Some(String::from_utf8_lossy(&word[..length]).into_owned())
    });
    let words = words.collect::<Option<_>>()?;
    Some((at, words))
}

fn number(bytes: &[u8], at: &mut usize, kind: u8) -> Option<usize> {
    let rest = &bytes[*at..];
    let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
    assert_eq!(rest[0], kind, "a command is an array of strings");
    *at += end + 2;
    Some(std::str::from_utf8(&rest[1..end]).unwrap().parse().unwrap())
}

/// Whether it writes to the control hash, where keys, what is kept for nodes, and the cut-off of everybody stand. Signs
/// of life among the nodes are not counted, of which each look at the list leaves one, nor what a program that starts
/// tries out with nothing: scripts over one hash only.
fn changes(words: &[String]) -> bool {
    let is_about_control = words.iter().skip(1).any(|word| word.ends_with(":control"));
    let is_read = ["HGET", "HGETALL", "HLEN", "HMGET"].contains(&&*words[0]);
    let is_tried = words[0] == "EVAL" && words[2] == "1";
    is_about_control && !is_read && !is_tried
}

/// What a write is about: the fields of the control hash that it sets, or removes.
fn in_words(words: &[String]) -> String {
    let is_field = |word: &str| ["key:", "parcel:", "everybody"].iter().any(|kind| word.starts_with(kind));
    // A field that is only compared has no new value.
    let set = |words: &[String]| is_field(&words[0]) && !words[2].is_empty();
    let mut fields: Vec<_> = words.windows(3).filter(|words| set(words)).map(|words| words[0].clone()).collect();
    fields.extend(words.last().filter(|word| words[0] == "HDEL" && is_field(word)).cloned());
    format!("{} {}", words[0], fields.join(" "))
}
