//! Messages of every shape, as agents may send them.

use std::{collections::BTreeSet, ops::RangeInclusive};

use proptest::{collection::vec, option, prelude::*, sample::select};

use super::message::{Definition, Field, Kind, Message, Value, definition};

/// What nanoseconds since 1970 can hold, in milliseconds.
const TIMES: RangeInclusive<i64> = 0..=18_446_744_073_709;
/// The same of seconds with a sign, as attributes have it.
const SECONDS: RangeInclusive<i64> = 0..=9_223_372_035;

/// A message of this name: fields present and absent, at their defaults too.
pub(super) fn any_message(name: &str) -> BoxedStrategy<Message> {
    let definition = definition(name);
    let fields: Vec<_> = definition.fields.iter().map(|field| values(definition, field)).collect();
    let make = move |(values, chosen): (Vec<Vec<Value>>, prop::sample::Index)| {
        let mut message = Message::new(&definition.name);
        let exclusive = definition.fields.iter().filter(|field| field.oneof.is_some());
        let exclusive: Vec<u32> = exclusive.map(|field| field.number).collect();
        for (field, values) in definition.fields.iter().zip(values) {
            let is_chosen = || exclusive[chosen.index(exclusive.len())] == field.number;
            if field.oneof.is_none() || is_chosen() {
                message.put(field.number, values);
            }
        }
        as_sent(message)
    };
    (fields, any::<prop::sample::Index>()).prop_map(make).boxed()
}

fn values(of: &'static Definition, field: &'static Field) -> BoxedStrategy<Vec<Value>> {
    if (short(of), field.name.as_str()) == ("MeterHistogram", "values") {
        return prop_oneof![vec(value(of, field), 0..4), regular_buckets()].boxed();
    }
    match field.repeated {
        true => vec(value(of, field), 0..4).boxed(),
        false => {
            option::weighted(0.8, value(of, field)).prop_map(|value| value.into_iter().collect()).boxed()
        }
    }
}

/// The name without its package.
fn short(of: &Definition) -> &str {
    of.name.rsplit('.').next().unwrap_or_default()
}

fn value(of: &Definition, field: &Field) -> BoxedStrategy<Value> {
    match (short(of), field.name.as_str(), &field.kind) {
        ("Instant", "seconds", _) => SECONDS.prop_map(number).boxed(),
        ("Instant", "nanos", _) => (0..1_000_000_000i64).prop_map(number).boxed(),
        // Kept beside the time of its record.
        ("Event", _, Kind::Int64) => any::<i64>().prop_map(number).boxed(),
        (_, "time" | "timestamp" | "timestamp_ms" | "startTime" | "endTime", Kind::Int64) => {
            prop_oneof![TIMES, 0..3i64].prop_map(number).boxed()
        }
        ("KeyStringValuePair" | "KeyIntValuePair", "key", _) | ("Label" | "LabelPair", "name", _) => {
            key().prop_map(Value::Text).boxed()
        }
        ("SpanObject", "peer", _) => peer().prop_map(Value::Text).boxed(),
        (_, _, Kind::Text) => text().prop_map(Value::Text).boxed(),
        (_, _, Kind::Bytes) => vec(any::<u8>(), 0..9).prop_map(Value::Bytes).boxed(),
        (_, _, Kind::Double) => double().prop_map(|value| Value::Double(value.to_bits())).boxed(),
        (_, _, Kind::Bool) => (0..=1i64).prop_map(number).boxed(),
        (_, _, Kind::Int32) => prop_oneof![-2..6i32, any::<i32>()].prop_map(number).boxed(),
        (_, _, Kind::Int64) => prop_oneof![-2..6i64, any::<i64>()].prop_map(number).boxed(),
        (_, _, Kind::Unsigned32) => any::<u32>().prop_map(number).boxed(),
        (_, _, Kind::Unsigned64) => any::<u64>().prop_map(Value::Number).boxed(),
        (_, _, Kind::Enum(known)) => {
            // And what no definition knows yet.
            let values = known.iter().copied().chain([-1, 99]).collect::<Vec<i32>>();
            select(values).prop_map(number).boxed()
        }
        (_, _, Kind::Message(name)) => any_message(name).prop_map(Value::Message).boxed(),
    }
}

fn number(value: impl Into<i64>) -> Value {
    Value::Number(value.into().cast_unsigned())
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-zäß😀/.:|\u{0}-]{0,12}", "[0-9+-]{1,4}", Just("200".to_owned()), Just(String::new())]
}

