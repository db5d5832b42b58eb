use std::{collections::HashMap, io};

use proptest::prelude::*;
use serde::Deserialize;

use super::super::{Environment, Problems, Source, decode, load};

/// Variables and files of a test.
struct Fixed(HashMap<String, String>);

impl Environment for Fixed {
    fn variable(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }

    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        self.0.get(path).map(|text| text.clone().into_bytes()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn fixed<const N: usize>(variables: [(&str, &str); N]) -> Fixed {
    Fixed(variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
}

/// One key of each target type.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Targets {
    string: Option<String>,
    int: Option<i64>,
    bool: Option<bool>,
    float: Option<f64>,
    strings: Option<Vec<String>>,
    ints: Option<Vec<i64>>,
    map: Option<std::collections::BTreeMap<String, i64>>,
    any: Option<serde_json::Value>,
}

fn load_text(text: &str, environment: &Fixed) -> Result<(Targets, Problems), String> {
    let mut problems = Problems::default();
    let node = load(&[Source::Yaml(text.to_owned())], &[], environment, &mut problems);
    let targets = node.and_then(|node| decode::<Targets>(&node, &mut problems));
    match targets {
        Some(targets) => Ok((targets, problems)),
        None => Err(problems.to_string()),
    }
}

/// What `target: ${env:VALUE}` becomes, or `error`.
fn expanded(value: &str, target: &str, template: &str) -> String {
    let environment = fixed([("VALUE", value)]);
    match load_text(&format!("{target}: {template}"), &environment) {
        Err(_) => "error".to_owned(),
        Ok((targets, _)) => match target {
            "string" => format!("{:?}", targets.string),
            "int" => format!("{:?}", targets.int),
            "bool" => format!("{:?}", targets.bool),
            "float" => format!("{:?}", targets.float),
            "strings" => format!("{:?}", targets.strings),
            "ints" => format!("{:?}", targets.ints),
            "map" => format!("{:?}", targets.map),
            _ => format!("{:?}", targets.any.map(|any| any.to_string())),
        },
    }
}

#[test]
fn a_whole_value_takes_the_type_of_its_target() {
    for (value, target, expected) in [
        ("test", "string", "Some(\"test\")"),
        ("test", "int", "error"),
        ("test", "bool", "error"),
        ("test", "strings", "Some([\"test\"])"),
        ("a,b", "strings", "Some([\"a\", \"b\"])"),
        ("true", "bool", "Some(true)"),
        ("true", "string", "Some(\"true\")"),
        ("True", "bool", "Some(true)"),
        ("True", "string", "Some(\"True\")"),
        ("t", "bool", "error"),
        ("1", "bool", "error"),
        ("\"true\"", "bool", "error"),
        ("\"true\"", "string", "Some(\"\\\"true\\\"\")"),
        ("true # comment", "bool", "Some(true)"),
        ("true # comment", "string", "error"),
        ("123", "int", "Some(123)"),
        ("123", "string", "Some(\"123\")"),
        ("123", "float", "Some(123.0)"),
        ("123", "bool", "error"),
        ("123 # comment", "int", "Some(123)"),
        ("123 # comment", "string", "error"),
        ("0123", "int", "Some(83)"),
        ("0123", "string", "Some(\"0123\")"),
        ("\"0123\"", "int", "error"),
        ("\"0123\"", "string", "Some(\"\\\"0123\\\"\")"),
        ("'0123'", "string", "Some(\"'0123'\")"),
        ("!!str 0123", "string", "Some(\"!!str 0123\")"),
        ("!!str 0123", "int", "error"),
        ("0xdeadbeef", "int", "Some(3735928559)"),
        ("0xdeadbeef", "string", "Some(\"0xdeadbeef\")"),
        ("0b101", "int", "Some(5)"),
        ("0o17", "int", "Some(15)"),
        ("1_000", "int", "Some(1000)"),
        ("1_000", "string", "Some(\"1_000\")"),
        ("-7", "int", "Some(-7)"),
        ("9223372036854775808", "int", "error"),
        ("9223372036854775808", "string", "Some(\"9223372036854775808\")"),
        ("1.5", "float", "Some(1.5)"),
        ("1.5", "int", "error"),
        ("1.50", "string", "Some(\"1.50\")"),
        ("1e3", "int", "Some(1000)"),
        (".inf", "float", "Some(inf)"),
        (".inf", "string", "Some(\".inf\")"),
        ("2006-01-02", "string", "Some(\"2006-01-02\")"),
        ("1111:1111:1111::", "string", "Some(\"1111:1111:1111::\")"),
        (
            "[filelog,windowseventlog/application]",
            "string",
            "Some(\"[filelog,windowseventlog/application]\")",
        ),
        ("[a,b]", "strings", "Some([\"a\", \"b\"])"),
        ("[1, 2]", "ints", "Some([1, 2])"),
        ("[1, 2]", "int", "error"),
        ("{a: 1}", "map", "Some({\"a\": 1})"),
        ("{a: 1}", "string", "error"),
        ("a: 1\nb: 2", "map", "Some({\"a\": 1, \"b\": 2})"),
        ("{a: 1", "string", "Some(\"{a: 1\")"),
        ("123", "any", "Some(\"123\")"),
        ("0123", "any", "Some(\"83\")"),
        ("", "string", "None"),
        ("", "int", "None"),
    ] {
        assert_eq!(expanded(value, target, "${env:VALUE}"), expected, "{value:?} into {target}");
        assert_eq!(expanded(value, target, "${VALUE}"), expected, "{value:?} into {target} without a scheme");
    }
}

#[test]
fn within_a_longer_string_the_text_is_inserted() {
    for (value, inserted) in [
        ("test", "test"),
        ("0123", "0123"),
        ("0xdeadbeef", "0xdeadbeef"),
        ("\\\"0123\\\"", "\\\"0123\\\""),
        ("[a,b]", "[a,b]"),
        ("true # comment", "true # comment"),
        ("", ""),
    ] {
        let expected = format!("{:?}", Some(format!("with {inserted} inside")));
        assert_eq!(expanded(value, "string", "with ${env:VALUE} inside"), expected);
    }
    assert_eq!(expanded("1", "int", "1${env:VALUE}"), "error", "a composed string is no number");
}

#[test]
fn defaults_nesting_and_dollars() {
    let environment = fixed([
        ("HOST", "example"),
        ("WHICH", "HOST"),
        ("AGAIN", "${env:HOST}:1"),
        ("EMPTY", ""),
        ("DOLLAR", "a$$b"),
        ("/etc/token", "hush\n"),
        ("/etc/map.yaml", "a: ${env:ONE:-1}\n"),
    ]);
    for (written, expected) in [
        ("${env:NONE:-fall back}", "fall back"),
        ("${NONE:-localhost:4317}", "localhost:4317"),
        ("${HOST:-x}", "example"),
        ("x${env:EMPTY:-y}", "x"),
        ("${env:${env:WHICH}}", "example"),
        ("${env:NONE:-${env:HOST}}", "example"),
        ("${AGAIN}", "example:1"),
        ("${file:/etc/token}", "hush"),
        ("$$", "$"),
        ("$HOST", "$HOST"),
        ("$${HOST}", "${HOST}"),
        ("$$${HOST}", "$example"),
        ("$$$${HOST}", "$${HOST}"),
        ("a ${HOST} $$ b", "a example $ b"),
        ("${DOLLAR}", "a$b"),
        ("${HOST", "${HOST"),
        ("a}b", "a}b"),
    ] {
        let (targets, _) = load_text(&format!("string: '{written}'"), &environment).unwrap();
        assert_eq!(targets.string.as_deref(), Some(expected), "{written}");
    }
    let (targets, _) = load_text("map: ${file:/etc/map.yaml}\nint: ${yaml:7}", &environment).unwrap();
    assert_eq!((targets.map.unwrap()["a"], targets.int), (1, Some(7)));
}

#[test]
fn what_cannot_be_expanded_is_an_error_at_its_place() {
    for (text, expected) in [
        ("string: ${env:1X}", "yaml::1:9: error: environment variable \"1X\" has invalid name"),
        ("string: ${}", "environment variable \"\" has invalid name"),
        ("string: ${file:/none}", "cannot read ${file:/none}"),
        ("string: ${https://host/x}", "not in this build"),
        ("string: ${vault:x}", "the scheme \"vault\" is not known"),
        ("string: ${LOOP}", "too many recursive expansions"),
        ("string: ${MAPS}", "levels deep"),
        ("string: ${DOUBLE}", "too many recursive expansions"),
    ] {
        let environment = fixed([
            ("LOOP", "${env:LOOP}"),
            ("MAPS", "{a: '${MAPS}', b: '${MAPS}'}"),
            ("DOUBLE", "${DOUBLE}${DOUBLE}"),
        ]);
        let error = load_text(text, &environment).map(|_| ()).unwrap_err();
        assert!(error.contains(expected), "{text} gave {error}");
    }
    let both = load_text("string: ${1}\nint: ${2}", &fixed([])).map(|_| ()).unwrap_err();
    assert!(both.contains("\"1\"") && both.contains("\"2\""), "several are reported: {both}");
}

/// Each value is only a reference to the next. However many there are, they cost no stack.
#[test]
fn a_chain_of_references_needs_no_stack() {
    const LINKS: usize = 900;
    let names: Vec<String> = (0..LINKS).map(|number| format!("N{number}")).collect();
    let mut values: Vec<String> = names.iter().skip(1).map(|name| format!("${{env:{name}}}")).collect();
    values.push("the end".to_owned());
    let environment =
        fixed(std::array::from_fn::<_, LINKS, _>(|place| (names[place].as_str(), values[place].as_str())));
    let small_stack = std::thread::Builder::new().stack_size(256 << 10);
    let loading = small_stack
        .spawn(move || load_text("string: ${N0}", &environment).map(|(targets, _)| targets.string));
    assert_eq!(loading.unwrap().join().unwrap().unwrap().as_deref(), Some("the end"));
}

#[test]
fn a_variable_that_is_not_set_keeps_the_default_with_a_warning() {
    let (targets, problems) = load_text("int: ${env:NONE}\nstring: ''", &fixed([])).unwrap();
    assert_eq!(targets.int, None);
    assert_eq!(
        problems.to_string().lines().next(),
        Some("yaml::1:6: warning: environment variable NONE is not set; the value counts as null")
    );
}

#[test]
fn a_wrong_value_from_a_variable_is_reported_where_the_variable_is_used() {
    let error =
        load_text("string: a\nint: ${env:VALUE}", &fixed([("VALUE", "abc")])).map(|_| ()).unwrap_err();
    assert!(
        error.starts_with("yaml::2:6: error: expected a whole number, found the string \"abc\""),
        "{error}"
    );
    assert!(error.contains("the value comes from ${env:VALUE}"), "{error}");
}

proptest! {
    #[test]
    fn no_text_panics_or_runs_away(text in "[a-z ${}:\\-\n'\"\\[\\],]{0,60}", value in "[a-z ${}:A\\-]{0,20}") {
        let environment = fixed([("A", &value), ("a", &text)]);
        let _ = load_text(&text, &environment);
    }
}
