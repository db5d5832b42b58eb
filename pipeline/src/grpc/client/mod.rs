//! The client's side of calls: unary ones to one destination, unary and streaming ones to one of several.

mod balanced;
mod body;
mod connection;
mod endpoint;
mod pool;
mod resolver;
mod response;
mod slot;
#[cfg(test)]
mod tests;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version, header};
use tokio::time::timeout_at;

use super::{GrpcClientConfig, Status, frame, timeout};
use crate::{
    batch::{Compressed, Context},
    component::{BuildError, ClientAuth, ComponentContext},
    compression::{Encoding, compress},
    http::{Rope, client::USER_AGENT, server::header_map, warn_of_plaintext},
    reply::{Code, Failure},
};
pub use balanced::{Affinity, BalancedChannel, BalancedSettings, Destination, Finder, Found, Stream};
use body::Outgoing;
pub(super) use endpoint::Endpoint;
use pool::Connections;
use slot::Unsent;

/// What a destination may answer at most, in bytes.
const RESPONSE_LIMIT: usize = 4 << 20;
/// How long a call may take to which nobody set a deadline.
const LONGEST_CALL: Duration = Duration::from_secs(300);

/// A destination of unary calls. Connects when first needed, and again when a connection is lost.
pub struct Channel {
    endpoint: Endpoint,
    connections: Connections,
    encoding: Option<Encoding>,
    headers: HeaderMap,
    auth: Option<Arc<dyn ClientAuth>>,
}

impl Channel {
    /// A channel by this configuration, whose keys are at the level of the component.
    ///
    /// # Errors
    /// An endpoint that is none, a certificate that cannot be read, an authenticator that does not run.
    pub fn new(config: &GrpcClientConfig, context: &ComponentContext) -> Result<Self, BuildError> {
        let endpoint = Endpoint::parse(&config.endpoint, &config.authority, config.tls.insecure)
            .map_err(|message| BuildError::setting("endpoint", message))?;
        let headers = fixed_headers(config)?;
        let auth = match &config.auth {
            Some(auth) => Some(auth.resolve("auth.authenticator", context)?),
            None => None,
        };
        if auth.is_some() && !endpoint.is_encrypted() && !endpoint.is_unix() {
            warn_of_plaintext(context, endpoint.host());
        }
        Ok(Self {
            connections: Connections::new(config, &endpoint)?,
            endpoint,
            encoding: config.encoding(),
            headers,
            auth,
        })
    }

    /// Where calls go, for messages.
    #[must_use]
    pub fn target(&self) -> &str {
        self.endpoint.name()
    }

    /// Calls a method with one message, which is the concatenation of `chunks`. `reuse` is a compressed form of the
    /// whole message, sent as it is if it is in the configured encoding. `context` is what is known about the sender of
    /// the message, for credentials that depend on it.
    ///
    /// # Errors
    /// What happened, to be retried or not as OTLP says.
    pub async fn unary(
        &self,
        path: &'static str,
        chunks: Vec<Bytes>,
        reuse: Option<&Compressed>,
        deadline: Option<Instant>,
        context: Option<&Context>,
    ) -> Result<Bytes, Failure> {
        let deadline = deadline.unwrap_or_else(|| Instant::now() + LONGEST_CALL);
        let doing = || format!("calling {path} at {}", self.target());
        let call = async {
            let headers = self.headers(context).await?;
            let answer = self.call(path, headers, chunks, reuse, deadline).await;
            answer.map_err(|status| status.into_failure(&doing()))
        };
        match timeout_at(deadline.into(), call).await {
            Ok(answer) => answer,
            Err(_) => {
                let status = Status::new(Code::DeadlineExceeded, "no answer before the deadline");
                Err(status.into_failure(&doing()))
            }
        }
    }

    /// The headers of a call, with credentials where there are some.
    async fn headers(&self, context: Option<&Context>) -> Result<HeaderMap, Failure> {
        let mut headers = self.headers.clone();
        if let Some(auth) = &self.auth {
            let unknown = Context::default();
            let context = context.unwrap_or(&unknown);
            auth.authorise(&mut headers, context).await.map_err(|failure| Failure {
                message: format!("no credentials for {}: {}", self.target(), failure.message),
                ..failure
            })?;
        }
        Ok(headers)
    }

