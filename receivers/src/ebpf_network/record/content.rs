//! Head and body of a message as text.

use super::{
    inflate::Inflate,
    media_type::{self, BodyHeaders, Charset},
};
use crate::ebpf_network::{
    exchange::Message,
    redaction::{Redactor, Side, Syntax},
};

/// How far beyond the limit a body is read, so that the end of what is kept is not in doubt.
const BEYOND: usize = 128;

/// Buffers that are used again and again.
#[derive(Debug)]
pub(super) struct Scratch {
    /// Text under construction.
    pub(super) text: Vec<u8>,
    /// For what replaces text.
    pub(super) spare: Vec<u8>,
    decompressed: Vec<u8>,
    decoded: Vec<u8>,
    inflate: Inflate,
}

impl Scratch {
    pub(super) fn new() -> Self {
        Self {
            text: Vec::new(),
            spare: Vec::new(),
            decompressed: Vec::new(),
            decoded: Vec::new(),
            inflate: Inflate::new(),
        }
    }

    /// Leaves in `text` what is to be kept of a message, `limit` bytes of it at most, secrets blanked. It may not be UTF-8.
    pub(super) fn content(&mut self, redactor: &Redactor, side: Side, message: &Message<'_>, limit: usize) {
        self.text.clear();
        let cut = (message.head.len() as u64) < message.head_size || !ends(message.head);
        redactor.write_head(side, message.head, cut, limit + BEYOND, &mut self.text);
        redactor.apply_patterns(&mut self.text, 0, cut, &mut self.spare);
        let start = self.text.len();
        if start < limit && !message.body.is_empty() && !cut {
            let cut = self.body(redactor, message, limit - start + BEYOND);
            redactor.apply_patterns(&mut self.text, start, cut, &mut self.spare);
        }
        if self.text.len() >= limit {
            self.text.truncate(limit);
            self.text.truncate(limit - cut_character(&self.text));
        }
    }

    /// Appends a body, or why it is not there; tells whether it goes on.
    fn body(&mut self, redactor: &Redactor, message: &Message<'_>, limit: usize) -> bool {
        let headers = BodyHeaders::of(message.head);
        let known = headers.content_type.map(media_type::syntax);
        if let (Some(None), Some(content_type)) = (known, headers.content_type) {
            self.note(redactor, "not plain, content type: ", content_type);
            return false;
        }
        let mut cut = (message.body.len() as u64) < message.body_size;
        let mut body = message.body;
        let encoding = headers.content_encoding.unwrap_or_default();
        let is = |names: [&str; 2]| names.iter().any(|name| encoding.eq_ignore_ascii_case(name.as_bytes()));
        if !encoding.is_empty() && !is(["identity", "none"]) {
            let complete = if is(["gzip", "x-gzip"]) {
                self.inflate.gzip(body, limit, &mut self.decompressed)
            } else if is(["deflate", "zlib"]) {
                self.inflate.deflate(body, limit, &mut self.decompressed)
            } else {
                None
            };
            let Some(complete) = complete else {
                self.note(redactor, "not plain, content encoding: ", encoding);
                return false;
            };
            cut = !complete;
            body = &self.decompressed;
        }
        let (mut syntax, charset) = match known.flatten() {
            Some(known) => known,
            None if media_type::is_text(body) => (Syntax::Plain, Charset::Utf8),
            None => {
                self.text.extend_from_slice(b"[not plain, no content type]");
                return false;
            }
        };
        if syntax == Syntax::Plain {
            syntax = media_type::guess(body);
        }
        if body.len() > limit {
            body = &body[..limit];
            cut = true;
        }
        if charset == Charset::Latin1 {
            self.decoded.clear();
            for byte in body {
                let mut buffer = [0; 2];
                self.decoded.extend_from_slice(char::from(*byte).encode_utf8(&mut buffer).as_bytes());
            }
            body = &self.decoded;
        }
        redactor.write_body(syntax, body, cut, &mut self.text);
        cut
    }

    fn note(&mut self, redactor: &Redactor, what: &str, value: &[u8]) {
        self.text.push(b'[');
        self.text.extend_from_slice(what.as_bytes());
        redactor.write_short(value, false, &mut self.text, &mut self.spare);
        self.text.push(b']');
    }
}

/// How many bytes at the end of a text are the begin of a character.
fn cut_character(text: &[u8]) -> usize {
    // Longer ones are whole or invalid.
    let last = &text[text.len().saturating_sub(3)..];
    let is_continuation = |byte: &u8| *byte & 0xc0 == 0x80;
    let begin = last.iter().rposition(|byte| !is_continuation(byte)).unwrap_or(last.len());
    match std::str::from_utf8(&last[begin..]) {
        Err(error) if error.error_len().is_none() => last.len() - begin,
        _ => 0,
    }
}

/// Whether a head ends with its empty line.
fn ends(head: &[u8]) -> bool {
    head.ends_with(b"\n\r\n") || head.ends_with(b"\n\n")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_character_that_is_cut_is_seen(text in "[a\u{e9}\u{20ac}\u{1f600}]{0,4}", cut in 0_usize..4, stray: Option<u8>) {
            let mut text = text.into_bytes();
            text.truncate(text.len().saturating_sub(cut));
            text.extend(stray);
            let end = text.utf8_chunks().last().map_or(&[][..], |chunk| chunk.invalid());
            let is_begin = std::str::from_utf8(end).is_err_and(|error| error.error_len().is_none());
            prop_assert_eq!(cut_character(&text), if is_begin { end.len() } else { 0 });
        }
    }
}
