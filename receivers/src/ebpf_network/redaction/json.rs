//! JSON, also cut short. What turns out not to be JSON is treated as plain text from there on.

use super::{
    blank,
    names::{self, Names},
    text,
};

/// Appends JSON with the values of secret members blanked.
///
/// One pass over the bytes: what needs no change is appended in one piece with what is around it, and most strings and
/// names are seen to need none by the classes of their bytes.
pub(super) fn write(names: &Names, json: &[u8], cut: bool, out: &mut Vec<u8>) {
    let mut at = 0;
    // What is before has been appended.
    let mut written = 0;
    // The last string, as long as only white space followed: a colon makes it a name.
    let mut name = Text::default();
    // Pairs as objects, `{"name": "password", "value": ...}`: whether a name is next, whether it was a secret's.
    let (mut naming, mut named) = (false, false);
    while let Some(byte) = json.get(at) {
        at += 1;
        match byte {
            b'"' => {
                name = Text::new(&json[at..]);
                if name.classes & PAIRED != 0 || (cut && !name.closed) {
                    out.extend_from_slice(&json[written..at]);
                    text::scrub(names, name.content, cut && !name.closed, out);
                    written = at + name.content.len();
                }
                at += name.length();
                named |= naming && name.marks(names);
                naming = false;
            }
            b':' => {
                let member = std::mem::take(&mut name);
                naming = is_naming(member.content);
                if member.marks(names) || (named && is_valued(member.content)) {
                    at += spaces(&json[at..]);
                    out.extend_from_slice(&json[written..at]);
                    out.push(b'"');
                    blank(out);
                    out.push(b'"');
                    at += value(&json[at..]);
                    written = at;
                }
            }
            b' ' | b'\t' | b'\r' | b'\n' => {}
            b'{' | b'}' | b'[' | b']' | b',' => {
                name = Text::default();
                naming = false;
                named &= matches!(byte, b',' | b'[' | b']');
            }
            _ => {
                at -= 1;
                let length = literal(&json[at..]);
                if length == 0 {
                    out.extend_from_slice(&json[written..at]);
                    return text::lines(names, &json[at..], cut, out);
                }
                at += length;
                name = Text::default();
            }
        }
    }
    out.extend_from_slice(&json[written..]);
}

/// A string, without its quotes.
#[derive(Clone, Copy, Default)]
struct Text<'j> {
    content: &'j [u8],
    closed: bool,
    /// Of all its bytes.
    classes: u8,
}

/// Ends a string.
const QUOTE: u8 = 1;
/// Takes the meaning of the byte after it.
const ESCAPE: u8 = 2;
/// Without these there are no pairs and no URLs in a text.
const PAIRED: u8 = 4;
/// Without these a name is what it looks like.
const INVOLVED: u8 = 8;

static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0_u8;
    loop {
        let mut class = match byte {
            b'"' => QUOTE,
            b'\\' => ESCAPE,
            b'=' | b':' | b'%' | b'@' => PAIRED,
            _ => 0,
        };
        if names::is_involved(byte) {
            class |= INVOLVED;
        }
        classes[byte as usize] = class;
        if byte == u8::MAX {
            break classes;
        }
        byte += 1;
    }
};

impl<'j> Text<'j> {
    /// What follows an opening quote.
    fn new(json: &'j [u8]) -> Self {
        let mut classes = 0;
        let mut at = 0;
        while let Some(byte) = json.get(at) {
            let class = CLASSES[usize::from(*byte)];
            if class & QUOTE != 0 {
                return Self { content: &json[..at], closed: true, classes };
            }
            classes |= class;
            at += 1;
            if class & ESCAPE != 0 {
                classes |= json.get(at).map_or(0, |byte| CLASSES[usize::from(*byte)]);
                at += 1;
            }
        }
        Self { content: json, closed: false, classes }
    }

    /// With the quote that closes it.
    fn length(&self) -> usize {
        self.content.len() + usize::from(self.closed)
    }

    fn marks(&self, names: &Names) -> bool {
        if self.classes & INVOLVED == 0 {
            names.marks_plainly(self.content)
        } else {
            names.marks(self.content)
        }
    }
}

