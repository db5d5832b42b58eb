//! Log records of all kinds but Envoy's.

use super::*;

#[test]
fn a_log_has_its_context_and_severity() {
    let log = v3::LogData {
        timestamp: 5,
        service: "shop".to_owned(),
        endpoint: "/buy".to_owned(),
        body: Some(v3::LogDataBody {
            r#type: "text".to_owned(),
            content: Some(v3::log_data_body::Content::Json(v3::JsonLog { json: "{}".to_owned() })),
        }),
        trace_context: Some(v3::TraceContext {
            trace_id: "t".to_owned(),
            trace_segment_id: "s".to_owned(),
            span_id: 2,
        }),
        tags: Some(v3::LogTags { data: vec![pair("level", "WARNING"), pair("logger", "l")] }),
        ..Default::default()
    };
    let second = v3::LogData { service: String::new(), ..log.clone() };
    let data = logs(&translate(Kind::Log, &encoded(&[log, second])).unwrap());
    assert_eq!(data.resource_logs.len(), 1, "the second is of the first one's service");
    let record = &data.resource_logs[0].scope_logs[0].log_records[1];
    assert_eq!(record.trace_id, Rules::Distinct.trace_id("t"));
    assert_eq!(record.span_id, Rules::Distinct.span_id("s", 2));
    assert_eq!((record.severity_number, record.severity_text.as_str()), (13, "WARNING"));
    assert_eq!((record.time_unix_nano, record.event_name.as_str()), (5_000_000, ""));
    assert!(record.observed_time_unix_nano > 0);
    assert_eq!(text(&record.attributes, "skywalking.log.format"), "json");
}

#[test]
fn records_of_the_browser_read_back_by_name() {
    let error = v3::BrowserErrorLog {
        service: "ui".to_owned(),
        service_version: "v1".to_owned(),
        page_path: "/p".to_owned(),
        category: v3::ErrorCategory::Promise as i32,
        message: "m".to_owned(),
        line: 3,
        ..Default::default()
    };
    let data = logs(&translate(Kind::BrowserError, &encoded(&[error])).unwrap());
    let group = &data.resource_logs[0];
    assert_eq!(text(&group.resource.as_ref().unwrap().attributes, "service.version"), "v1");
    let record = &group.scope_logs[0].log_records[0];
    assert_eq!(record.event_name, event_name::BROWSER_ERROR);
    assert_eq!(text(&record.attributes, "exception.type"), "promise");
    assert_eq!(int(&record.attributes, "code.line.number"), 3);

    let perf = v3::BrowserPerfData { service: "ui".to_owned(), dns_time: 7, ..Default::default() };
    let data = logs(&translate(Kind::BrowserPerf, &encoded(&[perf])).unwrap());
    let record = &data.resource_logs[0].scope_logs[0].log_records[0];
    assert_eq!(int(&record.attributes, "skywalking.browser.dns_time"), 7);
    assert_eq!(record.attributes.len(), 1, "zeros are left out");
}

#[test]
fn an_attached_event_has_the_ids_of_its_span() {
    let event = |kind, trace: &str, segment: &str, span: &str| v3::SpanAttachedEvent {
        start_time: Some(v3::Instant { seconds: 1, nanos: 2 }),
        event: "HTTP Request Sampling".to_owned(),
        end_time: Some(v3::Instant { seconds: 1, nanos: 5 }),
        tags: vec![pair("k", "v")],
        summary: vec![v3::KeyIntValuePair { key: "n".to_owned(), value: 9 }],
        trace_context: Some(v3::span_attached_event::SpanReference {
            r#type: kind,
            trace_id: trace.to_owned(),
            trace_segment_id: segment.to_owned(),
            span_id: span.to_owned(),
        }),
    };
    let data = logs(
        &translate(
            Kind::AttachedEvent,
            &encoded(&[event(0, "t", "s", "2"), event(1, "463ac35c9f6413ad", "", "a2fb4a1d1a96d312")]),
        )
        .unwrap(),
    );
    let records = &data.resource_logs[0].scope_logs[0].log_records;
    assert_eq!(records[0].span_id, Rules::Distinct.span_id("s", 2));
    assert_eq!(records[1].trace_id, 0x463a_c35c_9f64_13ad_u128.to_be_bytes());
    assert_eq!(records[0].time_unix_nano, 1_000_000_002);
    assert_eq!(int(&records[0].attributes, "sluice.event.end_unix_nano"), 1_000_000_005);
    assert_eq!(int(&records[0].attributes, "skywalking.summary.n"), 9);
    assert_eq!(text(&records[1].attributes, "skywalking.trace_context.type"), "ZIPKIN");
}

