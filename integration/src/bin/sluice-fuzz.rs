//! Fuzzes Sluice's parsers. Ends with status 1 if an input breaks one, and writes that input as hexadecimal.
#![expect(clippy::print_stdout, reason = "a command-line tool")]

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use peak_alloc::PeakAlloc;
use sluice_integration::fuzz::{self, Failed, Settings, TARGETS, Target};
use sluice_integration::{Failure, Outcome};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// The fuzz harness.
#[derive(Parser)]
struct Arguments {
    /// Targets to run; all if none is named.
    targets: Vec<String>,
    /// Seconds for each target.
    #[arg(long, default_value_t = 20.0)]
    seconds: f64,
    /// Where the sequence of inputs starts; random if absent.
    #[arg(long)]
    seed: Option<u64>,
    /// Where inputs that break a target are written.
    #[arg(long, default_value = ".")]
    output: PathBuf,
    /// Run this one input, a file of hexadecimal digits, through the one target named.
    #[arg(long)]
    replay: Option<PathBuf>,
    /// List the targets and end.
    #[arg(long)]
    list: bool,
}

fn main() -> Outcome<ExitCode> {
    let arguments = Arguments::parse();
    if arguments.list {
        TARGETS.iter().for_each(|target| println!("{}", target.name));
        return Ok(ExitCode::SUCCESS);
    }
    let targets = chosen(&arguments.targets)?;
    if let Some(file) = &arguments.replay {
        let [target] = targets.as_slice() else { return Err("--replay wants one target".into()) };
        println!("{}", fuzz::replay(target, &ALLOCATOR, &from_hexadecimal(&fs::read_to_string(file)?)?)?);
        return Ok(ExitCode::SUCCESS);
    }
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..));
    let settings = Settings { duration: Duration::try_from_secs_f64(arguments.seconds)?, seed };
    let mut failures = 0;
    for target in &targets {
        match fuzz::run(target, &ALLOCATOR, settings) {
            Ok(summary) => println!("fuzz {} ok: {summary:?}", target.name),
            Err(failed) => {
                failures += 1;
                let file = write(target, &failed, &arguments.output)?;
                println!(
                    "fuzz {} FAILED with seed {seed}: {failed}; input in {}",
                    target.name,
                    file.display()
                );
            }
        }
    }
    println!("fuzz: {} passed, {failures} failed", targets.len() - failures);
    Ok(if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn chosen(names: &[String]) -> Outcome<Vec<&'static Target>> {
    if names.is_empty() {
        return Ok(TARGETS.iter().collect());
    }
    names
        .iter()
        .map(|name| {
            let target = TARGETS.iter().find(|target| target.name == name);
            target.ok_or_else(|| Failure::from(format!("no target {name}; --list shows them")))
        })
        .collect()
}

fn write(target: &Target, failed: &Failed, directory: &std::path::Path) -> Outcome<PathBuf> {
    let mut digits = String::with_capacity(failed.input.len() * 2);
    for byte in &failed.input {
        write!(digits, "{byte:02x}")?;
    }
    let file = directory.join(format!("fuzz-{}.hex", target.name));
    fs::write(&file, digits)?;
    Ok(file)
}

fn from_hexadecimal(digits: &str) -> Outcome<Vec<u8>> {
    let digits: Vec<u32> = digits.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks_exact(2).map(|pair| Ok(u8::try_from(pair[0] * 16 + pair[1])?)).collect()
}
