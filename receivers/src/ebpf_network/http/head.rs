//! Heads of messages: the first line and the headers, read in one pass for what this receiver needs of them.
//!
//! `httparse` would refuse targets that are not UTF-8 and keep a table of all headers; a passive reader needs neither.

#[cfg(test)]
mod tests;

use memchr::memchr;

use super::detect::{TOKEN, is_target};
use crate::ebpf_network::trace_context::Headers;

/// The longest head, in bytes.
pub const MAX_HEAD: usize = 16 << 10;
/// The most headers.
pub const MAX_HEADERS: usize = 128;
/// How many bytes are looked at before a wide search is begun.
const NEAR: usize = 64;

/// The head of a request. It borrows from the bytes.
#[derive(Debug)]
pub(super) struct RequestHead<'h> {
    pub(super) size: usize,
    pub(super) method: &'h [u8],
    /// The method and the target, with a space between them.
    pub(super) line: &'h [u8],
    pub(super) minor_version: u8,
    pub(super) upgrade: bool,
    pub(super) declared: Declared,
}

/// What metrics do not need of the head of a request.
#[derive(Debug, Default)]
pub(super) struct Details<'h> {
    pub(super) host: &'h [u8],
    pub(super) user_agent: &'h [u8],
    pub(super) trace: Headers<'h>,
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

/// Reads the head of a request, and its details if they are asked for; `None` if it goes on beyond these bytes.
#[inline]
pub(super) fn request<'h>(
    bytes: &'h [u8],
    mut details: Option<&mut Details<'h>>,
) -> Result<Option<RequestHead<'h>>, Invalid> {
    let mut lines = Lines { bytes, at: 0 };
    let Some(line) = lines.next() else { return incomplete(bytes) };
    let (method, _) = split(line, b' ').ok_or(Invalid::NoMessage)?;
    let Some((line, [b' ', b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ b'0'..=b'9'])) =
        line.split_last_chunk::<9>()
    else {
        return Err(Invalid::NoMessage);
    };
    let target = line.get(method.len() + 1..).unwrap_or_default();
    let is_method = method.iter().fold(!method.is_empty(), |all, byte| all & TOKEN[usize::from(*byte)]);
    if !is_method || !is_target(target) {
        return Err(Invalid::NoMessage);
    }
    let (mut upgrade, mut declared) = (false, Declared::default());
    let complete = lines.headers(|name, value| {
        match name.len() {
            7 if is(name, b"upgrade") => upgrade = true,
            14 | 17 => declared.note(name, value)?,
            2..=4 | 10..=12 => {
                if let Some(details) = &mut details {
                    details.note(name, value);
                }
            }
            _ => {}
        }
        Ok(())
    })?;
    if !complete {
        return incomplete(bytes);
    }
    let head = RequestHead { size: lines.at, method, line, minor_version: minor - b'0', upgrade, declared };
    if head.size > MAX_HEAD { Err(Invalid::TooLarge) } else { Ok(Some(head)) }
}

/// Reads the head of a response; `None` if it goes on beyond these bytes.
#[inline]
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
    #[inline]
    fn next(&mut self) -> Option<&'h [u8]> {
        let rest = self.bytes.get(self.at..)?;
        let end = position(rest, b'\n')?;
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

/// The first place of a byte. Names and most lines are short: eight bytes at a time are faster than a wide search.
#[inline]
fn position(bytes: &[u8], byte: u8) -> Option<usize> {
    const ONES: u64 = u64::MAX / 0xff;
    let (words, rest) = bytes.as_chunks::<8>();
    for (place, word) in words.iter().enumerate().take(NEAR / 8) {
        // Zero where the byte is; what is subtracted from the first zero byte borrows into its highest bit.
        let differs = u64::from_le_bytes(*word) ^ (ONES * u64::from(byte));
        let found = differs.wrapping_sub(ONES) & !differs & (ONES << 7);
        if found != 0 {
            return Some(place * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    if words.len() > NEAR / 8 {
        return Some(NEAR + memchr(byte, bytes.get(NEAR..)?)?);
    }
    let place = rest.iter().position(|other| *other == byte)?;
    Some(words.len() * 8 + place)
}

/// Whether a name is this one, which is in lower case, whatever case it is in itself.
#[inline]
fn is<const LENGTH: usize>(name: &[u8], lower: &[u8; LENGTH]) -> bool {
    // The bit that makes a letter lower counts with nothing else.
    let differ =
        |(byte, lower): (&u8, &u8)| (byte ^ lower) & if lower.is_ascii_lowercase() { !0x20 } else { 0xff };
    let same = |name: &[u8; LENGTH]| name.iter().zip(lower).map(differ).fold(0, |all, bits| all | bits) == 0;
    name.len() == LENGTH && name.first_chunk().is_some_and(same)
}

impl<'h> Details<'h> {
    fn note(&mut self, name: &[u8], value: &'h [u8]) {
        match name.len() {
            4 if is(name, b"host") => self.host = value.trim_ascii(),
            10 if is(name, b"user-agent") => self.user_agent = value.trim_ascii(),
            _ => {
                self.trace.add(name, value);
            }
        }
    }
}

impl Declared {
    fn note(&mut self, name: &[u8], value: &[u8]) -> Result<(), Invalid> {
        if is(name, b"content-length") {
            if let Some(length) = number(value.trim_ascii()) {
                return self.note_length(length);
            }
            for part in value.split(|byte| *byte == b',') {
                self.note_length(number(part.trim_ascii()).ok_or(Invalid::Malformed)?)?;
            }
        } else if is(name, b"transfer-encoding") {
            let last = value.rsplit(|byte| *byte == b',').next().unwrap_or_default().trim_ascii();
            self.coding = if last.eq_ignore_ascii_case(b"chunked") { Coding::Chunked } else { Coding::Other };
        }
        Ok(())
    }

    fn note_length(&mut self, length: u64) -> Result<(), Invalid> {
        match self.length.replace(length) {
            Some(other) if other != length => Err(Invalid::Malformed),
            _ => Ok(()),
        }
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
