//! What was done at the endpoint, counted: for monitoring, beside the audit.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::metrics::{Kind, Page};

use super::audit::{Entry, Event};

/// Counts since the process started. There are as many as operations times problems at the most.
#[derive(Debug, Default)]
pub struct Actions(Mutex<BTreeMap<(String, String), u64>>);

impl Actions {
    /// Counts what a record says. An attempt counts when it is over.
    pub fn count(&self, entry: &Entry) {
        let problem = || entry.result.clone().unwrap_or_default();
        let result = match entry.event {
            Event::Read => "looked".to_owned(),
            Event::Outcome if entry.status.is_some_and(|status| status < 400) => "done".to_owned(),
            Event::Outcome | Event::Refused => problem(),
            Event::Attempt | Event::TailLost | Event::TornLine | Event::Started => return,
        };
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry((entry.action.clone(), result)).or_default() += 1;
    }

    /// Writes them to a page.
    pub fn tell(&self, page: &mut Page) {
        let help = "Requests at the admin endpoint, by operation and by how they ended: looked, done, or the problem.";
        let mut metric = page.metric("sealjar_admin_actions_total", Kind::Counter, help);
        for ((action, result), count) in &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            metric.labelled_twice([("action", action), ("result", result)], count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_counts_once_by_how_it_ended() {
        let (actions, mut page) = (Actions::default(), Page::default());
        let entry = |event, status: u16, result: &str| {
            let (status, result) = (Some(status), Some(result.to_owned()));
            Entry { status, result, ..Entry::new(event, "revoke") }
        };
        for entry in [
            entry(Event::Attempt, 0, ""),
            entry(Event::Outcome, 201, "committed"),
            entry(Event::Attempt, 0, ""),
            entry(Event::Outcome, 202, "committed"),
            entry(Event::Outcome, 503, "store-unavailable"),
            entry(Event::Refused, 403, "scope-missing"),
            entry(Event::Read, 200, "answered again"),
            Entry::new(Event::Started, "admin"),
        ] {
            actions.count(&entry);
        }
        actions.tell(&mut page);
        let text = page.finish();
        let samples: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let name = "sealjar_admin_actions_total{action=\"revoke\",result=";
        let wanted = [("done", 2), ("looked", 1), ("scope-missing", 1), ("store-unavailable", 1)];
        assert_eq!(samples, wanted.map(|(result, count)| format!("{name}\"{result}\"}} {count}")));
    }
}
