//! The head of a message: its first line and headers, also cut short or malformed.

use super::{Redactor, Side, blank, text};
use crate::ebpf_network::http::TOKEN;

/// Appends a head with the values of secret headers blanked. Stops after the line with which `out` reaches `limit`.
pub(super) fn write(
    redactor: &Redactor,
    side: Side,
    head: &[u8],
    cut: bool,
    limit: usize,
    out: &mut Vec<u8>,
) {
    let mut lines = Lines { redactor, blanking: false };
    let mut rest = head;
    while !rest.is_empty() && out.len() < limit {
        let length = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        let (line, tail) = rest.split_at(length);
        // Some servers take a lone carriage return for the end of a line, so it never ends a secret but may begin one.
        for (place, piece) in pieces(line).enumerate() {
            if rest.len() == head.len() && place == 0 {
                first_line(redactor, side, piece, cut && tail.is_empty(), out);
            } else {
                lines.piece(piece, place > 0, cut && tail.is_empty(), out);
            }
        }
        rest = tail;
    }
}

/// The parts of a line that a carriage return may end, each with its end.
fn pieces(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = line;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let length = match memchr::memchr(b'\r', rest) {
            Some(end) if !matches!(&rest[end + 1..], [] | [b'\n']) => end + 1,
            _ => rest.len(),
        };
        let (piece, tail) = rest.split_at(length);
        rest = tail;
        Some(piece)
    })
}

fn first_line(redactor: &Redactor, side: Side, line: &[u8], cut: bool, out: &mut Vec<u8>) {
    let (content, end) = split_end(line);
    let (before, target, after) = match side {
        Side::Request => request_line(content),
        Side::Response => (&[][..], content, &[][..]),
    };
    out.extend_from_slice(before);
    // The authority form has its user information in front.
    let authority = if side == Side::Request && !target.contains(&b'/') { target } else { &[] };
    match memchr::memrchr(b'@', authority) {
        Some(sign) => {
            blank(out);
            text::scrub(&redactor.query, &target[sign..], cut, out);
        }
        None if cut && !authority.is_empty() => blank(out),
        None => drop(text::scrub(&redactor.query, target, cut, out)),
    }
    out.extend_from_slice(after);
    out.extend_from_slice(end);
}

/// What is before the target, the target, what is after it.
fn request_line(line: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let start = memchr::memchr(b' ', line).map_or(0, |space| space + 1);
    let end = memchr::memmem::rfind(&line[start..], b" HTTP/").map_or(line.len(), |space| start + space);
    (&line[..start], &line[start..end], &line[end..])
}

struct Lines<'r> {
    redactor: &'r Redactor,
    /// The header that the last line belongs to is secret.
    blanking: bool,
}

impl Lines<'_> {
    /// A line, or what follows a lone carriage return in it.
    fn piece(&mut self, line: &[u8], follows: bool, cut: bool, out: &mut Vec<u8>) {
        let (content, end) = split_end(line);
        if content.is_empty() {
            self.blanking &= follows;
            out.extend_from_slice(end);
            return;
        }
        let continues = matches!(content.first(), Some(b' ' | b'\t'));
        if self.blanking && (continues || follows) {
            return;
        }
        self.blanking = false;
        let colon = memchr::memchr(b':', content);
        let name = colon.map_or(&[][..], |colon| content[..colon].trim_ascii());
        if !cut
            && self.redactor.common.contains(name)
            && text::is_plain(&content[colon.map_or(0, |colon| colon + 1)..])
        {
            out.extend_from_slice(content);
        } else if name.is_empty() || !name.iter().all(|byte| TOKEN[usize::from(*byte)]) {
            // A continuation is the value of a header; anything else is no header, so nobody can tell what it is.
            if continues {
                self.blanking = text::scrub(&self.redactor.query, content, cut, out).secret;
            } else {
                blank(out);
            }
        } else if self.redactor.headers.contains(name) {
            out.extend_from_slice(name);
            out.extend_from_slice(b": ");
            blank(out);
            self.blanking = true;
        } else {
            self.blanking = text::scrub(&self.redactor.query, content, cut, out).secret;
        }
        out.extend_from_slice(if self.blanking { b"\r\n" } else { end });
    }
}

/// A line and what ends it.
fn split_end(line: &[u8]) -> (&[u8], &[u8]) {
    let length = line.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |last| last + 1);
    line.split_at(length)
}
