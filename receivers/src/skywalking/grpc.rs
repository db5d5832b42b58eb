//! The gRPC services.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ::http::{Request, Response};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use sluice_pipeline::{
    Code, Context,
    component::{RelayBody, Upstream},
    grpc::{
        Status,
        server::{Call, Handler, Method, StreamCall},
        stream::Broken,
    },
    http::Refusal,
};
use tokio::time::sleep;

use super::{
    health,
    intake::{CUT, Intake, Patience},
    method::{Purpose, Shape, is_answered, purpose},
    translate::{Kind, Malformed, Translator},
};

/// How long a unary call without a deadline is tried.
const UNARY_PATIENCE: Duration = Duration::from_secs(10);
/// What is left of a caller's deadline when trying ends, so that it gets to know.
const ANSWER_TIME: Duration = Duration::from_millis(200);
/// How often a message of a stream is tried for which there is no memory, and for how long.
const MEMORY_PAUSE: Duration = Duration::from_millis(50);
const MEMORY_PATIENCE: Duration = Duration::from_secs(10);

/// Answers the calls of all services.
pub(super) struct Grpc {
    intake: Intake,
    otlp: Arc<dyn Handler>,
    upstream: Option<Arc<dyn Upstream>>,
}

impl Grpc {
    pub(super) fn new(intake: Intake, otlp: Arc<dyn Handler>, upstream: Option<Arc<dyn Upstream>>) -> Self {
        Self { intake, otlp, upstream }
    }

    /// Whether OAP has to answer: it alone can, or no pipeline takes the messages.
    fn is_relayed(&self, purpose: Option<Purpose>) -> bool {
        self.upstream.is_some()
            && match purpose {
                None | Some(Purpose::Asking(_)) => true,
                Some(Purpose::Telemetry(kind, _)) => is_answered(kind) || !self.intake.takes(kind.signal()),
                Some(Purpose::Health | Purpose::HealthWatch) => false,
            }
    }

    async fn take(&self, kind: Kind, call: Call) -> Result<Bytes, Status> {
        let Call { message, charge, context, .. } = call;
        let mut translator = self.intake.translator(kind);
        translator.push(&message).map_err(|malformed| {
            let refusal = refusal(malformed);
            self.intake.metrics.refused_request(refusal.reason());
            Status::from(&refusal)
        })?;
        drop((message, charge));
        let end = match context.deadline {
            Some(deadline) => deadline.checked_sub(ANSWER_TIME).unwrap_or(deadline),
            None => Instant::now() + UNARY_PATIENCE,
        };
        let delivered = self.intake.deliver(&mut translator, context, Patience::Until(end)).await;
        delivered.map(|()| Bytes::new()).map_err(|failure| Status::of_failure(&failure))
    }

    /// Hands over messages as they arrive: those that are there together, then what came meanwhile.
    async fn take_stream(&self, kind: Kind, call: StreamCall) -> Result<Bytes, Status> {
        let StreamCall { mut messages, context } = call;
        let mut translator = self.intake.translator(kind);
        loop {
            let first = tokio::select! {
                biased;
                () = self.intake.stopping.cancelled() => return Err(stopping()),
                first = messages.next() => first,
            };
            let Some(first) = first else { return Ok(Bytes::new()) };
            let mut charges = Vec::new();
            let mut ended = None;
            let mut next = Some(first);
            while let Some(message) = next.take() {
                match message {
                    Ok(message) => {
                        self.push(&mut translator, &message.bytes, &context).await;
                        charges.push(message.charge);
                    }
                    Err(Broken::Message(refusal)) => self.intake.metrics.refused_request(refusal.reason()),
                    Err(Broken::Stream(refusal)) => {
                        ended = Some(refusal);
                        break;
                    }
                }
                if translator.size() < CUT {
                    next = messages.next_arrived();
                }
            }
            drop(charges);
            // What no pipeline will ever take is counted; the stream goes on without it.
            let _refused = self.intake.deliver(&mut translator, context.clone(), Patience::Stream).await;
            if let Some(refusal) = ended {
                return self.end(&refusal);
            }
        }
    }

