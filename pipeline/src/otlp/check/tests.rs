use proptest::prelude::*;

use super::*;
use crate::otlp::{
    reference::{self, reencode},
    testing::{any_signal, canonical_bytes, mutated_bytes, valid_bytes},
    write::Writer,
};

fn traces(fill_span: impl FnOnce(&mut Writer<'_>)) -> Bytes {
    let mut bytes = Vec::new();
    Writer::new(&mut bytes)
        .message(1, |group| group.message(2, |scope| scope.message(2, |span| fill_span(span))));
    bytes.into()
}

/// The log record's body nests as many array values as given; each is two messages.
fn nested_logs(arrays: usize) -> Bytes {
    let mut body = Vec::new();
    for _ in 0..arrays {
        let inner = std::mem::take(&mut body);
        Writer::new(&mut body).message(5, |array| array.message(1, |value| value.raw(&inner)));
    }
    let mut bytes = Vec::new();
    Writer::new(&mut bytes).message(1, |group| {
        group.message(2, |scope| {
            scope.message(2, |record| record.message(5, |value| value.raw(&body)));
        });
    });
    bytes.into()
}

#[test]
fn ids_have_their_length_or_are_empty() {
    let with_id = |length| traces(|span| span.bytes(1, &vec![7; length]));
    assert!(check(Signal::Traces, with_id(16)).is_ok());
    assert!(check(Signal::Traces, with_id(0)).is_ok());
    let error = check(Signal::Traces, with_id(15)).unwrap_err();
    assert_eq!(error, Malformed::Id { message: "Span", field: "traceId", length: 15, expected: 16 });
}

#[test]
fn a_known_field_of_another_type_is_malformed() {
    let error = check(Signal::Traces, traces(|span| span.varint(7, 1))).unwrap_err();
    assert_eq!(error, Malformed::WireType { message: "Span", number: 7 });
}

#[test]
fn nesting_is_bounded() {
    // Batch, group, scope, record and body are 5 messages.
    let deepest = (DEPTH - 5) / 2;
    assert_eq!(check(Signal::Logs, nested_logs(deepest)).unwrap().items, 1);
    assert_eq!(check(Signal::Logs, nested_logs(deepest + 1)).unwrap_err(), Malformed::Depth);
    assert_eq!(check(Signal::Logs, nested_logs(50_000)).unwrap_err(), Malformed::Depth);
}

#[test]
fn text_is_repaired_and_counted() {
    let bytes = traces(|span| {
        span.bytes(5, b"caf\xe9");
        span.message(9, |pair| pair.bytes(1, b"\xff\xfe and more than eight bytes"));
    });
    let checked = check(Signal::Traces, bytes).unwrap();
    assert_eq!((checked.items, checked.repaired, checked.canonicalised), (1, 2, false));
    let expected = traces(|span| {
        span.bytes(5, "caf\u{FFFD}".as_bytes());
        span.message(9, |pair| pair.bytes(1, "\u{FFFD}\u{FFFD} and more than eight bytes".as_bytes()));
    });
    assert_eq!(checked.bytes, expected);
}

#[test]
fn one_high_byte_is_found_in_text_of_any_length() {
    for length in 1..200 {
        for place in 0..length {
            let mut text = vec![b'a'; length];
            assert!(is_utf8(&text));
            text[place] = 0xff;
            assert!(!is_utf8(&text), "byte {place} of {length}");
        }
    }
}

#[test]
fn a_resource_after_its_spans_is_moved_before_them() {
    let mut bytes = Vec::new();
    Writer::new(&mut bytes).message(1, |group| {
        group.message(2, |scope| scope.message(2, |span| span.bytes(5, b"GET")));
        group.message(1, |resource| resource.varint(2, 3));
    });
    let checked = check(Signal::Traces, bytes.into()).unwrap();
    assert!(checked.canonicalised);
    let mut expected = Vec::new();
    Writer::new(&mut expected).message(1, |group| {
        group.message(1, |resource| resource.varint(2, 3));
        group.message(2, |scope| scope.message(2, |span| span.bytes(5, b"GET")));
    });
    assert_eq!(checked.bytes, expected);
}

proptest! {
    #[test]
    fn what_sdks_send_passes_uncopied(
        (signal, bytes) in any_signal().prop_flat_map(|signal| (Just(signal), canonical_bytes(signal))),
    ) {
        let bytes = Bytes::from(bytes);
        let checked = check(signal, bytes.clone()).unwrap();
        prop_assert_eq!(checked.bytes.as_ptr(), bytes.as_ptr());
        prop_assert_eq!((checked.repaired, checked.canonicalised), (0, false));
        prop_assert_eq!(checked.items, reference::count(signal, &bytes));
        prop_assert_eq!(count(signal, &bytes), checked.items);
    }

    #[test]
    fn any_valid_encoding_becomes_canonical_with_the_same_content(
        (signal, bytes) in any_signal().prop_flat_map(|signal| (Just(signal), valid_bytes(signal))),
    ) {
        let bytes = Bytes::from(bytes);
        let checked = check(signal, bytes.clone()).unwrap();
        prop_assert_eq!(reencode(signal, &checked.bytes), reencode(signal, &bytes));
        prop_assert_eq!(checked.items, reference::count(signal, &bytes));
        prop_assert!(checked.bytes.len() <= bytes.len());
        let again = check(signal, checked.bytes.clone()).unwrap();
        prop_assert!(!again.canonicalised);
        prop_assert_eq!(again.bytes.as_ptr(), checked.bytes.as_ptr());
    }

    #[test]
    fn broken_messages_are_refused_as_prost_refuses_them(
        (signal, bytes) in any_signal().prop_flat_map(|signal| (Just(signal), mutated_bytes(signal))),
    ) {
        let bytes = Bytes::from(bytes);
        match (reencode(signal, &bytes), check(signal, bytes.clone())) {
            (Ok(expected), Ok(checked)) => {
                prop_assert_eq!(reencode(signal, &checked.bytes).unwrap(), expected);
                prop_assert_eq!(checked.items, reference::count(signal, &checked.bytes));
            }
            (Err(_), Err(_)) | (Ok(_), Err(Malformed::Id { .. } | Malformed::Depth)) => {}
            (Err(error), Ok(checked)) => {
                prop_assert!(error.to_string().contains("UTF-8"), "only prost refuses: {}", error);
                prop_assert!(reencode(signal, &checked.bytes).is_ok());
            }
            (Ok(_), Err(error)) => prop_assert!(false, "only the check refuses: {}", error),
        }
    }

    #[test]
    fn any_bytes_end_without_panic(
        signal in any_signal(),
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let _ = check(signal, bytes.clone().into());
        prop_assert!(canonical(signal, &bytes).bytes.len() <= 3 * bytes.len() + 300);
    }
}
