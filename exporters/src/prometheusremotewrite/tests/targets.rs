//! What resources and scopes become: labels, and `target_info`.

use opentelemetry_proto::tonic::{
    common::v1::InstrumentationScope,
    metrics::v1::{MetricsData, ResourceMetrics, ScopeMetrics},
};
use prost::Message;
use sluice_pipeline::{Batch, Chunk, Context, Signal};

use super::{fixture::*, messages::*};
use crate::{
    prometheus_model::ResourceConversion,
    prometheusremotewrite::{RemoteWriteKeys, translate::Translator},
};

#[test]
fn resources_are_job_instance_and_target_info() {
    let resource = [
        ("service.namespace", "eu"),
        ("service.name", "shop"),
        ("service.instance.id", "7"),
        ("host.name", "box"),
    ];
    let metrics = || {
        let early = gauge("early", "", vec![point(0, TIME - SECOND, 1.0, &[])]);
        vec![gauge("rooms", "", vec![point(0, TIME, 1.0, &[("job", "mine")])]), early]
    };
    let identity = "instance=\"7\",job=\"eu/shop\"";
    let external = |keys: &mut RemoteWriteKeys| {
        keys.external_labels = [("__replica__", "a"), ("job", "other"), ("zone", "b")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
    };
    assert_eq!(
        lines(&batch_of(&resource, metrics()), external),
        [
            format!("rooms{{__replica__=\"a\",exported_job=\"mine\",{identity},zone=\"b\"}} 1 {AT}"),
            format!("early{{__replica__=\"a\",{identity},zone=\"b\"}} 1 @1699999999000"),
            format!("target_info{{__replica__=\"a\",host_name=\"box\",{identity},zone=\"b\"}} 1 {AT}"),
        ],
        "an external label gives way to one of the series"
    );
    let converted = |keys: &mut RemoteWriteKeys| {
        keys.target_info.enabled = false;
        keys.resource_to_telemetry_conversion =
            ResourceConversion { enabled: true, exclude_service_attributes: true };
    };
    assert_eq!(
        lines(&batch_of(&resource, metrics()), converted),
        [
            format!("rooms{{exported_job=\"mine\",host_name=\"box\",{identity}}} 1 {AT}"),
            format!("early{{host_name=\"box\",{identity}}} 1 @1699999999000"),
        ]
    );
}

#[test]
fn target_info_does_not_go_back_in_time() {
    let resource = [("service.name", "shop"), ("host.name", "box")];
    let keys = RemoteWriteKeys::default();
    let translator = Translator::new(&keys);
    let mut times = Vec::new();
    for time in [TIME, TIME - SECOND, TIME + SECOND] {
        let batch = batch_of(&resource, vec![gauge("rooms", "", vec![point(0, time, 1.0, &[])])]);
        let body = make_with(&translator, &keys, &batch).bodies.remove(0);
        let series = WriteRequest::decode(body.as_slice()).unwrap().timeseries;
        let targets = series.iter().filter(|series| series.name().starts_with("target_info"));
        times.extend(targets.map(|target| target.samples[0].timestamp));
    }
    assert_eq!(times, [1_700_000_000_000, 1_700_000_001_000]);
}

#[test]
fn scopes_are_labels_unless_they_are_left_out() {
    let scoped = |metrics| {
        let scope =
            InstrumentationScope { name: "lib".to_owned(), version: "2".to_owned(), ..Default::default() };
        let data = MetricsData {
            resource_metrics: vec![ResourceMetrics {
                scope_metrics: vec![ScopeMetrics { scope: Some(scope), metrics, ..ScopeMetrics::default() }],
                ..ResourceMetrics::default()
            }],
        };
        Batch::new(Signal::Metrics, Chunk::new(data.encode_to_vec().into(), 1), Context::default())
    };
    let metrics = || vec![gauge("rooms", "", vec![point(0, TIME, 1.0, &[])])];
    assert_eq!(
        lines(&scoped(metrics()), |_| {}),
        [format!("rooms{{otel_scope_name=\"lib\",otel_scope_version=\"2\"}} 1 {AT}")]
    );
    assert_eq!(
        lines(&scoped(metrics()), |keys| keys.disable_scope_info = true),
        [format!("rooms{{}} 1 {AT}")]
    );
}
