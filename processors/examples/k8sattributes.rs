//! What the `k8sattributes` processor costs: `cargo run --profile ci -p sluice-processors --example k8sattributes`.
//!
//! An API server in a process of its own has 10,000 pods of 500 deployments. Spans of about 370 bytes with 7 attributes, in
//! batches of 1,000, are associated by `k8s.pod.uid`: with a resource for every hundred spans, and with one for each, of
//! pods of the whole cluster and of a hundred pods. Beside it stands what it costs to copy what comes out once.

#![expect(clippy::print_stdout, clippy::expect_used, reason = "a tool for the terminal")]

use std::{
    hint::black_box,
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures_util::future::{BoxFuture, ready};
use rcgen::{CertificateParams, KeyPair};
use serde_json::json;
use sluice_pipeline::{
    Batch, Chunk, Consumer, Context, Demand, Failure, Permit, Reply, Signal,
    budget::Budget,
    component::{ComponentContext, ProcessorContext, ProcessorFactory},
    kubernetes::testing::ApiServer,
    otlp::write::Writer,
    outlet::offer,
};
use sluice_processors::k8sattributes::{AuthType, K8sAttributes, K8sAttributesConfig};

const PODS: u64 = 10_000;
const SPANS: u64 = 1_000;
const BATCHES: u64 = 1_000;

/// Takes what comes.
#[derive(Default)]
struct Sink {
    /// Whether it copies that.
    copies: bool,
    last: Mutex<Option<Batch>>,
}

impl Consumer for Sink {
    fn reserve<'a>(&'a self, _demand: &'a Demand) -> BoxFuture<'a, Result<Permit, Failure>> {
        Box::pin(ready(Ok(Permit::none())))
    }

    fn consume(&self, batch: Batch, _permit: Permit) -> BoxFuture<'_, Reply> {
        if self.copies {
            black_box(Vec::from(black_box(batch.chunks()[0].bytes().as_ref())));
        }
        *self.last.lock().expect("nobody panics") = Some(batch);
        Box::pin(ready(Reply::Delivered))
    }

    fn drain(&self, _deadline: Instant) -> BoxFuture<'_, ()> {
        Box::pin(ready(()))
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    if std::env::args().nth(1).as_deref() == Some("serve") {
        return runtime.block_on(serve());
    }
    let mut server = Command::new(std::env::current_exe().expect("this program"));
    let mut server =
        server.arg("serve").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a server");
    let mut port = String::new();
    let output = server.stdout.take().expect("its output");
    BufReader::new(output).read_line(&mut port).expect("its port");

    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("kubeconfig");
    let kubeconfig = format!(
        "current-context: a
contexts: [{{name: a, context: {{cluster: a}}}}]
clusters: [{{name: a, cluster: {{server: 'https://127.0.0.1:{}', insecure-skip-tls-verify: true}}}}]
",
        port.trim()
    );
    std::fs::write(&path, kubeconfig).expect("a file");
    let config = K8sAttributesConfig {
        auth_type: AuthType::KubeConfig,
        kube_config_path: path.display().to_string(),
        wait_for_metadata: true,
        wait_for_metadata_timeout: sluice_pipeline::config::types::Duration::from_secs(60),
        ..K8sAttributesConfig::default()
    };
    let sink = Arc::new(Sink::default());
    let before = resident();
    let begin = Instant::now();
    let processor = {
        let _within = runtime.enter();
        let context = ProcessorContext {
            component: ComponentContext::detached("k8sattributes", Budget::new(1 << 30)),
            pipeline: "traces".parse().expect("an id"),
            answers_later: true,
        };
        K8sAttributes::build(config, context, sink.clone()).expect("the processor is built")
    };
    runtime.block_on(processor.ready()).expect("the pods are listed");
    println!("{PODS} pods listed in {} ms", begin.elapsed().as_millis());
    println!("{} KiB of memory more for {PODS} pods", resident().saturating_sub(before) >> 10);
    let copy = Sink { copies: true, ..Sink::default() };
    for _ in 0..3 {
        for (spans_each, pods) in [(100, PODS), (1, PODS), (1, 100)] {
            let batches: Vec<Batch> = (0..8).map(|number| spans(number, spans_each, pods)).collect();
            let plain = cost(&runtime, &Sink::default(), &batches);
            let enriched = cost(&runtime, processor.as_ref(), &batches);
            let enriched_batches: Vec<Batch> = batches
                .iter()
                .map(|batch| {
                    runtime.block_on(offer(processor.as_ref(), batch.clone()));
                    sink.last.lock().expect("nobody panics").take().expect("a batch")
                })
                .collect();
            let size = enriched_batches[0].chunks()[0].bytes().len() - batches[0].chunks()[0].bytes().len();
            let copied = cost(&runtime, &copy, &enriched_batches);
            println!(
                "{spans_each} spans a resource, of {pods} pods: {} ns of CPU a span for {} bytes more a resource; \
                 copying the result once {} ns, {plain} ns without either",
                enriched.saturating_sub(plain),
                size as u64 * spans_each / SPANS,
                copied.saturating_sub(plain),
            );
        }
    }
    drop(server.stdin.take());
    server.wait().expect("the server ends");
}

/// CPU time a span, in nanoseconds.
fn cost(runtime: &tokio::runtime::Runtime, consumer: &dyn Consumer, batches: &[Batch]) -> u64 {
    runtime.block_on(async {
        let mut cost = 0;
        for number in 0..BATCHES {
            let batch = batches[usize::try_from(number % 8).expect("a small number")].clone();
            let start = cpu_nanoseconds();
            offer(consumer, batch).await;
            cost += cpu_nanoseconds() - start;
        }
        cost / (SPANS * BATCHES)
    })
}

