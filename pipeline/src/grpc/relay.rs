//! Calls that are passed on byte for byte, and their answers.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, Response, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;

use super::Status;
use crate::{component::RelayBody, http::ResponseBody, reply::Code};

/// An answer as its bytes arrive. One that breaks off ends with a status that says so.
struct Passed {
    body: RelayBody,
    over: bool,
}

/// The answer of a back-end as the answer to the client.
pub(super) fn passed(answer: Response<RelayBody>) -> Response<ResponseBody> {
    let (mut head, body) = answer.into_parts();
    // What belongs to the other connection.
    for name in [header::CONNECTION, header::TRANSFER_ENCODING, header::CONTENT_LENGTH] {
        head.headers.remove(name);
    }
    head.version = http::Version::HTTP_2;
    Response::from_parts(head, Passed { body, over: false }.boxed_unsync())
}

impl Body for Passed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.over {
            return Poll::Ready(None);
        }
        let frame = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                self.over = true;
                let mut trailers = HeaderMap::new();
                let message = format!("the back-end's answer broke off: {error}");
                Status::new(Code::Unavailable, message).write(&mut trailers);
                Frame::trailers(trailers)
            }
            None => return Poll::Ready(None),
        };
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.over || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
