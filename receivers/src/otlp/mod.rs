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

use futures_util::future::BoxFuture;
use sluice_pipeline::{
    component::{BuildError, Declaration, Endpoint, Listeners, Receiver, ReceiverContext, ReceiverFactory},
    grpc::server::Handler as GrpcHandler,
    http::server::Handler as HttpHandler,
    same_signals,
    telemetry::ReceiverMetrics,
};

use self::{grpc::Grpc, http::Http, intake::Intake};
use crate::servers::{GRPC, HTTP, Servers};

/// The `otlp` receiver.
pub struct Otlp {
    servers: Servers,
}

impl ReceiverFactory for Otlp {
    type Config = Config;
    const DECLARATION: Declaration = Declaration {
        name: "otlp",
        aliases: &[],
        summary: "Receives OTLP over gRPC and HTTP, in protobuf and JSON",
        signals: same_signals!(Stable: Traces, Metrics, Logs, Profiles),
        absorbs: false,
        example: include_str!("example.yaml"),
    };

    fn endpoints(config: &Config) -> Vec<Endpoint> {
        config.protocols.keys().endpoints()
    }

    fn build(config: Config, context: ReceiverContext) -> Result<Box<dyn Receiver>, BuildError> {
        let keys = config.protocols.keys();
        let grpc = keys.grpc_server(&context.component)?.map(|server| (server, service(&context, GRPC)));
        let paths = config.protocols.http.as_ref().map(|http| &http.paths);
        let http = keys.http_server(&context.component)?.zip(paths).map(|(server, paths)| {
            let handler: Arc<dyn HttpHandler> = Arc::new(Http::new(paths, intake(&context, HTTP)));
            (server, handler)
        });
        Ok(Box::new(Self { servers: Servers::new(grpc, http) }))
    }
}

impl Receiver for Otlp {
    fn start(&mut self, mut listeners: Listeners) -> BoxFuture<'_, Result<(), BuildError>> {
        Box::pin(async move { self.servers.start(&mut listeners) })
    }

    fn stop(&mut self, deadline: Instant) -> BoxFuture<'_, ()> {
        Box::pin(self.servers.stop(deadline))
    }
}

/// The four services of OTLP/gRPC, on this receiver's port or another's.
pub(crate) fn service(context: &ReceiverContext, transport: &'static str) -> Arc<dyn GrpcHandler> {
    Arc::new(Grpc::new(intake(context, transport)))
}

fn intake(context: &ReceiverContext, transport: &'static str) -> Intake {
    Intake::new(context.outlets.clone(), ReceiverMetrics::new(&context.component.id, transport))
}
