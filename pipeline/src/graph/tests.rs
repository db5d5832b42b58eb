//! Plans and runs graphs of small components of their own.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::future::{BoxFuture, ready};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::{Plan, Service, Sockets, Status};
use crate::{
    Batch, Chunk, Consumer, Context, Demand, Failure, Outlet, Permit, Reply, Signal,
    budget::Budget,
    component::{
        BuildError, ComponentConfig, ConnectorContext, ConnectorFactory, Declaration, Endpoint,
        ExporterContext, ExporterFactory, Listener, Listeners, Outlets, ProcessorContext, ProcessorFactory,
        Receiver, ReceiverContext, ReceiverFactory, Registry, Transport,
    },
    config::{self, Document, Problems},
    same_signals,
};

/// What the components of a test leave for it, by component id; each test has ids of its own.
static OUTLETS: LazyLock<Mutex<HashMap<String, Outlets>>> = LazyLock::new(Mutex::default);
static ASKED: LazyLock<Mutex<HashMap<String, SocketAddr>>> = LazyLock::new(Mutex::default);
static SINKS: LazyLock<Mutex<HashMap<String, Arc<Sink>>>> = LazyLock::new(Mutex::default);

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
struct Settings {
    /// Makes one configuration differ from another.
    version: u32,
    /// Refuses reservations.
    full: bool,
    /// Answers only when the test allows it.
    held: bool,
}

impl ComponentConfig for Settings {}

struct Source;

impl ReceiverFactory for Source {
    type Config = Settings;
    const DECLARATION: Declaration = Declaration {
        name: "source",
        aliases: &["well"],
        summary: "",
        signals: same_signals!(Stable: Traces, Logs),
        absorbs: false,
        example: "",
    };

    fn endpoints(_config: &Settings) -> Vec<Endpoint> {
        Vec::new()
    }

    fn build(_config: Settings, context: ReceiverContext) -> Result<Box<dyn Receiver>, BuildError> {
        OUTLETS.lock().unwrap().insert(context.component.id.to_string(), context.outlets);
        Ok(Box::new(Self))
    }
}

impl Receiver for Source {
    fn start(&mut self, _listeners: Listeners) -> BoxFuture<'_, Result<(), BuildError>> {
        Box::pin(ready(Ok(())))
    }

    fn stop(&mut self, _deadline: Instant) -> BoxFuture<'_, ()> {
        Box::pin(ready(()))
    }
}

/// An exporter that counts; `builds` tells instances apart.
struct Sink {
    settings: Settings,
    items: AtomicUsize,
    drained: AtomicUsize,
    allowed: Semaphore,
}

impl ExporterFactory for Sink {
    type Config = Settings;
    const DECLARATION: Declaration = Declaration {
        name: "sink",
        aliases: &[],
        summary: "",
        signals: same_signals!(Stable: Traces, Logs),
        absorbs: false,
        example: "",
    };

    fn build(settings: Settings, context: ExporterContext) -> Result<Arc<dyn Consumer>, BuildError> {
        let sink = Arc::new(Self {
            settings,
            items: AtomicUsize::new(0),
            drained: AtomicUsize::new(0),
            allowed: Semaphore::new(0),
        });
        SINKS.lock().unwrap().insert(context.component.id.to_string(), Arc::clone(&sink));
        Ok(sink)
    }

    fn answers_later(_config: &Settings) -> bool {
        true
    }
}

impl Consumer for Sink {
    fn reserve<'a>(&'a self, _demand: &'a Demand) -> BoxFuture<'a, Result<Permit, Failure>> {
        Box::pin(ready(if self.settings.full { Err(Failure::retryable("full")) } else { Ok(Permit::none()) }))
    }

    fn consume(&self, batch: Batch, _permit: Permit) -> BoxFuture<'_, Reply> {
        Box::pin(async move {
            if self.settings.held {
                self.allowed.acquire().await.unwrap().forget();
            }
            self.items.fetch_add(batch.items(), Ordering::SeqCst);
            Reply::Delivered
        })
    }

    fn drain(&self, _deadline: Instant) -> BoxFuture<'_, ()> {
        self.drained.fetch_add(1, Ordering::SeqCst);
        Box::pin(ready(()))
    }
}

