//! A machine that sleeps and wakes up knows how old its list is.
//!
//! Sleep is played with a time namespace: the process moves into one whose boot clock is ahead and whose other
//! clocks are not, which is what a process sees after its machine has slept. That wants Linux, one thread and
//! the right to do so; where it cannot be had, this says so and shows nothing.

#[cfg(all(feature = "redis", target_os = "linux"))]
mod redis_support;

#[cfg(all(feature = "redis", target_os = "linux"))]
fn main() {
    linux::main();
}

#[cfg(not(all(feature = "redis", target_os = "linux")))]
fn main() {}

#[cfg(all(feature = "redis", target_os = "linux"))]
mod linux {
    use std::env;
    use std::fs::File;
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::os::fd::AsFd as _;
    use std::path::{Path, PathBuf};
    use std::process::{Child, Command, Stdio};
    use std::time::Duration;

    use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
    use sealjar::io::folder::KeyFolder;
    use sealjar::io::redis::{Options, RedisStore};
    use sealjar::time::Clock;
    use sealjar::{Request, Sessions, Stamp};
    use tokio::runtime;

    use crate::redis_support::{APP, NEW, Server, address};

    const URL: &str = "SEALJAR_TEST_URL";
    const HOME: &str = "SEALJAR_TEST_HOME";
    /// Longer than any list is trusted.
    const SLEEP: &str = "100";

    pub fn main() {
        match env::var(URL) {
            Ok(url) => child(&url),
            Err(_) => parent(),
        }
    }

    /// A process; it ends with this value.
    struct Process(Child);

    impl Drop for Process {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    /// A time namespace, as long as the process lives that holds it.
    fn namespace() -> Option<(Process, PathBuf)> {
        let hold = ["--time", "--boottime", SLEEP, "--fork", "--kill-child", "sh", "-c", "echo ready; exec cat"];
        let mut child = Command::new("unshare").args(hold).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
        let mut ready = String::new();
        BufReader::new(child.stdout.take()?).read_line(&mut ready).ok()?;
        let place = Path::new("/proc").join(child.id().to_string()).join("ns/time_for_children");
        let holder = Process(child);
        (ready == "ready\n").then_some((holder, place))
    }

    fn parent() {
        let Some((_holder, namespace)) = namespace() else {
            println!("NOT SHOWN: time namespaces cannot be had here (`unshare --time`, as root)");
            return;
        };
        let (server, home) = (Server::start(), tempfile::tempdir().unwrap());
        let keys = KeyFolder::new(home.path());
        keys.init(Clock::system().now().seconds()).unwrap();
        let list_key = keys.list_key().unwrap();
        let runtime = runtime::Runtime::new().unwrap();
        let options = Options { app: APP, list_key: &list_key, clock: Clock::system() };
        runtime.block_on(RedisStore::make(address(&server.admin_url()), &options, NEW)).unwrap();
        let other =
            runtime.block_on(Sessions::<u32>::builder(APP).keys(home.path()).list(server.url()).start()).unwrap();

        let mut child = Command::new(env::current_exe().unwrap())
            .env(URL, server.url())
            .env(HOME, home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut stdin = child.stdin.take().unwrap();
        let _child = Process(child);
        let handle = said.next().expect("it logs in").parse().unwrap();
        // It sleeps from here on, because it waits for the name of the namespace.
        runtime.block_on(other.revoke_session(handle)).unwrap();
        writeln!(stdin, "{}", namespace.display()).unwrap();
        let verdict = said.next().expect("it wakes up");
        assert_ne!(verdict, "live", "breach: it slept for {SLEEP} s, and trusts what it knew before");
        assert_eq!(verdict, "list_unavailable");
        println!("test a_machine_that_wakes_up_knows_how_old_its_list_is ... ok");
    }

    /// Has one thread, so that it may move.
    fn child(url: &str) {
        let keep = Duration::from_millis(1);
        let runtime = runtime::Builder::new_current_thread().enable_all().thread_keep_alive(keep).build().unwrap();
        let (sessions, cookie) = runtime.block_on(async {
            let sessions = Sessions::<u32>::builder(APP).keys(env::var(HOME).unwrap()).list(url).start().await.unwrap();
            let mut session = sessions.begin([], Request::default()).await;
            session.login("7", 1).await.unwrap();
            println!("{}", session.handle().unwrap());
            let Stamp::SetCookie(lines) = session.commit().unwrap() else { panic!("it is new") };
            (sessions, lines[0].split(';').next().unwrap().to_owned())
        });
        let mut namespace = String::new();
        std::io::stdin().read_line(&mut namespace).unwrap();
        while std::fs::read_dir("/proc/self/task").unwrap().count() > 1 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let namespace = File::open(namespace.trim_end()).unwrap();
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Time)).unwrap();
        let session = runtime.block_on(sessions.begin([cookie.as_bytes()], Request::default()));
        println!("{}", session.verdict().code());
        session.discard();
    }
}