/// Keys as agents choose them, and those that the mapping uses itself.
fn key() -> impl Strategy<Value = String> {
    let own = [
        "url",
        "url.full",
        "http.method",
        "http.request.method",
        "http.status_code",
        "http.response.status_code",
        "db.type",
        "db.namespace",
        "db.statement",
        "server.address",
        "server.port",
        "client.address",
        "client.port",
        "sw8.trace_id",
        "sw8.segment_id",
        "sw8.span_id",
        "skywalking.tag.url",
        "skywalking.tag.skywalking.tag.url",
        "skywalking.component_id",
        "skywalking.summary.n",
        "skywalking.event.name",
        "skywalking.endpoint",
        "skywalking.histogram.bucket",
        "sluice.event.end_unix_nano",
        "sluice.event.partial",
        "error.kind",
        "message",
        "stack",
        "exception.type",
        "exception.message",
        "exception.stacktrace",
        "event",
        "event.name",
        "level",
        "logger",
        "service.name",
        "envoy.identifier",
        "telemetry.sdk.name",
    ];
    prop_oneof!["[a-z.]{0,8}", select(own.to_vec()).prop_map(str::to_owned)]
}

fn peer() -> impl Strategy<Value = String> {
    prop_oneof![
        text(),
        "[a-z0-9.]{0,6}:[0-9]{0,6}",
        "\\[[0-9a-f:]{0,6}\\]:[0-9]{1,5}",
        Just("a:1,b:2".to_owned()),
        Just("::1".to_owned()),
    ]
}

fn double() -> impl Strategy<Value = f64> {
    let odd = [0.0, -0.0, 0.25, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN_POSITIVE];
    prop_oneof![any::<f64>(), (-3..9i32).prop_map(f64::from), select(odd.to_vec())]
}

/// Ascending lower bounds, the first of which may be negative infinity.
fn regular_buckets() -> impl Strategy<Value = Vec<Value>> {
    (any::<bool>(), vec((1..9i32, 0..9i64), 0..4)).prop_map(|(from_infinity, steps)| {
        let bucket = || Message::new("skywalking.v3.MeterBucketValue");
        let first = from_infinity
            .then(|| bucket().with("isNegativeInfinity", vec![number(1)]).with("count", vec![number(7)]));
        let rest = steps.into_iter().scan(-10, |bound, (step, count)| {
            *bound += step;
            let bound = Value::Double(f64::from(*bound).to_bits());
            Some(bucket().with("bucket", vec![bound]).with("count", vec![number(count)]))
        });
        first.into_iter().chain(rest).map(Value::Message).collect()
    })
}

/// Leaves out what nobody sends, since it has no meaning.
fn as_sent(message: Message) -> Message {
    match message.name {
        "skywalking.v3.Event" => with_distinct_parameters(message),
        "envoy.service.metrics.v3.Histogram" => with_cumulative_buckets(message),
        "envoy.service.metrics.v3.MetricFamily" => of_one_type(message),
        _ => message,
    }
}

fn with_distinct_parameters(event: Message) -> Message {
    let mut seen = BTreeSet::new();
    let entries = event
        .messages("parameters")
        .filter(|entry| seen.insert((*entry).clone().canonical().all("key").to_vec()));
    let entries = entries.cloned().map(Value::Message).collect();
    event.with("parameters", entries)
}

/// Upper bounds ascend to infinity, and counts with them.
fn with_cumulative_buckets(histogram: Message) -> Message {
    let bound = |bucket: &Message| match bucket.all("upper_bound") {
        [Value::Double(bits)] => f64::from_bits(*bits),
        _ => 0.0,
    };
    let mut bounds: Vec<f64> =
        histogram.messages("bucket").map(bound).filter(|bound| bound.is_finite()).collect();
    bounds.sort_by(f64::total_cmp);
    bounds.dedup_by(|one, other| *one == *other);
    bounds.push(f64::INFINITY);
    let step = match histogram.all("sample_count") {
        [Value::Number(count)] => count % 5,
        _ => 0,
    };
    let mut count = 0;
    let buckets = bounds.into_iter().map(|bound| {
        count += step;
        Message::new("envoy.service.metrics.v3.Bucket")
            .with("cumulative_count", vec![Value::Number(count)])
            .with("upper_bound", vec![Value::Double(bound.to_bits())])
    });
    let buckets = buckets.map(|bucket| Value::Message(bucket.canonical())).collect();
    histogram.with("bucket", buckets).with("sample_count", vec![Value::Number(count)])
}

/// Metrics of a family have the value of its type and no other.
fn of_one_type(family: Message) -> Message {
    const VALUES: [&str; 5] = ["counter", "gauge", "summary", "untyped", "histogram"];
    let kind = match family.all("type") {
        [Value::Number(number)] => *number % 5,
        _ => 0,
    };
    let own = VALUES[usize::try_from(kind).unwrap_or_default()];
    let others: Vec<_> = VALUES.into_iter().filter(|value| *value != own).collect();
    let metrics = family.messages("metric").map(|metric| {
        let metric = metric.clone().without(&others);
        match metric.all(own).is_empty() && own == "histogram" {
            true => {
                let histogram = with_cumulative_buckets(Message::new("envoy.service.metrics.v3.Histogram"));
                metric.with(own, vec![Value::Message(histogram)])
            }
            false => metric,
        }
    });
    let metrics = metrics.map(Value::Message).collect();
    family.with("metric", metrics).with("type", vec![Value::Number(kind)])
}
