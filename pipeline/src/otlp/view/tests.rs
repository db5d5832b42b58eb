use opentelemetry_proto::tonic::{
    common::v1 as common, resource::v1::Resource as ProtoResource, trace::v1 as trace,
};
use prost::Message;

use super::*;

#[test]
fn a_trace_is_walked_to_its_attributes() {
    let attribute = |key: &str, text: &str| common::KeyValue {
        key: key.into(),
        value: Some(common::AnyValue { value: Some(common::any_value::Value::StringValue(text.into())) }),
        ..Default::default()
    };
    let span = trace::Span {
        trace_id: vec![1; 16],
        name: "GET /".into(),
        attributes: vec![attribute("a", "1"), attribute("b", "2")],
        status: Some(trace::Status { message: "no".into(), code: 2 }),
        ..Default::default()
    };
    let data = trace::TracesData {
        resource_spans: vec![trace::ResourceSpans {
            resource: Some(ProtoResource {
                attributes: vec![attribute("service.name", "shop")],
                ..Default::default()
            }),
            scope_spans: vec![trace::ScopeSpans { spans: vec![span.clone(), span], ..Default::default() }],
            schema_url: "url".into(),
        }],
    }
    .encode_to_vec();

    let group = resource_groups(&data).next().unwrap();
    assert_eq!(group.schema_url().as_str(), "url");
    assert_eq!(group.resource().attributes().next().unwrap().key, b"service.name");
    let spans: Vec<_> = group.scope_groups().next().unwrap().spans().collect();
    assert_eq!(spans.len(), 2);
    assert_eq!(spans[1].trace_id, [1; 16]);
    let keys: Vec<_> = spans[1].attributes().map(|pair| pair.key.as_str().to_owned()).collect();
    assert_eq!(keys, ["a", "b"]);
    assert_eq!((spans[1].status().message, spans[1].status().code), (&b"no"[..], 2));
}
