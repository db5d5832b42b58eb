//! Common headers whose names mark no secrets, known at a glance.

use super::names::Names;

/// Headers that are in most messages. Whether one of them is a secret is asked of the names once, at start.
const COMMON: [&str; 54] = [
    "Host",
    "User-Agent",
    "Accept",
    "Accept-Encoding",
    "Accept-Language",
    "Accept-Charset",
    "Accept-Ranges",
    "Age",
    "Allow",
    "Cache-Control",
    "Connection",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Language",
    "Content-Length",
    "Content-Range",
    "Content-Type",
    "Date",
    "DNT",
    "ETag",
    "Expect",
    "Expires",
    "Forwarded",
    "If-Match",
    "If-Modified-Since",
    "If-None-Match",
    "Keep-Alive",
    "Last-Modified",
    "Location",
    "Origin",
    "Pragma",
    "Range",
    "Referer",
    "Retry-After",
    "Server",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
    "Vary",
    "Via",
    "X-Envoy-Attempt-Count",
    "X-Envoy-Upstream-Service-Time",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "X-Forwarded-Proto",
    "X-Powered-By",
    "X-Request-Id",
    "b3",
    "traceparent",
    "tracestate",
    "X-B3-TraceId",
    "X-B3-SpanId",
];

const SLOTS: usize = 256;

/// Names of headers whose values are no secrets.
#[derive(Debug)]
pub(super) struct Common {
    /// By [`slot`]; of two with the same slot the second is here, and the first is asked for the long way.
    names: [&'static str; SLOTS],
}

impl Common {
    /// Those that are neither in `headers` nor make a pair with what follows them by `query`.
    pub(super) fn new(headers: &Names, query: &Names) -> Self {
        let mut names = [""; SLOTS];
        for name in COMMON {
            if !headers.contains(name.as_bytes()) && !query.marks(name.as_bytes()) {
                names[slot(name.as_bytes())] = name;
            }
        }
        Self { names }
    }

    /// Whether the name, in any case, is one of them.
    #[inline]
    pub(super) fn contains(&self, name: &[u8]) -> bool {
        !name.is_empty() && self.names[slot(name)].as_bytes().eq_ignore_ascii_case(name)
    }
}

/// A number below [`SLOTS`], the same for a name in any case.
#[inline]
fn slot(name: &[u8]) -> usize {
    let at = |place: usize| name.get(place).map_or(0, |byte| usize::from(byte | 0x20));
    let mixed = name.len() * 7 + at(0) * 3 + at(name.len() / 2) * 13 + at(name.len().wrapping_sub(1)) * 31;
    mixed % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ebpf_network::redaction::names::{FIELDS, HEADERS};

    #[test]
    fn what_is_configured_is_not_common() {
        let names = |names: &[&'static str], builtin| Names::new(builtin, names.iter().copied()).unwrap();
        let common = Common::new(&names(&["x-request-*"], HEADERS), &names(&["via"], FIELDS));
        assert!(
            common.contains(b"HOST") && common.contains(b"content-type") && common.contains(b"traceparent")
        );
        for name in [&b"X-Request-Id"[..], b"Via", b"Authorization", b"Hos", b"Hosts", b""] {
            assert!(!common.contains(name), "{}", name.escape_ascii());
        }
    }

    #[test]
    fn most_of_them_have_a_slot_of_their_own() {
        let common = Common::new(
            &Names::new(HEADERS, std::iter::empty()).unwrap(),
            &Names::new(FIELDS, std::iter::empty()).unwrap(),
        );
        let known = COMMON.iter().filter(|name| common.contains(name.as_bytes())).count();
        assert!(known >= COMMON.len() - 8, "{known} of {}", COMMON.len());
    }
}
