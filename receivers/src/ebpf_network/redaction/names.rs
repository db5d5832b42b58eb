//! Names that mark secrets.

use super::{automaton::Automaton, expression::Expression};

/// Headers, as lower-case letters and digits. Contained are `proxy-authorization`, `set-cookie`, `www-authenticate`,
/// `x-api-key`, `x-auth-token`, `x-amz-security-token`, `x-csrf-token` and `*-jwt-assertion`. Kubernetes passes bearer
/// tokens in `sec-websocket-protocol`.
pub(super) const HEADERS: &str = "authori[sz]ation|authenticat|cookie|token|secret|passw|passphrase|apikey|accesskey|privatekey|\
     credential|session|signature|jwt|csrf|xsrf|assertion|bearer|(?:key|auth|pwd)$|^(?:secwebsocketprotocol|dpop|pass)$";

/// Query keys, fields and members, as lower-case letters and digits.
pub(super) const FIELDS: &str = "passw|passphrase|secret|apikey|accesskey|privatekey|credential|authori[sz]ation|cookie|\
     sessionid|sessionkey|csrf|xsrf|jwt|assertion|cardnumber|creditcard|codeverifier|\
     (?:token|signature|pwd|auth|sessid|otp)$|^(?:pass|pw|pin|cvv|cvc|ssn|sig|sid|bearer|cred|creds)$";

/// Query keys beyond these: names that mean other things elsewhere.
pub(super) const QUERY: &str = "^(?:key|code|session)$";

/// Names are compared by this many of their first and last bytes.
const LONGEST: usize = 256;

/// A set of names.
#[derive(Debug)]
pub(super) struct Names {
    expression: Expression,
    /// The same, if it is not too large.
    automaton: Option<Automaton>,
}

impl Names {
    /// The names that `builtin` matches, and these, in which `*` stands for any characters.
    pub(super) fn new<'a>(
        builtin: &str,
        configured: impl Iterator<Item = &'a str>,
    ) -> Result<Self, regex::Error> {
        let mut expression = builtin.to_owned();
        for name in configured {
            let parts: Vec<_> = name.split('*').map(|part| plain(part).collect::<String>()).collect();
            expression += &format!("|^{}$", parts.join(".*"));
        }
        let expression = Expression::new(&expression)?;
        let automaton = match &expression {
            Expression::Table(states) => Automaton::new(states),
            Expression::Regex(_) => None,
        };
        Ok(Self { expression, automaton })
    }

    /// Whether this name, written in any case and with any punctuation, is one of them.
    pub(super) fn contains(&self, name: &[u8]) -> bool {
        if name.len() > LONGEST {
            return self.contains(&name[..LONGEST]) || self.contains(&name[name.len() - LONGEST..]);
        }
        if let Some(automaton) = &self.automaton {
            return automaton.is_match(name);
        }
        let mut plain = [0; LONGEST];
        let mut length = 0;
        for byte in name.iter().map(|byte| PLAIN[usize::from(*byte)]).filter(|byte| *byte != 0) {
            plain[length] = byte;
            length += 1;
        }
        length > 0 && self.expression.is_match(&plain[..length])
    }

    /// Whether what stands before `=` or `:` ends with such a name, whatever it is encoded in.
    pub(super) fn marks(&self, before: &[u8]) -> bool {
        let before = end(before);
        if memchr::memchr2(b'%', b'\\', before).is_some() {
            return self.marks_encoded(before);
        }
        // What `decode` makes of the only other code.
        let bare = |byte: &u8| if *byte == b'+' { b' ' } else { *byte };
        let end = before.iter().rposition(|byte| !is_trimmed(bare(byte))).map_or(0, |last| last + 1);
        let name = &before[..end];
        let name =
            name.iter().rposition(|byte| is_separator(bare(byte))).map_or(name, |last| &name[last + 1..]);
        self.contains_any(name)
    }

    /// As [`Names::marks`], of a text without [involved](is_involved) bytes.
    pub(super) fn marks_plainly(&self, before: &[u8]) -> bool {
        self.contains(end(before))
    }

    fn marks_encoded(&self, before: &[u8]) -> bool {
        let mut decoded = [0; LONGEST];
        let mut length = 0;
        let mut at = 0;
        while at < before.len() {
            let (byte, size) = decode(&before[at..]);
            decoded[length] = byte;
            length += 1;
            at += size;
        }
        let end = decoded[..length].iter().rposition(|byte| !is_trimmed(*byte)).map_or(0, |last| last + 1);
        let name = &decoded[..end];
        let name = name.iter().rposition(|byte| is_separator(*byte)).map_or(name, |last| &name[last + 1..]);
        self.contains_any(name)
    }

    /// Whether a name, or a part of one such as `user[password]`, is one of them.
    fn contains_any(&self, name: &[u8]) -> bool {
        self.contains(name)
            || (memchr::memchr2(b'[', b'.', name).is_some()
                && name.split(|byte| matches!(byte, b'[' | b'.')).any(|part| self.contains(part)))
    }
}

/// What is compared of a long text.
fn end(text: &[u8]) -> &[u8] {
    &text[text.len().saturating_sub(LONGEST)..]
}

/// Lower-case letters and digits of a name, ready for an expression.
fn plain(name: &str) -> impl Iterator<Item = char> {
    name.chars()
        .filter(|character| character.is_ascii_alphanumeric() || !character.is_ascii())
        .map(|character| character.to_ascii_lowercase())
}

