//! Heads of messages: the first line and the headers, read in one pass for what this receiver needs of them.
//!
//! `httparse` would refuse targets that are not UTF-8 and keep a table of all headers; a passive reader needs neither.

use memchr::memchr;

use super::detect::{TOKEN, is_target, is_token};
use crate::ebpf_network::trace_context::Headers;

/// The longest head, in bytes.
pub const MAX_HEAD: usize = 16 << 10;
/// The most headers.
pub const MAX_HEADERS: usize = 128;

/// The head of a request. It borrows from the bytes.
#[derive(Debug)]
pub(super) struct RequestHead<'h> {
    pub(super) size: usize,
    pub(super) method: &'h [u8],
    pub(super) target: &'h [u8],
    pub(super) minor_version: u8,
    pub(super) host: &'h [u8],
    pub(super) user_agent: &'h [u8],
    pub(super) upgrade: bool,
    pub(super) trace: Headers<'h>,
    pub(super) declared: Declared,
}

/// The head of a response.
#[derive(Debug)]
pub(super) struct ResponseHead {
    pub(super) size: usize,
    pub(super) status: u16,
    pub(super) minor_version: u8,
    pub(super) declared: Declared,
}

/// What headers say of the body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Declared {
    pub(super) length: Option<u64>,
    pub(super) coding: Coding,
}

/// The last of the transfer codings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Coding {
    #[default]
    None,
    Chunked,
    Other,
}

/// Why a head cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Invalid {
    TooLarge,
    TooManyHeaders,
    /// The headers.
    Malformed,
    /// The first line.
    NoMessage,
}

/// Reads the head of a request; `None` if it goes on beyond these bytes.
pub(super) fn request(bytes: &[u8]) -> Result<Option<RequestHead<'_>>, Invalid> {
    let mut lines = Lines { bytes, at: 0 };
    let Some(line) = lines.next() else { return incomplete(bytes) };
    let (method, rest) = split(line, b' ').ok_or(Invalid::NoMessage)?;
    let Some((target, [b' ', b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ b'0'..=b'9'])) =
        rest.split_last_chunk::<9>()
    else {
        return Err(Invalid::NoMessage);
    };
    if method.is_empty() || !method.iter().all(|byte| is_token(*byte)) || !is_target(target) {
        return Err(Invalid::NoMessage);
    }
    let mut head = RequestHead {
        size: 0,
        method,
        target,
        minor_version: minor - b'0',
        host: b"",
        user_agent: b"",
        upgrade: false,
        trace: Headers::default(),
        declared: Declared::default(),
    };
    let complete = lines.headers(|name, value| {
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => head.host = value.trim_ascii(),
            7 if name.eq_ignore_ascii_case(b"upgrade") => head.upgrade = true,
            10 if name.eq_ignore_ascii_case(b"user-agent") => head.user_agent = value.trim_ascii(),
            14 | 17 => head.declared.note(name, value)?,
            2 | 3 | 10..=12 => {
                head.trace.add(name, value);
            }
            _ => {}
        }
        Ok(())
    })?;
    if !complete {
        return incomplete(bytes);
    }
    head.size = lines.at;
    if head.size > MAX_HEAD { Err(Invalid::TooLarge) } else { Ok(Some(head)) }
}

/// Reads the head of a response; `None` if it goes on beyond these bytes.
pub(super) fn response(bytes: &[u8]) -> Result<Option<ResponseHead>, Invalid> {
    let mut lines = Lines { bytes, at: 0 };
    let Some(line) = lines.next() else { return incomplete(bytes) };
    let (first, reason) = line.split_first_chunk::<12>().ok_or(Invalid::NoMessage)?;
    let [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ b'0'..=b'9', b' ', code @ ..] = first else {
        return Err(Invalid::NoMessage);
    };
    let status = code.iter().fold(0, |status, digit| status * 10 + u16::from(digit.wrapping_sub(b'0')));
    if !code.iter().all(u8::is_ascii_digit) || status < 100 || !matches!(reason.first(), None | Some(b' ')) {
        return Err(Invalid::NoMessage);
    }
    let mut declared = Declared::default();
    let complete = lines.headers(|name, value| match name.len() {
        14 | 17 => declared.note(name, value),
        _ => Ok(()),
    })?;
    if !complete {
        return incomplete(bytes);
    }
    if lines.at > MAX_HEAD {
        return Err(Invalid::TooLarge);
    }
    Ok(Some(ResponseHead { size: lines.at, status, minor_version: minor - b'0', declared }))
}

