//! What cannot be sent is refused by reason, and what a batch takes is bounded, whatever it holds.

use proptest::prelude::*;
use prost::Message;
use sluice_pipeline::{Batch, Chunk, Context, Signal};
use sluice_protocols::protobuf::{write_bytes, write_message};

use super::{fixture::*, messages::*};
use crate::prometheusremotewrite::{
    RemoteWriteKeys, refusal::Refusal, request::requests, translate::Translator,
};

#[test]
fn what_prometheus_cannot_hold_is_refused_by_reason() {
    let mut unfit = spread(0, 0, vec![2]);
    unfit.count = 7;
    let long = "x".repeat(70_000);
    let wide: Vec<f64> = (0..2000).map(f64::from).collect();
    let mut repeated = buckets(1, TIME, &wide, &vec![1; 2001], 1.0);
    repeated.attributes = attributes(&[("a", &"y".repeat(10_000))]);
    let metrics = vec![
        sum("delta", DELTA, true, vec![point(1, TIME, 1.0, &[])]),
        sum("none", 0, true, vec![point(1, TIME, 1.0, &[]), point(1, TIME, 1.0, &[])]),
        histogram("delta", DELTA, vec![buckets(1, TIME, &[], &[1], 1.0)]),
        sum("negative", CUMULATIVE, true, vec![point(1, TIME, -1.0, &[])]),
        histogram("descending", CUMULATIVE, vec![buckets(1, TIME, &[2.0, 1.0], &[1, 1, 1], 1.0)]),
        exponential(vec![spread(-5, 0, vec![1]), unfit, spread(0, 0, vec![1; 17_000])]),
        gauge("...", "", vec![point(0, TIME, 1.0, &[])]),
        gauge("long", "", vec![point(0, TIME, 1.0, &[("a", &long)])]),
        histogram("wide", CUMULATIVE, vec![repeated]),
        gauge(
            "twice",
            "",
            vec![point(0, TIME, 1.0, &[]), point(0, TIME, 1.0, &[]), point(0, TIME, 2.0, &[])],
        ),
    ];
    let made = make(&batch(metrics), |_| {});
    assert_eq!(
        made.refused,
        [
            (Refusal::Temporality, 4),
            (Refusal::Invalid, 3),
            (Refusal::Scale, 1),
            (Refusal::TooManyBuckets, 1),
            (Refusal::Name, 1),
            (Refusal::LabelsTooLong, 2),
            (Refusal::Duplicate, 1),
        ]
    );
    let [series] = WriteRequest::decode(made.bodies[0].as_slice()).unwrap().timeseries.try_into().unwrap();
    assert_eq!((series.name().as_str(), series.samples.len(), series.samples[0].value), ("twice{}", 1, 2.0));
}

#[test]
fn what_a_part_of_a_batch_takes_is_bounded() {
    let point = |id: usize| {
        let bounds: Vec<f64> = (0..1000).map(f64::from).collect();
        let mut point = buckets(1, TIME, &bounds, &vec![1; 1001], 1.0);
        point.attributes = attributes(&[("id", &id.to_string()), ("a", &"y".repeat(5000))]);
        point
    };
    let batch = batch(vec![histogram("wide", CUMULATIVE, (0..8).map(point).collect())]);
    let translator = Translator::new(&RemoteWriteKeys::default());
    let (mut from, mut series) = (Some(0), 0);
    while let Some(first) = from {
        let translated = translator.translate(&batch, first);
        assert!(translated.segment.bytes() < 32 << 20, "{}", translated.segment.bytes());
        assert!(translated.refused.is_empty());
        series += translated.segment.series.len();
        from = translated.next;
    }
    assert_eq!(series, 8 * 1003, "that is more than 40 MB of labels");
}

#[test]
fn a_million_metrics_without_points_take_no_room() {
    let mut metrics = Vec::new();
    for number in 0..1_000_000 {
        write_message(&mut metrics, 2, |metric| {
            write_bytes(metric, 1, format!("rooms_{number}").as_bytes());
            // A gauge.
            write_bytes(metric, 5, &[]);
        });
    }
    let mut data = Vec::new();
    write_message(&mut data, 1, |resource| write_bytes(resource, 2, &metrics));
    let batch = Batch::new(Signal::Metrics, Chunk::new(data.into(), 0), Context::default());
    let translated = Translator::new(&RemoteWriteKeys::default()).translate(&batch, 0);
    assert!(translated.segment.bytes() == 0 && translated.segment.families.is_empty());
    assert!(translated.refused.is_empty() && translated.next.is_none());
}

#[test]
fn a_metric_that_fills_a_part_is_sent_nonetheless() {
    let mut rooms = gauge("rooms", "", vec![point(0, TIME, 1.0, &[]), point(0, TIME + SECOND, 2.0, &[])]);
    rooms.description = "x".repeat(17 << 20);
    assert_eq!(
        lines(&batch(vec![rooms]), |_| {}),
        [format!("rooms{{}} 1 {AT}"), "rooms{} 2 @1700000001000".to_owned()]
    );
}

proptest! {
    #[test]
    fn hostile_attributes_are_labels_that_servers_take(
        pairs in proptest::collection::vec(("\\PC{0,8}|[a.b_]{1,3}|__name__|job|le", "\\PC{0,8}"), 0..8),
        external in proptest::collection::btree_map("[a-c_]{1,2}", "[a-z]{1,3}", 0..3),
    ) {
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(key, value)| (&**key, &**value)).collect();
        let latency = {
            let mut latency = buckets(1, TIME, &[0.5], &[1, 1], 1.0);
            latency.attributes = attributes(&pairs);
            latency
        };
        let batch = batch_of(&pairs, vec![histogram("latency", CUMULATIVE, vec![latency])]);
        let made = make(&batch, |keys| keys.external_labels = external);
        prop_assert_eq!(&made.refused, &[]);
        for body in made.bodies {
            for series in WriteRequest::decode(body.as_slice()).unwrap().timeseries {
                // Sorted and unique, or it panics.
                series.name();
                for label in &series.labels {
                    prop_assert!(sluice_protocols::prometheus::is_label_name(&label.name));
                    prop_assert!(!label.value.is_empty());
                }
            }
        }
    }

    #[test]
    fn arbitrary_bytes_are_translated_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let batch = Batch::new(Signal::Metrics, Chunk::new(bytes.into(), 1), Context::default());
        let translated = Translator::new(&RemoteWriteKeys::default()).translate(&batch, 0);
        for message in [Default::default(), crate::prometheusremotewrite::ProtobufMessage::V2] {
            for request in requests(&translated.segment, message, true, 100).unwrap() {
                uncompressed(&request.body);
            }
        }
    }
}
