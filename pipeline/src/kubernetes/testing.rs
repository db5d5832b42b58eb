//! An API server for tests: list and watch over TLS, and everything that a server should not do.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle};

use crate::{
    component::BuildError,
    tls::{ServerTls, ServerTlsConfig, alpn},
};

/// The server. It ends when it is dropped.
pub struct ApiServer {
    /// Where it listens.
    pub address: SocketAddr,
    state: Arc<State>,
    task: JoinHandle<()>,
}

/// How it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// As an API server does.
    Good,
    /// With this status.
    Refuses(u16),
    /// With this text.
    Says(String),
    /// Not at all.
    IsSilent,
}

/// A request that it got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Path and query.
    pub path: String,
    /// The header `authorization`.
    pub authorization: String,
}

#[derive(Default)]
struct State(Mutex<Inner>);

struct Inner {
    behaviour: Behaviour,
    version: u64,
    objects: BTreeMap<String, Value>,
    /// What those who watch were told, by version.
    told: Vec<(u64, String)>,
    asked: Vec<Asked>,
    watchers: Vec<mpsc::Sender<Bytes>>,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            behaviour: Behaviour::Good,
            version: 1,
            objects: BTreeMap::new(),
            told: Vec::new(),
            asked: Vec::new(),
            watchers: Vec::new(),
        }
    }
}

type AnyBody = UnsyncBoxBody<Bytes, Infallible>;

impl ApiServer {
    /// Serves on loopback with this certificate and key, as PEM.
    ///
    /// # Errors
    /// A certificate that cannot be used, or no free port.
    pub async fn start(certificate: &str, key: &str) -> Result<Self, BuildError> {
        let config = ServerTlsConfig {
            cert_pem: Some(certificate.to_owned()),
            key_pem: Some(key.to_owned().into()),
            ..ServerTlsConfig::default()
        };
        let tls = ServerTls::new(&config, "tls", &[alpn::HTTP2])?;
        let failed = |error: std::io::Error| BuildError::Other(format!("cannot listen: {error}"));
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let state = Arc::new(State::default());
        let served = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, state) = (tls.clone(), Arc::clone(&served));
                tokio::spawn(async move {
                    let Ok(stream) = tls.accept(stream).await else { return };
                    let service = service_fn(move |request| answer(Arc::clone(&state), request));
                    let builder = http2::Builder::new(TokioExecutor::new());
                    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Ok(Self { address, state, task })
    }

    /// How it answers from now on. Watches that run go on.
    pub fn behave(&self, behaviour: Behaviour) {
        self.state.inner().behaviour = behaviour;
    }

    /// Puts an object there, and tells those who watch.
    pub fn set(&self, name: &str, mut object: Value) {
        let mut inner = self.state.inner();
        inner.version += 1;
        object["metadata"]["name"] = name.into();
        object["metadata"]["namespace"] = "default".into();
        object["metadata"]["resourceVersion"] = inner.version.to_string().into();
        let kind = if inner.objects.contains_key(name) { "MODIFIED" } else { "ADDED" };
        inner.objects.insert(name.to_owned(), object.clone());
        inner.happen(json!({"type": kind, "object": object}).to_string());
    }

    /// Takes an object away, and tells those who watch.
    pub fn remove(&self, name: &str) {
        let mut inner = self.state.inner();
        inner.version += 1;
        if let Some(object) = inner.objects.remove(name) {
            inner.happen(json!({"type": "DELETED", "object": object}).to_string());
        }
    }

    /// Takes an object away while nobody hears of it.
    pub fn forget(&self, name: &str) {
        self.state.inner().objects.remove(name);
    }

    /// Sends a line to those who watch.
    pub fn say(&self, line: &str) {
        self.state.inner().tell(line);
    }

    /// Ends all watches, as a server does after their time.
    pub fn end_watches(&self) {
        self.state.inner().watchers.clear();
    }

    /// Whether somebody watches.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        let mut inner = self.state.inner();
        inner.watchers.retain(|watcher| !watcher.is_closed());
        !inner.watchers.is_empty()
    }

    /// What it was asked, in order.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.state.inner().asked.clone()
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl State {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Tells those who watch, and those who will from an earlier version on.
    fn happen(&mut self, line: String) {
        self.tell(&line);
        self.told.push((self.version, line));
    }

    fn tell(&mut self, line: &str) {
        let line = Bytes::from(format!("{line}\n"));
        self.watchers.retain(|watcher| watcher.try_send(line.clone()).is_ok());
    }

    fn list(&self, query: &BTreeMap<String, String>) -> Value {
        let value = |name: &str| query.get(name).map_or("", String::as_str);
        let (label, wanted) = value("labelSelector").split_once('=').unwrap_or_default();
        let selected = self.objects.values().filter(|object| {
            label.is_empty() || object["metadata"]["labels"][label].as_str().is_some_and(|it| it == wanted)
        });
        let begin: usize = value("continue").parse().unwrap_or_default();
        let most: usize = value("limit").parse().unwrap_or(usize::MAX);
        let all: Vec<&Value> = selected.collect();
        let page: Vec<&&Value> = all.iter().skip(begin).take(most).collect();
        let next = begin + page.len();
        let continues = if next < all.len() { next.to_string() } else { String::new() };
        json!({
            "kind": "List",
            "metadata": {"resourceVersion": self.version.to_string(), "continue": continues},
            "items": page,
        })
    }
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Result<Response<AnyBody>, Infallible> {
    let path = request.uri().path_and_query().map_or_else(String::new, ToString::to_string);
    let authorization = request.headers().get(header::AUTHORIZATION);
    let authorization = authorization.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let query: BTreeMap<String, String> = request
        .uri()
        .query()
        .unwrap_or_default()
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.replace("%3D", "=").replace("%2C", ",")))
        .collect();
    let behaviour = {
        let mut inner = state.inner();
        inner.asked.push(Asked { path, authorization });
        inner.behaviour.clone()
    };
    let status = match behaviour {
        Behaviour::IsSilent => return std::future::pending().await,
        Behaviour::Says(text) => return Ok(Response::new(Full::new(text.into()).boxed_unsync())),
        Behaviour::Refuses(status) => status,
        Behaviour::Good if query.contains_key("watch") => {
            return Ok(watch(&state, &query));
        }
        Behaviour::Good => {
            let list = state.inner().list(&query).to_string();
            return Ok(Response::new(Full::new(list.into()).boxed_unsync()));
        }
    };
    let message = json!({"kind": "Status", "code": status, "message": "not now"}).to_string();
    let mut response = Response::new(Full::new(message.into()).boxed_unsync());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    Ok(response)
}

fn watch(state: &State, query: &BTreeMap<String, String>) -> Response<AnyBody> {
    let (sender, receiver) = mpsc::channel::<Bytes>(1024);
    let mut inner = state.inner();
    let from: u64 = query.get("resourceVersion").and_then(|version| version.parse().ok()).unwrap_or_default();
    for (_, line) in inner.told.iter().filter(|(version, _)| *version > from) {
        // More than fit are more than any test tells.
        let _ = sender.try_send(Bytes::from(format!("{line}\n")));
    }
    inner.watchers.push(sender);
    drop(inner);
    let frames = stream::unfold(receiver, |mut receiver| async move {
        Some((Ok(Frame::data(receiver.recv().await?)), receiver))
    });
    Response::new(StreamBody::new(frames).boxed_unsync())
}