/// Whether the head's empty line is among these bytes. `scanned` remembers how far this was found out.
pub(super) fn is_complete(bytes: &[u8], scanned: &mut usize) -> bool {
    let mut lines = Lines { bytes, at: *scanned };
    while let Some(line) = lines.next() {
        if line.is_empty() && *scanned > 0 {
            return true;
        }
        *scanned = lines.at;
    }
    false
}

const fn incomplete<T>(bytes: &[u8]) -> Result<Option<T>, Invalid> {
    if bytes.len() >= MAX_HEAD { Err(Invalid::TooLarge) } else { Ok(None) }
}

/// Lines that end with LF or CR LF, the end not included.
struct Lines<'h> {
    bytes: &'h [u8],
    at: usize,
}

impl<'h> Lines<'h> {
    fn next(&mut self) -> Option<&'h [u8]> {
        let rest = self.bytes.get(self.at..)?;
        let end = memchr(b'\n', rest)?;
        self.at += end + 1;
        let line = rest.get(..end)?;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }

    /// Gives each header to `each`, with the white space around its value; says whether the empty line came. A folded line
    /// (obsolete, and read in different ways by different peers) is malformed.
    #[inline]
    fn headers(
        &mut self,
        mut each: impl FnMut(&'h [u8], &'h [u8]) -> Result<(), Invalid>,
    ) -> Result<bool, Invalid> {
        for count in 0.. {
            let Some(line) = self.next() else { break };
            if line.is_empty() {
                return Ok(true);
            }
            if count == MAX_HEADERS {
                return Err(Invalid::TooManyHeaders);
            }
            let (name, value) = split(line, b':').ok_or(Invalid::Malformed)?;
            match (name.first(), name.last()) {
                (Some(first), Some(last)) if TOKEN[usize::from(*first)] && TOKEN[usize::from(*last)] => {
                    each(name, value)?;
                }
                _ => return Err(Invalid::Malformed),
            }
        }
        Ok(false)
    }
}

#[inline]
fn split(line: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let (left, right) = line.split_at_checked(position(line, separator)?)?;
    Some((left, right.get(1..)?))
}

/// Names are short: eight bytes at a time are faster than a wide search.
#[inline]
fn position(line: &[u8], byte: u8) -> Option<usize> {
    const ONES: u64 = u64::MAX / 0xff;
    let (words, rest) = line.as_chunks::<8>();
    for (place, word) in words.iter().enumerate() {
        // Zero where the byte is; what is subtracted from the first zero byte borrows into its highest bit.
        let differs = u64::from_le_bytes(*word) ^ (ONES * u64::from(byte));
        let found = differs.wrapping_sub(ONES) & !differs & (ONES << 7);
        if found != 0 {
            return Some(place * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let place = rest.iter().position(|other| *other == byte)?;
    Some(words.len() * 8 + place)
}

impl Declared {
    fn note(&mut self, name: &[u8], value: &[u8]) -> Result<(), Invalid> {
        if name.eq_ignore_ascii_case(b"content-length") {
            for part in value.split(|byte| *byte == b',') {
                let length = number(part.trim_ascii()).ok_or(Invalid::Malformed)?;
                if self.length.replace(length).is_some_and(|other| other != length) {
                    return Err(Invalid::Malformed);
                }
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            let last = value.rsplit(|byte| *byte == b',').next().unwrap_or_default().trim_ascii();
            self.coding = if last.eq_ignore_ascii_case(b"chunked") { Coding::Chunked } else { Coding::Other };
        }
        Ok(())
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |number, digit| {
        let digit = if digit.is_ascii_digit() { digit - b'0' } else { return None };
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::position;

    proptest! {
        #[test]
        fn the_first_byte_is_found(line in proptest::collection::vec(prop_oneof![b':'..=b';', any::<u8>()], 0..40)) {
            prop_assert_eq!(position(&line, b':'), line.iter().position(|byte| *byte == b':'));
        }
    }
}
