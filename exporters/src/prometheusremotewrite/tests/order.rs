//! Samples of a series arrive in the order of their times, whatever is sent at the same time and again.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use proptest::prelude::*;
use prost::Message;
use sluice_pipeline::{
    Permit, Reply, Signal,
    component::{ExporterContext, ExporterFactory},
    export::{QueueConfig, RetryConfig},
};

use super::{fixture::*, messages::*};
use crate::prometheusremotewrite::{
    PrometheusRemoteWrite, ProtobufMessage, RemoteWriteKeys, translate::Translator,
};

/// Times of samples by series, of requests in the order of their arrival.
fn times(bodies: &[Vec<u8>], message: ProtobufMessage) -> BTreeMap<String, Vec<i64>> {
    let mut times: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    let mut note = |name: String, samples: &[Sample]| {
        times.entry(name).or_default().extend(samples.iter().map(|sample| sample.timestamp));
    };
    for body in bodies {
        match message {
            ProtobufMessage::V1 => {
                let request = WriteRequest::decode(body.as_slice()).unwrap();
                request.timeseries.iter().for_each(|series| note(series.name(), &series.samples));
            }
            ProtobufMessage::V2 => {
                let request = Request2::decode(body.as_slice()).unwrap();
                request.timeseries.iter().for_each(|series| note(request.name(series), &series.samples));
            }
        }
    }
    times
}

fn is_ascending(times: &[i64]) -> bool {
    times.windows(2).all(|pair| pair[0] < pair[1])
}

proptest! {
    #[test]
    fn a_batch_is_sorted_and_nothing_of_it_is_lost(
        points in proptest::collection::vec((0..5u8, 0..40u64, 0..3u64), 1..60),
        size in 1..600usize,
        version in any::<bool>(),
    ) {
        let message = if version { ProtobufMessage::V2 } else { ProtobufMessage::V1 };
        let keys = RemoteWriteKeys { protobuf_message: message, max_batch_size_bytes: size, ..Default::default() };
        let data = points.iter().map(|(series, time, start)| {
            point(TIME + start * SECOND, TIME + (time + 5) * SECOND, *time as f64, &[("id", &series.to_string())])
        });
        let batch = batch(vec![sum("orders", CUMULATIVE, true, data.collect())]);
        let made = make_with(&Translator::new(&keys), &keys, &batch);
        prop_assert_eq!(&made.refused, &[], "equal times have equal values here");
        // A series is in one request only, so that requests may be sent at the same time.
        let mut whole: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for body in &made.bodies {
            for (name, times) in times(std::slice::from_ref(body), message) {
                prop_assert!(is_ascending(&times), "{times:?}");
                prop_assert!(whole.insert(name, times).is_none());
            }
        }
        let mut expected: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for (series, time, _) in &points {
            let times = expected.entry(format!("orders_total{{id=\"{series}\"}}")).or_default();
            times.push(((TIME / SECOND + time + 5) * 1000) as i64);
        }
        for times in expected.values_mut() {
            times.sort_unstable();
            times.dedup();
        }
        prop_assert_eq!(whole, expected);
    }

    #[test]
    fn parts_of_a_batch_are_the_whole_of_it(
        metrics in proptest::collection::vec((0..4u8, 0..5usize), 1..12),
        segment in 1..4000usize,
    ) {
        let number = AtomicUsize::new(0);
        let next = || number.fetch_add(1, Ordering::Relaxed);
        let points = |count: usize| (0..count).map(|_| point(0, TIME, 1.0, &[("id", &next().to_string())])).collect();
        let metrics = metrics.iter().map(|(kind, count)| match kind {
            0 => gauge("rooms", "", points(*count)),
            1 => sum("orders", CUMULATIVE, true, points(*count)),
            2 => sum("delta", DELTA, true, points(*count)),
            _ => opentelemetry_proto::tonic::metrics::v1::Metric::default(),
        });
        let batch = batch(metrics.collect());
        let keys = RemoteWriteKeys::default();
        let whole = make_with(&Translator::new(&keys), &keys, &batch);
        let parts = make_with(&Translator::new(&keys).with_segments_of(segment), &keys, &batch);
        let names = |bodies: &[Vec<u8>]| -> Vec<String> {
            let requests = bodies.iter().map(|body| WriteRequest::decode(body.as_slice()).unwrap());
            requests.flat_map(|request| request.timeseries).map(|series| series.name()).collect()
        };
        prop_assert_eq!(names(&whole.bodies), names(&parts.bodies));
        let refused = |refused: &[(_, u64)]| refused.iter().map(|(_, points)| points).sum::<u64>();
        prop_assert_eq!(refused(&whole.refused), refused(&parts.refused));
    }
}

/// Sends batches of three series through a queue to a server that refuses every third request for now; what it took.
async fn delivered(message: ProtobufMessage, queue: QueueConfig) -> Vec<Vec<u8>> {
    let peer =
        Peer::answering(|number, _| if number % 3 == 1 { status(503) } else { written(9999, 0, 0) }).await;
    let mut config = peer.config(|config| {
        config.own.protobuf_message = message;
        config.own.max_batch_size_bytes = 1;
        config.own.remote_write_queue.queue = queue;
        config.own.retry_on_failure.retry = RetryConfig {
            initial_interval: Duration::from_millis(1).into(),
            max_interval: Duration::from_millis(2).into(),
            ..RetryConfig::default()
        };
    });
    config.client.max_idle_conns = 0;
    let context = ExporterContext {
        component: peer.context.clone(),
        signal: Signal::Metrics,
        listeners: Default::default(),
    };
    let exporter = PrometheusRemoteWrite::build(config, context).unwrap();
    let batches = (0..20).map(|second| {
        let points =
            (0..3).map(|id| point(0, TIME + second * SECOND, 1.0, &[("id", &"x".repeat(id + 1))])).collect();
        exporter.consume(batch(vec![gauge("rooms", "", points)]), Permit::none())
    });
    let replies = futures_util::future::join_all(batches).await;
    assert!(replies.iter().all(|reply| *reply == Reply::Delivered), "{replies:?}");
    exporter.drain(Instant::now() + Duration::from_secs(30)).await;
    let requests = peer.requests().into_iter().enumerate();
    requests.filter(|(number, _)| number % 3 != 1).map(|(_, (_, body))| body).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn consumers_do_not_overtake_each_other() {
    for message in [ProtobufMessage::V1, ProtobufMessage::V2] {
        let queue = QueueConfig { num_consumers: 5, wait_for_result: true, ..QueueConfig::default() };
        let taken = times(&delivered(message, queue).await, message);
        assert_eq!(taken.len(), 3);
        for (name, times) in taken {
            assert!(times.len() == 20 && is_ascending(&times), "{name}: {times:?}");
        }
    }
}