/// CPU time of this thread, which other processes do not count into as they do into the time of day.
fn cpu_nanoseconds() -> u64 {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux counts CPU time");
    statistics.split(' ').next().and_then(|time| time.parse().ok()).expect("the first number is CPU time")
}

fn resident() -> u64 {
    let statistics = std::fs::read_to_string("/proc/self/statm").expect("Linux counts memory");
    let pages: u64 =
        statistics.split(' ').nth(1).and_then(|it| it.parse().ok()).expect("the second is resident");
    pages * 4096
}

/// The API server: prints its port, and ends with its input.
async fn serve() {
    let key = KeyPair::generate().expect("a key");
    let certificate = CertificateParams::new(["localhost".to_owned()]).expect("names").self_signed(&key);
    let certificate = certificate.expect("a certificate").pem();
    let server = ApiServer::start(&certificate, &key.serialize_pem()).await.expect("a server");
    for number in 0..PODS {
        let (deployment, node) = (number % 500, number % 100);
        let owner = json!([{"kind": "ReplicaSet", "name": format!("service-{deployment}-6c45f8d6f6"), "uid": uid(1 << 32 | deployment)}]);
        let pod = json!({
            "metadata": {
                "uid": uid(number), "creationTimestamp": "2026-01-02T03:04:05Z", "ownerReferences": owner,
                "labels": {"app": "x", "pod-template-hash": "6c45f8d6f6"},
                "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "x".repeat(2000)},
            },
            "spec": {
                "nodeName": format!("node-{node}.eu-central-1.compute.internal"),
                "containers": [{"name": "app", "image": format!("registry.example.com/shop/service-{deployment}:1.2.3")}],
            },
            "status": {
                "phase": "Running", "podIP": format!("10.{}.{}.{}", number >> 16, number >> 8 & 255, number & 255),
                "startTime": "2026-01-02T03:04:06Z",
                "containerStatuses": [{
                    "name": "app", "containerID": format!("containerd://{number:064x}"), "restartCount": 0,
                    "imageID": format!("registry.example.com/shop/service@sha256:{deployment:064x}"),
                }],
            },
        });
        server.set_of("pods", "shop", &format!("service-{deployment}-6c45f8d6f6-{number:05}"), pod);
    }
    for deployment in 0..500 {
        let owner = json!([{"kind": "Deployment", "name": format!("service-{deployment}"), "uid": uid(2 << 32 | deployment)}]);
        let set = json!({"metadata": {"uid": uid(1 << 32 | deployment), "ownerReferences": owner}});
        server.set_of("replicasets", "shop", &format!("service-{deployment}-6c45f8d6f6"), set);
    }
    println!("{}", server.address.port());
    std::io::stdout().flush().expect("an output");
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().lines().count());
    let _ = tokio::time::timeout(Duration::from_secs(600), ended).await;
}

fn uid(number: u64) -> String {
    format!("{:08x}-0000-4000-8000-{number:012x}", number & 0xffff_ffff)
}

fn attribute(writer: &mut Writer<'_>, number: u32, key: &str, value: &str) {
    writer.message(number, |pair| {
        pair.bytes(1, key.as_bytes());
        pair.message(2, |any| any.bytes(1, value.as_bytes()));
    });
}

fn spans(batch: u64, spans_each: u64, pods: u64) -> Batch {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes);
    for group in 0..SPANS / spans_each {
        let first = batch * SPANS + group * spans_each;
        writer.message(1, |writer| {
            writer.message(1, |resource| {
                attribute(resource, 1, "service.name", "checkout");
                attribute(resource, 1, "service.version", "1.2.3");
                attribute(resource, 1, "telemetry.sdk.language", "java");
                attribute(resource, 1, "telemetry.sdk.name", "opentelemetry");
                attribute(resource, 1, "telemetry.sdk.version", "1.40.0");
                attribute(resource, 1, "host.name", "node-1");
                attribute(resource, 1, "k8s.pod.uid", &uid(first.wrapping_mul(7919) % pods));
            });
            writer.message(2, |scope| {
                (0..spans_each).for_each(|number| scope.message(2, |span| write(span, first + number)));
            });
        });
    }
    let items = usize::try_from(SPANS).expect("a small number");
    Batch::new(Signal::Traces, Chunk::new(bytes.into(), items), Context::default())
}

fn write(span: &mut Writer<'_>, number: u64) {
    let id = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let begin = 1_700_000_000_000_000_000 + number * 1_000_000;
    span.bytes(1, &(u128::from(id) << 64 | u128::from(number)).to_be_bytes());
    span.bytes(2, &id.to_be_bytes());
    span.bytes(4, &(id ^ 1).to_be_bytes());
    span.bytes(5, format!("GET /api/products/{:04}/reviews", id % 500).as_bytes());
    span.varint(6, 2);
    span.fixed64(7, begin);
    span.fixed64(8, begin + id % 3_000_000_000);
    attribute(span, 9, "http.request.method", "GET");
    attribute(span, 9, "http.route", "/api/products/{id}/reviews");
    attribute(span, 9, "url.scheme", "https");
    attribute(span, 9, "server.address", "shop.example.com");
    attribute(span, 9, "network.protocol.version", "1.1");
    attribute(span, 9, "user_agent.original", "Mozilla/5.0 (X11; Linux x86_64)");
    attribute(span, 9, "client.address", "10.1.2.3");
}
