//! What the programs tell, as `bpf/events.h` lays it out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// One thing that happened. Times are nanoseconds on the monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A connection is seen for the first time, or another process uses it.
    Connection(Connection),
    /// A call moved bytes.
    Data(Data<'a>),
    /// A connection ended.
    Closed(Incident),
    /// A connection was made, or could not be.
    Connected(Incident),
    /// A segment was sent again.
    Retransmit(Incident),
    /// A connection was reset.
    Reset(Incident),
    /// The kernel threw a segment away.
    Dropped(Incident),
    /// Whole exchanges were not told, since nobody asked for them: the next message begins at these offsets.
    Settled(Incident),
    /// A process runs another program.
    Execute(Execute<'a>),
    /// A process began.
    Fork(Process),
    /// A process ended.
    Exit(Process),
}

/// Who is connected to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The connection's number; no other of this run has it. 0 for one found by the iterator.
    pub socket: u64,
    /// The process, as the host numbers it.
    pub tgid: u32,
    /// Whether the process connected (`Some(true)`) or accepted (`Some(false)`).
    pub is_client: Option<bool>,
    /// Whether every byte since it was established is accounted for.
    pub is_fresh: bool,
    /// When this was told.
    pub time: u64,
    /// The cgroup of the process.
    pub cgroup: u64,
    /// The inode of the network namespace.
    pub network_namespace: u32,
    /// The process's own end.
    pub local: SocketAddr,
    /// The other end.
    pub peer: SocketAddr,
}

/// A call that moved bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Data<'a> {
    /// The connection's number.
    pub socket: u64,
    /// The process.
    pub tgid: u32,
    /// The thread.
    pub thread: u32,
    /// Whether the process sends.
    pub is_outbound: bool,
    /// Which call, one of [`operation`].
    pub operation: u8,
    /// What the connection carries, as far as the kernel side can tell, one of [`protocol`].
    pub protocol: u8,
    /// The place of the first byte in the stream of its direction.
    pub offset: u64,
    /// When the call began; 0 if that is not measured.
    pub start: u64,
    /// When it returned.
    pub end: u64,
    /// How many bytes it moved.
    pub length: u32,
    /// The first of them, as far as they were captured.
    pub bytes: &'a [u8],
    /// Smoothed round-trip time in microseconds.
    pub round_trip: u32,
    /// Segments retransmitted on the connection so far.
    pub retransmits: u32,
    /// Content is out of reach, as with `sendfile`.
    pub is_opaque: bool,
    /// The memory of the process could not be read to the end.
    pub faulted: bool,
}

/// Something that happened to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incident {
    /// The connection's number.
    pub socket: u64,
    /// The process that used it last.
    pub tgid: u32,
    /// Of a connect: it failed. Of a reset: the peer sent it.
    pub flag: bool,
    /// Of a drop: the kernel's number for why (`enum skb_drop_reason`). Of a connect that failed: the error number that the
    /// process gets, 0 if it gave up itself.
    pub reason: u16,
    /// Of a connect: when it began.
    pub start: u64,
    /// When it happened.
    pub end: u64,
    /// Smoothed round-trip time in microseconds.
    pub round_trip: u32,
    /// Segments retransmitted on the connection so far.
    pub retransmits: u32,
    /// Of a close: how many bytes the process has received. Of exchanges that were not told: the offset behind the last byte of
    /// theirs that it received.
    pub received: u64,
    /// The same of what it has sent.
    pub sent: u64,
}

/// A process that begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// The process, as the host numbers it.
    pub tgid: u32,
    /// The one that began it; 0 if unknown.
    pub parent: u32,
    /// Its cgroup.
    pub cgroup: u64,
    /// When.
    pub time: u64,
}

/// A process that runs another program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Execute<'a> {
    /// Which process.
    pub process: Process,
    /// The path as it was given to `execve`; it may be relative, or cut at 255 bytes.
    pub file_name: &'a [u8],
    /// The arguments, each ended by a zero byte, cut at 512 bytes.
    pub arguments: &'a [u8],
}

/// Numbers of calls in [`Data::operation`].
#[expect(missing_docs, reason = "the names are the system calls'")]
pub mod operation {
    pub const OTHER: u8 = 0;
    pub const READ: u8 = 1;
    pub const READV: u8 = 2;
    pub const RECVFROM: u8 = 3;
    pub const RECVMSG: u8 = 4;
    pub const RECVMMSG: u8 = 5;
    pub const WRITE: u8 = 6;
    pub const WRITEV: u8 = 7;
    pub const SENDTO: u8 = 8;
    pub const SENDMSG: u8 = 9;
    pub const SENDMMSG: u8 = 10;
    pub const SENDFILE: u8 = 11;
    pub const SPLICE: u8 = 12;
    pub const IO_URING: u8 = 13;
}

/// Numbers of protocols in [`Data::protocol`].
pub mod protocol {
    /// Not known yet.
    pub const UNKNOWN: u8 = 0;
    /// HTTP/1.x.
    pub const HTTP1: u8 = 1;
    /// HTTP/2.
    pub const HTTP2: u8 = 2;
    /// TLS.
    pub const TLS: u8 = 3;
    /// Anything else.
    pub const OTHER: u8 = 4;
}

const FLAG_OPAQUE: u8 = 1;
const FLAG_FAULT: u8 = 2;

