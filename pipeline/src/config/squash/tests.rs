use schemars::{JsonSchema, schema_for};
use serde::Deserialize;

use crate::config::{Problems, decode, parse, types::Duration};

#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
struct Client {
    /// Where to.
    endpoint: String,
    timeout: Duration,
    compression: Option<String>,
}

impl Default for Client {
    fn default() -> Self {
        Self { endpoint: String::new(), timeout: Duration::from_secs(5), compression: None }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
struct Own {
    encoding: String,
    limits: Vec<u16>,
}

crate::squash! {
    /// An exporter's keys.
    #[derive(Clone, Debug, PartialEq)]
    struct Config {
        client: Client = "{timeout: 30s, compression: gzip}",
        own: Own,
    }
}

fn decode_config(text: &str) -> Result<Config, String> {
    let mut problems = Problems::default();
    let node = parse("c.yaml", text, &mut problems).expect("is YAML");
    decode(&node, &mut problems).ok_or_else(|| problems.to_string())
}

#[test]
fn parts_take_their_keys_from_one_level_and_have_their_own_defaults() {
    let config = decode_config("{endpoint: here, encoding: json, compression: ~}").unwrap();
    assert_eq!(config.client.endpoint, "here");
    assert_eq!(config.client.timeout, Duration::from_secs(30));
    assert_eq!(config.client.compression.as_deref(), Some("gzip"), "null keeps the default");
    assert_eq!(config.own.encoding, "json");
    assert_eq!(decode_config("{}").unwrap(), Config::default());
    assert_eq!(Config::default().client.timeout, Duration::from_secs(30));
}

#[test]
fn a_key_is_unknown_if_no_part_knows_it() {
    let problems = decode_config("endpont: here\nencodng: json\nlimits: [1, x]\n").unwrap_err();
    for expected in [
        "c.yaml:1:1: error: unknown key \"endpont\"",
        "did you mean \"endpoint\"?",
        "c.yaml:2:1: error: unknown key \"encodng\"",
        "c.yaml:3:13: error: expected a whole number from 0 to 65535, found the string \"x\"",
    ] {
        assert!(problems.contains(expected), "{expected} is not in\n{problems}");
    }
}

#[test]
fn the_schema_has_the_keys_of_all_parts_with_the_defaults_in_use() {
    let schema = schema_for!(Config).to_value();
    let properties = &schema["properties"];
    assert_eq!(properties["timeout"]["default"], "30s");
    assert_eq!(properties["endpoint"]["description"], "Where to.");
    assert!(properties.get("encoding").is_some());
}
