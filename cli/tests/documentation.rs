//! Pages that say what this build has say what it has.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use sluice_pipeline::{component::Kind, config::known::collector_components};

const KINDS: [(Kind, &str); 5] = [
    (Kind::Receiver, "Receivers"),
    (Kind::Processor, "Processors"),
    (Kind::Exporter, "Exporters"),
    (Kind::Connector, "Connectors"),
    (Kind::Extension, "Extensions"),
];

/// The names and aliases of components by section, as `sluice components` lists them.
fn built(section: &str) -> BTreeSet<String> {
    let output =
        Command::new(env!("CARGO_BIN_EXE_sluice")).args(["components", "--format", "yaml"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let heading = format!("{}:\n", section.to_lowercase());
    let (_, rest) = text.split_once(&heading).unwrap();
    let lines = rest.lines().take_while(|line| line.starts_with(' '));
    let names = lines.filter_map(|line| {
        line.trim().strip_prefix("- name: ").or_else(|| line.trim().strip_prefix("aliases: "))
    });
    names.flat_map(|names| names.trim_matches(['[', ']']).split(", ")).map(str::to_owned).collect()
}

#[test]
fn every_component_of_the_collector_is_listed_as_it_is_here() {
    let page = include_str!("../../docs/from-otelcol.md");
    for (kind, section) in KINDS {
        let (_, rest) = page.split_once(&format!("## {section}\n")).unwrap();
        let table = rest.split("\n## ").next().unwrap();
        let rows = table.lines().filter(|line| line.starts_with("| `"));
        let mut listed = Vec::new();
        let mut here = BTreeSet::new();
        for row in rows {
            let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
            let [names, state] = cells[..] else { panic!("not two cells: {row}") };
            for name in names.split(", ").map(|name| name.trim_matches('`').to_owned()) {
                if state.starts_with("yes") || state.starts_with("partly") {
                    here.insert(name.clone());
                } else {
                    assert!(["next", "later", "no"].iter().any(|word| state.starts_with(word)), "{row}");
                }
                listed.push(name);
            }
        }
        let known: BTreeSet<&str> = collector_components(kind).collect();
        assert_eq!(listed.iter().map(String::as_str).collect::<BTreeSet<_>>(), known, "{section}");
        assert_eq!(listed.len(), known.len(), "{section}: something is listed twice");
        let built =
            built(section).into_iter().filter(|name| known.contains(name.as_str())).collect::<BTreeSet<_>>();
        assert_eq!(here, built, "{section}");
    }
}

/// The files below a directory, by their path in it.
fn files(directory: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![directory.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(directory).unwrap().display().to_string();
                found.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    found
}

#[test]
fn the_pages_of_components_are_those_that_this_build_writes() {
    let output = tempfile::tempdir().unwrap();
    let written = Command::new(env!("CARGO_BIN_EXE_sluice"))
        .args(["components", "--pages"])
        .arg(output.path())
        .status();
    assert!(written.unwrap().success());
    let (written, kept) =
        (files(output.path()), files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/components")));
    let names = |pages: &BTreeMap<String, String>| pages.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&written), names(&kept));
    for (name, page) in &written {
        assert!(*page == kept[name], "{name} is old: run `sluice components --pages docs/components`");
    }
}
