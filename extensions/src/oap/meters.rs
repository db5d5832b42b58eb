//! Satellite's own meters, of this Sluice: pushed to OAP under Satellite's names, so that OAP's rules for Satellite
//! (`meter-analyzer-config/satellite.yaml`), the dashboards on them and the metric that autoscaling asks for work.

use std::{
    collections::BTreeMap,
    fs,
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use sluice_pipeline::{
    Signal,
    component::Backend,
    grpc::{client::Stream, frame::Messages},
    otlp::write::Writer,
    telemetry::{ProcessorTime, Reading, names, readings},
};
use tokio::time::sleep;
use tracing::{info, warn};

use super::config::MetersConfig;

/// Takes a collection of meters, of which the first has the service and the instance.
const METHOD: &str = "/skywalking.v3.MeterReportService/collectBatch";

/// Pushes meters for as long as it runs.
pub(super) struct Reporter {
    config: MetersConfig,
    instance: String,
    backend: Arc<dyn Backend>,
}

/// Values by name and labels.
#[derive(Debug, Default)]
struct Meters(BTreeMap<(&'static str, Labels), f64>);

type Labels = Vec<(&'static str, String)>;

impl Reporter {
    pub(super) fn new(config: MetersConfig, backend: Arc<dyn Backend>) -> Self {
        let instance = match config.instance.is_empty() {
            true => fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned(),
            false => config.instance.clone(),
        };
        Self { config, instance, backend }
    }

    pub(super) async fn run(self) {
        let mut before = ProcessorTime::now();
        let mut was_refused = false;
        loop {
            sleep(self.config.interval.into()).await;
            let now = ProcessorTime::now();
            let utilization = now.zip(before).map(|(now, before)| now.utilization_since(before));
            before = now;
            let meters = Meters::of(&readings(), utilization);
            let outcome = self
                .backend
                .stream(Stream {
                    path: METHOD,
                    messages: self.messages(&meters, SystemTime::now()),
                    key: Some(self.instance.as_bytes()),
                    deadline: Instant::now().checked_add(self.config.interval.into()),
                })
                .await;
            match outcome {
                // Once for as long as it lasts.
                Err(failure) if !was_refused => {
                    was_refused = true;
                    warn!(error = failure.message, "OAP does not take Satellite's meters; trying on");
                }
                Ok(_) if was_refused => {
                    was_refused = false;
                    info!("OAP takes Satellite's meters again");
                }
                _ => {}
            }
        }
    }

    fn messages(&self, meters: &Meters, now: SystemTime) -> Messages {
        let time = now.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis());
        let time = i64::try_from(time).unwrap_or_default();
        let mut messages = Messages::default();
        messages.push(|buffer| {
            let mut collection = Writer::new(buffer);
            for (place, ((name, labels), value)) in meters.0.iter().enumerate() {
                collection.message(1, |meter| {
                    meter.message(1, |single| {
                        single.bytes(1, format!("{}{name}", self.config.prefix).as_bytes());
                        for (label, text) in labels {
                            single.message(2, |pair| {
                                pair.bytes(1, label.as_bytes());
                                pair.bytes(2, text.as_bytes());
                            });
                        }
                        single.double(3, *value);
                    });
                    if place == 0 {
                        meter.bytes(3, self.config.service.as_bytes());
                        meter.bytes(4, self.instance.as_bytes());
                    }
                    meter.int(5, time);
                });
            }
        });
        messages
    }
}

impl Meters {
    /// What Satellite would say. Its pipes are Sluice's signals, its forwarders Sluice's exporters.
    fn of(readings: &[Reading], utilization: Option<f64>) -> Self {
        let mut meters = Self::default();
        // There also while nobody is connected: autoscaling would take none for unknown.
        meters.add("grpc_server_connection_count", vec![], 0.0);
        for reading in readings {
            meters.add_reading(reading);
        }
        if let Some(percent) = utilization {
            meters.add("grpc_server_cpu_gauge", vec![], percent);
        }
        meters
    }

    fn add_reading(&mut self, reading: &Reading) {
        let value = reading.value;
        match reading.name.as_str() {
            names::RECEIVER_CONNECTIONS if reading.label("transport") == "grpc" => {
                return self.add("grpc_server_connection_count", vec![], value);
            }
            names::EXPORTER_QUEUE_CAPACITY => {
                let labels = vec![("pipeline", reading.label("data_type").to_owned())];
                return self.add("pipeline_queue_total_capacity", labels, value);
            }
            names::EXPORTER_QUEUE_SIZE => {
                let partition = reading.label("exporter").to_owned();
                let labels =
                    vec![("pipeline", reading.label("data_type").to_owned()), ("partition", partition)];
                return self.add("pipeline_queue_partition_size", labels, value);
            }
            _ => {}
        }
        for signal in Signal::ALL {
            let Some(prefix) = reading.name.strip_suffix(signal.items_name()) else { continue };
            let status =
                |status: &str| vec![("pipe", signal.name().to_owned()), ("status", status.to_owned())];
            let sent = |how: &str| {
                let mut labels = status(how);
                labels.push(("type", reading.label("exporter").to_owned()));
                labels
            };
            match prefix {
                names::RECEIVER_ACCEPTED => self.add("gatherer_receive_count", status("all"), value),
                names::RECEIVER_REFUSED => {
                    self.add("gatherer_receive_count", status("all"), value);
                    self.add("gatherer_receive_count", status("abandoned"), value);
                }
                names::EXPORTER_ENQUEUE_FAILED => self.add("queue_output_count", status("error"), value),
                names::EXPORTER_SENT => {
                    self.add("queue_output_count", status("success"), value);
                    self.add("sender_output_count", sent("success"), value);
                }
                names::EXPORTER_SEND_FAILED => {
                    self.add("queue_output_count", status("success"), value);
                    self.add("sender_output_count", sent("failure"), value);
                }
                _ => {}
            }
        }
    }

    fn add(&mut self, name: &'static str, labels: Labels, value: f64) {
        *self.0.entry((name, labels)).or_default() += value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(name: &str, labels: &[(&str, &str)], value: f64) -> Reading {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Reading { name: name.to_owned(), labels, value }
    }

    #[test]
    fn satellites_names_have_sluices_values() {
        let meters = Meters::of(
            &[
                reading("otelcol_receiver_accepted_spans", &[("receiver", "skywalking")], 7.0),
                reading("otelcol_receiver_accepted_spans", &[("receiver", "otlp")], 2.0),
                reading("otelcol_receiver_refused_spans", &[("receiver", "otlp")], 1.0),
                reading("otelcol_exporter_sent_log_records", &[("exporter", "oap")], 5.0),
                reading("otelcol_exporter_send_failed_log_records", &[("exporter", "oap")], 3.0),
                reading(
                    "otelcol_exporter_queue_capacity",
                    &[("exporter", "oap"), ("data_type", "logs")],
                    1000.0,
                ),
                reading("otelcol_exporter_queue_size", &[("exporter", "oap"), ("data_type", "logs")], 4.0),
                reading("sluice_receiver_open_connections", &[("transport", "grpc")], 3.0),
                reading("sluice_receiver_open_connections", &[("transport", "http")], 9.0),
                reading("otelcol_process_uptime", &[], 60.0),
            ],
            Some(12.5),
        );
        let found: Vec<String> = meters
            .0
            .iter()
            .map(|((name, labels), value)| {
                let labels: Vec<_> = labels.iter().map(|(label, text)| format!("{label}={text}")).collect();
                format!("{name}{{{}}} {value}", labels.join(","))
            })
            .collect();
        assert_eq!(
            found,
            [
                "gatherer_receive_count{pipe=traces,status=abandoned} 1",
                "gatherer_receive_count{pipe=traces,status=all} 10",
                "grpc_server_connection_count{} 3",
                "grpc_server_cpu_gauge{} 12.5",
                "pipeline_queue_partition_size{pipeline=logs,partition=oap} 4",
                "pipeline_queue_total_capacity{pipeline=logs} 1000",
                "queue_output_count{pipe=logs,status=success} 8",
                "sender_output_count{pipe=logs,status=failure,type=oap} 3",
                "sender_output_count{pipe=logs,status=success,type=oap} 5",
            ]
        );
    }
}
