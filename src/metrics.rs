//! What monitoring reads: the text format of Prometheus, from values.
//!
//! Names follow its conventions (<https://prometheus.io/docs/practices/naming/>): a prefix, base units,
//! `_total` for what only rises. Labels hold verdicts, states and key ids; never a session, a name or a cookie.

use std::fmt::{Display, Write as _};
use std::time::Duration;

/// The content type of the text (exposition format 0.0.4).
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How a metric moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only rises, until the process restarts.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Counts by upper bounds, with a sum.
    Histogram,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A page of metrics that grows metric by metric.
#[derive(Clone, Debug, Default)]
pub struct Page(String);

/// One metric of a page; write its samples one after the other.
pub struct Metric<'a> {
    page: &'a mut String,
    name: &'static str,
}

impl Page {
    /// Begins a metric. Each name once a page.
    pub fn metric(&mut self, name: &'static str, kind: Kind, help: &str) -> Metric<'_> {
        let page = &mut self.0;
        // Writing to a string cannot fail.
        let _ = write!(page, "# HELP {name} {help}\n# TYPE {name} {}\n", kind.name());
        Metric { page, name }
    }

    /// The text.
    #[must_use]
    pub fn finish(self) -> String {
        self.0
    }
}

impl Metric<'_> {
    /// A sample without labels.
    pub fn value(&mut self, value: impl Display) {
        let _ = writeln!(self.page, "{} {value}", self.name);
    }

    /// A sample with one label.
    pub fn labelled(&mut self, label: &str, is: impl Display, value: impl Display) {
        let _ = writeln!(self.page, "{}{{{label}=\"{}\"}} {value}", self.name, escaped(&is.to_string()));
    }

    /// A sample with two labels.
    pub fn labelled_twice(&mut self, labels: [(&str, &dyn Display); 2], value: impl Display) {
        let [one, two] = labels.map(|(label, is)| format!("{label}=\"{}\"", escaped(&is.to_string())));
        let _ = writeln!(self.page, "{}{{{one},{two}}} {value}", self.name);
    }

    /// Of several states the one that holds: 1, the others 0.
    pub fn states(&mut self, label: &str, states: impl IntoIterator<Item = (&'static str, bool)>) {
        for (state, holds) in states {
            self.labelled(label, state, u8::from(holds));
        }
    }

    /// A histogram: counts by upper bound in seconds, not cumulated; the last stands for all beyond.
    pub fn histogram(&mut self, bounds: &[Duration], counts: &[u64], sum: Duration) {
        let mut total = 0;
        for (i, count) in counts.iter().enumerate() {
            total += count;
            let bound = bounds.get(i).map_or_else(|| "+Inf".to_owned(), |bound| bound.as_secs_f64().to_string());
            let _ = writeln!(self.page, "{}_bucket{{le=\"{bound}\"}} {total}", self.name);
        }
        let _ = write!(self.page, "{0}_sum {1}\n{0}_count {total}\n", self.name, sum.as_secs_f64());
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_in_the_text_format() {
        let mut page = Page::default();
        page.metric("sealjar_list_age_seconds", Kind::Gauge, "How old it is.").value(1.5);
        let mut metric = page.metric("sealjar_list_state", Kind::Gauge, "Its state.");
        metric.states("state", [("fresh", true), ("stale", false)]);
        metric.labelled("state", "a \"quote\"\n", 3);
        metric.labelled_twice([("state", &"\\"), ("key", &7)], 1);
        let bounds = [Duration::from_millis(1), Duration::from_secs(1)];
        let mut histogram = page.metric("sealjar_wait_seconds", Kind::Histogram, "Waits.");
        histogram.histogram(&bounds, &[2, 0, 1], Duration::from_secs(3));
        let text = page.finish();
        assert_eq!(
            text,
            "# HELP sealjar_list_age_seconds How old it is.\n# TYPE sealjar_list_age_seconds gauge\n\
             sealjar_list_age_seconds 1.5\n\
             # HELP sealjar_list_state Its state.\n# TYPE sealjar_list_state gauge\n\
             sealjar_list_state{state=\"fresh\"} 1\nsealjar_list_state{state=\"stale\"} 0\n\
             sealjar_list_state{state=\"a \\\"quote\\\"\\n\"} 3\n\
             sealjar_list_state{state=\"\\\\\",key=\"7\"} 1\n\
             # HELP sealjar_wait_seconds Waits.\n# TYPE sealjar_wait_seconds histogram\n\
             sealjar_wait_seconds_bucket{le=\"0.001\"} 2\nsealjar_wait_seconds_bucket{le=\"1\"} 2\n\
             sealjar_wait_seconds_bucket{le=\"+Inf\"} 3\nsealjar_wait_seconds_sum 3\nsealjar_wait_seconds_count 3\n"
        );
    }
}