/// An exporter that is asked rather than sends.
struct Asked;

impl ExporterFactory for Asked {
    type Config = Settings;
    const DECLARATION: Declaration =
        Declaration { name: "asked", signals: same_signals!(Stable: Logs), ..Sink::DECLARATION };

    fn endpoints(_config: &Settings) -> Vec<Endpoint> {
        let transport = Transport::Tcp("127.0.0.1:0".to_owned());
        vec![Endpoint { name: "http", key: "endpoint", transport }]
    }

    fn build(settings: Settings, mut context: ExporterContext) -> Result<Arc<dyn Consumer>, BuildError> {
        let Some(Listener::Tcp(listener)) = context.listeners.remove("http") else {
            return Err(BuildError::Other("nothing to listen on".to_owned()));
        };
        let address = listener.local_addr().unwrap();
        ASKED.lock().unwrap().insert(context.component.id.to_string(), address);
        Sink::build(settings, context)
    }

    fn answers_later(_config: &Settings) -> bool {
        true
    }
}

struct Pass(Arc<dyn Consumer>);

impl ProcessorFactory for Pass {
    type Config = Settings;
    const DECLARATION: Declaration = Declaration {
        name: "pass",
        aliases: &[],
        summary: "",
        signals: same_signals!(Stable: Traces),
        absorbs: false,
        example: "",
    };

    fn build(
        _settings: Settings,
        _context: ProcessorContext,
        next: Arc<dyn Consumer>,
    ) -> Result<Arc<dyn Consumer>, BuildError> {
        Ok(Arc::new(Self(next)))
    }
}

impl Consumer for Pass {
    fn reserve<'a>(&'a self, demand: &'a Demand) -> BoxFuture<'a, Result<Permit, Failure>> {
        self.0.reserve(demand)
    }

    fn consume(&self, batch: Batch, permit: Permit) -> BoxFuture<'_, Reply> {
        self.0.consume(batch, permit)
    }

    fn drain(&self, _deadline: Instant) -> BoxFuture<'_, ()> {
        Box::pin(ready(()))
    }
}

struct Join;

impl ConnectorFactory for Join {
    type Config = Settings;
    const DECLARATION: Declaration = Declaration {
        name: "join",
        aliases: &[],
        summary: "",
        signals: same_signals!(Stable: Traces),
        absorbs: false,
        example: "",
    };

    fn build(
        _settings: Settings,
        context: ConnectorContext,
    ) -> Result<HashMap<Signal, Arc<dyn Consumer>>, BuildError> {
        let branches = context.taken.iter().filter_map(|signal| {
            let outlet = context.outlets.get(*signal)?.clone();
            Some((*signal, Arc::new(Forward(outlet)) as Arc<dyn Consumer>))
        });
        Ok(branches.collect())
    }
}

struct Forward(Outlet);

impl Consumer for Forward {
    fn reserve<'a>(&'a self, _demand: &'a Demand) -> BoxFuture<'a, Result<Permit, Failure>> {
        Box::pin(ready(Ok(Permit::none())))
    }

    fn consume(&self, batch: Batch, _permit: Permit) -> BoxFuture<'_, Reply> {
        Box::pin(self.0.send(batch))
    }

    fn drain(&self, _deadline: Instant) -> BoxFuture<'_, ()> {
        Box::pin(ready(()))
    }
}

fn registry() -> Registry {
    let mut registry = Registry::default();
    registry.receiver::<Source>();
    registry.exporter::<Sink>();
    registry.exporter::<Asked>();
    registry.processor::<Pass>();
    registry.connector::<Join>();
    registry
}

fn plan<'r>(text: &str, registry: &'r Registry) -> Result<Plan<'r>, String> {
    let mut problems = Problems::default();
    config::parse("test.yaml", text, &mut problems)
        .and_then(|tree| Document::from_node(&tree, &mut problems))
        .and_then(|document| Plan::of(&document, registry, &mut problems))
        .ok_or_else(|| problems.to_string())
}

#[track_caller]
fn refused(text: &str) -> String {
    match plan(text, &registry()) {
        Ok(_) => panic!("this configuration should be refused"),
        Err(problems) => problems,
    }
}

