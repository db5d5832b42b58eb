//! What is counted in which series, and what is flushed of them.

use opentelemetry_proto::tonic::trace::v1::{Status, span::Event};
use sluice_pipeline::{Batch, Context, budget::Budget};

use super::{
    super::store::{Outcome, Plan, Store},
    *,
};

struct Setup {
    store: Store,
    budget: Budget,
    now: u64,
}

fn store(yaml: &str) -> Setup {
    store_within(yaml, &Budget::new(1 << 30))
}

fn store_within(yaml: &str, budget: &Budget) -> Setup {
    let config: SpanMetricsConfig = decoded(yaml);
    assert_eq!(config.problems(), []);
    Setup { store: Store::new(Plan::new(&config), budget, BEGIN), budget: budget.clone(), now: BEGIN }
}

impl Setup {
    fn add(&mut self, data: &TracesData) -> Outcome {
        let bytes = data.encode_to_vec();
        let items = count::count(Signal::Traces, &bytes);
        self.store
            .add(&Batch::new(Signal::Traces, Chunk::new(bytes.into(), items), Context::default()), self.now)
    }

    fn flush(&mut self) -> Vec<Point> {
        self.now += 60 * SECOND;
        points(&self.chunks())
    }

    fn chunks(&mut self) -> Vec<Chunk> {
        let mut flush = self.store.begin_flush(self.now);
        let mut chunks: Vec<Chunk> = Vec::new();
        while let Some(some) = self.store.flush_some(&mut flush, &self.budget) {
            chunks.extend(some);
        }
        chunks
    }
}

#[test]
fn calls_and_durations_add_up_by_service_name_kind_and_status() {
    let mut setup = store("{}");
    let failed =
        Span { status: Some(Status { code: 2, message: String::new() }), ..span("buy", 2, 30, vec![]) };
    let outcome = setup.add(&shop(vec![span("buy", 2, 3, vec![]), span("buy", 2, 20_000, vec![]), failed]));
    assert_eq!(outcome, Outcome::default());
    let points = setup.flush();
    let expected = |status: &str| {
        [
            ("service.name", "shop"),
            ("span.name", "buy"),
            ("span.kind", "SPAN_KIND_SERVER"),
            ("status.code", status),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
    };
    let summary: Vec<_> = points.iter().map(|point| (point.name.as_str(), point.count, point.sum)).collect();
    assert_eq!(
        summary,
        [
            ("traces.span.metrics.calls", 1, 0.0),
            ("traces.span.metrics.calls", 2, 0.0),
            ("traces.span.metrics.duration", 1, 30.0),
            ("traces.span.metrics.duration", 2, 20_003.0),
        ]
    );
    assert_eq!(points[0].attributes, expected("STATUS_CODE_ERROR"));
    assert_eq!(points[3].attributes, expected("STATUS_CODE_UNSET"));
    assert_eq!(points[3].buckets, [0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!((points[0].unit.as_str(), points[3].unit.as_str()), ("", "ms"));
    assert_eq!(points[0].resource.len(), 2);
    assert!(points.iter().all(|point| point.times == (BEGIN, BEGIN + 60 * SECOND) && point.temporality == 2));
    // They go on adding up, from the same begin.
    setup.add(&shop(vec![span("buy", 2, 1, vec![])]));
    let later = setup.flush();
    assert_eq!((later[3].count, later[3].sum, later[3].times.0), (3, 20_004.0, BEGIN));
}

#[test]
fn deltas_begin_anew_with_every_flush() {
    let mut setup = store(
        "{aggregation_temporality: AGGREGATION_TEMPORALITY_DELTA, namespace: '', histogram: {unit: s}}",
    );
    setup.add(&shop(vec![span("buy", 2, 2500, vec![])]));
    let first = setup.flush();
    assert_eq!((first[1].name.as_str(), first[1].sum, first[1].temporality), ("duration", 2.5, 1));
    assert_eq!(first[1].times, (BEGIN, BEGIN + 60 * SECOND));
    assert_eq!(setup.flush(), []);
    setup.add(&shop(vec![span("buy", 2, 1000, vec![])]));
    let third = setup.flush();
    assert_eq!((third[0].count, third[1].sum), (1, 1.0));
    assert_eq!(third[0].times, (BEGIN + 120 * SECOND, BEGIN + 180 * SECOND));
}

#[test]
fn dimensions_come_from_the_span_then_the_resource_then_the_default() {
    let mut setup = store(
        "{dimensions: [{name: region}, {name: host.name}, {name: tier, default: free}, {name: absent}],
          exclude_dimensions: [span.kind], calls_dimensions: [{name: user}], histogram: {dimensions: [{name: route}]},
          include_instrumentation_scope: [http]}",
    );
    let attributes =
        vec![text("region", "eu"), text("host.name", "b"), text("user", "u"), text("route", "/x")];
    setup.add(&shop(vec![span("buy", 2, 1, attributes), span("buy", 2, 1, vec![])]));
    let points = setup.flush();
    assert_eq!(points.len(), 4);
    let with = points
        .iter()
        .find(|point| point.name.ends_with("calls") && point.attribute("region").is_some())
        .unwrap();
    let keys: Vec<&str> = with.attributes.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "service.name",
            "span.name",
            "status.code",
            "span.instrumentation.scope.name",
            "span.instrumentation.scope.version",
            "region",
            "host.name",
            "tier",
            "user"
        ]
    );
    assert_eq!((with.attribute("host.name"), with.attribute("tier")), (Some("b"), Some("free")));
    let without =
        points.iter().find(|point| point.name.ends_with("duration") && point.attribute("region").is_none());
    let without = without.unwrap();
    assert_eq!((without.attribute("host.name"), without.attribute("route")), (Some("a"), None));
}

