//! Real clients and servers: where they are, and what to do if they are not.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use sluice_integration::process::{Process, free_address, tied};

use super::{PATIENCE, eventually, get};

/// What a client printed on its standard output.
pub(crate) fn python(script: &str, arguments: &[&str]) -> Option<String> {
    let program = require("python/bin/python")?;
    let mut command = Command::new(program);
    command.arg(scripts().join("python").join(script)).args(arguments);
    Some(output(command))
}

/// As [`python`].
pub(crate) fn node(script: &str, arguments: &[&str]) -> Option<String> {
    let modules = require("node/node_modules")?;
    let mut command = Command::new("node");
    command.env("NODE_PATH", modules).arg(scripts().join("node").join(script)).args(arguments);
    Some(output(command))
}

/// The shop with SkyWalking's agent for Java, for this back-end and under this name: so many requests, and so many slow ones.
pub(crate) fn java_shop(backend: &str, name: &str, requests: usize, slow: usize) -> Option<Command> {
    let peer = require("java")?;
    let mut command = tied(Path::new("java"));
    command.args(["-Xmx64m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]);
    command.arg(format!("-javaagent:{}", peer.join("skywalking-agent.jar").display()));
    command.arg("-cp").arg(peer.join("shop")).args(["Shop", "web", name]);
    command.args([requests.to_string(), slow.to_string()]);
    command.env("SW_AGENT_NAME", format!("{name}-web"));
    command.env("SW_AGENT_INSTANCE_NAME", format!("{name}-web-1"));
    command.env("SW_AGENT_COLLECTOR_BACKEND_SERVICES", backend);
    Some(command)
}

/// What a program printed that ended well.
pub(crate) fn output(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")
}

/// The path of a peer, if it was fetched.
pub(crate) fn require(peer: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".peers").join(peer);
    if path.exists() {
        return Some(path);
    }
    skip(&format!("SKIPPED: {peer} is missing; integration/peers/fetch gets it"));
    None
}

fn skip(message: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{message}");
    // Past the capture of test output, so that it is seen.
    let _ = writeln!(std::io::stderr(), "{message}");
}

/// Says that a test is skipped since this host does not let it run, which no installation mends: CI goes on, and says it
/// again at its end.
pub(crate) fn skip_for_host(test: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "\nSKIPPED: {test}: {why}");
}

/// The Python of the peers with one of their scripts, to be started.
pub(crate) fn python_server(script: &str) -> Option<(PathBuf, PathBuf)> {
    Some((require("python/bin/python")?, scripts().join("python").join(script)))
}

/// As [`python_server`], of Node.
pub(crate) fn node_server(script: &str) -> Option<(Command, PathBuf)> {
    let modules = require("node/node_modules")?;
    let mut command = Command::new("node");
    command.env("NODE_PATH", modules);
    Some((command, scripts().join("node").join(script)))
}

/// A script of the peers for another interpreter, such as `java/server.java`.
pub(crate) fn script(path: &str) -> PathBuf {
    scripts().join(path)
}

/// The Envoy of the wheel among the Python peers.
pub(crate) fn envoy() -> Option<PathBuf> {
    let python = require("python/bin/python")?;
    let output = Command::new(python)
        .args(["-c", "import envoy, pathlib; print(pathlib.Path(envoy.__file__).parent / '_bin' / 'envoy')"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap().trim().into())
}

/// The image of a Linux 6.1; only for x86-64.
pub(crate) fn old_kernel() -> Option<PathBuf> {
    if cfg!(target_arch = "x86_64") { require("linux-6.1") } else { None }
}

/// The modules of that kernel for a machine's disk and network card, in the order of their names.
pub(crate) fn kernel_modules() -> Option<PathBuf> {
    require("linux-6.1-modules")
}

/// Whether this process may load programs into the kernel and make network namespaces.
pub(crate) fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        skip("SKIPPED: seeing the kernel's side takes root");
    }
    is_root
}

