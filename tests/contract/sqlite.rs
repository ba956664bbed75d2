//! The embedded store keeps the contract.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sealjar::io::sqlite::{Options, SqliteStore};
use sealjar::revocation::RevocationStore;
use sealjar::time::{Clock, ManualClock, Seconds};

use crate::suite::{Backend, NOW};

const FINGERPRINT: &str = "0123456789abcdef";

pub struct Sqlite {
    folder: tempfile::TempDir,
    hand: Arc<ManualClock>,
    log_out_everybody: bool,
}

impl Sqlite {
    fn path(&self) -> PathBuf {
        self.folder.path().join("list.db")
    }

    fn open(&self, clock: Clock) -> Arc<dyn RevocationStore> {
        let options = Options {
            app: "contract",
            list_key: FINGERPRINT,
            create: true,
            log_out_everybody: self.log_out_everybody,
            clock,
        };
        Arc::new(SqliteStore::open(&self.path(), &options).unwrap())
    }
}

impl Backend for Sqlite {
    async fn new(log_out_everybody: bool) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), hand: ManualClock::at(*NOW), log_out_everybody }
    }

    async fn handle(&self) -> Arc<dyn RevocationStore> {
        self.open(Clock::manual(self.hand.clone()))
    }

    async fn handle_with_clock_behind(&self, by: Duration) -> Option<Arc<dyn RevocationStore>> {
        let behind = Seconds(NOW.0 - u32::try_from(by.as_secs()).unwrap());
        Some(self.open(Clock::manual(ManualClock::at(behind))))
    }

    async fn lose(&self) {
        for suffix in ["", "-wal", "-shm"] {
            fs::remove_file(self.folder.path().join(format!("list.db{suffix}"))).unwrap();
        }
    }

    fn secrets(&self) -> Vec<String> {
        vec![FINGERPRINT.to_owned()]
    }
}

crate::suite::contract!(Sqlite);