/// Whether a member has the name of a pair.
fn is_naming(member: &[u8]) -> bool {
    let known: &[u8] = match member.len() {
        2 => b"id",
        3 => b"key",
        4 => b"name",
        5 => b"field",
        6 => b"header",
        _ => return false,
    };
    member.eq_ignore_ascii_case(known)
}

/// Whether a member has the value of a pair.
fn is_valued(member: &[u8]) -> bool {
    [&b"value"[..], b"values", b"val", b"content", b"data"]
        .iter()
        .any(|known| member.eq_ignore_ascii_case(known))
}

/// The content of a string, its opening quote left out, and whether it is closed.
fn string(text: &[u8]) -> (&[u8], bool) {
    let mut at = 0;
    while let Some(step) = memchr::memchr2(b'"', b'\\', &text[at..]) {
        at += step;
        if text[at] == b'"' {
            return (&text[..at], true);
        }
        at = (at + 2).min(text.len());
    }
    (text, false)
}

/// How much of `json` a value takes, whatever it is: all, if it is not complete or not followed by what follows values.
fn value(json: &[u8]) -> usize {
    let length = match json.first() {
        Some(b'"') => string(&json[1..]).0.len() + 2,
        Some(b'{' | b'[') => nested(json),
        _ => literal(json),
    };
    let rest = json.get(length..).unwrap_or_default();
    match rest.get(spaces(rest)) {
        None | Some(b',' | b'}' | b']') => length.min(json.len()),
        // Where something that is no JSON ends, nobody can tell.
        Some(_) => json.len(),
    }
}

