//! What exporters do with each answer and with each way in which a connection fails (`docs/failures.md`).

use std::time::{Duration, Instant};

use sluice_integration::load::{Load, Plan, Protocol as LoadProtocol};
use sluice_integration::payload::{Compression, Kind, generate};
use sluice_integration::process::free_address;
use sluice_integration::serve::{self, Answer, Protocol};
use sluice_integration::transport::frame;
use tokio::task::block_in_place;

use crate::lifecycle::{load, sink};
use crate::support::chaos::{Fault, Proxy, Scripted};
use crate::support::{Setup, eventually, post};

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
/// What an exporter is to do: try again until it succeeds, or give up at once.
const AGAIN: usize = 2;
const ONCE: usize = 1;
/// A limit that an attempt that is answered never meets.
const LONG: &str = "20s";

/// An exporter of this type that answers only once its destination has, and repeats soon.
fn exporter(kind: &str, endpoint: &str, timeout: &str, more: &str) -> String {
    format!(
        "exporters:\n  {kind}:\n    endpoint: {endpoint}\n    tls: {{insecure: true}}\n    timeout: {timeout}\n    \
         sending_queue: {{enabled: false}}\n    \
         retry_on_failure: {{initial_interval: 10ms, max_interval: 50ms, max_elapsed_time: 20s}}\n{more}"
    )
}

fn start(setup: &Setup, kind: &str, endpoint: &str, timeout: &str) -> crate::support::Sluice {
    let pipelines = format!("    traces: {{receivers: [otlp], exporters: [{kind}]}}");
    setup.start(&setup.config(&exporter(kind, endpoint, timeout, ""), &pipelines), setup.http)
}

/// Sends a span through Sluice; whether it was taken, and how long that took.
fn send(setup: &Setup) -> (bool, Duration) {
    let begin = Instant::now();
    let body = generate(Kind::Traces, 1, Compression::None, 1).remove(0).body;
    let answer = post(setup.http, "/v1/traces", &[PROTOBUF], body);
    (answer.status == 200, begin.elapsed())
}

/// The answer at first, success after it; and what is expected of the exporter.
fn assert_follows(
    setup: &Setup,
    server: &Scripted,
    what: &str,
    expected: usize,
    success: fn() -> Answer,
    failure: impl Fn() -> Answer + Send + Sync + 'static,
) -> Duration {
    server.follow(move |number| if number == 0 { failure() } else { success() });
    let (taken, took) = send(setup);
    assert_eq!(server.requests(), expected, "{what}: attempts");
    assert_eq!(taken, expected == AGAIN, "{what}: taken");
    took
}

#[tokio::test(flavor = "multi_thread")]
async fn each_grpc_status_leads_to_its_outcome() {
    let server = Scripted::start(Protocol::Http2).await;
    let setup = Setup::new();
    let success = || serve::grpc(Ok(frame(b"", false)));
    block_in_place(|| {
        let sluice = start(&setup, "otlp", &server.address.to_string(), LONG);
        for (code, expected) in [
            (1, AGAIN),  // CANCELLED
            (2, ONCE),   // UNKNOWN
            (3, ONCE),   // INVALID_ARGUMENT
            (4, AGAIN),  // DEADLINE_EXCEEDED
            (5, ONCE),   // NOT_FOUND
            (6, ONCE),   // ALREADY_EXISTS
            (7, ONCE),   // PERMISSION_DENIED
            (8, ONCE),   // RESOURCE_EXHAUSTED, without a delay
            (9, ONCE),   // FAILED_PRECONDITION
            (10, AGAIN), // ABORTED
            (11, AGAIN), // OUT_OF_RANGE
            (12, ONCE),  // UNIMPLEMENTED
            (13, ONCE),  // INTERNAL
            (14, AGAIN), // UNAVAILABLE
            (15, AGAIN), // DATA_LOSS
            (16, ONCE),  // UNAUTHENTICATED
            (99, ONCE),  // not gRPC's
        ] {
            let failure = move || serve::grpc(Err((code, "so".to_owned())));
            assert_follows(&setup, &server, &format!("status {code}"), expected, success, failure);
        }
        // RESOURCE_EXHAUSTED and UNAVAILABLE with RetryInfo of 300 ms.
        for code in [8, 14] {
            let took = assert_follows(
                &setup,
                &server,
                &format!("status {code} with a delay"),
                AGAIN,
                success,
                move || {
                    let mut answer = serve::grpc(Err((code, "later".to_owned())));
                    answer.headers_mut().insert("grpc-status-details-bin", retry_info(code).parse().unwrap());
                    answer
                },
            );
            assert!(took >= Duration::from_millis(300), "{took:?}");
        }
        // A proxy in between that knows no gRPC.
        for (status, expected) in [
            (400, ONCE),
            (401, ONCE),
            (403, ONCE),
            (404, ONCE),
            (429, AGAIN),
            (500, ONCE),
            (502, AGAIN),
            (503, AGAIN),
            (504, AGAIN),
        ] {
            let failure = move || serve::http(status, "text/plain", "so");
            assert_follows(&setup, &server, &format!("HTTP {status}"), expected, success, failure);
        }
        sluice.stop();
    });
}

