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
use tokio::{
    net::TcpListener,
    sync::mpsc,
    task::{JoinHandle, JoinSet},
};

use crate::{
    component::BuildError,
    tls::{ServerTls, ServerTlsConfig, alpn},
};

/// The server. It ends when it is dropped.
pub struct ApiServer {
    /// Where it listens.
    pub address: SocketAddr,
    state: Arc<State>,
    tls: ServerTls,
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
    /// With a list that does not end.
    IsEndless,
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
    /// Resources, by their plural names, about which it answers otherwise.
    exceptions: BTreeMap<String, Behaviour>,
    version: u64,
    objects: BTreeMap<Key, Value>,
    /// What those who watch were told, by version.
    told: Vec<(u64, Key, String)>,
    asked: Vec<Asked>,
    watchers: Vec<Watcher>,
}

/// Plural name, namespace and name.
type Key = (String, String, String);

struct Watcher {
    asked: Wanted,
    lines: mpsc::Sender<Bytes>,
}

/// What a path and its query ask for.
#[derive(Clone, Debug)]
struct Wanted {
    plural: String,
    /// Empty means all.
    namespace: String,
    /// Empty means all.
    name: String,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            behaviour: Behaviour::Good,
            exceptions: BTreeMap::new(),
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
        let task = tokio::spawn(serve(listener, tls.clone(), Arc::clone(&state)));
        Ok(Self { address, state, tls, task })
    }

    /// Ends all connections and listens no more.
    pub fn stop(&self) {
        self.task.abort();
        self.end_watches();
    }

    /// Serves again at the same address what it had.
    ///
    /// # Errors
    /// The address is another's now.
    pub async fn start_again(&mut self) -> Result<(), BuildError> {
        let failed = |error: std::io::Error| BuildError::Other(format!("cannot listen: {error}"));
        // The socket is closed once the task has ended.
        let _ = (&mut self.task).await;
        let listener = TcpListener::bind(self.address).await.map_err(failed)?;
        self.task = tokio::spawn(serve(listener, self.tls.clone(), Arc::clone(&self.state)));
        Ok(())
    }

    /// How it answers from now on. Watches that run go on.
    pub fn behave(&self, behaviour: Behaviour) {
        self.state.inner().behaviour = behaviour;
    }

    /// How it answers about a resource, named by its plural, from now on.
    pub fn behave_about(&self, plural: &str, behaviour: Behaviour) {
        self.state.inner().exceptions.insert(plural.to_owned(), behaviour);
    }

    /// Puts a pod there, and tells those who watch.
    pub fn set(&self, name: &str, object: Value) {
        self.set_of("pods", "default", name, object);
    }

    /// Puts an object there, and tells those who watch such.
    pub fn set_of(&self, plural: &str, namespace: &str, name: &str, mut object: Value) {
        let mut inner = self.state.inner();
        inner.version += 1;
        object["metadata"]["name"] = name.into();
        object["metadata"]["namespace"] = namespace.into();
        object["metadata"]["resourceVersion"] = inner.version.to_string().into();
        let key = (plural.to_owned(), namespace.to_owned(), name.to_owned());
        let kind = if inner.objects.contains_key(&key) { "MODIFIED" } else { "ADDED" };
        inner.objects.insert(key.clone(), object.clone());
        inner.happen(key, json!({"type": kind, "object": object}).to_string());
    }

    /// Takes a pod away, and tells those who watch.
    pub fn remove(&self, name: &str) {
        self.remove_of("pods", "default", name);
    }

    /// Takes an object away, and tells those who watch such.
    pub fn remove_of(&self, plural: &str, namespace: &str, name: &str) {
        let mut inner = self.state.inner();
        inner.version += 1;
        let key = (plural.to_owned(), namespace.to_owned(), name.to_owned());
        if let Some(object) = inner.objects.remove(&key) {
            inner.happen(key, json!({"type": "DELETED", "object": object}).to_string());
        }
    }

    /// Takes a pod away while nobody hears of it.
    pub fn forget(&self, name: &str) {
        self.forget_of("pods", "default", name);
    }

    /// Takes an object away while nobody hears of it.
    pub fn forget_of(&self, plural: &str, namespace: &str, name: &str) {
        let key = (plural.to_owned(), namespace.to_owned(), name.to_owned());
        self.state.inner().objects.remove(&key);
    }

    /// Sends a line to those who watch, whatever they watch.
    pub fn say(&self, line: &str) {
        self.state.inner().tell(line, |_| true);
    }

    /// Ends all watches, as a server does after their time.
    pub fn end_watches(&self) {
        self.state.inner().watchers.clear();
    }

    /// Whether somebody watches.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        let mut inner = self.state.inner();
        inner.watchers.retain(|watcher| !watcher.lines.is_closed());
        !inner.watchers.is_empty()
    }

    /// Whether somebody watches such.
    #[must_use]
    pub fn is_watched_for(&self, plural: &str) -> bool {
        let inner = self.state.inner();
        inner.watchers.iter().any(|watcher| watcher.asked.plural == plural && !watcher.lines.is_closed())
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
    fn happen(&mut self, key: Key, line: String) {
        self.tell(&line, |asked| asked.means(&key));
        self.told.push((self.version, key, line));
    }

    fn tell(&mut self, line: &str, means: impl Fn(&Wanted) -> bool) {
        let line = Bytes::from(format!("{line}\n"));
        self.watchers
            .retain(|watcher| !means(&watcher.asked) || watcher.lines.try_send(line.clone()).is_ok());
    }

    fn list(&self, wanted: &Wanted, query: &BTreeMap<String, String>) -> Value {
        let value = |name: &str| query.get(name).map_or("", String::as_str);
        let (label, text) = value("labelSelector").split_once('=').unwrap_or_default();
        let of_kind = self.objects.iter().filter(|(key, _)| wanted.means(key)).map(|(_, object)| object);
        let selected = of_kind.filter(|object| {
            label.is_empty() || object["metadata"]["labels"][label].as_str().is_some_and(|it| it == text)
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

impl Wanted {
    fn of(path: &str, query: &BTreeMap<String, String>) -> Self {
        let parts: Vec<&str> = path.split('?').next().unwrap_or_default().split('/').collect();
        let namespace = match parts[..] {
            [.., "namespaces", namespace, _] => namespace,
            _ => "",
        };
        let field = query.get("fieldSelector").map_or("", String::as_str);
        Self {
            plural: parts.last().map_or_else(String::new, |plural| (*plural).to_owned()),
            namespace: namespace.to_owned(),
            name: field.strip_prefix("metadata.name=").unwrap_or_default().to_owned(),
        }
    }

    fn means(&self, (plural, namespace, name): &Key) -> bool {
        let is = |wanted: &str, it: &str| wanted.is_empty() || wanted == it;
        self.plural == *plural && is(&self.namespace, namespace) && is(&self.name, name)
    }
}

async fn serve(listener: TcpListener, tls: ServerTls, state: Arc<State>) {
    // They end with this.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, state) = (tls.clone(), Arc::clone(&state));
        connections.spawn(async move {
            let Ok(stream) = tls.accept(stream).await else { return };
            let service = service_fn(move |request| answer(Arc::clone(&state), request));
            let builder = http2::Builder::new(TokioExecutor::new());
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        });
        while connections.try_join_next().is_some() {}
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
    let wanted = Wanted::of(&path, &query);
    let behaviour = {
        let mut inner = state.inner();
        inner.asked.push(Asked { path, authorization });
        inner.exceptions.get(&wanted.plural).unwrap_or(&inner.behaviour).clone()
    };
    let status = match behaviour {
        Behaviour::IsSilent => return std::future::pending().await,
        Behaviour::Says(text) => return Ok(Response::new(Full::new(text.into()).boxed_unsync())),
        Behaviour::Refuses(status) => status,
        Behaviour::Good if query.contains_key("watch") => {
            return Ok(watch(&state, wanted, &query));
        }
        Behaviour::Good => {
            let list = state.inner().list(&wanted, &query).to_string();
            return Ok(Response::new(Full::new(list.into()).boxed_unsync()));
        }
        Behaviour::IsEndless => {
            let page: u64 = query.get("continue").and_then(|page| page.parse().ok()).unwrap_or_default();
            let items: Vec<Value> =
                (0..250).map(|item| json!({"metadata": {"name": format!("{page}-{item}")}})).collect();
            let metadata = json!({"resourceVersion": "1", "continue": (page + 1).to_string()});
            let list = json!({"metadata": metadata, "items": items}).to_string();
            return Ok(Response::new(Full::new(list.into()).boxed_unsync()));
        }
    };
    let message = json!({"kind": "Status", "code": status, "message": "not now"}).to_string();
    let mut response = Response::new(Full::new(message.into()).boxed_unsync());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    Ok(response)
}

fn watch(state: &State, asked: Wanted, query: &BTreeMap<String, String>) -> Response<AnyBody> {
    let (sender, receiver) = mpsc::channel::<Bytes>(1024);
    let mut inner = state.inner();
    let from: u64 = query.get("resourceVersion").and_then(|version| version.parse().ok()).unwrap_or_default();
    for (_, _, line) in inner.told.iter().filter(|(version, key, _)| *version > from && asked.means(key)) {
        // More than fit are more than any test tells.
        let _ = sender.try_send(Bytes::from(format!("{line}\n")));
    }
    inner.watchers.push(Watcher { asked, lines: sender });
    drop(inner);
    let frames = stream::unfold(receiver, |mut receiver| async move {
        Some((Ok(Frame::data(receiver.recv().await?)), receiver))
    });
    Response::new(StreamBody::new(frames).boxed_unsync())
}
