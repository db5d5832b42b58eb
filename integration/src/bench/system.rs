//! The systems under test: how each is started for a scenario.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::scenario::Scenario;
use crate::Outcome;
use crate::process::{Process, free_address, tied};
use crate::sink::Sink;

/// A program that takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    /// This crate's raw relay: the floor.
    Relay,
    /// The product.
    Sluice,
    /// Rotel's agent, given by path.
    Rotel,
    /// A loop in this process that appends what the callers would send and syncs: the floor of a durable queue.
    Loop,
}

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Binaries {
    /// `sluice-relay`.
    pub relay: PathBuf,
    /// `sluice`, if it takes part.
    pub sluice: Option<PathBuf>,
    /// `rotel-agent`, if it takes part.
    pub rotel: Option<PathBuf>,
}

/// A system that runs.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) process: Process,
    /// Where it takes load.
    pub(super) target: SocketAddr,
}

/// Longer than any start should take.
const START_LIMIT: Duration = Duration::from_secs(10);

impl System {
    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Relay => "raw relay",
            Self::Sluice => "sluice",
            Self::Rotel => "rotel",
            Self::Loop => "bare loop",
        }
    }

    /// Starts it between a load to come and this sink.
    pub(super) fn start(
        self,
        scenario: &Scenario,
        sink: &Sink,
        binaries: &Binaries,
        directory: &Path,
    ) -> Outcome<Running> {
        let target = free_address()?;
        let log = directory.join(format!("{}-{}.log", scenario.name, self.name().replace(' ', "-")));
        let mut command = match self {
            Self::Relay => {
                let mut command = tied(&binaries.relay);
                command.args(["--listen", &target.to_string(), "--upstream", &sink.grpc.to_string()]);
                command
            }
            Self::Sluice => {
                let program = binaries.sluice.as_deref().ok_or("no path to sluice")?;
                scenario.prepare(directory)?;
                let config = directory.join(format!("{}.yaml", scenario.name));
                fs::write(&config, scenario.config(target, free_address()?, sink, directory))?;
                let mut command = tied(program);
                command.arg("run").arg("--config").arg(config);
                command
            }
            Self::Rotel => {
                let program = binaries.rotel.as_deref().ok_or("no path to rotel-agent")?;
                rotel(program, target, sink, directory)?
            }
            Self::Loop => return Err("the loop is no process of its own".into()),
        };
        let mut process = Process::start(&mut command, &log)?;
        process.wait_until_listening(target, START_LIMIT).map_err(|error| {
            format!("{} in {}: {error}; see {}", self.name(), scenario.name, log.display())
        })?;
        Ok(Running { process, target })
    }
}

impl Binaries {
    /// Whether this system can take part.
    #[must_use]
    pub fn has(&self, system: System) -> bool {
        match system {
            System::Relay | System::Loop => true,
            System::Sluice => self.sluice.is_some(),
            System::Rotel => self.rotel.is_some(),
        }
    }
}

/// Its compression option has no effect: it always sends gzip.
fn rotel(program: &Path, target: SocketAddr, sink: &Sink, directory: &Path) -> Outcome<Command> {
    let mut command = tied(program);
    command
        .args(["start", "--exporter", "otlp", "--otlp-exporter-protocol", "grpc"])
        .args(["--otlp-exporter-endpoint", &format!("http://{}", sink.grpc)])
        .args(["--otlp-grpc-endpoint", &target.to_string()])
        .args(["--otlp-http-endpoint", &free_address()?.to_string()])
        .args(["--otlp-grpc-max-recv-msg-size-mib", "64"])
        .arg("--pid-file")
        .arg(directory.join("rotel.pid"))
        .arg("--log-file")
        .arg(directory.join("rotel.log"));
    Ok(command)
}
