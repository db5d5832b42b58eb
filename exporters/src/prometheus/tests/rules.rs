//! Which points are taken, and what they make of their series.

use std::time::Duration;

use opentelemetry_proto::tonic::metrics::v1::{Metric, NumberDataPoint};
use sluice_pipeline::{Reply, budget::Budget};

use super::fixture::*;

fn counted(temporality: i32, start: u64, time: u64, value: f64) -> Vec<Metric> {
    vec![sum("c", temporality, true, vec![point(TIME + start, TIME + time, value, &[])])]
}

#[test]
fn cumulative_points_are_taken_in_the_order_of_their_times() {
    let exporter = Fixture::new(|_| {});
    assert_eq!(exporter.take(counted(CUMULATIVE, 0, 10, 5.0)), Reply::Delivered);
    assert_eq!(
        exporter.take(counted(CUMULATIVE, 0, 10, 5.0)),
        Reply::Delivered,
        "a repeated request is no error"
    );
    assert_eq!(exporter.take(counted(CUMULATIVE, 0, 20, 8.0)), Reply::Delivered);
    let (items, message) = refused(exporter.take(counted(CUMULATIVE, 0, 15, 6.0)));
    assert_eq!(items, 1);
    assert!(message.contains("1 older than the last point"), "{message}");
    assert_eq!(exporter.samples(), ["c_total 8"]);
}

#[test]
fn a_newer_start_is_a_reset_and_an_older_one_another_sender() {
    let exporter = Fixture::new(|keys| keys.enable_open_metrics = true);
    exporter.take(counted(CUMULATIVE, 0, 10, 100.0));
    assert_eq!(exporter.take(counted(CUMULATIVE, 11, 12, 1.0)), Reply::Delivered);
    let (items, message) = refused(exporter.take(counted(CUMULATIVE, 0, 20, 110.0)));
    assert_eq!((items, message.contains("sender")), (1, true), "{message}");
    assert_eq!(exporter.samples(), ["c_total 1"]);
    assert!(exporter.open_metrics().contains("c_created 1700000000.000\n"));
}

#[test]
fn delta_points_add_up_whatever_their_order() {
    let exporter = Fixture::new(|_| {});
    for (start, time, value) in [(0, 10, 1.0), (20, 30, 2.0), (10, 20, 4.0), (5, 12, 8.0)] {
        assert_eq!(exporter.take(counted(DELTA, start, time, value)), Reply::Delivered);
    }
    assert_eq!(exporter.samples(), ["c_total 15"], "gaps and several senders");
    let (items, message) = refused(exporter.take(counted(DELTA, 20, 30, 2.0)));
    assert_eq!((items, message.contains("added up already")), (1, true), "{message}");
    let (items, message) = refused(exporter.take(counted(CUMULATIVE, 0, 40, 15.0)));
    assert_eq!((items, message.contains("temporality")), (1, true), "{message}");
    assert_eq!(exporter.samples(), ["c_total 15"]);
}

#[test]
fn delta_histograms_add_up_and_begin_anew_with_other_buckets() {
    let exporter = Fixture::new(|_| {});
    let take = |start, time, bounds: &[f64], counts: &[u64]| {
        exporter.take(vec![histogram(
            "h",
            DELTA,
            vec![buckets(TIME + start, TIME + time, bounds, counts, 1.5)],
        )])
    };
    take(0, 1, &[1.0], &[1, 2]);
    take(1, 2, &[1.0], &[10, 20]);
    assert_eq!(
        exporter.samples(),
        [
            "h_seconds_bucket{le=\"1\"} 11",
            "h_seconds_bucket{le=\"+Inf\"} 33",
            "h_seconds_sum 3",
            "h_seconds_count 33",
        ]
    );
    take(2, 3, &[2.0], &[1, 1]);
    assert_eq!(exporter.samples()[..2], ["h_seconds_bucket{le=\"2\"} 1", "h_seconds_bucket{le=\"+Inf\"} 2"]);
}

