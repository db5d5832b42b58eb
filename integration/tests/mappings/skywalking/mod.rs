//! SkyWalking to OTLP and back is the identity: the `skywalking` receiver's translation and the `oap` exporter's, over
//! every field of every kind of message (`docs/skywalking-mapping.md`).

mod meaning;
mod message;
mod samples;

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestRunner},
};
use sluice_exporters::oap::{EntityConfig, Method, OapConfig, messages};
use sluice_pipeline::{Batch, Chunk, Context, Signal, budget::Budget};
use sluice_protocols::skywalking::id::Rules;
use sluice_receivers::skywalking::{Kind, Translator};

use self::{
    message::{Message, Value},
    samples::any_message,
};

/// A way through Sluice.
struct Way {
    kind: Kind,
    /// What comes in.
    message: &'static str,
    method: Method,
    /// What goes out.
    sent: &'static str,
    meaning: fn(Vec<Message>) -> Vec<Message>,
}

macro_rules! ways {
    ($($test:ident: $kind:ident, $message:literal => $method:ident, $sent:literal, $meaning:ident;)*) => {
        $(
            #[test]
            fn $test() {
                come_back(&Way {
                    kind: Kind::$kind,
                    message: $message,
                    method: Method::$method,
                    sent: $sent,
                    meaning: meaning::$meaning,
                });
            }
        )*

        #[test]
        fn no_kind_is_forgotten() {
            assert_eq!([$(Kind::$kind),*].len(), Kind::ALL.len());
            let ways = [$(Kind::$kind),*];
            assert!(Kind::ALL.iter().all(|kind| ways.contains(kind)));
        }
    };
}

ways! {
    segments: Segment, "skywalking.v3.SegmentObject" => Segments, "skywalking.v3.SegmentObject", of_segments;
    collections_of_segments: SegmentCollection, "skywalking.v3.SegmentCollection"
        => Segments, "skywalking.v3.SegmentObject", of_segments_in_any_number;
    logs: Log, "skywalking.v3.LogData" => Logs, "skywalking.v3.LogData", of_logs;
    meters: Meter, "skywalking.v3.MeterData" => Meters, "skywalking.v3.MeterData", of_meters;
    collections_of_meters: MeterCollection, "skywalking.v3.MeterDataCollection"
        => Meters, "skywalking.v3.MeterData", of_meters_in_any_number;
    metrics_of_the_jvm: Jvm, "skywalking.v3.JVMMetricCollection"
        => Jvm, "skywalking.v3.JVMMetricCollection", of_runtimes;
    metrics_of_the_clr: Clr, "skywalking.v3.CLRMetricCollection"
        => Clr, "skywalking.v3.CLRMetricCollection", of_runtimes;
    events: Event, "skywalking.v3.Event" => Events, "skywalking.v3.Event", of_each;
    properties_of_instances: InstanceProperties, "skywalking.v3.InstanceProperties"
        => Properties, "skywalking.v3.InstanceProperties", of_each;
    pings_of_instances: InstancePing, "skywalking.v3.InstancePingPkg"
        => KeepAlive, "skywalking.v3.InstancePingPkg", of_each;
    attached_events: AttachedEvent, "skywalking.v3.SpanAttachedEvent"
        => AttachedEvents, "skywalking.v3.SpanAttachedEvent", of_each;
    performance_of_browsers: BrowserPerf, "skywalking.v3.BrowserPerfData"
        => BrowserPerf, "skywalking.v3.BrowserPerfData", of_each;
    web_vitals_of_browsers: BrowserWebVitals, "skywalking.v3.BrowserWebVitalsPerfData"
        => BrowserWebVitals, "skywalking.v3.BrowserWebVitalsPerfData", of_each;
    resources_of_browsers: BrowserResource, "skywalking.v3.BrowserResourcePerfData"
        => BrowserResource, "skywalking.v3.BrowserResourcePerfData", of_each;
    interactions_of_browsers: BrowserWebInteractions, "skywalking.v3.BrowserWebInteractionsPerfData"
        => BrowserWebInteractions, "skywalking.v3.BrowserWebInteractionsPerfData", of_each;
    errors_of_browsers: BrowserError, "skywalking.v3.BrowserErrorLog"
        => BrowserErrors, "skywalking.v3.BrowserErrorLog", of_each;
    metrics_of_meshes: Mesh, "skywalking.v3.ServiceMeshMetrics"
        => Mesh, "skywalking.v3.ServiceMeshMetrics", of_meshes;
    access_logs_of_rover: EbpfAccessLog, "skywalking.v3.EBPFAccessLogMessage"
        => AccessLogs, "skywalking.v3.EBPFAccessLogMessage", of_access_logs;
    processes_of_rover: EbpfProcesses, "skywalking.v3.EBPFProcessReportList"
        => Processes, "skywalking.v3.EBPFProcessReportList", of_each;
    pings_of_rover: EbpfProcessPings, "skywalking.v3.EBPFProcessPingPkgList"
        => ProcessPings, "skywalking.v3.EBPFProcessPingPkgList", of_each;
    access_logs_of_envoy: EnvoyLogs, "envoy.service.accesslog.v3.StreamAccessLogsMessage"
        => EnvoyAccessLogs, "envoy.service.accesslog.v3.StreamAccessLogsMessage", of_envoy_logs;
    metrics_of_envoy: EnvoyMetrics, "envoy.service.metrics.v3.StreamMetricsMessage"
        => EnvoyMetrics, "envoy.service.metrics.v3.StreamMetricsMessage", of_envoy_metrics;
}

