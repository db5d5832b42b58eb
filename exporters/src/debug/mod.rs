//! The `debug` exporter: prints what passes, for people.

mod buckets;
mod config;
mod detailed;
mod exporter;
mod normal;
mod sampler;
mod sink;
mod summary;
mod text;

use std::{sync::Arc, time::Duration};

pub use config::{DebugConfig, Verbosity};
use sluice_pipeline::{
    Consumer,
    component::{BuildError, Declaration, ExporterContext, ExporterFactory},
    export::{self, RetryConfig, Settings},
    same_signals,
};

/// The `debug` exporter.
pub struct Debug;

impl ExporterFactory for Debug {
    type Config = DebugConfig;
    const DECLARATION: Declaration = Declaration {
        name: "debug",
        aliases: &[],
        summary: "Prints telemetry to the log or to standard output.",
        signals: same_signals!(Beta: Traces, Metrics, Logs, Profiles),
        absorbs: false,
        example: include_str!("example.yaml"),
    };

    fn build(config: DebugConfig, context: ExporterContext) -> Result<Arc<dyn Consumer>, BuildError> {
        let sink = if config.use_internal_logger {
            sink::Sink::Log(context.component.id.clone())
        } else {
            sink::Sink::to_paths(&config.output_paths)
        };
        let printer = Arc::new(exporter::Printer::new(&config, sink));
        let retry = RetryConfig { enabled: false, ..RetryConfig::default() };
        let settings = Settings { timeout: Duration::ZERO, retry, queue: config.sending_queue };
        export::Exporter::start(printer, settings, &context)
    }

    fn answers_later(config: &DebugConfig) -> bool {
        export::answers_later(&config.sending_queue)
    }
}

#[cfg(test)]
mod tests;
