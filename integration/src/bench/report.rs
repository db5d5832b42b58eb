//! The results: a table for people, JSON for programs.

use serde_json::{Value, json};

use super::round::{Round, to_float};
use super::{Scenario, Startup};

/// Everything that a run measured.
#[derive(Debug, Default)]
pub struct Report {
    /// The systems in their scenarios.
    pub rows: Vec<Row>,
    /// Sluice's start, if Sluice took part.
    pub startup: Option<Startup>,
}

/// All rounds of one system in one scenario.
#[derive(Debug)]
pub struct Row {
    /// The scenario's name.
    pub scenario: &'static str,
    /// The system's name.
    pub system: &'static str,
    /// The rounds in order.
    pub rounds: Vec<Round>,
}

/// The middle value; the lower one of two. 0 of nothing.
pub(super) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}

impl Row {
    fn median(&self, value: impl Fn(&Round) -> f64) -> f64 {
        median(&mut self.rounds.iter().map(value).collect::<Vec<_>>())
    }

    fn latency_millis(&self, share: f64) -> f64 {
        self.median(|round| round.load.latency.quantile(share).as_secs_f64() * 1e3)
    }

    fn lost(&self) -> u64 {
        self.rounds.iter().map(|round| round.lost).sum()
    }

    fn to_line(&self) -> String {
        let nanos = self.median(Round::nanos_per_item);
        format!(
            "| {} | {} | {:.0} | {:.0}k | {:.0}k | {:.2} | {:.2} | {:.2} | {:.0} | {} |\n",
            self.scenario,
            self.system,
            nanos,
            1e6 / nanos.max(1e-9),
            self.median(Round::rate) / 1e3,
            self.latency_millis(0.5),
            self.latency_millis(0.99),
            self.latency_millis(0.999),
            self.median(|round| to_float(round.peak_resident)) / f64::from(1 << 20),
            self.lost(),
        )
    }

    fn to_json(&self) -> Value {
        let rounds: Vec<Value> = self
            .rounds
            .iter()
            .map(|round| {
                json!({
                    "cpu_seconds": round.cpu.as_secs_f64(),
                    "items": round.items,
                    "lost": round.lost,
                    "cpu_nanos_per_item": round.nanos_per_item(),
                    "peak_resident_bytes": round.peak_resident,
                    "load": round.load.to_json(),
                })
            })
            .collect();
        json!({
            "scenario": self.scenario,
            "system": self.system,
            "cpu_nanos_per_item": self.median(Round::nanos_per_item),
            "rounds": rounds,
        })
    }
}

impl Report {
    /// A Markdown table of medians.
    #[must_use]
    pub fn to_table(&self) -> String {
        let mut table = String::from(
            "| scenario | system | ns CPU/item | items/CPU s | items/s | p50 ms | p99 ms | p99.9 ms | peak RSS MiB | lost |\n\
             |---|---|--:|--:|--:|--:|--:|--:|--:|--:|\n",
        );
        self.rows.iter().for_each(|row| table.push_str(&row.to_line()));
        table.push('\n');
        let mut named: Vec<&str> = self.rows.iter().map(|row| row.scenario).collect();
        named.dedup();
        for scenario in named.into_iter().filter_map(Scenario::named) {
            table.push_str(&format!("- {}: {}\n", scenario.name, scenario.about));
        }
        if let Some(startup) = self.startup {
            let mebibytes = |bytes| to_float(bytes) / f64::from(1 << 20);
            table.push_str(&format!(
                "- sluice: listening after {:.1} ms, idle RSS {:.1} MiB, binary {:.1} MiB\n",
                startup.listening.as_secs_f64() * 1e3,
                mebibytes(startup.idle_resident),
                mebibytes(startup.binary),
            ));
        }
        table
    }

    /// Every round of every row.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "rows": self.rows.iter().map(Row::to_json).collect::<Vec<_>>(),
            "startup": self.startup.map(|startup| json!({
                "listening_seconds": startup.listening.as_secs_f64(),
                "idle_resident_bytes": startup.idle_resident,
                "binary_bytes": startup.binary,
            })),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_a_value_that_was_measured() {
        assert!((median(&mut [3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(&mut [4.0, 1.0]) - 1.0).abs() < f64::EPSILON);
        assert!(median(&mut []).abs() < f64::EPSILON);
    }
}
