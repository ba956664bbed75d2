//! Looking at a server and at the list on it, without changing either.

use redis::Value;
use redis::aio::MultiplexedConnection;

use crate::doctor::{ListFacts, clock};
use crate::key::ListKey;
use crate::revocation::{Condition, Nodes, Profile, Record};
use crate::rotation::Rotation;
use crate::time::Clock;
use crate::trouble::{Finding, Severity, Trouble};

use super::address::RedisAddress;
use super::control::{Control, Fields, LIST};
use super::fault::Fault;
use super::members::{self, Members};
use super::seen::{Epoch, REPLIES, Seen, next};
use super::shared::Shared;
use super::{CALL, RESPONSE};
use super::{Options, dial};

/// Looks at everything, as far as it can be seen.
pub(crate) async fn examine(
    address: &RedisAddress,
    app: Option<&str>,
    list_key: Option<&ListKey>,
    clock: &Clock,
) -> (Vec<Finding>, Option<ListFacts>) {
    let mut findings = vec![the_way(address)];
    let found = async {
        let mut redis = dial::dial(address, RESPONSE).await?;
        findings.push(Finding::ok(format!("{address} answers, and knows the user {}", address.user())));
        let Some(app) = app else {
            let seen = "a server may hold the lists of several apps, and none was named";
            let fix = "Name the app with --app, or in the variable SEALJAR_APP";
            return Err(Fault::Found(Finding::problem(Trouble::Configuration, seen).fixed_by(fix)));
        };
        // Without the list key, the server can be looked at all the same; and what is in the key folder's way,
        // others say.
        let key = match list_key {
            Some(key) => key,
            None => &ListKey::generate().map_err(Fault::Random)?,
        };
        let shared = Shared::of(address.clone(), &Options { app, list_key: key, clock: clock.clone() });
        shared.look_around(&mut redis, list_key.is_some(), app, &mut findings).await
    };
    let found = tokio::time::timeout(CALL, found).await.unwrap_or(Err(Fault::Silent));
    match found {
        Ok(list) => (findings, list),
        Err(fault) => {
            findings.push(fault.finding(address));
            (findings, None)
        }
    }
}

/// How the password gets there.
fn the_way(address: &RedisAddress) -> Finding {
    if address.is_encrypted() {
        Finding::ok(format!("the way to {address} is encrypted"))
    } else if address.is_local() {
        Finding::ok(format!("the way to {address} does not leave this machine"))
    } else {
        let seen = format!("the way to {address} is not encrypted, says the address (?tls=off)");
        Finding { severity: Severity::Warning, ..Finding::problem(Trouble::NotEncrypted, seen) }
    }
}

impl Shared {
    /// How the server fares, over the connection that there is: what [`examine`] finds of the server itself.
    pub(super) async fn condition(&self) -> Result<Condition, Fault> {
        let mut conn = self.writer().await?;
        let condition = self.condition_over(&mut conn.redis).await;
        if condition.is_err() {
            self.drop_writer(conn.serial).await;
        }
        condition
    }

    async fn condition_over(&self, redis: &mut MultiplexedConnection) -> Result<Condition, Fault> {
        let (seen, _) = self.look(redis).await?;
        let facts = self.facts(redis).await?;
        let mut findings = vec![the_way(&self.address)];
        findings.extend(self.judged(&seen));
        findings.extend(facts.judge());
        let kept = |epoch: &Epoch| {
            let lengths = epoch.accounts.iter().filter(|(bucket, _)| bucket.is_kept(seen.time));
            lengths.map(|(_, length)| length).sum()
        };
        let (used, most) = facts.memory;
        let (server, limit) = ((used > 0).then_some(used), (most > 0).then_some(most));
        Ok(Condition { list: seen.epoch.as_ref().map(kept), server, limit, findings })
    }

    /// What the server said of itself with everything else.
    fn judged(&self, seen: &Seen) -> [Finding; 2] {
        let good = format!("{} is a primary of a version that is new enough", self.address);
        let server = seen.server.check().map_or_else(|fault| fault.finding(&self.address), |()| Finding::ok(good));
        [server, clock(&self.address.to_string(), seen.time, self.clock.now().millis)]
    }

    async fn look_around(
        &self,
        redis: &mut MultiplexedConnection,
        is_recognised: bool,
        app: &str,
        findings: &mut Vec<Finding>,
    ) -> Result<Option<ListFacts>, Fault> {
        let mut pipe = redis::pipe();
        pipe.atomic();
        Seen::ask(&mut pipe, &self.names);
        pipe.cmd("HGETALL").arg(&self.names.control).cmd("HGETALL").arg(&self.names.nodes);
        let replies: Vec<Value> = pipe.query_async(redis).await?;
        debug_assert_eq!(replies.len(), REPLIES + 2);
        let mut replies = replies.into_iter();
        let seen = Seen::read(&mut replies)?;
        let (control, members): (Fields, Members) = (next(&mut replies)?, next(&mut replies)?);
        findings.extend(self.judged(&seen));
        match self.facts(redis).await {
            Ok(facts) => findings.extend(facts.judge()),
            Err(fault) => findings.push(fault.finding(&self.address)),
        }
        let (Some(epoch), Some(list)) = (seen.epoch, control.get(LIST)) else {
            return Err(self.missing());
        };
        let rights = self.check_rights(redis).await;
        let user = self.address.user();
        let good = format!("the user {user} may do all that an app does");
        findings.push(rights.map_or_else(|fault| fault.finding(&self.address), |()| Finding::ok(good)));
        if !is_recognised {
            return Ok(None);
        }
        self.recognise(list)?;
        let (mut profiles, mut rotation) = (Vec::<Profile>::new(), Rotation::default());
        for read in self.read_control(&control)? {
            match read {
                Control::Profile(profile) => profiles.push(profile),
                Control::Record(Record::Key { key, record }) => drop(rotation.insert(key, record)),
                _ => {}
            }
        }
        // Another history under a known life is a loss that no node has noticed yet.
        let healed = !epoch.healing && epoch.replication == seen.server.replication;
        let nodes = Nodes {
            incarnation: epoch.incarnation,
            begun: epoch.begun,
            healed,
            now: seen.time,
            nodes: members::nodes(&members),
        };
        Ok(Some(ListFacts { app: app.to_owned(), nodes, profiles, rotation }))
    }
}
