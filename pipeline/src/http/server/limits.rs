//! When new connections are refused, for servers of which there are several: their clients then go to another one, and
//! those that are connected lose nothing.

use std::time::{Duration, Instant};

use metrics::Counter;
use tracing::warn;

use crate::telemetry::ProcessorTime;

/// How often the machine's processors are looked at, at most.
const SAMPLE_EVERY: Duration = Duration::from_secs(5);

/// When new connections are refused. Connections that exist are left alone.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AcceptLimits {
    /// Beyond this number of connections.
    pub connections: Option<usize>,
    /// While the machine's processors are busier than this, in percent.
    pub cpu_utilization: Option<f64>,
}

/// Decides about each new connection.
pub(super) struct AcceptGate {
    limits: AcceptLimits,
    crowded: Counter,
    busy: Counter,
    was_told: bool,
    sample: Option<(Instant, ProcessorTime)>,
    utilization: f64,
}

impl AcceptGate {
    pub(super) fn new(limits: AcceptLimits, counter: impl Fn(&'static str) -> Counter) -> Self {
        let sample = limits.cpu_utilization.and_then(|_| Some((Instant::now(), ProcessorTime::now()?)));
        Self {
            limits,
            crowded: counter("max_connections"),
            busy: counter("max_cpu_utilization"),
            was_told: false,
            sample,
            utilization: 0.0,
        }
    }

    /// Whether one more connection is let in, beside as many as there are.
    pub(super) fn opens(&mut self, connections: impl FnOnce() -> usize) -> bool {
        let crowded = self.limits.connections.is_some_and(|most| connections() >= most);
        let busy = !crowded && self.limits.cpu_utilization.is_some_and(|most| self.utilization() > most);
        let (limit, counter) = match (crowded, busy) {
            (true, _) => ("max_connections", &self.crowded),
            (_, true) => ("max_cpu_utilization", &self.busy),
            _ => return true,
        };
        counter.increment(1);
        if !self.was_told {
            self.was_told = true;
            warn!(limit, "New connections are refused, since the limit is reached; told once");
        }
        false
    }

    /// How busy the processors were since they were last looked at, in percent.
    fn utilization(&mut self) -> f64 {
        let now = Instant::now();
        let due = self.sample.is_none_or(|(at, _)| now.duration_since(at) >= SAMPLE_EVERY);
        if due && let Some(time) = ProcessorTime::now() {
            if let Some((_, before)) = self.sample {
                self.utilization = time.utilization_since(before);
            }
            self.sample = Some((now, time));
        }
        self.utilization
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_a_limit_nobody_comes_in() {
        let gate = |limits| AcceptGate::new(limits, |_| Counter::noop());
        let mut crowded = gate(AcceptLimits { connections: Some(2), cpu_utilization: None });
        assert!(crowded.opens(|| 1));
        assert!(!crowded.opens(|| 2));
        let mut busy = gate(AcceptLimits { connections: None, cpu_utilization: Some(75.0) });
        assert!(busy.opens(|| 9));
        busy.utilization = 80.0;
        assert!(!busy.opens(|| 9));
        assert!(gate(AcceptLimits::default()).opens(|| usize::MAX));
    }
}
