//! Publishing over a rotation list that is still the one that was decided on.

use std::sync::Arc;

use sealjar::id::{Incarnation, KeyId};
use sealjar::revocation::{Record, Revocation, RevocationStore};
use sealjar::rotation::{KeyRecord, KeyState, Rotation};

use crate::suite::Backend;

const ROUNDS: u8 = 10;
const RIVALS: u8 = 6;

fn staged(key: KeyId) -> Revocation {
    Revocation::Key { key, record: KeyRecord::new(KeyState::Staged, 0) }
}

/// The life of the store, and its rotation list as a newcomer reads it.
async fn read(store: &Arc<dyn RevocationStore>) -> (Incarnation, Rotation) {
    let beat = store.follower().beat(false).await.unwrap();
    let key = |record: Record| if let Record::Key { key, record } = record { Some((key, record)) } else { None };
    (beat.incarnation, beat.records.iter().filter_map(key).collect())
}

pub async fn what_was_decided_on_another_rotation_list_is_not_published<B: Backend>() {
    let backend = B::new(false).await;
    let store = backend.handle().await;
    let (life, before) = read(&store).await;
    let (one, two) = (KeyId([1; 4]), KeyId([2; 4]));
    let receipt = store.publish_over(life, &before, &[staged(one)]).await.unwrap().expect("the list is the same");
    assert_eq!(receipt.incarnation, life);
    assert!(store.publish_over(life, &before, &[staged(two)]).await.unwrap().is_none(), "it has a key now");
    let (_, after) = read(&store).await;
    assert_eq!((after.staged(), after.record(two)), (Some(one), None), "nothing was added");
    let other = Incarnation(life.0 ^ 1);
    assert!(store.publish_over(other, &after, &[staged(two)]).await.unwrap().is_none(), "another life");
    // What is no key does not matter, and is published along.
    store.publish(&[Revocation::Everybody]).await.unwrap();
    let both = [Revocation::Everybody, staged(two)];
    let receipt = store.publish_over(life, &after, &both).await.unwrap().expect("the keys are the same");
    assert_eq!(receipt.records.len(), 2);
    backend.lose().await;
    let (now, all) = read(&store).await;
    assert_ne!(now, life);
    assert!(store.publish_over(life, &all, &[staged(one)]).await.unwrap().is_none(), "the life is over");
}

pub async fn of_several_who_decide_on_the_same_rotation_list_one_goes_ahead<B: Backend>() {
    let backend = B::new(false).await;
    let mut handles = Vec::new();
    for _ in 0..RIVALS {
        handles.push(backend.handle().await);
    }
    for round in 0..ROUNDS {
        let (life, list) = read(&handles[0]).await;
        let rivals: Vec<_> = (0..RIVALS)
            .map(|rival| {
                let (store, list) = (handles[usize::from(rival)].clone(), list.clone());
                let wish = [staged(KeyId([9, 9, round, rival]))];
                tokio::spawn(async move { store.publish_over(life, &list, &wish).await.unwrap().is_some() })
            })
            .collect();
        let mut ahead = 0;
        for rival in rivals {
            ahead += usize::from(rival.await.unwrap());
        }
        assert_eq!(ahead, 1, "round {round}");
        assert_eq!(read(&handles[0]).await.1.records().count(), usize::from(round) + 1);
    }
}