    async fn call(
        &self,
        path: &'static str,
        mut headers: HeaderMap,
        chunks: Vec<Bytes>,
        reuse: Option<&Compressed>,
        deadline: Instant,
    ) -> Result<Bytes, Status> {
        let (message, encoding) = self.encode(chunks, reuse)?;
        if let Some(encoding) = encoding {
            headers.insert("grpc-encoding", HeaderValue::from_static(encoding.name()));
        }
        // A connection may be found lost only by a call that the destination never saw; that one is sent again.
        let mut unsent = None;
        for _ in 0..3 {
            let body = Outgoing::whole(message.clone());
            let request = request(&self.endpoint, path, &headers, body, deadline)?;
            match self.connections.send(request, deadline).await {
                Ok(response) => return response::read(response, RESPONSE_LIMIT).await,
                Err(Unsent { status, retry: false, .. }) => return Err(status),
                Err(Unsent { status, .. }) => unsent = Some(status),
            }
        }
        Err(unsent.unwrap_or_else(|| Status::new(Code::Unavailable, "the connection was lost")))
    }

    /// The message with its prefix, compressed as configured.
    fn encode(
        &self,
        chunks: Vec<Bytes>,
        reuse: Option<&Compressed>,
    ) -> Result<(Rope, Option<Encoding>), Status> {
        let Some(encoding) = self.encoding else {
            return Ok((framed(false, chunks)?, None));
        };
        let compressed = match reuse.filter(|compressed| compressed.encoding == encoding) {
            Some(compressed) => compressed.bytes.clone(),
            None => compress(form(encoding), None, &chunks)
                .map_err(|error| Status::new(Code::Internal, error.to_string()))?
                .into(),
        };
        Ok((framed(true, vec![compressed])?, Some(encoding)))
    }
}

/// A call of the method at `path`.
fn request(
    endpoint: &Endpoint,
    path: &str,
    headers: &HeaderMap,
    body: Outgoing,
    deadline: Instant,
) -> Result<Request<Outgoing>, Status> {
    let uri = Uri::builder()
        .scheme(endpoint.scheme())
        .authority(endpoint.authority())
        .path_and_query(path)
        .build()
        .map_err(|error| Status::new(Code::Internal, error.to_string()))?;
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    *request.version_mut() = Version::HTTP_2;
    *request.headers_mut() = headers.clone();
    let remaining = timeout::format(deadline.saturating_duration_since(Instant::now()));
    let fixed = request.headers_mut();
    fixed.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    fixed.insert(header::TE, HeaderValue::from_static("trailers"));
    fixed.insert("grpc-accept-encoding", HeaderValue::from_static("identity,gzip,zstd"));
    if let Ok(remaining) = HeaderValue::from_str(&remaining) {
        fixed.insert("grpc-timeout", remaining);
    }
    Ok(request)
}

/// The headers that every call has by this configuration.
fn fixed_headers(config: &GrpcClientConfig) -> Result<HeaderMap, BuildError> {
    let mut headers =
        header_map(&config.headers).map_err(|message| BuildError::setting("headers", message))?;
    let user_agent = match config.user_agent.as_str() {
        "" => USER_AGENT,
        own => own,
    };
    let user_agent = HeaderValue::from_str(user_agent)
        .map_err(|_| BuildError::setting("user_agent", "has a character that no header may have"))?;
    headers.insert(header::USER_AGENT, user_agent);
    Ok(headers)
}

/// What the name of an encoding means in gRPC, where `snappy` is the framed format, as the Collector's servers read it.
const fn form(encoding: Encoding) -> Encoding {
    match encoding {
        Encoding::Snappy => Encoding::SnappyFramed,
        other => other,
    }
}

fn framed(compressed: bool, chunks: Vec<Bytes>) -> Result<Rope, Status> {
    let length: usize = chunks.iter().map(Bytes::len).sum();
    let length = u32::try_from(length)
        .map_err(|_| Status::new(Code::Internal, "a gRPC message cannot be longer than 4 GiB"))?;
    let prefix = Bytes::copy_from_slice(&frame::prefix(compressed, length));
    Ok(Rope::new(std::iter::once(prefix).chain(chunks)))
}
