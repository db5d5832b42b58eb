use super::*;

fn read(text: &str) -> (Option<Document>, String) {
    let mut problems = Problems::default();
    let node = super::super::parse("c.yaml", text, &mut problems).expect("is YAML");
    let document = Document::from_node(&node, &mut problems);
    (document, problems.to_string())
}

#[test]
fn a_whole_document() {
    let (document, problems) = read(
        "receivers:\n  otlp:\n  zipkin / 2: {endpoint: here}\nexporters: {debug: }\nextensions: {zpages: }\n\
         service:\n  extensions: [zpages]\n  telemetry: {logs: {level: debug}}\n  pipelines:\n    traces/in:\n\
         \x20     receivers: [otlp, zipkin/2]\n      exporters: debug, debug/2\n",
    );
    let document = document.expect(&problems);
    assert_eq!(problems, "");
    let ids: Vec<String> = document
        .definitions
        .iter()
        .map(|definition| format!("{} {}", definition.kind, definition.id.value))
        .collect();
    assert_eq!(ids, ["receiver otlp", "receiver zipkin/2", "exporter debug", "extension zpages"]);
    assert!(document.definitions[0].body.as_mapping().is_some_and(crate::config::Mapping::is_empty));
    assert_eq!(document.definitions[1].id.location.to_string(), "c.yaml:3:3");
    assert_eq!(document.extensions[0].location.to_string(), "c.yaml:7:16");
    let pipeline = &document.pipelines[0];
    assert_eq!(pipeline.id.value.to_string(), "traces/in");
    assert_eq!(pipeline.exporters.len(), 2, "a string with commas is a list");
    assert!(document.telemetry.get("logs").is_some());
}

#[test]
fn every_structural_error_has_its_place() {
    const REST: &str = "receivers: {otlp: }\nexporters: {debug: }\nservice: {pipelines: {traces: {receivers: [otlp], exporters: [debug]}}}\n";
    assert!(read(REST).0.is_some());
    for (text, expected) in [
        ("", "c.yaml:1:1: error: empty configuration file"),
        ("recievers: {}\n", "c.yaml:1:1: error: unknown key \"recievers\" at the top level"),
        ("recievers: {}\n", "did you mean \"receivers\"?"),
        ("receivers: ~\n", "c.yaml:1:12: error: no receiver configuration specified in config"),
        ("receivers: {otlp: }\n", "no exporter configuration specified in config"),
        ("receivers: {otlp: }\n", "there is no service section"),
        ("receivers: [otlp]\n", "c.yaml:1:12: error: receivers is a map, found a list"),
        (
            "receivers: {otlp: here}\n",
            "c.yaml:1:19: error: receiver \"otlp\" takes a map of keys, found the string",
        ),
        ("receivers: {otlp/: }\n", "c.yaml:1:13: error: the name part of \"otlp/\" is empty"),
        (
            "receivers: {otlp/a: , 'otlp / a': }\n",
            "c.yaml:1:23: error: duplicate name \"otlp/a\"; the first is at c.yaml:1:13",
        ),
        ("service: {pipelines: {}}\n", "c.yaml:1:22: error: service must have at least one pipeline"),
        ("service: {pipeline: {}}\n", "did you mean \"pipelines\"?"),
        ("service: {pipelines: {spans: }}\n", "\"spans\" is not a signal"),
        (
            "service: {pipelines: {traces: {exporters: [debug]}}}\n",
            "service.pipelines.traces: must have at least one receiver",
        ),
        ("service: {pipelines: {traces: {receivers: [otlp]}}}\n", "must have at least one exporter"),
        ("service: {pipelines: {traces: {receivers: {otlp: }}}}\n", "is a list of ids such as"),
        ("service: {pipelines: {traces: {receivers: [3]}}}\n", "lists ids of components, found the number 3"),
        ("service: {pipelines: {traces: {processor: [a]}}}\n", "unknown key \"processor\" of a pipeline"),
        ("service: {telemetry: [a]}\n", "service.telemetry is a map"),
    ] {
        let (document, problems) = read(text);
        assert!(document.is_none() && problems.contains(expected), "{text} gave {problems}");
    }
}
