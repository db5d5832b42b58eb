//! What bytes at the beginning of a segment are.

use memchr::memchr;

/// What a prefix of a stream can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// A message begins here.
    Yes,
    /// One may; there are too few bytes to tell.
    Maybe,
    /// None does.
    No,
}

/// The methods by which a stream in unknown state is taken up. Others are known from their place behind a message only:
/// the end of a method that was cut looks like a method, too.
const METHODS: [&[u8]; 16] = [
    b"GET ",
    b"POST ",
    b"PUT ",
    b"DELETE ",
    b"HEAD ",
    b"OPTIONS ",
    b"PATCH ",
    b"CONNECT ",
    b"TRACE ",
    b"PROPFIND ",
    b"REPORT ",
    b"MKCOL ",
    b"COPY ",
    b"MOVE ",
    b"PURGE ",
    b"QUERY ",
];

const LONGEST_METHOD: usize = 32;
const RESPONSE: &[u8] = b"HTTP/1.";
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Whether these are a request's `token SP target SP HTTP/1.`: any method, any form of target.
pub(super) fn request(bytes: &[u8]) -> Start {
    let Some((method, rest)) = bytes.iter().position(|byte| !is_token(*byte)).and_then(|at| {
        let (method, rest) = bytes.split_at_checked(at)?;
        Some((method, rest.split_first()?))
    }) else {
        return if bytes.len() <= LONGEST_METHOD { Start::Maybe } else { Start::No };
    };
    if method.is_empty() || method.len() > LONGEST_METHOD || *rest.0 != b' ' {
        return Start::No;
    }
    match memchr(b'\n', rest.1).and_then(|end| rest.1.get(..end)) {
        Some(line) => match line.strip_suffix(b"\r").unwrap_or(line).split_last_chunk::<9>() {
            Some((target, [b' ', b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0'..=b'9']))
                if is_target(target) =>
            {
                Start::Yes
            }
            _ => Start::No,
        },
        None if rest.1.is_empty() || is_target(rest.1) => Start::Maybe,
        None => match memchr(b' ', rest.1).and_then(|end| rest.1.split_at_checked(end)) {
            Some((target, version)) if is_target(target) && is_version(version) => Start::Maybe,
            _ => Start::No,
        },
    }
}

/// Whether a line's end may begin like this.
fn is_version(bytes: &[u8]) -> bool {
    const VERSION: &[u8] = b" HTTP/1.";
    match bytes.strip_prefix(VERSION) {
        Some(rest) => matches!(rest, [] | [b'0'..=b'9'] | [b'0'..=b'9', b'\r']),
        None => VERSION.starts_with(bytes),
    }
}

/// Whether these are a request's, told so surely that a stream in unknown state may be taken up here.
pub(super) fn surely_request(bytes: &[u8]) -> bool {
    METHODS.iter().any(|method| bytes.starts_with(method) && bytes.len() > method.len())
        && request(bytes) != Start::No
}

/// Whether these are a response's `HTTP/1.`.
pub(super) fn response(bytes: &[u8]) -> Start {
    if bytes.starts_with(RESPONSE) {
        Start::Yes
    } else if RESPONSE.starts_with(bytes) {
        Start::Maybe
    } else {
        Start::No
    }
}

/// Whether these are a response's, told so surely that a stream in unknown state may be taken up here.
pub(super) fn surely_response(bytes: &[u8]) -> bool {
    response(bytes) == Start::Yes
}

/// Whether these begin HTTP/2 with prior knowledge.
pub(super) fn is_http2(bytes: &[u8]) -> bool {
    bytes.len() >= 16 && (bytes.starts_with(PREFACE) || PREFACE.starts_with(bytes))
}

/// Whether these begin a TLS record of 1.0 to 1.3: handshake, application data, alert or change of cipher.
pub(super) fn is_tls(bytes: &[u8]) -> bool {
    const LARGEST: u16 = (1 << 14) + 2048;
    match bytes {
        [20..=23, 3, 0..=4, high, low, ..] => (1..=LARGEST).contains(&u16::from_be_bytes([*high, *low])),
        _ => false,
    }
}

/// `tchar` of RFC 9110, section 5.6.2.
pub(super) const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// [`is_token`] of each byte.
pub(in crate::ebpf_network) static TOKEN: [bool; 256] = {
    let mut token = [false; 256];
    let mut byte = 0_u8;
    loop {
        token[byte as usize] = is_token(byte);
        if byte == u8::MAX {
            break token;
        }
        byte += 1;
    }
};

/// Not empty and without white space or control characters. Bytes above ASCII do occur.
pub(super) fn is_target(target: &[u8]) -> bool {
    !target.is_empty() && target.iter().fold(true, |all, byte| all & (*byte > b' ') & (*byte != 0x7f))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_every_form() {
        for line in [
            "GET / HTTP/1.1\r\n",
            "OPTIONS * HTTP/1.1\r\n",
            "CONNECT example.com:443 HTTP/1.1\r\n",
            "GET http://example.com/a?b HTTP/1.0\n",
            "M-SEARCH * HTTP/1.1\r\n",
            "GET /\u{e9} HTTP/1.1\r\n",
        ] {
            assert_eq!(request(line.as_bytes()), Start::Yes, "{line}");
            for end in 0..line.len() - 1 {
                assert_eq!(request(&line.as_bytes()[..end]), Start::Maybe, "{line} to {end}");
            }
        }
    }

    #[test]
    fn what_is_no_request() {
        for line in [
            "HTTP/1.1 200 OK\r\n",
            "GET /\r\n",
            "GET / HTTP/2.0\r\n",
            "GET  HTTP/1.1\r\n",
            "GET /a b HTTP/1.1\r\n",
            "USER anonymous\r\n",
            "{\"a\":1}",
            "\x16\x03\x01",
            "averyveryverylongwordthatisnomethod",
            "GET /\t",
            "GET / HTTP/1.1 ",
            "GET / FTP",
        ] {
            assert_eq!(request(line.as_bytes()), Start::No, "{line}");
        }
        assert!(!surely_request(b"GET "));
        assert!(!surely_request(b"abc"));
        assert!(!surely_request(b"EAD / HTTP/1.1\r\n"));
        assert!(surely_request(b"GET /long"));
    }

    #[test]
    fn other_protocols() {
        assert!(is_tls(b"\x16\x03\x01\x02\x00\x01"));
        assert!(is_tls(b"\x17\x03\x03\x40\x11"));
        assert!(!is_tls(b"\x16\x03\x01"));
        assert!(!is_tls(b"\x16\x03\x01\xff\xff"));
        assert!(is_http2(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0"));
        assert!(!is_http2(b"PRI * HTTP/1.1\r\n\r\n"));
    }
}
