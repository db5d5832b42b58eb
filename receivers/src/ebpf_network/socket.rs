//! What the kernel tells of sockets, in the terms that parsers, rules and metrics share.

use std::net::SocketAddr;

/// Which way bytes move, as the process sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The process receives.
    Inbound,
    /// The process sends.
    Outbound,
}

/// What the process is on the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Not known yet: the connection is older than the receiver.
    Unknown,
    /// It connected.
    Client,
    /// It accepted.
    Server,
}

/// The system call that moved bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the system calls'")]
pub enum Operation {
    Read,
    Readv,
    Recvfrom,
    Recvmsg,
    Recvmmsg,
    Write,
    Writev,
    Sendto,
    Sendmsg,
    Sendmmsg,
    Sendfile,
    Splice,
    IoUring,
    Other,
}

/// One call that moved bytes over a TCP connection.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// Which way.
    pub direction: Direction,
    /// By which call.
    pub operation: Operation,
    /// The place of its first byte in the stream of its direction. Gaps show that something was not seen.
    pub offset: u64,
    /// How many bytes it moved.
    pub length: u32,
    /// The first of them, as many as were captured; empty if content is out of reach (`sendfile`).
    pub bytes: &'a [u8],
    /// When the call began, on the monotonic clock in nanoseconds; 0 where that is not measured.
    pub start: u64,
    /// When the call returned, on the monotonic clock in nanoseconds.
    pub end: u64,
    /// Smoothed round-trip time in microseconds; 0 if unknown.
    pub round_trip: u32,
    /// Segments retransmitted on the connection since the call before.
    pub retransmits: u32,
}

/// The two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ends {
    /// The process's own.
    pub local: SocketAddr,
    /// The other.
    pub peer: SocketAddr,
}

impl Operation {
    /// As it appears in the name of a span event: `Syscall Writev`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "Read",
            Self::Readv => "Readv",
            Self::Recvfrom => "Recvfrom",
            Self::Recvmsg => "Recvmsg",
            Self::Recvmmsg => "Recvmmsg",
            Self::Write => "Write",
            Self::Writev => "Writev",
            Self::Sendto => "Sendto",
            Self::Sendmsg => "Sendmsg",
            Self::Sendmmsg => "Sendmmsg",
            Self::Sendfile => "Sendfile",
            Self::Splice => "Splice",
            Self::IoUring => "IoUring",
            Self::Other => "Other",
        }
    }
}

impl Segment<'_> {
    /// When the call began, or, where that is not measured, when it returned.
    #[must_use]
    pub fn began(&self) -> u64 {
        if self.start == 0 { self.end } else { self.start }
    }

    /// When its first byte moved, as near as can be told: a read may have waited for it since long before.
    #[must_use]
    pub fn first_byte(&self) -> u64 {
        match self.direction {
            Direction::Inbound => self.end,
            Direction::Outbound => self.began(),
        }
    }
}
