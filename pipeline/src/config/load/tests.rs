use std::{collections::HashMap, io};

use super::super::{Environment, Node, Problems, Source, Value, load};

struct Files(HashMap<&'static str, &'static str>);

impl Environment for Files {
    fn variable(&self, name: &str) -> Option<String> {
        self.0.get(name).map(|text| (*text).to_owned())
    }

    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        self.0.get(path).map(|text| text.as_bytes().to_vec()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

const BASE: &str = "receivers:\n  otlp: {protocols: {grpc: {endpoint: here}}}\nlist: [a, b]\nmap: {a: 1}\n";

fn load_all(sources: &[&str], sets: &[&str]) -> Result<Node, String> {
    let files = Files(HashMap::from([
        ("base.yaml", BASE),
        ("later.yaml", "receivers:\n  otlp: {protocols: {http: {}}}\nlist: [c]\n"),
        ("wipe.yaml", "map: ~\nreceivers: {}\n"),
        ("list.yaml", "- a\n"),
        ("empty.yaml", "# nothing\n"),
        ("CONFIG", "map: {b: 2}"),
    ]));
    let sources: Vec<Source> = sources.iter().map(|source| source.parse().unwrap()).collect();
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    let mut problems = Problems::default();
    load(&sources, &sets, &files, &mut problems).ok_or_else(|| problems.to_string())
}

fn integer(node: &Node, path: &str) -> Option<i64> {
    match node.nearest(path).value {
        Value::Integer(number) => Some(number),
        _ => None,
    }
}

#[test]
fn maps_are_merged_deeply_and_lists_replaced() {
    let node = load_all(&["base.yaml", "file:later.yaml", "env:CONFIG"], &[]).unwrap();
    let protocols = node.nearest("receivers.otlp.protocols").as_mapping().unwrap();
    assert!(protocols.contains("grpc") && protocols.contains("http"));
    assert_eq!(node.nearest("list").as_sequence().unwrap().len(), 1);
    assert_eq!((integer(&node, "map.a"), integer(&node, "map.b")), (Some(1), Some(2)));
    assert_eq!(node.nearest("map.b").location.to_string(), "env:CONFIG:1:10");
}

#[test]
fn a_null_map_in_a_later_file_wipes_the_earlier_and_an_empty_one_does_not() {
    let node = load_all(&["base.yaml", "wipe.yaml"], &[]).unwrap();
    assert!(node.get("map").unwrap().is_null());
    assert!(node.nearest("receivers.otlp.protocols.grpc.endpoint").as_text().is_some());
    let untouched = load_all(&["base.yaml", "empty.yaml"], &[]).unwrap();
    assert_eq!(integer(&untouched, "map.a"), Some(1));
}

#[test]
fn set_is_applied_last_and_located() {
    let node = load_all(
        &["base.yaml", "yaml:map::c: 3"],
        &[
            "map.a=5",
            "receivers.otlp.protocols.grpc.headers={authorization: hush}",
            "new.level=${env:NONE:-x}",
        ],
    )
    .unwrap();
    assert_eq!((integer(&node, "map.a"), integer(&node, "map.c")), (Some(5), Some(3)));
    assert_eq!(node.nearest("map.a").location.to_string(), "--set map.a=5");
    assert_eq!(node.nearest("new.level").as_text(), Some("x"));
    let location = node.nearest("receivers.otlp.protocols.grpc.headers").location.to_string();
    assert!(!location.contains("hush"), "{location}");
}

#[test]
fn what_cannot_be_loaded_is_said_with_its_source() {
    for (sources, sets, expected) in [
        (vec![], vec![], "at least one config flag must be provided"),
        (vec!["none.yaml"], vec![], "none.yaml: error: cannot read the configuration"),
        (vec!["env:NONE"], vec![], "env:NONE: error: the environment variable NONE is not set"),
        (vec!["list.yaml"], vec![], "list.yaml:1:1: error: expected a map"),
        (vec!["base.yaml"], vec!["map"], "--set map: error: write --set key=value"),
        (vec!["base.yaml"], vec!["map..a=1"], "is not a path of keys"),
        (vec!["base.yaml"], vec!["map.a=[1"], "--set map.a=[1: error: this is no YAML"),
    ] {
        let error = load_all(&sources, &sets).unwrap_err();
        assert!(error.contains(expected), "{sources:?} {sets:?} gave {error}");
    }
    assert!("http://host/c.yaml".parse::<Source>().is_err());
    assert!("s3:bucket".parse::<Source>().is_err());
    assert_eq!("C:\\c.yaml".parse(), Ok(Source::File("C:\\c.yaml".into())));
}
