//! What a span becomes in v2.

use super::{annotation, json};

/// The spans that one with these members beside its ids becomes, without what all have in common.
fn split(members: &str) -> Vec<String> {
    let spans = json(&format!(r#"[{{"traceId":"a","id":"b",{members}}}]"#));
    let common = r#"[{"traceId":"0000000000000000000000000000000a","id":"000000000000000b""#;
    spans
        .iter()
        .map(|span| {
            let rest = span.strip_prefix(common).unwrap_or_else(|| panic!("{span}"));
            let (members, typed) = rest.rsplit_once("}]").unwrap();
            format!("{}{typed}", members.trim_start_matches(','))
        })
        .collect()
}

fn annotations(list: &[(u64, &str, &str)]) -> String {
    let list: Vec<_> =
        list.iter().map(|(timestamp, value, service)| annotation(*timestamp, value, service)).collect();
    format!(r#""annotations":[{}]"#, list.join(","))
}

fn address(key: &str, service: &str) -> String {
    format!(r#"{{"key":"{key}","value":true,"endpoint":{{"serviceName":"{service}"}}}}"#)
}

#[test]
fn a_client_span_takes_its_times_from_its_annotations() {
    let members =
        annotations(&[(10, "cs", "web"), (12, "ws", "web"), (15, "hello", "web"), (30, "cr", "web")]);
    assert_eq!(
        split(&format!(r#"{members},"name":"get","binaryAnnotations":[{}]"#, address("sa", "db"))),
        [
            r#""kind":"CLIENT","name":"get","timestamp":10,"duration":20,"localEndpoint":{"serviceName":"web"},"remoteEndpoint":{"serviceName":"db"},"annotations":[{"timestamp":15,"value":"hello"},{"timestamp":12,"value":"ws"}]"#
        ]
    );
    let members = annotations(&[(10, "cs", "web"), (30, "cr", "web")]);
    assert_eq!(
        split(&format!(r#"{members},"timestamp":9,"duration":22"#)),
        [r#""kind":"CLIENT","timestamp":9,"duration":22,"localEndpoint":{"serviceName":"web"}"#],
        "the span's own times come first"
    );
}

#[test]
fn a_span_of_both_ends_is_split() {
    let members = annotations(&[
        (10, "cs", "web"),
        (14, "sr", "db"),
        (16, "rows", "db"),
        (18, "ss", "db"),
        (30, "cr", "web"),
    ]);
    let tags = r#""binaryAnnotations":[{"key":"sql","value":"select","endpoint":{"serviceName":"DB"}},
        {"key":"path","value":"/","endpoint":{"serviceName":"web"}}]"#;
    assert_eq!(
        split(&format!(r#"{members},"timestamp":9,"duration":22,{tags}"#)),
        [
            r#""kind":"CLIENT","timestamp":9,"duration":22,"localEndpoint":{"serviceName":"web"},"tags":{"path":"/"}"#,
            r#""kind":"SERVER","timestamp":14,"duration":4,"localEndpoint":{"serviceName":"db"},"annotations":[{"timestamp":16,"value":"rows"}],"tags":{"sql":"select"},"shared":true"#,
        ]
    );
}

#[test]
fn a_service_that_asks_itself_has_both_spans() {
    let members = annotations(&[(10, "cs", "web"), (14, "sr", "web"), (18, "ss", "web"), (30, "cr", "web")]);
    assert_eq!(
        split(&members),
        [
            r#""kind":"CLIENT","timestamp":10,"duration":20,"localEndpoint":{"serviceName":"web"}"#,
            r#""kind":"SERVER","timestamp":14,"duration":4,"localEndpoint":{"serviceName":"web"},"shared":true"#,
        ]
    );
}

#[test]
fn a_server_without_times_of_its_own_shares_the_span() {
    let members = annotations(&[(14, "sr", "db"), (18, "ss", "db")]);
    let server = r#""kind":"SERVER","timestamp":14,"duration":4,"localEndpoint":{"serviceName":"db"}"#;
    assert_eq!(split(&members), [format!(r#"{server},"shared":true"#)]);
    assert_eq!(split(&format!(r#"{members},"timestamp":14,"duration":4"#)), [server]);
}

#[test]
fn an_incomplete_request_keeps_its_end_as_an_annotation() {
    assert_eq!(
        split(&annotations(&[(30, "cr", "web")])),
        [
            r#""kind":"CLIENT","localEndpoint":{"serviceName":"web"},"annotations":[{"timestamp":30,"value":"cr"}]"#
        ]
    );
    assert_eq!(
        split(&format!(r#"{},"timestamp":10,"duration":20"#, annotations(&[(30, "cr", "web")]))),
        [r#""kind":"CLIENT","timestamp":10,"duration":20,"localEndpoint":{"serviceName":"web"}"#],
        "timestamp and duration say when it began"
    );
    assert_eq!(
        split(&annotations(&[(10, "cs", "web")])),
        [r#""kind":"CLIENT","timestamp":10,"localEndpoint":{"serviceName":"web"}"#]
    );
}

#[test]
fn messages_have_producers_and_consumers() {
    let broker = format!(r#""binaryAnnotations":[{}]"#, address("ma", "kafka"));
    assert_eq!(
        split(&format!("{},{broker}", annotations(&[(10, "ms", "web"), (13, "ws", "web")]))),
        [
            r#""kind":"PRODUCER","timestamp":10,"duration":3,"localEndpoint":{"serviceName":"web"},"remoteEndpoint":{"serviceName":"kafka"}"#
        ]
    );
    let members =
        annotations(&[(10, "ms", "web"), (13, "ws", "web"), (20, "wr", "mail"), (26, "mr", "mail")]);
    assert_eq!(
        split(&format!("{members},{broker}")),
        [
            r#""kind":"PRODUCER","timestamp":10,"duration":3,"localEndpoint":{"serviceName":"web"},"remoteEndpoint":{"serviceName":"kafka"}"#,
            r#""kind":"CONSUMER","timestamp":20,"duration":6,"localEndpoint":{"serviceName":"mail"},"remoteEndpoint":{"serviceName":"kafka"},"shared":true"#,
        ]
    );
}

#[test]
fn addresses_alone_say_what_a_span_is() {
    let addresses = |list: &[String]| split(&format!(r#""binaryAnnotations":[{}]"#, list.join(",")));
    assert_eq!(
        addresses(&[address("ca", "web"), address("sa", "db")]),
        [r#""localEndpoint":{"serviceName":"web"},"remoteEndpoint":{"serviceName":"db"}"#]
    );
    assert_eq!(addresses(&[address("sa", "db")]), [r#""remoteEndpoint":{"serviceName":"db"}"#]);
    assert_eq!(
        addresses(&[address("ca", "web")]),
        [r#""kind":"SERVER","remoteEndpoint":{"serviceName":"web"}"#]
    );
    assert_eq!(
        addresses(&[
            address("sa", "db").replace("true", "false"),
            address("sa", "db").replace("true", "\"1\"")
        ]),
        [r#""localEndpoint":{"serviceName":"db"},"remoteEndpoint":{"serviceName":"db"} sa=Boolean(false)"#]
    );
}

#[test]
fn a_server_that_names_its_client_like_itself_does_not_call_itself() {
    let host = r#"{"serviceName":"db","ipv4":"10.0.0.1","port":1}"#;
    let answer = |client: &str| {
        split(&format!(
            r#""annotations":[{{"timestamp":1,"value":"sr","endpoint":{host}}},{{"timestamp":2,"value":"ss","endpoint":{host}}}],
               "timestamp":1,"duration":1,"binaryAnnotations":[{{"key":"ca","value":true,"endpoint":{client}}}]"#
        ))
        .remove(0)
    };
    let other_port = answer(r#"{"serviceName":"DB","ipv4":"10.0.0.1","port":2}"#);
    assert!(other_port.contains(r#""remoteEndpoint":{"ipv4":"10.0.0.1","port":2}"#), "{other_port}");
    assert!(!answer(host).contains("remoteEndpoint"));
}

#[test]
fn tags_are_of_every_type() {
    assert_eq!(
        split(
            r#""binaryAnnotations":[{"key":"t","value":"1"},{"key":"b","value":false},{"key":"n","value":-3},
               {"key":"d","value":1.5},{"key":"t","value":"2"},{"key":"none","value":null},{"key":"lc","value":"job"}]"#
        ),
        [r#""tags":{"component":"job","none":"","t":"2"} b=Boolean(false) d=Double(1.5) n=Integer(-3)"#]
    );
    let local = r#""binaryAnnotations":[{"key":"lc","value":"","endpoint":{"serviceName":"web"}}]"#;
    assert_eq!(split(local), [r#""localEndpoint":{"serviceName":"web"}"#]);
    let both = r#""binaryAnnotations":[{"key":"lc","value":"a"},{"key":"component","value":"b"}]"#;
    assert_eq!(split(both), [r#""tags":{"component":"b","lc":"a"}"#]);
}
