//! The five bytes before every message: whether it is compressed, and its length.

use bytes::{Buf, Bytes};

/// The length of the prefix, in bytes.
pub const PREFIX: usize = 5;

/// A body that is not one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The body is empty.
    #[error("the call carries no message")]
    Missing,
    /// The body is shorter than its prefix says.
    #[error("the message ends before its announced length")]
    Truncated,
    /// The body goes on after the message.
    #[error("a unary call carries more than one message")]
    Trailing,
    /// The first byte says neither compressed nor not.
    #[error("the first byte of a message must be 0 or 1")]
    Flag,
}

/// The prefix of a message.
#[must_use]
pub fn prefix(compressed: bool, length: u32) -> [u8; PREFIX] {
    let [first, second, third, fourth] = length.to_be_bytes();
    [u8::from(compressed), first, second, third, fourth]
}

/// Messages in order, each with its prefix: what a client sends on a stream. None is compressed.
#[derive(Clone, Debug, Default)]
pub struct Messages {
    /// Messages of somebody else, while there are no others.
    shared: Bytes,
    framed: Vec<u8>,
    count: usize,
}

impl Messages {
    /// Appends the message that `write` appends to the buffer it is given. One of 4 GiB, which no prefix can announce, is
    /// left out: false.
    pub fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let framed = self.own();
        let start = framed.len();
        framed.extend_from_slice(&[0; PREFIX]);
        write(framed);
        let length = framed.len().saturating_sub(start + PREFIX);
        let (Ok(length), Some(place)) =
            (u32::try_from(length), framed.get_mut(start..).and_then(<[u8]>::first_chunk_mut))
        else {
            framed.truncate(start);
            return false;
        };
        *place = prefix(false, length);
        self.count += 1;
        true
    }

    /// Appends messages that are framed already. The first ones are not copied as long as no others come.
    pub fn extend(&mut self, framed: &Bytes) {
        self.count += each(framed).count();
        if self.length() == 0 {
            self.shared = framed.clone();
        } else {
            self.own().extend_from_slice(framed);
        }
    }

    /// The buffer to append to.
    fn own(&mut self) -> &mut Vec<u8> {
        if !self.shared.is_empty() {
            self.framed.extend_from_slice(&std::mem::take(&mut self.shared));
        }
        &mut self.framed
    }

    /// How many there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    /// How long they are, with their prefixes, in bytes.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.shared.len() + self.framed.len()
    }

    /// All of them, framed, in memory that has no more than an eighth to spare.
    #[must_use]
    pub fn into_bytes(mut self) -> Bytes {
        if !self.shared.is_empty() {
            return self.shared;
        }
        if self.framed.capacity() - self.framed.len() > self.framed.len() / 8 {
            self.framed.shrink_to_fit();
        }
        self.framed.into()
    }
}

/// The messages of a buffer, none of them compressed, without their prefixes; up to one that is cut off.
pub fn each(mut framed: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (message, rest) = framed.split_at_checked(announced(framed)?)?;
        framed = rest;
        message.get(PREFIX..)
    })
}

/// How long the body is that begins like this: what the prefix announces, with the prefix.
#[must_use]
pub fn announced(beginning: &[u8]) -> Option<usize> {
    let (_, rest) = beginning.split_first()?;
    let length = u32::from_be_bytes(*rest.first_chunk()?);
    usize::try_from(length).ok()?.checked_add(PREFIX)
}

/// The one message of a unary call, and whether it is compressed. Copies nothing.
///
/// # Errors
/// [`FrameError`].
pub fn message(mut body: Bytes) -> Result<(bool, Bytes), FrameError> {
    if body.is_empty() {
        return Err(FrameError::Missing);
    }
    let whole = announced(&body).ok_or(FrameError::Truncated)?;
    let compressed = match body.first() {
        Some(0) => false,
        Some(1) => true,
        _ => return Err(FrameError::Flag),
    };
    match body.len() {
        length if length < whole => Err(FrameError::Truncated),
        length if length > whole => Err(FrameError::Trailing),
        _ => {
            body.advance(PREFIX);
            Ok((compressed, body))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_message_reads_back(content in proptest::collection::vec(any::<u8>(), 0..300), compressed: bool) {
            let mut body = prefix(compressed, u32::try_from(content.len()).unwrap()).to_vec();
            body.extend_from_slice(&content);
            prop_assert_eq!(announced(&body), Some(body.len()));
            prop_assert_eq!(message(body.into()), Ok((compressed, Bytes::from(content))));
        }

        #[test]
        fn any_body_ends_without_panic(body in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = message(body.into());
        }
    }

    #[test]
    fn messages_of_a_stream_follow_each_other() {
        let mut messages = Messages::default();
        assert!(messages.push(|out| out.extend_from_slice(b"one")));
        assert!(messages.push(|_| {}));
        assert_eq!((messages.count(), messages.length()), (2, 13));
        assert_eq!(messages.into_bytes(), &b"\0\0\0\0\x03one\0\0\0\0\0"[..]);
    }

    #[test]
    fn framed_messages_are_shared_until_others_follow_them() {
        let framed = Bytes::from_static(b"\0\0\0\0\x03one\0\0\0\0\0");
        let mut messages = Messages::default();
        messages.extend(&framed);
        assert_eq!((messages.count(), messages.length()), (2, 13));
        assert_eq!(messages.clone().into_bytes().as_ptr(), framed.as_ptr(), "they are not copied");
        messages.extend(&framed);
        assert!(messages.push(|out| out.extend_from_slice(b"two")));
        assert_eq!((messages.count(), messages.length()), (5, 34));
        let all = messages.into_bytes();
        assert_eq!(each(&all).collect::<Vec<_>>(), [&b"one"[..], b"", b"one", b"", b"two"]);
        assert_eq!(each(&all[..10]).collect::<Vec<_>>(), [b"one"], "what is cut off is no message");
    }

    #[test]
    fn what_is_no_single_message_is_refused() {
        let refused = |body: &'static [u8]| message(Bytes::from_static(body)).unwrap_err();
        assert_eq!(refused(b""), FrameError::Missing);
        assert_eq!(refused(b"\0\0\0"), FrameError::Truncated);
        assert_eq!(refused(b"\0\0\0\0\x02a"), FrameError::Truncated);
        assert_eq!(refused(b"\0\0\0\0\x01ab"), FrameError::Trailing);
        assert_eq!(refused(b"\x02\0\0\0\0"), FrameError::Flag);
    }
}
