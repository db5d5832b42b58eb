//! What is observed of exchanges and connections.

use rustix::io::Errno;

use super::tcp::DropReason;
use crate::ebpf_network::{
    exchange::{Ending, Exchange, Message},
    socket::{Direction, Segment},
};

/// An exchange that has ended. Times are nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct HttpObservation<'a> {
    /// Such as `GET`.
    pub method: &'a str,
    /// The request target as sent.
    pub target: &'a str,
    /// The version of the request.
    pub version: HttpVersion,
    /// The status code, if a response began.
    pub status: Option<u16>,
    /// The connection ended before the response was complete.
    pub connection_closed: bool,
    /// From the first byte of the request to the last of the response, or to the last that there was; `None` if the end
    /// was not seen.
    pub duration: Option<u64>,
    /// From the first byte of the request to the first of the response, if one began.
    pub time_to_first_byte: Option<u64>,
    /// Of the request; `None` if part of it was not seen.
    pub request: Option<Sizes>,
    /// Of the response; `None` if there is none or part of it was not seen.
    pub response: Option<Sizes>,
}

/// A version of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum HttpVersion {
    Http10,
    Http11,
}

/// The sizes of a message, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// The body without its framing.
    pub body: u64,
    /// Head and body on the wire.
    pub wire: u64,
}

/// Something that happened to a connection. Times are nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpObservation {
    /// The process connected. The duration is that of the handshake; 0 if it was not measured.
    Opened {
        /// From SYN to established.
        duration: u64,
    },
    /// The process could not connect.
    Failed(ConnectError),
    /// A connection to the process was established.
    Accepted,
    /// The connection is gone.
    Closed,
    /// The process read or wrote.
    Io {
        /// Which way.
        direction: Direction,
        /// Bytes moved.
        bytes: u64,
        /// Time in the call; 0 if it was not measured.
        duration: u64,
        /// Smoothed round-trip time in microseconds; 0 if unknown.
        round_trip: u32,
        /// Segments retransmitted that no other observation tells of.
        retransmits: u32,
    },
    /// Segments were retransmitted that no [`TcpObservation::Io`] tells of.
    Retransmitted {
        /// How many.
        segments: u32,
    },
    /// A reset was sent (outbound) or received (inbound).
    Reset(Direction),
    /// The kernel dropped a packet of the connection.
    Dropped(DropReason),
}

/// Why a process could not connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectError {
    /// Nothing listens there.
    Refused,
    /// There was no answer in time.
    TimedOut,
    /// There is no way there.
    Unreachable,
    /// Another reason, or an unknown one.
    Other,
}

impl ConnectError {
    /// What the error number of a socket says.
    #[must_use]
    pub fn of(number: u16) -> Self {
        let is = |errno: Errno| errno.raw_os_error() == i32::from(number);
        if is(Errno::CONNREFUSED) {
            Self::Refused
        } else if is(Errno::TIMEDOUT) {
            Self::TimedOut
        } else if [Errno::HOSTUNREACH, Errno::NETUNREACH, Errno::HOSTDOWN, Errno::NETDOWN].into_iter().any(is)
        {
            Self::Unreachable
        } else {
            Self::Other
        }
    }
}

impl<'a> HttpObservation<'a> {
    /// What metrics need of an exchange.
    #[must_use]
    pub fn of(exchange: &Exchange<'a>) -> Self {
        let Exchange { request, response, ending, truncated, .. } = exchange;
        let start = request.message.start;
        let end =
            response.map_or(request.message.end, |response| response.message.end.max(request.message.end));
        let is_whole = !truncated && *ending != Ending::Lost;
        let sizes = |message: &Message<'_>| Sizes { body: message.body_size, wire: message.wire_size };
        Self {
            method: request.method,
            target: request.target,
            version: if request.minor_version == 0 { HttpVersion::Http10 } else { HttpVersion::Http11 },
            status: response.map(|response| response.status),
            connection_closed: *ending == Ending::ConnectionClosed,
            duration: (*ending != Ending::Lost).then(|| end.saturating_sub(start)),
            time_to_first_byte: response.map(|response| response.message.start.saturating_sub(start)),
            request: is_whole.then(|| sizes(&request.message)),
            response: response.filter(|_| is_whole).map(|response| sizes(&response.message)),
        }
    }
}

impl TcpObservation {
    /// What metrics need of a call, and of what was retransmitted and not told of yet.
    #[must_use]
    pub fn of(segment: &Segment<'_>, retransmits: u32) -> Self {
        Self::Io {
            direction: segment.direction,
            bytes: u64::from(segment.length),
            duration: segment.end.saturating_sub(segment.began()),
            round_trip: segment.round_trip,
            retransmits,
        }
    }
}
