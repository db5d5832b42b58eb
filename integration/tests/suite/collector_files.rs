//! Configuration files written for the OpenTelemetry Collector start unchanged, default ports and all.

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use crate::support::{Setup, eventually, get};

fn files() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/collector");
    let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

#[test]
fn they_are_valid() {
    let setup = Setup::new();
    for file in files() {
        let output = setup.command().arg("validate").arg("--config").arg(&file).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{}\n{said}", file.display());
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
    for file in files() {
        let setup = Setup::new();
        let text = fs::read_to_string(&file).unwrap();
        let sluice = setup.start(&text, default);
        if text.contains("health_check") {
            let health: SocketAddr = "127.0.0.1:13133".parse().unwrap();
            eventually("health is good", || get(health, "/").status == 200);
        }
        sluice.stop();
    }
}
