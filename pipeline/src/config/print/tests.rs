use super::*;
use crate::config::{Problems, Source, System, load, testing};

const CONFIG: &str = "
receivers: {otlp: {protocols: {grpc: , http: {endpoint: '0.0.0.0:1'}}}}
exporters:
  otlphttp/a:
    endpoint: https://user:hush@host
    timeout: ${yaml:30s}
    headers: {x-tenant: hush}
    tls: {cert: '${yaml:hush}'}
    labels: {a: '${yaml:0123}', b: '$${x}'}
  otlphttp/b: {headers: [{name: shown, value: hush}]}
  unknown: {password: hush, max: 0x10}
service: {pipelines: {traces: {receivers: [otlp], exporters: [otlphttp/a]}}}
";

fn printed(secrets: Secrets, format: Format) -> String {
    let mut problems = Problems::default();
    let node = load(&[Source::Yaml(CONFIG.to_owned())], &[], &System, &mut problems).expect("loads");
    print(&node, &testing::registry(), secrets, format)
}

#[test]
fn secrets_are_masked_by_type_and_by_name() {
    let masked = printed(Secrets::Masked, Format::Yaml);
    assert!(!masked.contains("hush"), "{masked}");
    for expected in [
        "endpoint: \"https://user:[REDACTED]@host\"\n",
        "x-tenant: \"[REDACTED]\"\n",
        "cert: \"[REDACTED]\"\n",
        "- name: shown\n",
        "password: \"[REDACTED]\"\n",
        "max: 16\n",
        "grpc: null\n",
        "a: \"0123\"\n",
        "b: \"$${x}\"\n",
        "timeout: 30s\n",
    ] {
        assert!(masked.contains(expected), "{expected} is not in\n{masked}");
    }
    assert!(!printed(Secrets::Masked, Format::Json).contains("hush"));
    assert_eq!(printed(Secrets::Shown, Format::Yaml).matches("hush").count(), 5);
}

#[test]
fn what_is_printed_loads_as_the_same() {
    let shown = printed(Secrets::Shown, Format::Yaml);
    let mut problems = Problems::default();
    let node = load(&[Source::Yaml(shown.clone())], &[], &System, &mut problems).expect("loads");
    assert_eq!(print(&node, &testing::registry(), Secrets::Shown, Format::Yaml), shown);
    let json: serde_json::Value =
        serde_json::from_str(&printed(Secrets::Shown, Format::Json)).expect("is JSON");
    assert_eq!(json["exporters"]["otlphttp/a"]["labels"]["b"], "${x}");
}
