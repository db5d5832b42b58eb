//! The reference that tests compare with: what `prost` makes of OTLP.

use opentelemetry_proto::tonic::{
    logs::v1::LogsData,
    metrics::v1::{MetricsData, metric::Data},
    profiles::v1development::ProfilesData,
    trace::v1::TracesData,
};
use prost::{DecodeError, Message};

use crate::signal::Signal;

/// Decodes and encodes: equal results mean equal content, also where it has NaN.
pub(crate) fn reencode(signal: Signal, bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
    Ok(match signal {
        Signal::Traces => TracesData::decode(bytes)?.encode_to_vec(),
        Signal::Metrics => MetricsData::decode(bytes)?.encode_to_vec(),
        Signal::Logs => LogsData::decode(bytes)?.encode_to_vec(),
        Signal::Profiles => ProfilesData::decode(bytes)?.encode_to_vec(),
    })
}

/// How many items the decoded structs hold.
pub(crate) fn count(signal: Signal, bytes: &[u8]) -> usize {
    match signal {
        Signal::Traces => {
            let groups = TracesData::decode(bytes).unwrap().resource_spans.into_iter();
            groups.flat_map(|group| group.scope_spans).map(|group| group.spans.len()).sum()
        }
        Signal::Metrics => {
            let groups = MetricsData::decode(bytes).unwrap().resource_metrics.into_iter();
            let metrics = groups.flat_map(|group| group.scope_metrics).flat_map(|group| group.metrics);
            metrics
                .map(|metric| match metric.data {
                    None => 0,
                    Some(Data::Gauge(data)) => data.data_points.len(),
                    Some(Data::Sum(data)) => data.data_points.len(),
                    Some(Data::Histogram(data)) => data.data_points.len(),
                    Some(Data::ExponentialHistogram(data)) => data.data_points.len(),
                    Some(Data::Summary(data)) => data.data_points.len(),
                })
                .sum()
        }
        Signal::Logs => {
            let groups = LogsData::decode(bytes).unwrap().resource_logs.into_iter();
            groups.flat_map(|group| group.scope_logs).map(|group| group.log_records.len()).sum()
        }
        Signal::Profiles => {
            let groups = ProfilesData::decode(bytes).unwrap().resource_profiles.into_iter();
            let profiles = groups.flat_map(|group| group.scope_profiles).flat_map(|group| group.profiles);
            profiles.map(|profile| profile.samples.len()).sum()
        }
    }
}
