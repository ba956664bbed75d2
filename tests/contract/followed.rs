//! Following: what a beat brings, what is lost and given back, and who is waited for.

use std::time::Duration;

use sealjar::id::Tag;
use sealjar::revocation::{Beat, Follower, Heard, Nodes, Once, OnceValue, Record, Replica, Report, Revocation};
use sealjar::time::{Clock, Position, hours, minutes};

use crate::suite::{Backend, NOW, beat, ids, session, session_record, today};

pub async fn what_was_forgotten_is_taken_back_too<B: Backend>() {
    let backend = B::new(false).await;
    let store = backend.handle().await;
    let start = beat(&mut store.follower()).await.position;
    let forgotten = Record::Forgotten { day: today(), position: start };
    store.restore(vec![forgotten], start).await.unwrap();
    assert_eq!(beat(&mut backend.handle().await.follower()).await.records.to_vec(), [forgotten]);
}

pub async fn records_that_are_given_back_are_seen_and_positions_stay_above<B: Backend>() {
    let backend = B::new(false).await;
    let (ours, theirs) = (backend.handle().await, backend.handle().await);
    let mut follower = theirs.follower();
    let start = beat(&mut follower).await;
    let above = start.position.after(hours(5));
    ours.restore(vec![session_record(1)], above).await.unwrap();
    let seen = beat(&mut follower).await;
    assert_eq!(seen.records.to_vec(), [session_record(1)]);
    assert!(ours.publish(&[session(2)]).await.unwrap().position > above);
    // The positions of the records count as well, whatever the caller says.
    let far = Record::CutOff { tag: Tag(3), position: above.after(hours(5)), day: today() };
    theirs.restore(vec![far], Position(0)).await.unwrap();
    assert!(ours.publish(&[session(4)]).await.unwrap().position > above.after(hours(5)));
    assert!(beat(&mut follower).await.records.to_vec().contains(&far));
}

pub async fn giving_back_what_is_known_does_no_harm<B: Backend>() {
    let backend = B::new(false).await;
    let (ours, theirs) = (backend.handle().await, backend.handle().await);
    let receipt = ours.publish(&[session(1), Revocation::Everybody]).await.unwrap();
    ours.restore(receipt.records.clone(), receipt.position).await.unwrap();
    theirs.restore(receipt.records.clone(), Position(0)).await.unwrap();
    theirs.restore(Vec::new(), Position(0)).await.unwrap();
    let records = beat(&mut ours.follower()).await.records.to_vec();
    assert_eq!(records, receipt.records);
}

pub async fn the_first_beat_is_whole_and_the_next_ones_are_news<B: Backend>() {
    let backend = B::new(false).await;
    let store = backend.handle().await;
    store.publish(&[session(1), session(2)]).await.unwrap();
    let mut follower = store.follower();
    let first = beat(&mut follower).await;
    assert!(first.whole);
    assert_eq!(ids(&first.records.to_vec()), [1, 2]);
    store.publish(&[session(3)]).await.unwrap();
    let next = follower.beat(true).await.unwrap();
    assert!(!next.whole);
    assert_eq!(ids(&next.records.to_vec()), [3]);
    assert!(backend.handle().await.follower().beat(false).await.unwrap().whole, "for every follower");
}

pub async fn a_beat_whose_caller_went_away_loses_nothing<B: Backend>() {
    let backend = B::new(false).await;
    let store = backend.handle().await;
    let mut follower = store.follower();
    beat(&mut follower).await;
    for id in 0..20 {
        store.publish(&[session(id)]).await.unwrap();
        // Polled once, so that it begins, and dropped.
        let abandoned = tokio::time::timeout(Duration::ZERO, follower.beat(id % 2 == 0)).await;
        let early = abandoned.map_or_else(|_| Vec::new(), |beat| beat.unwrap().records.to_vec());
        let records = beat(&mut follower).await.records.to_vec();
        assert_eq!(ids(&[early, records].concat()), [id]);
    }
}

pub async fn a_loss_begins_a_new_incarnation_and_the_memory_heals_it<B: Backend>() {
    let backend = B::new(false).await;
    let (ours, theirs) = (backend.handle().await, backend.handle().await);
    let (mut one, mut two) = (ours.follower(), theirs.follower());
    let receipt = ours.publish(&[session(1), session(2)]).await.unwrap();
    let before = beat(&mut one).await;
    assert_eq!(beat(&mut two).await.incarnation, before.incarnation);
    backend.lose().await;
    let after = beat(&mut one).await;
    assert!(after.whole && after.records.is_empty());
    assert_ne!(after.incarnation, before.incarnation);
    ours.restore(receipt.records.clone(), before.position).await.unwrap();
    let other = beat(&mut two).await;
    assert!(other.whole, "every follower is told");
    assert_eq!(other.incarnation, after.incarnation, "and there is one new life, not one for each");
    assert_eq!(other.records.to_vec(), receipt.records);
    assert!(theirs.publish(&[session(3)]).await.unwrap().position > before.position);
    for follower in [&mut one, &mut two] {
        let news = beat(follower).await;
        assert!(!news.whole && news.incarnation == after.incarnation);
        assert!(ids(&news.records.to_vec()).contains(&3));
    }
    assert_eq!(ids(&beat(&mut backend.handle().await.follower()).await.records.to_vec()), [1, 2, 3]);
}

