//! The receiver over loopback, with a pipeline that answers as told.

mod config;
mod grpc;
mod hostile;
mod http;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use ::http::Uri;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span, TracesData},
};
use prost::Message as _;
use sluice_pipeline::{
    Batch, Consumer, Demand, Failure, Outlet, Permit, Reply, Signal,
    budget::Budget,
    component::{ComponentContext, Listener, Outlets, Receiver, ReceiverContext, ReceiverFactory},
    config::{Problems, decode, parse},
};
use tokio::{net::TcpListener, sync::Notify};

use super::{Config, Otlp};

/// Keeps what it gets, and answers what it is told, or when it is told to.
#[derive(Default)]
struct Pipeline {
    batches: Mutex<Vec<Batch>>,
    answer: Mutex<Option<Reply>>,
    hold: Mutex<Option<Arc<Notify>>>,
    consumed: Notify,
}

impl Consumer for Pipeline {
    fn reserve<'a>(&'a self, _demand: &'a Demand) -> BoxFuture<'a, Result<Permit, Failure>> {
        Box::pin(async { Ok(Permit::none()) })
    }

    fn consume(&self, batch: Batch, _permit: Permit) -> BoxFuture<'_, Reply> {
        let hold = self.hold.lock().unwrap().clone();
        Box::pin(async move {
            if let Some(hold) = hold {
                hold.notified().await;
            }
            self.batches.lock().unwrap().push(batch);
            self.consumed.notify_one();
            self.answer.lock().unwrap().clone().unwrap_or(Reply::Delivered)
        })
    }

    fn drain(&self, _deadline: Instant) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

impl Pipeline {
    fn answer(&self, reply: Reply) {
        *self.answer.lock().unwrap() = Some(reply);
    }

    fn taken(&self) -> Vec<Batch> {
        std::mem::take(&mut self.batches.lock().unwrap())
    }

    /// The only batch since the last look.
    fn only(&self) -> Batch {
        let mut taken = self.taken();
        assert_eq!(taken.len(), 1);
        taken.remove(0)
    }
}

struct Fixture {
    grpc: SocketAddr,
    http: SocketAddr,
    pipeline: Arc<Pipeline>,
    budget: Budget,
    receiver: Box<dyn Receiver>,
}

fn read_config(text: &str) -> Result<Config, String> {
    let mut problems = Problems::default();
    let node = parse("otlp.yaml", text, &mut problems).ok_or_else(|| problems.to_string())?;
    decode(&node, &mut problems).ok_or_else(|| problems.to_string())
}

/// Both protocols with these keys, and every signal but logs in a pipeline.
async fn start(grpc: &str, http: &str, budget: Budget) -> Fixture {
    let config = read_config(&format!("{{protocols: {{grpc: {{{grpc}}}, http: {{{http}}}}}}}")).unwrap();
    let pipeline = Arc::new(Pipeline::default());
    let outlet = Outlet::new(Arc::clone(&pipeline) as Arc<dyn Consumer>);
    let signals = [Signal::Traces, Signal::Metrics, Signal::Profiles];
    let context = ReceiverContext {
        component: ComponentContext::detached("otlp", budget.clone()),
        outlets: Outlets::new(signals.map(|signal| (signal, outlet.clone()))),
    };
    let mut receiver = Otlp::build(config, context).unwrap();
    let (on_grpc, on_http) =
        (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let (grpc, http) = (on_grpc.local_addr().unwrap(), on_http.local_addr().unwrap());
    let listeners = [("grpc", Listener::Tcp(on_grpc)), ("http", Listener::Tcp(on_http))];
    receiver.start(listeners.into_iter().collect()).await.unwrap();
    Fixture { grpc, http, pipeline, budget, receiver }
}

async fn start_plain() -> Fixture {
    start("", "", Budget::new(1 << 30)).await
}

impl Fixture {
    fn uri(&self, path: &str) -> Uri {
        format!("http://{}{path}", self.http).parse().unwrap()
    }
}

fn soon() -> Option<Instant> {
    Some(Instant::now() + Duration::from_secs(20))
}

/// Encoded `TracesData` of so many spans.
fn spans(count: usize) -> Bytes {
    let span = |index: usize| Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        name: format!("GET /items/{index}"),
        attributes: vec![KeyValue {
            key: "http.request.method".to_owned(),
            value: Some(AnyValue { value: Some(Value::StringValue("GET".to_owned())) }),
            ..Default::default()
        }],
        start_time_unix_nano: 1,
        end_time_unix_nano: 2,
        ..Default::default()
    };
    let spans = (0..count).map(span).collect();
    let data = TracesData {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource::default()),
            scope_spans: vec![ScopeSpans { spans, ..Default::default() }],
            ..Default::default()
        }],
    };
    data.encode_to_vec().into()
}
