//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};

const EXIT_CODES: &str = "\
Exit codes:
  0  it did what was asked; a running Sluice was told to stop and handed on everything within --drain-timeout
  1  the configuration is wrong, a component could not start, or the drain was not finished in time or lost data
     (the last line on standard error says what)
  2  the command line is wrong
  3  a second signal ended Sluice before it had handed on everything
";

/// A telemetry pipeline that puts what the kernel saw onto the spans of your traces.
///
/// Runs OpenTelemetry Collector configuration files. `sluice --config FILE` runs one; the commands below do more.
#[derive(Debug, Parser)]
#[command(name = "sluice", version, after_help = EXIT_CODES, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) run: RunOptions,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the pipelines of a configuration
    #[command(
        after_help = "Example:\n  sluice run --config configs/gateway.yaml\n\nSIGHUP reloads, SIGTERM and SIGINT drain and stop, a second one stops at once.\nSockets that systemd opened (LISTEN_FDS) are taken over: no client is refused while Sluice restarts."
    )]
    Run(RunOptions),
    /// Check a configuration without running it
    #[command(
        after_help = "Example:\n  sluice validate --config gateway.yaml && systemctl reload sluice\n\nPrints nothing and exits with 0 if it is fine; else every error with its place, and exits with 1. Reads the certificates and keys that running components name; binds, connects and writes nothing."
    )]
    Validate(ConfigurationOptions),
    /// List the components of this build, or explain one: its keys, defaults and an example
    #[command(after_help = "Example:\n  sluice components zipkin\n  sluice components --format yaml")]
    Components(ComponentsOptions),
    /// Print the merged and expanded configuration, secrets masked
    #[command(
        alias = "print-initial-config",
        after_help = "Example:\n  sluice print-config --config base.yaml --config production.yaml --format json"
    )]
    PrintConfig(PrintConfigOptions),
    /// Print the JSON Schema of configuration files, for editors
    #[command(
        after_help = "Example:\n  sluice schema > sluice.schema.json\n\nThen begin a file with: # yaml-language-server: $schema=sluice.schema.json"
    )]
    Schema,
    /// Write a commented configuration to start from
    #[command(after_help = "Example:\n  sluice init gateway.yaml")]
    Init(InitOptions),
    /// Make a configuration of one that another program has
    #[command(
        after_help = "Example:\n  sluice convert --from satellite satellite_config.yaml > sluice.yaml && sluice validate --config sluice.yaml\n\nWhat has no counterpart is a comment in it."
    )]
    Convert(ConvertOptions),
    /// Show kernel events on the traces of a small application of its own
    #[command(
        after_help = "Example:\n  sudo sluice demo\n\nWithout the privileges for the kernel side it says what is missing, and shows the rest."
    )]
    Demo(DemoOptions),
    /// An application of the demo
    #[command(hide = true)]
    DemoActor(ActorOptions),
    /// Say whether kernel events work here, what is missing, and what mends it
    #[command(
        after_help = "Example:\n  sudo sluice doctor\n\nLoads the kernel programs for a moment. Exits with 0 if a tier works, else with 1."
    )]
    Doctor(DoctorOptions),
    /// List the feature gates
    #[command(after_help = "Example:\n  sluice featuregate service.profilesSupport")]
    Featuregate(FeaturegateOptions),
}

#[derive(Debug, Args)]
pub(crate) struct RunOptions {
    #[command(flatten)]
    pub(crate) configuration: ConfigurationOptions,
    /// Reload when a configuration file changes, as SIGHUP does
    #[arg(long)]
    pub(crate) watch: bool,
    /// How long stopping may take to hand on what is held, such as 25s
    #[arg(long, value_name = "DURATION", default_value = "25s", value_parser = duration)]
    pub(crate) drain_timeout: Duration,
    /// Share the ports with another Sluice of this user, so that a new one can start before the old one stops
    #[arg(long)]
    pub(crate) reuse_port: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigurationOptions {
    /// A configuration: a path, file:PATH, env:NAME or yaml:TEXT. Given several times, later ones are merged over earlier ones
    #[arg(long = "config", value_name = "SOURCE")]
    pub(crate) sources: Vec<String>,
    /// Set a value after all files are merged, such as --set exporters.otlp.endpoint=localhost:4317
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) sets: Vec<String>,
    /// Switch gates on or off, such as +one,-other
    #[arg(long, value_name = "GATES", value_delimiter = ',', allow_hyphen_values = true)]
    pub(crate) feature_gates: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ComponentsOptions {
    /// The type of the components to explain, in Markdown
    #[arg(value_name = "TYPE")]
    pub(crate) component: Option<String>,
    /// Write a page for each component below this directory
    #[arg(long, value_name = "DIRECTORY", conflicts_with_all = ["component", "format"])]
    pub(crate) pages: Option<PathBuf>,
    /// How to print the list; by default a table on a terminal, else the Collector's YAML
    #[arg(long, conflicts_with = "component")]
    pub(crate) format: Option<ComponentsFormat>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ComponentsFormat {
    Table,
    Yaml,
}

#[derive(Debug, Args)]
pub(crate) struct PrintConfigOptions {
    #[command(flatten)]
    pub(crate) configuration: ConfigurationOptions,
    /// How to print it
    #[arg(long, default_value = "yaml")]
    pub(crate) format: PrintFormat,
    /// Whether secrets are shown; `unredacted` prints them
    #[arg(long, default_value = "redacted")]
    pub(crate) mode: PrintMode,
    /// Whether to check the configuration first
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
    pub(crate) validate: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PrintFormat {
    Yaml,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PrintMode {
    Redacted,
    Unredacted,
}

#[derive(Debug, Args)]
pub(crate) struct InitOptions {
    /// The file to write, which must not exist; - for standard output
    #[arg(default_value = "sluice.yaml")]
    pub(crate) path: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct ConvertOptions {
    /// Whose configuration it is
    #[arg(long)]
    pub(crate) from: Origin,
    /// The configuration
    pub(crate) file: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Origin {
    /// SkyWalking Satellite
    Satellite,
}

#[derive(Debug, Args)]
pub(crate) struct DemoOptions {
    /// How many requests the client makes
    #[arg(long, default_value_t = 4)]
    pub(crate) requests: usize,
}

#[derive(Debug, Args)]
pub(crate) struct ActorOptions {
    pub(crate) role: ActorRole,
    /// The port to listen on
    #[arg(long, default_value_t = 0)]
    pub(crate) listen: u16,
    /// The port to send requests to
    #[arg(long, default_value_t = 0)]
    pub(crate) upstream: u16,
    /// The port to send spans to
    #[arg(long)]
    pub(crate) otlp: u16,
    /// How many requests to make
    #[arg(long, default_value_t = 1)]
    pub(crate) requests: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ActorRole {
    Client,
    Proxy,
    Server,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorOptions {
    /// Print a JSON document, whose keys stay
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct FeaturegateOptions {
    /// Show only this gate
    pub(crate) gate: Option<String>,
}

impl ConfigurationOptions {
    /// Whether any configuration was named.
    pub(crate) fn is_given(&self) -> bool {
        !self.sources.is_empty() || !self.sets.is_empty()
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    text.parse::<sluice_pipeline::config::types::Duration>()
        .map(Into::into)
        .map_err(|error| error.to_string())
}
