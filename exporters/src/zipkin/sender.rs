//! One attempt to deliver a batch.
//!
//! 408, 429 and 5xx are retryable. Other answers are permanent: the Collector repeats even those until its time is up,
//! but a request that Zipkin cannot read now it cannot read later.

use std::time::Instant;

use futures_util::future::BoxFuture;
use http::{StatusCode, Uri};
use sluice_pipeline::{
    Batch, Context, Failure, Reply,
    budget::Budget,
    component::{BuildError, ComponentContext},
    export::Sender,
    http::{
        client::{HttpClient, HttpResponse, Post},
        retry_after,
    },
    reply::Retry,
};

use super::{Format, Requests, ZipkinConfig};

/// Sends batches to one Zipkin.
pub(super) struct ZipkinSender {
    client: HttpClient,
    uri: Uri,
    format: Format,
    default_service_name: String,
    budget: Budget,
}

impl ZipkinSender {
    pub(super) fn new(config: &ZipkinConfig, context: &ComponentContext) -> Result<Self, BuildError> {
        let uri = config
            .client
            .endpoint
            .parse()
            .map_err(|error| BuildError::setting("endpoint", format!("this is no URI: {error}")))?;
        Ok(Self {
            client: HttpClient::new(&config.client, context)?,
            uri,
            format: config.own.format,
            default_service_name: config.own.default_service_name.clone(),
            budget: context.budget.clone(),
        })
    }

    async fn send_all(&self, batch: &Batch, deadline: Option<Instant>) -> Result<Reply, Failure> {
        let chunks = batch.chunks().iter().map(|chunk| chunk.bytes().as_ref()).collect();
        let mut dropped = 0;
        // A large batch makes several requests. If a later one fails all are repeated: Zipkin merges equal spans.
        for request in Requests::of(self.format, &self.default_service_name, chunks) {
            dropped += request.dropped as u64;
            if request.spans > 0 {
                let _charge = self.budget.charge_anyway(request.body.len() as u64);
                self.post(request.body, batch.context(), deadline).await?;
            }
        }
        Ok(match dropped {
            0 => Reply::Delivered,
            items => Reply::Rejected {
                items,
                message: "spans without a trace id or without a span id, which Zipkin cannot store"
                    .to_owned(),
            },
        })
    }

    async fn post(&self, body: Vec<u8>, context: &Context, deadline: Option<Instant>) -> Result<(), Failure> {
        let content_type = match self.format {
            Format::Json => "application/json",
            Format::Protobuf => "application/x-protobuf",
        };
        let post = Post {
            uri: &self.uri,
            content_type,
            chunks: vec![body.into()],
            compressed: None,
            deadline,
            context: Some(context),
        };
        let response = self.client.post(post).await?;
        failure(&response).map_or(Ok(()), Err)
    }
}

impl Sender for ZipkinSender {
    fn send<'a>(&'a self, batch: &'a Batch, deadline: Option<Instant>) -> BoxFuture<'a, Reply> {
        Box::pin(async move { self.send_all(batch, deadline).await.unwrap_or_else(Reply::Failed) })
    }
}

/// What an answer means for trying again, which for Zipkin is more than for OTLP.
fn failure(response: &HttpResponse) -> Option<Failure> {
    let failure = response.failure()?;
    let passing = response.status.is_server_error()
        || matches!(response.status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
    if !passing {
        return Some(failure);
    }
    let retry = retry_after(&response.headers).map_or(Retry::Backoff, Retry::After);
    Some(Failure { retry, ..failure })
}