async fn start(text: &str) -> Service {
    let registry = registry();
    let plan = plan(text, &registry).unwrap();
    Service::start(
        &plan,
        Budget::new(1 << 20),
        Arc::new(Status::default()),
        Sockets::default(),
        Duration::from_secs(5),
    )
    .await
    .unwrap()
}

async fn reload(service: &mut Service, text: &str) {
    let registry = registry();
    service.reload(&plan(text, &registry).unwrap()).await.unwrap();
}

fn send(source: &str) -> impl Future<Output = Reply> + use<> {
    let outlet = OUTLETS.lock().unwrap()[source].get(Signal::Traces).unwrap().clone();
    let batch =
        Batch::new(Signal::Traces, Chunk::new(Bytes::from_static(b"\x0a\x00"), 3), Context::default());
    async move { outlet.send(batch).await }
}

fn sink(id: &str) -> Arc<Sink> {
    Arc::clone(&SINKS.lock().unwrap()[id])
}

fn items(id: &str) -> usize {
    sink(id).items.load(Ordering::SeqCst)
}

/// A file with one source, one processor and these exporters, their bodies in flow style.
fn file(source: &str, exporters: &[(&str, &str)]) -> String {
    let bodies: String = exporters.iter().map(|(id, body)| format!("  {id}: {body}\n")).collect();
    let ids: Vec<&str> = exporters.iter().map(|(id, _)| *id).collect();
    format!(
        "receivers:\n  {source}:\nprocessors:\n  pass:\nexporters:\n{bodies}service:\n  pipelines:\n    traces:\n      \
         receivers: [{source}]\n      processors: [pass]\n      exporters: [{}]\n",
        ids.join(", ")
    )
}

