//! Log records as logs, exchanges and messages of agents.

use opentelemetry_proto::tonic::{
    common::v1::{ArrayValue, InstrumentationScope, KeyValueList},
    logs::v1::{LogRecord, LogsData, ResourceLogs, ScopeLogs},
};
use sluice_protocols::skywalking::v3::{
    BrowserErrorLog, BrowserPerfData, EbpfAccessLogMessage, ErrorCategory, Event, InstanceProperties,
    LogData, SpanAttachedEvent, access_log_protocol_logs::Protocol, connection_address::Address,
    log_data_body::Content, span_attached_event::SpanReferenceType,
};

use super::*;

fn group(attributes: &[(&str, &str)], records: Vec<LogRecord>) -> ResourceLogs {
    ResourceLogs {
        resource: resource(attributes),
        scope_logs: vec![ScopeLogs { log_records: records, ..ScopeLogs::default() }],
        ..ResourceLogs::default()
    }
}

fn logs(groups: Vec<ResourceLogs>) -> Batch {
    batch(Signal::Logs, &LogsData { resource_logs: groups })
}

fn body(value: Value) -> Option<AnyValue> {
    Some(AnyValue { value: Some(value) })
}

fn said(text: &str) -> Option<AnyValue> {
    body(Value::StringValue(text.to_owned()))
}

fn record(name: &str, attributes: Vec<KeyValue>) -> LogRecord {
    LogRecord { event_name: name.to_owned(), attributes, ..LogRecord::default() }
}

fn tags(log: &LogData) -> Vec<(&str, &str)> {
    let tags = log.tags.iter().flat_map(|tags| &tags.data);
    tags.map(|tag| (tag.key.as_str(), tag.value.as_str())).collect()
}

#[test]
fn each_service_has_a_stream_of_its_own() {
    let of = |service| {
        group(&[("service.name", service)], vec![LogRecord { body: said(service), ..LogRecord::default() }])
    };
    let batch = logs(vec![of("a"), of("b"), of("a")]);
    let calls = messages(&batch, &configured("{}"));
    let services: Vec<Vec<String>> = calls
        .iter()
        .map(|(_, framed)| unframed::<LogData>(framed).into_iter().map(|log| log.service).collect())
        .collect();
    assert_eq!(services, [vec!["a", "a"], vec!["b"]]);
    assert!(calls.iter().all(|(method, _)| method.path() == "/skywalking.v3.LogReportService/collect"));
}

#[test]
fn a_log_has_its_span_and_its_level() {
    let plain = LogRecord {
        time_unix_nano: 1_700_000_000_000_000_000,
        severity_number: 13,
        body: said("hello"),
        trace_id: vec![7; 16],
        span_id: vec![1; 8],
        attributes: vec![int("n", 3)],
        ..LogRecord::default()
    };
    let structured = LogRecord {
        severity_text: "warning".to_owned(),
        body: body(Value::ArrayValue(ArrayValue { values: vec![said("x").unwrap()] })),
        ..plain.clone()
    };
    let mut group = group(
        &[("service.name", "a"), ("host.name", "h"), ("service.layer", "FAAS")],
        vec![plain, structured],
    );
    group.scope_logs[0].scope = Some(InstrumentationScope { name: "shop".to_owned(), ..Default::default() });
    let sent: Vec<LogData> = sent(&logs(vec![group]), &configured("{}"), Method::Logs);
    let log = &sent[0];
    assert_eq!(
        (log.timestamp, log.service_instance.as_str(), log.layer.as_str()),
        (1_700_000_000_000, "h", "FAAS")
    );
    let context = log.trace_context.as_ref().unwrap();
    assert_eq!(context.trace_id, "07".repeat(16));
    assert_eq!(
        context.trace_segment_id,
        format!("{}.{}", "07".repeat(16), "01".repeat(8)),
        "where its span is"
    );
    assert_eq!(tags(log), [("n", "3"), ("level", "WARN"), ("logger", "shop")]);
    let Some(Content::Text(text)) = &log.body.as_ref().unwrap().content else { panic!("text") };
    assert_eq!(text.text, "hello");
    let Some(Content::Json(json)) = &sent[1].body.as_ref().unwrap().content else { panic!("JSON") };
    assert_eq!((json.json.as_str(), tags(&sent[1])[1]), ("[\"x\"]", ("level", "warning")));
}

