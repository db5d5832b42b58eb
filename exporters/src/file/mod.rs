//! The `file` exporter: batches as OTLP/JSON lines or length-delimited protobuf, with rotation.
//!
//! A batch is answered once the operating system has all of it. On failure, such as a full disk, what was written of
//! it is cut off again and the reply is retryable, so a file holds whole records only.

mod config;
mod exporter;
mod grouping;
mod output;
mod record;
mod rotation;
mod writer;

use std::sync::Arc;

pub use config::{Compression, FileConfig, Format, GroupBy, Rotation};
use sluice_pipeline::{
    Consumer,
    component::{BuildError, Declaration, ExporterContext, ExporterFactory},
    same_signals,
};

/// The `file` exporter.
pub struct File;

impl ExporterFactory for File {
    type Config = FileConfig;
    const DECLARATION: Declaration = Declaration {
        name: "file",
        aliases: &[],
        summary: "Writes telemetry to files as OTLP/JSON lines or length-delimited protobuf.",
        signals: same_signals!(Beta: Traces, Metrics, Logs, Profiles),
        absorbs: false,
        example: include_str!("example.yaml"),
    };

    fn build(config: FileConfig, context: ExporterContext) -> Result<Arc<dyn Consumer>, BuildError> {
        Ok(Arc::new(exporter::FileExporter::new(&config, &context)?))
    }

    fn answers_later(_config: &FileConfig) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;
