//! The `zipkin` exporter: sends spans to the v2 API of Zipkin.

mod config;
mod sender;
mod translate;

use std::sync::Arc;

use sluice_pipeline::{
    Consumer,
    component::{BuildError, Declaration, ExporterContext, ExporterFactory},
    export::{self, Settings},
    same_signals,
};

use self::sender::ZipkinSender;
pub use self::{
    config::{ZipkinConfig, ZipkinKeys},
    translate::{Format, Request, Requests},
};

/// The `zipkin` exporter.
pub struct Zipkin;

impl ExporterFactory for Zipkin {
    type Config = ZipkinConfig;
    const DECLARATION: Declaration = Declaration {
        name: "zipkin",
        aliases: &[],
        summary: "Sends spans to Zipkin v2, in JSON or protobuf.",
        signals: same_signals!(Beta: Traces),
        absorbs: false,
        example: include_str!("example.yaml"),
    };

    fn build(config: ZipkinConfig, context: ExporterContext) -> Result<Arc<dyn Consumer>, BuildError> {
        let sender = Arc::new(ZipkinSender::new(&config, &context.component)?);
        let settings = Settings {
            timeout: config.client.timeout.get(),
            retry: config.own.retry_on_failure,
            queue: config.own.sending_queue,
        };
        export::Exporter::start(sender, settings, &context)
    }

    fn answers_later(config: &ZipkinConfig) -> bool {
        export::answers_later(&config.own.sending_queue)
    }
}

#[cfg(test)]
mod tests;
