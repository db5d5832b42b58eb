//! Measures what kernel events cost nginx; prints a table and writes every round to a JSON file.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool")]

use std::{collections::BTreeMap, path::PathBuf};

use clap::Parser;
use sluice_integration::{
    Outcome,
    overhead::{self, Round, SCENARIOS},
};

/// wrk flat out against nginx, without Sluice and with it, interleaved. Needs root, nginx and wrk.
#[derive(Parser)]
struct Arguments {
    /// Scenarios to run beside the bare one; all if none is named.
    scenarios: Vec<String>,
    /// Rounds of each scenario.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds that a round measures.
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// The product; by default the one beside this program.
    #[arg(long)]
    sluice: Option<PathBuf>,
    /// Where every round goes.
    #[arg(long, default_value = "overhead.json")]
    json: PathBuf,
}

fn main() -> Outcome<()> {
    let arguments = Arguments::parse();
    let sluice = match arguments.sluice {
        Some(path) => path,
        None => std::env::current_exe()?.with_file_name("sluice"),
    };
    let chosen = |name: &str| {
        name == "none" || arguments.scenarios.is_empty() || arguments.scenarios.iter().any(|one| one == name)
    };
    let scenarios: Vec<_> = SCENARIOS.iter().filter(|scenario| chosen(scenario.name)).collect();
    let mut rounds: BTreeMap<&str, Vec<Round>> = BTreeMap::new();
    for number in 1..=arguments.rounds {
        for scenario in &scenarios {
            eprintln!("round {number} of {}: {}", arguments.rounds, scenario.name);
            let round = overhead::round(scenario, &sluice, arguments.seconds)?;
            rounds.entry(scenario.name).or_default().push(round);
        }
    }
    std::fs::write(&arguments.json, serde_json::to_string_pretty(&rounds)?)?;

    let bare = median(&rounds["none"], |round| round.user + round.system);
    println!(
        "| what | requests/s | user us | system us | Sluice's own us | CPU a request | exchanges seen | lost |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|");
    for scenario in scenarios {
        let of = |value: fn(&Round) -> f64| median(&rounds[scenario.name], value);
        let whole = of(|round| round.user + round.system);
        println!(
            "| {} | {:.0} | {:.2} | {:.2} | {:.2} | {:+.0} % | {:.2} | {:.0} |",
            scenario.what,
            of(|round| round.rate),
            of(|round| round.user),
            of(|round| round.system),
            of(|round| round.sluice),
            (whole / bare - 1.0) * 100.0,
            of(seen),
            of(lost),
        );
    }
    println!(
        "\nCPU is the whole machine's for a request; exchanges seen are for each request, 2 at both ends."
    );
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "counts of requests are small")]
fn seen(round: &Round) -> f64 {
    round.exchanges as f64 / round.requests as f64
}

#[expect(clippy::cast_precision_loss, reason = "counts of events are small")]
fn lost(round: &Round) -> f64 {
    round.lost as f64
}

fn median(rounds: &[Round], value: impl Fn(&Round) -> f64) -> f64 {
    let mut values: Vec<f64> = rounds.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
