//! One call of the `Export` method of a signal's service.

use std::time::Instant;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use sluice_pipeline::{
    Batch, Reply, Signal, export::Sender, grpc::client::Channel, otlp::partial_success::PartialSuccess,
};

/// Sends the batches of one signal.
pub(super) struct GrpcSender {
    channel: Channel,
    method: &'static str,
}

impl GrpcSender {
    pub(super) fn new(channel: Channel, signal: Signal) -> Self {
        Self { channel, method: method(signal) }
    }

    /// A batch is the request message as it stands: `ExportTraceServiceRequest` and `TracesData` are the same bytes.
    async fn export(&self, batch: &Batch, deadline: Option<Instant>) -> Reply {
        let chunks: Vec<Bytes> = batch.chunks().iter().map(|chunk| chunk.bytes().clone()).collect();
        let untouched = match batch.chunks() {
            [only] => only.compressed(),
            _ => None,
        };
        match self.channel.unary(self.method, chunks, untouched, deadline, Some(batch.context())).await {
            // The status says that the request was taken; what cannot be read beyond that changes nothing.
            Ok(response) => PartialSuccess::decode(&response).unwrap_or_default().into(),
            Err(failure) => failure.into(),
        }
    }
}

impl Sender for GrpcSender {
    fn send<'a>(&'a self, batch: &'a Batch, deadline: Option<Instant>) -> BoxFuture<'a, Reply> {
        Box::pin(self.export(batch, deadline))
    }
}

const fn method(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        Signal::Profiles => "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export",
    }
}