#[test]
fn a_log_of_an_agent_goes_back_as_it_was() {
    let log = LogRecord {
        time_unix_nano: 5_000_000,
        severity_number: 17,
        severity_text: "ERROR".to_owned(),
        body: said("a: 1"),
        trace_id: vec![7; 16],
        span_id: vec![1; 8],
        attributes: vec![
            text("level", "ERROR"),
            text("skywalking.tag.sw8.x", "y"),
            text("sw8.trace_id", "t"),
            text("sw8.segment_id", "s"),
            int("sw8.span_id", 2),
            text("skywalking.log.format", "yaml"),
            text("skywalking.log.type", "yaml"),
            text("skywalking.endpoint", "/in"),
        ],
        ..LogRecord::default()
    };
    let mut group = group(&[("service.name", "a")], vec![log]);
    group.scope_logs[0].scope =
        Some(InstrumentationScope { name: "skywalking".to_owned(), ..Default::default() });
    let config = configured("{services: [{service: 'not {service.name}', layer: GENERAL}]}");
    let log: LogData = sent(&logs(vec![group]), &config, Method::Logs).remove(0);
    assert_eq!(log.service, "a", "whatever others are called");
    assert_eq!(
        (log.timestamp, log.endpoint.as_str(), log.layer.as_str(), log.service_instance.as_str()),
        (5, "/in", "", "")
    );
    assert_eq!(tags(&log), [("level", "ERROR"), ("sw8.x", "y")]);
    let context = log.trace_context.as_ref().unwrap();
    assert_eq!(
        (context.trace_id.as_str(), context.trace_segment_id.as_str(), context.span_id),
        ("t", "s", 2)
    );
    let body = log.body.unwrap();
    assert_eq!(body.r#type, "yaml");
    assert!(matches!(body.content, Some(Content::Yaml(yaml)) if yaml.yaml == "a: 1"));
}

fn exchange(role: &str, local: i64, peer: i64, more: Vec<KeyValue>) -> LogRecord {
    let second = |number: i64| number * 1_000_000_000;
    let attributes = vec![
        text("sluice.event.role", role),
        int("sluice.request.end_unix_nano", second(11)),
        int("sluice.response.start_unix_nano", second(12)),
        int("sluice.response.end_unix_nano", second(13)),
        text("http.request.method", "POST"),
        text("url.path", "/order"),
        text("server.address", "shop"),
        int("http.response.status_code", 503),
        int("http.request.size", 120),
        int("http.request.body.size", 20),
        text("network.local.address", "10.0.0.1"),
        int("network.local.port", local),
        text("network.peer.address", "10.0.0.1"),
        int("network.peer.port", peer),
    ];
    LogRecord {
        time_unix_nano: 10_000_000_000,
        ..record("sluice.http.exchange", [attributes, more].concat())
    }
}

#[test]
fn exchanges_are_access_log_records_between_named_processes() {
    let pod = |name| {
        [
            ("k8s.service.name", name),
            ("k8s.namespace.name", "shop"),
            ("k8s.pod.name", "pod-1"),
            ("host.name", "n"),
        ]
    };
    let batch = logs(vec![
        group(&pod("web"), vec![exchange("client", 4000, 80, Vec::new())]),
        group(&pod("stock"), vec![exchange("server", 80, 4000, Vec::new())]),
        group(&pod("lonely"), vec![exchange("server", 81, 4001, Vec::new())]),
    ]);
    let sent: Vec<EbpfAccessLogMessage> = sent(&batch, &configured("{}"), Method::AccessLogs);
    assert_eq!(sent.len(), 3);
    let name = |address: &Option<sluice_protocols::skywalking::v3::ConnectionAddress>| match address
        .clone()
        .unwrap()
        .address
        .unwrap()
    {
        Address::Kubernetes(process) => process.service_name,
        Address::Ip(ip) => format!("{}:{}", ip.host, ip.port),
    };
    let ends: Vec<_> = sent
        .iter()
        .map(|message| message.connection.as_ref().unwrap())
        .map(|connection| (name(&connection.local), name(&connection.remote), connection.role))
        .collect();
    assert_eq!(
        ends,
        [
            ("web.shop".to_owned(), "stock.shop".to_owned(), 0),
            ("stock.shop".to_owned(), "web.shop".to_owned(), 1),
            ("lonely.shop".to_owned(), "10.0.0.1:4001".to_owned(), 1),
        ]
    );
    let Some(Protocol::Http(http)) = sent[0].protocol_log.clone().unwrap().protocol else { panic!("HTTP") };
    let (request, response) = (http.request.unwrap(), http.response.unwrap());
    assert_eq!((request.method, request.path.as_str(), response.status_code), (1, "/order", 503));
    assert_eq!((request.size_of_headers_bytes, request.size_of_body_bytes), (100, 20));
    assert_eq!(sent[0].node.as_ref().unwrap().name, "n");
}

#[test]
fn a_sampled_exchange_is_listed_and_its_events_are_typed_after_its_header() {
    let sampled = |format: &str, more: Vec<KeyValue>| {
        let more = [
            vec![text("sluice.sampling.reason", "status_5xx"), text("sluice.trace.format", format)],
            vec![text("sluice.request.content", "POST /order"), int("sluice.response.size", 30)],
            more,
        ];
        LogRecord {
            trace_id: vec![7; 16],
            span_id: vec![1; 8],
            ..exchange("server", 80, 4000, more.concat())
        }
    };
    let sw8 = vec![
        text("sluice.sw8.trace_id", "t"),
        text("sluice.sw8.segment_id", "s"),
        int("sluice.sw8.span_id", 2),
    ];
    let syscall = KeyValueList {
        values: vec![
            text("name", "Read"),
            text("direction", "inbound"),
            int("start_unix_nano", 10_000_000_000),
            int("end_unix_nano", 10_000_000_100),
            int("size", 120),
        ],
    };
    let calls = ArrayValue { values: vec![body(Value::KvlistValue(syscall)).unwrap()] };
    let b3 = vec![pair("sluice.syscalls", Value::ArrayValue(calls))];
    let unsampled = exchange("server", 80, 4000, vec![text("sluice.sampling.reason", "ratio")]);
    let batch = logs(vec![group(
        &[("service.name", "shop")],
        vec![sampled("sw8", sw8), sampled("b3", b3), unsampled],
    )]);
    let listed: Vec<LogData> = sent(&batch, &configured("{}"), Method::Logs);
    assert_eq!(listed.len(), 2);
    assert_eq!(tags(&listed[0]), [("LOG_KIND", "NET_PROFILING_SAMPLED_TRACE")]);
    let Some(Content::Json(json)) = &listed[0].body.as_ref().unwrap().content else { panic!("JSON") };
    let json: serde_json::Value = serde_json::from_str(&json.json).unwrap();
    assert_eq!((&json["uri"], &json["latency"]), (&"/order".into(), &3000.into()));
    assert_eq!((&json["reason"], &json["trace_provider"]), (&"status_5xx".into(), &"skywalking".into()));
    let events: Vec<SpanAttachedEvent> = sent(&batch, &configured("{}"), Method::AttachedEvents);
    let names: Vec<_> = events
        .iter()
        .map(|event| (event.event.as_str(), event.trace_context.as_ref().unwrap()))
        .map(|(name, context)| {
            (name, context.r#type(), context.trace_segment_id.as_str(), context.span_id.as_str())
        })
        .collect();
    let zipkin = "01".repeat(8);
    assert_eq!(
        names,
        [
            ("HTTP Request Sampling", SpanReferenceType::Skywalking, "s", "2"),
            ("HTTP Response Sampling", SpanReferenceType::Skywalking, "s", "2"),
            ("HTTP Request Sampling", SpanReferenceType::Zipkin, "", zipkin.as_str()),
            ("HTTP Response Sampling", SpanReferenceType::Zipkin, "", zipkin.as_str()),
            ("Syscall Read", SpanReferenceType::Zipkin, "", zipkin.as_str()),
        ]
    );
}

#[test]
fn messages_of_agents_beside_spans_go_back() {
    let event = LogRecord {
        severity_number: 17,
        body: said("down"),
        ..record(
            "skywalking.event",
            vec![
                text("skywalking.event.uuid", "u"),
                text("skywalking.event.name", "Restart"),
                int("skywalking.event.start_time", 9),
            ],
        )
    };
    let properties = record(
        "skywalking.instance_properties",
        vec![text("language", "rust"), text("skywalking.tag.sw8.a", "b")],
    );
    let perf = LogRecord {
        time_unix_nano: 4_000_000,
        ..record(
            "skywalking.browser.perf",
            vec![text("url.path", "/p"), int("skywalking.browser.load_page_time", 77)],
        )
    };
    let error = record(
        "skywalking.browser.error",
        vec![text("exception.type", "promise"), int("code.line.number", 3)],
    );
    let encoded = body(Value::BytesValue(vec![0x0a, 0]));
    let mesh = LogRecord { body: encoded.clone(), ..record("skywalking.mesh.tcp", Vec::new()) };
    let broken = record("skywalking.ebpf.processes", Vec::new());
    let resource = [
        ("service.name", "a"),
        ("service.instance.id", "a-1"),
        ("service.layer", "GENERAL"),
        ("service.version", "v9"),
    ];
    let batch = logs(vec![group(&resource, vec![event, properties, perf, error, mesh, broken])]);
    let config = configured("{}");
    let event: Event = sent(&batch, &config, Method::Events).remove(0);
    assert_eq!(
        (event.uuid.as_str(), event.name.as_str(), event.r#type, event.start_time),
        ("u", "Restart", 1, 9)
    );
    assert_eq!((event.layer.as_str(), event.source.unwrap().service_instance.as_str()), ("GENERAL", "a-1"));
    let properties: InstanceProperties = sent(&batch, &config, Method::Properties).remove(0);
    let keys: Vec<_> = properties.properties.iter().map(|pair| pair.key.as_str()).collect();
    assert_eq!((keys, properties.layer.as_str()), (vec!["language", "sw8.a"], "GENERAL"));
    let perf: BrowserPerfData = sent(&batch, &config, Method::BrowserPerf).remove(0);
    assert_eq!(
        (perf.service_version.as_str(), perf.time, perf.page_path.as_str(), perf.load_page_time),
        ("v9", 4, "/p", 77)
    );
    let error: BrowserErrorLog = sent(&batch, &config, Method::BrowserErrors).remove(0);
    assert_eq!((error.category(), error.line, error.service.as_str()), (ErrorCategory::Promise, 3, "a"));
    let calls = messages(&batch, &config);
    assert_eq!(calls.iter().filter(|(method, _)| *method == Method::Mesh).count(), 1);
    assert_eq!(
        calls.iter().filter(|(method, _)| *method == Method::Processes).count(),
        0,
        "without a body it is nothing"
    );
}
