//! What a store keeps beside the list, and what it says of itself.

use std::time::Duration;

use sealjar::id::Incarnation;
use sealjar::revocation::{Once, OnceValue, Parcel, Profile};
use sealjar::time::{Seconds, days, hours, minutes};
use sealjar::wire::Suite;

use crate::suite::{Backend, NOW, beat};

pub async fn a_one_time_value_has_one_winner<B: Backend>() {
    let backend = B::new(false).await;
    let mut handles = Vec::new();
    for _ in 0..4 {
        handles.push(backend.handle().await);
    }
    let incarnation = beat(&mut handles[0].follower()).await.incarnation;
    for round in 0..5 {
        let value = OnceValue { hash: [round; 16], incarnation, expires: NOW.after(minutes(10)) };
        let tasks: Vec<_> = (0..16)
            .map(|task| {
                let store = handles[task % 4].clone();
                tokio::spawn(async move { store.take_once(value).await.unwrap() })
            })
            .collect();
        let mut outcomes = Vec::new();
        for task in tasks {
            outcomes.push(task.await.unwrap());
        }
        assert_eq!(outcomes.iter().filter(|once| **once == Once::First).count(), 1);
        assert_eq!(outcomes.iter().filter(|once| **once == Once::Spent).count(), 15);
    }
}

pub async fn a_one_time_value_is_refused_when_foreign_or_expired<B: Backend>() {
    let backend = B::new(false).await;
    let store = backend.handle().await;
    let incarnation = beat(&mut store.follower()).await.incarnation;
    let value = OnceValue { hash: [1; 16], incarnation, expires: NOW.after(minutes(10)) };
    let foreign = OnceValue { incarnation: Incarnation(incarnation.0 ^ 1), ..value };
    assert_eq!(store.take_once(foreign).await.unwrap(), Once::Foreign);
    let expired = OnceValue { expires: Seconds(NOW.0 - 3600), ..value };
    assert_eq!(store.take_once(expired).await.unwrap(), Once::Expired);
    assert_eq!(store.take_once(value).await.unwrap(), Once::First, "neither has spent it");
    assert_eq!(store.take_once(value).await.unwrap(), Once::Spent);
}

pub async fn profiles_are_announced_and_merged<B: Backend>() {
    let backend = B::new(false).await;
    let (ours, theirs) = (backend.handle().await, backend.handle().await);
    assert!(ours.profiles().await.unwrap().is_empty());
    let profile = |cookie: &str, absolute| Profile {
        cookie: cookie.to_owned(),
        suite: Suite::Signed,
        idle: minutes(30),
        absolute,
        longest: absolute,
    };
    let (main, other) = (profile("__Host-session", days(7)), profile("admin", hours(1)));
    ours.announce(&main).await.unwrap();
    ours.announce(&main).await.unwrap();
    theirs.announce(&other).await.unwrap();
    assert_eq!(theirs.profiles().await.unwrap(), [main.clone(), other.clone()]);
    // A shorter life from now on; sessions of the longer one may still be about.
    let shorter = Profile { suite: Suite::Encrypted, ..profile("__Host-session", days(1)) };
    theirs.announce(&shorter).await.unwrap();
    assert_eq!(ours.profiles().await.unwrap(), [Profile { longest: days(7), ..shorter }, other]);
}

pub async fn parcels_are_kept_replaced_and_thrown_away<B: Backend>() {
    let backend = B::new(false).await;
    let (ours, theirs) = (backend.handle().await, backend.handle().await);
    let parcel = |name: &str, content: &[u8]| Parcel { name: name.into(), content: content.into() };
    assert_eq!(theirs.parcels().await.unwrap(), []);
    for kept in [parcel("key:01020304", &[0, 255, 10]), parcel("probe:01020304", &[]), parcel("key:01020304", b"new")] {
        ours.keep(&kept).await.unwrap();
    }
    let kept = theirs.parcels().await.unwrap();
    assert_eq!(kept, [parcel("key:01020304", b"new"), parcel("probe:01020304", &[])]);
    let tool = backend.tool().await;
    assert!(tool.discard("probe:01020304").await.unwrap());
    assert!(!tool.discard("probe:01020304").await.unwrap());
    assert_eq!(ours.parcels().await.unwrap().len(), 1);
    assert!(beat(&mut ours.follower()).await.records.is_empty(), "they are no records");
}

pub async fn a_description_holds_no_secret<B: Backend>() {
    let backend = B::new(false).await;
    let store = backend.handle().await;
    let secrets = backend.secrets();
    assert!(!store.describe().is_empty() && !secrets.is_empty());
    for secret in secrets {
        assert!(!store.describe().contains(&secret), "{}", store.describe());
    }
    assert!(store.beat_interval() > Duration::ZERO && store.beat_interval() <= Duration::from_secs(1));
}
