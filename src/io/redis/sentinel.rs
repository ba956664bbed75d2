//! Sentinels: which server is the primary now?
//!
//! ```text
//!  every dial ──► all Sentinels at once ──► what they name, newest configuration first ──► the first that is a primary
//!                 (half a second at most)
//! ```
//!
//! A Sentinel that was cut off names the primary of yesterday, and yesterday's primary may still answer. The
//! configuration epoch tells which answer is newer: each failover has a higher one, and the Sentinels agree on
//! nothing else. Asking all of them costs no more time than asking one, and one that is away costs none.
//!
//! Nothing is kept: a connection that breaks, or whose server refuses a write, is dialled anew, and then they
//! are asked again.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{ConnectionAddr, ConnectionInfo};
use tokio::task::JoinSet;

use crate::trouble::{Finding, Trouble};

use super::CONNECT;
use super::address::{RedisAddress, Sentinels, connection, host_port, user};
use super::dial::{connect, greet};
use super::fault::Fault;
use super::seen::line;

/// A Sentinel that has not answered by then is done without.
const ASK: Duration = Duration::from_millis(450);
/// The same, once most of them have answered.
const GRACE: Duration = Duration::from_millis(50);

/// One Sentinel's opinion.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Answer {
    primary: (String, u16),
    /// Of its configuration.
    epoch: u64,
}

/// What one Sentinel said.
enum Said {
    Primary(Answer),
    /// It watches no such service.
    Nothing,
    Failed(Fault),
}

/// What all of them said.
#[derive(Default)]
struct Heard {
    answers: Vec<Answer>,
    ignorant: usize,
    /// Host and reason.
    failed: Vec<(String, Fault)>,
}

/// Connects to the primary that the Sentinels name.
pub(super) async fn dial(
    address: &RedisAddress,
    sentinels: &Sentinels,
    patience: Duration,
) -> Result<MultiplexedConnection, Fault> {
    let heard = ask_all(sentinels).await;
    let named = by_age(&heard.answers);
    if named.is_empty() {
        return Err(nobody(sentinels, heard));
    }
    let share = CONNECT / u32::try_from(named.len()).unwrap_or(u32::MAX);
    let mut first = None;
    for (host, port) in &named {
        let server = address.server(host.clone(), *port);
        let place = format!("{} (the primary of {}, as Sentinels say)", host_port(&server), sentinels.service);
        match attempt(address, server, share, patience).await {
            Ok(redis) => return Ok(redis),
            Err(fault) => first = first.or(Some(Fault::at(place, fault))),
        }
    }
    match first {
        Some(fault) if named.len() == 1 => Err(fault),
        _ => Err(disagree(&sentinels.service, &heard.answers)),
    }
}

/// Connects, and makes sure that it is a primary.
async fn attempt(
    address: &RedisAddress,
    server: ConnectionAddr,
    share: Duration,
    patience: Duration,
) -> Result<MultiplexedConnection, Fault> {
    if !address.may_send_to(&server) {
        return Err(Fault::Found(Finding::problem(
            Trouble::NotEncrypted,
            format!(
                "the Sentinels name {}, and the way there is not encrypted, although the password and one-time values \
                 go over it",
                host_port(&server)
            ),
        )));
    }
    let (to, mut info) = (address.info(server.clone())?, redis::cmd("INFO"));
    info.arg("replication");
    let asked = async {
        let mut redis = greet(to, patience).await?;
        let replication: String = info.query_async(&mut redis).await?;
        Ok::<_, Fault>((redis, replication))
    };
    let (redis, replication) = tokio::time::timeout(share, asked).await.map_err(|_| Fault::Silent)??;
    if line(&replication, "role") == Some("master") {
        return Ok(redis);
    }
    Err(Fault::Found(Finding::problem(
        Trouble::SentinelsDisagree,
        format!("the Sentinels name {} as the primary, and it is a replica", host_port(&server)),
    )))
}

async fn ask_all(sentinels: &Sentinels) -> Heard {
    let mut asked = JoinSet::new();
    for host in &sentinels.hosts {
        let (name, service) = (host_port(host), sentinels.service.clone());
        let to = connection(host.clone(), sentinels.login.clone());
        asked.spawn(async move {
            let said = match to {
                Ok(to) => ask(to, &service).await,
                Err(error) => Err(error.into()),
            };
            (name, said.unwrap_or_else(Said::Failed))
        });
    }
    let mut heard = Heard::default();
    loop {
        let most = 2 * (heard.answers.len() + heard.ignorant) > sentinels.hosts.len();
        let wait = if most { GRACE } else { 2 * ASK };
        let Ok(Some(Ok((name, said)))) = tokio::time::timeout(wait, asked.join_next()).await else { return heard };
        match said {
            Said::Primary(answer) => heard.answers.push(answer),
            Said::Nothing => heard.ignorant += 1,
            Said::Failed(fault) => heard.failed.push((name, fault)),
        }
    }
}

