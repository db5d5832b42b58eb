//! Answers scrapers.

use std::{
    convert::Infallible,
    io::Write,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use futures_util::future::{BoxFuture, ready};
use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use sluice_pipeline::{
    budget::{Budget, Charge},
    http::{
        ResponseBody, empty,
        server::{Handler, IncomingRequest},
        text,
    },
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    config::PrometheusKeys,
    expose::{Exposition, Style},
    negotiate::Choice,
    store::Store,
};

/// What a scrape holds at a time, in bytes, roughly: a piece, and the same compressed.
const HELD: u64 = 256 << 10;
/// How many scrapes there may be at a time: scrapers that do not read must not take the memory of the pipelines.
const MOST: usize = 32;

/// Answers `GET /metrics`.
pub(super) struct Scrapes {
    store: Arc<Store>,
    style: Style,
    open_metrics: bool,
    budget: Budget,
    room: Arc<Semaphore>,
}

impl Scrapes {
    pub(super) fn new(store: Arc<Store>, keys: &PrometheusKeys, budget: &Budget) -> Self {
        let style = Style { timestamps: keys.send_timestamps };
        let room = Arc::new(Semaphore::new(MOST));
        Self { store, style, open_metrics: keys.enable_open_metrics, budget: budget.clone(), room }
    }

    fn answer(&self, request: &IncomingRequest) -> Response<ResponseBody> {
        if request.path() != "/metrics" {
            return text(StatusCode::NOT_FOUND, "metrics are at /metrics\n");
        }
        if !matches!(request.head.method, Method::GET | Method::HEAD) {
            let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "metrics are read with GET\n");
            refused.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refused;
        }
        let choice = Choice::of(&request.head.headers, self.open_metrics);
        let body = if request.head.method == Method::HEAD { Some(empty()) } else { self.body(choice) };
        let Some(body) = body else {
            self.store.counters.refused_scrape();
            let mut refused = text(StatusCode::SERVICE_UNAVAILABLE, "there are too many scrapes at a time\n");
            refused.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            return refused;
        };
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(choice.content_type));
        headers.insert(header::VARY, HeaderValue::from_static("accept, accept-encoding"));
        if choice.gzip {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }

    /// What is held; `None` if there are too many scrapes at a time.
    pub(super) fn body(&self, choice: Choice) -> Option<ResponseBody> {
        let place = Arc::clone(&self.room).try_acquire_owned().ok()?;
        self.store.sweep_if_due(self.store.now());
        self.store.counters.scraped(choice.name());
        let exposition = Exposition::of(&self.store, choice.format, self.style);
        let encoder = choice.gzip.then(|| GzEncoder::new(Vec::new(), Compression::fast()));
        let charge = self.budget.charge_anyway(HELD);
        Some(ScrapeBody { exposition, encoder, _charge: charge, _place: place }.boxed_unsync())
    }
}

impl Handler for Scrapes {
    fn handle(&self, request: IncomingRequest) -> BoxFuture<'_, Response<ResponseBody>> {
        Box::pin(ready(self.answer(&request)))
    }
}

/// Writes the next piece whenever the connection has room for it.
struct ScrapeBody {
    exposition: Exposition,
    encoder: Option<GzEncoder<Vec<u8>>>,
    _charge: Charge,
    _place: OwnedSemaphorePermit,
}

impl ScrapeBody {
    fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            let piece = self.exposition.next();
            let Some(encoder) = &mut self.encoder else { return piece };
            let Some(piece) = piece else {
                // Writing into memory does not fail.
                return self.encoder.take()?.finish().ok().filter(|rest| !rest.is_empty());
            };
            let _ = encoder.write_all(&piece);
            let compressed = std::mem::take(encoder.get_mut());
            if !compressed.is_empty() {
                return Some(compressed);
            }
        }
    }
}

impl Body for ScrapeBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.get_mut().next().map(|piece| Ok(Frame::data(piece.into()))))
    }
}
