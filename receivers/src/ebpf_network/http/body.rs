//! Where a message ends: its body by length, by chunks, or by the end of the connection.

use super::{
    head::{Coding, Declared, Invalid, MAX_HEAD},
    pending::Part,
};

/// A body, and how much of it is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    Length(u64),
    Chunked(Chunk),
    UntilClose,
}

/// What comes next of a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    /// Digits of a chunk's size.
    Size { size: u64, digits: u8 },
    /// The rest of the line after the size.
    Extension { size: u64, length: usize },
    /// Data of a chunk.
    Data(u64),
    /// The line end behind a chunk's data, of which so many bytes came.
    End(u8),
    /// The trailers: how long they are, and how long the line is.
    Trailer { length: usize, line: usize },
}

/// What skipping bytes that nobody saw came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Skipped {
    /// The body goes on behind them.
    Inside,
    /// The body ends with the last of them.
    Done,
    /// A boundary that was not seen is among them: where the message ends is not known.
    Lost,
}

impl Body {
    /// The body of a request (RFC 9112, section 6.3).
    pub(super) const fn of_request(declared: Declared) -> Result<Self, Invalid> {
        match (declared.coding, declared.length) {
            (Coding::Chunked, _) => Ok(Self::CHUNKED),
            (Coding::Other, _) => Err(Invalid::Malformed),
            (Coding::None, Some(length)) => Ok(Self::Length(length)),
            (Coding::None, None) => Ok(Self::Length(0)),
        }
    }

    /// The body of a final response, to `HEAD` or not.
    pub(super) const fn of_response(status: u16, to_head: bool, declared: Declared) -> Self {
        match (declared.coding, declared.length) {
            _ if to_head || matches!(status, 204 | 304) => Self::Length(0),
            (Coding::Chunked, _) => Self::CHUNKED,
            (Coding::None, Some(length)) => Self::Length(length),
            (Coding::Other, _) | (Coding::None, None) => Self::UntilClose,
        }
    }

    const CHUNKED: Self = Self::Chunked(Chunk::Size { size: 0, digits: 0 });

    pub(super) const fn is_done(self) -> bool {
        matches!(self, Self::Length(0))
    }

    /// Consumes bytes of the body that were moved until `end`; says how many. Stops behind the end of the body.
    pub(super) fn feed(
        &mut self,
        bytes: &[u8],
        end: u64,
        mut part: Option<&mut Part>,
    ) -> Result<usize, Invalid> {
        let mut used = 0;
        let result = self.consume(bytes, &mut used, part.as_deref_mut());
        if let Some(part) = part {
            part.moved(used as u64, end);
        }
        result.map(|()| used)
    }