#[test]
fn resources_are_told_apart_whatever_the_order_of_their_attributes() {
    let mut setup =
        store("{resource_metrics_cache_size: 2, resource_metrics_key_attributes: [service.name, host.name]}");
    let spans = || vec![span("buy", 2, 1, vec![])];
    let resource =
        |service, host, pid| vec![text("service.name", service), text("host.name", host), text("pid", pid)];
    let mut turned = resource("shop", "a", "2");
    turned.reverse();
    setup.add(&traces(resource("shop", "a", "1"), spans()));
    setup.add(&traces(turned, spans()));
    setup.now += 1;
    setup.add(&traces(resource("shop", "b", "1"), spans()));
    let counts = |points: &[Point]| -> Vec<u64> {
        let mut counts: Vec<u64> =
            points.iter().filter(|point| point.name.ends_with("calls")).map(|point| point.count).collect();
        counts.sort_unstable();
        counts
    };
    assert_eq!(counts(&setup.flush()), [1, 2]);
    let outcome = setup.add(&traces(resource("stock", "b", "1"), spans()));
    assert_eq!(outcome.evicted_resources, 1, "there may be two");
    assert_eq!(counts(&setup.flush()), [1, 1, 2], "the one without spans for longest leaves with this flush");
    assert_eq!(counts(&setup.flush()), [1, 1], "and is gone then");
    let outcome = setup.add(&traces(vec![text("host.name", "a")], spans()));
    assert_eq!(outcome.without_service, 1);
}

