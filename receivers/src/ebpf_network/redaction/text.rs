//! Text that may hold `key=value` or `key: value` pairs and URLs, plain or encoded in one another.

use super::{
    blank,
    names::{Names, decode},
};

/// How a text ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct End {
    /// Within a secret.
    pub(super) secret: bool,
    /// Right before one: its name and nothing but punctuation after it.
    pub(super) name: bool,
}

/// Appends `text` with secrets blanked: the values of secret keys up to the next `&`, and user information of URLs.
/// `cut` says that the text goes on, so that what may be the begin of user information at its end is blanked too.
pub(super) fn scrub(names: &Names, text: &[u8], cut: bool, out: &mut Vec<u8>) -> End {
    let mut scrubber = Scrubber { text, written: 0, after: 0, out };
    let mut end = End::default();
    let mut key = 0;
    let mut at = 0;
    while let Some(step) = next_sign(&text[at..]) {
        let here = at + step;
        let (character, size) = decode(&text[here..]);
        at = here + size;
        match character {
            b'=' | b':' if names.marks(&text[key..here]) => {
                at = scrubber.value(at, &mut end);
                key = at;
            }
            b'=' | b':' => key = at,
            b'@' => at = scrubber.user_information(here, at),
            _ => {}
        }
    }
    scrubber.finish(cut);
    end
}

/// Whether [`scrub`] leaves a text as it is, if that does not go on and what is before it marks nothing.
pub(super) fn is_plain(text: &[u8]) -> bool {
    next_sign(text).is_none()
}

/// Where the first byte is that a pair or user information may show itself by.
fn next_sign(text: &[u8]) -> Option<usize> {
    let is_sign = |byte: &u8| matches!(byte, b'=' | b':' | b'%' | b'@');
    let (chunks, rest) = text.as_chunks::<16>();
    for (place, chunk) in chunks.iter().enumerate() {
        // Without an early end, so that it is done for all of them at a time.
        if chunk.iter().fold(false, |any, byte| any | is_sign(byte)) {
            return chunk.iter().position(is_sign).map(|at| place * 16 + at);
        }
    }
    rest.iter().position(is_sign).map(|at| chunks.len() * 16 + at)
}

/// As [`scrub`], line by line: the secret of a line ends with it, unless the line has only its name.
pub(super) fn lines(names: &Names, text: &[u8], cut: bool, out: &mut Vec<u8>) {
    let mut rest = text;
    let mut due = false;
    while !rest.is_empty() {
        let length = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        let (line, tail) = rest.split_at(length);
        rest = tail;
        let content = line.trim_ascii_end();
        if due && !content.is_empty() {
            blank(out);
            due = false;
        } else {
            due |= scrub(names, content, cut && tail.is_empty(), out).name;
        }
        out.extend_from_slice(&line[content.len()..]);
    }
}

struct Scrubber<'a> {
    text: &'a [u8],
    /// What is before is done with.
    written: usize,
    /// Where user information cannot begin before.
    after: usize,
    out: &'a mut Vec<u8>,
}

impl Scrubber<'_> {
    /// Blanks the value that begins at `start`; gives where it ends.
    fn value(&mut self, start: usize, end: &mut End) -> usize {
        let spaces = self.text[start..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let value = &self.text[start + spaces..];
        let length = memchr::memchr(b'&', value).unwrap_or(value.len());
        self.copy_to(start + spaces);
        blank(self.out);
        self.written = start + spaces + length;
        self.after = self.written;
        *end = End {
            secret: self.written == self.text.len(),
            name: self.written == self.text.len()
                && value[..length]
                    .iter()
                    .all(|byte| byte.is_ascii_whitespace() || byte.is_ascii_punctuation()),
        };
        self.written
    }

    /// Blanks what is before the `@` at `sign` if it is part of a URL; gives where to read on.
    fn user_information(&mut self, sign: usize, next: usize) -> usize {
        let before = &self.text[self.after..sign];
        let found = authority(before).filter(|start| may_be_credentials(&before[*start..]));
        let mut next = next;
        if let Some(start) = found {
            self.copy_to(self.after + start);
            blank(self.out);
            // A password may hold the sign itself.
            let rest = &self.text[next..];
            let end = rest.iter().position(|byte| ends_authority(*byte)).unwrap_or(rest.len());
            self.written = sign;
            if let Some(last) = memchr::memrchr(b'@', &rest[..end]) {
                self.written = next + last;
                next += last + 1;
            }
        }
        self.after = next;
        next
    }

    fn finish(mut self, cut: bool) {
        if cut {
            let rest = &self.text[self.after.max(self.written)..];
            if let Some(start) = authority(rest).filter(|start| may_be_credentials(&rest[*start..])) {
                self.copy_to(self.text.len() - rest.len() + start);
                blank(self.out);
                return;
            }
        }
        self.copy_to(self.text.len());
    }

    fn copy_to(&mut self, end: usize) {
        if let Some(part) = self.text.get(self.written..end) {
            self.out.extend_from_slice(part);
        }
        self.written = end;
    }
}