#[test]
fn sums_that_go_down_are_gauges_and_have_no_delta() {
    let exporter = Fixture::new(|_| {});
    let up_down = |temporality| vec![sum("u", temporality, false, vec![point(TIME, TIME, -2.0, &[])])];
    assert_eq!(exporter.take(up_down(CUMULATIVE)), Reply::Delivered);
    assert_eq!(refused(exporter.take(up_down(DELTA))).0, 1);
    assert_eq!(refused(exporter.take(up_down(0))).0, 1, "unspecified");
    assert_eq!(exporter.text(), "# HELP u What u says.\n# TYPE u gauge\nu -2\n");
}

#[test]
fn values_that_a_kind_cannot_have_are_refused() {
    let exporter = Fixture::new(|_| {});
    let none = NumberDataPoint { time_unix_nano: TIME, ..NumberDataPoint::default() };
    let mut fewer = buckets(TIME, TIME, &[1.0], &[4, 4], 1.0);
    fewer.count = 7;
    for wrong in [
        gauge("g", "", vec![none]),
        sum("c", CUMULATIVE, true, vec![point(TIME, TIME, -1.0, &[])]),
        sum("c", DELTA, true, vec![point(TIME, TIME, f64::NAN, &[])]),
        histogram("h", CUMULATIVE, vec![buckets(TIME, TIME, &[2.0, 1.0], &[1, 1, 1], 1.0)]),
        histogram("h", CUMULATIVE, vec![buckets(TIME, TIME, &[1.0], &[1, 1, 1], 1.0)]),
        histogram("h", CUMULATIVE, vec![buckets(TIME, TIME, &[f64::NAN], &[1, 1], 1.0)]),
        histogram("h", CUMULATIVE, vec![fewer]),
        gauge("---", "", vec![point(0, TIME, 1.0, &[])]),
        histogram(
            "h",
            CUMULATIVE,
            vec![buckets(TIME, TIME, &(0..3_000).map(f64::from).collect::<Vec<_>>(), &[1; 3_001], 1.0)],
        ),
        gauge("long", "", vec![point(0, TIME, 1.0, &[("a", &"x".repeat(70_000))])]),
    ] {
        let name = wrong.name.clone();
        assert_eq!(refused(exporter.take(vec![wrong])).0, 1, "{name}");
    }
    assert_eq!(exporter.text(), "");
    exporter.take(vec![gauge("g", "", vec![point(0, TIME, f64::NAN, &[])])]);
    assert_eq!(exporter.samples(), ["g NaN"], "a gauge may be anything");
    exporter.take(vec![histogram(
        "i",
        CUMULATIVE,
        vec![buckets(TIME, TIME, &[1.0, f64::INFINITY], &[1, 2, 3], 1.0)],
    )]);
    assert!(exporter.text().contains("i_seconds_bucket{le=\"1\"} 1\ni_seconds_bucket{le=\"+Inf\"} 6\n"));
}

#[test]
fn the_first_kind_and_the_first_help_of_a_name_stay() {
    let exporter = Fixture::new(|keys| keys.add_metric_suffixes = false);
    let mut second = gauge("m", "", vec![point(0, TIME, 2.0, &[("a", "b")])]);
    exporter.take(vec![gauge("m", "", vec![point(0, TIME, 1.0, &[])])]);
    second.description = "Something else.".to_owned();
    assert_eq!(exporter.take(vec![second]), Reply::Delivered);
    let (items, message) =
        refused(exporter.take(vec![sum("m", CUMULATIVE, true, vec![point(TIME, TIME, 1.0, &[])])]));
    assert_eq!((items, message.contains("another kind")), (1, true), "{message}");
    exporter.take(vec![histogram("h", CUMULATIVE, vec![buckets(TIME, TIME, &[], &[1], 1.0)])]);
    assert_eq!(refused(exporter.take(vec![gauge("h.count", "", vec![point(0, TIME, 1.0, &[])])])).0, 1);
    assert_eq!(
        exporter.samples(),
        ["h_bucket{le=\"+Inf\"} 1", "h_sum 1", "h_count 1", "m 1", "m{a=\"b\"} 2"],
        "a sample of a histogram is nobody else's name"
    );
    assert!(exporter.text().contains("# HELP m What m says.\n"));
}

