//! A table of closures, measured round-robin so that a noisy neighbour falls on every row alike.
//!
//! criterion and divan measure one row after the other; on a shared machine their ratios then compare
//! two moments instead of two pieces of code.

use std::hint::black_box;
use std::time::{Duration, Instant};

const ROUNDS: usize = 1001;
/// Shorter than a slice of the scheduler, so that most samples are not interrupted.
const SAMPLE: Duration = Duration::from_micros(100);

/// Rows that are compared with each other.
#[derive(Default)]
pub struct Table<'a> {
    rows: Vec<Row<'a>>,
}

struct Row<'a> {
    name: &'static str,
    run: Box<dyn FnMut(u32) + 'a>,
    /// How often a sample runs it.
    times: u32,
    /// Nanoseconds of one run, one entry for each round.
    samples: Vec<f64>,
}

/// What came out for one row.
pub struct Figure {
    pub name: &'static str,
    pub median: f64,
    pub tenth: f64,
}

impl<'a> Table<'a> {
    /// Adds a row. What `run` returns is dropped within the measurement.
    ///
    /// `cargo bench -- begin` keeps the rows whose name contains `begin`: for a profiler.
    pub fn row<R>(&mut self, name: &'static str, mut run: impl FnMut() -> R + 'a) {
        let mut wanted = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).peekable();
        if wanted.peek().is_some() && !wanted.any(|part| name.contains(&part)) {
            return;
        }
        let run = Box::new(move |times| {
            for _ in 0..times {
                black_box(run());
            }
        });
        self.rows.push(Row { name, run, times: 1, samples: Vec::new() });
    }

    /// Measures all rows and prints them beside the rows that they are to be compared with.
    ///
    /// Only `cargo bench` measures; `cargo test --benches` runs everything a few times to see that it works.
    pub fn print(mut self, title: &str, compare_with: &[&'static str]) -> Vec<Figure> {
        let measures = std::env::args().any(|argument| argument == "--bench");
        if measures {
            self.rows.iter_mut().for_each(Row::calibrate);
        }
        for _ in 0..if measures { ROUNDS } else { 3 } {
            self.rows.iter_mut().for_each(Row::sample);
        }
        let figures: Vec<_> = self.rows.iter_mut().map(Row::figure).collect();
        let peers = compare_with.iter().filter_map(|name| figures.iter().find(|figure| figure.name == *name));
        let peers: Vec<_> = peers.map(|peer| peer.median).collect();
        println!("\n{title}\n{:<58} {:>8} {:>8}  {}", "", "median", "p10", heads(compare_with));
        for Figure { name, median, tenth } in &figures {
            let ratios: String = peers.iter().map(|peer| format!("{:>12.2}", median / peer)).collect();
            println!("{name:<58} {median:>5.0} ns {tenth:>5.0} ns  {ratios}");
        }
        figures
    }
}

impl Row<'_> {
    fn calibrate(&mut self) {
        loop {
            let spent = self.time();
            if spent > SAMPLE / 2 || self.times >= 1 << 20 {
                return;
            }
            self.times *= 2;
        }
    }

    fn sample(&mut self) {
        let spent = self.time();
        self.samples.push(spent.as_secs_f64() * 1e9 / f64::from(self.times));
    }

    fn time(&mut self) -> Duration {
        let start = Instant::now();
        (self.run)(self.times);
        start.elapsed()
    }

    fn figure(&mut self) -> Figure {
        self.samples.sort_by(f64::total_cmp);
        let at = |percent| self.samples[self.samples.len() * percent / 100];
        Figure { name: self.name, median: at(50), tenth: at(10) }
    }
}

fn heads(compare_with: &[&str]) -> String {
    compare_with
        .iter()
        .map(|name| format!("{:>12}", format!("/ {}", name.split(' ').next().unwrap_or_default())))
        .collect()
}
