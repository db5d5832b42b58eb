//! Configuration files written for the OpenTelemetry Collector start unchanged, default ports and all.
//!
//! Those that its distributions come with use components that are not in this build: these are named, and without them
//! the files start as well. `packaged/otelcol.yaml` is what `otelcol` and `otelcol-contrib` install, `packaged/helm.yaml`
//! what the Helm chart `opentelemetry-collector` renders for a Deployment and for a DaemonSet. The distributions
//! `otelcol-k8s` and `otelcol-otlp` come without a file.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use crate::support::{Setup, eventually, get, post};

/// What the packaged files have and this build has not.
const MISSING: [&str; 2] = ["jaeger", "prometheus"];

/// What the Helm chart gives its containers.
const ENVIRONMENT: [(&str, &str); 6] = [
    ("MY_POD_IP", "127.0.0.1"),
    ("OTEL_K8S_NODE_NAME", "node-1"),
    ("OTEL_K8S_NAMESPACE", "default"),
    ("OTEL_K8S_NODE_IP", "192.0.2.1"),
    ("OTEL_K8S_POD_IP", "192.0.2.2"),
    ("OTEL_K8S_POD_NAME", "collector-1"),
];

fn files(kind: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(kind);
    let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

/// Whether a file is valid, and what is said of it.
fn validate(file: &Path) -> (bool, String) {
    let setup = Setup::new();
    let mut command = setup.command();
    let output = command.envs(ENVIRONMENT).arg("validate").arg("--config").arg(file).output().unwrap();
    (output.status.success(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn they_are_valid() {
    for file in files("collector") {
        let (valid, said) = validate(&file);
        assert!(valid, "{}\n{said}", file.display());
    }
}

#[test]
fn packaged_files_lack_what_is_named_and_nothing_else() {
    for file in files("packaged") {
        let (valid, said) = validate(&file);
        assert!(!valid, "{} is whole by now: move it to the others", file.display());
        let errors: BTreeSet<_> = said
            .lines()
            .filter_map(|line| line.strip_prefix(&format!("{}:", file.display())))
            .map(|line| line.split_once(": ").unwrap().1)
            .collect();
        let expected =
            MISSING.map(|name| format!("error: receiver type \"{name}\" is not in this build of Sluice"));
        assert_eq!(errors, expected.iter().map(String::as_str).collect(), "{said}");
    }
}

/// One after another, since they share the default ports.
#[test]
fn they_run() {
    let default: SocketAddr = "127.0.0.1:4317".parse().unwrap();
    if TcpListener::bind(default).is_err() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "port 4317 is taken");
        let _ = writeln!(std::io::stderr(), "SKIPPED: port 4317 is taken");
        return;
    }
    for file in files("collector") {
        let setup = Setup::new();
        let text = fs::read_to_string(&file).unwrap();
        let sluice = setup.start(&text, default);
        if text.contains("health_check") {
            eventually("health is good", || get(local(13133), "/").status == 200);
        }
        sluice.stop();
    }
    for file in files("packaged") {
        let setup = Setup::new();
        let text = fs::read_to_string(&file).unwrap().replace("0.0.0.0", "127.0.0.1");
        let text = MISSING.iter().fold(text, |text, name| without(&text, name));
        let sluice = setup.start_with(&text, default, &ENVIRONMENT);
        eventually("health is good", || get(local(13133), "/").status == 200);
        assert_eq!(post(local(9411), "/api/v2/spans", &[], "[]").status, 202);
        assert_eq!(
            post(local(4318), "/v1/metrics", &[("content-type", "application/json")], "{}").status,
            200
        );
        assert_eq!(get(local(8888), "/metrics").status, 200);
        sluice.stop();
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// The file without a receiver: neither its keys, nor its name in lists of either style.
fn without(text: &str, receiver: &str) -> String {
    let mut inside = false;
    let lines = text.lines().filter(|line| {
        let indent = line.len() - line.trim_start().len();
        inside = *line == format!("  {receiver}:") || inside && indent > 2;
        !inside && line.trim() != format!("- {receiver}")
    });
    let kept: Vec<_> = lines.map(|line| line.replace(&format!(", {receiver}"), "")).collect();
    assert!(kept.len() < text.lines().count(), "there is no {receiver}");
    kept.join("\n")
}
