//! A home with a list, an endpoint over it, and nodes in processes of their own.

use std::env;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sealjar::Sessions;
use sealjar::io::follow::process_name;
use serde_json::Value;

use crate::admin_support::{self, Endpoint, PATIENCE, json, token};
use crate::redis_support::{self, Server};
use crate::support_sessions::Visitor;

const NODE: &str = "SEALJAR_TEST_NODE";
const LIST: &str = "SEALJAR_TEST_LIST";

/// An app of its own, in a process of its own.
#[tokio::test]
#[ignore = "run by the other tests, in a process of its own"]
async fn node() {
    let Ok(home) = env::var(NODE) else { return };
    let _sessions = app(Path::new(&home), env::var(LIST).ok().as_deref()).await;
    let mut out = std::io::stdout().lock();
    // The test program prints its own words without ending the line.
    write!(out, "\nready\n").and_then(|()| out.flush()).unwrap();
    drop(out);
    std::future::pending::<()>().await;
}

pub async fn app(home: &Path, list: Option<&str>) -> Sessions<Visitor> {
    admin_support::canaries::listen();
    let builder = Sessions::builder("shop").keys(home.join("keys"));
    let list = list.map_or_else(|| format!("sqlite:{}", home.join("list.db").display()), str::to_owned);
    builder.list(list).start().await.unwrap()
}

pub struct Node(Child);

impl Node {
    pub fn start(stage: &Stage) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--ignored", "--exact", "stage::node", "--nocapture"]).env(NODE, stage.home.path());
        if let Some(list) = stage.node_list() {
            command.env(LIST, list);
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert!(lines.any(|line| line == "ready"), "the node has started");
        Self(child)
    }

    pub fn signal(&self, name: &str) {
        redis_support::signal(self.0.id(), name);
    }

    pub fn name(&self) -> String {
        format!("{}:{}", process_name().rsplit_once(':').unwrap().0, self.0.id())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A home, and a server if the list is on one.
pub struct Stage {
    pub home: tempfile::TempDir,
    pub server: Option<Server>,
}

impl Stage {
    pub fn sqlite() -> Self {
        let stage = Self { home: tempfile::tempdir().unwrap(), server: None };
        json(stage.home.path(), None, &["keys", "init"]);
        stage
    }

    pub fn redis() -> Self {
        let stage = Self { server: Some(Server::start()), ..Self::sqlite() };
        assert_eq!(json(stage.home.path(), stage.list().as_deref(), &["store", "init"])["made"], "new");
        stage
    }

    /// The list with the rights of an operator.
    pub fn list(&self) -> Option<String> {
        self.server.as_ref().map(Server::admin_url)
    }

    /// The same with those of a node.
    pub fn node_list(&self) -> Option<String> {
        self.server.as_ref().map(Server::url)
    }

    pub async fn app(&self) -> Sessions<Visitor> {
        app(self.home.path(), self.node_list().as_deref()).await
    }

    pub fn endpoint(&self) -> Endpoint {
        Endpoint::start(self.home.path(), self.list().as_deref())
    }

    pub fn token(&self, scopes: &str) -> String {
        token(self.home.path(), scopes)
    }

    pub fn cli(&self, arguments: &[&str]) -> Value {
        json(self.home.path(), self.list().as_deref(), arguments)
    }
}

/// Until it holds.
pub async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it holds in time");
}