#[tokio::test]
async fn a_batch_reaches_every_exporter() {
    let service = start(&file("source/all", &[("sink/all1", "{}"), ("sink/all2", "{}")])).await;
    assert_eq!(send("source/all").await, Reply::Delivered);
    assert_eq!((items("sink/all1"), items("sink/all2")), (3, 3));
    assert!(service.silent_receivers().is_empty());
    service.shutdown().await;
    assert_eq!(sink("sink/all1").drained.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn if_one_exporter_has_no_room_none_receives() {
    let service = start(&file("source/room", &[("sink/room1", "{}"), ("sink/room2", "{full: true}")])).await;
    assert!(matches!(send("source/room").await, Reply::Failed(failure) if !failure.is_permanent()));
    assert_eq!(items("sink/room1"), 0);
    assert_eq!(service.silent_receivers(), Vec::new(), "it was used, if in vain");
    service.shutdown().await;
}

#[tokio::test]
async fn a_client_that_leaves_cancels_nothing() {
    let service = start(&file("source/left", &[("sink/left", "{held: true}")])).await;
    let mut sending = Box::pin(send("source/left"));
    assert!(futures_util::poll!(sending.as_mut()).is_pending());
    drop(sending);
    sink("sink/left").allowed.add_permits(1);
    service.shutdown().await;
    assert_eq!(items("sink/left"), 3);
}

#[tokio::test]
async fn a_reload_restarts_only_what_changed() {
    let before = file("source/reload", &[("sink/same", "{}"), ("sink/changed", "{version: 1}")]);
    let mut service = start(&before).await;
    let (same, changed) = (sink("sink/same"), sink("sink/changed"));
    reload(&mut service, &before.replace("version: 1", "version: 2")).await;
    assert!(Arc::ptr_eq(&same, &sink("sink/same")), "an unchanged exporter goes on");
    assert!(!Arc::ptr_eq(&changed, &sink("sink/changed")), "a changed one is built anew");
    assert_eq!(send("source/reload").await, Reply::Delivered);
    assert_eq!((items("sink/same"), items("sink/changed")), (3, 3));
    assert_eq!(changed.items.load(Ordering::SeqCst), 0, "nothing goes to the old one any more");
    service.shutdown().await;
}

#[tokio::test]
async fn an_exporter_that_is_asked_has_one_address_through_a_reload() {
    let config = |version: u32| {
        format!(
            "receivers: {{source/asked: {{}}}}
exporters: {{asked: {{version: {version}}}}}
service: {{pipelines: {{logs: {{receivers: [source/asked], exporters: [asked]}}}}}}"
        )
    };
    let mut service = start(&config(1)).await;
    let address = ASKED.lock().unwrap().remove("asked").unwrap();
    reload(&mut service, &config(1)).await;
    assert_eq!(ASKED.lock().unwrap().get("asked"), None, "it was not built again");
    reload(&mut service, &config(2)).await;
    assert_eq!(
        ASKED.lock().unwrap().get("asked"),
        Some(&address),
        "the new one is asked at the same address"
    );
    service.shutdown().await;
}

#[tokio::test]
async fn a_batch_under_way_ends_where_it_began() {
    let before = file("source/way", &[("sink/way", "{held: true, version: 1}")]);
    let mut service = start(&before).await;
    let old = sink("sink/way");
    let under_way = tokio::spawn(send("source/way"));
    while OUTLETS.lock().unwrap()["source/way"].get(Signal::Traces).unwrap().line().under_way() == 0 {
        tokio::task::yield_now().await;
    }
    reload(&mut service, &before.replace("held: true, version: 1", "version: 2")).await;
    assert_eq!(send("source/way").await, Reply::Delivered, "new batches take the new way");
    old.allowed.add_permits(1);
    assert_eq!(under_way.await.unwrap(), Reply::Delivered);
    assert_eq!(old.items.load(Ordering::SeqCst), 3);
    service.shutdown().await;
}

#[tokio::test]
async fn connectors_join_pipelines_and_drain_in_order() {
    let text = "
receivers: {source/join: }
exporters: {sink/join: {}}
connectors: {join: }
service:
  pipelines:
    traces/out: {receivers: [join], exporters: [sink/join]}
    traces/in: {receivers: [source/join], exporters: [join]}
";
    let service = start(text).await;
    assert_eq!(send("source/join").await, Reply::Delivered);
    assert_eq!(items("sink/join"), 3);
    service.shutdown().await;
    assert_eq!(sink("sink/join").drained.load(Ordering::SeqCst), 1);
}

#[test]
fn cycles_are_told_with_their_way() {
    let problems = refused(
        "
receivers: {source: }
exporters: {sink: }
connectors: {join/a: , join/b: }
service:
  pipelines:
    traces/1: {receivers: [source, join/b], exporters: [join/a]}
    traces/2: {receivers: [join/a], exporters: [join/b, sink]}
",
    );
    assert!(problems.contains("test.yaml:7:5"), "{problems}");
    let way = "pipeline traces/1 -> connector \"join/a\" -> pipeline traces/2 -> connector \"join/b\" -> pipeline traces/1";
    assert!(problems.contains(way), "{problems}");
}

#[test]
fn every_rule_of_the_graph_has_its_own_located_error() {
    let problems = refused(
        "
receivers: {source: , hostmetrics: , sorce: , well/2: }
processors: {pass: }
exporters: {sink: , join: }
connectors: {join: , join/half: }
service:
  extensions: [health_check]
  pipelines:
    traces: {receivers: [source, suorce], processors: [pass, pass], exporters: [sink, sink, join/half]}
    logs: {receivers: [source], processors: [pass], exporters: [sink]}
    metrics: {receivers: [source], exporters: [sink]}
",
    );
    for expected in [
        "test.yaml:2:23: error: receiver type \"hostmetrics\" is not in this build of Sluice",
        "test.yaml:2:38: error: unknown receiver type \"sorce\"",
        "did you mean \"source\"?",
        "test.yaml:4:21: error: unknown exporter type \"join\"",
        "\"join\" is defined as a connector and under exporters",
        "service.extensions references extension \"health_check\" which is not configured under extensions",
        "service.pipelines.traces references receiver \"suorce\" which is not configured under receivers",
        "service.pipelines.traces references processor \"pass\" multiple times",
        "service.pipelines.traces references exporter \"sink\" multiple times",
        "connector \"join/half\" is used as exporter in pipeline traces but as receiver in no pipeline",
        "processor \"pass\" does not support logs; it supports traces",
        "receiver \"source\" does not support metrics; it supports traces, logs",
        "warning: receiver \"well/2\" is configured but not started: no pipeline uses it",
    ] {
        assert!(problems.contains(expected), "missing: {expected}\nin:\n{problems}");
    }
}
