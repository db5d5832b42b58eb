//! Several buffers sent as one, without joining them.

use std::{
    collections::VecDeque,
    convert::Infallible,
    io::IoSlice,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};

/// Buffers in a row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rope {
    parts: VecDeque<Bytes>,
    remaining: usize,
}

/// A request body of one [`Rope`], handed to HTTP/2 in one piece: it cuts frames of the size that the peer takes.
#[derive(Debug)]
pub(crate) struct RopeBody(Option<Rope>);

impl Rope {
    pub(crate) fn new(parts: impl IntoIterator<Item = Bytes>) -> Self {
        let parts: VecDeque<Bytes> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let remaining = parts.iter().map(Bytes::len).sum();
        Self { parts, remaining }
    }
}

impl Buf for Rope {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn chunk(&self) -> &[u8] {
        self.parts.front().map_or(&[], Bytes::as_ref)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut filled = 0;
        for (slice, part) in slices.iter_mut().zip(&self.parts) {
            *slice = IoSlice::new(part);
            filled += 1;
        }
        filled
    }

    fn advance(&mut self, count: usize) {
        let mut left = count.min(self.remaining);
        self.remaining -= left;
        while let Some(front) = self.parts.front_mut() {
            if front.len() > left {
                front.advance(left);
                return;
            }
            left -= front.len();
            self.parts.pop_front();
        }
    }
}

impl RopeBody {
    pub(crate) fn new(rope: Rope) -> Self {
        Self(Some(rope))
    }
}

impl Body for RopeBody {
    type Data = Rope;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Rope>, Infallible>>> {
        Poll::Ready(self.0.take().map(|rope| Ok(Frame::data(rope))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |rope| rope.remaining as u64))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_rope_reads_as_its_parts_joined(
            parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..9), 0..6),
            steps in proptest::collection::vec(1usize..5, 0..40),
        ) {
            let joined: Vec<u8> = parts.concat();
            let mut rope = Rope::new(parts.into_iter().map(Bytes::from));
            let mut read = Vec::new();
            for step in steps {
                let take = step.min(rope.chunk().len());
                read.extend_from_slice(&rope.chunk()[..take]);
                rope.advance(take);
            }
            prop_assert_eq!(rope.remaining(), joined.len() - read.len());
            read.extend_from_slice(&rope.copy_to_bytes(rope.remaining()));
            prop_assert_eq!(read, joined);
        }
    }
}
