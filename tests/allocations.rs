//! What an open allocates, counted; and that ours is the smallest of the encrypted cookies.
//!
//! The session is that of the benchmarks: 385 bytes of JSON, 299 of MessagePack.
#![cfg(feature = "sqlite")]

#[allow(dead_code, reason = "the benchmarks use the rest")]
#[path = "../benches/support"]
mod support {
    pub mod ours;
    pub mod peers;
    pub mod session;
}

use allocation_counter::{AllocationInfo, measure};
use sealjar::payload;
use sealjar::wire::Suite;
use support::ours::Shop;
use support::peers;
use support::session::{Visitor, header};

/// What happens the first time in a process is not an open's cost: base64 chooses its engine.
fn warmed_up(shop: Shop) -> Shop {
    drop(shop.open(&shop.header));
    shop
}

/// The typed session alone, as the app would own it wherever it came from.
fn decoding(suite: Suite) -> AllocationInfo {
    let mut bytes = Vec::new();
    payload::encode(suite, &Visitor::typical(), &mut bytes).unwrap();
    measure(|| drop(payload::decode::<Visitor>(suite, &bytes).unwrap()))
}

/// Over the typed session itself: the decoded cookie, and the route's name for the log.
#[test]
fn an_open_allocates_the_session_and_two_things_more() {
    for (suite, shop) in [(Suite::Encrypted, Shop::new(|b| b)), (Suite::Signed, Shop::new(sealjar::Builder::signed))] {
        let shop = warmed_up(shop);
        let open = measure(|| drop(shop.open(&shop.header)));
        let session = decoding(suite);
        assert_eq!(open.count_total - session.count_total, 2, "{suite:?}: {open:?}, of which {session:?}");
        assert!(open.bytes_total - session.bytes_total < 1024, "{suite:?}: {open:?}, of which {session:?}");
        assert_eq!(open.count_current, 0, "{suite:?}: nothing is left behind");
    }
}

#[test]
fn refusing_allocates_no_more_than_decoding_the_cookie() {
    let shop = warmed_up(Shop::new(|b| b));
    let value = shop.value().to_owned();
    let with = |value: &str| header(&format!("__Host-shop={value}"));
    let forged = value.chars().rev().collect::<String>();
    let flipped = format!("{}{}{}", &value[..80], if &value[80..81] == "A" { "B" } else { "A" }, &value[81..]);
    for (what, header, most) in [
        ("no cookie", "theme=dark".to_owned(), 1),
        ("a pair too many", "a=1;".repeat(600), 1),
        ("too long", with(&"A".repeat(5000)), 1),
        ("malformed", with("!"), 2),
        ("another key", with(&forged), 2),
        ("forged", with(&flipped), 2),
    ] {
        let refused = measure(|| {
            let session = shop.open(&header);
            assert!(!session.verdict().is_live(), "{what}");
        });
        assert!(refused.count_total <= most, "{what}: {refused:?}");
        assert!(refused.bytes_total <= 4096, "{what}: {refused:?}");
        assert_eq!(refused.count_current, 0, "{what}: nothing is left behind");
    }
}

#[test]
fn ours_is_the_smallest_of_the_encrypted_cookies() {
    let ours = Shop::new(|b| b).value().len();
    let jar = peers::Jar::encrypted().seal(&Visitor::typical()).value().len();
    let seshcookie = peers::Sesh::new().seal(&Visitor::typical()).len();
    println!("characters: sealjar {ours}, seshcookie {seshcookie}, PrivateJar with JSON {jar}");
    assert!(ours < jar && ours < seshcookie, "{ours} {jar} {seshcookie}");
}