/// Where the last authority of a URL in `text` begins that is not followed by a space or a quote.
fn authority(text: &[u8]) -> Option<usize> {
    let from = text
        .iter()
        .rposition(|byte| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b'<' | b'>'))
        .map_or(0, |last| last + 1);
    let slashes = |end: &usize| {
        let text = &text[from..*end];
        let encoded = |slashes: &[u8]| {
            text.len() >= slashes.len() && text[text.len() - slashes.len()..].eq_ignore_ascii_case(slashes)
        };
        encoded(b"//") || encoded(br"\/\/") || encoded(b"%2f%2f") || encoded(b"%252f%252f")
    };
    (from..=text.len()).rev().find(slashes)
}

/// Whether what begins an authority, and may go on, may be user information rather than a host with its port and path.
fn may_be_credentials(text: &[u8]) -> bool {
    let end = (0..text.len()).find(|at| matches!(decode(&text[*at..]).0, b'/' | b'?' | b'#'));
    let Some(end) = end else { return true };
    // A password with a slash in it, which is not allowed and yet happens.
    memchr::memchr(b':', &text[..end])
        .is_some_and(|colon| !text[colon + 1..end].trim_ascii().iter().all(u8::is_ascii_digit))
}

const fn ends_authority(byte: u8) -> bool {
    byte.is_ascii_whitespace()
        || matches!(byte, b'/' | b'?' | b'#' | b'"' | b'\'' | b'<' | b'>' | b'&' | b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ebpf_network::redaction::names::FIELDS;

    fn scrubbed(text: &str, cut: bool) -> String {
        let names = Names::new(FIELDS, std::iter::empty()).unwrap();
        let mut out = Vec::new();
        scrub(&names, text.as_bytes(), cut, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn values_of_secret_keys_are_blanked() {
        for (text, expected) in [
            ("a=1&token=abc&b=2", "a=1&token=REDACTED&b=2"),
            ("a=1&%74oken=abc=def", "a=1&%74oken=REDACTED"),
            ("next=%2Fx%3Ftoken%3Dabc%26y%3D1&b=2", "next=%2Fx%3Ftoken%3DREDACTED&b=2"),
            ("5; url=/login?access_token=abc#top", "5; url=/login?access_token=REDACTED"),
            ("{\\\"password\\\": \\\"abc\\\"}", "{\\\"password\\\": REDACTED"),
            ("password=", "password=REDACTED"),
            ("a=b=c&x:y", "a=b=c&x:y"),
            ("", ""),
        ] {
            assert_eq!(scrubbed(text, false), expected, "{text}");
        }
    }

    #[test]
    fn user_information_is_blanked() {
        for (text, expected) in [
            ("http://user:abc@host/path", "http://REDACTED@host/path"),
            ("see <https://abc@host> and bob@example.org", "see <https://REDACTED@host> and bob@example.org"),
            ("http://user:a@b@host/x@y", "http://REDACTED@host/x@y"),
            ("http://user:a/b@host/", "http://REDACTED@host/"),
            ("u=https%3A%2F%2Fuser%3Aabc%40host%2F", "u=https%3A%2F%2FREDACTED%40host%2F"),
            ("http:\\/\\/user:abc@host", "http:\\/\\/REDACTED@host"),
            ("https://host:8080/@user", "https://host:8080/@user"),
            ("https://host/?mail=a@b", "https://host/?mail=a@b"),
        ] {
            assert_eq!(scrubbed(text, false), expected, "{text}");
        }
        assert_eq!(scrubbed("a http://user:ab", true), "a http://REDACTED");
        assert_eq!(scrubbed("a http://host/ab", true), "a http://host/ab");
        assert_eq!(scrubbed("a http://host:80/ab", false), "a http://host:80/ab");
    }

    #[test]
    fn a_value_on_the_next_line_is_blanked() {
        let names = Names::new(FIELDS, std::iter::empty()).unwrap();
        let mut out = Vec::new();
        lines(&names, b"user: x\r\npassword: |\n\n  abc\nrest: y\n", false, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "user: x\r\npassword: REDACTED\n\nREDACTED\nrest: y\n");
    }
}
