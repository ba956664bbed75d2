//! The login example as several nodes, the endpoint beside them, and a browser in front of it.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::admin_support::{self, Endpoint};
use crate::redis_support::Server;
use crate::support::browser::{Browser, Driver};
use crate::support::{self, Process, canaries, http};

/// The keys that `WebDriver` has no letters for.
pub const ENTER: &str = "\u{E007}";
pub const TAB: &str = "\u{E004}";
pub const ESCAPE: &str = "\u{E00C}";

pub struct Stage {
    home: TempDir,
    pub server: Option<Server>,
    pub nodes: Vec<Node>,
    pub endpoint: Option<Endpoint>,
}

/// One process of the app.
pub struct Node {
    pub process: Process,
    url: String,
}

impl Stage {
    /// The list in a file, and this many nodes.
    pub fn sqlite(nodes: usize) -> Self {
        Self::with(None, nodes)
    }

    /// The list on a server.
    pub fn redis(nodes: usize) -> Self {
        Self::with(Some(Server::for_app("login")), nodes)
    }

    fn with(server: Option<Server>, nodes: usize) -> Self {
        let home = tempfile::tempdir().expect("a scratch folder");
        let mut stage = Self { home, server, nodes: Vec::new(), endpoint: None };
        stage.sealjar(&["keys", "init"]);
        if stage.server.is_some() {
            stage.sealjar(&["store", "init"]);
        }
        stage.nodes = (0..nodes).map(|_| stage.node()).collect();
        stage.endpoint = Some(stage.serve("127.0.0.1:0"));
        stage
    }

    /// The endpoint, there.
    pub fn serve(&self, listen: &str) -> Endpoint {
        Endpoint::run(self.command(), &["--listen", listen])
    }

    pub fn url(&self) -> String {
        self.endpoint.as_ref().expect("it runs").url()
    }

    /// The program, for this app and this list.
    pub fn command(&self) -> Command {
        let list = self.server.as_ref().map(Server::admin_url);
        let mut command = admin_support::command(self.home(), list.as_deref());
        command.env("SEALJAR_APP", "login");
        command
    }

    pub fn sealjar(&self, arguments: &[&str]) -> Value {
        let output = self.command().arg("--json").args(arguments).stdin(Stdio::null()).output().expect("it runs");
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    pub fn token(&self, scopes: &str) -> String {
        admin_support::token(self.home(), scopes)
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    fn node(&self) -> Node {
        let mut command = support::command("login", self.home());
        command.env("PORT", "0").stderr(canaries::child_log());
        if let Some(server) = &self.server {
            command.env("REDIS_URL", server.url());
        }
        let process = Process::start(&mut command).expect("the example was built");
        let said = process.after("open ");
        Node { url: said.split(' ').next().expect("an address").to_owned(), process }
    }

    /// A browser that has the console open with a token of these scopes.
    pub fn console(&self, driver: &Driver, scopes: &str) -> Browser {
        let browser = driver.browser();
        browser.open(&self.url());
        browser.write("#token", &format!("{}{ENTER}", self.token(scopes)));
        browser.see("#logout", "Log somebody out");
        browser
    }
}

impl Node {
    /// Logs a user in; the cookie.
    pub fn log_in(&self, user: u64) -> String {
        let body = json!({ "user_id": user, "name": "Ada", "email": "ada@example.org" }).to_string();
        let said = http("POST", &format!("{}/login", self.url), [], Some(("application/json", &body)));
        assert_eq!(said.status, 200, "{}", said.text);
        let line = said.all("set-cookie").next().expect("a cookie");
        canaries::plant_cookie(line);
        line.split(';').next().expect("a pair").to_owned()
    }

    /// What this node makes of a cookie: `live`, or why not.
    pub fn verdict(&self, cookie: &str) -> String {
        let said = http("GET", &format!("{}/me", self.url), [("cookie", cookie.to_owned())], None);
        said.json["verdict"].as_str().unwrap_or(if said.status == 200 { "live" } else { "?" }).to_owned()
    }

    /// As the list of nodes calls it, behind the host's name.
    pub fn name(&self) -> String {
        format!(":{}", self.process.id())
    }
}
