//! An exchange that has begun: what is kept of it until it ends, in buffers that are used again.

use std::ops::Range;

use super::head::{Details, RequestHead, ResponseHead};
use crate::ebpf_network::{
    exchange::{Call, Ending, Exchange, MAX_CALLS, Message, Request, Response},
    socket::{Role, Segment},
    trace_context::{Carried, Contexts},
};

/// Buffers that grew larger are given back.
const LARGEST_KEPT: usize = 4 << 10;

/// One request and its response.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) request: Part,
    pub(super) response: Part,
    pub(super) kind: Kind,
    pub(super) upgrade: bool,
    pub(super) status: u16,
    /// Its place in the order of requests is proven, so that its response can be told.
    pub(super) certain: bool,
    pub(super) truncated: bool,
    pub(super) keep_calls: bool,
    /// More is kept than metrics need.
    detailed: bool,
    text: String,
    method: Range<usize>,
    target: Range<usize>,
    host: Range<usize>,
    user_agent: Range<usize>,
    minor_version: u8,
    response_minor_version: u8,
    carried: Carried,
    calls: Vec<Call>,
}

/// Half an exchange.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) head: Vec<u8>,
    /// How long it is, kept or not.
    pub(super) head_size: usize,
    pub(super) body: Vec<u8>,
    /// How many bytes of the body are wanted.
    pub(super) keep: usize,
    pub(super) body_size: u64,
    pub(super) wire_size: u64,
    pub(super) start: u64,
    pub(super) end: u64,
    /// Its head came.
    pub(super) begun: bool,
    /// Its last byte came.
    pub(super) done: bool,
    /// Bytes that were wanted were not seen.
    pub(super) missing: bool,
}

/// What of the method matters to the response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Other,
    Head,
    Connect,
}

impl Pending {
    /// Takes over what metrics need of a request's head.
    pub(super) fn begin(&mut self, head: &RequestHead<'_>, start: u64, end: u64) {
        self.kind = match head.method {
            b"HEAD" => Kind::Head,
            b"CONNECT" => Kind::Connect,
            _ => Kind::Other,
        };
        self.upgrade = head.upgrade;
        self.minor_version = head.minor_version;
        // What has to be repaired is in the target: a method is ASCII.
        let line = push(&mut self.text, head.line);
        self.method = line.start..line.start + head.method.len();
        self.target = self.method.end + 1..line.end;
        self.request.begin(head.size, start, end);
    }

    /// Takes over the rest of a request's head.
    pub(super) fn detail(&mut self, details: &Details<'_>, bytes: &[u8]) {
        self.detailed = true;
        self.host = push(&mut self.text, details.host);
        self.user_agent = push(&mut self.text, details.user_agent);
        self.carried.read(&details.trace);
        self.request.head.extend_from_slice(bytes);
    }

    /// Takes a final response's head over.
    pub(super) fn answer(&mut self, head: &ResponseHead, bytes: &[u8], start: u64, end: u64) {
        self.status = head.status;
        self.response_minor_version = head.minor_version;
        self.response.begin(bytes.len(), start, end);
        if self.detailed {
            self.response.head.extend_from_slice(bytes);
        }
    }

    /// Forgets the exchange, keeps the buffers.
    pub(super) fn clear(&mut self) {
        self.request.clear();
        self.response.clear();
        if self.detailed {
            self.carried.clear();
        }
        self.text.clear();
        self.calls.clear();
        if self.text.capacity() > LARGEST_KEPT {
            self.text = String::new();
        }
        (self.certain, self.truncated, self.keep_calls, self.detailed) = (false, false, false, false);
        (self.host, self.user_agent) = (0..0, 0..0);
    }

    /// Adds a call, in order of time.
    pub(super) fn call(&mut self, call: Call) {
        if self.keep_calls {
            record(&mut self.calls, call);
        }
    }

    /// Adds the calls of the request's head.
    pub(super) fn calls(&mut self, calls: &[Call]) {
        calls.iter().for_each(|call| self.call(*call));
    }

    /// As the observer sees it while the request is all there is.
    #[inline]
    pub(super) fn with_request<R>(&self, see: impl FnOnce(&Request<'_>) -> R) -> R {
        see(&self.request(&self.contexts()))
    }

    /// As the observer sees it at its end.
    #[inline]
    pub(super) fn with_exchange<R>(
        &self,
        role: Role,
        ending: Ending,
        see: impl FnOnce(&Exchange<'_>) -> R,
    ) -> R {
        let response = self.response.begun.then(|| Response {
            status: self.status,
            minor_version: self.response_minor_version,
            message: self.response.message(),
        });
        let truncated = self.truncated || self.request.missing || self.response.missing;
        let contexts = self.contexts();
        let request = self.request(&contexts);
        see(&Exchange { role, request, response, ending, truncated, calls: &self.calls })
    }

    #[inline]
    fn request<'a>(&'a self, contexts: &'a Contexts<'a>) -> Request<'a> {
        let text = |range: &Range<usize>| self.text.get(range.clone()).unwrap_or_default();
        Request {
            method: text(&self.method),
            target: text(&self.target),
            minor_version: self.minor_version,
            contexts,
            host: text(&self.host),
            user_agent: text(&self.user_agent),
            message: self.request.message(),
        }
    }