/// Each byte as names are compared: lower case, 0 for what does not count.
pub(super) static PLAIN: [u8; 256] = {
    let mut plain = [0; 256];
    let mut byte = 0_u8;
    loop {
        if byte.is_ascii_alphanumeric() || byte >= 0x80 {
            plain[byte as usize] = byte.to_ascii_lowercase();
        }
        if byte == u8::MAX {
            break plain;
        }
        byte += 1;
    }
};

/// Whether a byte may make more of what stands before `=` or `:` than a name: a code, an end, a part.
pub(super) const fn is_involved(byte: u8) -> bool {
    is_trimmed(byte) || is_separator(byte) || matches!(byte, b'%' | b'+' | b'[' | b'.')
}

/// What may stand between a name and `=` or `:`.
const fn is_trimmed(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'"' | b'\'' | b'\\' | b']' | b'`')
}

/// What ends whatever stands before a name.
const fn is_separator(byte: u8) -> bool {
    byte.is_ascii_whitespace()
        || matches!(
            byte,
            b'?' | b'&'
                | b';'
                | b'#'
                | b','
                | b'{'
                | b'}'
                | b'('
                | b')'
                | b'<'
                | b'>'
                | b'|'
                | b'/'
                | b'='
                | b':'
                | b'"'
                | b'\''
                | b'`'
        )
}

/// The character at the start of `text`, and how many bytes it takes: percent-encoded (also repeatedly), as a JSON
/// escape, or as it is.
pub(super) fn decode(text: &[u8]) -> (u8, usize) {
    match text {
        [b'%', rest @ ..] => {
            let mut size = 1;
            let mut rest = rest;
            while let Some(byte) = hexadecimal(rest, 2) {
                size += 2;
                rest = &rest[2..];
                match u8::try_from(byte) {
                    Ok(b'%') if hexadecimal(rest, 2).is_some() => {}
                    Ok(byte) => return (byte, size),
                    Err(_) => break,
                }
            }
            (b'%', 1)
        }
        [b'\\', b'u', rest @ ..] => match hexadecimal(rest, 4).map(u8::try_from) {
            Some(Ok(byte)) if byte < 0x80 => (byte, 6),
            _ => (b'\\', 1),
        },
        [b'+', ..] => (b' ', 1),
        [byte, ..] => (*byte, 1),
        [] => (0, 1),
    }
}

fn hexadecimal(text: &[u8], digits: usize) -> Option<u32> {
    text.get(..digits)?.iter().try_fold(0, |value, digit| Some(value << 4 | char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers() -> Names {
        Names::new(HEADERS, ["x-internal-*", "Trace_Me"].into_iter()).unwrap()
    }

    #[test]
    fn headers_with_secrets_are_known() {
        for name in [
            "Authorization",
            "PROXY-AUTHORIZATION",
            "cookie",
            "Set-Cookie",
            "set-cookie2",
            "WWW-Authenticate",
            "Proxy-Authenticate",
            "Authentication-Info",
            "X-Api-Key",
            "x_api_key",
            "X-Auth-Token",
            "X-Amz-Security-Token",
            "X-CSRF-Token",
            "x-xsrf-token",
            "X-Goog-IAP-JWT-Assertion",
            "api-key",
            "X-Vault-Token",
            "X-Functions-Key",
            "Ocp-Apim-Subscription-Key",
            "Mcp-Session-Id",
            "DPoP",
            "X-Auth",
            "Sec-WebSocket-Protocol",
            "X-Hub-Signature-256",
            "x-internal-anything",
            "trace-me",
        ] {
            assert!(headers().contains(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn other_headers_are_not() {
        for name in [
            "Host",
            "Accept",
            "User-Agent",
            "Content-Type",
            "Content-Length",
            "traceparent",
            "tracestate",
            "b3",
            "X-B3-TraceId",
            "X-B3-SpanId",
            "X-B3-Sampled",
            "sw8",
            "sw8-correlation",
            "X-Request-Id",
            "Date",
            "Server",
            "Referer",
            "Location",
            "Origin",
            "Cache-Control",
            "Forwarded",
            "X-Forwarded-For",
            "Connection",
            "ETag",
            "",
        ] {
            assert!(!headers().contains(name.as_bytes()), "{name}");
        }
    }

    proptest! {
        #[test]
        fn the_short_way_leads_to_the_same(text in "[ -~\\t\u{e9}]{0,3}(token|PASS-word|si_d|x)[a-z0-9_-]{0,3}[ -~]{0,2}") {
            let names = Names::new(FIELDS, std::iter::empty()).unwrap();
            let marked = names.marks(text.as_bytes());
            prop_assert_eq!(marked, names.marks_encoded(text.as_bytes()));
            if !text.bytes().any(is_involved) {
                prop_assert_eq!(marked, names.marks_plainly(text.as_bytes()));
            }
        }
    }

    #[test]
    fn names_are_found_in_any_encoding() {
        let names = Names::new(FIELDS, std::iter::empty()).unwrap();
        for before in [
            "password",
            "Password ",
            "user[password]",
            "user%5Bpassword%5D",
            "%70assword",
            "%2570assword",
            "a=1;token",
            "{\\\"password\\\"",
            "next=/x%3Faccess_token",
            "\\u0026sig",
            "user.pwd.0",
            "pass[0]",
            "\"api-key\" ",
            "-H 'X-Secret",
            "p\\u0061ssword",
            "db.password",
        ] {
            assert!(names.marks(before.as_bytes()), "{before}");
        }
        for before in [
            "",
            "max_tokens",
            "user",
            "https",
            "passport",
            "spin",
            "inside",
            "12",
            "author",
            "%",
            "%4",
            "a%zz",
        ] {
            assert!(!names.marks(before.as_bytes()), "{before}");
        }
    }
}
