//! The `otlp` receiver: OTLP over gRPC and HTTP, in protobuf and JSON, for all four signals.

mod answer;
mod config;
mod grpc;
mod http;
mod intake;
#[cfg(test)]
mod tests;

pub use config::{Config, GrpcConfig, HttpConfig, Paths, Protocols};

use std::{sync::Arc, time::Instant};

use futures_util::future::{BoxFuture, join_all};
use sluice_pipeline::{
    component::{
        BuildError, Declaration, Endpoint, Kind, Listener, Listeners, Receiver, ReceiverContext,
        ReceiverFactory,
    },
    grpc::server::GrpcServer,
    http::server::{HttpServer, Server},
    same_signals,
    telemetry::ReceiverMetrics,
};

use self::{grpc::Grpc, http::Http, intake::Intake};

const GRPC: &str = "grpc";
const HTTP: &str = "http";

/// The `otlp` receiver.
pub struct Otlp {
    grpc: Option<(GrpcServer, Arc<Grpc>)>,
    http: Option<(HttpServer, Arc<Http>)>,
    running: Vec<Server>,
}

impl ReceiverFactory for Otlp {
    type Config = Config;
    const DECLARATION: Declaration = Declaration {
        name: "otlp",
        aliases: &[],
        summary: "Receives OTLP over gRPC and HTTP, in protobuf and JSON",
        signals: same_signals!(Stable: Traces, Metrics, Logs, Profiles),
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
        let intake =
            |transport| Intake::new(context.outlets.clone(), ReceiverMetrics::new(&component.id, transport));
        let grpc = match &config.protocols.grpc {
            Some(grpc) => Some((
                GrpcServer::new(&grpc.server, "protocols.grpc", component)?,
                Arc::new(Grpc::new(intake(GRPC))),
            )),
            None => None,
        };
        let http = match &config.protocols.http {
            Some(http) => Some((
                HttpServer::new(&http.server, "protocols.http", component)?,
                Arc::new(Http::new(&http.paths, intake(HTTP))),
            )),
            None => None,
        };
        Ok(Box::new(Self { grpc, http, running: Vec::new() }))
    }
}

impl Receiver for Otlp {
    fn start(&mut self, mut listeners: Listeners) -> BoxFuture<'_, Result<(), BuildError>> {
        Box::pin(async move {
            if let Some((server, handler)) = self.grpc.take() {
                self.running.push(server.start(listener(&mut listeners, GRPC)?, Kind::Receiver, handler));
            }
            if let Some((server, handler)) = self.http.take() {
                self.running.push(server.start(listener(&mut listeners, HTTP)?, Kind::Receiver, handler));
            }
            Ok(())
        })
    }

    fn stop(&mut self, deadline: Instant) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            join_all(self.running.iter().map(|server| server.stop(deadline))).await;
            self.running.clear();
        })
    }
}

/// The four services of OTLP/gRPC on another receiver's port.
#[cfg(feature = "skywalking")]
pub(crate) fn service(
    context: &ReceiverContext,
    transport: &'static str,
) -> Arc<dyn sluice_pipeline::grpc::server::Handler> {
    let metrics = ReceiverMetrics::new(&context.component.id, transport);
    Arc::new(Grpc::new(Intake::new(context.outlets.clone(), metrics)))
}

fn listener(listeners: &mut Listeners, name: &'static str) -> Result<Listener, BuildError> {
    listeners.remove(name).ok_or_else(|| BuildError::Other(format!("the endpoint {name} was not bound")))
}
