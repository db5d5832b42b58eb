//! What components may ask of extensions, without knowing them.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;

use super::ComponentId;
use crate::{
    batch::{Batch, Context},
    grpc::client::Stream,
    reply::{Failure, Reply},
    signal::Signal,
};

/// What one extension offers.
#[derive(Clone, Default)]
pub struct Capabilities {
    /// Adds credentials to outgoing requests.
    pub client_auth: Option<Arc<dyn ClientAuth>>,
    /// Checks credentials of incoming requests.
    pub server_auth: Option<Arc<dyn ServerAuth>>,
    /// Holds durable queues.
    pub storage: Option<Arc<dyn Storage>>,
    /// Relays calls to a back-end.
    pub upstream: Option<Arc<dyn Upstream>>,
    /// Takes messages for a back-end.
    pub backend: Option<Arc<dyn Backend>>,
}

/// A capability that the configuration of a component asks of an extension by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// [`ClientAuth`].
    ClientAuth,
    /// [`ServerAuth`].
    ServerAuth,
    /// [`Storage`].
    Storage,
    /// [`Upstream`].
    Upstream,
    /// [`Backend`].
    Backend,
}

/// An extension that a component needs, as its configuration names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The key below the component that names it, such as `auth.authenticator`.
    pub key: String,
    /// The extension.
    pub id: ComponentId,
    /// What it must be able to do.
    pub needs: Capability,
}

/// Adds credentials to outgoing requests.
pub trait ClientAuth: Send + Sync {
    /// Changes the headers of the next request, which carries a batch with this context. Values that are secret are
    /// marked as sensitive.
    fn authorise<'a>(
        &'a self,
        headers: &'a mut HeaderMap,
        context: &'a Context,
    ) -> BoxFuture<'a, Result<(), Failure>>;
}

/// Checks credentials of incoming requests.
pub trait ServerAuth: Send + Sync {
    /// What is known of the client that sent these headers, as names and values for [`crate::Context::auth`].
    fn authenticate<'a>(
        &'a self,
        headers: &'a HeaderMap,
    ) -> BoxFuture<'a, Result<Vec<(String, String)>, AuthRefusal>>;
}

/// Why a client is not let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthRefusal {
    /// Its credentials are missing or wrong. Says nothing of what would have been right.
    #[error("{message}")]
    Wrong {
        /// What is wrong with them.
        message: &'static str,
        /// The value of `WWW-Authenticate` (RFC 9110, 11.6.1).
        challenge: &'static str,
    },
    /// Its credentials cannot be checked now; it may try again.
    #[error("credentials cannot be checked at the moment: {0}")]
    Unavailable(String),
}

/// Holds durable queues.
pub trait Storage: Send + Sync {
    /// Says that this queue will be opened. All that a configuration needs are announced before the storage starts, so
    /// that it knows those that nobody needs any more.
    fn announce(&self, _owner: &QueueOwner) {}

    /// Opens the queue of an exporter, with what an earlier run left in it.
    fn queue(&self, owner: QueueOwner) -> BoxFuture<'_, Result<Arc<dyn DurableQueue>, Failure>>;
}

/// Whose queue it is; a queue is found again by it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct QueueOwner {
    /// The exporter.
    pub id: ComponentId,
    /// Its signal.
    pub signal: Signal,
}

/// A queue that survives the process.
pub trait DurableQueue: Send + Sync {
    /// Appends a batch and returns once it is synced: then the caller may be answered.
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<(), Failure>>;

    /// The next batch that is due, with the number to settle it by. Waits while there is none.
    fn next(&self) -> BoxFuture<'_, (u64, Batch)>;

    /// Records that a batch was delivered or given up, so that it is not read again.
    fn settle(&self, number: u64, reply: &Reply) -> BoxFuture<'_, Result<(), Failure>>;

    /// What it holds that is not settled.
    fn usage(&self) -> QueueUsage;
}

/// What a durable queue holds that is not settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueUsage {
    /// Batches.
    pub requests: usize,
    /// Spans, data points, log records, profile samples.
    pub items: usize,
    /// Encoded, uncompressed bytes.
    pub bytes: usize,
    /// How long ago the oldest batch was appended.
    pub oldest: Option<Duration>,
}

/// The body of a relayed call or of its answer, as it arrives, with its trailers.
pub type RelayBody = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// Relays calls of a protocol to its back-end, byte for byte.
pub trait Upstream: Send + Sync {
    /// Sends a call on as its bytes arrive, and returns the answer as it arrives: unary and streaming alike.
    fn relay(&self, request: Request<RelayBody>) -> BoxFuture<'_, Result<Response<RelayBody>, Failure>>;
}

/// Takes messages for a back-end, over connections that all who send to it share.
pub trait Backend: Send + Sync {
    /// Sends messages on a stream of their own, ends it, and returns the message of the answer.
    fn stream<'a>(&'a self, stream: Stream<'a>) -> BoxFuture<'a, Result<Bytes, Failure>>;
}

impl fmt::Display for Capability {
    /// What an extension does that has it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::ClientAuth => "add credentials to the requests of exporters",
            Self::ServerAuth => "check the credentials of the clients of receivers",
            Self::Storage => "hold sending queues",
            Self::Upstream => "relay calls to a back-end",
            Self::Backend => "take messages for a back-end",
        })
    }
}

impl fmt::Debug for Capabilities {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Capabilities")
            .field("client_auth", &self.client_auth.is_some())
            .field("server_auth", &self.server_auth.is_some())
            .field("storage", &self.storage.is_some())
            .field("upstream", &self.upstream.is_some())
            .field("backend", &self.backend.is_some())
            .finish()
    }
}
