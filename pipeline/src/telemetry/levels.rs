//! Which of Sluice's own metrics there are at which level. The Collector's metrics stand where the Collector has them.

use super::names;
use crate::config::telemetry::MetricsLevel;

/// From level `detailed` on.
const DETAILED: [&str; 1] = [names::BATCH_SEND_SIZE_BYTES];
/// From level `normal` on: how full, how old and how fast queues are, and why batches leave the `batch` processor.
const NORMAL: [&str; 10] = [
    names::BATCH_SEND_SIZE,
    names::BATCH_SIZE_TRIGGER,
    names::BATCH_TIMEOUT_TRIGGER,
    names::BATCH_IDLE_TRIGGER,
    names::BATCH_CARDINALITY,
    names::EXPORTER_QUEUE_BYTES,
    names::EXPORTER_QUEUE_AGE,
    names::EXPORTER_IN_FLIGHT,
    names::STORAGE_SYNC_SECONDS,
    names::STORAGE_GROUP_SIZE,
];

/// The lines of a Prometheus text that belong to a level.
pub(super) fn of_level(text: &str, level: MetricsLevel) -> String {
    let mut kept = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        if level_of(name_in(line)) <= level {
            kept.push_str(line);
        }
    }
    kept
}

/// The name of the metric that a line of a Prometheus text is about; empty for a blank one.
fn name_in(line: &str) -> &str {
    let line = line.strip_prefix("# TYPE ").or_else(|| line.strip_prefix("# HELP ")).unwrap_or(line);
    line.split(['{', ' ', '\n']).next().unwrap_or_default()
}

fn level_of(name: &str) -> MetricsLevel {
    // A histogram's lines have names of their own.
    let is_of = |metric: &str| {
        name.strip_prefix(metric).is_some_and(|rest| matches!(rest, "" | "_bucket" | "_sum" | "_count"))
    };
    if DETAILED.into_iter().any(is_of) {
        MetricsLevel::Detailed
    } else if NORMAL.into_iter().any(is_of) {
        MetricsLevel::Normal
    } else {
        MetricsLevel::Basic
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_has_more_than_the_one_before() {
        let text = "# TYPE otelcol_process_uptime gauge\notelcol_process_uptime 3\n\n\
                    # TYPE otelcol_processor_batch_batch_send_size histogram\n\
                    otelcol_processor_batch_batch_send_size_bucket{processor=\"batch\",le=\"10\"} 1\n\
                    # TYPE otelcol_processor_batch_batch_send_size_bytes histogram\n\
                    otelcol_processor_batch_batch_send_size_bytes_sum{processor=\"batch\"} 9\n";
        let lines = |level| of_level(text, level).lines().filter(|line| !line.is_empty()).count();
        assert_eq!(lines(MetricsLevel::Basic), 2);
        assert_eq!(lines(MetricsLevel::Normal), 4);
        assert_eq!(of_level(text, MetricsLevel::Detailed), text);
    }
}
