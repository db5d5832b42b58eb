//! The commands as a user runs them. Having these tests also makes `cargo test` build the binary that the integration
//! suite starts.

use std::{
    path::Path,
    process::{Command, Output},
};

fn sluice(directory: &Path, arguments: &[&str]) -> std::io::Result<Output> {
    Command::new(env!("CARGO_BIN_EXE_sluice")).current_dir(directory).args(arguments).output()
}

#[test]
fn what_init_writes_is_valid_and_never_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| sluice(directory.path(), arguments).unwrap();
    assert!(run(&["init", "start.yaml"]).status.success());
    let checked = run(&["validate", "--config", "start.yaml"]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    assert!(checked.stdout.is_empty() && checked.stderr.is_empty(), "a fine file needs no words");
    assert_eq!(run(&["init", "start.yaml"]).status.code(), Some(1));
    let shown = run(&["init", "-"]).stdout;
    assert_eq!(shown, std::fs::read(directory.path().join("start.yaml")).unwrap());
}

#[test]
fn secrets_are_not_printed() {
    let directory = tempfile::tempdir().unwrap();
    let file = "receivers: {otlp: {protocols: {grpc: }}}\n\
                exporters: {otlp: {endpoint: 'localhost:1', headers: {authorization: hush}}}\n\
                service: {pipelines: {traces: {receivers: [otlp], exporters: [otlp]}}}\n";
    std::fs::write(directory.path().join("secret.yaml"), file).unwrap();
    let shown = sluice(directory.path(), &["print-config", "--config", "secret.yaml"]).unwrap();
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(text.contains("[REDACTED]") && !text.contains("hush"), "{text}");
}

#[test]
fn plain_sluice_names_three_next_steps() {
    let directory = tempfile::tempdir().unwrap();
    let shown = String::from_utf8(sluice(directory.path(), &[]).unwrap().stdout).unwrap();
    for step in ["sluice init", "sluice validate", "sluice run"] {
        assert!(shown.contains(step), "{shown}");
    }
}

#[test]
fn the_schema_is_json_and_knows_the_components() {
    let directory = tempfile::tempdir().unwrap();
    let shown = sluice(directory.path(), &["schema"]).unwrap().stdout;
    let schema: serde_json::Value = serde_json::from_slice(&shown).unwrap();
    assert!(schema["properties"]["receivers"].is_object(), "{schema:#}");
    let components = sluice(directory.path(), &["components"]).unwrap().stdout;
    assert!(String::from_utf8(components).unwrap().contains("- name: otlp_grpc\n"));
}
