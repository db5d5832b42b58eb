//! Start, idle memory and size of the binary.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::report::median;
use crate::Outcome;
use crate::process::{Process, free_address};

/// What a Sluice costs that does nothing yet. Medians.
#[derive(Clone, Copy, Debug)]
pub struct Startup {
    /// From starting the process until its OTLP port accepts.
    pub listening: Duration,
    /// Resident memory a second later, in bytes.
    pub idle_resident: u64,
    /// The file, in bytes.
    pub binary: u64,
}

const STARTS: usize = 9;

/// When a process counts as idle.
const SETTLED: Duration = Duration::from_secs(1);

pub(super) fn measure(binary: &Path, directory: &Path) -> Outcome<Startup> {
    let (mut listening, mut resident) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let (address, telemetry) = (free_address()?, free_address()?);
        let config = directory.join("startup.yaml");
        fs::write(&config, config_of(address, telemetry))?;
        // Not tied by setpriv: its own start would count.
        let mut command = Command::new(binary);
        command.arg("run").arg("--config").arg(&config);
        let mut process = Process::start(&mut command, &directory.join("startup.log"))?;
        let took = process.wait_until_listening(address, Duration::from_secs(10))?;
        std::thread::sleep(SETTLED);
        listening.push(took.as_secs_f64());
        resident.push(super::round::to_float(process.usage()?.resident));
        process.stop(Duration::from_secs(10))?;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it came from an integer")]
    let idle_resident = median(&mut resident) as u64;
    Ok(Startup {
        listening: Duration::from_secs_f64(median(&mut listening)),
        idle_resident,
        binary: fs::metadata(binary)?.len(),
    })
}

fn config_of(address: std::net::SocketAddr, telemetry: std::net::SocketAddr) -> String {
    format!(
        "receivers:\n  otlp:\n    protocols:\n      grpc:\n        endpoint: {address}\n\
         processors:\n  batch:\n\
         exporters:\n  otlp:\n    endpoint: 127.0.0.1:4317\n    tls:\n      insecure: true\n\
         service:\n  telemetry:\n    metrics:\n      readers:\n        \
           - pull: {{exporter: {{prometheus: {{host: {}, port: {}}}}}}}\n  \
           pipelines:\n    traces: {{receivers: [otlp], processors: [batch], exporters: [otlp]}}\n",
        telemetry.ip(),
        telemetry.port(),
    )
}
