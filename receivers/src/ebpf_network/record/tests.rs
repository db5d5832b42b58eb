use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use proptest::prelude::*;
use sluice_pipeline::{Signal, exchange::record as key, otlp::check::check};

use super::{testing::*, *};
use crate::ebpf_network::{
    exchange::{Call, Ending},
    redaction::RedactionConfig,
    socket::{Direction, Operation, Role},
    trace_context::{Context, Format},
};

fn plain(sample: &Sample) -> opentelemetry_proto::tonic::logs::v1::LogRecord {
    record(sample, &RedactionConfig::default())
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// The content of a response with these headers and this body.
fn content(headers: &str, body: &[u8]) -> String {
    let head = format!("HTTP/1.1 200 OK\r\n{headers}\r\n");
    let response = Parts::new(head.clone(), body);
    let record = plain(&Sample { response, ..Sample::new("/", 200, 1) });
    text(&record, key::RESPONSE_CONTENT).strip_prefix(&head).unwrap().to_owned()
}

#[test]
fn a_record_says_all_of_an_exchange() {
    let mut sample = Sample::new("/orders/7?expand=items&token=abc", 503, 12_400_000);
    sample.calls = vec![
        Call {
            operation: Operation::Recvfrom,
            direction: Direction::Inbound,
            start: BEGIN,
            end: BEGIN + 50,
            size: 100,
            count: 1,
            round_trip: 250,
            retransmits: 0,
        },
        Call {
            operation: Operation::Writev,
            direction: Direction::Outbound,
            start: 0,
            end: BEGIN + 300,
            size: 60,
            count: 3,
            round_trip: 0,
            retransmits: 2,
        },
    ];
    let record = plain(&sample);
    let at = |offset: u64| CLOCK.offset + BEGIN + offset;
    assert_eq!((record.time_unix_nano, record.observed_time_unix_nano), (at(0), at(12_400_000)));
    assert_eq!((record.severity_number, record.severity_text.as_str()), (17, "ERROR"));
    assert_eq!(record.event_name, "sluice.http.exchange");
    assert_eq!(record.flags, 1);
    assert_eq!((record.trace_id[0], record.trace_id[15]), (0x4b, 0x36));
    assert_eq!(record.span_id, 0x00f0_67aa_0ba9_02b7_u64.to_be_bytes());
    let body = record.body.clone().unwrap().value;
    assert_eq!(body, Some(Value::StringValue("GET /orders/7 503 12.4ms".into())));
    for (key, expected) in [
        (key::ROLE, "server"),
        (key::METHOD, "GET"),
        (key::PATH, "/orders/7"),
        (key::QUERY, "expand=items&token=REDACTED"),
        (key::SCHEME, "http"),
        (key::HOST, "shop"),
        (key::USER_AGENT, "curl/8"),
        (key::VERSION, "1.1"),
        (key::STATUS, "503"),
        (key::LOCAL_ADDRESS, "10.0.0.1"),
        (key::LOCAL_PORT, "80"),
        (key::PEER_ADDRESS, "10.20.130.4"),
        (key::PEER_PORT, "40000"),
        (key::TRACE_FORMAT, "w3c"),
        (key::TRACE_SAMPLED, "true"),
        (key::SAMPLING_REASON, "status_5xx"),
        (key::SAMPLING_RULE, "default"),
        (key::REQUEST_BODY_SIZE, "0"),
        (key::ERROR, ""),
        (key::TRUNCATED, ""),
        (key::TRACE_CONTEXTS, ""),
    ] {
        assert_eq!(text(&record, key), expected, "{key}");
    }
    for (key, offset) in
        [(key::REQUEST_END, 100), (key::RESPONSE_START, 200), (key::RESPONSE_END, 12_400_000)]
    {
        assert_eq!(text(&record, key), at(offset).to_string(), "{key}");
    }
    assert_eq!(text(&record, key::REQUEST_SIZE), sample.request.head.len().to_string());
    let Some(Value::ArrayValue(calls)) = value(&record, key::SYSCALLS) else { panic!("an array") };
    let maps: Vec<String> = calls
        .values
        .iter()
        .map(|call| {
            let Some(Value::KvlistValue(map)) = &call.value else { panic!("a map") };
            let pairs = map.values.iter().map(|pair| {
                let value = pair.value.as_ref().and_then(|value| value.value.as_ref());
                match value {
                    Some(Value::StringValue(text)) => format!("{}={text}", pair.key),
                    Some(Value::IntValue(number)) => format!("{}={number}", pair.key),
                    other => panic!("{other:?}"),
                }
            });
            pairs.collect::<Vec<_>>().join(" ")
        })
        .collect();
    let (start, end, third) = (at(0), at(50), at(300));
    assert_eq!(
        maps,
        [
            format!(
                "name=Recvfrom direction=inbound start_unix_nano={start} end_unix_nano={end} size=100 duration_nano=50 rtt_micro=250"
            ),
            format!(
                "name=Writev direction=outbound start_unix_nano={third} end_unix_nano={third} size=60 count=3 retransmits=2"
            ),
        ]
    );
}

#[test]
fn an_exchange_without_response_says_why() {
    let mut sample = Sample::new("/", 200, 1);
    (sample.status, sample.ending, sample.role) = (None, Ending::ConnectionClosed, Role::Client);
    let record = plain(&sample);
    assert_eq!(
        (text(&record, key::ERROR), text(&record, key::STATUS)),
        ("connection_closed".into(), String::new())
    );
    assert_eq!((text(&record, key::ROLE), record.severity_number), ("client".into(), 17));
    assert_eq!(record.body.unwrap().value, Some(Value::StringValue("GET / - 0.0ms".into())));
}

#[test]
fn the_first_valid_context_gives_the_ids() {
    let context =
        |format, trace_id, span_id| Context { format, trace_id, span_id, segment_id: "", sampled: None };
    let sw8 = Context { segment_id: "segment", ..context(Format::Sw8, "trace.1", "3") };
    let mut sample = Sample::new("/", 200, 1);
    sample.contexts = vec![
        context(Format::W3c, "xyz", "1"),
        context(Format::B3, "463AC35C9F6413AD", "a2fb4a1d1a96d312"),
        sw8,
    ];
    let record = plain(&sample);
    assert_eq!((record.trace_id[7], record.trace_id[8], record.trace_id[15]), (0, 0x46, 0xad));
    assert_eq!((record.flags, text(&record, key::TRACE_FORMAT)), (0, "b3".into()));
    assert_eq!(text(&record, key::TRACE_SAMPLED), "");
    assert_eq!(text(&record, key::SW8_TRACE_ID), "trace.1");
    assert_eq!(text(&record, key::SW8_SEGMENT_ID), "segment");
    assert_eq!(text(&record, key::SW8_SPAN_ID), "3");
    let all = text(&record, key::TRACE_CONTEXTS);
    for one in ["w3c:xyz:1", "b3:463AC35C9F6413AD:a2fb4a1d1a96d312", "sw8:trace.1:3"] {
        assert!(all.contains(one), "{all}");
    }
    sample.contexts = vec![sw8];
    let record = plain(&sample);
    assert!(record.trace_id.is_empty() && record.span_id.is_empty());
    assert_eq!(text(&record, key::TRACE_FORMAT), "sw8");
}

#[test]
fn bodies_of_text_are_kept() {
    for (headers, body, expected) in [
        ("Content-Type: application/json; charset=utf-8\r\n", &b"{\"a\":1}"[..], "{\"a\":1}"),
        ("content-type:TEXT/PLAIN\r\n", b"hello", "hello"),
        ("Content-Type: text/plain;charset=ISO-8859-1\r\n", b"gr\xfcn", "gr\u{fc}n"),
        ("Content-Type: text/plain\r\n", b"gr\xfcn", "gr\u{fffd}n"),
        ("Content-Type: image/png\r\n", b"\x89PNG", "[not plain, content type: image/png]"),
        (
            "Content-Type: text/html; charset=koi8-r\r\n",
            b"x",
            "[not plain, content type: text/html; charset=koi8-r]",
        ),
        ("Content-Type: text/html\r\nContent-Encoding: br\r\n", b"x", "[not plain, content encoding: br]"),
        ("", b"hello", "hello"),
        ("", b"\0\x01", "[not plain, no content type]"),
        ("Content-Type: text/plain\r\n", b"", ""),
    ] {
        assert_eq!(content(headers, body), expected, "{headers}");
    }
}

#[test]
fn compressed_bodies_are_kept_as_far_as_they_go() {
    let headers = "Content-Type: application/json\r\nContent-Encoding: gzip\r\n";
    assert_eq!(content(headers, &gzip(b"{\"a\":1,\"token\":\"abc\"}")), "{\"a\":1,\"token\":\"REDACTED\"}");
    assert_eq!(content(headers, b"no gzip"), "[not plain, content encoding: gzip]");
    // What a small body swells to is bounded.
    let bomb =
        content("Content-Type: text/plain\r\nContent-Encoding: gzip\r\n", &gzip(&vec![b'x'; 10 << 20]));
    assert!(bomb.len() <= 4096 && bomb.len() > 3900, "{}", bomb.len());
}

#[test]
fn contents_end_at_the_limit_with_a_whole_character() {
    let body = "\u{20ac}".repeat(4000);
    for pad in ["", "a", "ab"] {
        let kept = content("Content-Type: text/plain\r\n", format!("{pad}{body}").as_bytes());
        assert!(kept.trim_start_matches(pad).chars().all(|character| character == '\u{20ac}'));
        let whole = kept.len() + "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n".len();
        assert!((4094..=4096).contains(&whole), "{whole}");
    }
}

#[test]
fn records_are_grouped_by_process() {
    let config = sampling(r#"{"default":{"ratio":1}}"#);
    let mut recorder = recorder(&config, &RedactionConfig::default());
    for (id, name) in [(1, "a"), (2, "b"), (1, "a"), (1, "changed")] {
        let resource = resource(name);
        Sample::new("/", 200, 1).with(|exchange| {
            recorder.push(exchange, &ends(), Process { id, resource: &resource }, CLOCK, BEGIN)
        });
    }
    let finished = finish(&mut recorder).unwrap();
    let groups: Vec<_> = sluice_pipeline::otlp::view::resource_groups(&finished.logs)
        .map(|group| {
            let name = group.resource().attributes().next().unwrap().value.text().into_owned();
            (name, group.scope_groups().map(|scope| scope.log_records().count()).sum::<usize>())
        })
        .collect();
    assert_eq!(groups, [("a".to_owned(), 2), ("b".to_owned(), 1), ("changed".to_owned(), 1)]);
    assert_eq!((recorder.bytes(), recorder.finish()), (0, None));
}

/// What a place for a secret has beside it.
#[derive(Clone, Copy, Debug)]
struct Look {
    side: bool,
    style: usize,
    upper: u64,
    encoded: u64,
    gzip: bool,
}

impl Look {
    /// A name in mixed case.
    fn cased(self, name: &str) -> String {
        let case = |(place, character): (usize, char)| match self.upper >> (place % 64) & 1 {
            0 => character.to_ascii_lowercase(),
            _ => character.to_ascii_uppercase(),
        };
        name.chars().enumerate().map(case).collect()
    }

    /// A name in mixed case with some characters percent-encoded.
    fn percent(self, name: &str) -> String {
        let encode = |(place, character): (usize, char)| match self.encoded >> (place % 64) & 1 {
            0 => character.to_string(),
            _ => format!("%{:02X}", u32::from(character)),
        };
        self.cased(name).chars().enumerate().map(encode).collect()
    }

    /// A name in mixed case with some characters as JSON escapes.
    fn escaped(self, name: &str) -> String {
        let encode = |(place, character): (usize, char)| match self.encoded >> (place % 64) & 1 {
            0 => character.to_string(),
            _ => format!("\\u{:04x}", u32::from(character)),
        };
        self.cased(name).chars().enumerate().map(encode).collect()
    }
}

const HEADERS: [&str; 12] = [
    "Authorization",
    "Proxy-Authorization",
    "Cookie",
    "Set-Cookie",
    "WWW-Authenticate",
    "X-Api-Key",
    "X-Auth-Token",
    "X-Amz-Security-Token",
    "X-CSRF-Token",
    "X-Goog-IAP-JWT-Assertion",
    "X-Tenant-Thing",
    "Sec-WebSocket-Protocol",
];
const KEYS: [&str; 12] = [
    "password",
    "access_token",
    "api_key",
    "client_secret",
    "X-Amz-Signature",
    "sig",
    "refresh_token",
    "user[passwd]",
    "session_id",
    "jwt",
    "credit-card",
    "tenant_name",
];

/// A message in which a secret stands in one place.
fn message(place: usize, look: Look, secret: &str) -> Parts {
    let (header, key) = (HEADERS[look.style % 12], KEYS[look.style / 12 % 12]);
    let (mut target, mut headers, mut kind, mut body) =
        (String::from("/a"), String::new(), "text/plain", String::new());
    let name = look.cased(header);
    match place {
        0 => headers = format!("{name}: {secret}\r\n"),
        1 => headers = format!("{name} \t:{secret}\n"),
        2 => headers = format!("{name}:\r\n \t{secret}\r\n {secret}\r\n"),
        3 => headers = format!("X-A: 1\r{name}: x\r{secret}: y\rz\r\n"),
        4 => headers = format!(" {name}: Basic {secret}\r\n{name}: {secret}\r\n"),
        5 => target = format!("/a?b=c&{}={secret}", look.percent(key)),
        6 => target = format!("/a?next=https%3A%2F%2Fh%2F%3F{}%3D{secret}&x=1", look.percent(key)),
        7 => target = format!("http://user:{secret}@host/path"),
        8 => headers = format!("Referer: https://{secret}@host/?q=1\r\nLocation: //u:{secret}@host/\r\n"),
        9 => headers = format!("Location: https://h/cb?x=1#{}={secret}\r\n", look.percent(key)),
        10 => {
            (kind, body) = (
                "application/json; charset=utf-8",
                format!("{{\"a\":[1,{{\"{}\" : \"{secret}\"}}],\"z\":2}}", look.escaped(key)),
            )
        }
        11 => {
            (kind, body) = (
                "application/problem+json",
                format!("[{{\"{}\":{{\"x\":[\"{secret}\"]}}}}]", look.escaped(key)),
            )
        }
        12 => {
            (kind, body) = (
                "application/json",
                format!("{{\"log\":\"{{\\\"{}\\\":\\\"{secret}\\\"}}\"}}", look.cased(key)),
            )
        }
        13 => {
            (kind, body) =
                ("application/x-www-form-urlencoded", format!("a=b&{}={secret}&c=d", look.percent(key)))
        }
        14 => headers = format!("User-Agent: {} {secret}\r\n", look.cased("bearer")),
        15 => {
            body = format!("one\r\n{}: {secret}\r\ntwo {} {secret}\n", look.cased(key), look.cased("bearer"))
        }
        16 => (kind, body) = ("text/xml", format!("<a><{0}>{secret}</{0}></a>", look.cased("ns:Password"))),
        17 => {
            (kind, body) = (
                "text/html",
                format!(
                    "<input value='{secret}' name=\"{}\"><p {}={secret}>",
                    look.cased(key),
                    look.cased("secret")
                ),
            )
        }
        18 => body = format!("{} ID-{secret}", "x".repeat(look.style % 7)),
        19 => {
            (kind, body) = ("application/json", format!("{{\"url\":\"https:\\/\\/user:{secret}@host\\/\"}}"))
        }
        20 => target = format!("/a;{}={secret}", look.cased("jsessionid")),
        _ => target = format!("u:{secret}@host:443"),
    }
    let first = if look.side && !matches!(place, 5 | 6 | 7 | 14 | 20 | 21) {
        "HTTP/1.1 200 OK\r\n".to_owned()
    } else {
        format!("GET {target} HTTP/1.1\r\n")
    };
    let mut body = body.into_bytes();
    if look.gzip && !body.is_empty() {
        headers += "Content-Encoding: gzip\r\n";
        body = gzip(&body);
    }
    Parts::new(format!("{first}Host: h\r\n{headers}Content-Type: {kind}\r\n\r\n"), body)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn no_secret_gets_into_a_record(
        place in 0..22_usize,
        secret in "[A-Za-z0-9_.~-]{8,24}",
        (side, gzip) in any::<(bool, bool)>(),
        style in 0..144_usize,
        upper in any::<u64>(),
        encoded in any::<u64>(),
        cut in proptest::option::of(0..600_usize),
    ) {
        let look = Look { side, style, upper, encoded, gzip };
        let parts = message(place, look, &secret);
        let parts = match cut { Some(length) => parts.cut(length), None => parts };
        let mut sample = Sample::new("/", 200, 1);
        if parts.head.starts_with(b"HTTP") { sample.response = parts } else { sample.request = parts }
        let redaction = RedactionConfig {
            headers: vec!["x-tenant-*".into()],
            fields: vec!["Tenant_Name".into()],
            query: Vec::new(),
            patterns: vec!["ID-[A-Za-z0-9_.~-]{8}[A-Za-z0-9_.~-]*".into()],
        };
        let config = sampling(
            r#"{"default":{"ratio":1,"request":{"content":true},"response":{"content":true}}}"#,
        );
        let mut recorder = recorder(&config, &redaction);
        push(&mut recorder, &sample, BEGIN);
        let logs = finish(&mut recorder).unwrap().logs;
        for part in secret.as_bytes().windows(6) {
            prop_assert!(
                memchr::memmem::find(&logs, part).is_none(),
                "{:?} of {:?} in {:?}",
                String::from_utf8_lossy(part),
                String::from_utf8_lossy(&sample.request.head),
                String::from_utf8_lossy(&logs)
            );
        }
    }

    #[test]
    fn any_bytes_make_valid_records(
        head in proptest::collection::vec(any::<u8>(), 0..200),
        kind in "(text/html|application/json|text/xml|application/x-www-form-urlencoded|text/plain;charset=latin1)(\r\nContent-Encoding: (gzip|deflate))?",
        body in proptest::collection::vec(prop_oneof![any::<u8>(), proptest::sample::select(b"<>\"'=:&%@/\\{}[],\r\n ".as_slice())], 0..300),
        limit in 1..300_usize,
    ) {
        let mut sample = Sample::new("/", 200, 1);
        let mut whole = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n").into_bytes();
        whole.extend_from_slice(b"X: ");
        whole.extend(head.iter().filter(|byte| **byte != b'\n'));
        whole.extend_from_slice(b"\r\n\r\n");
        sample.response = Parts::new(whole, body.clone());
        sample.request = Parts::new(head, body);
        let config = sampling(&format!(
            r#"{{"default":{{"ratio":1,"request":{{"content":true,"max_size":{limit}}},"response":{{"content":true,"max_size":"64KiB"}}}}}}"#
        ));
        let mut recorder = recorder(&config, &RedactionConfig::default());
        push(&mut recorder, &sample, BEGIN);
        let finished = finish(&mut recorder).unwrap();
        prop_assert_eq!(finished.records, 1);
        let checked = check(Signal::Logs, finished.logs.clone().into()).unwrap();
        prop_assert_eq!(checked.items, 1);
        let kept = text(&records(&finished)[0], key::REQUEST_CONTENT);
        prop_assert!(kept.len() <= 3 * limit, "repairing makes three bytes of one at most");
    }
}
