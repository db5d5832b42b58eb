use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::{
    Problems, parse,
    types::{Duration, Headers, Secret},
};
use super::decode;
use crate::component::ComponentId;

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default)]
struct Config {
    endpoint: String,
    timeout: Duration,
    enabled: bool,
    port: u16,
    ratio: f64,
    mode: Mode,
    names: Vec<String>,
    headers: Headers,
    password: Secret,
    storage: Option<ComponentId>,
    protocols: Protocols,
    labels: BTreeMap<String, String>,
}

#[test]
fn a_duration_without_a_unit_is_warned_of() {
    let mut problems = Problems::default();
    let node = parse("test.yaml", "timeout: 30", &mut problems).unwrap();
    let config: Config = decode(&node, &mut problems).unwrap();
    assert_eq!(config.timeout.as_nanos(), 30, "as in the Collector");
    assert!(!problems.has_errors());
    let said = problems.to_string();
    assert!(
        said.starts_with("test.yaml:1:10: warning: a duration without a unit counts nanoseconds"),
        "{said}"
    );
    assert!(said.contains("this is 30ns; write 30s if seconds are meant"), "{said}");
    for fine in ["timeout: 0", "timeout: 30s", "timeout:"] {
        let mut problems = Problems::default();
        let node = parse("test.yaml", fine, &mut problems).unwrap();
        decode::<Config>(&node, &mut problems).unwrap();
        assert!(problems.is_empty(), "{fine}: {problems}");
    }
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    #[default]
    Basic,
    Detailed,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Protocols {
    #[serde(alias = "grpc=null")]
    grpc: Option<Server>,
    http: Option<Server>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default)]
struct Server {
    port: u16,
}

impl Default for Server {
    fn default() -> Self {
        Self { port: 4317 }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            endpoint: "localhost:1".to_owned(),
            timeout: Duration::from_secs(5),
            enabled: true,
            port: 80,
            ratio: 1.5,
            mode: Mode::Basic,
            names: vec!["default".to_owned()],
            headers: Headers::default(),
            password: Secret::default(),
            storage: None,
            protocols: Protocols::default(),
            labels: BTreeMap::new(),
        }
    }
}

fn decode_config(text: &str) -> Result<Config, String> {
    let mut problems = Problems::default();
    let node = parse("c.yaml", text, &mut problems).expect("is YAML");
    decode(&node, &mut problems).ok_or_else(|| problems.to_string())
}

#[test]
fn nothing_written_and_null_both_mean_the_default() {
    assert_eq!(decode_config(""), Ok(Config::default()));
    let nulls =
        "endpoint:\ntimeout: ~\nenabled: null\nport:\nnames:\nheaders:\nstorage:\nmode:\nprotocols:\n";
    assert_eq!(decode_config(nulls), Ok(Config::default()));
}

#[test]
fn a_marked_key_is_on_by_its_presence() {
    let config = decode_config("protocols:\n  grpc:\n  http:\n").unwrap();
    assert_eq!(config.protocols, Protocols { grpc: Some(Server::default()), http: None });
}

#[test]
fn values_of_every_type() {
    let config = decode_config(
        "{endpoint: here, timeout: 1m30s, enabled: false, port: 0x1F, ratio: 2, mode: detailed, names: 'a, b', \
         headers: {x-a: b}, password: hush, storage: file_storage/q, labels: {a: b, c: ~}}",
    )
    .unwrap();
    assert_eq!((config.port, config.ratio, config.enabled, config.mode), (31, 2.0, false, Mode::Detailed));
    assert_eq!(config.timeout.as_secs(), 90);
    assert_eq!(config.names, ["a", "b"]);
    assert_eq!(config.headers, Headers::from_iter([("x-a", "b")]));
    assert_eq!(config.password.expose(), "hush");
    assert_eq!(config.storage.unwrap().to_string(), "file_storage/q");
    assert_eq!(config.labels["c"], "");
    let listed =
        decode_config("headers: [{name: a, value: b}, {name: a, value: c}]\ntimeout: 1000000000").unwrap();
    assert_eq!(listed.headers.iter().count(), 2);
    assert_eq!(listed.timeout, Duration::from_secs(1), "a bare number counts nanoseconds");
}

#[test]
fn types_are_strict() {
    for (text, expected) in [
        ("enabled: \"true\"", "expected true or false, found the string \"true\"\n"),
        ("enabled: yes", "expected true or false, found the string \"yes\""),
        ("port: \"80\"", "remove the quotes"),
        ("port: 70000", "expected a whole number from 0 to 65535, found the number 70000"),
        ("port: -1", "found the number -1"),
        ("port: 1.5", "found the number 1.5"),
        ("endpoint: 123", "expected a string, found the number 123"),
        ("endpoint: [a]", "expected a string, found a list"),
        ("timeout: 30", ""),
        ("timeout: \"30\"", "has no unit"),
        ("timeout: -5s", "is negative"),
        ("timeout: true", "expected a duration such as 30s, 1m30s or 200ms, found true"),
        ("mode: detaild", "did you mean \"detailed\"?"),
        ("mode: 3", "expected one of \"basic\", \"detailed\", found the number 3"),
        ("names: {a: b}", "expected a list, found a map"),
        ("names: [a, 3]", "c.yaml:1:12: error: expected a string"),
        ("headers: 3", "expected a map of headers"),
        ("headers: [{value: x}]", "\"name\" is missing"),
        ("storage: a b", "is not a component type"),
        ("protocols: [a]", "expected a map, found a list"),
        ("[a]", "c.yaml:1:1: error: expected a map, found a list"),
    ] {
        match decode_config(text) {
            Ok(_) => assert_eq!(expected, "", "{text} is taken"),
            Err(problems) => {
                assert!(!expected.is_empty() && problems.contains(expected), "{text} gave {problems}")
            }
        }
    }
}

#[test]
fn everything_wrong_is_reported_at_once() {
    let problems = decode_config(
        "endpont: x\nport: no\nprotocols:\n  grpcc: {}\n  grpc: {prt: 1, port: x}\nenabled: 3\nheaders: [{nme: a}]\n",
    )
    .unwrap_err();
    for expected in [
        "c.yaml:1:1: error: unknown key \"endpont\"",
        "c.yaml:2:7: error: expected a whole number",
        "c.yaml:4:3: error: unknown key \"grpcc\"",
        "c.yaml:5:10: error: unknown key \"prt\"",
        "c.yaml:5:24: error: expected a whole number",
        "c.yaml:6:10: error: expected true or false",
        "c.yaml:7:12: error: unknown key \"nme\"",
    ] {
        assert!(problems.contains(expected), "{expected} is not in\n{problems}");
    }
}

#[test]
fn secrets_show_neither_in_messages_nor_when_printed() {
    let problems = decode_config("password: 1234567\nheaders: {authorization: 7654321}").unwrap_err();
    assert!(problems.contains("expected a string, found a number"), "{problems}");
    assert!(!problems.contains("1234567") && !problems.contains("7654321"), "{problems}");
    let config = decode_config("{password: hush, headers: {a: hush}}").unwrap();
    assert!(!format!("{config:?}").contains("hush"));
    assert!(!serde_json::to_string(&config.headers).unwrap().contains("hush"));
}
