//! The HTTP client that exporters share: pooled connections, compression, deadlines.

mod answer;
mod config;
mod connector;
#[cfg(test)]
mod tests;

pub use answer::{HttpResponse, HttpStream};
pub use config::{CompressionParams, CookiesConfig, HttpClientConfig, uri_problem};

use std::{
    error::Error,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, header};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{
        Client,
        connect::{CaptureConnection, capture_connection},
    },
    rt::{TokioExecutor, TokioTimer},
};
use tokio::sync::Semaphore;

use super::{Rope, RopeBody, body::until, server::header_map, warn_of_plaintext};
use crate::{
    batch::{Compressed, Context},
    component::{BuildError, ClientAuth, ComponentContext},
    compression::{Encoding, compress},
    reply::{Code, Failure},
};
use connector::{Born, Connector};

/// How long a connection is used. The next one goes where the name leads then.
const LONGEST_USE: Duration = Duration::from_secs(300);

/// What Sluice calls itself.
pub const USER_AGENT: &str = concat!("sluice/", env!("CARGO_PKG_VERSION"));

/// Sends requests by the keys of the Collector's `confighttp`. Cloning shares its connections.
#[derive(Clone)]
pub struct HttpClient {
    client: Client<Connector, RopeBody>,
    headers: HeaderMap,
    encoding: Option<Encoding>,
    level: Option<i32>,
    auth: Option<Arc<dyn ClientAuth>>,
    connections: Option<Arc<Semaphore>>,
    longest_use: Duration,
}

/// A request that sends something.
#[derive(Clone, Debug)]
pub struct Post<'a> {
    /// Where to.
    pub uri: &'a Uri,
    /// What the content is.
    pub content_type: &'static str,
    /// The content, in parts.
    pub chunks: Vec<Bytes>,
    /// The whole content as it came, to be sent if the client uses the same encoding.
    pub compressed: Option<&'a Compressed>,
    /// When waiting for the answer ends.
    pub deadline: Option<Instant>,
    /// What is known about the sender of the content, for credentials that depend on it.
    pub context: Option<&'a Context>,
}

/// A request that carries no telemetry, such as for a token or for keys.
#[derive(Debug)]
pub struct Fetch<'a> {
    /// How.
    pub method: Method,
    /// Where from.
    pub uri: &'a Uri,
    /// Headers besides those of the configuration.
    pub headers: HeaderMap,
    /// What is sent.
    pub body: Bytes,
    /// The most that is read of the answer, in bytes; of a larger one the body is left empty.
    pub limit: usize,
    /// When waiting for the answer ends.
    pub deadline: Instant,
}

impl HttpClient {
    /// A client by this configuration, whose keys stand at the component's own level. Connects when first needed.
    ///
    /// # Errors
    /// A certificate that cannot be read, or an authenticator that does not run.
    pub fn new(config: &HttpClientConfig, context: &ComponentContext) -> Result<Self, BuildError> {
        let mut headers =
            header_map(&config.headers).map_err(|problem| BuildError::setting("headers", problem))?;
        headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static(USER_AGENT));
        let auth = match &config.auth {
            Some(auth) => Some(auth.resolve("auth.authenticator", context)?),
            None => None,
        };
        if let (Some(_), Ok(uri)) = (&auth, config.endpoint.parse::<Uri>())
            && uri.scheme_str() == Some("http")
        {
            warn_of_plaintext(context, uri.host().unwrap_or_default());
        }
        let most_idle = match (config.max_idle_conns_per_host, config.max_idle_conns) {
            (_, _) if config.disable_keep_alives => 0,
            (0, 0) => usize::MAX,
            (0, most) | (most, 0) => most,
            (one, other) => one.min(other),
        };
        let mut builder = Client::builder(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(config.idle_conn_timeout.limit())
            .pool_max_idle_per_host(most_idle)
            .http2_keep_alive_interval(config.http2_read_idle_timeout.limit());
        if let Some(timeout) = config.http2_ping_timeout.limit() {
            builder.http2_keep_alive_timeout(timeout);
        }
        let (encoding, level) = config.compression()?;
        Ok(Self {
            client: builder.build(Connector::new(config)?),
            headers,
            encoding,
            level,
            auth,
            connections: (config.max_conns_per_host > 0)
                .then(|| Arc::new(Semaphore::new(config.max_conns_per_host.min(Semaphore::MAX_PERMITS)))),
            longest_use: LONGEST_USE,
        })
    }