    #[inline]
    fn contexts(&self) -> Contexts<'_> {
        if self.detailed { self.carried.contexts() } else { Contexts::default() }
    }

    pub(super) fn memory(&self) -> usize {
        size_of::<Self>()
            + self.request.memory()
            + self.response.memory()
            + self.text.capacity()
            + self.carried.memory()
            + self.calls.capacity() * size_of::<Call>()
    }
}

impl Part {
    fn begin(&mut self, head_size: usize, start: u64, end: u64) {
        self.head_size = head_size;
        self.wire_size = head_size as u64;
        (self.start, self.end, self.begun) = (start, end, true);
    }

    /// Counts bytes on the wire.
    pub(super) fn moved(&mut self, bytes: u64, end: u64) {
        self.wire_size += bytes;
        self.end = self.end.max(end);
    }

    /// Counts bytes of the body, and keeps them where they are wanted.
    pub(super) fn data(&mut self, bytes: &[u8]) {
        self.body_size += bytes.len() as u64;
        if !self.missing {
            let wanted = self.keep.saturating_sub(self.body.len()).min(bytes.len());
            self.body.extend_from_slice(bytes.get(..wanted).unwrap_or_default());
        }
    }

    /// Counts bytes that were not seen, `data` of them without framing.
    pub(super) fn unseen(&mut self, wire: u64, data: u64) {
        self.wire_size += wire;
        self.body_size += data;
        self.missing |= data > 0 && self.body.len() < self.keep;
    }

    #[inline]
    fn message(&self) -> Message<'_> {
        Message {
            head: &self.head,
            body: &self.body,
            head_size: self.head_size as u64,
            body_size: self.body_size,
            wire_size: self.wire_size,
            start: self.start,
            end: self.end,
        }
    }

    fn clear(&mut self) {
        let Self { head, body, head_size, keep, body_size, wire_size, start, end, begun, done, missing } =
            self;
        for buffer in [head, body] {
            buffer.clear();
            if buffer.capacity() > LARGEST_KEPT {
                *buffer = Vec::new();
            }
        }
        (*head_size, *keep, *body_size, *wire_size, *start, *end) = (0, 0, 0, 0, 0, 0);
        (*begun, *done, *missing) = (false, false, false);
    }

    fn memory(&self) -> usize {
        self.head.capacity() + self.body.capacity()
    }
}

/// Adds a call in order of time; beyond [`MAX_CALLS`] it is folded into the last of its direction.
pub(super) fn record(calls: &mut Vec<Call>, call: Call) {
    // The last place is for the other direction.
    let alone = calls.len() + 1 == MAX_CALLS && calls.iter().all(|other| other.direction == call.direction);
    if calls.len() < MAX_CALLS && !alone {
        let began = |call: &Call| if call.start == 0 { call.end } else { call.start };
        let at = calls.iter().rposition(|other| began(other) <= began(&call)).map_or(0, |at| at + 1);
        calls.insert(at, call);
    } else if let Some(last) = calls.iter_mut().rev().find(|other| other.direction == call.direction) {
        last.end = last.end.max(call.end);
        last.size += call.size;
        last.count += call.count;
        last.retransmits = last.retransmits.saturating_add(call.retransmits);
        last.round_trip = call.round_trip;
    }
}

/// The call that moved a segment.
pub(super) fn call_of(segment: &Segment<'_>) -> Call {
    Call {
        operation: segment.operation,
        direction: segment.direction,
        start: segment.start,
        end: segment.end,
        size: u64::from(segment.length),
        count: 1,
        round_trip: segment.round_trip,
        retransmits: segment.retransmits,
    }
}

/// The buffer without its content, if it is not too large to be kept.
pub(super) fn emptied(mut buffer: Vec<u8>) -> Vec<u8> {
    buffer.clear();
    if buffer.capacity() > LARGEST_KEPT { Vec::new() } else { buffer }
}

/// What is not UTF-8 is repaired.
fn push(text: &mut String, bytes: &[u8]) -> Range<usize> {
    let begin = text.len();
    match str::from_utf8(bytes) {
        Ok(valid) => text.push_str(valid),
        Err(_) => text.push_str(&String::from_utf8_lossy(bytes)),
    }
    begin..text.len()
}
