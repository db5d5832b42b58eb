//! The `oap` exporter: telemetry to SkyWalking's OAP by its native services, through the `oap` extension. What came from
//! SkyWalking goes back as the agent said it; what is OpenTelemetry's becomes segments, logs and meters.

mod config;
mod entity;
mod logs;
mod metrics;
mod sender;
mod streams;
mod template;
mod traces;
mod wire;

use std::sync::Arc;

use sluice_pipeline::{
    Consumer,
    component::{BuildError, Declaration, ExporterContext, ExporterFactory},
    export::{self, Settings},
    same_signals,
};

use self::sender::OapSender;
pub use self::{
    config::{EntityConfig, OapConfig, SegmentSize},
    sender::messages,
    streams::Method,
};

/// The `oap` exporter.
pub struct Oap;

impl ExporterFactory for Oap {
    type Config = OapConfig;
    const DECLARATION: Declaration = Declaration {
        name: "oap",
        aliases: &["skywalking"],
        summary: "Sends to SkyWalking's OAP by its native services.",
        signals: same_signals!(Beta: Traces, Metrics, Logs),
        absorbs: false,
        example: include_str!("example.yaml"),
    };

    fn build(config: OapConfig, context: ExporterContext) -> Result<Arc<dyn Consumer>, BuildError> {
        let sender = Arc::new(OapSender::new(&config, &context)?);
        let settings = Settings {
            timeout: config.timeout.into(),
            retry: config.retry_on_failure,
            queue: config.sending_queue,
        };
        export::Exporter::start(sender, settings, &context)
    }

    fn answers_later(config: &OapConfig) -> bool {
        export::answers_later(&config.sending_queue)
    }
}

#[cfg(test)]
mod tests;
