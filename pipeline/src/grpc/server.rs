//! The server's side of unary calls.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;

use super::{GrpcServerConfig, KeepaliveServerParameters, Status, frame, timeout};
use crate::{
    batch::{Compressed, Context},
    budget::{Budget, Charge},
    component::{BuildError, ComponentContext, Kind, Listener, ServerAuth},
    compression::{Encoding, decompress_charged},
    http::{
        Refusal, ResponseBody,
        body::{self, Limits, Pace},
        empty,
        server::{Http2Settings, Lifetime, Options, Protocols, RawHandler, Server, authenticator, below},
        text,
    },
    reply::Code,
    tls::{ServerTls, alpn},
};

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
/// What messages may be compressed with, besides not at all.
const ACCEPTED: HeaderValue = HeaderValue::from_static("identity,gzip,zstd,deflate,snappy");
const SIZE_KEY: &str = "max_recv_msg_size_mib";
/// How long a client may take for the headers of a call.
const HEADER_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(60);
/// How long a connection is silent before it is pinged, unless configured: gRPC's own default.
const PING_AFTER: std::time::Duration = std::time::Duration::from_secs(7200);

/// Answers unary calls. Called concurrently; dropped when the client leaves.
pub trait UnaryHandler: Send + Sync + 'static {
    /// Whether there is a method at this path, `/package.Service/Method`.
    fn has(&self, path: &str) -> bool;

    /// Answers a call of a method that there is.
    fn call<'a>(&'a self, path: &'a str, call: Call) -> BoxFuture<'a, Result<Bytes, Status>>;

    /// A call was refused before it was one; `reason` is [`Refusal::reason`].
    fn refused(&self, reason: &'static str);

    /// The answer took longer than the client waits; what was handed over goes on.
    fn late(&self);
}

/// A unary call with its whole message.
#[derive(Debug)]
pub struct Call {
    /// The message, decompressed.
    pub message: Bytes,
    /// The bytes that it was decompressed from, if they may be passed on as they came.
    pub compressed: Option<Compressed>,
    /// What holds the place of both in the budget.
    pub charge: Charge,
    /// What is known about the client, with its deadline.
    pub context: Context,
}

/// A gRPC server by the keys of the Collector's `configgrpc`, not yet serving.
pub struct GrpcServer {
    options: Options,
    door: Door,
    context: ComponentContext,
}

struct Door {
    budget: Budget,
    message_limit: usize,
    pace: Pace,
    include_metadata: bool,
    auth: Option<Arc<dyn ServerAuth>>,
}

struct Service {
    door: Door,
    handler: Arc<dyn UnaryHandler>,
}

impl GrpcServer {
    /// A server by this configuration, which stands at `key` below the component.
    ///
    /// # Errors
    /// A certificate that cannot be read, or an authenticator that does not run.
    pub fn new(config: &GrpcServerConfig, key: &str, context: &ComponentContext) -> Result<Self, BuildError> {
        let tls = match &config.tls {
            Some(tls) => Some(ServerTls::new(tls, &below(key, "tls"), &[alpn::HTTP2])?),
            None => None,
        };
        let auth = match &config.auth {
            Some(auth) => Some(authenticator(auth, &below(key, "auth.authenticator"), context)?),
            None => None,
        };
        let keepalive =
            config.keepalive.clone().and_then(|keepalive| keepalive.server_parameters).unwrap_or_default();
        let options = Options {
            tls,
            protocols: Protocols::Http2,
            http2: http2(config, &keepalive, &context.budget),
            header_timeout: HEADER_TIMEOUT,
            keep_alive: true,
            lifetime: Lifetime {
                idle: keepalive.max_connection_idle.limit(),
                age: keepalive.max_connection_age.limit(),
                grace: keepalive.max_connection_age_grace.limit(),
            },
        };
        let door = Door {
            budget: context.budget.clone(),
            message_limit: config.message_limit(),
            pace: Pace::default(),
            include_metadata: config.include_metadata,
            auth,
        };
        Ok(Self { options, door, context: context.clone() })
    }

    /// The same server with another minimum rate for messages.
    #[must_use]
    pub fn with_pace(mut self, pace: Pace) -> Self {
        self.door.pace = pace;
        self
    }

    /// Serves a bound endpoint of a component of this kind.
    #[must_use]
    pub fn start(self, listener: Listener, kind: Kind, handler: Arc<dyn UnaryHandler>) -> Server {
        let service = Arc::new(Service { door: self.door, handler });
        Server::start(listener, self.options, service, kind, &self.context)
    }
}

fn http2(config: &GrpcServerConfig, keepalive: &KeepaliveServerParameters, budget: &Budget) -> Http2Settings {
    let defaults = Http2Settings::for_budget(budget);
    Http2Settings {
        max_concurrent_streams: match config.max_concurrent_streams {
            0 => defaults.max_concurrent_streams,
            most => most,
        },
        keep_alive_interval: Some(keepalive.time.limit().unwrap_or(PING_AFTER)),
        keep_alive_timeout: keepalive.timeout.limit().unwrap_or(defaults.keep_alive_timeout),
        ..defaults
    }
}

