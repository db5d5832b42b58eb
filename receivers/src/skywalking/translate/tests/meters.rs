//! Meters.

use super::*;

#[test]
fn a_stream_of_meters_carries_its_header_forward() {
    let meter = |service: &str, timestamp| v3::MeterData {
        service: service.to_owned(),
        timestamp,
        metric: Some(v3::meter_data::Metric::SingleValue(v3::MeterSingleValue {
            name: "m".to_owned(),
            ..Default::default()
        })),
        ..Default::default()
    };
    let timeless = translate(Kind::Meter, &encoded(&[meter("a", 0)])).unwrap();
    assert!(back::meters(metrics(&timeless))[0].timestamp > 1_700_000_000_000, "it has that of its arrival");
    let translated = translate(Kind::Meter, &encoded(&[meter("a", 1), meter("", 0), meter("", 2)])).unwrap();
    let meters = back::meters(metrics(&translated));
    let seen: Vec<_> = meters.iter().map(|meter| (meter.service.as_str(), meter.timestamp)).collect();
    assert_eq!(seen, [("a", 1), ("a", 1), ("a", 2)]);
}

#[test]
fn lower_bounds_become_explicit_bounds() {
    let bucket =
        |bucket, count, is_negative_infinity| v3::MeterBucketValue { bucket, count, is_negative_infinity };
    let histogram = |values| v3::MeterData {
        metric: Some(v3::meter_data::Metric::Histogram(v3::MeterHistogram {
            name: "h".to_owned(),
            values,
            ..Default::default()
        })),
        timestamp: 1,
        ..Default::default()
    };
    let points = |values| {
        let data = metrics(&translate(Kind::Meter, &encoded(&[histogram(values)])).unwrap());
        let Some(Data::Histogram(histogram)) =
            data.resource_metrics[0].scope_metrics[0].metrics[0].data.clone()
        else {
            panic!("no histogram")
        };
        let point = &histogram.data_points[0];
        (point.explicit_bounds.clone(), point.bucket_counts.clone(), point.count)
    };
    assert_eq!(
        points(vec![bucket(0.0, 1, true), bucket(5.0, 2, false), bucket(10.0, 3, false)]),
        (vec![5.0, 10.0], vec![1, 2, 3], 6)
    );
    assert_eq!(
        points(vec![bucket(0.0, 1, false), bucket(5.0, 2, false)]),
        (vec![0.0, 5.0], vec![0, 1, 2], 3)
    );
}
