//! `grpc.health.v1`: Sluice serves until it stops. Load balancers and agents ask once, or watch.

use ::http::{HeaderMap, HeaderValue, Response, header};
use bytes::Bytes;
use futures_util::stream;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use sluice_pipeline::{
    component::RelayBody,
    grpc::{Status, frame},
};
use tokio_util::sync::CancellationToken;

pub(super) const CHECK: &str = "/grpc.health.v1.Health/Check";
pub(super) const WATCH: &str = "/grpc.health.v1.Health/Watch";

/// A `HealthCheckResponse` that says SERVING.
pub(super) const SERVING: &[u8] = &[0x08, 0x01];
/// The same that says NOT_SERVING.
const NOT_SERVING: &[u8] = &[0x08, 0x02];

/// What a watcher is told next.
#[derive(Clone, Copy)]
enum Next {
    Serving,
    NotServing,
    End,
}

/// The answer to a watcher: SERVING at once, and NOT_SERVING when `stopping` says so, with `end` as the last.
pub(super) fn watch(stopping: CancellationToken, end: Status) -> Response<RelayBody> {
    let told = stream::unfold(Some(Next::Serving), move |next| {
        let (stopping, end) = (stopping.clone(), end.clone());
        async move {
            let (frame, then) = match next? {
                Next::Serving => (message(SERVING), Some(Next::NotServing)),
                Next::NotServing => {
                    stopping.cancelled().await;
                    (message(NOT_SERVING), Some(Next::End))
                }
                Next::End => {
                    let mut trailers = HeaderMap::new();
                    end.write(&mut trailers);
                    (Frame::trailers(trailers), None)
                }
            };
            Some((Ok(frame), then))
        }
    });
    let mut answer = Response::new(StreamBody::new(told).boxed_unsync());
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    answer
}

fn message(message: &[u8]) -> Frame<Bytes> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    Frame::data([&frame::prefix(false, length)[..], message].concat().into())
}
