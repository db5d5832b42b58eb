//! What every request passes before its handler: CORS, credentials, the time limit, the common response headers.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header, request::Parts};
use hyper::body::Incoming;
use tokio::time::timeout;

use super::{
    AcceptLimits, Handler, Http2Settings, HttpServerConfig, IncomingRequest, Lifetime, Options, Protocols,
    RawHandler, Server,
    config::{AuthConfig, below, header_map},
    cors::Cors,
    request::Admission,
};
use crate::{
    component::{AuthRefusal, BuildError, ComponentContext, Kind, Listener, ServerAuth},
    compression::Encoding,
    http::{Refusal, ResponseBody, body::Pace, text},
    tls::{ServerTls, alpn},
};

/// How long request headers may take where the configuration sets no limit. Ends idle HTTP/1 connections as well.
const HEADER_CEILING: Duration = Duration::from_secs(300);

/// An HTTP server by the keys of the Collector's `confighttp`, not yet serving.
pub struct HttpServer {
    options: Options,
    door: Door,
    context: ComponentContext,
}

struct Door {
    cors: Option<Cors>,
    auth: Option<Arc<dyn ServerAuth>>,
    response_headers: HeaderMap,
    admission: Arc<Admission>,
    time_limit: Option<Duration>,
}

struct Guarded {
    door: Door,
    handler: Arc<dyn Handler>,
}

impl HttpServer {
    /// A server by this configuration, which stands at `key` below the component (empty for the component itself).
    ///
    /// # Errors
    /// A certificate that cannot be read, or an authenticator that does not run.
    pub fn new(config: &HttpServerConfig, key: &str, context: &ComponentContext) -> Result<Self, BuildError> {
        let tls = match &config.tls {
            Some(tls) => Some(ServerTls::new(tls, &below(key, "tls"), &[alpn::HTTP2, alpn::HTTP1])?),
            None => None,
        };
        let auth = match &config.auth {
            Some(auth) => Some(authenticator(auth, &below(key, "auth.authenticator"), context)?),
            None => None,
        };
        let response_headers = header_map(&config.response_headers)
            .map_err(|problem| BuildError::setting(below(key, "response_headers"), problem))?;
        let header_timeout = match (config.read_header_timeout.limit(), config.idle_timeout.limit()) {
            // The same timer measures both where connections are kept alive.
            (Some(headers), Some(idle)) => headers.max(idle),
            _ => HEADER_CEILING,
        };
        let admission = Admission {
            budget: context.budget.clone(),
            body_limit: config.body_limit(),
            pace: Pace::default(),
            encodings: config
                .compression_algorithms
                .iter()
                .filter_map(|name| Encoding::from_name(name).ok())
                .flat_map(|encoding| match encoding {
                    Some(Encoding::Snappy) => vec![encoding, Some(Encoding::SnappyFramed)],
                    other => vec![other],
                })
                .chain([None])
                .collect(),
            include_metadata: config.include_metadata,
            read_timeout: config.read_timeout.limit(),
        };
        Ok(Self {
            options: Options {
                tls,
                protocols: Protocols::Any,
                http2: Http2Settings::for_budget(&context.budget),
                header_timeout,
                keep_alive: config.keep_alives_enabled,
                accept: AcceptLimits::default(),
                lifetime: Lifetime { idle: config.idle_timeout.limit(), age: None, grace: None },
            },
            door: Door {
                cors: config.cors.as_ref().and_then(Cors::new),
                auth,
                response_headers,
                admission: Arc::new(admission),
                time_limit: config.write_timeout.limit(),
            },
            context: context.clone(),
        })
    }

    /// The same server with another minimum rate for request bodies.
    #[must_use]
    pub fn with_pace(mut self, pace: Pace) -> Self {
        if let Some(admission) = Arc::get_mut(&mut self.door.admission) {
            admission.pace = pace;
        }
        self
    }

    /// Serves a bound endpoint of a component of this kind.
    #[must_use]
    pub fn start(self, listener: Listener, kind: Kind, handler: Arc<dyn Handler>) -> Server {
        let guarded = Arc::new(Guarded { door: self.door, handler });
        Server::start(listener, self.options, guarded, kind, &self.context)
    }
}

/// The authenticator that a server is configured with.
pub(crate) fn authenticator(
    config: &AuthConfig,
    key: &str,
    context: &ComponentContext,
) -> Result<Arc<dyn ServerAuth>, BuildError> {
    let capabilities = context.extension(key, &config.authenticator)?;
    capabilities.server_auth.clone().ok_or_else(|| {
        let message = format!("extension \"{}\" does not check credentials of servers", config.authenticator);
        BuildError::setting(key, message)
    })
}

impl RawHandler for Guarded {
    fn handle(
        &self,
        request: Request<Incoming>,
        peer: Option<SocketAddr>,
    ) -> BoxFuture<'_, Response<ResponseBody>> {
        Box::pin(async move {
            let origin = self.door.cors.as_ref().and_then(|cors| cors.allowed_origin(request.headers()));
            let mut response = self.answer(request, peer).await;
            let headers = response.headers_mut();
            if let Some(cors) = self.door.cors.as_ref().filter(|_| !headers.contains_key(header::VARY)) {
                cors.decorate(origin, headers);
            }
            for (name, value) in &self.door.response_headers {
                headers.insert(name, value.clone());
            }
            response
        })
    }
}

impl Guarded {
    async fn answer(&self, request: Request<Incoming>, peer: Option<SocketAddr>) -> Response<ResponseBody> {
        let (head, body) = request.into_parts();
        if let Some(cors) =
            self.door.cors.as_ref().filter(|_| Cors::is_preflight(&head.method, &head.headers))
        {
            return cors.preflight(&head.headers);
        }
        let auth = match &self.door.auth {
            Some(authenticator) => match authenticator.authenticate(&head.headers).await {
                Ok(auth) => auth,
                Err(refusal) => {
                    self.request(head, body, peer, Vec::new()).drain_stranger().await;
                    return self.not_let_in(refusal);
                }
            },
            None => Vec::new(),
        };
        let handling = self.handler.handle(self.request(head, body, peer, auth));
        match self.door.time_limit {
            Some(limit) => timeout(limit, handling).await.unwrap_or_else(|_| {
                self.handler.refused("write_timeout");
                too_late()
            }),
            None => handling.await,
        }
    }

    fn not_let_in(&self, refusal: AuthRefusal) -> Response<ResponseBody> {
        let challenge = match &refusal {
            AuthRefusal::Wrong { challenge, .. } => {
                Some((header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge)))
            }
            AuthRefusal::Unavailable(_) => Some((header::RETRY_AFTER, HeaderValue::from_static("1"))),
        };
        let refusal = Refusal::from(refusal);
        self.handler.refused(refusal.reason());
        let mut response = text(refusal.status(), refusal.to_string());
        response.headers_mut().extend(challenge);
        response
    }

    fn request(
        &self,
        head: Parts,
        body: Incoming,
        peer: Option<SocketAddr>,
        auth: Vec<(String, String)>,
    ) -> IncomingRequest {
        let admission = Arc::clone(&self.door.admission);
        IncomingRequest::new(head, body, peer, auth, admission, self.door.time_limit)
    }
}

/// The pipeline goes on with what was handed over; only the client is not kept waiting.
fn too_late() -> Response<ResponseBody> {
    let mut response =
        text(StatusCode::SERVICE_UNAVAILABLE, "the answer took longer than write_timeout allows");
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}
