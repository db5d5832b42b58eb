//! What goes out as the body of a call: messages that are there, or bytes as they arrive from elsewhere.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use http_body::{Body, Frame, SizeHint};

use crate::{
    component::RelayBody,
    http::{Rope, RopeBody},
};

/// The body of a call.
pub(super) enum Outgoing {
    /// All of it.
    Whole(RopeBody),
    /// As it arrives, with its trailers.
    Relayed(RelayBody),
}

impl Outgoing {
    pub(super) fn whole(rope: Rope) -> Self {
        Self::Whole(RopeBody::new(rope))
    }
}

impl Body for Outgoing {
    type Data = Rope;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Rope>, Self::Error>>> {
        match self.get_mut() {
            Self::Whole(rope) => Pin::new(rope)
                .poll_frame(context)
                .map(|frame| frame.map(|frame| frame.map_err(|none| match none {}))),
            Self::Relayed(body) => {
                let frame = ready!(Pin::new(body).poll_frame(context));
                Poll::Ready(frame.map(|frame| Ok(frame?.map_data(|bytes| Rope::new([bytes])))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(rope) => rope.is_end_stream(),
            Self::Relayed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(rope) => rope.size_hint(),
            Self::Relayed(body) => body.size_hint(),
        }
    }
}
