//! A connector between two sinks, and builders of the spans and exchanges that go in.

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use futures_util::future::BoxFuture;
use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value::Value},
    logs::v1::{LogRecord, LogsData, ResourceLogs, ScopeLogs},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span, TracesData},
};
use prost::Message;
use sluice_pipeline::{
    Batch, Chunk, Context, Demand, Failure, Outlet, Permit, Reply,
    budget::Budget,
    component::{ComponentContext, Outlets},
    exchange::{EVENT_NAME, event, process, record},
    outlet::offer,
};

use super::super::*;

/// Remembers what it took; refuses all when it is told to.
#[derive(Default)]
pub(super) struct Sink {
    pub(super) is_refusing: AtomicBool,
    pub(super) taken: Mutex<Vec<(Instant, Batch)>>,
}

impl Consumer for Sink {
    fn reserve<'a>(&'a self, _demand: &'a Demand) -> BoxFuture<'a, Result<Permit, Failure>> {
        Box::pin(async { Ok(Permit::none()) })
    }

    fn consume(&self, batch: Batch, _permit: Permit) -> BoxFuture<'_, Reply> {
        Box::pin(async move {
            if self.is_refusing.load(Ordering::Relaxed) {
                return Failure::retryable("busy").into();
            }
            self.taken.lock().unwrap().push((tokio::time::Instant::now().into_std(), batch));
            Reply::Delivered
        })
    }

    fn drain(&self, _deadline: Instant) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

pub(super) struct World {
    pub(super) traces: Arc<Sink>,
    pub(super) logs: Arc<Sink>,
    pub(super) consumers: HashMap<Signal, Arc<dyn Consumer>>,
    pub(super) budget: Budget,
}

impl World {
    pub(super) fn new(change: impl FnOnce(&mut TraceEventsConfig)) -> Self {
        Self::with_budget(Budget::new(1 << 30), change)
    }

    pub(super) fn with_budget(budget: Budget, change: impl FnOnce(&mut TraceEventsConfig)) -> Self {
        let mut config = TraceEventsConfig::default();
        change(&mut config);
        let (traces, logs) = (Arc::new(Sink::default()), Arc::new(Sink::default()));
        let outlets = Outlets::new([
            (Signal::Traces, Outlet::new(Arc::<Sink>::clone(&traces))),
            (Signal::Logs, Outlet::new(Arc::<Sink>::clone(&logs))),
        ]);
        let component = ComponentContext::detached("trace_events", budget.clone());
        let context = ConnectorContext { component, taken: vec![Signal::Traces, Signal::Logs], outlets };
        let consumers = TraceEvents::build(config, context).unwrap();
        Self { traces, logs, consumers, budget }
    }

    pub(super) async fn offer(&self, batch: Batch) -> Reply {
        offer(self.consumers[&batch.signal()].as_ref(), batch).await
    }

    pub(super) async fn spans(&self, spans: Vec<ResourceSpans>) -> Reply {
        self.offer(span_batch(spans)).await
    }

    pub(super) async fn exchanges(&self, exchanges: Vec<ResourceLogs>) -> Reply {
        self.offer(log_batch(exchanges)).await
    }

    /// What left as traces so far: (resource, span).
    pub(super) fn left(&self) -> Vec<(ResourceSpans, Span)> {
        let taken = self.traces.taken.lock().unwrap();
        let mut left = Vec::new();
        for (_, batch) in taken.iter() {
            let data = TracesData::decode(batch.contiguous()).unwrap();
            let count: usize = left.len();
            for group in data.resource_spans {
                let spans: Vec<Span> =
                    group.scope_spans.iter().flat_map(|scope| scope.spans.clone()).collect();
                left.extend(spans.into_iter().map(|span| (group.clone(), span)));
            }
            assert_eq!(left.len() - count, batch.items(), "a batch knows how many spans it has");
        }
        left
    }

    /// The names of the events of each span that left, with what they stand for.
    pub(super) fn events(&self) -> Vec<(u64, Vec<String>)> {
        self.left().into_iter().map(|(_, span)| (id_of(&span), contents(&span))).collect()
    }

    /// What left as logs so far.
    pub(super) fn unjoined(&self) -> Vec<LogRecord> {
        let taken = self.logs.taken.lock().unwrap();
        let data = taken.iter().map(|(_, batch)| LogsData::decode(batch.contiguous()).unwrap());
        let scopes = data.flat_map(|data| data.resource_logs).flat_map(|group| group.scope_logs);
        scopes
            .flat_map(|scope| scope.log_records)
            .filter(|record| !record.span_id.ends_with(&[0xee]))
            .collect()
    }
}

pub(super) async fn wait(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}

pub(super) fn id_of(span: &Span) -> u64 {
    u64::from_be_bytes(span.span_id.as_slice().try_into().unwrap())
}

/// What the contents of the requests on a span say.
pub(super) fn contents(span: &Span) -> Vec<String> {
    let attributes = span.events.iter().flat_map(|event| &event.attributes);
    attributes.filter(|pair| pair.key == event::CONTENT).map(text_of).collect()
}

pub(super) fn text_of(pair: &KeyValue) -> String {
    match pair.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        other => panic!("{other:?} is no text"),
    }
}

