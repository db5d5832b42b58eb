//! One attempt to deliver a batch: all its streams, a few at a time.
//!
//! UNAVAILABLE, DEADLINE_EXCEEDED, ABORTED, CANCELLED, OUT_OF_RANGE and DATA_LOSS are retryable as in OTLP, and so is
//! RESOURCE_EXHAUSTED, by which OAP says that its heap is full, unless it says that a message is too long. All else is
//! permanent. UNIMPLEMENTED is what an OAP answers whose receiver is off.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use futures_util::{StreamExt, future::BoxFuture, stream};
use sluice_pipeline::{
    Batch, Code, Failure, Reply, Signal,
    budget::Budget,
    component::{Backend, BuildError, ExporterContext},
    export::Sender,
    grpc::client::Stream,
    reply::Retry,
};
use sluice_protocols::skywalking::COLLECT_SEGMENTS;

use super::{
    config::OapConfig,
    logs, metrics,
    streams::{Call, Method, Streams},
    traces,
};

/// How many streams of a batch are under way at once.
const AT_ONCE: usize = 8;

/// Sends the batches of one signal.
pub(super) struct OapSender {
    config: OapConfig,
    backend: Arc<dyn Backend>,
    signal: Signal,
    budget: Budget,
}

/// What came of some of the streams of a batch.
#[derive(Default)]
struct Outcome {
    sent: usize,
    refused: usize,
    permanent: Option<Failure>,
    retryable: Option<Failure>,
}

impl OapSender {
    pub(super) fn new(config: &OapConfig, context: &ExporterContext) -> Result<Self, BuildError> {
        const KEY: &str = "link";
        let backend = context.component.extension(KEY, &config.link)?.backend.clone().ok_or_else(|| {
            BuildError::setting(
                KEY,
                format!("extension \"{}\" takes no messages; name an oap extension", config.link),
            )
        })?;
        Ok(Self {
            config: config.clone(),
            backend,
            signal: context.signal,
            budget: context.component.budget.clone(),
        })
    }

    async fn send_all(&self, batch: &Batch, deadline: Option<Instant>) -> Reply {
        let streams = translate(batch, self.signal, &self.config);
        let (dropped, reason) = (streams.dropped, streams.reason);
        let calls = streams.into_calls();
        let length: usize = calls.iter().map(|call| call.messages.length()).sum();
        let _charge = self.budget.charge_anyway(length as u64);
        let mut outcomes = stream::iter(calls)
            .map(|call| async move { (call.items, self.send_one(call, deadline).await) })
            .buffer_unordered(AT_ONCE);
        let mut all = Outcome::default();
        while let Some((items, outcome)) = outcomes.next().await {
            all.add(items, outcome);
        }
        all.reply(dropped, reason)
    }

    async fn send_one(&self, call: Call, deadline: Option<Instant>) -> Result<(), Failure> {
        let stream = Stream {
            path: call.method.path(),
            messages: call.messages,
            key: call.key.as_deref().map(str::as_bytes),
            deadline,
        };
        self.backend.stream(stream).await.map(drop).map_err(overload)
    }
}

impl Sender for OapSender {
    fn send<'a>(&'a self, batch: &'a Batch, deadline: Option<Instant>) -> BoxFuture<'a, Reply> {
        Box::pin(self.send_all(batch, deadline))
    }
}

impl Outcome {
    fn add(&mut self, items: usize, outcome: Result<(), Failure>) {
        match outcome {
            Ok(()) => self.sent += 1,
            Err(failure) if failure.is_permanent() => {
                self.refused += items;
                self.permanent = Some(failure);
            }
            Err(failure) => self.retryable = Some(failure),
        }
    }

    /// A batch of which anything may still be taken is sent again whole; of what OAP gets twice it keeps one.
    fn reply(self, dropped: usize, reason: &'static str) -> Reply {
        let rejected = |items: usize, message: String| Reply::Rejected { items: items as u64, message };
        match (self.retryable, self.permanent) {
            (Some(failure), _) => failure.into(),
            (None, Some(failure)) if self.sent == 0 => failure.into(),
            (None, Some(failure)) => rejected(self.refused + dropped, failure.message),
            (None, None) if dropped > 0 => rejected(dropped, reason.to_owned()),
            (None, None) => Reply::Delivered,
        }
    }
}

fn translate(batch: &Batch, signal: Signal, config: &OapConfig) -> Streams {
    let mut streams = Streams::default();
    let mut chunks: Vec<&[u8]> = Vec::with_capacity(batch.chunks().len());
    for chunk in batch.chunks() {
        // What came as OAP takes it and nobody changed goes as it came.
        match chunk.native().and_then(|native| native.messages_of(COLLECT_SEGMENTS)) {
            Some(segments) => streams.extend(Method::Segments, "", chunk.items(), segments),
            None => chunks.push(chunk.bytes()),
        }
    }
    match signal {
        Signal::Traces => traces::translate(&chunks, config, &mut streams),
        Signal::Metrics => metrics::translate(&chunks, config, &mut streams),
        Signal::Logs | Signal::Profiles => logs::translate(&chunks, config, &mut streams),
    }
    streams
}

/// The calls that a batch becomes: each method with its messages, framed for gRPC.
#[must_use]
pub fn messages(batch: &Batch, config: &OapConfig) -> Vec<(Method, Bytes)> {
    let calls = translate(batch, batch.signal(), config).into_calls();
    calls.into_iter().map(|call| (call.method, call.messages.into_bytes())).collect()
}

/// OAP refuses calls while its heap is full, which passes.
fn overload(failure: Failure) -> Failure {
    match failure.code {
        Some(Code::ResourceExhausted) if !failure.message.contains("maximum size") => {
            Failure { retry: if failure.is_permanent() { Retry::Backoff } else { failure.retry }, ..failure }
        }
        _ => failure,
    }
}
