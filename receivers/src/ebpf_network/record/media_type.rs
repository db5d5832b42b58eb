//! What a message's headers say of its body.

use crate::ebpf_network::redaction::Syntax;

/// The headers that matter for reading a body. Of repeated ones the first counts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BodyHeaders<'a> {
    pub(super) content_type: Option<&'a [u8]>,
    pub(super) content_encoding: Option<&'a [u8]>,
}

/// How the characters of a text are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Charset {
    Utf8,
    Latin1,
}

impl<'a> BodyHeaders<'a> {
    pub(super) fn of(head: &'a [u8]) -> Self {
        let mut found = Self::default();
        for line in head.split(|byte| *byte == b'\n').skip(1) {
            let Some(colon) = memchr::memchr(b':', line) else { continue };
            let (name, value) = (line[..colon].trim_ascii(), line[colon + 1..].trim_ascii());
            if name.eq_ignore_ascii_case(b"content-type") {
                found.content_type.get_or_insert(value);
            } else if name.eq_ignore_ascii_case(b"content-encoding") {
                found.content_encoding.get_or_insert(value);
            }
        }
        found
    }
}

/// How to read a body of this content type; `None` if it is not text, or in a charset that this build does not read.
pub(super) fn syntax(content_type: &[u8]) -> Option<(Syntax, Charset)> {
    let mut parts = content_type.split(|byte| *byte == b';');
    let lower = parts.next()?.trim_ascii().to_ascii_lowercase();
    let charset = parts
        .find_map(|parameter| {
            let equals = memchr::memchr(b'=', parameter)?;
            let (name, value) = (parameter[..equals].trim_ascii(), parameter[equals + 1..].trim_ascii());
            name.eq_ignore_ascii_case(b"charset").then(|| value.trim_ascii_start())
        })
        .map_or(Some(Charset::Utf8), charset)?;
    let lower = std::str::from_utf8(&lower).ok()?;
    let syntax = match lower {
        "application/x-www-form-urlencoded" => Syntax::Form,
        "application/json"
        | "text/json"
        | "application/x-ndjson"
        | "application/jsonlines"
        | "application/json-seq" => Syntax::Json,
        "application/xml" | "text/xml" | "text/html" => Syntax::Markup,
        "application/javascript"
        | "application/x-javascript"
        | "application/ecmascript"
        | "application/graphql"
        | "application/yaml"
        | "application/x-yaml"
        | "application/toml"
        | "application/sql" => Syntax::Plain,
        other if other.ends_with("+json") => Syntax::Json,
        other if other.ends_with("+xml") => Syntax::Markup,
        other if other.ends_with("+yaml") || other.starts_with("text/") => Syntax::Plain,
        _ => return None,
    };
    Some((syntax, charset))
}

fn charset(name: &[u8]) -> Option<Charset> {
    let name = name.strip_prefix(b"\"").unwrap_or(name);
    let name = name.strip_suffix(b"\"").unwrap_or(name);
    let is = |known: &[&str]| known.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
    if is(&["utf-8", "utf8", "us-ascii", "ascii", ""]) {
        Some(Charset::Utf8)
    } else if is(&["iso-8859-1", "iso8859-1", "latin1", "l1"]) {
        Some(Charset::Latin1)
    } else {
        None
    }
}

/// What text seems to be written in, for types that do not say.
pub(super) fn guess(body: &[u8]) -> Syntax {
    match body.trim_ascii_start().first() {
        Some(b'{' | b'[') => Syntax::Json,
        Some(b'<') => Syntax::Markup,
        _ => Syntax::Plain,
    }
}

/// Whether bytes without a type are text: UTF-8, apart from a last character that may be cut, and no control characters.
pub(super) fn is_text(body: &[u8]) -> bool {
    let valid = match std::str::from_utf8(body) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    valid && !body.iter().any(|byte| byte.is_ascii_control() && !byte.is_ascii_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_with_text_are_known() {
        for (content_type, expected) in [
            ("application/json; charset=UTF-8", Some((Syntax::Json, Charset::Utf8))),
            ("Application/Problem+JSON", Some((Syntax::Json, Charset::Utf8))),
            ("text/html;q=1;Charset=\"ISO-8859-1\"", Some((Syntax::Markup, Charset::Latin1))),
            ("application/soap+xml", Some((Syntax::Markup, Charset::Utf8))),
            ("application/x-www-form-urlencoded", Some((Syntax::Form, Charset::Utf8))),
            ("text/event-stream", Some((Syntax::Plain, Charset::Utf8))),
            ("text/html; charset=shift_jis", None),
            ("image/png", None),
            ("multipart/form-data; boundary=x", None),
            ("application/grpc", None),
        ] {
            assert_eq!(syntax(content_type.as_bytes()), expected, "{content_type}");
        }
    }

    #[test]
    fn text_without_a_type_is_told_from_bytes() {
        assert!(is_text("a\r\n\tgr\u{fc}n".as_bytes()));
        assert!(is_text(&"gr\u{fc}".as_bytes()[..3]));
        assert!(!is_text(b"a\xffb") && !is_text(b"a\0b"));
    }
}