    /// Sends content and returns the answer, whatever its status; see [`HttpResponse::failure`].
    ///
    /// # Errors
    /// Retryable if no connection could be made or no answer came in time.
    pub async fn post(&self, post: Post<'_>) -> Result<HttpResponse, Failure> {
        let place = place(post.uri);
        let deadline = post.deadline;
        let exchange = async {
            // Closed never, since nothing closes it.
            let _permit = match &self.connections {
                Some(connections) => connections.acquire().await.ok(),
                None => None,
            };
            let mut request = self.request(post, &place).await?;
            let connection = capture_connection(&mut request);
            let response = self.client.request(request).await.map_err(|error| {
                Failure::retryable(format!("sending to {place} failed: {}", chain(&error)))
                    .with_code(Code::Unavailable)
            })?;
            self.retire(&connection);
            HttpResponse::read(response, &place, answer::BODY_LIMIT).await
        };
        tokio::select! {
            result = exchange => result,
            () = until(deadline) => Err(late(&place)),
        }
    }

    /// Has a connection that was used for long enough not be used again.
    fn retire(&self, connection: &CaptureConnection) {
        if let Some(connected) = &*connection.connection_metadata() {
            let mut extensions = http::Extensions::new();
            connected.get_extras(&mut extensions);
            if extensions.get::<Born>().is_some_and(|Born(since)| since.elapsed() >= self.longest_use) {
                connected.poison();
            }
        }
    }

    /// The same with another time until connections are replaced.
    #[cfg(test)]
    fn with_longest_use(mut self, longest_use: Duration) -> Self {
        self.longest_use = longest_use;
        self
    }

    /// Sends a request without credentials or compression and returns the answer, whatever its status. Redirections
    /// are not followed.
    ///
    /// # Errors
    /// Retryable if no connection could be made or no answer came in time.
    pub async fn fetch(&self, fetch: Fetch<'_>) -> Result<HttpResponse, Failure> {
        let place = place(fetch.uri);
        let (limit, deadline) = (fetch.limit, fetch.deadline);
        let exchange = async { HttpResponse::read(self.ask(fetch, &place).await?, &place, limit).await };
        tokio::select! {
            result = exchange => result,
            () = until(Some(deadline)) => Err(late(&place)),
        }
    }

    /// As [`HttpClient::fetch`], and returns the answer once its headers are there. Its body arrives as long as it likes.
    ///
    /// # Errors
    /// Retryable if no connection could be made or no answer began in time.
    pub async fn open(&self, fetch: Fetch<'_>) -> Result<HttpStream, Failure> {
        let place = place(fetch.uri);
        let deadline = fetch.deadline;
        tokio::select! {
            response = self.ask(fetch, &place) => Ok(HttpStream::new(response?, &place)),
            () = until(Some(deadline)) => Err(late(&place)),
        }
    }

    async fn ask(&self, fetch: Fetch<'_>, place: &str) -> Result<Response<Incoming>, Failure> {
        let mut request = Request::new(RopeBody::new(Rope::new([fetch.body])));
        *request.method_mut() = fetch.method;
        *request.uri_mut() = fetch.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request.headers_mut().extend(fetch.headers);
        self.client.request(request).await.map_err(|error| {
            Failure::retryable(format!("asking {place} failed: {}", chain(&error)))
                .with_code(Code::Unavailable)
        })
    }

    async fn request(&self, post: Post<'_>, place: &str) -> Result<Request<RopeBody>, Failure> {
        let rope = self.encode(post.chunks, post.compressed)?;
        let mut request = Request::new(RopeBody::new(rope));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = post.uri.clone();
        let headers = request.headers_mut();
        *headers = self.headers.clone();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(post.content_type));
        if let Some(encoding) = self.encoding {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding.name()));
        }
        if let Some(auth) = &self.auth {
            let unknown = Context::default();
            let context = post.context.unwrap_or(&unknown);
            auth.authorise(headers, context).await.map_err(|failure| Failure {
                message: format!("no credentials for {place}: {}", failure.message),
                ..failure
            })?;
        }
        Ok(request)
    }

    fn encode(&self, chunks: Vec<Bytes>, compressed: Option<&Compressed>) -> Result<Rope, Failure> {
        match (self.encoding, compressed) {
            (None, _) => Ok(Rope::new(chunks)),
            (Some(encoding), Some(kept)) if kept.encoding == encoding => Ok(Rope::new([kept.bytes.clone()])),
            (Some(encoding), _) => {
                let compressed = compress(encoding, self.level, &chunks)
                    .map_err(|error| Failure::permanent(error.to_string()).with_code(Code::Internal))?;
                Ok(Rope::new([Bytes::from(compressed)]))
            }
        }
    }
}

fn late(place: &str) -> Failure {
    Failure::retryable(format!("{place} did not answer in time")).with_code(Code::DeadlineExceeded)
}

/// A URI for messages: without what may be secret in it (user, password, query).
fn place(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or("http");
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{}", uri.path())
}

/// An error with what caused it.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        // What dialling says is complete in itself.
        if let Some(dialling) = innermost.downcast_ref::<super::dial::DialError>() {
            return dialling.to_string();
        }
        innermost = source;
    }
    let (outer, inner) = (error.to_string(), innermost.to_string());
    if innermost.is::<super::dial::DialError>() || outer.contains(&inner) {
        inner
    } else {
        format!("{outer}: {inner}")
    }
}
