//! The `zipkin` receiver: takes Zipkin spans over HTTP.

mod config;
mod service;
mod translate;

use std::{sync::Arc, time::Instant};

use futures_util::future::BoxFuture;
use sluice_pipeline::{
    component::{
        BuildError, Declaration, Endpoint, Kind, Listeners, Receiver, ReceiverContext, ReceiverFactory,
    },
    http::server::{HttpServer, Server},
    same_signals,
};

use self::service::Service;
pub use self::{
    config::{ZipkinConfig, ZipkinKeys},
    translate::{Format, Translated, Untranslatable, translate, translate_charged},
};

/// The name of the only endpoint.
const HTTP: &str = "http";

/// The `zipkin` receiver.
pub struct Zipkin {
    server: Option<HttpServer>,
    service: Arc<Service>,
    serving: Option<Server>,
}

impl ReceiverFactory for Zipkin {
    type Config = ZipkinConfig;
    const DECLARATION: Declaration = Declaration {
        name: "zipkin",
        aliases: &[],
        summary: "Takes Zipkin spans over HTTP: v2 in JSON and protobuf, v1 in JSON and thrift.",
        signals: same_signals!(Beta: Traces),
        absorbs: false,
        example: include_str!("example.yaml"),
    };

    fn endpoints(config: &ZipkinConfig) -> Vec<Endpoint> {
        vec![Endpoint { name: HTTP, key: "endpoint", transport: config.server.bind() }]
    }

    fn build(config: ZipkinConfig, context: ReceiverContext) -> Result<Box<dyn Receiver>, BuildError> {
        let server = HttpServer::new(&config.server, "", &context.component)?;
        let service = Arc::new(Service::new(&context, config.own.parse_string_tags)?);
        Ok(Box::new(Self { server: Some(server), service, serving: None }))
    }
}

impl Receiver for Zipkin {
    fn start(&mut self, mut listeners: Listeners) -> BoxFuture<'_, Result<(), BuildError>> {
        Box::pin(async move {
            let (Some(listener), Some(server)) = (listeners.remove(HTTP), self.server.take()) else {
                return Err(BuildError::Other(
                    "the receiver was started twice or without its listener".to_owned(),
                ));
            };
            let service = Arc::clone(&self.service);
            self.serving = Some(server.start(listener, Kind::Receiver, service));
            Ok(())
        })
    }

    fn stop(&mut self, deadline: Instant) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if let Some(server) = self.serving.take() {
                server.stop(deadline).await;
            }
        })
    }
}

#[cfg(test)]
mod tests;
