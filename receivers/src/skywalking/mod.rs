//! The `skywalking` receiver: all that SkyWalking's agents, browsers, Rover and Envoy send, over gRPC and HTTP.
//!
//! Telemetry goes to the pipelines as OTLP; what agents ask for is relayed to OAP, if an extension does that.

mod config;
mod grpc;
mod health;
mod http;
mod intake;
mod method;
#[cfg(test)]
mod tests;
mod translate;

pub use config::{AcceptConfig, Config, GrpcConfig, HttpConfig, IdCompatibility, Protocols};
pub use translate::{Kind, Malformed, Translated, Translator};

use std::{sync::Arc, time::Instant};

use futures_util::future::BoxFuture;
use sluice_pipeline::{
    component::{
        BuildError, Declaration, Endpoint, Listeners, Receiver, ReceiverContext, ReceiverFactory, Upstream,
    },
    grpc::server::Handler as GrpcHandler,
    http::server::Handler as HttpHandler,
    same_signals,
    telemetry::ReceiverMetrics,
};
use tokio_util::sync::CancellationToken;

use self::{grpc::Grpc, http::Http, intake::Intake};
use crate::servers::{GRPC, HTTP, Servers};

/// How much is read ahead of a stream, and of all streams of a connection, in bytes. With what is under way
/// ([`intake::CUT`]) it bounds what a crash loses of a stream.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;

/// The `skywalking` receiver.
pub struct SkyWalking {
    servers: Servers,
    stopping: CancellationToken,
}

impl ReceiverFactory for SkyWalking {
    type Config = Config;
    const DECLARATION: Declaration = Declaration {
        name: "skywalking",
        aliases: &[],
        summary: "Receives what SkyWalking's agents, browsers and Envoy send, over gRPC and HTTP",
        signals: same_signals!(Beta: Traces, Metrics, Logs),
        absorbs: false,
        example: include_str!("example.yaml"),
    };

    fn endpoints(config: &Config) -> Vec<Endpoint> {
        config.protocols.keys().endpoints()
    }

    fn build(config: Config, context: ReceiverContext) -> Result<Box<dyn Receiver>, BuildError> {
        let component = &context.component;
        let upstream = upstream(&config, &context)?;
        let stopping = CancellationToken::new();
        let rules = config.id_compatibility.into();
        let intake = |transport| {
            let metrics = ReceiverMetrics::new(&component.id, transport);
            Intake::new(context.outlets.clone(), metrics, component.budget.clone(), rules, stopping.clone())
        };
        let keys = config.protocols.keys();
        let limits = config.protocols.grpc.as_ref().map(|grpc| grpc.accept.limits()).unwrap_or_default();
        let grpc = keys.grpc_server(component)?.map(|server| {
            let otlp = crate::otlp::service(&context, GRPC);
            let handler: Arc<dyn GrpcHandler> = Arc::new(Grpc::new(intake(GRPC), otlp, upstream));
            let server = server.with_windows(STREAM_WINDOW, CONNECTION_WINDOW).with_accept_limits(limits);
            (server, handler)
        });
        let http = keys.http_server(component)?.map(|server| {
            let handler: Arc<dyn HttpHandler> = Arc::new(Http::new(intake(HTTP)));
            (server, handler)
        });
        Ok(Box::new(Self { servers: Servers::new(grpc, http), stopping }))
    }
}

fn upstream(config: &Config, context: &ReceiverContext) -> Result<Option<Arc<dyn Upstream>>, BuildError> {
    let Some(id) = &config.upstream else { return Ok(None) };
    let capabilities = context.component.extension(config::UPSTREAM, id)?;
    let upstream = capabilities.upstream.clone().ok_or_else(|| {
        BuildError::setting(
            config::UPSTREAM,
            format!("extension \"{id}\" does not relay calls to a back-end"),
        )
    })?;
    Ok(Some(upstream))
}

impl Receiver for SkyWalking {
    fn start(&mut self, mut listeners: Listeners) -> BoxFuture<'_, Result<(), BuildError>> {
        Box::pin(async move { self.servers.start(&mut listeners) })
    }

    fn stop(&mut self, deadline: Instant) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            // Streams live as long as their clients; these are told to go on elsewhere.
            self.stopping.cancel();
            self.servers.stop(deadline).await;
        })
    }
}
