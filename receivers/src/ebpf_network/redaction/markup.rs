//! XML and HTML, also cut short and malformed.

use super::{blank, names::Names, text};

/// Appends markup with the text of secret elements, and the values of secret attributes and form fields, blanked.
pub(super) fn write(names: &Names, markup: &[u8], cut: bool, out: &mut Vec<u8>) {
    let mut rest = markup;
    while !rest.is_empty() {
        let text = memchr::memchr(b'<', rest).unwrap_or(rest.len());
        text::lines(names, &rest[..text], cut && text == rest.len(), out);
        rest = &rest[text..];
        if rest.is_empty() {
            return;
        }
        let length = tag_length(rest);
        let (tag, after) = rest.split_at(length);
        write_tag(names, tag, cut && after.is_empty(), out);
        rest = after;
        let element = element(tag);
        if names.contains(local(element)) {
            blank(out);
            rest = &rest[end(rest, element)..];
        }
    }
}

/// How long the tag is that `markup` begins with; quotes may hold `>`.
fn tag_length(markup: &[u8]) -> usize {
    let mut quote = None;
    for (at, byte) in markup.iter().enumerate() {
        match (quote, byte) {
            (None, b'>') => return at + 1,
            (None, b'"' | b'\'') => quote = Some(*byte),
            (Some(open), byte) if open == *byte => quote = None,
            _ => {}
        }
    }
    // A quote that is never closed: the tag ends where it would without quotes.
    memchr::memchr(b'>', markup).map_or(markup.len(), |end| end + 1)
}

/// Where an element is closed, the end if nowhere.
fn end(markup: &[u8], element: &[u8]) -> usize {
    memchr::memmem::find_iter(markup, b"</")
        .find(|at| {
            markup.get(at + 2..at + 2 + element.len()).is_some_and(|name| name.eq_ignore_ascii_case(element))
        })
        .unwrap_or(markup.len())
}

/// The name of the element that a tag opens, or nothing.
fn element(tag: &[u8]) -> &[u8] {
    let name = tag.get(1..).unwrap_or_default();
    let end = name.iter().position(|byte| !is_name(*byte)).unwrap_or(name.len());
    if tag.ends_with(b"/>") { &[] } else { &name[..end] }
}

/// A name without the prefix of its namespace.
fn local(name: &[u8]) -> &[u8] {
    memchr::memrchr(b':', name).map_or(name, |colon| &name[colon + 1..])
}

/// Appends a tag. If a value names a secret, as in `<input name="password" value="...">`, all its other values are blanked.
fn write_tag(names: &Names, tag: &[u8], cut: bool, out: &mut Vec<u8>) {
    let secret = attributes(tag).any(|(name, value)| is_naming(&tag[name]) && names.contains(&tag[value]));
    let mut written = 0;
    for (name, value) in attributes(tag) {
        let naming = is_naming(&tag[name.clone()]);
        if names.contains(&tag[name.clone()]) || (secret && !naming && !is_type(&tag[name])) {
            out.extend_from_slice(&tag[written..value.start]);
            blank(out);
            written = value.end;
        } else {
            out.extend_from_slice(&tag[written..value.start]);
            text::scrub(names, &tag[value.clone()], cut && value.end == tag.len(), out);
            written = value.end;
        }
    }
    // What has no attributes may still hold pairs: comments, instructions.
    text::lines(names, &tag[written..], cut, out);
}

fn is_naming(name: &[u8]) -> bool {
    ["name", "id", "key", "property", "itemprop"]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

fn is_type(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"type")
}

/// Where names and values of a tag's attributes stand.
fn attributes(tag: &[u8]) -> impl Iterator<Item = (std::ops::Range<usize>, std::ops::Range<usize>)> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let equals = from + memchr::memchr(b'=', tag.get(from..)?)?;
        let before = tag[from..equals].trim_ascii_end();
        let start = before.iter().rposition(|byte| !is_name(*byte)).map_or(0, |last| last + 1);
        let name = from + start..from + before.len();
        let mut value = equals + 1;
        while tag.get(value).is_some_and(u8::is_ascii_whitespace) {
            value += 1;
        }
        let rest = tag.get(value..).unwrap_or_default();
        let (begin, length) = match rest.first() {
            Some(quote @ (b'"' | b'\'')) => (1, memchr::memchr(*quote, &rest[1..]).unwrap_or(rest.len() - 1)),
            _ => (
                0,
                rest.iter()
                    .position(|byte| byte.is_ascii_whitespace() || *byte == b'>')
                    .unwrap_or(rest.len()),
            ),
        };
        from = value + begin + length;
        Some((name, value + begin..from))
    })
}

const fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':') || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ebpf_network::redaction::names::FIELDS;

    #[test]
    fn secrets_in_markup_are_blanked() {
        let names = Names::new(FIELDS, std::iter::empty()).unwrap();
        for (markup, expected) in [
            ("<a><Password x='1'>abc</Password>t</a>", "<a><Password x='1'>REDACTED</Password>t</a>"),
            (
                "<wsse:Password Type=\"t\"><![CDATA[abc]]></wsse:Password>",
                "<wsse:Password Type=\"t\">REDACTED</wsse:Password>",
            ),
            ("<u password=\"abc\" n='1'/>", "<u password=\"REDACTED\" n='1'/>"),
            (
                "<input type=hidden name=csrf_token value=abc>x",
                "<input type=hidden name=csrf_token value=REDACTED>x",
            ),
            ("<input value='a>bc' name='password'>", "<input value='REDACTED' name='password'>"),
            ("<a href=\"/x?token=abc&y=1\">go</a>", "<a href=\"/x?token=REDACTED&y=1\">go</a>"),
            ("<p>token: abc\n<b>x</b>", "<p>token: REDACTED\n<b>x</b>"),
            ("<token>ab", "<token>REDACTED"),
            ("<secret>a<b>b</b>c</SECRET>d", "<secret>REDACTED</SECRET>d"),
            ("<!-- password=abc", "<!-- password=REDACTED"),
            ("<x password=\"ab", "<x password=\"REDACTED"),
            ("<", "<"),
        ] {
            let mut out = Vec::new();
            write(&names, markup.as_bytes(), true, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{markup}");
        }
    }
}
