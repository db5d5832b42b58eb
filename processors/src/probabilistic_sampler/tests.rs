use opentelemetry_proto::tonic::{
    common::v1::{KeyValue, any_value::Value},
    logs::v1::{LogRecord, LogsData, ResourceLogs, ScopeLogs},
    trace::v1::{ResourceSpans, ScopeSpans, Span, TracesData},
};
use proptest::prelude::*;
use prost::Message;
use sluice_pipeline::{Context, component::ComponentConfig};

use super::{
    carried::Carried,
    number::{Randomness, Threshold},
    *,
};
use crate::testing::{decoded, pair, processed, text};

const TRACE_ID: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

fn span(trace_state: &str, attributes: Vec<KeyValue>) -> Span {
    Span { trace_id: TRACE_ID.into(), trace_state: trace_state.into(), attributes, ..Span::default() }
}

async fn spans(yaml: &str, spans: Vec<Span>) -> Vec<Span> {
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let data = TracesData { resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }] };
    let data = data.encode_to_vec();
    let batch = processed::<ProbabilisticSampler>(yaml, Signal::Traces, data, Context::default()).await;
    let Some(batch) = batch else { return Vec::new() };
    let data = TracesData::decode(batch.contiguous()).unwrap();
    let spans: Vec<Span> = data
        .resource_spans
        .into_iter()
        .flat_map(|group| group.scope_spans)
        .flat_map(|group| group.spans)
        .collect();
    assert_eq!(spans.len(), batch.items());
    spans
}

/// What the `tracestate` of one span becomes; nothing if it is dropped.
async fn trace_state(yaml: &str, before: &str) -> Option<String> {
    let kept = spans(yaml, vec![span(before, vec![])]).await;
    kept.into_iter().next().map(|span| span.trace_state)
}

async fn records(yaml: &str, log_records: Vec<LogRecord>) -> Vec<LogRecord> {
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let data = LogsData { resource_logs: vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }] };
    let data = data.encode_to_vec();
    let batch = processed::<ProbabilisticSampler>(yaml, Signal::Logs, data, Context::default()).await;
    let Some(batch) = batch else { return Vec::new() };
    let data = LogsData::decode(batch.contiguous()).unwrap();
    data.resource_logs
        .into_iter()
        .flat_map(|group| group.scope_logs)
        .flat_map(|group| group.log_records)
        .collect()
}

#[test]
fn thresholds_are_written_as_the_specification_has_them() {
    for (probability, digits, threshold) in [
        (1.0, 4, "0"),
        (0.5, 4, "8"),
        (0.25, 4, "c"),
        (1.0 / 3.0, 4, "aaab"),
        (1.0 / 3.0, 1, "b"),
        (1.0 / 256.0, 4, "ff"),
        (0.001, 4, "ffbe77"),
        (1.0 / (1u64 << 56) as f64, 4, "ffffffffffffff"),
    ] {
        let of_probability = Threshold::of_probability(probability, digits).unwrap();
        assert_eq!(of_probability.text().unwrap(), threshold, "{probability}");
        assert_eq!(Threshold::parse(threshold.as_bytes()), Some(of_probability));
    }
    for wrong in ["", "g", "123456789abcdef", "-1", " 8"] {
        assert_eq!(Threshold::parse(wrong.as_bytes()), None, "{wrong:?}");
    }
    for outside in [0.0, -1.0, 1.1, f64::NAN] {
        assert_eq!(Threshold::of_probability(outside, 4), None);
    }
}

/// Calculated apart from this code, by the description of the Collector's algorithm.
#[test]
fn hashes_are_those_of_the_collector() {
    let w3c = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128.to_be_bytes();
    for (seed, id, randomness) in [
        (0, TRACE_ID, "0a680664997d65"),
        (22, TRACE_ID, "70f015595723c3"),
        (0, w3c, "fdc80d0b42008d"),
        (22, w3c, "3e50158161306b"),
    ] {
        assert_eq!(Randomness::of_hash(&id, seed).text(), randomness);
    }
}

