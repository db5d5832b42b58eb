//! One connection that is followed.

use sluice_ebpf::event::{Data, operation};

use super::{
    followed::Process,
    http,
    metrics::{Pair, Recent},
    socket::{Direction, Ends, Operation, Role, Segment},
};

/// One connection that is followed.
pub(super) struct Connection {
    pub(super) parser: http::Connection,
    pub(super) ends: Ends,
    pub(super) process: Process,
    pub(super) pair: Option<Pair>,
    /// Where observations of the pair went last.
    pub(super) recent: Recent,
    /// When something happened on it, on the monotonic clock in nanoseconds.
    pub(super) last: u64,
    /// The parser was told that nothing came for a while.
    pub(super) is_idle: bool,
    /// Segments retransmitted so far that were told of.
    retransmits: u32,
    /// Segments retransmitted until the last call.
    retransmits_at_call: u32,
}

impl Connection {
    pub(super) fn new(
        is_fresh: bool,
        ends: Ends,
        role: Role,
        process: Process,
        pair: Option<Pair>,
        now: u64,
    ) -> Self {
        let parser = if is_fresh { http::Connection::new(role) } else { http::Connection::midway(role) };
        Self {
            parser,
            ends,
            process,
            pair,
            recent: Recent::default(),
            last: now,
            is_idle: false,
            retransmits: 0,
            retransmits_at_call: 0,
        }
    }

    /// How many segments were retransmitted that this has not told of yet, by the kernel's count.
    pub(super) fn retransmitted(&mut self, total: u32) -> u32 {
        advance(&mut self.retransmits, total)
    }

    /// Calls passed that were not told.
    pub(super) fn settled(&mut self, now: u64, retransmits: u32) {
        self.last = now;
        advance(&mut self.retransmits_at_call, retransmits);
    }

    /// A transfer in the parser's terms.
    pub(super) fn segment<'a>(&mut self, data: &Data<'a>) -> Segment<'a> {
        self.last = data.end;
        self.is_idle = false;
        Segment {
            direction: if data.is_outbound { Direction::Outbound } else { Direction::Inbound },
            operation: operation_of(data.operation),
            offset: data.offset,
            length: data.length,
            bytes: data.bytes,
            start: data.start,
            end: data.end,
            round_trip: data.round_trip,
            retransmits: advance(&mut self.retransmits_at_call, data.retransmits),
        }
    }
}

/// Takes a count that only grows to `total`, and tells by how much.
fn advance(count: &mut u32, total: u32) -> u32 {
    let new = total.saturating_sub(*count);
    *count += new;
    new
}

fn operation_of(number: u8) -> Operation {
    match number {
        operation::READ => Operation::Read,
        operation::READV => Operation::Readv,
        operation::RECVFROM => Operation::Recvfrom,
        operation::RECVMSG => Operation::Recvmsg,
        operation::RECVMMSG => Operation::Recvmmsg,
        operation::WRITE => Operation::Write,
        operation::WRITEV => Operation::Writev,
        operation::SENDTO => Operation::Sendto,
        operation::SENDMSG => Operation::Sendmsg,
        operation::SENDMMSG => Operation::Sendmmsg,
        operation::SENDFILE => Operation::Sendfile,
        operation::SPLICE => Operation::Splice,
        operation::IO_URING => Operation::IoUring,
        _ => Operation::Other,
    }
}
