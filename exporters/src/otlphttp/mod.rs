//! The `otlphttp` exporter: OTLP over HTTP, in protobuf or JSON.

mod config;
mod sender;

use std::sync::Arc;

pub use config::{Encoding, OtlpHttpConfig, OwnConfig};
use http::Uri;
use sluice_pipeline::{
    Consumer,
    component::{BuildError, Declaration, ExporterContext, ExporterFactory},
    export::{self, Settings},
    http::client::HttpClient,
    same_signals,
};

/// The `otlphttp` exporter.
pub struct OtlpHttp;

impl ExporterFactory for OtlpHttp {
    type Config = OtlpHttpConfig;
    const DECLARATION: Declaration = Declaration {
        name: "otlp_http",
        aliases: &["otlphttp"],
        summary: "Sends OTLP over HTTP, in protobuf or JSON.",
        signals: same_signals!(Beta: Traces, Metrics, Logs, Profiles),
        absorbs: false,
        example: include_str!("example.yaml"),
    };

    fn build(config: OtlpHttpConfig, context: ExporterContext) -> Result<Arc<dyn Consumer>, BuildError> {
        let signal = context.signal;
        let endpoint = config.endpoint(signal).ok_or_else(|| {
            BuildError::setting(
                "endpoint",
                format!("{signal} have no endpoint; set endpoint or {signal}_endpoint"),
            )
        })?;
        let uri: Uri = endpoint.parse().map_err(|error: http::uri::InvalidUri| {
            BuildError::setting("endpoint", format!("\"{endpoint}\" is no URI: {error}"))
        })?;
        let client = HttpClient::new(&config.client, &context.component)?;
        let settings = Settings {
            timeout: config.client.timeout.into(),
            retry: config.own.retry_on_failure,
            queue: config.own.sending_queue,
        };
        let sender = Arc::new(sender::HttpSender { client, uri, encoding: config.own.encoding });
        export::Exporter::start(sender, settings, &context)
    }

    fn answers_later(config: &OtlpHttpConfig) -> bool {
        export::answers_later(&config.own.sending_queue)
    }
}

#[cfg(test)]
mod tests;
