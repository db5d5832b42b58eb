//! One HTTP request with its response, as seen on one end of a connection.

use super::{
    socket::{Direction, Operation, Role},
    trace_context::Contexts,
};

/// An exchange that has ended. It borrows from the connection that it was seen on.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a> {
    /// What the process is in it.
    pub role: Role,
    /// The request.
    pub request: Request<'a>,
    /// The final response, if one began.
    pub response: Option<Response<'a>>,
    /// How it ended.
    pub ending: Ending,
    /// Some of its bytes were not seen, so sizes, contents or headers are incomplete.
    pub truncated: bool,
    /// Its system calls in order of time, if the observer asked for them; at most [`MAX_CALLS`].
    pub calls: &'a [Call],
}

/// The most system calls that an exchange keeps; further ones are folded into the last of their direction.
pub const MAX_CALLS: usize = 64;

/// A request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Such as `GET`.
    pub method: &'a str,
    /// The request target as sent: path and query, or absolute, or `*`, or an authority (CONNECT).
    pub target: &'a str,
    /// The minor version of HTTP/1.
    pub minor_version: u8,
    /// The trace contexts in its headers.
    pub contexts: &'a Contexts<'a>,
    /// `Host`, or empty.
    pub host: &'a str,
    /// `User-Agent`, or empty.
    pub user_agent: &'a str,
    /// Head, body and times.
    pub message: Message<'a>,
}

/// A response.
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    /// The status code.
    pub status: u16,
    /// The minor version of HTTP/1.
    pub minor_version: u8,
    /// Head, body and times.
    pub message: Message<'a>,
}

/// What requests and responses have in common.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The first line and the headers as on the wire, up to and with the empty line; as much as was captured, or nothing if
    /// the observer wants no details.
    pub head: &'a [u8],
    /// As much of the body as the observer asked for and was captured, transfer coding removed.
    pub body: &'a [u8],
    /// Bytes on the wire up to and with the empty line.
    pub head_size: u64,
    /// Bytes of the body, chunk framing not counted.
    pub body_size: u64,
    /// Bytes on the wire, head and body with its framing.
    pub wire_size: u64,
    /// Begin of the call that moved its first byte, monotonic nanoseconds.
    pub start: u64,
    /// Return of the call that moved its last byte, monotonic nanoseconds.
    pub end: u64,
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// With the last byte of the response.
    Complete,
    /// The response's body lasted until the connection was closed.
    UntilClose,
    /// The connection was upgraded or became a tunnel: HTTP ends with this exchange.
    Upgraded,
    /// The connection ended before the response was complete.
    ConnectionClosed,
    /// The end of the response was not seen; what came after was.
    Lost,
}

/// A system call of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// Which.
    pub operation: Operation,
    /// Which way.
    pub direction: Direction,
    /// Begin, monotonic nanoseconds; 0 where that is not measured.
    pub start: u64,
    /// Return, monotonic nanoseconds.
    pub end: u64,
    /// Bytes moved.
    pub size: u64,
    /// How many calls are folded into this one, itself included.
    pub count: u32,
    /// Smoothed round-trip time, microseconds; 0 if unknown.
    pub round_trip: u32,
    /// Segments retransmitted since the call before.
    pub retransmits: u32,
}
