//! hyper as client and as server, both in the process of the test.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use ::http::{Method, Request, Response, Version};
use ::hyper::body::{Frame, Incoming};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream;
use http_body_util::{BodyExt, Full, StreamBody};
use sluice_integration::serve::{Answer, Handler, Protocol, serve};
use sluice_integration::transport::{connect_http1, receive};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::{Item, Said, said};

/// A client. It does not chunk.
pub(super) fn client(plan: &[Item]) -> Vec<Said> {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let mut all = Vec::new();
        let mut connections = BTreeMap::new();
        for item in plan {
            let server: SocketAddr = item.base.strip_prefix("http://").unwrap().parse().unwrap();
            let mut sender = match connections.remove(&server) {
                Some(sender) => sender,
                None => connect_http1(server).await.unwrap(),
            };
            if sender.ready().await.is_err() {
                sender = connect_http1(server).await.unwrap();
            }
            let request =
                Request::builder().method(item.method).uri(&item.path).header("host", server.to_string());
            let request = request.body(Full::new(Bytes::from("y".repeat(item.body)))).unwrap();
            let (head, body) = sender.send_request(request).await.unwrap().into_parts();
            all.push(said(item, head.status.as_u16(), receive(body).await.unwrap().body.len()));
            if head.version == Version::HTTP_11 {
                connections.insert(server, sender);
            }
        }
        all
    })
}

/// A server that stops with the test. Its paths mean what those of the others do.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    log: Arc<Log>,
    _runtime: Runtime,
}

/// What it received and answered.
#[derive(Default)]
struct Log(Mutex<Vec<Said>>);

impl Server {
    pub(super) fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let log = Arc::new(Log::default());
        runtime.spawn(serve(listener, Protocol::Http1, Arc::clone(&log)));
        Self { address, log, _runtime: runtime }
    }

    pub(super) fn said(&self) -> Vec<Said> {
        self.log.0.lock().unwrap().clone()
    }
}

impl Handler for Log {
    fn handle(self: Arc<Self>, request: Request<Incoming>) -> BoxFuture<'static, Answer> {
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let received = receive(body).await.unwrap().body.len();
            let path = head.uri.path().to_owned();
            let (status, content, has_length) = answer(&path, received);
            let sent = if head.method == Method::HEAD { 0 } else { content.len() };
            self.0.lock().unwrap().push(Said {
                method: head.method.to_string(),
                path,
                status,
                sent: Some(sent),
                received: Some(received),
            });
            let body = if has_length {
                Full::new(content).boxed()
            } else {
                let pieces: Vec<_> =
                    content.chunks(content.len() / 3 + 1).map(Bytes::copy_from_slice).collect();
                StreamBody::new(stream::iter(
                    pieces.into_iter().map(|piece| Ok::<_, Infallible>(Frame::data(piece))),
                ))
                .boxed()
            };
            Response::builder().status(status).body(body).unwrap()
        })
    }
}

/// The status, the body, and whether its length is told.
fn answer(path: &str, received: usize) -> (u16, Bytes, bool) {
    let mut parts = path.split('/').skip(1);
    let (action, argument) = (parts.next().unwrap(), parts.next().unwrap_or_default());
    match action {
        "status" => {
            let status: u16 = argument.parse().unwrap();
            let body = if matches!(status, 204 | 304) { String::new() } else { format!("status {status}") };
            (status, body.into(), true)
        }
        "count" => (200, received.to_string().into(), true),
        _ => (200, vec![b'x'; argument.parse().unwrap()].into(), action == "fixed"),
    }
}