pub async fn a_publication_after_a_loss_is_not_lost<B: Backend>() {
    let backend = B::new(false).await;
    let store = backend.handle().await;
    let mut follower = store.follower();
    let first = store.publish(&[session(1)]).await.unwrap();
    beat(&mut follower).await;
    backend.lose().await;
    // Before any beat has noticed.
    let second = store.publish(&[session(2)]).await.unwrap();
    assert!(second.position > first.position);
    let fresh = beat(&mut backend.handle().await.follower()).await;
    assert_eq!(ids(&fresh.records.to_vec()), [2]);
    let told = beat(&mut follower).await;
    assert!(told.whole);
    assert_eq!(ids(&told.records.to_vec()), [2]);
}

pub async fn one_time_values_do_not_survive_a_loss<B: Backend>() {
    let backend = B::new(false).await;
    let store = backend.handle().await;
    let incarnation = beat(&mut store.follower()).await.incarnation;
    let value = OnceValue { hash: [1; 16], incarnation, expires: NOW.after(minutes(10)) };
    assert_eq!(store.take_once(value).await.unwrap(), Once::First);
    backend.lose().await;
    assert_eq!(store.take_once(value).await.unwrap(), Once::Foreign);
}

pub async fn everybody_is_logged_out_where_a_list_was_lost<B: Backend>() {
    let backend = B::new(true).await;
    let store = backend.handle().await;
    let first = beat(&mut store.follower()).await;
    let [Record::Everybody { position }] = first.records.to_vec()[..] else { panic!("{:?}", first.records.to_vec()) };
    assert!(position <= first.position);
    assert!(store.follower().beat(true).await.unwrap().position > position, "who logs in now is in");
    let again = beat(&mut backend.handle().await.follower()).await;
    assert_eq!(again.records.to_vec(), first.records.to_vec(), "once, and not at every start");
    let unharmed = B::new(false).await;
    assert!(beat(&mut unharmed.handle().await.follower()).await.records.is_empty());
}

/// What a node's task does, step by step.
async fn follow(follower: &mut Box<dyn Follower>, applied: Position) -> Beat {
    follower.describe(Report { applied: applied.0, ..Report::new("node".into(), Some(minutes(1))) });
    beat(follower).await
}

/// A node has applied what a beat brought, and tells the store's follower so.
fn apply(follower: &mut Box<dyn Follower>, replica: &Replica, beat: &Beat) {
    let now = Clock::system().now();
    assert_eq!(replica.absorb(&mut beat.clone(), now), []);
    replica.confirm(beat, now);
    follower.confirmed(&replica.view());
    follower.describe(Report { applied: beat.position.0, ..Report::new("node".into(), Some(minutes(1))) });
}

pub async fn nodes_are_waited_for_until_they_have_applied<B: Backend>() {
    let backend = B::new(false).await;
    let (ours, theirs) = (backend.handle().await, backend.handle().await);
    let (mut follower, replica) = (theirs.follower(), Replica::default());
    let first = follow(&mut follower, Position(0)).await;
    apply(&mut follower, &replica, &first);
    let receipt = ours.publish(&[session(1)]).await.unwrap();
    assert_eq!(receipt.incarnation, first.incarnation);
    let progress = |nodes: Nodes| nodes.progress(receipt.incarnation, receipt.position);
    let waiting = progress(ours.nodes(receipt.position).await.unwrap());
    assert_eq!((waiting.outstanding.len(), waiting.is_in_force()), (1, false), "registered with its first beat");
    assert_eq!(waiting.outstanding[0].name(), "node");
    let applied = follow(&mut follower, first.position).await;
    assert!(applied.position >= receipt.position && applied.heard == Heard::Asked, "somebody waits to hear of it");
    assert!(!progress(ours.nodes(receipt.position).await.unwrap()).is_in_force(), "read, and not applied yet");
    apply(&mut follower, &replica, &applied);
    follower.acknowledge().await.unwrap();
    let done = progress(ours.nodes(receipt.position).await.unwrap());
    assert!(done.is_in_force(), "{done:?}");
    follower.leave().await.unwrap();
    assert_eq!(ours.nodes(Position(0)).await.unwrap().nodes, []);
}

pub async fn a_node_that_is_gone_can_be_forgotten<B: Backend>() {
    let backend = B::new(false).await;
    let store = backend.handle().await;
    let mut follower = store.follower();
    follow(&mut follower, Position(0)).await;
    beat(&mut store.follower()).await;
    let known = store.nodes(Position(0)).await.unwrap().nodes;
    let [node] = &known[..] else { panic!("a tool that reads is no node: {known:?}") };
    assert!(store.forget_node(node.id).await.unwrap());
    assert!(!store.forget_node(node.id).await.unwrap());
    assert_eq!(store.nodes(Position(0)).await.unwrap().nodes, []);
}
