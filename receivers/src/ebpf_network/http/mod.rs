//! HTTP/1.x as it passes by: requests and responses found in what was captured of a connection, and paired.
//!
//! # When a response belongs to a request
//! HTTP/1 numbers neither. What pairs them is their order, and only as long as every byte of both directions is accounted
//! for: seen, or not seen but inside a body whose declared length covers it. As soon as a message boundary may have been
//! missed, what is still open is given up, and both directions look for a message at the beginning of a segment. A pair
//! found then is *held*: it is handed out once the next request and the next response follow it without a gap, one at a
//! time. A peer that pipelines shows there, since a second response comes instead, and the pair is dropped.
//! A connection that was pipelining when bytes were lost is not paired any more. So under loss there are fewer exchanges,
//! never wrong ones, as long as who pipelines sends at least two requests before it takes the first answer.

mod body;
mod detect;
mod head;
mod pairing;
mod park;
mod pending;
mod requests;
mod responses;
mod stream;
#[cfg(test)]
mod tests;

use pairing::Http1;

use super::{
    exchange::{Exchange, Request},
    socket::{Direction, Role, Segment},
};

pub(in crate::ebpf_network) use detect::TOKEN;
pub use head::{MAX_HEAD, MAX_HEADERS};
pub use pairing::{MAX_BODIES, MAX_HEADS, MAX_MEMORY, MAX_QUEUE};

/// Segments that are not recognised before a connection counts as [`Protocol::Other`].
const MAX_TRIES: u8 = 16;

/// One TCP connection. It is handed the segments of both directions and hands out the HTTP exchanges in them.
#[derive(Debug)]
pub struct Connection {
    role: Role,
    /// Its first bytes, at offset 0, are among the segments.
    from_beginning: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    Unknown { tries: u8 },
    Http1(Box<Http1>),
    Left(Protocol),
}

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Nothing recognised yet.
    Unknown,
    /// HTTP/1.x.
    Http1,
    /// HTTP/2 with prior knowledge. Further segments are ignored.
    Http2,
    /// TLS. Further segments are ignored.
    Tls,
    /// Was HTTP/1.x until an upgrade or a tunnel. Further segments are ignored.
    Opaque,
    /// Not HTTP, as far as seen. Should a message begin at a segment later, it is taken up.
    Other,
}

/// Who is told what a connection does.
pub trait Observer {
    /// Whether more is wanted of exchanges than metrics need. If not, [`Observer::request`] is not called, and exchanges have
    /// no trace contexts, host, user agent, heads or calls.
    fn wants_details(&self) -> bool {
        true
    }
    /// A request's head is complete; of the body nothing is known yet. Not every request becomes an exchange.
    fn request(&mut self, request: &Request<'_>) -> Wants;
    /// An exchange has ended.
    fn exchange(&mut self, exchange: &Exchange<'_>);
    /// Something was not seen, or seen and not understood.
    fn lost(&mut self, loss: Loss);
    /// A message is against the rules, and yet its meaning is settled.
    fn anomaly(&mut self, _anomaly: Anomaly) {}
}

/// What is to be kept of an exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// The first bytes of the request's body, as many as these.
    pub request_body: usize,
    /// The first bytes of the response's body, as many as these.
    pub response_body: usize,
    /// The system calls.
    pub calls: bool,
}

/// Why something is missing. [`Loss::Gap`], the heads and [`Loss::Malformed`] are events on a connection; the others count
/// messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Loss {
    /// Bytes were not captured, and a message may have begun or ended in them.
    Gap,
    /// The head is longer than [`MAX_HEAD`].
    HeadTooLarge,
    /// The head has more than [`MAX_HEADERS`] headers.
    TooManyHeaders,
    /// Bytes that are no HTTP/1.x message where one should be, or one that can be read in two ways.
    Malformed,
    /// A response to a request that was not seen.
    ResponseWithoutRequest,
    /// More than [`MAX_QUEUE`] requests or [`MAX_HEADS`] bytes of them are waiting.
    QueueFull,
    /// A request that cannot be told its response with certainty, because of one of the events.
    Unproven,
    /// A request on a connection that was pipelining when bytes were lost.
    Pipelined,
}

/// What is against the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Anomaly {
    /// `Transfer-Encoding: chunked` and `Content-Length` in one message; the former counts (RFC 9112, section 6.3).
    LengthAndChunked,
}

impl Loss {
    /// As a label of a metric.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Gap => "gap",
            Self::HeadTooLarge => "head_too_large",
            Self::TooManyHeaders => "too_many_headers",
            Self::Malformed => "malformed",
            Self::ResponseWithoutRequest => "response_without_request",
            Self::QueueFull => "queue_full",
            Self::Unproven => "unproven",
            Self::Pipelined => "pipelined",
        }
    }
}

