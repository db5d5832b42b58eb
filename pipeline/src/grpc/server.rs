//! The server's side of calls: unary ones, streams of messages, and calls that are relayed.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;

use super::{
    GrpcServerConfig, KeepaliveServerParameters, Status, frame, relay,
    stream::{MessageLimits, Messages},
    timeout,
};
use crate::{
    batch::{Compressed, Context},
    budget::{Budget, Charge},
    component::{BuildError, ComponentContext, Kind, Listener, RelayBody, ServerAuth},
    compression::{Encoding, decompress_charged},
    http::{
        Refusal, ResponseBody,
        body::{self, Limits, Pace},
        empty,
        server::{
            AcceptLimits, Http2Settings, Lifetime, Options, Protocols, RawHandler, Server, authenticator,
            below,
        },
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
/// The smallest frame that HTTP/2 allows to ask for, in bytes.
const SMALLEST_FRAME: u32 = 16 << 10;
/// How long a connection is silent before it is pinged, unless configured: gRPC's own default.
const PING_AFTER: std::time::Duration = std::time::Duration::from_secs(7200);

/// How a method takes its calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// One message, one answer: [`Handler::call`].
    Unary,
    /// Messages as they arrive, one answer: [`Handler::stream`].
    Streaming,
    /// Bytes as they arrive, both ways: [`Handler::relay`].
    Relayed,
}

/// Answers unary calls only. Called concurrently; dropped when the client leaves.
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

impl<H: UnaryHandler> Handler for H {
    fn method(&self, path: &str) -> Option<Method> {
        self.has(path).then_some(Method::Unary)
    }

    fn call<'a>(&'a self, path: &'a str, call: Call) -> BoxFuture<'a, Result<Bytes, Status>> {
        UnaryHandler::call(self, path, call)
    }

    fn refused(&self, reason: &'static str) {
        UnaryHandler::refused(self, reason);
    }

    fn late(&self) {
        UnaryHandler::late(self);
    }
}

/// Answers calls of all kinds. Called concurrently; dropped when the client leaves.
pub trait Handler: Send + Sync + 'static {
    /// How the method at this path, `/package.Service/Method`, takes its calls; `None` if there is no such method.
    fn method(&self, path: &str) -> Option<Method>;

    /// Answers a unary call.
    fn call<'a>(&'a self, path: &'a str, call: Call) -> BoxFuture<'a, Result<Bytes, Status>>;

    /// Answers a stream of messages. It may answer before it has read the last.
    fn stream<'a>(&'a self, path: &'a str, _call: StreamCall) -> BoxFuture<'a, Result<Bytes, Status>> {
        let status = Status::new(Code::Unimplemented, format!("{path} takes no stream"));
        Box::pin(std::future::ready(Err(status)))
    }

    /// Passes a call on. Its deadline is the back-end's to keep.
    fn relay(&self, request: Request<RelayBody>) -> BoxFuture<'_, Result<Response<RelayBody>, Status>> {
        let status = Status::new(Code::Unimplemented, format!("{} is not relayed", request.uri().path()));
        Box::pin(std::future::ready(Err(status)))
    }

    /// A call was refused before it was one; `reason` is [`Refusal::reason`].
    fn refused(&self, reason: &'static str);

    /// The answer took longer than the client waits; what was handed over goes on.
    fn late(&self);
}

/// A call with a stream of messages.
pub struct StreamCall {
    /// Its messages.
    pub messages: Messages<Incoming>,
    /// What is known about the client. It has no deadline: batches of a stream outlive no wait of its client's.
    pub context: Context,
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
    handler: Arc<dyn Handler>,
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
            accept: AcceptLimits::default(),
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

    /// The same server with other bounds on what is read ahead of a stream, and of all streams of a connection, in bytes.
    /// What a client has sent and the server has not read is lost if the process is.
    #[must_use]
    pub fn with_windows(mut self, stream: u32, connection: u32) -> Self {
        let http2 = &mut self.options.http2;
        http2.stream_window = stream.min(http2.stream_window);
        http2.connection_window = connection.min(http2.connection_window);
        http2.max_frame_size = http2.max_frame_size.min((stream / 4).max(SMALLEST_FRAME));
        self
    }

    /// The same server, which refuses new connections beyond these limits.
    #[must_use]
    pub fn with_accept_limits(mut self, limits: AcceptLimits) -> Self {
        self.options.accept = limits;
        self
    }

    /// The same server with another minimum rate for messages.
    #[must_use]
    pub fn with_pace(mut self, pace: Pace) -> Self {
        self.door.pace = pace;
        self
    }

