use proptest::prelude::*;

use super::*;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";
const SW8: &str = "1-dHJhY2UuMQ==-c2VnbWVudC4x-3-c3Zj-aW5zdA==-L2FwaQ==-MTAuMC4wLjE6ODA=";

fn read(headers: &[(&str, &str)]) -> Carried {
    let mut found = Headers::default();
    for (name, value) in headers {
        found.add(name.as_bytes(), value.as_bytes());
    }
    let mut carried = Carried::default();
    carried.read(&found);
    carried
}

fn ids(headers: &[(&str, &str)]) -> Vec<(Format, String, String)> {
    read(headers)
        .contexts()
        .iter()
        .map(|context| (context.format, context.trace_id.to_owned(), context.span_id.to_owned()))
        .collect()
}

fn sampled(headers: &[(&str, &str)]) -> Option<bool> {
    read(headers).contexts().sampled()
}

#[test]
fn traceparent_by_the_specification() {
    let valid = format!("00-{TRACE}-{SPAN}-01");
    assert_eq!(ids(&[("TraceParent", &valid)]), [(Format::W3c, TRACE.to_owned(), SPAN.to_owned())]);
    assert_eq!(sampled(&[("traceparent", &valid)]), Some(true));
    assert_eq!(sampled(&[("traceparent", &format!("00-{TRACE}-{SPAN}-02"))]), Some(false));
    assert_eq!(sampled(&[("traceparent", &format!(" 00-{TRACE}-{SPAN}-ff\t"))]), Some(true));
    for later in [format!("01-{TRACE}-{SPAN}-01"), format!("cc-{TRACE}-{SPAN}-01-what-comes-later")] {
        assert_eq!(ids(&[("traceparent", &later)]).len(), 1, "{later}");
    }
}

#[test]
fn a_traceparent_that_is_invalid_is_none() {
    for invalid in [
        String::new(),
        format!("ff-{TRACE}-{SPAN}-01"),
        format!("00-{}-{SPAN}-01", "0".repeat(32)),
        format!("00-{TRACE}-{}-01", "0".repeat(16)),
        format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
        format!("00-{TRACE}-{}-01", SPAN.to_uppercase()),
        format!("00-{TRACE}-{SPAN}-0A"),
        format!("0G-{TRACE}-{SPAN}-01"),
        format!("00-{TRACE}-{SPAN}-01-more"),
        format!("00-{TRACE}-{SPAN}-01-"),
        format!("01-{TRACE}-{SPAN}-01more"),
        format!("00-{TRACE}-{SPAN}-1"),
        format!("00-{TRACE}-{SPAN}"),
        format!("00_{TRACE}-{SPAN}-01"),
        format!("00-{TRACE}_{SPAN}-01"),
        format!("00-{TRACE}-{SPAN}_01"),
        format!("00-{TRACE}é-{SPAN}-01"),
    ] {
        assert_eq!(ids(&[("traceparent", &invalid)]), [], "{invalid}");
    }
    let valid = format!("00-{TRACE}-{SPAN}-01");
    assert_eq!(ids(&[("traceparent", &valid), ("Traceparent", &valid)]), [], "two of them");
}