/// The path of a program of the system, if it is installed.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let directories = std::env::var_os("PATH").unwrap_or_default();
    let found =
        std::env::split_paths(&directories).map(|directory| directory.join(name)).find(|path| path.exists());
    if found.is_none() {
        skip(&format!("SKIPPED: {name} is missing; install it"));
    }
    found
}

/// Prometheus's tool.
pub(crate) fn promtool() -> Option<PathBuf> {
    require("prometheus/promtool")
}

/// A Prometheus that scrapes one address every second. It is killed with its owner.
pub(crate) struct PrometheusServer {
    pub(crate) address: SocketAddr,
    process: Process,
}

impl PrometheusServer {
    /// Starts one that scrapes, with these features, in an empty directory.
    pub(crate) fn start(directory: &Path, scraped: SocketAddr, features: &str) -> Option<Self> {
        let config = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: sluice
    honor_labels: true
    static_configs: [{{targets: ['{scraped}']}}]
"
        );
        Self::run(directory, free_address().unwrap(), &config, features)
    }

    /// Starts one that is written to, with what it has stored in the directory before.
    pub(crate) fn receiving(directory: &Path, address: SocketAddr, features: &str) -> Option<Self> {
        let features = format!("{features} --web.enable-remote-write-receiver");
        let server = Self::run(directory, address, "", &features)?;
        eventually("Prometheus is ready", || get(address, "/-/ready").status == 200);
        Some(server)
    }

    fn run(directory: &Path, address: SocketAddr, config: &str, features: &str) -> Option<Self> {
        let program = require("prometheus/prometheus")?;
        let path = directory.join("prometheus.yaml");
        std::fs::write(&path, config).unwrap();
        let mut command = tied(&program);
        command.arg(format!("--config.file={}", path.display()));
        command.arg(format!("--storage.tsdb.path={}", directory.join("prometheus").display()));
        command.arg(format!("--web.listen-address={address}"));
        command.args(format!("--enable-feature={features}").split(' '));
        command.arg("--log.level=warn").current_dir(directory);
        let mut process = Process::start(&mut command, &directory.join("prometheus.log")).unwrap();
        process.wait_until_listening(address, PATIENCE).unwrap();
        Some(Self { address, process })
    }

    /// Ends it and waits until it has.
    pub(crate) fn stop(self) {
        self.process.stop(PATIENCE).unwrap();
    }
}

/// A Zipkin server that keeps its spans in memory, one for all tests of this process.
pub(crate) struct ZipkinServer {
    pub(crate) address: SocketAddr,
}

impl ZipkinServer {
    pub(crate) fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<ZipkinServer>> = OnceLock::new();
        SHARED.get_or_init(Self::start).as_ref()
    }

    fn start() -> Option<Self> {
        let jar = require("zipkin.jar")?;
        let address = free_address().unwrap();
        let (started, result) = std::sync::mpsc::sync_channel(1);
        // The kernel ends the server with the thread that started it: this one lives as long as the process.
        std::thread::spawn(move || {
            let log = std::env::temp_dir().join(format!("sluice-zipkin-{}.log", address.port()));
            let mut command = tied(Path::new("java"));
            command.args(["-Xmx256m", "-XX:TieredStopAtLevel=1", "-jar"]).arg(jar);
            command.args([
                format!("--armeria.ports[0].address={}", address.ip()),
                format!("--armeria.ports[0].port={}", address.port()),
                "--armeria.ports[0].protocols=http".to_owned(),
                "--zipkin.self-tracing.enabled=false".to_owned(),
            ]);
            let mut process = Process::start(&mut command, &log).unwrap();
            started.send(process.wait_until_listening(address, PATIENCE * 4)).unwrap();
            let _ = std::fs::remove_file(log);
            loop {
                std::thread::park();
            }
        });
        result.recv().unwrap().unwrap();
        Some(Self { address })
    }
}
