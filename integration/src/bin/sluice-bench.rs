//! Measures Sluice beside the raw relay and a peer; prints a table and writes every round to a JSON file.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use sluice_integration::bench::{self, Binaries, SCENARIOS, Scenario, Settings};
use sluice_integration::{Failure, Outcome};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The benchmark runner. Build everything with --release first; the programs are looked for beside this one.
#[derive(Parser)]
struct Arguments {
    /// Scenarios to run; all if none is named.
    scenarios: Vec<String>,
    /// Rounds of each system in each scenario.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds that a round measures.
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// The product; "none" leaves it out.
    #[arg(long)]
    sluice: Option<PathBuf>,
    /// Rotel's agent, for the scenarios that a peer takes part in.
    #[arg(long)]
    peer: Option<PathBuf>,
    /// Where every round goes.
    #[arg(long, default_value = "benchmark.json")]
    json: PathBuf,
    /// Measure instead how long it takes to take up a queue of a gigabyte on disk after a kill -9.
    #[arg(long)]
    recovery: bool,
    /// List the scenarios and end.
    #[arg(long)]
    list: bool,
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let arguments = Arguments::parse();
    if arguments.list {
        SCENARIOS.iter().for_each(|scenario| println!("{:22} {}", scenario.name, scenario.about));
        return Ok(());
    }
    let own = std::env::current_exe()?;
    let beside = own.parent().unwrap_or_else(|| Path::new("."));
    let sluice = arguments.sluice.unwrap_or_else(|| beside.join("sluice"));
    let directory = tempfile::Builder::new().prefix("sluice-bench-").tempdir()?;
    if arguments.recovery {
        for spans in [1000, 50] {
            println!("{}", bench::recovery::measure(&sluice, directory.path(), spans).await?.summary());
        }
        return Ok(());
    }
    let settings = Settings {
        scenarios: chosen(&arguments.scenarios)?,
        rounds: arguments.rounds,
        duration: Duration::try_from_secs_f64(arguments.seconds)?,
        binaries: Binaries {
            relay: beside.join("sluice-relay"),
            sluice: (sluice != Path::new("none")).then_some(sluice),
            rotel: arguments.peer,
        },
        directory: directory.path().to_owned(),
    };
    let report = bench::run(&settings, |line| eprintln!("{line}")).await.inspect_err(|_| {
        eprintln!("the output of the systems is kept in {}", settings.directory.display());
    });
    let report = match report {
        Ok(report) => report,
        Err(error) => {
            let _ = directory.keep();
            return Err(error);
        }
    };
    std::fs::write(&arguments.json, format!("{:#}\n", report.to_json()))?;
    println!("{}", report.to_table());
    println!("every round: {}", arguments.json.display());
    Ok(())
}

fn chosen(names: &[String]) -> Outcome<Vec<&'static Scenario>> {
    if names.is_empty() {
        return Ok(SCENARIOS.iter().collect());
    }
    names
        .iter()
        .map(|name| {
            Scenario::named(name)
                .ok_or_else(|| Failure::from(format!("no scenario {name}; --list shows them")))
        })
        .collect()
}
