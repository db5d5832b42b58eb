//! Broken configurations and what Sluice says of them, kept as golden files in `tests/broken`.
//!
//! `UPDATE_GOLDEN=1 cargo test -p sluice-pipeline broken` writes them anew.

use std::{collections::HashMap, fs, io, path::Path};

use super::{Document, Environment, Problems, Source, load, telemetry::Telemetry, testing};
use crate::graph::Plan;

/// No variable is set but one; files are real.
struct Surroundings(HashMap<&'static str, &'static str>);

impl Environment for Surroundings {
    fn variable(&self, name: &str) -> Option<String> {
        self.0.get(name).map(|text| (*text).to_owned())
    }

    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        // As the user would name it, whatever directory the test runs in.
        fs::read(directory().join(path))
    }
}

fn directory() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/broken"))
}

fn said_of(file: &str) -> String {
    let environment = Surroundings(HashMap::from([("WORD", "many")]));
    let registry = testing::registry();
    let mut problems = Problems::default();
    let loaded = load(&[Source::File(file.into())], &[], &environment, &mut problems);
    if let Some(document) = loaded.and_then(|node| Document::from_node(&node, &mut problems)) {
        let _ = Telemetry::from_node(&document.telemetry, &mut problems);
        let _ = Plan::of(&document, &registry, &mut problems);
    }
    assert!(problems.has_errors(), "{file} is not broken: {problems}");
    problems.to_string()
}

#[test]
fn each_broken_configuration_is_explained_as_its_golden_file_says() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut files: Vec<_> = fs::read_dir(directory())
        .expect("the directory exists")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".yaml"))
        .collect();
    files.sort();
    assert!(files.len() >= 25, "{} broken configurations", files.len());
    for file in files {
        let said = said_of(&file);
        let golden = directory().join(file.replace(".yaml", ".txt"));
        if update {
            fs::write(&golden, &said).expect("can write");
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(said, expected, "{file}");
        assert!(!said.contains("hush"), "{file} shows a secret: {said}");
    }
}
