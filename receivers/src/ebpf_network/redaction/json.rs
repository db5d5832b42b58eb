//! JSON, also cut short. What turns out not to be JSON is treated as plain text from there on.

use super::{blank, names::Names, text};

/// Appends JSON with the values of secret members blanked.
pub(super) fn write(names: &Names, json: &[u8], cut: bool, out: &mut Vec<u8>) {
    let mut at = 0;
    // The last string, as long as only white space followed: a colon makes it a name.
    let mut name: Option<&[u8]> = None;
    // Pairs as objects, `{"name": "password", "value": ...}`: whether a name is next, whether it was a secret's.
    let (mut naming, mut named) = (false, false);
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => {
                let (content, closed) = string(&json[at + 1..]);
                out.push(b'"');
                text::scrub(names, content, cut && !closed, out);
                if closed {
                    out.push(b'"');
                }
                at += 1 + content.len() + usize::from(closed);
                named |= naming && names.marks(content);
                naming = false;
                name = Some(content);
            }
            b':' => {
                out.push(b':');
                at += 1;
                let member = name.take().unwrap_or_default();
                naming = is_any(member, &["name", "key", "id", "field", "header"]);
                if names.marks(member)
                    || (named && is_any(member, &["value", "values", "val", "content", "data"]))
                {
                    let spaces = spaces(&json[at..]);
                    out.extend_from_slice(&json[at..at + spaces]);
                    at += spaces;
                    out.push(b'"');
                    blank(out);
                    out.push(b'"');
                    at += value(&json[at..]);
                }
            }
            b' ' | b'\t' | b'\r' | b'\n' => {
                out.push(*byte);
                at += 1;
            }
            b'{' | b'}' | b'[' | b']' | b',' => {
                out.push(*byte);
                at += 1;
                name = None;
                naming = false;
                named &= matches!(byte, b',' | b'[' | b']');
            }
            _ => {
                let length = literal(&json[at..]);
                if length == 0 {
                    return text::lines(names, &json[at..], cut, out);
                }
                out.extend_from_slice(&json[at..at + length]);
                at += length;
                name = None;
            }
        }
    }
}

fn is_any(name: &[u8], known: &[&str]) -> bool {
    known.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
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

    #[test]
    fn depth_does_not_matter() {
        let json = format!("{}{{\"token\":{}\"abc\"", "[".repeat(100_000), "[".repeat(100_000));
        assert!(written(&json).ends_with("{\"token\":\"REDACTED\""));
    }
}
