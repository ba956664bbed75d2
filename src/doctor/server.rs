//! Whether a server is fit to keep a list.

use std::time::Duration;

use crate::config::SKEW;
use crate::revocation::node::MAX_LAG;
use crate::time::{Position, minutes};
use crate::trouble::{Finding, Trouble};

/// How far apart the server's clock and this machine's may be: it drops records by its own.
pub const CLOCKS_APART: Duration = minutes(5);

/// Judges the server's clock by this machine's, in milliseconds.
#[must_use]
pub fn clock(place: &str, theirs: Position, ours: u64) -> Finding {
    let apart = Duration::from_millis(theirs.0.abs_diff(ours));
    let seen = |digits| {
        let seconds = apart.as_secs_f64();
        format!("the clock of {place} and this machine's are {seconds:.digits$} s apart")
    };
    if apart > CLOCKS_APART {
        Finding::problem(Trouble::ClockApart, seen(0))
    } else if apart > SKEW {
        Finding::warning(Trouble::ClockApart, seen(0))
    } else {
        Finding::ok(seen(1))
    }
}

/// What a server says of itself, and what its address says that it should be.
///
/// Settings are unknown where the server, or the rights of its user, keep them hidden.
#[derive(Clone, Debug, Default)]
pub struct ServerFacts {
    /// Where it is, without credentials.
    pub place: String,
    /// `maxmemory-policy`.
    pub policy: Option<String>,
    /// Bytes in use, and the most that it may use; 0 for no limit.
    pub memory: (u64, u64),
    /// Whether it logs every change to its disk.
    pub appendonly: bool,
    /// The setting `save`: when it writes everything to its disk. Unknown where settings are hidden.
    pub save: Option<String>,
    /// Replicas that are connected now.
    pub replicas: u64,
    /// How many replicas must have a write, as the address says.
    pub expected: Option<u64>,
    /// Whether the address names Sentinels, so that a failover is expected.
    pub sentinels: bool,
    /// The setting `min-replicas-to-write`.
    pub min_replicas: Option<u64>,
    /// The setting `min-replicas-max-lag`, in seconds.
    pub max_lag: Option<u64>,
    /// Whether it counts replicas that keep up, which it does where it insists on one at least. This it says to
    /// everybody.
    pub counts_replicas: bool,
}

impl ServerFacts {
    /// One finding for each question.
    #[must_use]
    pub fn judge(&self) -> Vec<Finding> {
        vec![self.eviction(), self.memory(), self.persistence(), self.replicas()]
    }

    fn eviction(&self) -> Finding {
        match self.policy.as_deref().unwrap_or("unknown") {
            "noeviction" => Finding::ok(format!("{} drops nothing when its memory is full", self.place)),
            policy => Finding::problem(
                Trouble::Eviction,
                format!("{} has the maxmemory-policy {policy}, and drops revocations when memory is short", self.place),
            ),
        }
    }

    fn memory(&self) -> Finding {
        let (used, limit) = self.memory;
        let percent = (used * 100).checked_div(limit).unwrap_or(0);
        if percent < 90 {
            return Finding::ok(format!("{} has memory left", self.place));
        }
        let seen =
            format!("{} uses {percent} % of its maxmemory, and takes no revocations when it is full", self.place);
        Finding::warning(Trouble::MemoryFull, seen)
    }

    /// A server that saves from time to time is allowed, with a warning: it keeps what it acknowledged for
    /// minutes at the most by itself, and processes that run, or their files, keep the rest.
    fn persistence(&self) -> Finding {
        let place = &self.place;
        match self.save.as_deref() {
            _ if self.appendonly => Finding::ok(format!("{place} logs every change to its disk")),
            Some("") => Finding::problem(
                Trouble::NoPersistence,
                format!("{place} keeps nothing on disk, so a restart forgets every revocation"),
            ),
            Some(save) => Finding::warning(
                Trouble::SeldomSaved,
                format!("{place} saves from time to time only (save {save}), and a crash loses what was revoked since"),
            ),
            None => Finding::warning(
                Trouble::PersistenceHidden,
                format!("{place} does not log every change to its disk, and hides whether it saves at all"),
            ),
        }
    }

