//! The metrics of one process that serves sessions; those of the list, the admin endpoint shows as well.

use crate::core::Core;
use crate::counters::{Histogram, Propagation, Published, Spending};
use crate::metrics::{Kind, Page};
use crate::revocation::{Bounds, Freshness, View};
use crate::ring::KeyRing;
use crate::rotation::KeyState;
use crate::time::Now;

impl Core {
    pub(crate) fn metrics(&self) -> String {
        let mut page = Page::default();
        let mut metric = page.metric("sealjar_sessions_total", Kind::Counter, "Sessions opened, by verdict.");
        for (verdict, count) in self.counters.verdicts() {
            metric.labelled("verdict", verdict.code(), count);
        }
        let help = "Changed sessions that were dropped without a reply, so that the change was lost.";
        page.metric("sealjar_dropped_changes_total", Kind::Counter, help).value(self.counters.dropped_changes());

        list(&mut page, &self.replica.view(), self.config.bounds(), self.now());
        propagation(&mut page, self.counters.propagation());
        self.what_came_of_it(&mut page);
        keys(&mut page, &self.ring.load());

        let help = "Opening a session, from the header to the app's type; a sample of about one in 64.";
        histogram(&mut page, "sealjar_open_seconds", help, self.counters.opening());
        let help = "Sealing a session, from the app's type to the Set-Cookie line.";
        histogram(&mut page, "sealjar_seal_seconds", help, self.counters.sealing());
        page.finish()
    }

    fn what_came_of_it(&self, page: &mut Page) {
        let mut metric =
            page.metric("sealjar_publications_total", Kind::Counter, "Revocations by what became of them.");
        for outcome in Published::ALL {
            metric.labelled("outcome", outcome.name(), self.counters.published(outcome));
        }
        let own_file = self.store.own_file();
        let help = "Revocations that wait in this node's own file until the store takes them.";
        let depth = own_file.as_ref().map_or(0, |file| file.waiting);
        page.metric("sealjar_spool_depth", Kind::Gauge, help).value(depth);
        let help = "Whether this node's own file lags behind or cannot be written.";
        let failing = own_file.is_some_and(|file| file.failing.is_some());
        page.metric("sealjar_own_file_failing", Kind::Gauge, help).value(u8::from(failing));
        let mut metric = page.metric("sealjar_once_total", Kind::Counter, "One-time values that were asked for.");
        for outcome in Spending::ALL {
            metric.labelled("outcome", outcome.name(), self.counters.spent(outcome));
        }
    }
}

/// How far a process's copy of the list can be trusted, and what is in it.
pub(crate) fn list(page: &mut Page, view: &View, bounds: Bounds, now: Now) {
    let freshness = view.freshness(bounds, now);
    let mut metric =
        page.metric("sealjar_list_state", Kind::Gauge, "How far the list can be trusted: 1 for the state.");
    metric.states("state", Freshness::ALL.map(|state| (state.name(), state == freshness)));
    if let Some(age) = view.age(now) {
        let help = "Time since the last beat that counted began.";
        page.metric("sealjar_list_age_seconds", Kind::Gauge, help).value(age.as_secs_f64());
    }
    let mut metric = page.metric("sealjar_list_entries", Kind::Gauge, "Records in this process's copy of the list.");
    for (kind, count) in view.list.counts() {
        metric.labelled("kind", kind, count);
    }
    page.metric("sealjar_list_bytes", Kind::Gauge, "What this process's copy of the list takes up in memory.")
        .value(view.list.bytes());
}

/// How long revocations were on their way here.
pub(crate) fn propagation(page: &mut Page, of: &Propagation) {
    let help = "From the publication of a cut-off to its arrival here, by the store's clock.";
    histogram(page, "sealjar_propagation_seconds", help, of.histogram());
}

fn keys(page: &mut Page, ring: &KeyRing) {
    let mut metric = page.metric("sealjar_keys", Kind::Gauge, "Keys at hand, by state.");
    for state in KeyState::ALL {
        metric.labelled("state", state.name(), ring.keys().filter(|(_, is)| *is == state).count());
    }
    let mut metric = page.metric("sealjar_key_info", Kind::Gauge, "Keys at hand: 1 for each with its state.");
    for (key, state) in ring.keys() {
        metric.labelled_twice([("key", &key.id()), ("state", &state.name())], 1);
    }
    let mut metric = page.metric("sealjar_key_opens_total", Kind::Counter, "Cookies opened under each key at hand.");
    for (key, _) in ring.keys() {
        metric.labelled("key", key.id(), key.opened());
    }
    let help = "Whether a key may seal; without one logins fail.";
    page.metric("sealjar_can_seal", Kind::Gauge, help).value(u8::from(ring.sealing().is_some()));
}

fn histogram(page: &mut Page, name: &'static str, help: &str, of: &Histogram) {
    page.metric(name, Kind::Histogram, help).histogram(of.bounds(), &of.counts(), of.sum());
}
