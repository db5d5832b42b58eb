//! The `otlp` exporter: OTLP over gRPC.

mod config;
mod sender;

use std::sync::Arc;

pub use config::{ExportConfig, OtlpConfig};
use sluice_pipeline::{
    Consumer,
    component::{BuildError, Declaration, ExporterContext, ExporterFactory},
    export::{self, Settings},
    grpc::client::Channel,
    same_signals,
};

/// The `otlp` exporter.
pub struct Otlp;

impl ExporterFactory for Otlp {
    type Config = OtlpConfig;
    const DECLARATION: Declaration = Declaration {
        name: "otlp_grpc",
        aliases: &["otlp"],
        summary: "Sends OTLP over gRPC.",
        signals: same_signals!(Beta: Traces, Metrics, Logs, Profiles),
        absorbs: false,
        example: include_str!("example.yaml"),
    };

    fn build(config: OtlpConfig, context: ExporterContext) -> Result<Arc<dyn Consumer>, BuildError> {
        let channel = Channel::new(&config.client, &context.component)?;
        let settings = Settings {
            timeout: config.export.timeout.into(),
            retry: config.export.retry_on_failure,
            queue: config.export.sending_queue,
        };
        let sender = Arc::new(sender::GrpcSender::new(channel, context.signal));
        export::Exporter::start(sender, settings, &context)
    }

    fn answers_later(config: &OtlpConfig) -> bool {
        export::answers_later(&config.export.sending_queue)
    }
}

#[cfg(test)]
mod tests;