#[test]
fn access_logs_carry_node_and_connection_each() {
    let message = |node: Option<&str>, connected: bool, path: &str| v3::EbpfAccessLogMessage {
        node: node.map(|name| v3::EbpfAccessLogNodeInfo { name: name.to_owned(), ..Default::default() }),
        connection: connected.then(|| v3::AccessLogConnection { role: 1, ..Default::default() }),
        protocol_log: Some(v3::AccessLogProtocolLogs {
            protocol: Some(v3::access_log_protocol_logs::Protocol::Http(v3::AccessLogHttpProtocol {
                request: Some(v3::AccessLogHttpProtocolRequest {
                    path: path.to_owned(),
                    ..Default::default()
                }),
                ..Default::default()
            })),
        }),
        ..Default::default()
    };
    let sent = [message(Some("n"), true, "/a"), message(None, false, "/b")];
    let data = logs(&translate(Kind::EbpfAccessLog, &encoded(&sent)).unwrap());
    let records = &data.resource_logs[0].scope_logs[0].log_records;
    let read: Vec<_> = records
        .iter()
        .map(|record| v3::EbpfAccessLogMessage::decode(back::raw(record).as_slice()).unwrap())
        .collect();
    assert_eq!(read, [sent[0].clone(), message(Some("n"), true, "/b")]);
    assert_eq!(text(&records[1].attributes, "url.path"), "/b");
}

#[test]
fn mesh_metrics_are_a_record_each() {
    let metric = |service: &str| v3::HttpServiceMeshMetric {
        dest_service_name: service.to_owned(),
        latency: 4,
        ..Default::default()
    };
    let message = v3::ServiceMeshMetrics {
        metrics: Some(v3::service_mesh_metrics::Metrics::HttpMetrics(v3::HttpServiceMeshMetrics {
            metrics: vec![metric("a"), metric("b")],
        })),
    };
    let data = logs(&translate(Kind::Mesh, &encoded(&[message])).unwrap());
    let read: Vec<_> = data
        .resource_logs
        .iter()
        .flat_map(|group| &group.scope_logs[0].log_records)
        .map(|record| v3::HttpServiceMeshMetric::decode(back::raw(record).as_slice()).unwrap())
        .collect();
    assert_eq!(read, [metric("a"), metric("b")]);
}

#[test]
fn events_and_instances_become_records() {
    let event = v3::Event {
        uuid: "u".to_owned(),
        source: Some(v3::Source { service: "shop".to_owned(), ..Default::default() }),
        name: "Start".to_owned(),
        r#type: 1,
        message: "crashed".to_owned(),
        parameters: [("a".to_owned(), "b".to_owned())].into(),
        start_time: 0,
        end_time: 8,
        layer: "GENERAL".to_owned(),
    };
    let data = logs(&translate(Kind::Event, &encoded(&[event])).unwrap());
    let group = &data.resource_logs[0];
    assert_eq!(text(&group.resource.as_ref().unwrap().attributes, "service.layer"), "GENERAL");
    let record = &group.scope_logs[0].log_records[0];
    assert_eq!((record.time_unix_nano, record.severity_number), (8_000_000, 17));
    assert_eq!(text(&record.attributes, "skywalking.event.name"), "Start");
    assert_eq!(int(&record.attributes, "skywalking.event.end_time"), 8);

    let instance = v3::InstanceProperties {
        service: "shop".to_owned(),
        properties: vec![pair("language", "python"), pair("skywalking.x", "y")],
        ..Default::default()
    };
    let data = logs(&translate(Kind::InstanceProperties, &encoded(&[instance])).unwrap());
    let record = &data.resource_logs[0].scope_logs[0].log_records[0];
    assert_eq!(record.event_name, event_name::INSTANCE_PROPERTIES);
    assert_eq!(text(&record.attributes, "language"), "python");
    assert_eq!(text(&record.attributes, "skywalking.tag.skywalking.x"), "y");
}
