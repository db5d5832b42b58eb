//! The examples on the pages of components: each starts, says that it is ready, and stops.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use sluice_integration::process::{Process, free_address, tied};

use crate::support::{PATIENCE, Setup, executable, is_root};

const READY: &str = "Everything is ready";
/// Nobody is there; what needs Kubernetes goes on asking.
const KUBECONFIG: &str = "apiVersion: v1
kind: Config
current-context: test
contexts: [{name: test, context: {cluster: test, user: test}}]
clusters: [{name: test, cluster: {server: 'https://127.0.0.1:9'}}]
users: [{name: test, user: {token: a-secret}}]
";
const SECRETS: [&str; 4] = ["TOKEN", "CLIENT_SECRET", "AGENT_PASSWORD", "GATEWAY_PASSWORD"];

fn examples() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folders =
        ["receivers", "processors", "exporters", "extensions"].map(|name| root.join(name).join("src"));
    let components = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    components.map(|entry| entry.unwrap().path().join("example.yaml")).filter(|path| path.exists()).collect()
}

/// With free ports instead of those that it names, so that it disturbs nobody.
fn elsewhere(example: &str) -> String {
    let mut pieces = example.split("localhost:");
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        text += &free_address().unwrap().to_string();
        text += piece.trim_start_matches(|letter: char| letter.is_ascii_digit());
    }
    text
}

#[test]
fn every_example_runs() {
    let mut count = 0;
    for path in examples() {
        let example = fs::read_to_string(&path).unwrap();
        if example.contains("ebpf_network:") && !is_root() {
            continue;
        }
        let setup = Setup::new();
        let config = setup.write("config.yaml", &elsewhere(&example));
        setup.write("kubeconfig", KUBECONFIG);
        let log = setup.path("sluice.log");
        let mut command = tied(&executable());
        command.arg("run").arg("--config").arg(config).current_dir(setup.directory.path());
        command.args(["--set", "service.telemetry.metrics.level=none"]);
        command.envs(SECRETS.map(|name| (name, "a-secret")));
        let mut process = Process::start(&mut command, &log).unwrap();
        let told = || fs::read_to_string(&log).unwrap();
        let ready = process.wait_until(PATIENCE, "say that it is ready", || told().contains(READY));
        assert!(ready.is_ok(), "{}: {ready:?}\n{}", path.display(), told());
        process.signal(Signal::TERM).unwrap();
        let status = process.wait(PATIENCE).unwrap();
        assert!(status.success(), "{}: {status}\n{}", path.display(), told());
        for line in told().lines() {
            assert!(!line.contains("\terror\t"), "{}: {line}", path.display());
        }
        count += 1;
    }
    assert!(count >= 25, "{count} examples");
}