impl RawHandler for Service {
    fn handle(
        &self,
        request: Request<Incoming>,
        peer: Option<SocketAddr>,
    ) -> BoxFuture<'_, Response<ResponseBody>> {
        Box::pin(async move {
            let is_grpc = request
                .headers()
                .get(header::CONTENT_TYPE)
                .is_some_and(|value| value.as_bytes().starts_with(GRPC.as_bytes()));
            if request.method() != Method::POST || !is_grpc {
                self.handler.refused("unsupported_content_type");
                return text(http::StatusCode::UNSUPPORTED_MEDIA_TYPE, "this port speaks gRPC\n");
            }
            match self.answer(request, peer).await {
                Ok(message) => reply(&message),
                Err(status) => refuse(&status),
            }
        })
    }
}

impl Service {
    async fn answer(&self, request: Request<Incoming>, peer: Option<SocketAddr>) -> Result<Bytes, Status> {
        let arrival = Instant::now();
        let (head, body) = request.into_parts();
        let path = head.uri.path();
        if !self.handler.has(path) {
            self.handler.refused("unknown_method");
            return Err(Status::new(Code::Unimplemented, format!("there is no method {path} here")));
        }
        let deadline = head
            .headers
            .get("grpc-timeout")
            .and_then(|value| timeout::parse(value.to_str().ok()?))
            .and_then(|timeout| arrival.checked_add(timeout));
        let admitted = self.admit(&head.headers, body, deadline).await;
        let (message, auth) = admitted.map_err(|refusal| {
            self.handler.refused(refusal.reason());
            Status::from(&refusal)
        })?;
        let context = Context {
            deadline,
            metadata: if self.door.include_metadata { head.headers } else { HeaderMap::new() },
            peer,
            auth,
            arrival: Instant::now(),
        };
        let Message { message, compressed, charge } = message;
        let call = Call { message, compressed, charge, context };
        let answer = self.handler.call(head.uri.path(), call);
        match deadline {
            Some(deadline) => tokio::time::timeout_at(deadline.into(), answer).await.unwrap_or_else(|_| {
                self.handler.late();
                Err(Status::new(Code::DeadlineExceeded, "the answer took longer than the client waits"))
            }),
            None => answer.await,
        }
    }

    async fn admit(
        &self,
        headers: &HeaderMap,
        body: Incoming,
        deadline: Option<Instant>,
    ) -> Result<(Message, Vec<(String, String)>), Refusal> {
        let auth = match &self.door.auth {
            Some(authenticator) => match authenticator.authenticate(headers).await {
                Ok(auth) => auth,
                Err(refusal) => {
                    // Some clients, curl among them, lose an answer that comes before they have sent their message.
                    body::drain_stranger(body).await;
                    return Err(refusal.into());
                }
            },
            None => Vec::new(),
        };
        Ok((self.door.read(headers, body, deadline).await?, auth))
    }
}

struct Message {
    message: Bytes,
    compressed: Option<Compressed>,
    charge: Charge,
}

impl Door {
    async fn read(
        &self,
        headers: &HeaderMap,
        body: Incoming,
        deadline: Option<Instant>,
    ) -> Result<Message, Refusal> {
        let encoding = match headers.get("grpc-encoding") {
            Some(name) => Encoding::from_name(name.to_str().unwrap_or("?"))?,
            None => None,
        };
        let limits = Limits {
            budget: &self.budget,
            bytes: self.message_limit.saturating_add(frame::PREFIX),
            key: SIZE_KEY,
            pace: self.pace,
            deadline,
        };
        let admitted = body::read(body, limits, frame::announced).await?;
        let mut charge = admitted.charge;
        let (is_compressed, message) =
            frame::message(admitted.bytes).map_err(|error| Refusal::Malformed(error.to_string()))?;
        if !is_compressed {
            return Ok(Message { message, compressed: None, charge });
        }
        let encoding = encoding.ok_or_else(|| {
            Refusal::Malformed(
                "the message is marked as compressed, but no grpc-encoding says how".to_owned(),
            )
        })?;
        let decompressed = decompress_charged(encoding, &message, self.message_limit, &mut charge)
            .map_err(|error| Refusal::of_decompression(error, SIZE_KEY))?;
        Ok(Message {
            message: decompressed.bytes.into(),
            compressed: decompressed.whole.then_some(Compressed { encoding, bytes: message }),
            charge,
        })
    }
}

/// A successful answer.
#[must_use]
pub fn reply(message: &[u8]) -> Response<ResponseBody> {
    let mut framed = Vec::with_capacity(frame::PREFIX + message.len());
    framed.extend_from_slice(&frame::prefix(false, u32::try_from(message.len()).unwrap_or(u32::MAX)));
    framed.extend_from_slice(message);
    let mut trailers = HeaderMap::new();
    Status::new(Code::Ok, "").write(&mut trailers);
    let body = Full::new(Bytes::from(framed)).with_trailers(std::future::ready(Some(Ok(trailers))));
    with_headers(Response::new(body.boxed_unsync()))
}

/// An answer without a message: the status travels in the headers.
#[must_use]
pub fn refuse(status: &Status) -> Response<ResponseBody> {
    let mut response = with_headers(Response::new(empty()));
    status.write(response.headers_mut());
    response
}

fn with_headers(mut response: Response<ResponseBody>) -> Response<ResponseBody> {
    response.headers_mut().insert(header::CONTENT_TYPE, GRPC);
    response.headers_mut().insert("grpc-accept-encoding", ACCEPTED);
    response
}