/// A `google.rpc.Status` with a `RetryInfo` of 300 ms, as gRPC puts it into a header.
fn retry_info(code: u16) -> String {
    let status = sluice_pipeline::grpc::Status {
        code: sluice_pipeline::Code::from_number(code.into()),
        message: "later".to_owned(),
        retry_after: Some(Duration::from_millis(300)),
    };
    let mut headers = http::HeaderMap::new();
    status.write(&mut headers);
    headers["grpc-status-details-bin"].to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_http_status_leads_to_its_outcome() {
    let server = Scripted::start(Protocol::Http1).await;
    let success = || serve::http(200, "application/x-protobuf", "");
    let codes = [301, 400, 401, 403, 404, 405, 408, 409, 413, 415, 429, 500, 501, 502, 503, 504];
    for (kind, path, again) in [
        ("otlphttp", "", [429, 502, 503, 504].as_slice()),
        ("zipkin", "/api/v2/spans", &[408, 429, 500, 501, 502, 503, 504]),
    ] {
        let setup = Setup::new();
        block_in_place(|| {
            let sluice = start(&setup, kind, &format!("http://{}{path}", server.address), LONG);
            for code in codes {
                let expected = if again.contains(&code) { AGAIN } else { ONCE };
                let failure = move || serve::http(code, "text/plain", "so");
                assert_follows(&setup, &server, &format!("{kind} {code}"), expected, success, failure);
            }
            let took =
                assert_follows(&setup, &server, &format!("{kind} with a delay"), AGAIN, success, || {
                    let mut answer = serve::http(503, "text/plain", "later");
                    answer.headers_mut().insert("retry-after", "1".parse().unwrap());
                    answer
                });
            assert!(took >= Duration::from_secs(1), "{took:?}");
            sluice.stop();
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_of_a_connection_is_overcome() {
    for kind in ["otlp", "otlphttp"] {
        let sink = sink(Duration::ZERO).await;
        let target = if kind == "otlp" { sink.grpc } else { sink.http };
        for (fault, is_slow) in [
            (Fault::Refuse, false),
            (Fault::Cut(0), false),
            (Fault::Cut(200), false),
            (Fault::Reset(0), false),
            (Fault::Reset(200), false),
            (Fault::Swallow, false),
            (Fault::Hole, true),
            (Fault::Delay(Duration::from_millis(50)), true),
            (Fault::Throttle(64), true),
        ] {
            let proxy = Proxy::start(target).await;
            // What fails at once meets only the first attempt, however soon the next follows.
            if is_slow {
                proxy.set(fault)
            } else {
                proxy.set_once(fault)
            }
            let setup = Setup::new();
            let before = sink.counts().items;
            let endpoint = match kind {
                "otlp" => proxy.address.to_string(),
                _ => format!("http://{}", proxy.address),
            };
            block_in_place(|| {
                let sluice = start(&setup, kind, &endpoint, "1s");
                std::thread::scope(|scope| {
                    let sending = scope.spawn(|| send(&setup));
                    if fault == Fault::Hole {
                        // Nothing tells the exporter but its own limit.
                        eventually("the attempt is given up", || sluice.log().contains("Will retry"));
                        proxy.set(Fault::None);
                    }
                    let (taken, _) = sending.join().unwrap();
                    assert!(taken, "{kind} {fault:?}: {}", sluice.log());
                    assert!(
                        is_slow || proxy.connections() >= 2,
                        "{kind} {fault:?}: the first attempt met it"
                    );
                });
                let items = sink.counts().items - before;
                // What was swallowed on the way back arrives twice: at least once is the promise.
                assert!((1..=2).contains(&items), "{kind} {fault:?}: {items} arrived");
                drop(sluice);
            });
        }
    }
}

/// A destination that ends its connections all the time, as a balancer does to spread its clients (GOAWAY).
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_ended_in_order_cost_no_call() {
    let sink = sink(Duration::ZERO).await;
    let setup = Setup::new();
    let inner = free_address().unwrap();
    let rest = format!(
        "  otlp/inner:
    protocols:
      grpc:
        endpoint: {inner}
        keepalive: {{server_parameters: {{max_connection_age: 100ms, max_connection_age_grace: 5s}}}}
exporters:
  otlp/inner:
    endpoint: {inner}
    tls: {{insecure: true}}
    sending_queue: {{enabled: false}}
    retry_on_failure: {{enabled: false}}
  otlp/sink:
    endpoint: {}
    tls: {{insecure: true}}
    sending_queue: {{enabled: false}}",
        sink.grpc
    );
    let pipelines = "    traces/1: {receivers: [otlp], exporters: [otlp/inner]}
    traces/2: {receivers: [otlp/inner], exporters: [otlp/sink]}";
    let sluice = block_in_place(|| setup.start(&setup.config(&rest, pipelines), setup.grpc));
    let report = load(setup.grpc, LoadProtocol::Grpc, Duration::from_secs(3)).run_as_planned().await.unwrap();
    let log = block_in_place(|| sluice.stop());
    assert_eq!(report.failed, 0, "{:?}\n{log}", report.failures);
    assert_eq!(sink.counts().items, report.accepted);
}

/// Every connection breaks in the midst of a request, again and again.
#[tokio::test(flavor = "multi_thread")]
async fn a_flapping_destination_loses_nothing() {
    for kind in ["otlp", "otlphttp"] {
        let sink = sink(Duration::ZERO).await;
        let proxy = Proxy::start(if kind == "otlp" { sink.grpc } else { sink.http }).await;
        proxy.set(Fault::Reset(500_000));
        let endpoint = match kind {
            "otlp" => proxy.address.to_string(),
            _ => format!("http://{}", proxy.address),
        };
        let setup = Setup::new();
        let sluice = block_in_place(|| {
            let pipelines = format!("    traces: {{receivers: [otlp], exporters: [{kind}]}}");
            let exporter = exporter(kind, &endpoint, "1s", "    compression: none\n");
            setup.start(&setup.config(&exporter, &pipelines), setup.grpc)
        });
        let load = load(setup.grpc, LoadProtocol::Grpc, Duration::from_secs(3));
        let report = load.run_as_planned().await.unwrap();
        let log = block_in_place(|| sluice.stop());
        assert!(proxy.connections() > 5, "{kind}: it broke {} times only", proxy.connections());
        assert_eq!(report.failed, 0, "{kind}: {:?}\n{log}", report.failures);
        let arrived = sink.counts().items;
        assert!(arrived >= report.accepted, "{kind}: {arrived} of {} arrived", report.accepted);
    }
}

/// As long as its queue has room.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_destination_does_not_stop_the_others() {
    let sink = sink(Duration::ZERO).await;
    let setup = Setup::new();
    let dead = free_address().unwrap();
    let rest = format!(
        "exporters:
  otlp/dead:
    endpoint: {dead}
    tls: {{insecure: true}}
  otlp/sink:
    endpoint: {}
    tls: {{insecure: true}}
    sending_queue: {{enabled: false}}",
        sink.grpc
    );
    let pipelines = "    traces: {receivers: [otlp], exporters: [otlp/dead, otlp/sink]}";
    let sluice = block_in_place(|| setup.start(&setup.config(&rest, pipelines), setup.grpc));
    let report = load(setup.grpc, LoadProtocol::Grpc, Duration::from_secs(2)).run_as_planned().await.unwrap();
    assert_eq!(report.failed, 0, "{:?}\n{}", report.failures, sluice.log());
    assert_eq!(sink.counts().items, report.accepted);
}

/// A client that waits for its answers is slowed to the pace of the destination, and nothing piles up.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_destination_slows_its_clients() {
    const LIMIT: u64 = 64;
    for queue in ["{enabled: false}", "{queue_size: 4, num_consumers: 2, block_on_overflow: true}"] {
        let sink = sink(Duration::from_millis(200)).await;
        let setup = Setup::new();
        let rest = format!(
            "processors:\n  memory_limiter: {{check_interval: 1s, limit_mib: {LIMIT}}}\nexporters:\n  otlp:\n    \
             endpoint: {}\n    tls: {{insecure: true}}\n    sending_queue: {queue}",
            sink.grpc
        );
        let pipelines = "    traces: {receivers: [otlp], processors: [memory_limiter], exporters: [otlp]}";
        let sluice = block_in_place(|| setup.start(&setup.config(&rest, pipelines), setup.grpc));
        let load = Load::prepare(Plan {
            target: setup.grpc,
            protocol: LoadProtocol::Grpc,
            kind: Kind::Traces,
            batch: 1000,
            compression: Compression::None,
            connections: 2,
            in_flight: 4,
            rate: None,
            duration: Duration::from_secs(4),
            encrypted: false,
        })
        .unwrap();
        let report = load.run_as_planned().await.unwrap();
        sluice.assert_within(LIMIT);
        let log = block_in_place(|| sluice.stop());
        assert_eq!(report.failed, 0, "{queue}: {:?}\n{log}", report.failures);
        assert_eq!(sink.counts().items, report.accepted, "{queue}");
        // Eight under way, or two of the queue and those that it holds: far from what the client could send.
        let most = 1000 * (4 * 5 * 8 + 8);
        assert!((1000..=most).contains(&report.accepted), "{queue}: {} spans", report.accepted);
    }
}