#[test]
fn b3_in_one_header() {
    let both = |trace: &str| [(Format::B3, trace.to_owned(), SPAN.to_owned())];
    let short = "8448eb211c80319c";
    for (value, decision) in [
        (format!("{TRACE}-{SPAN}"), None),
        (format!("{TRACE}-{SPAN}-1"), Some(true)),
        (format!("{TRACE}-{SPAN}-0"), Some(false)),
        (format!("{TRACE}-{SPAN}-d"), Some(true)),
        (format!("{TRACE}-{SPAN}-1-05e3ac9a4f6e3b90"), Some(true)),
        (format!("{TRACE}-{SPAN}-05e3ac9a4f6e3b90"), None),
    ] {
        assert_eq!(ids(&[("b3", &value)]), both(TRACE), "{value}");
        assert_eq!(sampled(&[("B3", &value)]), decision, "{value}");
    }
    assert_eq!(ids(&[("b3", &format!("{short}-{SPAN}-1"))]), both(short));
    for (alone, decision) in [("0", false), ("1", true), ("d", true)] {
        assert_eq!((ids(&[("b3", alone)]), sampled(&[("b3", alone)])), (vec![], Some(decision)));
    }
    for invalid in [
        String::new(),
        "2".into(),
        "D".into(),
        TRACE.into(),
        format!("{TRACE}-"),
        format!("{}-{SPAN}-1", &TRACE[1..]),
        format!("{TRACE}-{}-1", &SPAN[1..]),
        format!("{TRACE}-{TRACE}-1"),
        format!("{}-{SPAN}-1", "0".repeat(32)),
        format!("{TRACE}-{}-1", "0".repeat(16)),
        format!("{TRACE}-{SPAN}-2"),
        format!("{TRACE}-{SPAN}-1-short"),
        format!("{TRACE}-{SPAN}-1-05e3ac9a4f6e3b90-more"),
        format!("g{}-{SPAN}-1", &TRACE[1..]),
    ] {
        assert_eq!((ids(&[("b3", &invalid)]), sampled(&[("b3", &invalid)])), (vec![], None), "{invalid}");
    }
}

#[test]
fn b3_in_several_headers() {
    let (trace, span) = (("X-B3-TraceId", TRACE), ("x-b3-spanid", SPAN));
    let found = [(Format::B3Multi, TRACE.to_owned(), SPAN.to_owned())];
    assert_eq!(ids(&[trace, span]), found);
    assert_eq!(ids(&[trace, span, ("X-B3-ParentSpanId", "05e3ac9a4f6e3b90")]), found);
    assert_eq!(ids(&[trace]), [], "half a context");
    assert_eq!(ids(&[span]), [], "half a context");
    assert_eq!(ids(&[trace, span, span]), [], "which of the two?");
    assert_eq!(sampled(&[trace, span]), None);
    assert_eq!(sampled(&[("x-b3-sampled", "0")]), Some(false));
    assert_eq!(sampled(&[("x-b3-sampled", "true")]), Some(true));
    assert_eq!(sampled(&[("x-b3-sampled", "maybe")]), None);
    assert_eq!(sampled(&[("x-b3-flags", "1"), ("x-b3-sampled", "0")]), Some(true), "debug wins");
    assert_eq!(sampled(&[("x-b3-flags", "0"), ("x-b3-sampled", "0")]), Some(false));
}

#[test]
fn sw8_is_decoded() {
    let carried = read(&[("sw8", SW8)]);
    let contexts = carried.contexts();
    let context = contexts.first().unwrap();
    assert_eq!(
        *context,
        Context {
            format: Format::Sw8,
            trace_id: "trace.1",
            span_id: "3",
            segment_id: "segment.1",
            sampled: Some(true)
        }
    );
    assert_eq!((context.trace_id_bytes(), context.span_id_bytes()), (None, None));
    assert_eq!(ids(&[("sw8", &SW8.replace('=', ""))]).len(), 1, "without padding");
    assert_eq!(sampled(&[("sw8", &SW8.replacen('1', "0", 1))]), Some(false));
}

#[test]
fn sw8_that_is_not_in_order_is_skipped() {
    for invalid in [
        String::new(),
        SW8.replace("dHJhY2UuMQ==", "%%%"),
        SW8.replace("dHJhY2UuMQ==", ""),
        SW8.replace("c2VnbWVudC4x", ""),
        SW8.replace("c2VnbWVudC4x", "/w=="),
        SW8.replace("-3-", "--"),
        SW8.replace("-3-", "-x-"),
        SW8.replace("-3-", "-+3-"),
        SW8.replace("-3-", "-99999999999-"),
        SW8.replace("aW5zdA==", "!"),
        SW8.replacen('1', "2", 1),
        format!("{SW8}-more"),
        SW8.rsplit_once('-').unwrap().0.to_owned(),
        format!("{SW8}{}", "A".repeat(2048)),
    ] {
        assert_eq!((ids(&[("sw8", &invalid)]), sampled(&[("sw8", &invalid)])), (vec![], None), "{invalid}");
    }
}

