//! The binary `sluice`: commands and wiring, nothing else.

mod arguments;
mod components;
mod configuration;
mod convert;
mod demo;
#[cfg(feature = "ebpf")]
mod doctor;
#[cfg(not(feature = "ebpf"))]
#[path = "doctor_absent.rs"]
mod doctor;
mod gates;
mod init;
mod next_steps;
mod output;
mod print_config;
mod reload;
mod run;
mod schema;
mod self_telemetry;
mod validate;

use std::process::ExitCode;

use arguments::{Arguments, Command};
use clap::Parser;
use sluice_pipeline::component::Registry;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let registry = registry();
    let result = match arguments.command {
        Some(Command::Run(options)) => run::run(&options, &registry),
        Some(Command::Validate(options)) => validate::validate(&options, &registry),
        Some(Command::Components(options)) => components::show(&options, &registry),
        Some(Command::PrintConfig(options)) => print_config::print(&options, &registry),
        Some(Command::Schema) => schema::print(&registry),
        Some(Command::Init(options)) => init::init(&options),
        Some(Command::Convert(options)) => convert::convert(&options),
        Some(Command::Demo(options)) => demo::demo(&options),
        Some(Command::DemoActor(options)) => demo::act(&options),
        Some(Command::Doctor(options)) => doctor::examine(&options),
        Some(Command::Featuregate(options)) => gates::list(&options),
        None if arguments.run.configuration.is_given() => run::run(&arguments.run, &registry),
        None => next_steps::print(),
    };
    output::exit_code(result)
}

/// All component types of this build.
fn registry() -> Registry {
    let mut registry = Registry::default();
    sluice_receivers::register(&mut registry);
    sluice_processors::register(&mut registry);
    sluice_exporters::register(&mut registry);
    sluice_extensions::register(&mut registry);
    registry
}
