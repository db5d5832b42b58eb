//! The exporter as its pipeline and its scrapers see it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::{BoxFuture, ready};
use sluice_pipeline::{
    Batch, Consumer, Demand, Failure, Permit, Reply,
    component::{BuildError, ExporterContext, Kind},
    export::{self, RetryConfig, Sender, Settings},
    http::server::{HttpServer, Server},
};

use super::{ENDPOINT, config::PrometheusConfig, intake::Intake, scrape::Scrapes, store::Store};

/// Holds series, and serves them until it is drained.
pub(super) struct PrometheusExporter {
    inner: Arc<dyn Consumer>,
    server: Server,
}

impl PrometheusExporter {
    pub(super) fn start(config: PrometheusConfig, mut context: ExporterContext) -> Result<Self, BuildError> {
        let listener = context
            .listeners
            .remove(ENDPOINT)
            .ok_or_else(|| BuildError::setting("endpoint", "the host has bound no address"))?;
        let server = HttpServer::new(&config.server, "", &context.component)?;
        let store = Arc::new(Store::new(&config.own, &context.component));
        let scrapes = Arc::new(Scrapes::new(Arc::clone(&store), &config.own, &context.component.budget));
        let retry = RetryConfig { enabled: false, ..RetryConfig::default() };
        let settings = Settings { timeout: Duration::ZERO, retry, queue: config.own.sending_queue.clone() };
        let inner = export::Exporter::start(Arc::new(Intake::new(config.own, store)), settings, &context)?;
        Ok(Self { inner, server: server.start(listener, Kind::Exporter, scrapes) })
    }
}

impl Consumer for PrometheusExporter {
    fn reserve<'a>(&'a self, demand: &'a Demand) -> BoxFuture<'a, Result<Permit, Failure>> {
        self.inner.reserve(demand)
    }

    fn consume(&self, batch: Batch, permit: Permit) -> BoxFuture<'_, Reply> {
        self.inner.consume(batch, permit)
    }

    fn drain(&self, deadline: Instant) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.inner.drain(deadline).await;
            self.server.stop(deadline).await;
        })
    }

    fn hurry(&self) {
        self.inner.hurry();
    }
}

impl Sender for Intake {
    fn send<'a>(&'a self, batch: &'a Batch, _deadline: Option<Instant>) -> BoxFuture<'a, Reply> {
        Box::pin(ready(self.take(batch)))
    }
}
