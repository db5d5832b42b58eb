//! What a stream of messages says, whatever it leaves to the messages before, and however it is cut into messages.

use super::message::{Message, Value};

/// Each message for itself.
pub(super) fn of_each(messages: Vec<Message>) -> Vec<Message> {
    messages
}

/// A segment without spans says nothing.
pub(super) fn of_segments(messages: Vec<Message>) -> Vec<Message> {
    messages.into_iter().filter(|segment| !segment.all("spans").is_empty()).collect()
}

/// Of segments in collections, and of such alone.
pub(super) fn of_segments_in_any_number(messages: Vec<Message>) -> Vec<Message> {
    let alone = messages.into_iter().flat_map(|message| match message.name {
        "skywalking.v3.SegmentCollection" => message.messages("segments").cloned().collect(),
        _ => vec![message],
    });
    of_segments(alone.collect())
}

pub(super) fn of_logs(messages: Vec<Message>) -> Vec<Message> {
    carried(messages, &["service"])
}

/// Without a metric a meter only says whose the others are.
pub(super) fn of_meters(messages: Vec<Message>) -> Vec<Message> {
    let meters = carried(messages, &["service", "serviceInstance", "timestamp"]);
    let has_metric =
        |meter: &Message| !meter.all("singleValue").is_empty() || !meter.all("histogram").is_empty();
    meters.into_iter().filter(has_metric).map(with_plain_buckets).collect()
}

/// Of meters in collections, each of which is a stream for itself, and of such alone.
pub(super) fn of_meters_in_any_number(messages: Vec<Message>) -> Vec<Message> {
    match messages.first().map(|message| message.name) {
        Some("skywalking.v3.MeterDataCollection") => {
            let collections =
                messages.iter().map(|collection| collection.messages("meterData").cloned().collect());
            collections.flat_map(of_meters).collect()
        }
        _ => of_meters(messages),
    }
}

/// The bucket from negative infinity has no other bound.
fn with_plain_buckets(meter: Message) -> Message {
    let Some(histogram) = meter.messages("histogram").next().cloned() else { return meter };
    let infinite = Value::Double(f64::NEG_INFINITY.to_bits());
    let buckets = histogram.messages("values").cloned().map(|bucket| {
        match bucket.all("bucket") == [infinite.clone()] || !bucket.all("isNegativeInfinity").is_empty() {
            true => bucket.without(&["bucket"]).with("isNegativeInfinity", vec![Value::Number(1)]),
            false => bucket,
        }
    });
    let buckets = buckets.map(Value::Message).collect();
    let histogram = histogram.with("values", buckets);
    meter.with("histogram", vec![Value::Message(histogram)])
}

/// Each moment for itself; one of which there is nothing to say but its time is none.
pub(super) fn of_runtimes(messages: Vec<Message>) -> Vec<Message> {
    let each = messages.iter().flat_map(|collection| {
        let moments = collection.messages("metrics");
        let said = moments.filter(|moment| !(*moment).clone().without(&["time"]).is_empty());
        said.map(|moment| collection.clone().with("metrics", vec![Value::Message(moment.clone())]))
    });
    each.collect()
}

pub(super) fn of_meshes(messages: Vec<Message>) -> Vec<Message> {
    let lists = messages.iter().flat_map(|mesh| {
        let lists = ["httpMetrics", "tcpMetrics"].into_iter();
        lists.flat_map(|list| mesh.messages(list).map(move |metrics| (list, metrics)))
    });
    let each = lists.flat_map(|(list, metrics)| {
        metrics.messages("metrics").map(move |metric| {
            let alone = metrics.clone().with("metrics", vec![Value::Message(metric.clone())]);
            Message::new("skywalking.v3.ServiceMeshMetrics").with(list, vec![Value::Message(alone)])
        })
    });
    each.collect()
}

pub(super) fn of_access_logs(messages: Vec<Message>) -> Vec<Message> {
    carried(messages, &["node", "connection"])
}

/// Each entry for itself.
pub(super) fn of_envoy_logs(messages: Vec<Message>) -> Vec<Message> {
    let messages = carried(messages, &["identifier"]);
    let each = messages.iter().flat_map(|message| {
        let lists = ["http_logs", "tcp_logs"].into_iter();
        let lists = lists.flat_map(|list| message.messages(list).map(move |entries| (list, entries)));
        lists.flat_map(move |(list, entries)| {
            entries.messages("log_entry").map(move |entry| {
                let alone = entries.clone().with("log_entry", vec![Value::Message(entry.clone())]);
                message.clone().with(list, vec![Value::Message(alone)])
            })
        })
    });
    each.collect()
}

/// Each family for itself; one without metrics is none.
pub(super) fn of_envoy_metrics(messages: Vec<Message>) -> Vec<Message> {
    let messages = carried(messages, &["identifier"]);
    let each = messages.iter().flat_map(|message| {
        let families = message.messages("envoy_metrics");
        let families = families.filter(|family| !family.all("metric").is_empty());
        families.map(|family| message.clone().with("envoy_metrics", vec![Value::Message(family.clone())]))
    });
    each.collect()
}

/// With what the messages before said of these fields.
fn carried(messages: Vec<Message>, fields: &[&str]) -> Vec<Message> {
    let mut last = vec![Vec::new(); fields.len()];
    let carry = |message: Message| {
        fields.iter().zip(&mut last).fold(message, |message, (field, last)| match message.all(field) {
            [] => message.with(field, last.clone()),
            said => {
                *last = said.to_vec();
                message
            }
        })
    };
    messages.into_iter().map(carry).collect()
}
