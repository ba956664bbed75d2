//! Looking at everything around a list, for `sealjar doctor`: what is seen goes to [`crate::doctor`] to be judged.
//!
//! It does not stop at the first problem: whatever can still be looked at is. It changes nothing.

use crate::doctor::{KeyFacts, ListFacts, RingSecretFacts, said};
use crate::error::Error;
use crate::id::KeyId;
use crate::key::{ListKey, RingSecret};
use crate::revocation::{Record, RevocationStore};
use crate::rotation::Rotation;
use crate::time::{Clock, Position};
use crate::trouble::{Finding, Trouble};

use super::folder::{Contents, KeyFolder};
use super::place::ListPlace;
use super::private;

/// What to look at.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The key ring's folder.
    pub folder: &'a KeyFolder,
    /// The list.
    pub list: &'a ListPlace,
    /// The app, if it was named; a file knows its own.
    pub app: Option<&'a str>,
    /// This machine's clock.
    pub clock: &'a Clock,
}

/// Looks at keys and list, and judges them, with the ring secret, if one was named, or why it cannot be used.
///
/// # Panics
///
/// Outside a tokio runtime.
pub async fn examine(subject: Subject<'_>, ring_secret: Result<Option<RingSecret>, Error>) -> Vec<Finding> {
    let (ring_secret, from_list) = ring_secret_facts(subject, ring_secret).await;
    let keys = key_facts(subject.folder, ring_secret, from_list.is_some());
    let list_key = subject.folder.list_key().ok().or(from_list);
    let (mut findings, list) = match subject.list {
        ListPlace::Sqlite(_) => embedded(subject, list_key.as_ref()).await,
        #[cfg(feature = "redis")]
        ListPlace::Redis(address) => {
            super::redis::examine(address, subject.app, list_key.as_ref(), subject.clock).await
        }
    };
    let known = list.as_ref().map(|list| list.rotation.clone()).unwrap_or_default();
    let mut all = keys.judge(&known, subject.clock.now().seconds());
    all.append(&mut findings);
    if let Some(list) = list {
        let ids: Vec<KeyId> = keys.keys.iter().flatten().map(|(key, _)| *key).collect();
        all.append(&mut list.judge(&ids));
    }
    all
}

/// What the ring secret is good for, and the list key that it opens. That is used where the folder has none.
async fn ring_secret_facts(
    subject: Subject<'_>,
    secret: Result<Option<RingSecret>, Error>,
) -> (RingSecretFacts, Option<ListKey>) {
    let secret = match secret {
        Err(error) => return (RingSecretFacts::Refused(error), None),
        Ok(None) => return (RingSecretFacts::None, None),
        Ok(Some(secret)) => secret,
    };
    let (place, fingerprint) = (subject.list, secret.fingerprint());
    let Some(app) = subject.app.filter(|_| place.is_on_a_server()) else {
        let told = if place.is_on_a_server() { RingSecretFacts::Unasked } else { RingSecretFacts::Unused };
        return (told(fingerprint), None);
    };
    match place.list_key_in_list(app, &[&secret], subject.clock).await {
        Ok(Some(key)) => (RingSecretFacts::Opens(fingerprint), Some(key).filter(|_| !subject.folder.holds_list_key())),
        Ok(None) => (RingSecretFacts::Unused(fingerprint), None),
        Err(error @ Error::Key { .. }) => (RingSecretFacts::Refused(error), None),
        Err(_) => (RingSecretFacts::Unasked(fingerprint), None),
    }
}

fn key_facts(folder: &KeyFolder, ring_secret: RingSecretFacts, list_key_came: bool) -> KeyFacts {
    let named = !matches!(ring_secret, RingSecretFacts::None);
    let contents = match folder.read() {
        // Where keys come through the list there need be no folder.
        Err(_) if named && !folder.path().exists() => Ok(Contents::default()),
        read => read,
    };
    let (keys, refused) = match contents {
        Ok(contents) => {
            let keys = contents.keys.iter().map(|key| (key.id(), key.created())).collect();
            (Ok(keys), contents.refused.into_iter().map(|refused| refused.error).collect())
        }
        Err(error) => (Err(error), Vec::new()),
    };
    // A list key that came through the list stands in for one that is missing; where it may yet come, or the ring
    // secret is why it does not, that is told instead.
    let may_come = matches!(ring_secret, RingSecretFacts::Refused(_) | RingSecretFacts::Unasked(_));
    let is_spared = list_key_came || may_come && !folder.holds_list_key();
    let list_key = folder.list_key().err().filter(|_| !is_spared);
    KeyFacts {
        folder: folder.path().display().to_string(),
        mode: private::mode(folder.path()),
        keys,
        refused,
        list_key,
        ring_secret,
    }
}

/// The list in a file. Without a list key nobody opens it.
async fn embedded(subject: Subject<'_>, list_key: Option<&ListKey>) -> (Vec<Finding>, Option<ListFacts>) {
    let place = subject.list;
    if !place.exists() {
        let seen = format!("there is no list at {place} yet");
        return (vec![Finding::warning(Trouble::NoCookie, seen)], None);
    }
    let Some(list_key) = list_key else { return (Vec::new(), None) };
    let opened = async {
        let (store, app) = place.open_existing(subject.app, list_key, subject.clock).await?;
        Ok((store.condition().await?.findings, read(&*store, app).await?))
    };
    match opened.await {
        Ok((found, list)) => {
            let mut findings = vec![Finding::ok(format!("the list {place} can be read"))];
            findings.extend(found);
            (findings, Some(list))
        }
        Err(error) => (vec![said(Trouble::ListUnusable, &error)], None),
    }
}

async fn read(store: &dyn RevocationStore, app: String) -> Result<ListFacts, Error> {
    let mut rotation = Rotation::default();
    for record in store.follower().beat(false).await?.records.iter() {
        if let Record::Key { key, record } = record {
            rotation.insert(key, record);
        }
    }
    let (nodes, profiles) = (store.nodes(Position(0)).await?, store.profiles().await?);
    Ok(ListFacts { app, nodes, profiles, rotation })
}