fn come_back(way: &Way) {
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(100) });
    let streams = vec(any_message(way.message), 1..4).prop_map(as_streams);
    let result = runner.run(&streams, |stream| {
        let all = [through(way, &stream), through_kept(way, &stream)];
        let said = by_owner((way.meaning)(stream.into_iter().map(Message::canonical).collect()));
        for returned in all {
            let returned = returned.into_iter().flat_map(|call| (way.meaning)(call)).collect();
            prop_assert_eq!(&by_owner(returned), &said);
        }
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
}

/// What holds of the messages of a stream together.
fn as_streams(mut messages: Vec<Message>) -> Vec<Message> {
    let mut segments = 0;
    messages.iter_mut().for_each(|message| number_segments(message, &mut segments));
    messages.iter_mut().enumerate().for_each(|(place, message)| match message.name {
        "skywalking.v3.MeterData" if place == 0 => give_time(message),
        "skywalking.v3.MeterDataCollection" => {
            let mut meters: Vec<Message> = message.messages("meterData").cloned().collect();
            meters.iter_mut().take(1).for_each(give_time);
            message.set("meterData", meters.into_iter().map(Value::Message).collect());
        }
        // What is said once for all that follows is told by its bytes: none that say nothing.
        "skywalking.v3.EBPFAccessLogMessage"
        | "envoy.service.accesslog.v3.StreamAccessLogsMessage"
        | "envoy.service.metrics.v3.StreamMetricsMessage" => *message = message.clone().canonical(),
        _ => {}
    });
    messages
}

/// Without a time it would have that of its arrival.
fn give_time(meter: &mut Message) {
    if meter.clone().canonical().all("timestamp").is_empty() {
        meter.set("timestamp", vec![Value::Number(1)]);
    }
}

/// Two segments never have the same id; the first may have none.
fn number_segments(message: &mut Message, count: &mut usize) {
    match message.name {
        "skywalking.v3.SegmentObject" => {
            if *count > 0 {
                message.set("traceSegmentId", vec![Value::text(format!("{count}.{count}"))]);
            }
            *count += 1;
        }
        "skywalking.v3.SegmentCollection" => {
            let mut segments: Vec<Message> = message.messages("segments").cloned().collect();
            segments.iter_mut().for_each(|segment| number_segments(segment, count));
            message.set("segments", segments.into_iter().map(Value::Message).collect());
        }
        _ => {}
    }
}

/// The calls that a stream becomes in the end if all of it is translated.
fn through(way: &Way, stream: &[Message]) -> Vec<Vec<Message>> {
    let mut translator = Translator::new(way.kind, Rules::Distinct);
    for message in stream {
        translator.push(&message.encode()).unwrap();
    }
    translated(&mut translator).map(|batch| calls(way, &batch)).unwrap_or_default()
}

/// The same as the receiver has it, which keeps what it can.
fn through_kept(way: &Way, stream: &[Message]) -> Vec<Vec<Message>> {
    let budget = Budget::new(1 << 30);
    let mut translator = Translator::new(way.kind, Rules::Distinct).keeping(&budget);
    for message in stream {
        translator.push(&message.encode()).unwrap();
    }
    let kept = translator.take_kept().map(|chunk| Batch::new(Signal::Traces, chunk, Context::default()));
    let batches = kept.into_iter().chain(translated(&mut translator));
    batches.flat_map(|batch| calls(way, &batch)).collect()
}

fn translated(translator: &mut Translator) -> Option<Batch> {
    let (translated, _) = translator.take()?;
    let chunk = Chunk::new(translated.bytes.into(), translated.items);
    Some(Batch::new(translated.signal, chunk, Context::default()))
}

fn calls(way: &Way, batch: &Batch) -> Vec<Vec<Message>> {
    // What others are called does not change what agents say.
    let config = OapConfig { services: vec![EntityConfig::default()], ..OapConfig::default() };
    let calls = messages(batch, &config).into_iter().map(|(method, framed)| {
        assert_eq!(method, way.method);
        unframed(way.sent, &framed)
    });
    calls.collect()
}

fn unframed(name: &str, mut framed: &[u8]) -> Vec<Message> {
    let mut messages = Vec::new();
    while let Some((prefix, rest)) = framed.split_first_chunk::<5>() {
        let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
        messages.push(Message::decode(name, &rest[..length]).canonical());
        framed = &rest[length..];
    }
    messages
}

/// What is of one owner keeps its order; owners may change places.
fn by_owner(mut messages: Vec<Message>) -> Vec<Message> {
    messages.sort_by_cached_key(owner);
    messages
}

fn owner(message: &Message) -> Vec<Value> {
    const OWN: [&str; 9] = [
        "service",
        "serviceInstance",
        "serviceVersion",
        "layer",
        "ebpfAgentID",
        "destServiceName",
        "destServiceInstance",
        "node",
        "identifier",
    ];
    const INSIDE: [&str; 4] = ["source", "httpMetrics", "tcpMetrics", "metrics"];
    let mut found = Vec::new();
    for field in message::definition(message.name).fields.iter().map(|field| field.name.as_str()) {
        if OWN.contains(&field) {
            found.extend(message.all(field).iter().cloned());
            // So that what is absent is no other field.
            found.push(Value::Number(0));
        } else if INSIDE.contains(&field) {
            message.messages(field).for_each(|inside| found.extend(owner(inside)));
        }
    }
    found
}
