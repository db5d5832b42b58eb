//! What receivers have in common that listen for gRPC and for HTTP, below the keys `protocols.grpc` and `protocols.http`.

use std::{sync::Arc, time::Instant};

use futures_util::future::join_all;
use sluice_pipeline::{
    component::{BuildError, ComponentContext, Endpoint, Kind, Listener, Listeners, Problem, Reference},
    grpc::{
        GrpcServerConfig,
        server::{GrpcServer, Handler as GrpcHandler},
    },
    http::server::{Handler as HttpHandler, HttpServer, HttpServerConfig, Server},
};

/// The names of the endpoints, and of the transports in metrics.
pub(crate) const GRPC: &str = "grpc";
pub(crate) const HTTP: &str = "http";
const GRPC_KEY: &str = "protocols.grpc";
const HTTP_KEY: &str = "protocols.http";

/// The keys of both servers, as far as they are on.
pub(crate) struct Keys<'c> {
    pub(crate) grpc: Option<&'c GrpcServerConfig>,
    pub(crate) http: Option<&'c HttpServerConfig>,
}

impl Keys<'_> {
    /// What is wrong with them; `receiver` is whose they are.
    pub(crate) fn problems(&self, receiver: &str) -> Vec<Problem> {
        if self.grpc.is_none() && self.http.is_none() {
            let message = format!(
                "must specify at least one protocol when using the {receiver} receiver; write grpc: or http: here"
            );
            return vec![Problem::at("protocols", message)];
        }
        let grpc = self.grpc.iter().flat_map(|grpc| grpc.problems(GRPC_KEY));
        grpc.chain(self.http.iter().flat_map(|http| http.problems(HTTP_KEY))).collect()
    }

    pub(crate) fn file_problems(&self) -> Vec<Problem> {
        let grpc = self.grpc.iter().flat_map(|grpc| grpc.file_problems(GRPC_KEY));
        grpc.chain(self.http.iter().flat_map(|http| http.file_problems(HTTP_KEY))).collect()
    }

    pub(crate) fn references(&self) -> Vec<Reference> {
        let grpc = self.grpc.iter().flat_map(|grpc| grpc.references(GRPC_KEY));
        grpc.chain(self.http.iter().flat_map(|http| http.references(HTTP_KEY))).collect()
    }

    pub(crate) fn endpoints(&self) -> Vec<Endpoint> {
        let grpc = self.grpc.map(|grpc| Endpoint {
            name: GRPC,
            key: "protocols.grpc.endpoint",
            transport: grpc.bind(),
        });
        let http = self.http.map(|http| Endpoint {
            name: HTTP,
            key: "protocols.http.endpoint",
            transport: http.bind(),
        });
        grpc.into_iter().chain(http).collect()
    }

    /// The gRPC server, if it is on.
    pub(crate) fn grpc_server(&self, context: &ComponentContext) -> Result<Option<GrpcServer>, BuildError> {
        self.grpc.map(|grpc| GrpcServer::new(grpc, GRPC_KEY, context)).transpose()
    }

    /// The HTTP server, if it is on.
    pub(crate) fn http_server(&self, context: &ComponentContext) -> Result<Option<HttpServer>, BuildError> {
        self.http.map(|http| HttpServer::new(http, HTTP_KEY, context)).transpose()
    }
}

/// Both servers with what answers their calls, before they serve and then.
#[derive(Default)]
pub(crate) struct Servers {
    grpc: Option<(GrpcServer, Arc<dyn GrpcHandler>)>,
    http: Option<(HttpServer, Arc<dyn HttpHandler>)>,
    running: Vec<Server>,
}

impl Servers {
    pub(crate) fn new(
        grpc: Option<(GrpcServer, Arc<dyn GrpcHandler>)>,
        http: Option<(HttpServer, Arc<dyn HttpHandler>)>,
    ) -> Self {
        Self { grpc, http, running: Vec::new() }
    }

    /// Serves.
    ///
    /// # Errors
    /// A listener that is missing.
    pub(crate) fn start(&mut self, listeners: &mut Listeners) -> Result<(), BuildError> {
        if let Some((server, handler)) = self.grpc.take() {
            self.running.push(server.start(listener(listeners, GRPC)?, Kind::Receiver, handler));
        }
        if let Some((server, handler)) = self.http.take() {
            self.running.push(server.start(listener(listeners, HTTP)?, Kind::Receiver, handler));
        }
        Ok(())
    }

    /// Ends what is under way, until the deadline.
    pub(crate) async fn stop(&mut self, deadline: Instant) {
        join_all(self.running.iter().map(|server| server.stop(deadline))).await;
        self.running.clear();
    }
}

fn listener(listeners: &mut Listeners, name: &'static str) -> Result<Listener, BuildError> {
    listeners.remove(name).ok_or_else(|| BuildError::Other(format!("the endpoint {name} was not bound")))
}
