//! Measures what kernel events cost nginx, and what tracing costs Envoy; prints a table and writes every round to a JSON
//! file.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool")]

use std::{collections::BTreeMap, path::PathBuf};

use clap::{Args, Parser, Subcommand};
use sluice_integration::{
    Outcome,
    overhead::{self, Round, SCENARIOS, mesh},
};

/// wrk flat out against nginx, with Sluice and without in turns. Needs root, nginx and wrk.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    group: Option<Group>,
    /// Scenarios to run; all if none is named.
    scenarios: Vec<String>,
    #[command(flatten)]
    rounds: Rounds,
}

#[derive(Subcommand)]
enum Group {
    /// wrk flat out through Envoy to nginx: untraced, traced in full, and traced a little with kernel events.
    Mesh {
        #[command(flatten)]
        rounds: Rounds,
        /// Envoy; by default the one that integration/peers/fetch got.
        #[arg(long)]
        envoy: Option<PathBuf>,
        /// Set by the command itself.
        #[arg(long, hide = true)]
        inside: bool,
    },
}

#[derive(Args)]
struct Rounds {
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

impl Rounds {
    fn sluice(&self) -> Outcome<PathBuf> {
        match &self.sluice {
            Some(path) => Ok(path.clone()),
            None => Ok(std::env::current_exe()?.with_file_name("sluice")),
        }
    }
}

fn main() -> Outcome<()> {
    let arguments = Arguments::parse();
    match arguments.group {
        None => nginx(&arguments.scenarios, &arguments.rounds),
        Some(Group::Mesh { inside: false, .. }) => mesh::enter_namespace(&["mesh", "--inside"]),
        Some(Group::Mesh { rounds, envoy, .. }) => proxy(&rounds, envoy),
    }
}

/// What tracing costs a proxy.
fn proxy(options: &Rounds, envoy: Option<PathBuf>) -> Outcome<()> {
    let (sluice, envoy) = (options.sluice()?, envoy.map_or_else(mesh::fetched_envoy, Ok)?);
    let mut rounds: BTreeMap<&str, Vec<mesh::Round>> = BTreeMap::new();
    for number in 1..=options.rounds {
        for scenario in to_and_fro(mesh::SCENARIOS, number) {
            eprintln!("round {number} of {}: {}", options.rounds, scenario.name);
            let round = mesh::round(scenario, &sluice, &envoy, options.seconds)?;
            rounds.entry(scenario.name).or_default().push(round);
        }
    }
    std::fs::write(&options.json, serde_json::to_string_pretty(&rounds)?)?;

    println!(
        "| Envoy before nginx | requests/s | of untraced | sure within | CPU a request, us | untraced | Sluice's own, us | its programs', us | spans a request |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|");
    for scenario in mesh::SCENARIOS {
        let of = |value: fn(&mesh::Round) -> f64| median(&rounds[scenario.name], value);
        println!(
            "| {} | {:.0} | {} | {:.1} | {:.1} | {:.2} | {:.2} | {:.3} |",
            scenario.what,
            of(|round| round.rate),
            shares(&rounds[scenario.name]),
            of(|round| round.cpu),
            of(|round| round.untraced_cpu),
            of(|round| round.sluice),
            of(|round| round.programs),
            of(|round| share(round.spans, round.requests)),
        );
    }
    let events = &rounds["events"];
    println!(
        "\nEach turn of a tenth of a second is compared with the turn of an untraced proxy of the same kind beside it; the median of\n\
         all, and where it lies with 95 % certainty. The {:.2} us that Sluice's programs cost the untraced proxy are taken off.\n\
         Of the slow and failed requests, {:.1} % have a record of their exchange, with its content; {:.0} a round are on spans of the 1 %.\n\
         Exchanges seen: {:.3} for each request; events lost: {:.0}. CPU is that of Envoy, nginx and wrk.",
        median(events, |round| round.untraced_programs),
        median(events, |round| share(round.recorded, round.remarkable)) * 100.0,
        median(events, |round| share(round.events, 2)),
        median(events, |round| share(round.exchanges, round.requests)),
        median(events, |round| share(round.lost, 1)),
    );
    Ok(())
}

/// The scenarios of a round: in every second one the last comes first, so that what changes with time falls on all alike.
fn to_and_fro<S>(scenarios: &[S], round: usize) -> Vec<&S> {
    let forward = scenarios.iter();
    if round.is_multiple_of(2) { forward.rev().collect() } else { forward.collect() }
}

/// The median of the shares of all turns, and the bounds that it lies within with 95 % certainty, whatever their distribution.
fn shares(rounds: &[mesh::Round]) -> String {
    let mut shares: Vec<f64> =
        rounds.iter().flat_map(|round| &round.shares).map(|share| share * 100.0).collect();
    shares.sort_by(f64::total_cmp);
    let middle = shares.len() / 2;
    // Of n values, the number below the median is binomially distributed, with a standard deviation of half the root of n.
    let around = shares.len().isqrt();
    let at = |place: usize| shares.get(place).copied().unwrap_or(f64::NAN);
    format!("{:.1} % | {:.1} - {:.1} %", at(middle), at(middle.saturating_sub(around)), at(middle + around))
}

#[expect(clippy::cast_precision_loss, reason = "counts of requests are small")]
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

/// What kernel events cost nginx.
fn nginx(chosen: &[String], options: &Rounds) -> Outcome<()> {
    let sluice = options.sluice()?;
    if let Some(unknown) = chosen.iter().find(|name| SCENARIOS.iter().all(|known| known.name != **name)) {
        let known: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
        return Err(format!("no scenario is called {unknown}; there are {}", known.join(", ")).into());
    }
    let chosen = |name: &str| chosen.is_empty() || chosen.iter().any(|one| one == name);
    let scenarios: Vec<_> = SCENARIOS.iter().filter(|scenario| chosen(scenario.name)).collect();
    let mut rounds: BTreeMap<&str, Vec<Round>> = BTreeMap::new();
    for number in 1..=options.rounds {
        for scenario in to_and_fro(&scenarios, number) {
            eprintln!("round {number} of {}: {}", options.rounds, scenario.name);
            let round = overhead::round(scenario, &sluice, options.seconds)?;
            rounds.entry(scenario.name).or_default().push(round);
        }
    }
    std::fs::write(&options.json, serde_json::to_string_pretty(&rounds)?)?;

    println!(
        "| what | requests/s | user us | system us | Sluice's own us | its programs' us | both | CPU a request | from - to | exchanges seen | lost |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    for scenario in scenarios {
        let of = |value: fn(&Round) -> f64| median(&rounds[scenario.name], value);
        let mut more: Vec<f64> = rounds[scenario.name].iter().map(more).collect();
        more.sort_by(f64::total_cmp);
        let [Some(least), Some(most)] = [more.first(), more.last()] else { continue };
        println!(
            "| {} | {:.0} | {:.2} | {:.2} | {:.2} | {:.2} | {:+.1} % | {:+.1} % | {least:+.1} - {most:+.1} % | {:.2} | {:.0} |",
            scenario.what,
            of(|round| round.rate),
            of(|round| round.user),
            of(|round| round.system),
            of(|round| round.sluice),
            of(|round| round.programs),
            of(|round| (round.sluice + round.programs) / round.cpu_alone()) * 100.0,
            overhead::median(more.clone()),
            of(seen),
            of(lost),
        );
    }
    println!(
        "\nCPU is that of nginx and wrk for a request, and of Sluice where it is compared: with an nginx beside it that is not\n\
         watched, in turns of a tenth of a second; what Sluice's programs cost that one is taken off. Sluice's own and its\n\
         programs' run time in the kernel are measured apart; both are in per cent of the bare CPU. Exchanges seen are for each\n\
         request, 2 at both ends."
    );
    Ok(())
}

/// CPU for a request beyond what it takes without Sluice, in per cent.
fn more(round: &Round) -> f64 {
    (round.cpu() / round.cpu_alone() - 1.0) * 100.0
}

fn seen(round: &Round) -> f64 {
    share(round.exchanges, round.requests)
}

fn lost(round: &Round) -> f64 {
    share(round.lost, 1)
}

fn median<R>(rounds: &[R], value: impl Fn(&R) -> f64) -> f64 {
    overhead::median(rounds.iter().map(value).collect())
}
