use tracing::level_filters::LevelFilter;

use super::*;

fn read(text: &str) -> (Option<Telemetry>, String) {
    let mut problems = Problems::default();
    let node = super::super::parse("c.yaml", text, &mut problems).expect("is YAML");
    let telemetry = Telemetry::from_node(&node, &mut problems);
    (telemetry, problems.to_string())
}

#[test]
fn the_defaults_are_the_collectors() {
    let telemetry = read("").0.unwrap();
    let served: Vec<_> = telemetry.metrics.served().collect();
    assert_eq!((served[0].host.as_str(), served[0].port, served.len()), ("localhost", 8888, 1));
    let settings = telemetry.logs.settings();
    assert_eq!(settings.level, LevelFilter::INFO);
    assert_eq!(settings.outputs, ["stderr"]);
    assert_eq!(settings.sampling.unwrap().thereafter, 100);
}

#[test]
fn what_people_write_is_understood() {
    let (telemetry, problems) = read(
        "logs: {level: DEBUG, encoding: json, sampling: {enabled: false}, initial_fields: {a: 1}}\n\
         metrics:\n  level: detailed\n  readers:\n    - pull: {exporter: {prometheus: {host: 0.0.0.0, port: 9999}}}\n\
         resource: {service.name: gateway, service.instance.id: ~}\n",
    );
    let telemetry = telemetry.expect(&problems);
    assert_eq!(telemetry.logs.settings().level, LevelFilter::DEBUG);
    assert!(telemetry.logs.settings().sampling.is_none());
    assert_eq!(telemetry.metrics.served().next().unwrap().port, 9999);
    assert_eq!(telemetry.resource["service.instance.id"], None);
    assert_eq!(read("metrics: {level: none, readers: []}").0.unwrap().metrics.served().count(), 0);
}

#[test]
fn what_this_build_cannot_do_is_an_error_at_its_key() {
    for (text, expected) in [
        (
            "logs: {processors: [{batch: }]}",
            "c.yaml:1:20: error: exporting Sluice's own logs is not in this build",
        ),
        (
            "traces: {processors: [{batch: }]}",
            "c.yaml:1:22: error: exporting spans about Sluice is not in this build",
        ),
        (
            "metrics: {readers: [{periodic: {}}]}",
            "c.yaml:1:32: error: sending Sluice's own metrics is not in this build",
        ),
        ("metrics: {views: [{}]}", "is not in this build"),
        (
            "metrics: {readers: [{pull: {exporter: {prometheus: {without_units: false}}}}]}",
            "c.yaml:1:68: error: without_units: false",
        ),
        (
            "metrics: {readers: [{pull: {exporter: {prometheus: {with_resource_constant_labels: {included: [a]}}}}}]}",
            "c.yaml:1:84: error: resource attributes as labels",
        ),
        (
            "metrics: {readers: [{pull: {exporter: {prometheus: {with_resource_constant_labels: {}}}}}]}",
            "resource attributes as labels is not in this build",
        ),
        ("metrics: {readers: []}", "c.yaml:1:20: error: collector telemetry metrics reader should exist"),
        ("metrics: {readers: [{}]}", "a reader needs pull"),
        ("metrics: {level: normall}", "did you mean \"normal\"?"),
        ("logs: {level: loud}", "expected one of \"debug\""),
        ("logs: {levle: info}", "did you mean \"level\"?"),
        ("logs: {output_paths: []}", "logs need a place"),
    ] {
        let (telemetry, problems) = read(text);
        assert!(telemetry.is_none() && problems.contains(expected), "{text} gave {problems}");
    }
    let (telemetry, problems) = read(
        "metrics: {readers: [{pull: {exporter: {prometheus: {with_resource_constant_labels: {included: []}}}}}]}",
    );
    assert!(telemetry.is_some() && problems.is_empty(), "{problems}");
    let (telemetry, problems) = read("metrics: {address: ':8888'}");
    assert!(
        telemetry.is_some() && problems.contains("c.yaml:1:20: warning: metrics.address is not used"),
        "{problems}"
    );
}