impl Connection {
    /// A connection that is seen from its beginning, unless the role is unknown. Its first byte of each direction has
    /// offset 0.
    #[must_use]
    pub const fn new(role: Role) -> Self {
        Self { role, from_beginning: !matches!(role, Role::Unknown), state: State::Unknown { tries: 0 } }
    }

    /// A connection that is older than its first segment, whatever its offset.
    #[must_use]
    pub const fn midway(role: Role) -> Self {
        Self { role, from_beginning: false, state: State::Unknown { tries: 0 } }
    }

    /// Takes a segment.
    pub fn segment(&mut self, segment: &Segment<'_>, observer: &mut impl Observer) {
        if let State::Unknown { tries } = self.state {
            self.detect(segment, tries, observer);
        }
        let State::Http1(http) = &mut self.state else { return };
        http.segment(segment, observer);
        if http.is_upgraded() {
            self.state = State::Left(Protocol::Opaque);
        } else if http.is_refuted() {
            self.state = State::Unknown { tries: 1 };
        }
    }

    /// Says that whole exchanges passed that are of no interest, one at a time, and that the next begins at these offsets.
    pub fn settled(&mut self, inbound: u64, outbound: u64, observer: &mut impl Observer) {
        if let State::Unknown { .. } = self.state
            && self.role != Role::Unknown
        {
            self.state = State::Http1(Box::new(Http1::new(self.role, true, self.from_beginning)));
        }
        if let State::Http1(http) = &mut self.state {
            http.settled(inbound, outbound, observer);
        }
    }

    /// Says how far the stream of a direction reached, so that a loss at its very end is noticed. To be called before
    /// [`Connection::close`] where it is known.
    pub fn extent(&mut self, direction: Direction, offset: u64, observer: &mut impl Observer) {
        if let State::Http1(http) = &mut self.state {
            http.extent(direction, offset, observer);
        }
    }

    /// The connection is closed or reset. Further segments are ignored.
    pub fn close(&mut self, observer: &mut impl Observer) {
        let protocol = self.protocol();
        if let State::Http1(http) = &mut self.state {
            http.close(observer);
        }
        self.state = State::Left(protocol);
    }

    /// Nothing came for a while (a second or more): hands out an exchange that was held on a connection seen midway, and
    /// releases the buffers.
    pub fn idle(&mut self, observer: &mut impl Observer) {
        if let State::Http1(http) = &mut self.state {
            http.idle(observer);
        }
    }

    /// Bytes that it takes.
    #[must_use]
    pub fn memory(&self) -> usize {
        size_of::<Self>()
            + match &self.state {
                State::Http1(http) => http.memory(),
                State::Unknown { .. } | State::Left(_) => 0,
            }
    }

    /// What it speaks.
    #[must_use]
    pub const fn protocol(&self) -> Protocol {
        match &self.state {
            State::Http1(http) if http.is_confirmed() => Protocol::Http1,
            State::Unknown { tries: MAX_TRIES } => Protocol::Other,
            State::Http1(_) | State::Unknown { .. } => Protocol::Unknown,
            State::Left(protocol) => *protocol,
        }
    }

    /// What the process is on it: as given, or as found out.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    fn detect(&mut self, segment: &Segment<'_>, tries: u8, observer: &mut impl Observer) {
        let bytes = segment.bytes;
        if bytes.is_empty() {
            return;
        }
        if tries < MAX_TRIES && (detect::is_tls(bytes) || detect::is_http2(bytes)) {
            let protocol = if detect::is_tls(bytes) { Protocol::Tls } else { Protocol::Http2 };
            self.state = State::Left(protocol);
            return;
        }
        let first = self.from_beginning && segment.offset == 0;
        if self.begins_message(segment, first) {
            if self.from_beginning && !first {
                observer.lost(Loss::Gap);
            }
            self.state = State::Http1(Box::new(Http1::new(self.role, first, self.from_beginning)));
        } else {
            self.state = State::Unknown { tries: if first { MAX_TRIES } else { MAX_TRIES.min(tries + 1) } };
        }
    }

    /// Whether a message begins with this segment. Finds out the role where it is not known.
    fn begins_message(&mut self, segment: &Segment<'_>, first: bool) -> bool {
        let (bytes, inbound) = (segment.bytes, segment.direction == Direction::Inbound);
        let requests_inbound = match self.role {
            Role::Server => true,
            Role::Client => false,
            Role::Unknown if detect::surely_request(bytes) => inbound,
            Role::Unknown if detect::surely_response(bytes) => !inbound,
            Role::Unknown => return false,
        };
        self.role = if requests_inbound { Role::Server } else { Role::Client };
        match (inbound == requests_inbound, first) {
            (true, true) => detect::request(bytes) != detect::Start::No,
            (true, false) => detect::surely_request(bytes),
            (false, true) => detect::response(bytes) != detect::Start::No,
            (false, false) => detect::surely_response(bytes),
        }
    }
}
