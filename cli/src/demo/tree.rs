//! Prints traces as trees, with the events of each span on a time line.

use std::{collections::BTreeMap, fmt::Write};

use serde_json::Value;

/// How many characters the time line has.
const LINE: u64 = 32;
/// How many traces are printed.
const MAX_TRACES: usize = 4;
/// How deep spans are followed.
const MAX_DEPTH: usize = 16;

struct Span {
    id: String,
    parent: String,
    service: String,
    name: String,
    kind: &'static str,
    start: u64,
    end: u64,
    status: String,
    events: Vec<Event>,
}

struct Event {
    name: String,
    start: u64,
    end: u64,
    attributes: BTreeMap<String, String>,
}

/// The traces in these lines of OTLP JSON.
pub(super) fn render(lines: &str) -> String {
    let traces = collect(lines);
    let events: usize = traces.values().flatten().map(|span| span.events.len()).sum();
    let spans: usize = traces.values().map(Vec::len).sum();
    let mut text = String::new();
    let mut ordered: Vec<_> = traces.iter().collect();
    ordered.sort_by_key(|(_, spans)| spans.iter().map(|span| span.start).min());
    for (id, spans) in ordered.iter().take(MAX_TRACES) {
        let start = spans.iter().map(|span| span.start).min().unwrap_or(0);
        let end = spans.iter().map(|span| span.end).max().unwrap_or(start);
        let _ = writeln!(text, "\ntrace {id}, {} ms", milliseconds(end - start));
        let known = |parent: &str| spans.iter().any(|span| span.id == parent);
        for root in spans.iter().filter(|span| !known(&span.parent)) {
            print_span(&mut text, spans, root, (start, end), 0);
        }
    }
    let _ = writeln!(
        text,
        "\n{} traces with {spans} spans; on them {events} events that the kernel saw.\n",
        traces.len()
    );
    text
}

/// Whether so many spans are in these lines, each with the events of a request and a response if there are to be any.
pub(super) fn is_complete(lines: &str, spans: usize, with_events: bool) -> bool {
    let traces = collect(lines);
    let mut all = traces.values().flatten();
    traces.values().map(Vec::len).sum::<usize>() >= spans
        && all.all(|span| !with_events || span.events.iter().any(|event| event.name.contains("Response")))
}

fn print_span(text: &mut String, spans: &[Span], span: &Span, (start, end): (u64, u64), depth: usize) {
    if depth > MAX_DEPTH {
        return;
    }
    let indent = "   ".repeat(depth);
    let title = format!("{indent}└─ {} {} {} {}", span.service, span.kind, span.name, span.status);
    let _ = writeln!(
        text,
        "{title:<58} {} {} ms",
        bar(span.start, span.end, start, end),
        milliseconds(span.end - span.start)
    );
    let mut events: Vec<_> = span.events.iter().collect();
    events.sort_by_key(|event| event.start);
    for event in events {
        let title = format!("{indent}     {}{}", event.name, details(event));
        let _ = writeln!(
            text,
            "{title:<58} {} +{} ms",
            bar(event.start, event.end, start, end),
            milliseconds(event.start.saturating_sub(span.start))
        );
        if let Some(line) =
            event.attributes.get("sluice.event.content").and_then(|content| secret_line(content))
        {
            let _ = writeln!(text, "{indent}       {line}");
        }
    }
    for child in spans.iter().filter(|child| child.parent == span.id) {
        print_span(text, spans, child, (start, end), depth + 1);
    }
}

fn details(event: &Event) -> String {
    let get = |key: &str| event.attributes.get(key);
    let mut text = String::new();
    if let Some(direction) = get("sluice.event.direction") {
        let _ = write!(text, ", {direction}");
    }
    if let Some(size) = get("sluice.event.size") {
        let _ = write!(text, ", {size} B");
    }
    text
}

/// The line of a head that shows that secrets are blanked.
fn secret_line(content: &str) -> Option<&str> {
    content.lines().find(|line| line.to_ascii_lowercase().starts_with("authorization:"))
}

/// Where an interval lies in the time of its trace.
fn bar(from: u64, to: u64, start: u64, end: u64) -> String {
    let whole = end.saturating_sub(start).max(1);
    let place = |time: u64| (time.saturating_sub(start).min(whole) * LINE / whole).min(LINE - 1);
    let (first, last) = (place(from), place(to).max(place(from)));
    (0..LINE).map(|column| if (first..=last).contains(&column) { '█' } else { '·' }).collect()
}

fn milliseconds(nanoseconds: u64) -> String {
    let microseconds = nanoseconds / 1_000;
    format!("{}.{:03}", microseconds / 1_000, microseconds % 1_000)
}