pub(super) fn span_batch(spans: Vec<ResourceSpans>) -> Batch {
    let items = spans.iter().flat_map(|group| &group.scope_spans).map(|scope| scope.spans.len()).sum();
    let bytes = TracesData { resource_spans: spans }.encode_to_vec();
    Batch::new(Signal::Traces, Chunk::new(bytes.into(), items), Context::default())
}

pub(super) fn log_batch(logs: Vec<ResourceLogs>) -> Batch {
    let items = logs.iter().flat_map(|group| &group.scope_logs).map(|scope| scope.log_records.len()).sum();
    let bytes = LogsData { resource_logs: logs }.encode_to_vec();
    Batch::new(Signal::Logs, Chunk::new(bytes.into(), items), Context::default())
}

pub(super) fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

pub(super) fn text(key: &str, value: &str) -> KeyValue {
    pair(key, Value::StringValue(value.to_owned()))
}

pub(super) fn int(key: &str, value: u64) -> KeyValue {
    pair(key, Value::IntValue(value.cast_signed()))
}

/// What a resource tells of its process.
#[derive(Clone, Debug, Default)]
pub(super) struct Host(pub(super) Vec<KeyValue>);

impl Host {
    pub(super) fn unknown() -> Self {
        Self::default()
    }

    pub(super) fn pid(host: &str, pid: u64) -> Self {
        Self(vec![text(process::HOST_NAME, host), int(process::PID, pid)])
    }

    pub(super) fn with(mut self, key: &str, value: &str) -> Self {
        self.0.push(text(key, value));
        self
    }

    fn resource(&self) -> Option<Resource> {
        Some(Resource { attributes: self.0.clone(), ..Resource::default() })
    }

    pub(super) fn reports(&self, spans: Vec<Span>) -> ResourceSpans {
        let scope = InstrumentationScope { name: "tracer".to_owned(), ..InstrumentationScope::default() };
        ResourceSpans {
            resource: self.resource(),
            scope_spans: vec![ScopeSpans {
                scope: Some(scope),
                spans,
                schema_url: "https://example.com/scope".to_owned(),
            }],
            schema_url: "https://example.com/resource".to_owned(),
        }
    }
}

/// Times are milliseconds before now.
pub(super) fn ago(milliseconds: u64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from((now - Duration::from_millis(milliseconds)).as_nanos()).unwrap()
}

pub(super) fn span(kind: i32, trace_id: [u8; 16], id: u64, parent: u64, start: u64, end: u64) -> Span {
    let parent_span_id = if parent == 0 { Vec::new() } else { parent.to_be_bytes().to_vec() };
    Span {
        trace_id: trace_id.to_vec(),
        span_id: id.to_be_bytes().to_vec(),
        parent_span_id,
        name: "request".to_owned(),
        kind,
        start_time_unix_nano: start,
        end_time_unix_nano: end,
        ..Span::default()
    }
}

pub(super) trait With {
    fn with(self, attribute: KeyValue) -> Self;
}

impl With for Span {
    fn with(mut self, attribute: KeyValue) -> Self {
        self.attributes.push(attribute);
        self
    }
}

pub(super) fn shared(span: Span) -> Span {
    span.with(pair("zipkin.shared", Value::BoolValue(true)))
}

/// An exchange to be.
#[derive(Clone, Debug)]
pub(super) struct Exchange(pub(super) LogRecord);

impl Exchange {
    pub(super) fn new(role: &str, trace_id: [u8; 16], id: u64, start: u64, end: u64) -> Self {
        let between = start + (end - start) / 2;
        Self(LogRecord {
            time_unix_nano: start,
            trace_id: trace_id.to_vec(),
            span_id: id.to_be_bytes().to_vec(),
            event_name: EVENT_NAME.to_owned(),
            attributes: vec![
                text(record::ROLE, role),
                text(record::TRACE_FORMAT, "w3c"),
                int(record::REQUEST_END, start + 10),
                int(record::RESPONSE_START, between),
                int(record::RESPONSE_END, end),
            ],
            ..LogRecord::default()
        })
    }

    /// Content that tells it from others.
    pub(super) fn called(self, name: &str) -> Self {
        self.with(text(record::REQUEST_CONTENT, name))
    }

    pub(super) fn with(mut self, attribute: KeyValue) -> Self {
        self.0.attributes.retain(|known| known.key != attribute.key);
        self.0.attributes.push(attribute);
        self
    }

    pub(super) fn ends(self, local: (&str, u64), peer: (&str, u64)) -> Self {
        self.with(text(record::LOCAL_ADDRESS, local.0))
            .with(int(record::LOCAL_PORT, local.1))
            .with(text(record::PEER_ADDRESS, peer.0))
            .with(int(record::PEER_PORT, peer.1))
    }

    pub(super) fn of(self, host: &Host) -> ResourceLogs {
        ResourceLogs {
            resource: host.resource(),
            scope_logs: vec![ScopeLogs { log_records: vec![self.0], ..ScopeLogs::default() }],
            ..ResourceLogs::default()
        }
    }
}

pub(super) fn syscall(name: &str, start: u64, end: u64) -> AnyValue {
    let values = vec![
        text("name", name),
        text("direction", "outbound"),
        int("start_unix_nano", start),
        int("end_unix_nano", end),
        int("size", 7),
        int("rtt_micro", 40),
    ];
    AnyValue { value: Some(Value::KvlistValue(KeyValueList { values })) }
}

pub(super) fn array(values: Vec<AnyValue>) -> Value {
    Value::ArrayValue(ArrayValue { values })
}