impl<'a> Event<'a> {
    /// Reads an event; `None` if it is of no kind that this build knows or too short, which is a mismatch of builds.
    #[inline]
    #[must_use]
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        // Nearly all are of this kind.
        if bytes.first() == Some(&Data::KIND) {
            Data::read(Fields(bytes)).map(Self::Data)
        } else {
            Self::read_other(bytes)
        }
    }

    fn read_other(bytes: &'a [u8]) -> Option<Self> {
        let fields = Fields(bytes);
        match fields.u8(0)? {
            1 => Connection::read(fields).map(Self::Connection),
            3 => Incident::read(fields).map(Self::Closed),
            4 => Incident::read(fields).map(Self::Connected),
            5 => Incident::read(fields).map(Self::Retransmit),
            6 => Incident::read(fields).map(Self::Reset),
            7 => Incident::read(fields).map(Self::Dropped),
            8 => Execute::read(fields).map(Self::Execute),
            9 => Process::read(fields).map(Self::Fork),
            10 => Process::read(fields).map(Self::Exit),
            11 => Incident::read(fields).map(Self::Settled),
            _ => None,
        }
    }
}

impl Connection {
    /// The bytes of one in the ring and in the iterator's output.
    pub(crate) const SIZE: usize = 72;

    fn read(fields: Fields<'_>) -> Option<Self> {
        let address = |at| {
            let bytes: [u8; 16] = fields.array(at)?;
            Some(match fields.u8(2)? {
                2 => IpAddr::V4(Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3])),
                // IPv4 through an IPv6 socket is IPv4.
                _ => Ipv6Addr::from(bytes).to_canonical(),
            })
        };
        Some(Self {
            is_client: match fields.u8(1)? {
                1 => Some(true),
                2 => Some(false),
                _ => None,
            },
            is_fresh: fields.u8(3)? != 0,
            tgid: fields.u32(4)?,
            socket: fields.u64(8)?,
            time: fields.u64(16)?,
            cgroup: fields.u64(24)?,
            network_namespace: fields.u32(32)?,
            local: SocketAddr::new(address(40)?, fields.u16(36)?),
            peer: SocketAddr::new(address(56)?, fields.u16(38)?),
        })
    }
}

impl<'a> Data<'a> {
    const KIND: u8 = 2;

    #[inline]
    fn read(fields: Fields<'a>) -> Option<Self> {
        // Seen once to be long enough: there are more of these than of all others.
        let (fixed, bytes) = fields.0.split_first_chunk::<64>()?;
        let fields = Fields(fixed);
        let captured = usize::try_from(fields.u32(44)?).ok()?;
        let flags = fields.u8(3)?;
        Some(Self {
            is_outbound: fields.u8(1)? != 0,
            operation: fields.u8(2)?,
            is_opaque: flags & FLAG_OPAQUE != 0,
            faulted: flags & FLAG_FAULT != 0,
            tgid: fields.u32(4)?,
            socket: fields.u64(8)?,
            offset: fields.u64(16)?,
            start: fields.u64(24)?,
            end: fields.u64(32)?,
            length: fields.u32(40)?,
            round_trip: fields.u32(48)?,
            retransmits: fields.u32(52)?,
            thread: fields.u32(56)?,
            protocol: fields.u8(60)?,
            bytes: bytes.get(..captured)?,
        })
    }
}

impl Incident {
    fn read(fields: Fields<'_>) -> Option<Self> {
        Some(Self {
            flag: fields.u8(1)? != 0,
            reason: fields.u16(2)?,
            tgid: fields.u32(4)?,
            socket: fields.u64(8)?,
            start: fields.u64(16)?,
            end: fields.u64(24)?,
            round_trip: fields.u32(32)?,
            retransmits: fields.u32(36)?,
            received: fields.u64(40)?,
            sent: fields.u64(48)?,
        })
    }
}

impl Process {
    fn read(fields: Fields<'_>) -> Option<Self> {
        Some(Self {
            tgid: fields.u32(4)?,
            parent: fields.u32(8)?,
            cgroup: fields.u64(16)?,
            time: fields.u64(24)?,
        })
    }
}

impl<'a> Execute<'a> {
    fn read(fields: Fields<'a>) -> Option<Self> {
        let name = usize::from(fields.u16(12)?);
        let arguments = usize::from(fields.u16(14)?);
        let text = fields.0.get(32..)?;
        let file_name = text.get(..name)?;
        Some(Self {
            process: Process::read(fields)?,
            file_name: file_name.strip_suffix(&[0]).unwrap_or(file_name),
            arguments: text.get(name..name + arguments)?,
        })
    }
}

/// Little-endian fields by their place; both architectures are little-endian.
#[derive(Clone, Copy)]
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    #[inline]
    fn array<const BYTES: usize>(self, at: usize) -> Option<[u8; BYTES]> {
        self.0.get(at..at + BYTES)?.try_into().ok()
    }

    #[inline]
    fn u8(self, at: usize) -> Option<u8> {
        self.0.get(at).copied()
    }

    #[inline]
    fn u16(self, at: usize) -> Option<u16> {
        self.array(at).map(u16::from_le_bytes)
    }

    #[inline]
    fn u32(self, at: usize) -> Option<u32> {
        self.array(at).map(u32::from_le_bytes)
    }

    #[inline]
    fn u64(self, at: usize) -> Option<u64> {
        self.array(at).map(u64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests;
