//! What one request allocates, counted; and what the cookie weighs beside those of the peers.
//!
//! Each gate is an exact number, so that an allocation more is noticed when it comes in.

#[path = "../benches/support/ours.rs"]
mod ours;
#[path = "../benches/support/peers.rs"]
#[allow(dead_code, reason = "the benchmarks also open with them")]
mod peers;
#[path = "../benches/support/session.rs"]
mod session;

use allocation_counter::{AllocationInfo, measure};
use sealjar::wire::{Suite, Unverified};
use sealjar::{Verdict, payload, seal};

use ours::Shop;
use peers::{Jar, NAME, Sesh};
use session::{Visitor, header};

/// The envelope is decoded and opened in one buffer, and the route is kept for the log.
const FOR_AN_OPEN: u64 = 2;
/// Only the route.
const FOR_A_REFUSAL: u64 = 1;

fn shops() -> [(Suite, Shop); 2] {
    [(Suite::Encrypted, Shop::new(|builder| builder)), (Suite::Signed, Shop::new(sealjar::Builder::signed))]
}

/// What one call allocates. The first calls fill the caches of the thread and of the library.
fn allocations<R>(mut call: impl FnMut() -> R) -> AllocationInfo {
    for _ in 0..3 {
        drop(call());
    }
    measure(|| drop(call()))
}

#[test]
fn opening_allocates_one_buffer_and_the_route_beside_the_apps_own_type() {
    for (suite, shop) in shops() {
        let mut bytes = Vec::new();
        payload::encode(suite, &Visitor::typical(), &mut bytes).unwrap();
        let decoding = allocations(|| payload::decode::<Visitor>(suite, &bytes).unwrap());
        let opening = allocations(|| shop.open(&shop.header));
        assert_eq!(opening.count_total - decoding.count_total, FOR_AN_OPEN, "{suite:?}");
        // The buffer is as long as the envelope, the route has 12 characters.
        let beside = opening.bytes_total - decoding.bytes_total;
        assert!(beside <= u64::try_from(shop.value().len()).unwrap() * 3 / 4 + 3 + 12, "{suite:?}: {beside} bytes");
        assert_eq!((opening.count_current, opening.bytes_current), (0, 0), "{suite:?}: nothing stays behind");
    }
}

#[test]
fn verifying_allocates_nothing_beside_that_buffer() {
    for (suite, shop) in shops() {
        let (config, ring) = (shop.sessions.config(), shop.sessions.key_ring());
        let opening = allocations(|| {
            let envelope = Unverified::parse(shop.value().as_bytes()).unwrap();
            let key = ring.find(envelope.key_id()).unwrap();
            seal::open(envelope, key, config.binding()).unwrap_or_else(|verdict| panic!("{verdict:?}"))
        });
        assert_eq!(opening.count_total, 1, "{suite:?}");
    }
}

#[test]
fn refusing_allocates_no_more_than_it_has_to_look_at() {
    for (suite, shop) in shops() {
        let with = |value: &str| header(&format!("{NAME}={value}"));
        let (kept, last) = shop.value().split_at(shop.value().len() - 8);
        let forged = with(&format!("{kept}{}", if last.starts_with("AAAA") { "BBBBBBBA" } else { "AAAAAAAA" }));
        for (header, verdict, beside) in [
            (header("other=1"), Verdict::NoCookie, 0),
            (with(&"A".repeat(5000)), Verdict::TooLarge, 0),
            (with("AQ"), Verdict::Malformed, 1),
            (with(&format!("{}!", shop.value())), Verdict::Malformed, 1),
            (forged, Verdict::BadSeal, 1),
        ] {
            assert_eq!(shop.open(&header).verdict(), verdict, "{suite:?}");
            let refusing = allocations(|| shop.open(&header));
            assert_eq!(refusing.count_total, FOR_A_REFUSAL + beside, "{suite:?} {verdict:?}");
            assert!(refusing.bytes_total <= 1024, "{suite:?} {verdict:?}: {} bytes", refusing.bytes_total);
        }
    }
}

#[test]
fn our_encrypted_cookie_is_the_smallest() {
    let [(_, encrypted), (_, signed)] = shops();
    let session = Visitor::typical();
    let value = |pair: &str| pair.len() - NAME.len() - 1;
    let ours = encrypted.value().len();
    assert!(ours < Sesh::new().seal(&session).len(), "seshcookie");
    let jar = Jar::encrypted().seal(&session);
    assert!(ours < jar.value().len(), "PrivateJar and JSON, even before it is percent-encoded");
    assert!(ours < value(&Jar::encrypted().set(&session)), "PrivateJar and JSON");
    assert!(signed.value().len() < value(&Jar::signed().set(&session)), "SignedJar and JSON");
}

#[test]
fn the_session_of_the_figures_is_the_one_they_speak_of() {
    for (suite, length) in [(Suite::Encrypted, 299), (Suite::Signed, 385)] {
        let mut bytes = Vec::new();
        payload::encode(suite, &Visitor::typical(), &mut bytes).unwrap();
        assert_eq!(bytes.len(), length, "{suite:?}");
    }
    let shop = Shop::new(|builder| builder);
    assert_eq!(shop.open(&shop.header).get(), &Visitor::typical());
}
