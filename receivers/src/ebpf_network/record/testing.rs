//! Exchanges for tests.

use std::sync::Arc;

use bytes::Bytes;
use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value::Value},
    logs::v1::{LogRecord, LogsData},
};
use prost::Message as _;
use sluice_pipeline::{Signal, otlp::check::check};

use super::{Clock, Finished, Process, Recorder};
use crate::ebpf_network::{
    exchange::{Call, Ending, Exchange, Message, Request, Response},
    redaction::{RedactionConfig, Redactor},
    sampling::{Rules, SamplingConfig},
    socket::{Ends, Role},
    trace_context::{Context, Contexts, Format},
};

/// An exchange that owns what it is made of.
#[derive(Clone)]
pub(crate) struct Sample {
    pub(crate) role: Role,
    pub(crate) request: Parts,
    pub(crate) status: Option<u16>,
    pub(crate) response: Parts,
    pub(crate) ending: Ending,
    /// In nanoseconds.
    pub(crate) duration: u64,
    pub(crate) contexts: Vec<Context<'static>>,
    pub(crate) calls: Vec<Call>,
}

/// A message, of which as much was captured as the sizes say.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) head: Vec<u8>,
    pub(crate) body: Vec<u8>,
    pub(crate) head_size: usize,
    pub(crate) body_size: usize,
}

pub(crate) const W3C: Context<'static> = Context {
    format: Format::W3c,
    trace_id: "4bf92f3577b34da6a3ce929d0e0e4736",
    span_id: "00f067aa0ba902b7",
    segment_id: "",
    sampled: Some(true),
};

/// The monotonic time at which samples begin.
pub(crate) const BEGIN: u64 = 5_000_000_000;

pub(crate) const CLOCK: Clock = Clock { offset: 1_700_000_000_000_000_000 };

impl Parts {
    /// A message that was captured whole.
    pub(crate) fn new(head: impl Into<Vec<u8>>, body: impl Into<Vec<u8>>) -> Self {
        let (head, body) = (head.into(), body.into());
        Self { head_size: head.len(), body_size: body.len(), head, body }
    }

    /// Only its first bytes captured.
    pub(crate) fn cut(mut self, length: usize) -> Self {
        let head = self.head.len();
        self.head.truncate(length);
        self.body.truncate(length.saturating_sub(head));
        self
    }

    fn message(&self, start: u64, end: u64) -> Message<'_> {
        Message {
            head: &self.head,
            body: &self.body,
            head_size: self.head_size as u64,
            body_size: self.body_size as u64,
            wire_size: (self.head_size + self.body_size) as u64,
            start,
            end,
        }
    }

    /// The value of a header that stands on a line of its own.
    fn header(&self, name: &str) -> String {
        let text = String::from_utf8_lossy(&self.head).into_owned();
        let mut lines = text.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned()).unwrap_or_default()
    }
}

impl Sample {
    pub(crate) fn new(target: &str, status: u16, duration: u64) -> Self {
        Self {
            role: Role::Server,
            request: Parts::new(
                format!("GET {target} HTTP/1.1\r\nHost: shop\r\nUser-Agent: curl/8\r\n\r\n"),
                "",
            ),
            status: Some(status),
            response: Parts::new(format!("HTTP/1.1 {status} Reason\r\nContent-Length: 0\r\n\r\n"), ""),
            ending: Ending::Complete,
            duration,
            contexts: vec![W3C],
            calls: Vec::new(),
        }
    }

    pub(crate) fn with<R>(&self, run: impl FnOnce(&Exchange<'_>) -> R) -> R {
        let contexts: Contexts<'_> = self.contexts.iter().copied().collect();
        let first = String::from_utf8_lossy(&self.request.head).into_owned();
        let target = first.lines().next().and_then(|line| line.split(' ').nth(1)).unwrap_or_default();
        let (host, user_agent) = (self.request.header("Host"), self.request.header("User-Agent"));
        let request = Request {
            method: "GET",
            target,
            minor_version: 1,
            contexts: &contexts,
            host: &host,
            user_agent: &user_agent,
            message: self.request.message(BEGIN, BEGIN + 100),
        };
        let response = self.status.map(|status| Response {
            status,
            minor_version: 1,
            message: self.response.message(BEGIN + 200, BEGIN + self.duration),
        });
        run(&Exchange {
            role: self.role,
            request,
            response,
            ending: self.ending,
            truncated: false,
            calls: &self.calls,
        })
    }
}

/// A configuration, from JSON.
pub(crate) fn sampling(json: &str) -> SamplingConfig {
    serde_json::from_str(json).unwrap()
}

pub(crate) fn recorder(config: &SamplingConfig, redaction: &RedactionConfig) -> Recorder {
    let rules = Arc::new(Rules::new(config).unwrap());
    Recorder::new(config, rules, Arc::new(Redactor::new(redaction).unwrap()))
}

pub(crate) fn ends() -> Ends {
    Ends { local: "10.0.0.1:80".parse().unwrap(), peer: "[::ffff:10.20.130.4]:40000".parse().unwrap() }
}

pub(crate) fn push(recorder: &mut Recorder, sample: &Sample, now: u64) -> super::Outcome {
    let resource = resource("shop");
    let process = Process { id: 7, resource: &resource };
    sample.with(|exchange| recorder.push(exchange, &ends(), process, CLOCK, now))
}

pub(crate) fn resource(name: &str) -> Bytes {
    let attributes = vec![KeyValue {
        key: "process.executable.name".into(),
        value: Some(AnyValue { value: Some(Value::StringValue(name.into())) }),
        ..KeyValue::default()
    }];
    opentelemetry_proto::tonic::resource::v1::Resource { attributes, ..Default::default() }
        .encode_to_vec()
        .into()
}

/// What the window and the batch hold, which must be what the door of any other pipeline takes as it is.
pub(crate) fn finish(recorder: &mut Recorder) -> Option<Finished> {
    recorder.flush();
    let finished = recorder.finish()?;
    let checked = check(Signal::Logs, finished.logs.clone().into()).unwrap();
    assert!(!checked.canonicalised && checked.repaired == 0);
    assert_eq!(checked.items, finished.records);
    Some(finished)
}

pub(crate) fn records(finished: &Finished) -> Vec<LogRecord> {
    let logs = LogsData::decode(finished.logs.as_slice()).unwrap();
    let scopes = logs.resource_logs.into_iter().flat_map(|resource| resource.scope_logs);
    scopes.flat_map(|scope| scope.log_records).collect()
}

/// The record of a sample, all of it kept.
pub(crate) fn record(sample: &Sample, redaction: &RedactionConfig) -> LogRecord {
    let config = sampling(
        r#"{"untraced":true,"syscall_events":true,
            "default":{"ratio":1,"request":{"content":true},"response":{"content":true}}}"#,
    );
    let mut recorder = recorder(&config, redaction);
    push(&mut recorder, sample, BEGIN);
    records(&finish(&mut recorder).unwrap()).remove(0)
}

/// The text of an attribute, empty if it is missing.
pub(crate) fn text(record: &LogRecord, key: &str) -> String {
    match value(record, key) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(value)) => value.to_string(),
        Some(other) => format!("{other:?}"),
        None => String::new(),
    }
}

pub(crate) fn value(record: &LogRecord, key: &str) -> Option<Value> {
    let pair = record.attributes.iter().find(|pair| pair.key == key)?;
    pair.value.as_ref()?.value.clone()
}