/// Spans by trace. Lines that are no OTLP JSON are left out.
fn collect(lines: &str) -> BTreeMap<String, Vec<Span>> {
    let mut traces: BTreeMap<String, Vec<Span>> = BTreeMap::new();
    for document in lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        for resource in list(&document, "resourceSpans") {
            let attributes = attributes(&resource["resource"]);
            let service = attributes.get("service.name").cloned().unwrap_or_default();
            for span in list(resource, "scopeSpans").flat_map(|scope| list(scope, "spans")) {
                traces.entry(text(span, "traceId")).or_default().push(read_span(span, &service));
            }
        }
    }
    traces.values_mut().for_each(merge);
    traces
}

/// A late event comes on a partial span of its own: it belongs to the span with the same id.
fn merge(spans: &mut Vec<Span>) {
    spans.sort_by_key(|span| (span.id.clone(), span.start));
    let mut merged: Vec<Span> = Vec::new();
    for span in spans.drain(..) {
        match merged.last_mut() {
            Some(former) if former.id == span.id => {
                former.start = former.start.min(span.start);
                former.end = former.end.max(span.end);
                former.events.extend(span.events);
                if former.status.is_empty() {
                    (former.name, former.status) = (span.name, span.status);
                }
            }
            _ => merged.push(span),
        }
    }
    merged.sort_by_key(|span| span.start);
    *spans = merged;
}

fn read_span(span: &Value, service: &str) -> Span {
    let attributes = attributes(span);
    Span {
        id: text(span, "spanId"),
        parent: text(span, "parentSpanId"),
        service: service.to_owned(),
        name: text(span, "name"),
        kind: match span["kind"].as_u64() {
            Some(2) => "server",
            Some(3) => "client",
            _ => "internal",
        },
        start: time(&span["startTimeUnixNano"]),
        end: time(&span["endTimeUnixNano"]),
        status: attributes.get("http.response.status_code").cloned().unwrap_or_default(),
        events: list(span, "events").map(read_event).collect(),
    }
}

fn read_event(event: &Value) -> Event {
    let attributes = attributes(event);
    let start = time(&event["timeUnixNano"]);
    let end = attributes.get("sluice.event.end_unix_nano").and_then(|end| end.parse().ok()).unwrap_or(start);
    Event { name: text(event, "name"), start, end, attributes }
}

fn attributes(holder: &Value) -> BTreeMap<String, String> {
    list(holder, "attributes")
        .map(|pair| {
            let value = pair["value"].as_object().and_then(|value| value.values().next());
            let value = match value {
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
                None => String::new(),
            };
            (text(pair, "key"), value)
        })
        .collect()
}

fn list<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    value[key].as_array().into_iter().flatten()
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

fn time(value: &Value) -> u64 {
    value.as_str().and_then(|text| text.parse().ok()).or_else(|| value.as_u64()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_a_tree_with_events_at_their_time() {
        let line = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},
            "scopeSpans":[{"spans":[
            {"traceId":"t","spanId":"b","parentSpanId":"a","name":"GET /b","kind":2,"startTimeUnixNano":"2000000","endTimeUnixNano":"3000000",
             "events":[{"timeUnixNano":"2500000","name":"HTTP Request Sampling","attributes":[
               {"key":"sluice.event.end_unix_nano","value":{"intValue":"2600000"}},{"key":"sluice.event.size","value":{"intValue":"9"}},
               {"key":"sluice.event.content","value":{"stringValue":"GET /\r\nAuthorization: REDACTED\r\n"}}]}]},
            {"traceId":"t","spanId":"a","name":"GET /a","kind":3,"startTimeUnixNano":"1000000","endTimeUnixNano":"5000000"}]}]}]}"#
            .replace('\n', "");
        let text = render(&line);
        let lines: Vec<_> = text.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(lines[0], "trace t, 4.000 ms");
        assert!(lines[1].starts_with("└─ shop client GET /a"), "{text}");
        assert!(lines[2].starts_with("   └─ shop server GET /b"), "{text}");
        assert!(lines[3].contains("HTTP Request Sampling, 9 B") && lines[3].ends_with("+0.500 ms"), "{text}");
        assert!(lines[4].trim() == "Authorization: REDACTED", "{text}");
        assert!(text.contains("1 traces with 2 spans; on them 1 events"));
    }

    #[test]
    fn spans_that_are_their_own_parents_end() {
        let line = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"t","spanId":"a","parentSpanId":"a"}]}]}]}"#;
        assert!(render(line).contains("1 spans"));
        assert!(render("no json").contains("0 traces"));
    }
}
