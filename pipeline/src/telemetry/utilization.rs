//! How busy the machine's processors are.

/// Time that the processors of the machine spent since it started, in any unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProcessorTime {
    idle: u64,
    all: u64,
}

impl ProcessorTime {
    /// Until now; `None` where the system does not tell.
    #[must_use]
    pub fn now() -> Option<Self> {
        Self::parse(&std::fs::read_to_string("/proc/stat").ok()?)
    }

    /// From the first line of `/proc/stat` (proc(5)): user, nice, system, idle, iowait, irq, softirq, steal.
    fn parse(stat: &str) -> Option<Self> {
        let mut fields = stat.lines().next()?.strip_prefix("cpu ")?.split_ascii_whitespace().take(8);
        let mut time = Self { idle: 0, all: 0 };
        for place in 0..8 {
            let Some(field) = fields.next() else { break };
            let count: u64 = field.parse().ok()?;
            time.all += count;
            time.idle += if matches!(place, 3 | 4) { count } else { 0 };
        }
        Some(time)
    }

    /// How busy the processors were in between, in percent.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "percent need no more precision than f64 has")]
    pub fn utilization_since(self, before: Self) -> f64 {
        let all = self.all.saturating_sub(before.all);
        let idle = self.idle.saturating_sub(before.idle).min(all);
        if all == 0 { 0.0 } else { 100.0 * (all - idle) as f64 / all as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_utilization_is_what_is_not_idle() {
        let before = ProcessorTime::parse("cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 1 2\n").unwrap();
        assert_eq!(before, ProcessorTime { idle: 800, all: 1000 });
        let now = ProcessorTime::parse("cpu  170 0 105 720 105 0 0 0 0 0\n").unwrap();
        assert!((now.utilization_since(before) - 75.0).abs() < 1e-9);
        assert_eq!(ProcessorTime::parse("intr 5"), None);
        assert!(ProcessorTime::now().is_some());
    }
}
