//! The keys of the `ebpf_network` receiver.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use sluice_ebpf::{MAX_CAPTURE, MAX_PORTS, Settings, TierChoice};
use sluice_pipeline::component::{ComponentConfig, Problem};

use super::{
    metrics::MetricsConfig,
    process::FilterConfig,
    redaction::RedactionConfig,
    sampling::{Limits, SamplingConfig, Size},
};

/// The smallest and the largest ring that is worth having, in bytes.
const RING_SIZES: std::ops::RangeInclusive<usize> = 256 << 10..=1 << 30;

/// The keys of the `ebpf_network` receiver.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct EbpfNetworkConfig {
    /// How transfers are seen.
    pub tier: Tier,
    /// Which processes are watched. Sluice never watches itself.
    pub processes: FilterConfig,
    /// Whether other processes that run the same executable as this one are watched too. They are not by default, since
    /// two that watch each other report each other's reports.
    pub own_executable: bool,
    /// If given, only connections with one of these ports at either end are watched; at most 64.
    pub ports: Vec<u16>,
    /// The most bytes that are captured of the head of a message, up to 16 KiB. What is longer is cut, and the exchange
    /// marked as truncated.
    pub max_header_size: Size,
    /// Whether the begin of system calls is noted, so that reads and writes have durations. It costs about 0.1 microseconds
    /// for every system call on the host.
    pub syscall_timing: bool,
    /// Size of the ring between kernel and Sluice. A larger one loses less in a burst.
    pub ring_buffer_size: Size,
    /// How many connections are followed at a time; further ones are counted and left out.
    pub max_connections: usize,
    /// Metrics of HTTP and TCP, where the receiver is used in a metrics pipeline.
    pub metrics: MetricsConfig,
    /// Which exchanges become log records, where the receiver is used in a logs pipeline. In tier A, if it is used in no
    /// metrics pipeline and no rule has a `ratio`, short exchanges without a request body that succeed sooner than every
    /// `min_duration` are counted in the kernel and never leave it.
    pub sampling: SamplingConfig,
    /// What is blanked before a record exists, beyond what always is.
    pub redaction: RedactionConfig,
}

/// How transfers are seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// The best that the kernel takes.
    #[default]
    Auto,
    /// By socket tracepoints (Linux 6.3 and later).
    A,
    /// By all system calls.
    B,
}

impl Default for EbpfNetworkConfig {
    fn default() -> Self {
        Self {
            tier: Tier::Auto,
            processes: FilterConfig::default(),
            own_executable: false,
            ports: Vec::new(),
            max_header_size: Size(4 << 10),
            syscall_timing: false,
            ring_buffer_size: Size(8 << 20),
            max_connections: 65_536,
            metrics: MetricsConfig::default(),
            sampling: SamplingConfig::default(),
            redaction: RedactionConfig::default(),
        }
    }
}

impl ComponentConfig for EbpfNetworkConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        self.processes.problems("processes", &mut problems);
        if self.ports.len() > MAX_PORTS {
            problems.push(Problem::at(
                "ports",
                format!("has {} ports; name at most {MAX_PORTS}", self.ports.len()),
            ));
        }
        if !(256..=MAX_CAPTURE as usize).contains(&self.max_header_size.0) {
            problems.push(Problem::at(
                "max_header_size",
                format!("{} cannot be captured; it must be 256B to 16KiB", self.max_header_size),
            ));
        }
        if !RING_SIZES.contains(&self.ring_buffer_size.0) {
            problems.push(Problem::at(
                "ring_buffer_size",
                format!("a ring of {} cannot work; it must be 256KiB to 1GiB", self.ring_buffer_size),
            ));
        }
        if self.max_connections == 0 {
            problems.push(Problem::at("max_connections", "must be at least 1"));
        }
        problems.extend(self.metrics.problems("metrics"));
        problems.extend(self.sampling.problems("sampling"));
        problems.extend(self.redaction.problems("redaction"));
        problems
    }
}

impl EbpfNetworkConfig {
    /// What the kernel side is told. Nothing is captured if nobody asks for HTTP; bodies only as far as some rule can use
    /// them, and only for records. `remarkable_after` is what [`super::sampling::Rules::remarkable_after`] says; metrics are of
    /// all exchanges.
    #[must_use]
    pub fn settings(
        &self,
        limits: Limits,
        remarkable_after: Option<Duration>,
        has_logs: bool,
        has_metrics: bool,
    ) -> Settings {
        let content = if has_logs { limits.request.max(limits.response) } else { 0 };
        let asks = has_logs || (has_metrics && self.metrics.http);
        let capture = if asks { self.max_header_size.0.saturating_add(content) } else { 0 };
        let capture = capture.min(MAX_CAPTURE as usize);
        Settings {
            tier: match self.tier {
                Tier::Auto => TierChoice::Best,
                Tier::A => TierChoice::A,
                Tier::B => TierChoice::B,
            },
            filter_processes: true,
            ports: self.ports.clone(),
            capture: u32::try_from(capture).unwrap_or(MAX_CAPTURE),
            time_calls: self.syscall_timing,
            remarkable_after: remarkable_after.filter(|_| has_logs && !has_metrics),
            ring_bytes: u32::try_from(self.ring_buffer_size.0).unwrap_or(u32::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: &str) -> EbpfNetworkConfig {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_defaults_have_no_problems() {
        assert_eq!(config("{}"), EbpfNetworkConfig::default());
        assert_eq!(config("{}").problems(), []);
    }

    #[test]
    fn only_what_somebody_asks_for_is_captured() {
        let limits = Limits { request: 1_000, response: 3_000, syscalls: false };
        let settings =
            |config: &EbpfNetworkConfig, logs, metrics| config.settings(limits, None, logs, metrics).capture;
        let all = config("{}");
        assert_eq!(settings(&all, true, true), 4_096 + 3_000);
        assert_eq!(settings(&all, false, true), 4_096, "metrics need no bodies");
        let tcp = config(r#"{"metrics": {"http": false}}"#);
        assert_eq!(settings(&tcp, false, true), 0);
        assert_eq!(settings(&tcp, true, true), 4_096 + 3_000);
    }

    #[test]
    fn what_no_rule_can_take_is_not_told_unless_metrics_are_of_it() {
        let after = Some(Duration::from_millis(500));
        let told =
            |logs, metrics| config("{}").settings(Limits::default(), after, logs, metrics).remarkable_after;
        assert_eq!((told(true, false), told(true, true), told(false, true)), (after, None, None));
    }

    #[test]
    fn what_cannot_work_is_said_where_it_is() {
        let wrong = config(
            r#"{"max_header_size": "64KiB", "ring_buffer_size": "1KiB", "max_connections": 0, "sampling": {"top": 0}}"#,
        );
        let keys: Vec<_> = wrong.problems().into_iter().map(|problem| problem.key).collect();
        assert_eq!(keys, ["max_header_size", "ring_buffer_size", "max_connections", "sampling.top"]);
    }
}
