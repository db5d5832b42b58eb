//! What the join needs to know of a span.

use std::sync::Arc;

use sluice_pipeline::otlp::{
    view::{AnyValue, Span, Text},
    wire::Fields,
};

use super::{
    identity::{End, address, integer, port},
    leaving::Source,
    store::{Key, Number},
};

/// The kinds of OTLP.
pub(super) const SERVER: i32 = 2;
/// A request as its sender sees it.
pub(super) const CLIENT: i32 = 3;
const PRODUCER: i32 = 4;
/// A message as its receiver sees it.
pub(super) const CONSUMER: i32 = 5;

/// The flag of Zipkin that says that a server's span has the id of the client's.
pub(super) const SHARED: &str = "zipkin.shared";

/// What the join needs to know of a span.
#[derive(Clone, Debug)]
pub(super) struct SpanFacts {
    pub(super) trace_id: [u8; 16],
    pub(super) id: u64,
    /// 0 for a root.
    pub(super) parent: u64,
    pub(super) kind: i32,
    pub(super) shared: bool,
    /// Nanoseconds since 1970; 0 if unknown.
    pub(super) start: u64,
    pub(super) end: u64,
    /// Of HTTP; 0 if unknown.
    pub(super) status: u16,
    /// Its own end of the connection.
    pub(super) local: End,
    /// Where a server says it was called; a name of it as good as the caller's.
    pub(super) called: End,
    /// The other end of the connection.
    pub(super) peer: End,
    /// Whether a proxy reports it.
    pub(super) is_proxy: bool,
    /// The number of the server's exchange that is on it.
    pub(super) served: Option<Number>,
    /// How many events were put on it here.
    pub(super) events: u32,
    pub(super) source: Arc<Source>,
}

impl SpanFacts {
    /// The facts of a span without those in its attributes; `None` if it has no ids.
    pub(super) fn of(span: &Span<'_>, source: &Arc<Source>) -> Option<Self> {
        Some(Self {
            trace_id: span.trace_id.try_into().ok()?,
            id: u64::from_be_bytes(span.span_id.try_into().ok()?),
            parent: span.parent_span_id.try_into().map_or(0, u64::from_be_bytes),
            kind: span.kind,
            shared: false,
            start: span.start_time_unix_nano,
            end: span.end_time_unix_nano,
            status: 0,
            local: End::default(),
            called: End::default(),
            peer: End::default(),
            is_proxy: false,
            served: None,
            events: 0,
            source: Arc::clone(source),
        })
    }

    /// Adds what the attributes tell.
    ///
    /// The names are OpenTelemetry's, old and new, which are also those of the `zipkin` receiver, and Envoy's.
    pub(super) fn read_attributes(&mut self, span: &Span<'_>) {
        let mut url = End::default();
        let mut connected = End::default();
        for pair in span.attributes() {
            let value = pair.value;
            match pair.key {
                b"network.local.address" | b"net.host.ip" | b"net.sock.host.addr" => {
                    self.local.address = address(&value);
                }
                b"network.local.port" | b"net.host.port" | b"net.sock.host.port" => {
                    self.local.port = port(&value)
                }
                b"server.address" => self.called.address = address(&value),
                b"network.peer.address" | b"net.peer.ip" | b"net.sock.peer.addr" => {
                    self.peer.address = address(&value);
                }
                b"network.peer.port" | b"net.peer.port" | b"net.sock.peer.port" => {
                    self.peer.port = port(&value)
                }
                b"upstream_address" => connected = authority(&value),
                b"url.full" | b"http.url" => url = url_end(&value),
                b"http.response.status_code" | b"http.status_code" => {
                    self.status = u16::try_from(integer(&value)).unwrap_or(0);
                }
                b"component" => self.is_proxy = matches!(value, AnyValue::String(b"proxy")),
                key if key == SHARED.as_bytes() => self.shared = matches!(value, AnyValue::Bool(true)),
                _ => {}
            }
        }
        if self.local.address.is_none() {
            // Without an address it may be the port of the `Host` header.
            self.local.port = 0;
        }
        if connected.address.is_some() {
            self.peer = connected;
        } else if !self.is_sender() {
            // Of a server that is who called it.
            self.peer = End::default();
        } else if self.peer == End::default() {
            self.peer = url;
        }
    }

    /// The keys under which exchanges look for it: its own id, and the caller's.
    pub(super) fn keys(&self) -> [Option<Key>; 2] {
        let trace = low_half(&self.trace_id);
        [Some((trace, self.id)), (self.parent != 0 && !self.shared).then_some((trace, self.parent))]
    }

    /// Whether it stands for one side of a request.
    pub(super) fn is_of_request(&self) -> bool {
        (SERVER..=CONSUMER).contains(&self.kind)
    }

    /// Whether the header that it sent names it.
    pub(super) fn is_sender(&self) -> bool {
        matches!(self.kind, CLIENT | PRODUCER)
    }

    /// Notes that these encoded events of an exchange were put on it.
    pub(super) fn note_events(&mut self, events: &[u8], server: Option<Number>) {
        self.events += u32::try_from(Fields::of(events).count()).unwrap_or(0);
        self.served = self.served.or(server);
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.id == other.id
            && self.kind == other.kind
            && self.shared == other.shared
            && self.trace_id == other.trace_id
            && self.start == other.start
    }
}

pub(super) fn low_half(trace_id: &[u8; 16]) -> u64 {
    let [.., a, b, c, d, e, f, g, h] = *trace_id;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// `address:port` as text.
fn authority(value: &AnyValue<'_>) -> End {
    let AnyValue::String(text) = value else { return End::default() };
    end_of(text.as_str())
}

/// The address and port that a URL leads to.
fn url_end(value: &AnyValue<'_>) -> End {
    let AnyValue::String(text) = value else { return End::default() };
    let Some((scheme, rest)) = text.as_str().split_once("://") else { return End::default() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let host = authority.rsplit('@').next().unwrap_or(authority);
    let mut end = end_of(host);
    if end.port == 0 {
        end.port = if scheme.eq_ignore_ascii_case("https") { 443 } else { 80 };
    }
    end
}

fn end_of(authority: &str) -> End {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().unwrap_or(0)),
        _ => (authority, 0),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    End { address: host.parse::<std::net::IpAddr>().ok().map(|address| address.to_canonical()), port }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_an_end() {
        let end = |url: &'static str| {
            let end = url_end(&AnyValue::String(url.as_bytes()));
            (end.address.map(|address| address.to_string()).unwrap_or_default(), end.port)
        };
        assert_eq!(end("http://127.0.0.1:8080/a?b=c:1"), ("127.0.0.1".to_owned(), 8080));
        assert_eq!(end("https://me:secret@shop.example/a"), (String::new(), 443));
        assert_eq!(end("http://[::1]:90/"), ("::1".to_owned(), 90));
        assert_eq!(end("http://[2001:db8::1]/"), ("2001:db8::1".to_owned(), 80));
        assert_eq!(end("/relative"), (String::new(), 0));
    }
}