    /// Translates a message. Where there is no memory for it, what came before it goes first, and then it waits a while.
    async fn push(&self, translator: &mut Translator, message: &[u8], context: &Context) {
        let end = Instant::now() + MEMORY_PATIENCE;
        loop {
            match translator.push(message) {
                Err(Malformed::Exhausted(_))
                    if Instant::now() < end && !self.intake.stopping.is_cancelled() =>
                {
                    let _refused = self.intake.deliver(translator, context.clone(), Patience::Stream).await;
                    sleep(MEMORY_PAUSE).await;
                }
                Err(malformed) => return self.intake.metrics.refused_request(refusal(malformed).reason()),
                Ok(()) => return,
            }
        }
    }

    /// The client left, or broke the stream.
    fn end(&self, refusal: &Refusal) -> Result<Bytes, Status> {
        // How all streams of some agents end.
        if !matches!(refusal, Refusal::Aborted(_)) {
            self.intake.metrics.refused_request(refusal.reason());
        }
        Err(Status::from(refusal))
    }

    /// Reads a stream that nobody wants to its end.
    async fn ignore(&self, call: StreamCall) -> Result<Bytes, Status> {
        let mut messages = call.messages;
        loop {
            let next = tokio::select! {
                biased;
                () = self.intake.stopping.cancelled() => return Err(stopping()),
                next = messages.next() => next,
            };
            match next {
                None => return Ok(Bytes::new()),
                Some(Err(Broken::Stream(refusal))) => return self.end(&refusal),
                Some(_) => {}
            }
        }
    }
}

fn refusal(malformed: Malformed) -> Refusal {
    match malformed {
        Malformed::Exhausted(exhausted) => exhausted.into(),
        malformed => Refusal::Malformed(malformed.to_string()),
    }
}

fn stopping() -> Status {
    Status::new(Code::Unavailable, "this server stops; go on elsewhere")
}

fn unknown(path: &str) -> Status {
    Status::new(Code::Unimplemented, format!("there is no method {path} here"))
}

impl Handler for Grpc {
    fn method(&self, path: &str) -> Option<Method> {
        if let Some(method) = self.otlp.method(path) {
            return Some(method);
        }
        let purpose = purpose(path);
        if self.is_relayed(purpose) {
            return Some(Method::Relayed);
        }
        Some(match purpose? {
            Purpose::Telemetry(_, Shape::Unary) | Purpose::Asking(Shape::Unary) | Purpose::Health => {
                Method::Unary
            }
            Purpose::Telemetry(..) | Purpose::Asking(_) => Method::Streaming,
            // Its answer is a stream.
            Purpose::HealthWatch => Method::Relayed,
        })
    }

    fn call<'a>(&'a self, path: &'a str, call: Call) -> BoxFuture<'a, Result<Bytes, Status>> {
        if self.otlp.method(path).is_some() {
            return self.otlp.call(path, call);
        }
        Box::pin(async move {
            match purpose(path).ok_or_else(|| unknown(path))? {
                Purpose::Telemetry(kind, _) => self.take(kind, call).await,
                Purpose::Asking(_) => Ok(Bytes::new()),
                Purpose::Health | Purpose::HealthWatch => Ok(Bytes::from_static(health::SERVING)),
            }
        })
    }

    fn stream<'a>(&'a self, path: &'a str, call: StreamCall) -> BoxFuture<'a, Result<Bytes, Status>> {
        Box::pin(async move {
            match purpose(path).ok_or_else(|| unknown(path))? {
                Purpose::Telemetry(kind, _) => self.take_stream(kind, call).await,
                Purpose::Asking(Shape::Conversation) => Ok(Bytes::new()),
                Purpose::Asking(_) | Purpose::Health | Purpose::HealthWatch => self.ignore(call).await,
            }
        })
    }

    fn relay(&self, request: Request<RelayBody>) -> BoxFuture<'_, Result<Response<RelayBody>, Status>> {
        Box::pin(async move {
            if request.uri().path() == health::WATCH {
                return Ok(health::watch(self.intake.stopping.clone(), stopping()));
            }
            let Some(upstream) = &self.upstream else { return Err(unknown(request.uri().path())) };
            upstream.relay(request).await.map_err(|failure| {
                self.intake.metrics.refused_request("upstream");
                Status::of_failure(&failure)
            })
        })
    }

    fn refused(&self, reason: &'static str) {
        self.intake.metrics.refused_request(reason);
    }

    /// Counted where the call is given up: also a client that leaves is late.
    fn late(&self) {}
}