#[test]
fn a_series_ends_when_its_sender_says_so() {
    let exporter = Fixture::new(|_| {});
    let gone = |time| NumberDataPoint { flags: 1, value: None, ..point(0, time, 0.0, &[("a", "b")]) };
    exporter.take(vec![gauge(
        "m",
        "",
        vec![point(0, TIME + 5, 1.0, &[("a", "b")]), point(0, TIME, 2.0, &[])],
    )]);
    assert_eq!(refused(exporter.take(vec![gauge("m", "", vec![gone(TIME)])])).0, 1, "older than the value");
    assert_eq!(exporter.take(vec![gauge("m", "", vec![gone(TIME + 6)])]), Reply::Delivered);
    assert_eq!(exporter.take(vec![gauge("m", "", vec![gone(TIME + 7)])]), Reply::Delivered);
    assert_eq!(exporter.samples(), ["m 2"]);
}

#[test]
fn series_expire_and_leave_their_name_to_any_kind() {
    let exporter = Fixture::new(|keys| {
        keys.metric_expiration = Duration::from_secs(300).into();
        keys.add_metric_suffixes = false;
    });
    exporter.take_from(
        &[("service.name", "s"), ("a", "b")],
        None,
        vec![gauge("m", "", vec![point(0, TIME, 1.0, &[])])],
    );
    let mut now = exporter.store.now();
    now.elapsed += 299_000;
    exporter.store.sweep(now);
    assert_eq!(exporter.store.series(), 2, "the series and its target");
    now.elapsed += 2_000;
    exporter.store.sweep(now);
    assert_eq!((exporter.store.series(), exporter.text().as_str()), (0, ""));
    let again = sum("m", CUMULATIVE, true, vec![point(0, TIME, 1.0, &[])]);
    assert_eq!(exporter.take(vec![again]), Reply::Delivered);
}

#[test]
fn a_cardinality_bomb_is_bounded_and_leaves_room_once_it_is_over() {
    let exporter = Fixture::new(|keys| keys.max_series = 100);
    let bomb = |from: u32| {
        (from..from + 500).map(|index| point(0, TIME, 1.0, &[("id", &index.to_string())])).collect()
    };
    let (items, message) = refused(exporter.take(vec![gauge("m", "", bomb(0))]));
    assert_eq!((items, message.contains("max_series")), (400, true), "{message}");
    assert_eq!(
        exporter.take(vec![gauge("m", "", vec![point(0, TIME, 2.0, &[("id", "7")])])]),
        Reply::Delivered
    );
    assert!(exporter.samples().contains(&"m{id=\"7\"} 2".to_owned()), "series that are there go on");
    let mut later = exporter.store.now();
    later.elapsed += 600_000;
    exporter.store.sweep(later);
    assert_eq!(refused(exporter.take(vec![gauge("m", "", bomb(1_000))])).0, 400);
}

#[test]
fn series_are_charged_to_the_budget() {
    let budget = Budget::new(100_000);
    let exporter = Fixture::within(&budget, |_| {});
    let points = (0..2_000).map(|index| point(0, TIME, 1.0, &[("id", &format!("{index:0>40}"))])).collect();
    let (items, message) = refused(exporter.take(vec![gauge("m", "", points)]));
    assert!(items > 1_000 && message.contains("memory"), "{items} {message}");
    assert!((90_000..=100_000).contains(&budget.used()), "{} bytes", budget.used());
    let mut later = exporter.store.now();
    later.elapsed += 600_000;
    exporter.store.sweep(later);
    assert_eq!(budget.used(), 0, "what expired is given back");
}

#[test]
fn a_clock_that_was_ahead_shuts_nobody_out_for_long() {
    let exporter = Fixture::new(|_| {});
    let now = exporter.store.now().unix_nano;
    let year = 365 * 24 * 3600 * SECOND;
    let take = |time, value| exporter.take(vec![gauge("m", "", vec![point(0, time, value, &[])])]);
    assert_eq!(take(now + year, 1.0), Reply::Delivered);
    assert_eq!(take(now + year + SECOND, 2.0), Reply::Delivered);
    assert_eq!(refused(take(now, 3.0)).0, 1, "until the time that counts for it");
    assert_eq!(take(now + 601 * SECOND, 4.0), Reply::Delivered);
    assert_eq!(exporter.samples(), ["m 4"]);
}
