use opentelemetry_proto::tonic::{
    common::v1::KeyValue,
    profiles::v1development::{ProfilesData, ResourceProfiles},
    resource::v1::Resource as Message,
    trace::v1::{ResourceSpans, ScopeSpans, Span, TracesData},
};
use prost::Message as _;
use sluice_pipeline::{Context, Signal};

use super::*;
use crate::testing::{decoded, processed, text};

const UPSERT: &str = "{attributes: [{key: deployment, action: upsert, value: test},
                                    {key: secret, action: delete}]}";

fn group(attributes: Vec<KeyValue>) -> ResourceSpans {
    let spans = vec![Span { attributes: vec![text("secret", "stays")], ..Span::default() }];
    ResourceSpans {
        resource: Some(Message { attributes, ..Message::default() }),
        scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
        ..ResourceSpans::default()
    }
}

#[tokio::test]
async fn every_resource_is_changed_and_nothing_else() {
    let data = TracesData {
        resource_spans: vec![
            group(vec![text("deployment", "old"), text("secret", "x")]),
            group(vec![text("a", "b")]),
        ],
    };
    let batch = processed::<Resource>(UPSERT, Signal::Traces, data.encode_to_vec(), Context::default())
        .await
        .unwrap();
    let expected = TracesData {
        resource_spans: vec![
            group(vec![text("deployment", "test")]),
            group(vec![text("a", "b"), text("deployment", "test")]),
        ],
    };
    assert_eq!(TracesData::decode(batch.contiguous()).unwrap(), expected);
}

#[tokio::test]
async fn a_group_without_a_resource_gets_one() {
    let data = TracesData { resource_spans: vec![ResourceSpans { resource: None, ..group(vec![]) }] };
    let batch = processed::<Resource>(UPSERT, Signal::Traces, data.encode_to_vec(), Context::default())
        .await
        .unwrap();
    let expected = TracesData { resource_spans: vec![group(vec![text("deployment", "test")])] };
    assert_eq!(TracesData::decode(batch.contiguous()).unwrap(), expected);
}

#[tokio::test]
async fn profiles_have_resources_too() {
    let resource = |attributes| Some(Message { attributes, ..Message::default() });
    let profiles = |attributes| ProfilesData {
        resource_profiles: vec![ResourceProfiles {
            resource: resource(attributes),
            ..ResourceProfiles::default()
        }],
        ..ProfilesData::default()
    };
    let data = profiles(vec![text("deployment", "old")]);
    let batch = processed::<Resource>(UPSERT, Signal::Profiles, data.encode_to_vec(), Context::default())
        .await
        .unwrap();
    let expected = profiles(vec![text("deployment", "test")]);
    assert_eq!(ProfilesData::decode(batch.contiguous()).unwrap(), expected);
}

#[test]
fn no_action_is_a_problem() {
    let problems = decoded::<ResourceConfig>("{}").problems();
    assert_eq!(problems[0].key, "attributes");
}