    fn consume(
        &mut self,
        bytes: &[u8],
        used: &mut usize,
        mut part: Option<&mut Part>,
    ) -> Result<(), Invalid> {
        let mut data = |bytes: &[u8]| {
            if let Some(part) = &mut part {
                part.data(bytes);
            }
            bytes.len()
        };
        match self {
            Self::UntilClose => *used = data(bytes),
            Self::Length(remaining) => {
                *used = data(up_to(bytes, *remaining));
                *remaining -= *used as u64;
            }
            Self::Chunked(chunk) => {
                while let Some(rest @ [byte, ..]) = bytes.get(*used..) {
                    if let Chunk::Data(remaining) = chunk {
                        let taken = data(up_to(rest, *remaining));
                        *used += taken;
                        *remaining -= taken as u64;
                        if *remaining == 0 {
                            *chunk = Chunk::End(0);
                        }
                        continue;
                    }
                    let next = chunk.step(*byte)?;
                    *used += 1;
                    match next {
                        Some(next) => *chunk = next,
                        None => {
                            *self = Self::Length(0);
                            break;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Passes over bytes that were not seen.
    pub(super) fn skip(&mut self, count: u64, part: Option<&mut Part>) -> Skipped {
        let (data, skipped) = match self {
            Self::UntilClose => (count, Skipped::Inside),
            Self::Length(remaining) => match remaining.checked_sub(count) {
                Some(0) => {
                    *remaining = 0;
                    (count, Skipped::Done)
                }
                Some(rest) => {
                    *remaining = rest;
                    (count, Skipped::Inside)
                }
                None => (*remaining, Skipped::Lost),
            },
            Self::Chunked(Chunk::Data(remaining)) => {
                match (remaining.checked_sub(count), count - (*remaining).min(count)) {
                    (Some(1..), _) => {
                        *remaining -= count;
                        (count, Skipped::Inside)
                    }
                    (_, beyond @ 0..=2) => {
                        let data = *remaining;
                        *self = Self::Chunked(Chunk::after(beyond));
                        (data, Skipped::Inside)
                    }
                    _ => (*remaining, Skipped::Lost),
                }
            }
            Self::Chunked(Chunk::End(0)) if count <= 2 => {
                *self = Self::Chunked(Chunk::after(count));
                (0, Skipped::Inside)
            }
            Self::Chunked(_) => (0, Skipped::Lost),
        };
        if let Some(part) = part {
            part.unseen(if skipped == Skipped::Lost { data } else { count }, data);
        }
        skipped
    }
}

impl Chunk {
    /// After so many bytes behind a chunk's data, which are its line end: CR LF, as every sender writes it.
    const fn after(count: u64) -> Self {
        match count {
            0 => Self::End(0),
            1 => Self::End(1),
            _ => Self::Size { size: 0, digits: 0 },
        }
    }

    /// Takes one byte of the framing. `None` behind the last one of the body.
    fn step(self, byte: u8) -> Result<Option<Self>, Invalid> {
        Ok(Some(match self {
            Self::Size { size, digits } => match char::from(byte).to_digit(16) {
                Some(_) if digits == 16 => return Err(Invalid::Malformed),
                Some(digit) => Self::Size { size: size << 4 | u64::from(digit), digits: digits + 1 },
                None if digits == 0 => return Err(Invalid::Malformed),
                None if byte == b'\n' => Self::of(size),
                None if matches!(byte, b'\r' | b';' | b' ' | b'\t') => Self::Extension { size, length: 0 },
                None => return Err(Invalid::Malformed),
            },
            Self::Extension { size, .. } if byte == b'\n' => Self::of(size),
            Self::Extension { length: MAX_HEAD, .. } | Self::Trailer { length: MAX_HEAD, .. } => {
                return Err(Invalid::TooLarge);
            }
            Self::Extension { size, length } => Self::Extension { size, length: length + 1 },
            Self::End(0) if byte == b'\r' => Self::End(1),
            Self::End(_) if byte == b'\n' => Self::Size { size: 0, digits: 0 },
            Self::End(_) => return Err(Invalid::Malformed),
            Self::Trailer { line: 0, .. } if byte == b'\n' => return Ok(None),
            Self::Trailer { length, .. } if byte == b'\n' => Self::Trailer { length: length + 1, line: 0 },
            Self::Trailer { length, line: 0 } if byte == b'\r' => {
                Self::Trailer { length: length + 1, line: 0 }
            }
            Self::Trailer { length, line } => Self::Trailer { length: length + 1, line: line + 1 },
            Self::Data(_) => self,
        }))
    }

    const fn of(size: u64) -> Self {
        if size == 0 { Self::Trailer { length: 0, line: 0 } } else { Self::Data(size) }
    }
}

fn up_to(bytes: &[u8], limit: u64) -> &[u8] {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    bytes.get(..limit).unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunked(pieces: &[&[u8]]) -> Result<(Body, usize, Vec<u8>), Invalid> {
        let (mut body, mut part, mut used) = (Body::CHUNKED, Part::default(), 0);
        part.keep = 100;
        for piece in pieces {
            used += body.feed(piece, 0, Some(&mut part))?;
        }
        Ok((body, used, part.body))
    }

    #[test]
    fn chunks_with_extensions_and_trailers() {
        let wire = b"5;a=\"b\"\r\nhello\r\n1 \r\n,\r\nA\r\n 012345678\r\n000\r\nX: y\r\n\r\nGET";
        let whole = chunked(&[wire]).unwrap();
        assert_eq!(whole, (Body::Length(0), wire.len() - 3, b"hello, 012345678".to_vec()));
        for at in 0..wire.len() - 3 {
            let (left, right) = wire.split_at(at);
            assert_eq!(chunked(&[left, right]).unwrap(), whole, "split at {at}");
        }
    }

    #[test]
    fn chunks_that_are_malformed() {
        for wire in [
            &b"g\r\n"[..],
            b"\r\n",
            b"-1\r\n",
            b"11111111111111111\r\n",
            b"1\r\naXY",
            b"1\r\na\rX",
            b"0x5\r\n",
        ] {
            assert_eq!(chunked(&[wire]), Err(Invalid::Malformed), "{wire:?}");
        }
        let endless = b"x".repeat(MAX_HEAD + 1);
        assert_eq!(chunked(&[b"0\r\n", &endless]), Err(Invalid::TooLarge));
        assert_eq!(chunked(&[b"1;", &endless]), Err(Invalid::TooLarge));
    }

    #[test]
    fn bytes_not_seen_are_counted_while_the_boundary_is_known() {
        let skip = |body: Body, count| {
            let (mut body, mut part) = (body, Part::default());
            let skipped = body.skip(count, Some(&mut part));
            (skipped, body, part.body_size)
        };
        assert_eq!(skip(Body::Length(5), 3), (Skipped::Inside, Body::Length(2), 3));
        assert_eq!(skip(Body::Length(5), 5), (Skipped::Done, Body::Length(0), 5));
        assert_eq!(skip(Body::Length(5), 6).0, Skipped::Lost);
        assert_eq!(skip(Body::UntilClose, 9), (Skipped::Inside, Body::UntilClose, 9));
        let data = Body::Chunked(Chunk::Data(5));
        assert_eq!(skip(data, 4), (Skipped::Inside, Body::Chunked(Chunk::Data(1)), 4));
        assert_eq!(skip(data, 5), (Skipped::Inside, Body::Chunked(Chunk::End(0)), 5));
        assert_eq!(skip(data, 6), (Skipped::Inside, Body::Chunked(Chunk::End(1)), 5));
        assert_eq!(skip(data, 7), (Skipped::Inside, Body::CHUNKED, 5));
        assert_eq!(skip(data, 8).0, Skipped::Lost);
        assert_eq!(skip(Body::Chunked(Chunk::End(0)), 2).1, Body::CHUNKED);
        assert_eq!(skip(Body::CHUNKED, 1).0, Skipped::Lost);
    }
}
