//! What a test's own thread logs, or all of its process where it is alone there.
#![allow(dead_code, reason = "each test program uses a part")]

use std::io::Write;
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::MakeWriter;

#[derive(Clone, Default)]
pub struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    /// Collects every level of everything into this.
    pub fn log(&self) -> impl tracing::Subscriber + Send + Sync + use<> {
        let log = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
        log.with_writer(self.clone()).finish()
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// Runs a test in a process of its own, whose log nobody else collects, and in which nobody else has asked `tracing` what
/// is collected. Says whether this is that process; in the other one the test is done.
pub fn is_alone(test: &str) -> bool {
    const ALONE: &str = "SEALJAR_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let mut this = std::process::Command::new(std::env::current_exe().unwrap());
    this.args(["--exact", test]).env(ALONE, "1").env_remove("SEALJAR_TEST_LOGS");
    let output = this.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let is_well = output.status.success() && said.contains("1 passed");
    assert!(is_well, "{said}{}", String::from_utf8_lossy(&output.stderr));
    false
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
