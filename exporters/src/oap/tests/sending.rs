//! What comes of a batch by what OAP answers.

use std::sync::Mutex;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, TracesData};
use sluice_pipeline::{
    Code, Failure, Reply,
    budget::Budget,
    component::{Backend, Capabilities, ComponentContext, ComponentId},
    export::Sender,
    grpc::client::Stream,
};

use super::*;

/// Answers each stream in turn, and keeps what was sent.
struct Fake {
    answers: Mutex<Vec<Result<Bytes, Failure>>>,
    streams: Mutex<Vec<(String, Option<Vec<u8>>)>>,
}

impl Backend for Fake {
    fn stream<'a>(&'a self, stream: Stream<'a>) -> BoxFuture<'a, Result<Bytes, Failure>> {
        self.streams.lock().unwrap().push((stream.path.to_owned(), stream.key.map(<[u8]>::to_vec)));
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.is_empty() { Ok(Bytes::new()) } else { answers.remove(0) };
        Box::pin(async move { answer })
    }
}

fn context(backend: Option<Arc<dyn Backend>>, signal: Signal) -> ExporterContext {
    let mut component = ComponentContext::detached("oap", Budget::new(1 << 30));
    let capabilities = Capabilities { backend, ..Capabilities::default() };
    component.extensions = Arc::new([(ComponentId::of_type("oap"), capabilities)].into());
    ExporterContext { component, signal, listeners: Default::default() }
}

async fn reply(answers: Vec<Result<Bytes, Failure>>, batch: &Batch) -> (Reply, Arc<Fake>) {
    let fake = Arc::new(Fake { answers: Mutex::new(answers), streams: Mutex::default() });
    let backend = Arc::clone(&fake) as Arc<dyn Backend>;
    let sender = OapSender::new(&configured("{}"), &context(Some(backend), batch.signal())).unwrap();
    (sender.send(batch, None).await, fake)
}

/// A span, and one that no back-end can place.
fn spans() -> Batch {
    let span = |id: u8| Span { trace_id: vec![id; 16], span_id: vec![id; 8], ..Span::default() };
    let scope_spans = vec![ScopeSpans { spans: vec![span(1), span(0)], ..ScopeSpans::default() }];
    let group = ResourceSpans { scope_spans, ..ResourceSpans::default() };
    batch(Signal::Traces, &TracesData { resource_spans: vec![group] })
}

#[tokio::test]
async fn what_was_left_out_is_told() {
    let (reply, fake) = reply(Vec::new(), &spans()).await;
    let Reply::Rejected { items: 1, message } = reply else { panic!("{reply:?}") };
    assert!(message.contains("without a trace id"), "{message}");
    let streams = fake.streams.lock().unwrap();
    assert_eq!(*streams, [("/skywalking.v3.TraceSegmentReportService/collect".to_owned(), None)]);
}

#[tokio::test]
async fn each_status_leads_to_its_outcome() {
    let permanent = |code| Failure::permanent("no").with_code(code);
    for (failure, is_permanent) in [
        (Failure::retryable("later").with_code(Code::Unavailable), false),
        (permanent(Code::ResourceExhausted), false),
        (
            Failure::permanent("gRPC message exceeds maximum size 52428800")
                .with_code(Code::ResourceExhausted),
            true,
        ),
        (permanent(Code::PermissionDenied), true),
        (permanent(Code::Unimplemented), true),
        (permanent(Code::Unknown), true),
        (permanent(Code::InvalidArgument), true),
    ] {
        let code = failure.code;
        let (reply, _) = reply(vec![Err(failure)], &spans()).await;
        let Reply::Failed(failure) = reply else { panic!("{code:?}: {reply:?}") };
        assert_eq!((failure.is_permanent(), failure.code), (is_permanent, code));
    }
}

#[tokio::test]
async fn what_one_service_is_refused_the_others_keep() {
    use opentelemetry_proto::tonic::logs::v1::{LogRecord, LogsData, ResourceLogs, ScopeLogs};
    let of = |service: &str, records: usize| ResourceLogs {
        resource: resource(&[("service.name", service)]),
        scope_logs: vec![ScopeLogs {
            log_records: vec![LogRecord::default(); records],
            ..ScopeLogs::default()
        }],
        ..ResourceLogs::default()
    };
    let logs = batch(Signal::Logs, &LogsData { resource_logs: vec![of("a", 2), of("b", 3)] });
    let refused = || Err(Failure::permanent("not this one").with_code(Code::InvalidArgument));
    let (reply, _) = reply(vec![refused(), Ok(Bytes::new())], &logs).await;
    assert_eq!(reply, Reply::Rejected { items: 2, message: "not this one".to_owned() });
    let (reply, _) = self::reply(vec![refused(), Err(Failure::retryable("busy"))], &logs).await;
    let Reply::Failed(failure) = reply else { panic!("{reply:?}") };
    assert!(!failure.is_permanent(), "what may still be taken is sent again");
}

#[tokio::test]
async fn meters_of_an_instance_have_its_key() {
    use opentelemetry_proto::tonic::metrics::v1::{
        Gauge, Metric, MetricsData, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric::Data,
        number_data_point,
    };
    let value = Some(number_data_point::Value::AsDouble(1.0));
    let data = Some(Data::Gauge(Gauge {
        data_points: vec![NumberDataPoint { value, ..NumberDataPoint::default() }],
    }));
    let metrics = vec![Metric { name: "m".to_owned(), data, ..Metric::default() }];
    let group = ResourceMetrics {
        resource: resource(&[("service.name", "a"), ("service.instance.id", "a-1")]),
        scope_metrics: vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }],
        ..ResourceMetrics::default()
    };
    let metrics = batch(Signal::Metrics, &MetricsData { resource_metrics: vec![group] });
    let (reply, fake) = reply(Vec::new(), &metrics).await;
    assert_eq!(reply, Reply::Delivered);
    assert_eq!(fake.streams.lock().unwrap()[0].1.as_deref(), Some(&b"a\0a-1"[..]));
}

#[tokio::test]
async fn a_link_that_takes_no_messages_is_named() {
    let failed = OapSender::new(&configured("{}"), &context(None, Signal::Traces)).err().unwrap();
    assert!(failed.to_string().starts_with("link: "), "{failed}");
    let failed =
        OapSender::new(&configured("{link: oap/other}"), &context(None, Signal::Traces)).err().unwrap();
    assert!(failed.to_string().contains("service.extensions"), "{failed}");
}
