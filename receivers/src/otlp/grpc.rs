//! OTLP over gRPC: the `Export` methods of the four services.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use sluice_pipeline::{
    Code, Signal,
    grpc::{
        Status,
        server::{Call, UnaryHandler},
    },
};

use super::{
    answer::success,
    intake::{Intake, Message},
};

pub(super) const METHODS: [(Signal, &str); 4] = [
    (Signal::Traces, "/opentelemetry.proto.collector.trace.v1.TraceService/Export"),
    (Signal::Metrics, "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"),
    (Signal::Logs, "/opentelemetry.proto.collector.logs.v1.LogsService/Export"),
    (Signal::Profiles, "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export"),
];

/// Answers the calls of the four services, as far as a pipeline takes their signal.
pub(super) struct Grpc {
    intake: Intake,
}

impl Grpc {
    pub(super) fn new(intake: Intake) -> Self {
        Self { intake }
    }

    fn signal(&self, path: &str) -> Option<Signal> {
        let (signal, _) = METHODS.into_iter().find(|(_, method)| *method == path)?;
        self.intake.takes(signal).then_some(signal)
    }
}

impl UnaryHandler for Grpc {
    fn has(&self, path: &str) -> bool {
        self.signal(path).is_some()
    }

    fn call<'a>(&'a self, path: &'a str, call: Call) -> BoxFuture<'a, Result<Bytes, Status>> {
        Box::pin(async move {
            let signal = self
                .signal(path)
                .ok_or_else(|| Status::new(Code::Unimplemented, format!("no method {path}")))?;
            let message = Message { bytes: call.message, compressed: call.compressed, charge: call.charge };
            let partial = self.intake.take(signal, message, call.context, None).await?;
            Ok(success(partial.as_ref()))
        })
    }

    fn refused(&self, reason: &'static str) {
        self.intake.metrics.refused_request(reason);
    }

    /// Counted where the call is given up: also a client that leaves is late.
    fn late(&self) {}
}
