//! Sluice's own metrics on the endpoints of `service.telemetry.metrics.readers`, and its logs.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::{BoxFuture, join_all, ready};
use http::{Method, Response, StatusCode};
use sluice_pipeline::{
    budget::Budget,
    component::{ComponentContext, Endpoint, Kind, Transport},
    config::telemetry::{MetricsLevel, Telemetry},
    graph::{Claim, ListenerPool, ServiceError, Sockets, Status},
    http::{
        ResponseBody,
        server::{Handler, HttpServer, HttpServerConfig, IncomingRequest, Server},
        text, with_type,
    },
    telemetry::{
        exposition::Exposition,
        logs::{Logs, PreparedLogs},
    },
};

use crate::output::CommandError;

const OWNER: &str = "service.telemetry.metrics.readers";
const KEY: &str = "pull.exporter.prometheus.port";
const ENDPOINT: &str = "metrics";
/// How long the end of an endpoint waits for a scrape.
const STOP: Duration = Duration::from_secs(1);

/// The logs and the running metrics endpoints.
pub(crate) struct SelfTelemetry {
    logs: Logs,
    context: ComponentContext,
    exposition: Exposition,
    /// Keeps the sockets bound.
    listeners: ListenerPool,
    serving: Vec<Serving>,
}

/// What `service.telemetry` asks for, ready to take the place of what runs: outputs are open, endpoints are served.
pub(crate) struct Prepared {
    logs: PreparedLogs,
    claims: Vec<Claim>,
    level: MetricsLevel,
    fresh: Vec<Serving>,
}

/// One metrics endpoint.
struct Serving {
    transport: Transport,
    level: MetricsLevel,
    server: Server,
}

impl SelfTelemetry {
    /// Binds and serves every configured endpoint. The logs are those of this configuration already.
    pub(crate) fn start(
        telemetry: &Telemetry,
        logs: Logs,
        context: ComponentContext,
        exposition: Exposition,
        sockets: Sockets,
    ) -> Result<Self, CommandError> {
        let listeners = ListenerPool::new(sockets);
        let mut started = Self { logs, context, exposition, listeners, serving: Vec::new() };
        let claims = claims(telemetry);
        started.serving = started.serve(&claims, telemetry.metrics.level)?;
        Ok(started)
    }

    /// Opens and binds what a changed configuration asks for. What runs goes on.
    pub(crate) fn prepare(&mut self, telemetry: &Telemetry) -> Result<Prepared, CommandError> {
        let logs = Logs::prepare(&telemetry.logs.settings())
            .map_err(|error| CommandError::Other(error.to_string()))?;
        let (claims, level) = (claims(telemetry), telemetry.metrics.level);
        let fresh = self.serve(&claims, level)?;
        Ok(Prepared { logs, claims, level, fresh })
    }

    /// Puts it in place, and ends what it replaces.
    pub(crate) async fn change(&mut self, prepared: Prepared) {
        let Prepared { logs, claims, level, fresh } = prepared;
        self.logs.change(logs);
        let (kept, replaced): (Vec<_>, Vec<_>) =
            self.serving.drain(..).partition(|serving| serving.is_wanted(&claims, level));
        self.serving = kept;
        self.serving.extend(fresh);
        self.listeners.retain(&claims);
        end(replaced).await;
    }

    /// Ends what was prepared in vain.
    pub(crate) async fn abandon(&mut self, prepared: Prepared) {
        end(prepared.fresh).await;
        let running: Vec<Claim> = self
            .serving
            .iter()
            .enumerate()
            .map(|(place, serving)| claim(place, serving.transport.clone()))
            .collect();
        self.listeners.retain(&running);
    }

    pub(crate) async fn stop(self) {
        end(self.serving).await;
    }

    /// Serves each endpoint that is not served yet as it is to be.
    fn serve(&mut self, claims: &[Claim], level: MetricsLevel) -> Result<Vec<Serving>, CommandError> {
        self.listeners.bind(claims).map_err(ServiceError::Listen)?;
        let mut fresh = Vec::new();
        for claim in claims {
            let transport = &claim.endpoint.transport;
            if self.serving.iter().any(|serving| serving.transport == *transport && serving.level == level) {
                continue;
            }
            let mut handed = self
                .listeners
                .hand_out(claims, &claim.owner)
                .map_err(|error| CommandError::io(format!("cannot listen on {transport}"), error))?;
            let server = HttpServer::new(&HttpServerConfig::default(), "", &self.context)
                .map_err(|error| CommandError::Other(error.to_string()))?;
            if let Some(listener) = handed.remove(ENDPOINT) {
                let scrape = Arc::new(Scrape { exposition: self.exposition.clone(), level });
                let server = server.start(listener, Kind::Extension, scrape);
                fresh.push(Serving { transport: transport.clone(), level, server });
            }
        }
        Ok(fresh)
    }
}

impl Serving {
    fn is_wanted(&self, claims: &[Claim], level: MetricsLevel) -> bool {
        self.level == level && claims.iter().any(|claim| claim.endpoint.transport == self.transport)
    }
}

/// What the endpoints run in.
pub(crate) fn context(budget: &Budget, status: &Arc<Status>) -> ComponentContext {
    let mut context = ComponentContext::detached("telemetry", budget.clone());
    context.status = Arc::clone(status);
    context
}

fn claims(telemetry: &Telemetry) -> Vec<Claim> {
    let served = telemetry.metrics.served().enumerate();
    served
        .map(|(place, reader)| claim(place, Transport::Tcp(format!("{}:{}", reader.host, reader.port))))
        .collect()
}

fn claim(place: usize, transport: Transport) -> Claim {
    Claim {
        owner: format!("{OWNER}.{place}"),
        place: None,
        endpoint: Endpoint { name: ENDPOINT, key: KEY, transport },
    }
}

async fn end(serving: Vec<Serving>) {
    join_all(serving.iter().map(|serving| serving.server.stop(Instant::now() + STOP))).await;
}

/// Answers Prometheus.
struct Scrape {
    exposition: Exposition,
    level: MetricsLevel,
}

impl Handler for Scrape {
    fn handle(&self, request: IncomingRequest) -> BoxFuture<'_, Response<ResponseBody>> {
        Box::pin(ready(match (&request.head.method, request.path()) {
            (&Method::GET, "/metrics") => {
                let exposed = self.exposition.render(self.level);
                with_type(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", exposed)
            }
            (_, "/metrics") => text(StatusCode::METHOD_NOT_ALLOWED, "GET is what /metrics answers\n"),
            _ => text(StatusCode::NOT_FOUND, "metrics are at /metrics\n"),
        }))
    }
}
