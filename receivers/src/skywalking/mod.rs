//! The `skywalking` receiver: all that SkyWalking's agents, browsers, Rover and Envoy send, over gRPC and HTTP.
//!
//! Telemetry goes to the pipelines as OTLP; what agents ask for is relayed to OAP, if an extension does that.

mod config;
mod grpc;
mod http;
mod intake;
mod method;
#[cfg(test)]
mod tests;
mod translate;

pub use config::{AcceptConfig, Config, GrpcConfig, HttpConfig, IdCompatibility, Protocols};
pub use translate::{Kind, Malformed, Translated, Translator};

use std::{sync::Arc, time::Instant};

use futures_util::future::{BoxFuture, join_all};
use sluice_pipeline::{
    component::{
        BuildError, Declaration, Endpoint, Kind as ComponentKind, Listener, Listeners, Receiver,
        ReceiverContext, ReceiverFactory, Upstream,
    },
    grpc::server::GrpcServer,
    http::server::{HttpServer, Server},
    same_signals,
    telemetry::ReceiverMetrics,
};
use tokio_util::sync::CancellationToken;

use self::{grpc::Grpc, http::Http, intake::Intake};

const GRPC: &str = "grpc";
const HTTP: &str = "http";
/// How much is read ahead of a stream, and of all streams of a connection, in bytes. With what is under way
/// ([`intake::CUT`]) it bounds what a crash loses of a stream.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;

/// The `skywalking` receiver.
pub struct SkyWalking {
    grpc: Option<(GrpcServer, Arc<Grpc>)>,
    http: Option<(HttpServer, Arc<Http>)>,
    running: Vec<Server>,
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
    };

    fn endpoints(config: &Config) -> Vec<Endpoint> {
        let grpc = config.protocols.grpc.as_ref().map(|grpc| Endpoint {
            name: GRPC,
            key: "protocols.grpc.endpoint",
            transport: grpc.server.bind(),
        });
        let http = config.protocols.http.as_ref().map(|http| Endpoint {
            name: HTTP,
            key: "protocols.http.endpoint",
            transport: http.server.bind(),
        });
        grpc.into_iter().chain(http).collect()
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
        let grpc = match &config.protocols.grpc {
            Some(grpc) => {
                let otlp = crate::otlp::service(&context, GRPC);
                let server = GrpcServer::new(&grpc.server, "protocols.grpc", component)?
                    .with_windows(STREAM_WINDOW, CONNECTION_WINDOW)
                    .with_accept_limits(grpc.accept.limits());
                Some((server, Arc::new(Grpc::new(intake(GRPC), otlp, upstream))))
            }
            None => None,
        };
        let http = match &config.protocols.http {
            Some(http) => Some((
                HttpServer::new(&http.server, "protocols.http", component)?,
                Arc::new(Http::new(intake(HTTP))),
            )),
            None => None,
        };
        Ok(Box::new(Self { grpc, http, running: Vec::new(), stopping }))
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
        Box::pin(async move {
            if let Some((server, handler)) = self.grpc.take() {
                let listener = listener(&mut listeners, GRPC)?;
                self.running.push(server.start(listener, ComponentKind::Receiver, handler));
            }
            if let Some((server, handler)) = self.http.take() {
                let listener = listener(&mut listeners, HTTP)?;
                self.running.push(server.start(listener, ComponentKind::Receiver, handler));
            }
            Ok(())
        })
    }

    fn stop(&mut self, deadline: Instant) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            // Streams live as long as their clients; these are told to go on elsewhere.
            self.stopping.cancel();
            join_all(self.running.iter().map(|server| server.stop(deadline))).await;
            self.running.clear();
        })
    }
}

fn listener(listeners: &mut Listeners, name: &'static str) -> Result<Listener, BuildError> {
    listeners.remove(name).ok_or_else(|| BuildError::Other(format!("the endpoint {name} was not bound")))
}