#[tokio::test]
async fn a_share_of_all_traces_is_kept_whole_and_more_includes_less() {
    let ids = || {
        (0..10_000_u64)
            .map(|number| u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
    };
    for mode in ["hash_seed", "proportional", "equalizing"] {
        let mut before: Vec<Vec<u8>> = Vec::new();
        for percentage in [0.0, 1.0, 10.0, 50.0, 100.0, 250.0] {
            let yaml = format!("{{mode: {mode}, sampling_percentage: {percentage}, fail_closed: false}}");
            let all = ids().skip(1).flat_map(|id| {
                let span = Span { trace_id: id.to_be_bytes().into(), ..Span::default() };
                [span.clone(), span]
            });
            let kept: Vec<Vec<u8>> =
                spans(&yaml, all.collect()).await.into_iter().map(|span| span.trace_id).collect();
            assert!(kept.chunks(2).all(|two| two.len() == 2 && two[0] == two[1]), "{mode}: a trace in parts");
            assert!(before.iter().all(|id| kept.contains(id)), "{mode} {percentage}");
            let share = kept.len() as f64 / 2.0 / 9_999.0 * 100.0;
            let expected = f64::min(percentage, 100.0);
            assert!((share - expected).abs() <= 0.3 * expected, "{mode}: {share} of {expected} %");
            before = if percentage <= 10.0 { kept } else { Vec::new() };
        }
    }
}

#[tokio::test]
async fn what_is_kept_says_how_it_was_sampled() {
    let hash = Randomness::of_hash(&TRACE_ID, 0).text();
    let by_hash = trace_state("{sampling_percentage: 100}", "a=b").await;
    assert_eq!(by_hash.unwrap(), format!("ot=rv:{hash};th:0,a=b"));
    let given = "ot=th:0;rv:9b8233f7e3a151";
    for (yaml, before, after) in [
        ("{mode: equalizing, sampling_percentage: 50}", given, Some("ot=rv:9b8233f7e3a151;th:8")),
        ("{mode: equalizing, sampling_percentage: 25}", given, None),
        ("{mode: proportional, sampling_percentage: 100}", "", Some("ot=th:0")),
        // Half of half.
        (
            "{mode: proportional, sampling_percentage: 50}",
            "ot=th:8;rv:d0000000000000",
            Some("ot=rv:d0000000000000;th:c"),
        ),
        ("{mode: proportional, sampling_percentage: 50}", "ot=th:8;rv:b0000000000000", None),
        // It was sampled at less before.
        (
            "{mode: equalizing, sampling_percentage: 50}",
            "ot=th:c;rv:d0000000000000",
            Some("ot=th:c;rv:d0000000000000"),
        ),
        // What others wrote stays.
        (
            "{mode: equalizing, sampling_percentage: 50}",
            "vendor=1 , ot=rv:d0000000000000;x:y,other=2",
            Some("ot=rv:d0000000000000;th:8;x:y,vendor=1,other=2"),
        ),
    ] {
        let is = trace_state(yaml, before).await;
        let same = |text: &str| {
            let mut fields: Vec<String> = text.split([';', ',', '=']).map(str::to_owned).collect();
            fields.sort();
            fields
        };
        assert_eq!(is.as_deref().map(same), after.map(same), "{yaml} {before}: {is:?}");
    }
}

#[tokio::test]
async fn what_contradicts_itself_is_dropped_unless_told_otherwise() {
    for (mode, before, kept) in [
        ("equalizing", "ot=th:c;rv:80000000000000", "ot=rv:80000000000000;th:0"),
        ("proportional", "ot=th:xyz", "ot=th:xyz"),
        ("proportional", "ot=th", "ot=th"),
        ("hash_seed", "ot=th:8", "ot=th:8"),
        ("hash_seed", "ot=rv:80000000000000", "ot=rv:80000000000000;th:0"),
    ] {
        let yaml = format!("{{mode: {mode}, sampling_percentage: 100}}");
        assert_eq!(trace_state(&yaml, before).await, None, "{mode} {before}");
        let yaml = format!("{{mode: {mode}, sampling_percentage: 100, fail_closed: false}}");
        assert_eq!(trace_state(&yaml, before).await.as_deref(), Some(kept), "{mode} {before}");
    }
    let without_id = || vec![Span { name: "x".into(), ..Span::default() }];
    assert_eq!(spans("{sampling_percentage: 100}", without_id()).await, []);
    assert_eq!(spans("{sampling_percentage: 1, fail_closed: false}", without_id()).await.len(), 1);
}

#[tokio::test]
async fn the_priority_of_a_span_decides() {
    for (value, at_0, at_100) in [
        (Value::IntValue(1), true, true),
        (Value::IntValue(0), false, false),
        (Value::IntValue(-1), false, true),
        (Value::DoubleValue(0.5), true, true),
        (Value::DoubleValue(0.0), false, false),
        (Value::StringValue("2".into()), true, true),
        (Value::StringValue("0".into()), false, false),
        (Value::StringValue("high".into()), false, true),
        (Value::BoolValue(true), false, true),
    ] {
        for (percentage, kept) in [(0, at_0), (100, at_100)] {
            let yaml = format!("{{sampling_percentage: {percentage}}}");
            let span = span("", vec![pair("sampling.priority", value.clone())]);
            assert_eq!(
                spans(&yaml, vec![span]).await.len(),
                usize::from(kept),
                "{value:?} at {percentage} %"
            );
        }
    }
}

#[tokio::test]
async fn records_are_kept_by_an_attribute_and_say_so() {
    let record = |number: usize| LogRecord {
        attributes: vec![text("pod", &format!("pod-{number}"))],
        ..LogRecord::default()
    };
    let yaml = "{sampling_percentage: 20, attribute_source: record, from_attribute: pod}";
    let kept = records(yaml, (0..4000).map(|number| record(number / 2)).collect()).await;
    assert!((600..1000).contains(&kept.len()), "{}", kept.len());
    assert!(kept.chunks(2).all(|two| two[0] == two[1]), "a pod in parts");
    let keys: Vec<&str> = kept[0].attributes.iter().map(|pair| pair.key.as_str()).collect();
    assert_eq!(keys, ["pod", "sampling.threshold", "sampling.randomness"]);
    // 3,276 of 16,384 buckets.
    assert_eq!(kept[0].attributes[1], text("sampling.threshold", "ccd"));
    // Where it is missing nothing can be decided.
    assert_eq!(records(yaml, vec![LogRecord::default()]).await, []);
    let by_trace = "{sampling_percentage: 100, from_attribute: pod}";
    assert_eq!(records(by_trace, vec![record(1)]).await.len(), 1, "no trace id: the attribute");
}

#[tokio::test]
async fn the_priority_of_a_record_is_its_percentage() {
    let record = |number: u128, priority| LogRecord {
        trace_id: (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes().into(),
        attributes: vec![pair("priority", priority)],
        ..LogRecord::default()
    };
    for (priority, least, most) in [
        (Value::IntValue(0), 0, 0),
        (Value::IntValue(100), 1000, 1000),
        (Value::DoubleValue(250.0), 1000, 1000),
        (Value::IntValue(50), 400, 600),
        (Value::StringValue("50".into()), 50, 150),
    ] {
        let all = (0..1000).map(|number| record(number, priority.clone())).collect();
        let kept = records("{sampling_percentage: 10, sampling_priority: priority}", all).await.len();
        assert!((least..=most).contains(&kept), "{priority:?}: {kept}");
    }
}

#[test]
fn wrong_settings_are_found() {
    for (yaml, key) in [
        ("{sampling_percentage: -1}", "sampling_percentage"),
        ("{sampling_percentage: .nan}", "sampling_percentage"),
        ("{sampling_percentage: 1e-30}", "sampling_percentage"),
        ("{sampling_percentage: 1, sampling_precision: 0}", "sampling_precision"),
        ("{sampling_percentage: 1, sampling_precision: 15}", "sampling_precision"),
    ] {
        let problems = decoded::<ProbabilisticSamplerConfig>(yaml).problems();
        assert_eq!(problems.len(), 1, "{yaml}");
        assert_eq!(problems[0].key, key);
    }
    assert_eq!(ProbabilisticSamplerConfig::default().problems(), []);
}

proptest! {
    #[test]
    fn any_trace_state_is_read_without_harm(before in "[ -~]{0,80}|ot=((th|rv|x):[0-9a-z]{0,16};?){0,4}(,a=b)?") {
        if let Ok(carried) = Carried::of_trace_state(before.as_bytes()) {
            let after = carried.trace_state(before.as_bytes());
            prop_assert_eq!(Carried::of_trace_state(&after), Ok(carried));
            prop_assert_eq!(carried.trace_state(&after), after);
        }
    }

    #[test]
    fn any_bytes_as_trace_state_are_read_without_harm(before: Vec<u8>) {
        let _ = Carried::of_trace_state(&before).map(|carried| carried.trace_state(&before));
    }

    #[test]
    fn a_threshold_keeps_about_its_share(probability in 1e-6_f64..=1.0, digits in 1_u8..=14) {
        let threshold = Threshold::of_probability(probability, digits).unwrap();
        let unit = 16_f64.powi(-i32::from(digits));
        let reject = 1.0 - probability;
        prop_assert!((threshold.probability() - probability).abs() <= 8.0 * unit * reject + 2_f64.powi(-55), "{threshold:?}");
        prop_assert_eq!(Threshold::parse(threshold.text().unwrap_or_else(|| "0".into()).as_bytes()).is_some(), true);
    }
}
