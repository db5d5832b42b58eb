//! Sluice as a child process.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use rustix::process::Signal;
use sluice_integration::process::{Process, free_address, tied};
use tempfile::TempDir;

use super::PATIENCE;

/// A directory, free addresses and the text that every configuration needs.
pub(crate) struct Setup {
    pub(crate) grpc: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) zipkin: SocketAddr,
    pub(crate) telemetry: SocketAddr,
    pub(crate) directory: TempDir,
    _turn: Turn,
}

/// Tests run beside each other, but for those that need the machine for themselves.
enum Turn {
    Shared(#[expect(dead_code, reason = "held")] RwLockReadGuard<'static, ()>),
    Alone(#[expect(dead_code, reason = "held")] RwLockWriteGuard<'static, ()>),
}

static TURNS: RwLock<()> = RwLock::new(());

/// A Sluice that runs. It is killed with its owner.
pub(crate) struct Sluice {
    pub(crate) process: Process,
    log: PathBuf,
}

/// The binary under test: `SLUICE_BIN`, or the one that was built with the tests.
pub(crate) fn executable() -> PathBuf {
    if let Some(path) = std::env::var_os("SLUICE_BIN") {
        return path.into();
    }
    let tests = std::env::current_exe().unwrap();
    let beside = tests.ancestors().nth(2).unwrap().join("sluice");
    assert!(beside.exists(), "{} is missing: build it with `cargo build -p sluice`", beside.display());
    beside
}

impl Setup {
    pub(crate) fn new() -> Self {
        Self::in_turn(Turn::Shared(TURNS.read().unwrap_or_else(PoisonError::into_inner)))
    }

    /// For a test that no other may disturb.
    pub(crate) fn alone() -> Self {
        Self::in_turn(Turn::Alone(TURNS.write().unwrap_or_else(PoisonError::into_inner)))
    }

    fn in_turn(turn: Turn) -> Self {
        let [grpc, http, zipkin, telemetry] = [(); 4].map(|()| free_address().unwrap());
        Self { grpc, http, zipkin, telemetry, directory: tempfile::tempdir().unwrap(), _turn: turn }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// An `otlp` receiver with both protocols, and self-telemetry on a port of its own.
    pub(crate) fn config(&self, rest: &str, pipelines: &str) -> String {
        format!(
            "receivers:
  otlp:
    protocols:
      grpc:
        endpoint: {}
      http:
        endpoint: {}
  zipkin:
    endpoint: {}
{rest}
service:
  telemetry:
    metrics:
      readers:
        - pull:
            exporter:
              prometheus:
                host: {}
                port: {}
  pipelines:
{pipelines}
",
            self.grpc,
            self.http,
            self.zipkin,
            self.telemetry.ip(),
            self.telemetry.port(),
        )
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Starts Sluice and waits until it listens at `address`.
    pub(crate) fn start(&self, config: &str, address: SocketAddr) -> Sluice {
        self.start_with(config, address, &[])
    }

    /// As [`Setup::start`], with these variables in the environment.
    pub(crate) fn start_with(
        &self,
        config: &str,
        address: SocketAddr,
        environment: &[(&str, &str)],
    ) -> Sluice {
        let file = self.write("config.yaml", config);
        let mut sluice = self.launch(&file, |command| command.envs(environment.iter().copied()));
        if let Err(error) = sluice.process.wait_until_listening(address, PATIENCE) {
            panic!("{error}\nwith\n{config}\n{}", sluice.log());
        }
        sluice
    }

    /// Starts Sluice with this file and does not wait.
    pub(crate) fn spawn(&self, config: &Path) -> Sluice {
        self.spawn_with(config, &[])
    }

    /// As [`Setup::spawn`], with further arguments.
    pub(crate) fn spawn_with(&self, config: &Path, arguments: &[&str]) -> Sluice {
        self.launch(config, |command| command.args(arguments))
    }

    fn launch(&self, config: &Path, adjust: impl FnOnce(&mut Command) -> &mut Command) -> Sluice {
        let log = self.path("sluice.log");
        let mut command = tied(&executable());
        command.arg("run").arg("--config").arg(config).current_dir(self.directory.path());
        adjust(&mut command);
        Sluice { process: Process::start(&mut command, &log).unwrap(), log }
    }

    /// A command of the system, in the directory of this test.
    pub(crate) fn program(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        command.current_dir(self.directory.path());
        command
    }

    /// Runs a command of Sluice to its end.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(executable());
        command.current_dir(self.directory.path());
        command
    }
}

impl Sluice {
    /// What it has written so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Asks it to end, and expects that it drains and ends well.
    pub(crate) fn stop(self) -> String {
        self.process.signal(Signal::TERM).unwrap();
        let (status, log) = self.wait();
        assert!(status.success(), "{status}\n{log}");
        log
    }

    /// It never took more memory than its limit and what the design allows beside that.
    pub(crate) fn assert_within(&self, limit_mib: u64) {
        const BESIDE: u64 = 30;
        let peak = self.process.usage().unwrap().peak_resident >> 20;
        let _ =
            writeln!(std::io::stderr(), "{peak} MiB were resident at most, with a limit of {limit_mib} MiB");
        assert!(peak <= limit_mib + BESIDE, "{peak} MiB were resident with a limit of {limit_mib} MiB");
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        match self.process.wait(PATIENCE) {
            Ok(status) => (status, self.log()),
            Err(error) => panic!("{error}\n{}", self.log()),
        }
    }
}
