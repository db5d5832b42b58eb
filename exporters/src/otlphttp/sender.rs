//! One request that carries a batch.

use std::time::Instant;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Uri, header};
use sluice_pipeline::{
    Batch, Reply,
    export::Sender,
    http::client::{HttpClient, HttpResponse, Post},
    otlp::{json, partial_success::PartialSuccess},
};

use super::Encoding;

/// Sends the batches of one signal.
pub(super) struct HttpSender {
    pub(super) client: HttpClient,
    pub(super) uri: Uri,
    pub(super) encoding: Encoding,
}

impl HttpSender {
    async fn export(&self, batch: &Batch, deadline: Option<Instant>) -> Reply {
        let post = match self.encoding {
            Encoding::Proto => self.proto(batch, deadline),
            Encoding::Json => self.json(batch, deadline),
        };
        match self.client.post(post).await {
            Ok(response) => response.failure().map_or_else(|| taken(&response).into(), Reply::from),
            Err(failure) => failure.into(),
        }
    }

    fn proto<'a>(&'a self, batch: &'a Batch, deadline: Option<Instant>) -> Post<'a> {
        Post {
            uri: &self.uri,
            content_type: "application/x-protobuf",
            chunks: batch.chunks().iter().map(|chunk| chunk.bytes().clone()).collect(),
            compressed: match batch.chunks() {
                [only] => only.compressed(),
                _ => None,
            },
            deadline,
            context: Some(batch.context()),
        }
    }

    fn json<'a>(&'a self, batch: &'a Batch, deadline: Option<Instant>) -> Post<'a> {
        let chunks: Vec<&[u8]> = batch.chunks().iter().map(|chunk| chunk.bytes().as_ref()).collect();
        let mut text = Vec::with_capacity(batch.bytes().saturating_mul(2));
        json::encode(batch.signal(), &chunks, &mut text);
        Post {
            uri: &self.uri,
            content_type: "application/json",
            chunks: vec![Bytes::from(text)],
            compressed: None,
            deadline,
            context: Some(batch.context()),
        }
    }
}

/// What a success says. The status already says that the request was taken, so a body that cannot be read, as
/// proxies send them, changes nothing.
fn taken(response: &HttpResponse) -> PartialSuccess {
    let content_type = response.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    match content_type {
        Some(name) if name.starts_with("application/x-protobuf") => {
            PartialSuccess::decode(&response.body).unwrap_or_default()
        }
        Some(name) if name.starts_with("application/json") => {
            PartialSuccess::decode_json(&response.body).unwrap_or_default()
        }
        _ => PartialSuccess::default(),
    }
}

impl Sender for HttpSender {
    fn send<'a>(&'a self, batch: &'a Batch, deadline: Option<Instant>) -> BoxFuture<'a, Reply> {
        Box::pin(self.export(batch, deadline))
    }
}
