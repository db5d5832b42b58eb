//! One round: a system started, warmed up, measured under load, and stopped.

use std::time::Duration;

use tokio::task::block_in_place;
use tokio::time::Instant;

use super::scenario::Scenario;
use super::{Settings, System};
use crate::Outcome;
use crate::load::{Load, Report};
use crate::process::Usage;
use crate::sink::{Options, Sink};

/// What one round measured.
#[derive(Clone, Debug)]
pub struct Round {
    /// CPU time of the process while it handled the items.
    pub cpu: Duration,
    /// Items that reached the sink.
    pub items: u64,
    /// Items that the system accepted and that did not reach the sink.
    pub lost: u64,
    /// What the load generator saw.
    pub load: Report,
    /// The most memory that the process had resident, in bytes.
    pub peak_resident: u64,
}

/// How long nothing may arrive before a round is taken to be over.
const QUIET: Duration = Duration::from_secs(2);

/// How long what was accepted may take to arrive.
const DRAIN_LIMIT: Duration = Duration::from_secs(60);

/// Longer than a graceful end should take.
const STOP_LIMIT: Duration = Duration::from_secs(30);

pub(super) async fn measure(scenario: &Scenario, system: System, settings: &Settings) -> Outcome<Round> {
    let any = "127.0.0.1:0".parse()?;
    let sink = Sink::start(any, any, Options { delay: scenario.sink_delay }).await?;
    let running = block_in_place(|| system.start(scenario, &sink, &settings.binaries, &settings.directory))?;
    let load = Load::prepare(scenario.plan(running.target, settings.duration))?;

    let warm_up = load.run(settings.duration / 4).await?;
    drain(&sink, warm_up.accepted).await;

    let (before, items_before) = (running.process.usage()?, sink.counts().items);
    let report = load.run_as_planned().await?;
    drain(&sink, items_before + report.accepted).await;
    let (after, counts) = (running.process.usage()?, sink.counts());
    block_in_place(|| running.process.stop(STOP_LIMIT))?;

    if counts.malformed > 0 {
        return Err(format!("{} sent {} malformed requests", system.name(), counts.malformed).into());
    }
    if !scenario.refusals && !report.failures.is_empty() {
        return Err(format!("{} failed requests: {:?}", system.name(), report.failures).into());
    }
    Ok(Round::new(before, after, counts.items - items_before, report))
}

/// Waits until this many items in all have arrived, or no more do.
async fn drain(sink: &Sink, expected: u64) {
    let begin = Instant::now();
    let (mut seen, mut changed) = (sink.counts().items, begin);
    while seen < expected && changed.elapsed() < QUIET && begin.elapsed() < DRAIN_LIMIT {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let now = sink.counts().items;
        if now != seen {
            (seen, changed) = (now, Instant::now());
        }
    }
}

impl Round {
    fn new(before: Usage, after: Usage, items: u64, load: Report) -> Self {
        Self {
            cpu: after.cpu.saturating_sub(before.cpu),
            items,
            lost: load.accepted.saturating_sub(items),
            load,
            peak_resident: after.peak_resident,
        }
    }

    /// CPU nanoseconds for each item.
    #[must_use]
    pub fn nanos_per_item(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e9 / to_float(self.items.max(1))
    }

    /// Items a second of wall time.
    #[must_use]
    pub fn rate(&self) -> f64 {
        to_float(self.items) / self.load.elapsed.as_secs_f64().max(1e-9)
    }

    /// A line of progress.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut line = format!("{:.0} ns CPU an item, {:.0} items/s", self.nanos_per_item(), self.rate());
        if self.lost > 0 {
            line.push_str(&format!(", {} LOST", self.lost));
        }
        line
    }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
pub(super) const fn to_float(count: u64) -> f64 {
    count as f64
}
