//! Sends requests to one server.

use std::time::Instant;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::Uri;
use sluice_pipeline::{
    Batch, Context, Reply,
    batch::Compressed,
    budget::Budget,
    component::{BuildError, ComponentContext},
    compression::{CompressError, Encoding},
    config::types::Secret,
    export::{Delivery, Sender},
    http::client::{HttpClient, HttpClientConfig, Post},
};
use tokio::sync::Semaphore;

use super::{
    config::{ProtobufMessage, RemoteWriteConfig},
    counters::Counters,
    delivery::RemoteDelivery,
    request::{Request, VERSION_HEADER, requests},
    segment::Segment,
    translate::Translator,
    verdict::Verdict,
};

/// Sends batches to one server.
pub(super) struct RemoteWriter {
    client: HttpClient,
    uri: Uri,
    timeout: Option<std::time::Duration>,
    pub(super) message: ProtobufMessage,
    metadata: bool,
    batch_size: usize,
    pub(super) parallelism: usize,
    pub(super) translator: Translator,
    pub(super) counters: Counters,
    pub(super) budget: Budget,
    /// Whose batch it is: without a queue callers would overtake each other.
    pub(super) turn: Semaphore,
}

impl RemoteWriter {
    pub(super) fn new(config: &RemoteWriteConfig, context: &ComponentContext) -> Result<Self, BuildError> {
        let (http, own) = (config.http(), &config.own);
        let uri = http
            .endpoint
            .parse()
            .map_err(|error| BuildError::setting("endpoint", format!("this is no URI: {error}")))?;
        Ok(Self {
            client: HttpClient::new(&speaking(http, own.protobuf_message), context)?,
            uri,
            timeout: http.timeout.limit(),
            message: own.protobuf_message,
            metadata: own.send_metadata,
            batch_size: own.batch_size(),
            parallelism: own.parallelism(),
            translator: Translator::new(own),
            counters: Counters::new(&context.id),
            budget: context.budget.clone(),
            turn: Semaphore::new(1),
        })
    }

    /// The same with segments of another size.
    #[cfg(test)]
    pub(super) fn with_segments_of(self, bytes: usize) -> Self {
        Self { translator: self.translator.with_segments_of(bytes), ..self }
    }

    /// The requests for a segment.
    pub(super) fn requests(&self, segment: &Segment) -> Result<Vec<Request>, CompressError> {
        requests(segment, self.message, self.metadata, self.batch_size)
    }

    /// Sends a request once.
    pub(super) async fn post(
        &self,
        request: &Request,
        context: &Context,
        deadline: Option<Instant>,
    ) -> Verdict {
        let own = self.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let compressed = Compressed { encoding: Encoding::Snappy, bytes: request.body.clone() };
        let post = Post {
            uri: &self.uri,
            content_type: self.message.content_type(),
            chunks: vec![Bytes::new()],
            compressed: Some(&compressed),
            deadline: own.into_iter().chain(deadline).min(),
            context: Some(context),
        };
        match self.client.post(post).await {
            Ok(response) => Verdict::of(&response, self.message, request.holds),
            Err(failure) if failure.is_permanent() => {
                Verdict::Rejected { failure, reason: "client".to_owned(), divisible: false }
            }
            Err(failure) => Verdict::Later(failure),
        }
    }
}

impl Sender for RemoteWriter {
    fn send<'a>(&'a self, batch: &'a Batch, deadline: Option<Instant>) -> BoxFuture<'a, Reply> {
        Box::pin(async move { RemoteDelivery::new(self, batch).attempt(deadline).await })
    }

    fn begin<'a>(&'a self, batch: &'a Batch) -> Option<Box<dyn Delivery + 'a>> {
        Some(Box::new(RemoteDelivery::new(self, batch)))
    }
}

/// The configuration of a client that sends this message.
fn speaking(http: &HttpClientConfig, message: ProtobufMessage) -> HttpClientConfig {
    let headers = http.headers.iter().map(|(name, value)| (name.to_owned(), value.clone()));
    let version = (VERSION_HEADER.to_owned(), Secret::from(message.version()));
    HttpClientConfig {
        compression: Encoding::Snappy.name().to_owned(),
        headers: headers.chain([version]).collect(),
        ..http.clone()
    }
}
