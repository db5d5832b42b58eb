//! What holds of any spans and any bytes.

use std::{borrow::Cow, net::Ipv4Addr};

use proptest::prelude::*;

use super::{
    super::span::{BinaryAnnotation, Scalar, SourceAnnotation, SourceSpan, Value},
    super::split,
    json, read_json, read_thrift, thrift,
    write::{json_list, list},
};
use crate::zipkin::{Endpoint, MAX_TIME};

fn text() -> impl Strategy<Value = Cow<'static, str>> {
    "[a-z\"\\\\ é😀]{0,6}".prop_map(Cow::Owned)
}

fn host() -> impl Strategy<Value = Option<Endpoint<'static>>> {
    let endpoint = ("[a-c]?", any::<Option<[u8; 4]>>(), any::<Option<[u8; 16]>>(), 0..3_u16).prop_map(
        |(service_name, ipv4, ipv6, port)| Endpoint {
            service_name: service_name.into(),
            ipv4: ipv4.map(Ipv4Addr::from).filter(|address| !address.is_unspecified()),
            ipv6: ipv6.map(Into::into),
            port,
        },
    );
    proptest::option::of(endpoint).prop_map(|host| host.filter(|host| !host.is_absent()))
}

fn value() -> impl Strategy<Value = Value<'static>> {
    prop_oneof![
        text().prop_map(Value::Text),
        any::<bool>().prop_map(|value| Value::Scalar(Scalar::Boolean(value))),
        any::<i64>().prop_map(|value| Value::Scalar(Scalar::Integer(value))),
        // Those that JSON writes as no integer.
        (-1000_i32..1000).prop_map(|value| Value::Scalar(Scalar::Double(f64::from(value) + 0.5))),
    ]
}

prop_compose! {
    fn span()(
        trace_id in any::<u128>().prop_map(|id| id.max(1).to_be_bytes()),
        id in any::<u64>().prop_map(|id| id.max(1).to_be_bytes()),
        parent_id in proptest::option::of(any::<u64>().prop_map(|id| id.max(1).to_be_bytes())),
        name in text(),
        timestamp in prop_oneof![0..60_u64, 0..=MAX_TIME],
        duration in 0..60_u64,
        annotations in proptest::collection::vec(
            (0..60_u64, prop_oneof![text(), "[csmw][sr]".prop_map(Cow::Owned)], host())
                .prop_map(|(timestamp, value, endpoint)| SourceAnnotation { timestamp, value, endpoint }),
            0..8,
        ),
        binary_annotations in proptest::collection::vec(
            (prop_oneof![text(), "[csm]a|lc".prop_map(Cow::Owned)], value(), host())
                .prop_map(|(key, value, endpoint)| BinaryAnnotation { key, value, endpoint }),
            0..8,
        ),
        debug in any::<bool>(),
    ) -> SourceSpan<'static> {
        SourceSpan { trace_id, id, parent_id, name, timestamp, duration, annotations, binary_annotations, debug }
    }
}

proptest! {
    #[test]
    fn both_encodings_give_the_same_spans(spans in proptest::collection::vec(span(), 0..4)) {
        let read = json(&json_list(&spans));
        prop_assert!(read.len() >= spans.len());
        prop_assert_eq!(thrift(&list(&spans)), read);
    }

    /// Splitting loses no annotation and no tag: each is a time, a kind, an address, or there.
    #[test]
    fn what_means_nothing_to_zipkin_stays(
        times in proptest::collection::vec((0..60_u64, "[a-z]{3}", host()), 0..8),
        core in proptest::collection::vec((0..60_u64, "[csmw][sr]", host()), 0..8),
    ) {
        let list = times.iter().chain(&core).map(|(timestamp, value, endpoint)| SourceAnnotation {
            timestamp: *timestamp, value: value.as_str().into(), endpoint: endpoint.clone(),
        });
        let source = SourceSpan { trace_id: [1; 16], id: [1; 8], annotations: list.collect(), ..SourceSpan::default() };
        let (mut kept, mut hosts) = (Vec::new(), Vec::new());
        split::split(source).unwrap().hand_over(&mut |span, _| {
            hosts.push(span.local_endpoint.service_name.clone().into_owned());
            kept.extend(span.annotations.iter().filter(|kept| kept.value.len() == 3).map(|kept| {
                (kept.timestamp, kept.value.clone().into_owned(), hosts.last().unwrap().clone())
            }));
        });
        prop_assert_eq!(kept.len(), times.len());
        for (timestamp, value, endpoint) in times {
            let service = endpoint.map_or_else(|| hosts[0].clone(), |endpoint| endpoint.service_name.into_owned());
            prop_assert!(kept.contains(&(timestamp, value, service)));
        }
    }

    #[test]
    fn any_bytes_end_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        _ = read_json(&bytes, |_, _| {});
        _ = read_thrift(&bytes, |_, _| {});
    }

    #[test]
    fn a_damaged_list_ends_without_panic(spans in proptest::collection::vec(span(), 1..3), at in any::<usize>(), byte in any::<u8>()) {
        for mut body in [list(&spans), json_list(&spans).into_bytes()] {
            let place = at % body.len();
            body[place] = byte;
            _ = read_thrift(&body, |_, _| {});
            _ = read_json(&body, |_, _| {});
            _ = read_thrift(&body[..place], |_, _| {});
        }
    }
}