    /// Serves a bound endpoint of a component of this kind.
    #[must_use]
    pub fn start(self, listener: Listener, kind: Kind, handler: Arc<dyn Handler>) -> Server {
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
            if request.method() != http::Method::POST || !is_grpc {
                self.handler.refused("unsupported_content_type");
                return text(http::StatusCode::UNSUPPORTED_MEDIA_TYPE, "this port speaks gRPC\n");
            }
            let answer = match self.handler.method(request.uri().path()) {
                Some(Method::Unary) => self.answer(request, peer).await,
                // Boxed, or each unary call would take the memory of a stream.
                Some(Method::Streaming) => Box::pin(self.stream(request, peer)).await,
                Some(Method::Relayed) => return Box::pin(self.relay(request)).await,
                None => {
                    self.handler.refused("unknown_method");
                    let message = format!("there is no method {} here", request.uri().path());
                    Err(Status::new(Code::Unimplemented, message))
                }
            };
            match answer {
                Ok(message) => reply(&message),
                Err(status) => refuse(&status),
            }
        })
    }
}

impl Service {
    async fn answer(&self, request: Request<Incoming>, peer: Option<SocketAddr>) -> Result<Bytes, Status> {
        let (head, body) = request.into_parts();
        let deadline = deadline(&head.headers);
        let admitted = self.admit(&head.headers, body, deadline).await;
        let (message, auth) = admitted.map_err(|refusal| self.refuse(&refusal))?;
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
        let (body, auth) = self.door.let_in(headers, body).await?;
        Ok((self.door.read(headers, body, deadline).await?, auth))
    }

    async fn stream(&self, request: Request<Incoming>, peer: Option<SocketAddr>) -> Result<Bytes, Status> {
        let (head, body) = request.into_parts();
        let admitted = self.door.let_in(&head.headers, body).await;
        let opened = admitted.and_then(|(body, auth)| {
            let limits = MessageLimits {
                budget: self.door.budget.clone(),
                bytes: self.door.message_limit,
                key: SIZE_KEY,
                pace: self.door.pace,
                encoding: encoding(&head.headers)?,
                deadline: deadline(&head.headers),
            };
            Ok((Messages::new(body, limits), auth))
        });
        let (messages, auth) = opened.map_err(|refusal| self.refuse(&refusal))?;
        let context = Context {
            deadline: None,
            metadata: if self.door.include_metadata { head.headers } else { HeaderMap::new() },
            peer,
            auth,
            arrival: Instant::now(),
        };
        self.handler.stream(head.uri.path(), StreamCall { messages, context }).await
    }

    async fn relay(&self, request: Request<Incoming>) -> Response<ResponseBody> {
        let (head, body) = request.into_parts();
        let body = match self.door.let_in(&head.headers, body).await {
            Ok((body, _)) => body.map_err(|error| -> RelayError { error.into() }).boxed_unsync(),
            Err(refusal) => return refuse(&self.refuse(&refusal)),
        };
        match self.handler.relay(Request::from_parts(head, body)).await {
            Ok(answer) => relay::passed(answer),
            Err(status) => refuse(&status),
        }
    }

    fn refuse(&self, refusal: &Refusal) -> Status {
        self.handler.refused(refusal.reason());
        Status::from(refusal)
    }
}

type RelayError = Box<dyn std::error::Error + Send + Sync>;

/// When the client stops waiting.
fn deadline(headers: &HeaderMap) -> Option<Instant> {
    let timeout = timeout::parse(headers.get("grpc-timeout")?.to_str().ok()?)?;
    Instant::now().checked_add(timeout)
}

/// What messages of a call are compressed with, if they are.
fn encoding(headers: &HeaderMap) -> Result<Option<Encoding>, Refusal> {
    match headers.get("grpc-encoding") {
        Some(name) => Ok(Encoding::from_name(name.to_str().unwrap_or("?"))?),
        None => Ok(None),
    }
}

struct Message {
    message: Bytes,
    compressed: Option<Compressed>,
    charge: Charge,
}

impl Door {
    /// What the authenticator says about the client, with the body that is still to be read.
    async fn let_in(
        &self,
        headers: &HeaderMap,
        body: Incoming,
    ) -> Result<(Incoming, Vec<(String, String)>), Refusal> {
        let Some(authenticator) = &self.auth else { return Ok((body, Vec::new())) };
        match authenticator.authenticate(headers).await {
            Ok(auth) => Ok((body, auth)),
            Err(refusal) => {
                // Some clients, curl among them, lose an answer that comes before they have sent their message.
                body::drain_stranger(body).await;
                Err(refusal.into())
            }
        }
    }

    async fn read(
        &self,
        headers: &HeaderMap,
        body: Incoming,
        deadline: Option<Instant>,
    ) -> Result<Message, Refusal> {
        let encoding = encoding(headers)?;
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