#[test]
fn what_has_no_room_is_counted_in_one_series() {
    let names =
        |count: usize| (0..count).map(|number| span(&format!("GET /{number}"), 2, 1, vec![])).collect();
    let mut limited = store("{aggregation_cardinality_limit: 10}");
    assert_eq!(limited.add(&shop(names(100))).over_limit, 90);
    let budget = Budget::new(200_000);
    let mut bounded = store_within("{}", &budget);
    let outcome = bounded.add(&shop(names(10_000)));
    assert!(outcome.over_budget > 9_000, "{outcome:?}");
    assert!(budget.check().is_ok(), "there is room for requests still");
    assert!(budget.queued() > 0 && budget.queued() <= budget.queue_share());
    for (setup, lost) in [(&mut limited, 90), (&mut bounded, outcome.over_budget)] {
        let points = setup.flush();
        let overflow = points
            .iter()
            .find(|point| point.name.ends_with("calls") && point.attribute("otel.metric.overflow").is_some());
        let overflow = overflow.unwrap();
        assert_eq!(overflow.attributes, [("otel.metric.overflow".to_owned(), "true".to_owned())]);
        assert_eq!(overflow.count, lost);
        let all: u64 =
            points.iter().filter(|point| point.name.ends_with("calls")).map(|point| point.count).sum();
        assert_eq!(all, if lost == 90 { 100 } else { 10_000 }, "nothing is lost");
    }
    drop(bounded);
    assert_eq!((budget.queued(), budget.used()), (0, 0));
}

#[test]
fn series_and_resources_without_spans_are_forgotten() {
    let mut setup = store("{series_expiration: 90s, metrics_expiration: 3m}");
    setup.add(&shop(vec![span("old", 2, 1, vec![]), span("new", 2, 1, vec![])]));
    assert_eq!(setup.flush().len(), 4);
    setup.add(&shop(vec![span("new", 2, 1, vec![])]));
    assert_eq!(setup.flush().len(), 4, "forgotten after it was sent once more");
    let left = setup.flush();
    assert!(left.iter().all(|point| point.attribute("span.name") == Some("new")), "{left:?}");
    for _ in 0..3 {
        setup.flush();
    }
    assert_eq!(setup.flush(), []);
}

#[test]
fn exemplars_and_events_are_there_where_asked_for() {
    let mut setup = store(
        "{exemplars: {enabled: true, max_per_data_point: 2}, events: {enabled: true, dimensions: [{name: exception.type}]},
          histogram: {exponential: {max_size: 10}}}",
    );
    let event = |kind: &str| Event {
        name: "exception".into(),
        attributes: vec![text("exception.type", kind)],
        ..Event::default()
    };
    let with_events =
        Span { events: vec![event("Io"), event("Io"), event("Parse")], ..span("buy", 2, 5, vec![]) };
    setup.add(&shop(vec![with_events, span("buy", 2, 500, vec![]), span("buy", 2, 0, vec![])]));
    let points = setup.flush();
    let duration = points.iter().find(|point| point.name.ends_with("duration")).unwrap();
    assert_eq!((duration.count, duration.exemplars), (3, 2));
    assert!(duration.buckets.len() <= 10 && duration.buckets.iter().sum::<u64>() == 2, "and one of zero");
    let events: Vec<_> = points
        .iter()
        .filter(|point| point.name.ends_with("events"))
        .map(|point| (point.attribute("exception.type").unwrap(), point.count))
        .collect();
    assert_eq!(events, [("Io", 2), ("Parse", 1)]);
    assert_eq!(setup.flush().iter().find(|point| point.name.ends_with("duration")).unwrap().exemplars, 0);
}

#[test]
fn spans_with_impossible_times_and_kinds_count_as_nothing_special() {
    let mut setup = store("{}");
    let backwards = Span { end_time_unix_nano: BEGIN - 1, kind: 77, ..span("odd", 0, 0, vec![]) };
    setup.add(&shop(vec![backwards]));
    let points = setup.flush();
    assert_eq!((points[1].sum, points[1].attribute("span.kind")), (0.0, Some("SPAN_KIND_UNSPECIFIED")));
}

#[test]
fn many_series_are_cut_into_chunks() {
    let mut setup = store("{}");
    setup.add(&shop((0..3000).map(|number| span(&format!("GET /{number}"), 2, 1, vec![])).collect()));
    let chunks = setup.chunks();
    assert!(chunks.len() > 1 && chunks.iter().all(|chunk| chunk.bytes().len() < 1 << 20));
    assert_eq!(chunks.iter().map(Chunk::items).sum::<usize>(), 6000);
}