    fn replicas(&self) -> Finding {
        let place = &self.place;
        let expected = self.expected.unwrap_or(u64::from(self.sentinels || self.replicas > 0));
        if self.expected == Some(0) {
            return Finding::ok(format!("{place} need not have replicas, says the address"));
        }
        if expected == 0 {
            return Finding::ok(format!("{place} has no replicas, and nobody expects any"));
        }
        // A lag of 0 switches the whole rule off.
        match (self.min_replicas, self.max_lag) {
            (Some(least), Some(lag)) if least < expected || lag == 0 => {
                let least = if lag == 0 { 0 } else { least };
                Finding::problem(
                    Trouble::ReplicasNotRequired,
                    format!(
                        "{place} takes writes with {least} replicas at hand (min-replicas-to-write), where {expected} \
                         should have them: one that was deposed goes on taking revocations that are lost"
                    ),
                )
            }
            (Some(_), Some(lag)) if lag > MAX_LAG.as_secs() => Finding::problem(
                Trouble::ReplicasLag,
                format!(
                    "{place} counts a replica that has said nothing for {lag} s (min-replicas-max-lag), and nodes allow \
                     for {} s",
                    MAX_LAG.as_secs()
                ),
            ),
            (Some(least), Some(_)) => Finding::ok(format!("{place} insists on {least} replica(s)")),
            _ if self.counts_replicas && expected == 1 => {
                Finding::ok(format!("{place} insists on replicas; how many, and how far they may lag, it hides"))
            }
            _ => Finding::warning(
                Trouble::ReplicasHidden,
                format!("{place} should have {expected} replica(s), and hides whether it insists on them"),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trouble::Severity;

    fn good() -> ServerFacts {
        ServerFacts {
            place: "redis://127.0.0.1:6379".into(),
            policy: Some("noeviction".into()),
            appendonly: true,
            ..ServerFacts::default()
        }
    }

    fn troubles(facts: &ServerFacts) -> Vec<Trouble> {
        facts.judge().into_iter().filter_map(|finding| finding.trouble).collect()
    }

    #[test]
    fn clocks_may_differ_by_a_minute_and_must_not_by_five() {
        let judged = |apart: u64| clock("here", Position(1_000_000 + apart), 1_000_000).severity;
        assert_eq!(judged(60_000), Severity::Ok);
        assert_eq!(judged(60_001), Severity::Warning);
        assert_eq!(judged(300_001), Severity::Problem);
        assert_eq!(
            clock("here", Position(1_000_000), 1_300_001).seen,
            "the clock of here and this machine's are 300 s apart"
        );
    }

    #[test]
    fn a_good_server_has_no_trouble() {
        assert_eq!(troubles(&good()), []);
    }

    #[test]
    fn a_server_that_forgets_is_told_apart_from_one_that_may() {
        let with =
            |save: Option<&str>| troubles(&ServerFacts { appendonly: false, save: save.map(str::to_owned), ..good() });
        assert_eq!(with(Some("")), [Trouble::NoPersistence]);
        assert_eq!(with(Some("3600 1")), [Trouble::SeldomSaved]);
        assert_eq!(with(None), [Trouble::PersistenceHidden]);
        assert_eq!(troubles(&ServerFacts { policy: None, ..good() }), [Trouble::Eviction]);
        assert_eq!(troubles(&ServerFacts { memory: (89, 100), ..good() }), []);
        assert_eq!(troubles(&ServerFacts { memory: (90, 100), ..good() }), [Trouble::MemoryFull]);
    }

    #[test]
    fn replicas_are_insisted_on_where_they_are_expected() {
        let readable = |replicas, expected, sentinels, least, lag| {
            let (min_replicas, max_lag) = (Some(least), Some(lag));
            troubles(&ServerFacts { replicas, expected, sentinels, min_replicas, max_lag, ..good() })
        };
        // connected, as the address says, Sentinels, min-replicas-to-write, min-replicas-max-lag
        assert_eq!(readable(0, None, false, 0, 10), []);
        assert_eq!(readable(1, None, false, 0, 10), [Trouble::ReplicasNotRequired]);
        assert_eq!(readable(0, None, true, 0, 10), [Trouble::ReplicasNotRequired]);
        assert_eq!(readable(0, Some(1), false, 0, 10), [Trouble::ReplicasNotRequired]);
        assert_eq!(readable(2, Some(2), false, 1, 10), [Trouble::ReplicasNotRequired]);
        assert_eq!(readable(1, None, false, 1, 0), [Trouble::ReplicasNotRequired], "a lag of 0 switches it off");
        assert_eq!(readable(1, None, false, 1, 11), [Trouble::ReplicasLag]);
        assert_eq!(readable(1, None, false, 1, 10), []);
        assert_eq!(readable(3, Some(0), true, 0, 60), [], "given up by name");
        let hidden =
            |expected, counts_replicas| troubles(&ServerFacts { replicas: 2, expected, counts_replicas, ..good() });
        assert_eq!(hidden(None, false), [Trouble::ReplicasHidden]);
        assert_eq!(hidden(None, true), []);
        assert_eq!(hidden(Some(2), true), [Trouble::ReplicasHidden]);
        assert_eq!(hidden(Some(0), false), []);
    }
}
