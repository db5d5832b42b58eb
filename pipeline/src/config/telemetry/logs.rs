//! `service.telemetry.logs`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};
use serde_json::Value;
use tracing::level_filters::LevelFilter;

use super::not_in_this_build;
use crate::{
    config::{Node, Problems, types::Duration},
    telemetry::logs::{LogEncoding, LogSettings, Sampling},
};

/// How Sluice logs.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Logs {
    /// The least severe level that is written: debug, info, warn or error.
    #[schemars(with = "String")]
    pub level: Level,
    /// Accepted; it only concerns stack traces, which Sluice does not log.
    pub development: bool,
    /// How a line looks.
    pub encoding: Encoding,
    /// Leaves out where in the source a line comes from.
    pub disable_caller: bool,
    /// Accepted; Sluice logs no stack traces.
    pub disable_stacktrace: bool,
    /// How repeated messages are thinned out.
    pub sampling: LogSampling,
    /// `stdout`, `stderr` or paths of files to append to.
    pub output_paths: Vec<String>,
    /// Where failures of logging itself go; only stderr.
    pub error_output_paths: Vec<String>,
    /// Fields that every line carries.
    pub initial_fields: BTreeMap<String, Value>,
    /// Exporters of logs; not in this build.
    pub processors: Vec<Value>,
    /// Accepted; lines never carry the resource.
    pub disable_zap_resource: bool,
}

/// The least severe level that is written, in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level(pub LevelFilter);

/// How a line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Tab-separated, for people.
    #[default]
    Console,
    /// A JSON object a line.
    Json,
}

/// How repeated messages are thinned out.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LogSampling {
    /// Whether they are.
    pub enabled: bool,
    /// The window within which messages count as repeated.
    pub tick: Duration,
    /// How many are written in a window unconditionally.
    pub initial: u64,
    /// Then every this many is written; 0 writes no more in the window.
    pub thereafter: u64,
}

impl Default for Logs {
    fn default() -> Self {
        Self {
            level: Level(LevelFilter::INFO),
            development: false,
            encoding: Encoding::Console,
            disable_caller: false,
            disable_stacktrace: false,
            sampling: LogSampling::default(),
            output_paths: vec!["stderr".to_owned()],
            error_output_paths: vec!["stderr".to_owned()],
            initial_fields: BTreeMap::new(),
            processors: Vec::new(),
            disable_zap_resource: false,
        }
    }
}

impl Default for LogSampling {
    fn default() -> Self {
        Self { enabled: true, tick: Duration::from_secs(10), initial: 10, thereafter: 100 }
    }
}

impl Logs {
    /// As the logger takes it.
    #[must_use]
    pub fn settings(&self) -> LogSettings {
        let LogSampling { enabled, tick, initial, thereafter } = self.sampling;
        LogSettings {
            level: self.level.0,
            encoding: match self.encoding {
                Encoding::Console => LogEncoding::Console,
                Encoding::Json => LogEncoding::Json,
            },
            caller: !self.disable_caller,
            sampling: enabled.then(|| Sampling { tick: tick.get(), initial, thereafter }),
            outputs: self.output_paths.clone(),
            initial_fields: self.initial_fields.clone().into_iter().collect(),
        }
    }

    pub(super) fn check(&self, node: &Node, problems: &mut Problems) {
        if !self.processors.is_empty() {
            not_in_this_build(node, "logs.processors", "exporting Sluice's own logs", problems);
        }
        if self.error_output_paths.iter().any(|path| path != "stderr") {
            let place = node.nearest("logs.error_output_paths");
            problems.warning(&place.location, "failures of logging itself go to stderr in this build");
        }
        if self.output_paths.is_empty() {
            problems.at_key(node, "logs.output_paths", "logs need a place; name stderr, stdout or a file");
        }
        if self.sampling.enabled && self.sampling.tick.is_zero() {
            problems.at_key(node, "logs.sampling.tick", "the window must be longer than nothing");
        }
    }
}

impl<'de> Deserialize<'de> for Level {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;

        impl Visitor<'_> for Name {
            type Value = Level;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("debug, info, warn or error")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Level, E> {
                const NAMES: &[&str] = &["debug", "info", "warn", "error", "dpanic", "panic", "fatal"];
                match name.to_ascii_lowercase().as_str() {
                    "debug" => Ok(Level(LevelFilter::DEBUG)),
                    "info" | "" => Ok(Level(LevelFilter::INFO)),
                    "warn" | "warning" => Ok(Level(LevelFilter::WARN)),
                    // Nothing that Sluice logs is more severe than an error.
                    "error" => Ok(Level(LevelFilter::ERROR)),
                    "dpanic" | "panic" | "fatal" => Ok(Level(LevelFilter::OFF)),
                    _ => Err(E::unknown_variant(name, NAMES)),
                }
            }
        }

        deserializer.deserialize_str(Name)
    }
}
