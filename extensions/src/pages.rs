//! An extension that answers HTTP requests with pages and does nothing else.

use std::{sync::Arc, time::Instant};

use futures_util::future::{BoxFuture, ready};
use http::{HeaderValue, Method, Response, StatusCode, header};
use sluice_pipeline::{
    component::{BuildError, ComponentContext, Endpoint, Extension, Kind, Listeners},
    http::{
        ResponseBody,
        server::{Handler, HttpServer, HttpServerConfig, IncomingRequest, Server},
        text,
    },
};

const ENDPOINT: &str = "http";

/// What is answered to a path.
pub(crate) trait Pages: Send + Sync + 'static {
    /// The page at this path; `None` if there is none.
    fn page(&self, path: &str) -> Option<Response<ResponseBody>>;
}

/// An extension that serves pages.
pub(crate) struct PageServer<P> {
    server: Option<HttpServer>,
    pages: Arc<Answers<P>>,
    running: Option<Server>,
}

struct Answers<P>(P);

/// What the host binds for it.
pub(crate) fn endpoint(config: &HttpServerConfig) -> Vec<Endpoint> {
    vec![Endpoint { name: ENDPOINT, key: "endpoint", transport: config.bind() }]
}

impl<P: Pages> PageServer<P> {
    pub(crate) fn new(
        config: &HttpServerConfig,
        context: &ComponentContext,
        pages: P,
    ) -> Result<Self, BuildError> {
        let server = HttpServer::new(config, "", context)?;
        Ok(Self { server: Some(server), pages: Arc::new(Answers(pages)), running: None })
    }
}

impl<P: Pages> Extension for PageServer<P> {
    fn start(&mut self, mut listeners: Listeners) -> BoxFuture<'_, Result<(), BuildError>> {
        if let (Some(server), Some(listener)) = (self.server.take(), listeners.remove(ENDPOINT)) {
            self.running =
                Some(server.start(listener, Kind::Extension, Arc::<Answers<P>>::clone(&self.pages)));
        }
        Box::pin(ready(Ok(())))
    }

    fn stop(&mut self, deadline: Instant) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if let Some(server) = self.running.take() {
                server.stop(deadline).await;
            }
        })
    }
}

impl<P: Pages> Handler for Answers<P> {
    fn handle(&self, request: IncomingRequest) -> BoxFuture<'_, Response<ResponseBody>> {
        let response = if matches!(request.head.method, Method::GET | Method::HEAD) {
            let page = self.0.page(request.path());
            page.unwrap_or_else(|| text(StatusCode::NOT_FOUND, "there is no such page\n"))
        } else {
            let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "pages are read with GET\n");
            refused.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            refused
        };
        Box::pin(ready(response))
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! Serves an extension on loopback and reads its pages.

    use std::{collections::HashMap, time::Duration};

    use sluice_pipeline::component::{ExtensionContext, ExtensionFactory, Listener};
    use sluice_pipeline::{budget::Budget, config};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    /// The configuration that this YAML decodes to.
    pub(crate) fn decoded<F: ExtensionFactory>(yaml: &str) -> F::Config {
        let mut problems = config::Problems::default();
        let node = config::parse("test.yaml", yaml, &mut problems).unwrap();
        config::decode(&node, &mut problems).unwrap_or_else(|| panic!("{problems}"))
    }

    /// Status, headers and body that the extension answers to a request for each of the paths.
    pub(crate) async fn answers<F: ExtensionFactory>(
        yaml: &str,
        component: ComponentContext,
        requests: &[&str],
    ) -> Vec<(u16, String, String)> {
        let mut extension = F::build(decoded::<F>(yaml), ExtensionContext { component }).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        extension.start(HashMap::from([(ENDPOINT, Listener::Tcp(listener))])).await.unwrap();
        let mut answers = Vec::new();
        for request in requests {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let head = format!("{request} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            let mut response = String::new();
            stream.read_to_string(&mut response).await.unwrap();
            let (head, body) = response.split_once("\r\n\r\n").unwrap();
            let status = head.split(' ').nth(1).unwrap().parse().unwrap();
            answers.push((status, head.to_ascii_lowercase(), body.to_owned()));
        }
        extension.stop(Instant::now() + Duration::from_secs(5)).await;
        answers
    }

    /// A context whose status tests may change.
    pub(crate) fn context(id: &str) -> ComponentContext {
        ComponentContext::detached(id, Budget::new(u64::MAX))
    }
}
