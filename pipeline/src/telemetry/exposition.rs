//! The Prometheus text of Sluice's own metrics.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use metrics::{counter, gauge};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use super::{levels, names};
use crate::{budget::Budget, config::telemetry::MetricsLevel, graph::Status};

/// Bounds of histograms of sizes, in items or bytes: the Collector's.
const SIZE_BOUNDS: [f64; 25] = [
    10.0,
    25.0,
    50.0,
    75.0,
    100.0,
    250.0,
    500.0,
    750.0,
    1000.0,
    2000.0,
    3000.0,
    4000.0,
    5000.0,
    6000.0,
    7000.0,
    8000.0,
    9000.0,
    10_000.0,
    20_000.0,
    30_000.0,
    50_000.0,
    100_000.0,
    200_000.0,
    500_000.0,
    1_000_000.0,
];
/// Bounds of histograms of the time that a disk takes, in seconds.
const DISK_BOUNDS: [f64; 12] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5];
/// Bounds of the histogram of how many requests shared an append.
const GROUP_BOUNDS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];
/// How often what was observed is put into buckets.
const UPKEEP: Duration = Duration::from_secs(5);
/// Clock ticks a second that `/proc` counts CPU time in (`USER_HZ`, fixed at 100 on Linux).
const TICKS_A_SECOND: f64 = 100.0;

/// What is behind the `metrics` facade, which is one for the whole process too.
static INSTALLED: OnceLock<PrometheusHandle> = OnceLock::new();

/// Collects the metrics of the process and renders them.
#[derive(Clone)]
pub struct Exposition {
    handle: PrometheusHandle,
    status: Arc<Status>,
    budget: Budget,
}

impl Exposition {
    /// Installs the recorder behind the `metrics` facade for the whole process.
    ///
    /// # Errors
    /// If one is installed already.
    pub fn install(status: Arc<Status>, budget: Budget) -> Result<Self, BuildError> {
        let handle = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_size".to_owned()), &SIZE_BOUNDS)?
            .set_buckets_for_metric(Matcher::Suffix("_bytes".to_owned()), &SIZE_BOUNDS)?
            .set_buckets_for_metric(Matcher::Full(names::STORAGE_SYNC_SECONDS.to_owned()), &DISK_BOUNDS)?
            .set_buckets_for_metric(Matcher::Full(names::STORAGE_GROUP_SIZE.to_owned()), &GROUP_BOUNDS)?
            .install_recorder()?;
        let _ = INSTALLED.set(handle.clone());
        Ok(Self { handle, status, budget })
    }

    /// What belongs to a level in the Prometheus text format, with the state of the process at this moment.
    #[must_use]
    pub fn render(&self, level: MetricsLevel) -> String {
        self.observe_process();
        self.handle.run_upkeep();
        levels::of_level(&self.handle.render(), level)
    }

    /// Puts what was observed into the buckets of histograms now and then. Without it observations would pile up where nobody
    /// scrapes. Never ends.
    pub async fn keep_up(self) {
        loop {
            tokio::time::sleep(UPKEEP).await;
            self.handle.run_upkeep();
        }
    }

    fn observe_process(&self) {
        gauge!("otelcol_process_uptime").set(self.status.uptime().as_secs_f64());
        gauge!("sluice_budget_limit_bytes").set(precise(self.budget.limit()));
        gauge!("sluice_budget_used_bytes").set(precise(self.budget.used()));
        gauge!("sluice_budget_queued_bytes").set(precise(self.budget.queued()));
        let state = self.status.snapshot();
        gauge!("sluice_dead_tasks").set(precise(state.died.len() as u64));
        counter!("sluice_config_reloads").absolute(state.reloads);
        if let Some(resident) = resident_bytes() {
            gauge!("otelcol_process_memory_rss").set(precise(resident));
        }
        if let Some(seconds) = processor_seconds() {
            gauge!("otelcol_process_cpu_seconds").set(seconds);
        }
    }
}

/// Everything in the Prometheus text format, but for what is observed when somebody scrapes.
pub(super) fn text() -> Option<String> {
    Some(INSTALLED.get()?.render())
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus has only doubles")]
fn precise(value: u64) -> f64 {
    value as f64
}

/// Memory of the process that is resident, in bytes.
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// User and system time that the process has used, in seconds.
fn processor_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The command may hold spaces and brackets; the fixed columns follow its last bracket.
    let columns: Vec<&str> = stat.get(stat.rfind(')')? + 2..)?.split(' ').collect();
    let ticks = columns.get(11)?.parse::<f64>().ok()? + columns.get(12)?.parse::<f64>().ok()?;
    Some(ticks / TICKS_A_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_can_be_observed() {
        assert!(resident_bytes().unwrap() > 1 << 20, "a test process has at least a megabyte");
        assert!(processor_seconds().unwrap() >= 0.0);
    }
}
