//! Configuration files, with what they refer to.

use std::io;

use sluice_pipeline::config::{self, Environment, Problems, Source};

pub(super) const TOKENS: &[&[u8]] = &[
    b": ",
    b"- ",
    b"&a ",
    b"*a",
    b"<<: *a",
    b"${",
    b"}",
    b"${env:X:-",
    b"${yaml:",
    b"$$",
    b"{",
    b"[",
    b"]",
    b"|\n ",
    b"!!",
    b"---\n",
    b"\t",
    b"\xef\xbb\xbf",
    b"? ",
    b"\r\n",
    b"'",
    b"\"",
    b"\\x",
    b"receivers:",
];

pub(super) fn seeds() -> Vec<Vec<u8>> {
    const FILES: [&str; 5] = [
        "receivers:\n  otlp:\n    protocols:\n      grpc:\n        endpoint: ${env:HOST:-0.0.0.0}:4317\n\
         exporters:\n  debug: {verbosity: detailed}\n\
         service:\n  pipelines:\n    traces: {receivers: [otlp], exporters: [debug]}\n",
        "a: &x [1, 2.5, 0x1F, 1e3, ~, true, 'it''s', \"q\\u00e9\\n\"]\nb: *x\nc: {<<: {d: 1}, e: 2}\n",
        "text: |\n  line one\n  line two\nfolded: >-\n  a\n  b\n\nlist:\n- a\n-   - b\n    - c\n? complex\n: value\n",
        "a: ${b}\nc: ${env:X}${file:/etc/hosts}\nd: $${literal}\ne: ${yaml:{f: [1, 2]}}\n",
        "%YAML 1.2\n---\na: !!str 1\nb: !custom {x: y}\n...\n",
    ];
    FILES.iter().map(|file| file.as_bytes().to_vec()).collect()
}

pub(super) fn run(input: &[u8]) -> String {
    let Ok(text) = std::str::from_utf8(input) else { return yaml_file(input) };
    let mut problems = Problems::default();
    let node = config::load(&[Source::Yaml(text.to_owned())], &[], &Nothing, &mut problems);
    assert!(node.is_some() || problems.has_errors(), "nothing was loaded and nothing is wrong");
    format!("{} {}", node.is_some(), rendered(&problems))
}

/// As a file would be read, for bytes that are not UTF-8.
fn yaml_file(input: &[u8]) -> String {
    let mut problems = Problems::default();
    let node = config::load(&[Source::File("fuzz.yaml".into())], &[], &Content(input), &mut problems);
    assert!(node.is_none(), "invalid UTF-8 was taken");
    rendered(&problems)
}

/// How the messages begin: what follows often quotes the input.
fn rendered(problems: &Problems) -> String {
    problems.iter().take(3).flat_map(|problem| problem.message.chars().take(16)).collect()
}

/// An environment with a variable and a file of its own, and nothing of the machine's.
struct Nothing;

impl Environment for Nothing {
    fn variable(&self, name: &str) -> Option<String> {
        (name == "X").then(|| "${env:X}".to_owned())
    }

    fn read(&self, _path: &str) -> io::Result<Vec<u8>> {
        Ok(b"content: [of, a, file]".to_vec())
    }
}

/// An environment whose every file is the input.
struct Content<'a>(&'a [u8]);

impl Environment for Content<'_> {
    fn variable(&self, _name: &str) -> Option<String> {
        None
    }

    fn read(&self, _path: &str) -> io::Result<Vec<u8>> {
        Ok(self.0.to_vec())
    }
}
