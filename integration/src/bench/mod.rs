//! The benchmarks: each system under test in a process of its own, rounds interleaved, medians reported.
//!
//! What is measured is the CPU time of that process alone for each item that reached the sink. It does not depend
//! on how fast the load generator is, so that two cores are enough for all three.

mod append;
pub mod recovery;
mod report;
mod round;
mod scenario;
mod startup;
mod system;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

pub use report::{Report, Row};
pub use scenario::{SCENARIOS, Scenario};
pub use startup::Startup;
pub use system::{Binaries, System};

use crate::Outcome;
use round::Round;

/// What to run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The scenarios, each over all systems that take part in it.
    pub scenarios: Vec<&'static Scenario>,
    /// Rounds of each system in each scenario; the median is reported.
    pub rounds: usize,
    /// How long a round measures, after a warm-up of a quarter of it.
    pub duration: Duration,
    /// The programs.
    pub binaries: Binaries,
    /// Where the systems' configuration and output go.
    pub directory: PathBuf,
}

/// Runs everything; `progress` is told each round as it ends.
///
/// # Errors
/// That a system does not start, or ends by itself.
pub async fn run(settings: &Settings, progress: impl Fn(&str)) -> Outcome<Report> {
    fs::create_dir_all(&settings.directory)?;
    let mut report = Report::default();
    if let Some(binary) = &settings.binaries.sluice {
        report.startup = Some(startup::measure(binary, &settings.directory)?);
    }
    for scenario in &settings.scenarios {
        let systems: Vec<System> =
            scenario.systems.iter().copied().filter(|system| settings.binaries.has(*system)).collect();
        let mut rounds: Vec<Vec<Round>> = vec![Vec::new(); systems.len()];
        for number in 1..=settings.rounds {
            for (system, results) in systems.iter().zip(&mut rounds) {
                let round = match system {
                    System::Loop => append::measure(scenario, settings.duration, &settings.directory).await?,
                    _ => round::measure(scenario, *system, settings).await?,
                };
                progress(&format!("{} {} {number}: {}", scenario.name, system.name(), round.summary()));
                results.push(round);
            }
        }
        for (system, results) in systems.iter().zip(rounds) {
            report.rows.push(Row { scenario: scenario.name, system: system.name(), rounds: results });
        }
    }
    Ok(report)
}
