//! What a long list costs. A measurement, run by hand:
//!
//! `cargo test --release --all-features --test own_file -- --ignored --nocapture figures`

use std::time::Instant;

use sealjar::Verdict;
use sealjar::id::ShortId;
use sealjar::revocation::{Revocation, RevocationStore as _};
use sealjar::time::{Clock, Day};

use crate::node::{App, logged_in, recall, until};

const RECORDS: u64 = 1_000_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn figures_of_a_million_revocations() {
    let app = App::new().await;
    let store = app.store().await;
    let day = Day(Clock::system().now().seconds().day().0 + 1);
    for batch in 0..RECORDS / 10_000 {
        let id = |n: u64| ShortId((batch * 10_000 + n).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let wishes: Vec<_> = (0..10_000).map(|n| Revocation::Session { id: id(n), day }).collect();
        store.publish(&wishes).await.unwrap();
    }
    let rows = || {
        let file = rusqlite::Connection::open(app.file()).unwrap();
        file.query_one("SELECT count(*) FROM record", [], |row| row.get::<_, i64>(0)).unwrap().cast_unsigned()
    };
    let began = Instant::now();
    let node = app.start().await;
    println!("first start, list of {RECORDS} read: {:?}", began.elapsed());
    let (ada, _) = logged_in(&node, "7").await;
    let mut worst = std::time::Duration::ZERO;
    until("the file is whole", async || {
        let asked = Instant::now();
        assert_eq!(ada.open(&node.strict()).await.verdict(), Verdict::Live);
        worst = worst.max(asked.elapsed());
        rows() == RECORDS
    })
    .await;
    println!("all of it in the file: {:?}; worst request with a beat meanwhile {worst:?}", began.elapsed());
    let size = std::fs::metadata(app.file()).unwrap().len();
    println!("size {} MB, {} bytes each", size >> 20, size / RECORDS);
    drop(node);
    let began = Instant::now();
    assert_eq!(recall(&app.file()).records.len() as u64, RECORDS);
    println!("read from the file alone: {:?}", began.elapsed());
    let began = Instant::now();
    let node = app.start().await;
    println!("start with it: {:?}", began.elapsed());
    drop(node);
    app.lose_the_list();
    let began = Instant::now();
    let node = app.start().await;
    println!("start after a loss, all of it given back: {:?}", began.elapsed());
    assert_eq!(ada.open(&node).await.verdict(), Verdict::Live);
    assert_eq!(app.on_server().await.len() as u64, RECORDS);
}