async fn ask(to: ConnectionInfo, service: &str) -> Result<Said, Fault> {
    let asked = async {
        let mut redis = connect(to, ASK).await?;
        let mut which = redis::cmd("SENTINEL");
        which.arg("GET-MASTER-ADDR-BY-NAME").arg(service);
        let Some(primary) = which.query_async::<Option<(String, u16)>>(&mut redis).await? else {
            return Ok(Said::Nothing);
        };
        let mut state = redis::cmd("SENTINEL");
        let state: HashMap<String, String> = state.arg("MASTER").arg(service).query_async(&mut redis).await?;
        let epoch = state.get("config-epoch").and_then(|epoch| epoch.parse().ok()).unwrap_or(0);
        Ok(Said::Primary(Answer { primary, epoch }))
    };
    tokio::time::timeout(ASK, asked).await.unwrap_or(Err(Fault::Silent))
}

/// Whom to try, in which order: the newest configuration first, and of two as new the one that more name.
fn by_age(answers: &[Answer]) -> Vec<(String, u16)> {
    let mut named: BTreeMap<&(String, u16), (u64, usize)> = BTreeMap::new();
    for Answer { primary, epoch } in answers {
        let (newest, votes) = named.entry(primary).or_default();
        (*newest, *votes) = ((*newest).max(*epoch), *votes + 1);
    }
    let mut named: Vec<_> = named.into_iter().collect();
    named.sort_by_key(|(_, age)| std::cmp::Reverse(*age));
    named.into_iter().map(|(primary, _)| primary.clone()).collect()
}

/// Why nobody named anything.
fn nobody(sentinels: &Sentinels, heard: Heard) -> Fault {
    let service = &sentinels.service;
    if heard.ignorant > 0 {
        let seen = format!("the Sentinels watch no service of the name {service}");
        return Fault::Found(Finding::problem(Trouble::ServiceUnknown, seen));
    }
    let user = user(&sentinels.login);
    let is_about_the_password = heard.failed.iter().any(|(_, fault)| fault.is_about_the_password());
    let reasons: Vec<_> = heard.failed.into_iter().map(|(host, fault)| fault.reason(&host, user)).collect();
    let reasons = if reasons.is_empty() { "no answer in time".to_owned() } else { reasons.join("; ") };
    let (trouble, seen) = if is_about_the_password {
        (Trouble::SentinelPassword, format!("the Sentinels of {service} do not let us ask ({reasons})"))
    } else {
        (Trouble::SentinelsAway, format!("none of the Sentinels of {service} can be asked ({reasons})"))
    };
    Fault::Found(Finding::problem(trouble, seen))
}

fn disagree(service: &str, answers: &[Answer]) -> Fault {
    let named: Vec<_> = by_age(answers)
        .into_iter()
        .map(|primary| {
            let votes = answers.iter().filter(|answer| answer.primary == primary).count();
            let (host, port) = primary;
            format!("{} by {votes}", host_port(&ConnectionAddr::Tcp(host, port)))
        })
        .collect();
    let seen = format!(
        "the Sentinels name different primaries for {service} ({}), and none of them answers as one",
        named.join(", ")
    );
    Fault::Found(Finding::problem(Trouble::SentinelsDisagree, seen))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(port: u16, epoch: u64) -> Answer {
        Answer { primary: ("10.0.0.1".into(), port), epoch }
    }

    fn ports(answers: &[Answer]) -> Vec<u16> {
        by_age(answers).into_iter().map(|(_, port)| port).collect()
    }

    #[test]
    fn the_newest_configuration_counts_however_few_know_it() {
        assert_eq!(ports(&[]), [] as [u16; 0]);
        assert_eq!(ports(&[answer(1, 7), answer(1, 7), answer(1, 7)]), [1]);
        assert_eq!(ports(&[answer(1, 7), answer(2, 8), answer(1, 7)]), [2, 1]);
        assert_eq!(ports(&[answer(1, 7), answer(2, 7), answer(2, 7)]), [2, 1], "of two as new, what most say");
        assert_eq!(ports(&[answer(1, 3), answer(2, 9), answer(1, 10)]), [1, 2]);
    }

    #[test]
    fn a_disagreement_is_told_with_its_votes() {
        let fault = disagree("shop", &[answer(1, 7), answer(2, 8), answer(1, 7)]);
        let said = fault.reason("", "");
        assert!(said.contains("10.0.0.1:2 by 1, 10.0.0.1:1 by 2"), "{said}");
    }
}
