//! The applications of the demo: they know tracing, and nothing of the kernel.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use tokio::{net::TcpListener, signal::unix::SignalKind, task::JoinSet};

use super::tracer::{Span, Tracer};
use crate::{
    arguments::{ActorOptions, ActorRole},
    output::{CommandError, complain},
};

/// The most of a body that is read.
const MAX_BODY: usize = 64 << 10;
/// How long the slow page takes.
const SLOW: Duration = Duration::from_millis(250);
/// What the client asks for, in turns.
const PATHS: [&str; 4] = ["/articles/1", "/search?q=kernel", "/missing", "/broken"];

type HttpClient = Client<HttpConnector, Full<Bytes>>;

pub(crate) fn act(options: &ActorOptions) -> Result<(), CommandError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::io("cannot start", error))?
        .block_on(async {
            match options.role {
                ActorRole::Client => ask(options).await,
                ActorRole::Proxy | ActorRole::Server => serve(options).await,
            }
        })
}

fn http_client() -> HttpClient {
    Client::builder(TokioExecutor::new()).build_http()
}

async fn ask(options: &ActorOptions) -> Result<(), CommandError> {
    let client = http_client();
    let tracer = Tracer::new("demo-client", options.otlp, client.clone());
    for path in PATHS.iter().cycle().take(options.requests) {
        let span = Span::client(None, format!("GET {}", before_query(path)));
        let (status, _) = send(&client, options.upstream, path, &span).await.map_err(CommandError::Other)?;
        tracer.end(span, status.as_u16()).await.map_err(CommandError::Other)?;
    }
    Ok(())
}

async fn serve(options: &ActorOptions) -> Result<(), CommandError> {
    let listener = TcpListener::bind(("127.0.0.1", options.listen))
        .await
        .map_err(|error| CommandError::io(format!("cannot listen on 127.0.0.1:{}", options.listen), error))?;
    let mut stop = tokio::signal::unix::signal(SignalKind::terminate())
        .map_err(|error| CommandError::io("cannot listen for signals", error))?;
    let application = Application::new(options);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = stop.recv() => return Ok(()),
            accepted = listener.accept() => {
                let (stream, _) = accepted.map_err(|error| CommandError::io("cannot accept", error))?;
                let application = application.clone();
                let service = service_fn(move |request| {
                    let application = application.clone();
                    async move { Ok::<_, Infallible>(application.answer(request).await) }
                });
                connections.spawn(hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// The proxy, if there is an upstream, or the server.
#[derive(Clone)]
struct Application {
    client: HttpClient,
    tracer: Tracer,
    upstream: Option<u16>,
}

impl Application {
    fn new(options: &ActorOptions) -> Self {
        let client = http_client();
        let is_proxy = options.role == ActorRole::Proxy;
        let service = if is_proxy { "demo-proxy" } else { "demo-server" };
        let tracer = Tracer::new(service, options.otlp, client.clone());
        Self { client, tracer, upstream: is_proxy.then_some(options.upstream) }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let span = Span::server(request.headers(), format!("GET {}", before_query(&path)));
        let (status, body) = match self.upstream {
            Some(upstream) => self.forward(upstream, &path, &span).await,
            None => page(&path).await,
        };
        self.end(span, status).await;
        let mut response = Response::new(Full::from(body));
        *response.status_mut() = status;
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
        response
    }

    async fn forward(&self, upstream: u16, path: &str, span: &Span) -> (StatusCode, Bytes) {
        let inner = Span::client(Some(span), format!("GET {}", before_query(path)));
        match send(&self.client, upstream, path, &inner).await {
            Ok((status, body)) => {
                self.end(inner, status).await;
                (status, body)
            }
            Err(error) => (StatusCode::BAD_GATEWAY, error.into()),
        }
    }

    async fn end(&self, span: Span, status: StatusCode) {
        if let Err(error) = self.tracer.end(span, status.as_u16()).await {
            complain(&format!("cannot send a span: {error}\n"));
        }
    }
}

async fn page(path: &str) -> (StatusCode, Bytes) {
    match before_query(path) {
        "/missing" => (StatusCode::NOT_FOUND, Bytes::from_static(b"{\"error\":\"no such article\"}")),
        "/broken" => (
            StatusCode::INTERNAL_SERVER_ERROR,
            Bytes::from_static(b"{\"error\":\"the database is out of connections\"}"),
        ),
        "/search" => {
            tokio::time::sleep(SLOW).await;
            (StatusCode::OK, Bytes::from_static(b"{\"hits\":42}"))
        }
        _ => (StatusCode::OK, Bytes::from_static(b"{\"title\":\"On sluices\"}")),
    }
}

async fn send(
    client: &HttpClient,
    port: u16,
    path: &str,
    span: &Span,
) -> Result<(StatusCode, Bytes), String> {
    let mut request = Request::get(format!("http://127.0.0.1:{port}{path}"))
        .header(header::AUTHORIZATION, "Bearer demo-secret-that-no-output-shows")
        .body(Full::default())
        .map_err(|error| error.to_string())?;
    span.inject(request.headers_mut());
    let response = client.request(request).await.map_err(|error| error.to_string())?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_BODY);
    let mut body = std::pin::pin!(body);
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| error.to_string())?;
        bytes.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
    }
    Ok((status, bytes.into()))
}

fn before_query(path: &str) -> &str {
    path.split('?').next().unwrap_or(path)
}
