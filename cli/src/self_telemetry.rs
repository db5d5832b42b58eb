//! Sluice's own metrics on the endpoints of `service.telemetry.metrics.readers`.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::{BoxFuture, ready};
use http::{Method, Response, StatusCode};
use sluice_pipeline::{
    budget::Budget,
    component::{ComponentContext, Endpoint, Kind, Transport},
    config::telemetry::Telemetry,
    graph::{Claim, ListenerPool, ServiceError, Status},
    http::{
        ResponseBody,
        server::{Handler, HttpServer, HttpServerConfig, IncomingRequest, Server},
        text, with_type,
    },
    telemetry::exposition::Exposition,
};

use crate::output::CommandError;

const OWNER: &str = "service.telemetry";
const KEY: &str = "metrics.readers";
/// How long the end of the process waits for a scrape.
const STOP: Duration = Duration::from_secs(1);

/// The running metrics endpoints.
pub(crate) struct SelfTelemetry {
    servers: Vec<Server>,
    // Keeps the sockets bound.
    _listeners: ListenerPool,
}

impl SelfTelemetry {
    /// Binds and serves every configured endpoint.
    pub(crate) fn start(
        telemetry: &Telemetry,
        budget: &Budget,
        status: &Arc<Status>,
        exposition: &Exposition,
    ) -> Result<Self, CommandError> {
        let claims: Vec<Claim> = telemetry
            .metrics
            .served()
            .enumerate()
            .map(|(place, reader)| Claim {
                owner: format!("{OWNER} {place}"),
                endpoint: Endpoint {
                    name: "metrics",
                    key: KEY,
                    transport: Transport::Tcp(format!("{}:{}", reader.host, reader.port)),
                },
            })
            .collect();
        let mut listeners = ListenerPool::default();
        listeners.bind(&claims).map_err(ServiceError::Listen)?;
        let mut context = ComponentContext::detached("telemetry", budget.clone());
        context.status = Arc::clone(status);
        let mut servers = Vec::new();
        for claim in &claims {
            let mut handed = listeners.hand_out(&claims, &claim.owner).map_err(|error| {
                CommandError::io(format!("cannot listen on {}", claim.endpoint.transport), error)
            })?;
            let server = HttpServer::new(&HttpServerConfig::default(), "", &context)
                .map_err(|error| CommandError::Other(error.to_string()))?;
            if let Some(listener) = handed.remove("metrics") {
                servers.push(server.start(listener, Kind::Extension, Arc::new(Scrape(exposition.clone()))));
            }
        }
        Ok(Self { servers, _listeners: listeners })
    }

    pub(crate) async fn stop(self) {
        for server in &self.servers {
            server.stop(Instant::now() + STOP).await;
        }
    }
}

/// Answers Prometheus.
struct Scrape(Exposition);

impl Handler for Scrape {
    fn handle(&self, request: IncomingRequest) -> BoxFuture<'_, Response<ResponseBody>> {
        Box::pin(ready(match (&request.head.method, request.path()) {
            (&Method::GET, "/metrics") => {
                with_type(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", self.0.render())
            }
            (_, "/metrics") => text(StatusCode::METHOD_NOT_ALLOWED, "GET is what /metrics answers\n"),
            _ => text(StatusCode::NOT_FOUND, "metrics are at /metrics\n"),
        }))
    }
}