#[test]
fn all_are_kept_in_order_of_precedence() {
    let (w3c, b3) = (format!("00-{TRACE}-{SPAN}-00"), format!("{TRACE}-{SPAN}-1"));
    let all = [
        ("sw8", SW8),
        ("x-b3-spanid", SPAN),
        ("x-b3-traceid", TRACE),
        ("b3", b3.as_str()),
        ("traceparent", w3c.as_str()),
    ];
    let formats: Vec<_> = ids(&all).into_iter().map(|(format, ..)| format).collect();
    assert_eq!(formats, [Format::W3c, Format::B3, Format::B3Multi, Format::Sw8]);
    assert_eq!(sampled(&all), Some(false), "of the first");
    let carried = read(&all);
    let contexts = carried.contexts();
    let mut reversed: Vec<_> = contexts.iter().copied().collect();
    reversed.reverse();
    let again: Contexts<'_> = reversed.into_iter().collect();
    assert_eq!(again.iter().count(), 4);
    assert_eq!(again.first().map(|context| context.format), Some(Format::W3c));
}

#[test]
fn ids_become_bytes() {
    let carried = read(&[("b3", &format!("8448EB211C80319C-{SPAN}"))]);
    let contexts = carried.contexts();
    let context = contexts.first().unwrap();
    let padded = [0, 0, 0, 0, 0, 0, 0, 0, 0x84, 0x48, 0xeb, 0x21, 0x1c, 0x80, 0x31, 0x9c];
    assert_eq!(context.trace_id_bytes(), Some(padded));
    assert_eq!(context.span_id_bytes(), Some([0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31]));
}

#[test]
fn a_buffer_used_again_forgets() {
    let mut carried = read(&[("sw8", SW8), ("b3", "1")]);
    carried.read(&Headers::default());
    assert_eq!((carried.contexts().first(), carried.contexts().sampled()), (None, None));
}

proptest! {
    #[test]
    fn valid_ids_come_back(trace in 1u128.., span in 1u64.., flags in 0u8..) {
        let value = format!("00-{trace:032x}-{span:016x}-{flags:02x}");
        let carried = read(&[("traceparent", &value)]);
        let contexts = carried.contexts();
        let context = contexts.first().unwrap();
        prop_assert_eq!(context.trace_id_bytes(), Some(trace.to_be_bytes()));
        prop_assert_eq!(context.span_id_bytes(), Some(span.to_be_bytes()));
        prop_assert_eq!(context.sampled, Some(flags & 1 == 1));
    }

    #[test]
    fn whatever_is_found_is_well_formed(values in prop::collection::vec((0usize..7, "[-0-9a-fdA=/+ .]{0,60}"), 0..8)) {
        const NAMES: [&str; 7] =
            ["traceparent", "b3", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled", "x-b3-flags", "sw8"];
        let headers: Vec<_> = values.iter().map(|(name, value)| (NAMES[*name], value.as_str())).collect();
        for context in read(&headers).contexts().iter() {
            if context.format == Format::Sw8 {
                prop_assert!(!context.trace_id.is_empty() && !context.segment_id.is_empty());
                prop_assert!(context.span_id.parse::<i32>().is_ok());
            } else {
                prop_assert!(context.trace_id_bytes().is_some_and(|id| id != [0; 16]));
                prop_assert!(context.span_id_bytes().is_some_and(|id| id != [0; 8]));
            }
        }
    }
}
