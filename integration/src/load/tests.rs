//! The load generator against the sink and the relay of this crate.

use super::*;
use crate::relay::Relay;
use crate::serve::{self, Protocol as Listening};
use crate::sink::{Options, Sink};

fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn plan(target: SocketAddr, protocol: Protocol, kind: Kind) -> Plan {
    Plan {
        target,
        protocol,
        kind,
        batch: 100,
        compression: Compression::None,
        connections: 2,
        in_flight: 2,
        rate: None,
        duration: Duration::from_millis(200),
        encrypted: false,
    }
}

async fn sink() -> Sink {
    Sink::start(any_port(), any_port(), Options::default()).await.unwrap()
}

#[tokio::test]
async fn the_sink_counts_what_the_load_sent() {
    for protocol in [Protocol::Grpc, Protocol::Http] {
        for kind in [Kind::Traces, Kind::Metrics, Kind::Logs] {
            for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
                let sink = sink().await;
                let target = if protocol == Protocol::Grpc { sink.grpc } else { sink.http };
                let load = Load::prepare(Plan { compression, ..plan(target, protocol, kind) }).unwrap();
                let report = load.run_as_planned().await.unwrap();
                assert!(report.accepted > 0 && report.failures.is_empty(), "{report:?}");
                assert_eq!(sink.counts().items, report.accepted, "{protocol:?} {kind:?} {compression:?}");
                assert_eq!(sink.counts().malformed, 0);
            }
        }
    }
}

#[tokio::test]
async fn the_relay_passes_everything_on() {
    let sink = sink().await;
    let listener = tokio::net::TcpListener::bind(any_port()).await.unwrap();
    let target = listener.local_addr().unwrap();
    let relay = Arc::new(Relay::connect(sink.grpc, 2).await.unwrap());
    let server = tokio::spawn(serve::serve(listener, Listening::Http2, relay));
    let packed = Plan { compression: Compression::Gzip, ..plan(target, Protocol::Grpc, Kind::Traces) };
    let report = Load::prepare(packed).unwrap().run_as_planned().await.unwrap();
    assert!(report.accepted > 0 && report.failures.is_empty(), "{report:?}");
    assert_eq!(sink.counts().items, report.accepted);
    server.abort();
}

#[tokio::test]
async fn a_fixed_rate_is_kept_and_late_answers_are_charged() {
    let options = Options { delay: Duration::from_millis(30) };
    let sink = Sink::start(any_port(), any_port(), options).await.unwrap();
    // One request each 10 ms and answers after 30 ms, with one worker: each request is later than the one before.
    let slow = Plan {
        rate: Some(10_000),
        connections: 1,
        in_flight: 1,
        duration: Duration::from_millis(300),
        ..plan(sink.grpc, Protocol::Grpc, Kind::Traces)
    };
    let report = Load::prepare(slow).unwrap().run_as_planned().await.unwrap();
    assert_eq!(report.accepted, 30 * 100);
    assert!(report.latency.quantile(1.0) > Duration::from_millis(400), "{:?}", report.latency.quantile(1.0));
}

#[tokio::test]
async fn refusals_are_counted_by_status() {
    let sink = sink().await;
    // Zipkin spans sent to a server of OTLP: no such path.
    let wrong = plan(sink.http, Protocol::Http, Kind::Zipkin);
    let report = Load::prepare(wrong).unwrap().run_as_planned().await.unwrap();
    assert_eq!(report.accepted, 0);
    assert!(report.failures.contains_key("HTTP status 400"), "{:?}", report.failures);
    assert!(sink.counts().malformed > 0);
}