/// How long an object or array is.
fn nested(json: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(byte) = json.get(at) {
        at += 1;
        match byte {
            b'"' => {
                let (content, closed) = string(&json[at..]);
                at += content.len() + usize::from(closed);
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth <= 1 => return at,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
    }
    at
}

/// How long a number or a name of a value is; 0 if there is none.
fn literal(json: &[u8]) -> usize {
    if let Some(name) = [&b"true"[..], b"false", b"null"].into_iter().find(|name| json.starts_with(name)) {
        return name.len();
    }
    let is_number = |byte: &&u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
    match json.first() {
        Some(b'-' | b'0'..=b'9') => json.iter().take_while(is_number).count(),
        _ => 0,
    }
}

fn spaces(json: &[u8]) -> usize {
    json.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ebpf_network::redaction::names::FIELDS;

    fn written(json: &str) -> String {
        let names = Names::new(FIELDS, std::iter::empty()).unwrap();
        let mut out = Vec::new();
        write(&names, json.as_bytes(), true, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn secret_members_are_blanked_whatever_they_hold() {
        for (json, expected) in [
            (r#"{"a":1,"password":"abc","b":[true]}"#, r#"{"a":1,"password":"REDACTED","b":[true]}"#),
            (r#"[{"x":{"Api-Key" : {"v":["abc","]}"]}}}]"#, r#"[{"x":{"Api-Key" : "REDACTED"}}]"#),
            (r#"{"pin":1234,"z":null}"#, r#"{"pin":"REDACTED","z":null}"#),
            (r#"{"p\u0061ssw\u006frd":"a\"bc","z":1}"#, r#"{"p\u0061ssw\u006frd":"REDACTED","z":1}"#),
            (r#"{"token":["abc",{"d":"#, r#"{"token":"REDACTED""#),
            (r#"{"token":"ab\"#, r#"{"token":"REDACTED""#),
            (r#"{"token":"ab"cd","z":1}"#, r#"{"token":"REDACTED""#),
            (r#"{"token":true"password":"abc"}"#, r#"{"token":"REDACTED""#),
            (r#"{"token":,"z":1}"#, r#"{"token":"REDACTED","z":1}"#),
            (r#"{"token"#, r#"{"token"#),
            (
                r#"[{"name":"Api-Key","x":["y"],"value":"abc"},{"name":"n","value":"v"}]"#,
                r#"[{"name":"Api-Key","x":["y"],"value":"REDACTED"},{"name":"n","value":"v"}]"#,
            ),
            ("{\"token\":1}\n{\"token\":2}\n", "{\"token\":\"REDACTED\"}\n{\"token\":\"REDACTED\"}\n"),
        ] {
            assert_eq!(written(json), expected, "{json}");
        }
    }

    #[test]
    fn strings_are_text_themselves() {
        for (json, expected) in [
            (r#"{"u":"http:\/\/a:b@c"}"#, r#"{"u":"http:\/\/REDACTED@c"}"#),
            (r#"{"log":"{\"password\":\"abc\"}","z":1}"#, r#"{"log":"{\"password\":REDACTED","z":1}"#),
            (r#"{"u":"/?token=abc&x=1"}"#, r#"{"u":"/?token=REDACTED&x=1"}"#),
            (r#"{"u":"http://a:b"#, r#"{"u":"http://REDACTED"#),
        ] {
            assert_eq!(written(json), expected, "{json}");
        }
    }

    #[test]
    fn what_is_no_json_is_plain_text() {
        assert_eq!(written("{password: 'abc', x: 1}\nx=1"), "{password: REDACTED\nx=1");
        assert_eq!(written("{\"a\":1} trailing token=abc"), "{\"a\":1} trailing token=REDACTED");
    }

    /// Token by token, each string scrubbed and each name decoded: the long way.
    fn model(names: &Names, json: &[u8], cut: bool) -> Vec<u8> {
        let mut out = Vec::new();
        let (mut at, mut name, mut naming, mut named) = (0, &[][..], false, false);
        while let Some(byte) = json.get(at) {
            let begin = at;
            at += 1;
            match byte {
                b'"' => {
                    let (content, closed) = string(&json[at..]);
                    out.push(b'"');
                    text::scrub(names, content, cut && !closed, &mut out);
                    out.extend(closed.then_some(b'"'));
                    at += content.len() + usize::from(closed);
                    named |= naming && names.marks(content);
                    (name, naming) = (content, false);
                    continue;
                }
                b':' => {
                    let member = name.to_ascii_lowercase();
                    naming = matches!(&member[..], b"name" | b"key" | b"id" | b"field" | b"header");
                    let valued = matches!(&member[..], b"value" | b"values" | b"val" | b"content" | b"data");
                    if names.marks(name) || named && valued {
                        at += spaces(&json[at..]);
                        out.extend_from_slice(&json[begin..at]);
                        out.extend_from_slice(b"\"REDACTED\"");
                        at += value(&json[at..]);
                        name = &[];
                        continue;
                    }
                }
                b' ' | b'\t' | b'\r' | b'\n' => {
                    out.push(*byte);
                    continue;
                }
                b'{' | b'}' | b'[' | b']' | b',' => {
                    naming = false;
                    named &= matches!(byte, b',' | b'[' | b']');
                }
                _ => {
                    at = begin + literal(&json[begin..]);
                    if at == begin {
                        text::lines(names, &json[begin..], cut, &mut out);
                        return out;
                    }
                }
            }
            out.extend_from_slice(&json[begin..at]);
            name = &[];
        }
        out
    }

    proptest! {
        #[test]
        fn one_pass_leads_where_the_long_way_does(
            tokens in proptest::collection::vec(
                prop_oneof![
                    4 => proptest::sample::select(vec!["{", "}", "[", "]", ",", ":", " ", "\n", "1", "true", "\"", "x"]),
                    2 => proptest::sample::select(vec!["\"name\":", "\"value\":", "\"token\":", "\"a\":", "\"api.Key\":"]),
                    1 => proptest::sample::select(vec![
                        "\"p\\u0061ssword\":", "\"Token\"", "\"http://a:b@c/?sid=1&x=2\"", "\"a\\\"b\"", "\"x%3Dy\"", "\"12:30\"",
                        "\"http://a:b", "\"{\\\"password\\\":\\\"a\\\"}\"", "\\",
                    ]),
                ],
                0..24,
            ),
            cut: bool,
        ) {
            let names = Names::new(FIELDS, std::iter::empty()).unwrap();
            let json = tokens.concat();
            let mut out = Vec::new();
            write(&names, json.as_bytes(), cut, &mut out);
            prop_assert_eq!(String::from_utf8(out), String::from_utf8(model(&names, json.as_bytes(), cut)), "{}", json);
        }
    }

    #[test]
    fn depth_does_not_matter() {
        let json = format!("{}{{\"token\":{}\"abc\"", "[".repeat(100_000), "[".repeat(100_000));
        assert!(written(&json).ends_with("{\"token\":\"REDACTED\""));
    }
}
