//! A connection that speaks HTTP/1.x: what is open on it, and what becomes of it at losses and at its end.

use std::collections::VecDeque;

use super::{
    Loss, Observer,
    body::Body,
    park::Parked,
    pending::Pending,
    stream::{State, Stream},
};
use crate::ebpf_network::{
    exchange::Ending,
    socket::{Direction, Role, Segment},
};

/// The most requests that wait for their responses.
pub const MAX_QUEUE: usize = 64;

/// The most bytes of heads of the requests that wait.
pub const MAX_HEADS: usize = 128 << 10;

/// The most bytes of bodies that are kept of the requests that wait and of their responses. One body gets at most a
/// quarter of what is left of it.
pub const MAX_BODIES: usize = 256 << 10;

/// The most bytes that a connection takes: heads and bodies, in buffers that grow by doubling, and everything around it.
pub const MAX_MEMORY: usize = 2 << 20;

/// Exchanges one at a time, after which a connection counts as not pipelining again.
const PIPELINING: u8 = 64;

/// Buffers of exchanges that are kept for the next.
const MAX_SPARE: usize = 4;

/// Two streams, and the exchanges between them.
#[derive(Debug)]
pub(super) struct Http1 {
    pub(super) role: Role,
    pub(super) order: Order,
    pub(super) requests: Stream,
    pub(super) responses: Stream,
    /// Requests that are not answered completely, in order.
    pub(super) queue: VecDeque<Box<Pending>>,
    /// The request whose body is coming is the last of the queue; else it is of no interest.
    pub(super) body_is_queued: bool,
    /// A pair that is not proven yet.
    pub(super) held: Option<Box<Pending>>,
    /// An exchange the end of whose response was lost.
    pub(super) draining: Option<Box<Pending>>,
    pub(super) parked: Parked,
    /// More than one request at a time was seen not so many exchanges ago.
    pub(super) pipelining: u8,
    /// What the kernel side took for whole exchanges was none.
    pub(super) disputed: bool,
    pub(super) confirmed: bool,
    pub(super) refuted: bool,
    pub(super) upgraded: bool,
    /// The responses are known to have been seen to their end.
    all_seen: bool,
    #[expect(clippy::vec_box, reason = "they move between here and the queue")]
    spare: Vec<Box<Pending>>,
}

/// What is known of which responses belong to which requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// The next response is that of the first request in the queue.
    Certain,
    /// There may be requests that were not seen; after losses or, if not, only because the connection is older.
    Uncertain { losses: bool },
}

impl Http1 {
    /// A connection at its very beginning, or one to be found into.
    pub(super) fn new(role: Role, first: bool, losses: bool) -> Self {
        let stream = || if first { Stream::fresh() } else { Stream::default() };
        Self {
            role,
            order: if first { Order::Certain } else { Order::Uncertain { losses } },
            requests: stream(),
            responses: stream(),
            queue: VecDeque::new(),
            body_is_queued: false,
            held: None,
            draining: None,
            parked: Parked::default(),
            pipelining: 0,
            disputed: false,
            confirmed: false,
            refuted: false,
            upgraded: false,
            all_seen: false,
            spare: Vec::new(),
        }
    }

    pub(super) const fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    /// It looked like HTTP/1.x at first, and is not.
    pub(super) const fn is_refuted(&self) -> bool {
        self.refuted
    }

    pub(super) const fn is_upgraded(&self) -> bool {
        self.upgraded
    }

    pub(super) fn segment(&mut self, segment: &Segment<'_>, observer: &mut impl Observer) {
        if self.carries_requests(segment.direction) {
            self.request_segment(segment, observer);
        } else if self.parked.is_empty() {
            self.response_segment(segment, observer);
        } else {
            self.park(segment, observer);
        }
    }

    pub(super) fn extent(&mut self, direction: Direction, offset: u64, observer: &mut impl Observer) {
        let requests = self.carries_requests(direction);
        let stream = if requests { &mut self.requests } else { &mut self.responses };
        let reached = stream.next.max(self.parked.end().filter(|_| !requests));
        let missing = reached.map_or(0, |next| offset.saturating_sub(next));
        stream.next = stream.next.max(Some(offset).filter(|_| missing > 0));
        match (missing, requests) {
            (0, true) => {}
            (0, false) => self.all_seen = reached == Some(offset),
            (_, true) => self.skip_requests(missing, 0, observer),
            (_, false) => self.skip_responses(missing, 0, observer),
        }
    }

    /// Exchanges passed one at a time, by what the kernel side has seen, and both streams are at the begin of a message. If
    /// nothing is open here that proves what is held, as if the next exchange had been seen. If not the two do not agree on
    /// which response belongs to which request, and until what is seen proves it nothing is taken from the kernel side.
    pub(super) fn settled(&mut self, inbound: u64, outbound: u64, observer: &mut impl Observer) {
        let is_open = |stream: &Stream| matches!(stream.state, State::Head | State::Body(_));
        let is_clean = self.queue.is_empty()
            && self.parked.is_empty()
            && !is_open(&self.requests)
            && !is_open(&self.responses);
        self.drain(observer);
        if !is_clean {
            if self.queue.len() > 1 {
                self.note_pipelining();
            }
            self.disputed = true;
            self.lose_requests(Loss::Gap, observer);
            self.lose_responses(Loss::Gap, observer);
        } else if self.disputed {
            self.drop_candidate(observer);
        } else if self.pipelining == 0 {
            if let Some(held) = self.held.take() {
                self.settle(held, Some(Ending::Complete), observer);
            }
            self.order = Order::Certain;
            self.confirmed = true;
        }
        let requests_inbound = self.role == Role::Server;
        let is_certain = self.order == Order::Certain;
        self.requests.settle(if requests_inbound { inbound } else { outbound }, is_certain);
        self.responses.settle(if requests_inbound { outbound } else { inbound }, is_certain);
    }

    pub(super) fn close(&mut self, observer: &mut impl Observer) {
        self.drop_parked(observer);
        self.drain(observer);
        let proven = self.all_seen || self.order != Order::Uncertain { losses: true };
        if let Some(held) = self.held.take() {
            self.settle(held, proven.then_some(Ending::Complete), observer);
        }
        let until_close = matches!(self.responses.state, State::Body(Body::UntilClose));
        while let Some(pending) = self.queue.pop_front() {
            let ending = match (&pending.response.done, &pending.response.begun) {
                (true, _) => Ending::Complete,
                (_, true) if until_close => Ending::UntilClose,
                _ => Ending::ConnectionClosed,
            };
            let proven = pending.certain
                || match (pending.response.begun, pending.response.done) {
                    (_, true) => proven,
                    (false, _) => self.all_seen,
                    // It may be another one, to `HEAD`, and what follows it not its body.
                    (true, false) => false,
                };
            self.settle(pending, proven.then_some(ending), observer);
        }
    }

    pub(super) fn idle(&mut self, observer: &mut impl Observer) {
        if !self.parked.is_empty() {
            self.drop_parked(observer);
            self.order = Order::Uncertain { losses: true };
        }
        if self.order == (Order::Uncertain { losses: false })
            && let Some(held) = self.held.take()
        {
            self.settle(held, Some(Ending::Complete), observer);
        }
        self.spare = Vec::new();
        self.queue.shrink_to_fit();
        self.requests.release();
        self.responses.release();
    }

    pub(super) fn memory(&self) -> usize {
        let pending = self.queue.iter().chain(&self.spare).chain(&self.held).chain(&self.draining);
        size_of::<Self>()
            + self.requests.memory()
            + self.responses.memory()
            + self.parked.memory()
            + (self.queue.capacity() + self.spare.capacity()) * size_of::<Box<Pending>>()
            + pending.map(|pending| pending.memory()).sum::<usize>()
    }

    fn carries_requests(&self, direction: Direction) -> bool {
        (direction == Direction::Inbound) == (self.role == Role::Server)
    }

    /// Where requests begin is not known any more. Those before keep their order.
    pub(super) fn lose_requests(&mut self, loss: Loss, observer: &mut impl Observer) {
        observer.lost(loss);
        self.drop_parked(observer);
        if matches!(self.requests.state, State::Body(_)) && self.body_is_queued {
            if let Some(last) = self.queue.back_mut() {
                last.truncated = true;
            }
            self.finish_request(observer);
        }
        self.order = Order::Uncertain { losses: true };
        self.drop_candidate(observer);
        self.requests.lose();
    }

    /// Where responses begin is not known any more, and so not either which of them a request has.
    pub(super) fn lose_responses(&mut self, loss: Loss, observer: &mut impl Observer) {
        observer.lost(loss);
        self.drain(observer);
        if let Some(held) = self.held.take() {
            self.settle(held, None, observer);
        }
        while let Some(mut pending) = self.queue.pop_front() {
            let (begun, done) = (pending.response.begun, pending.response.done);
            pending.truncated = true;
            match pending.certain && begun {
                true if done => self.settle(pending, Some(Ending::Complete), observer),
                true => self.draining = Some(pending),
                false => self.settle(pending, None, observer),
            }
        }
        self.body_is_queued = false;
        self.order = Order::Uncertain { losses: true };
        self.responses.lose();
    }

    /// Gives up what was paired, or was to be, without proof.
    pub(super) fn drop_candidate(&mut self, observer: &mut impl Observer) {
        if let Some(held) = self.held.take() {
            self.settle(held, None, observer);
        }
        if let Some(candidate) = self.queue.pop_back_if(|pending| !pending.certain) {
            self.body_is_queued = false;
            self.settle(candidate, None, observer);
            self.responses.lose();
        }
    }

    /// Ends the exchange the end of whose response was lost.
    pub(super) fn drain(&mut self, observer: &mut impl Observer) {
        if let Some(pending) = self.draining.take() {
            self.settle(pending, Some(Ending::Lost), observer);
        }
    }

    /// The first of the queue has its request and its response.
    pub(super) fn complete(&mut self, observer: &mut impl Observer) {
        let Some(pending) = self.queue.pop_front() else { return };
        if pending.certain {
            if self.queue.is_empty() {
                self.pipelining = self.pipelining.saturating_sub(1);
            }
            self.settle(pending, Some(Ending::Complete), observer);
        } else {
            self.held = Some(pending);
        }
    }

    /// More than one request is open.
    pub(super) const fn note_pipelining(&mut self) {
        self.pipelining = PIPELINING;
    }

    /// Hands the exchange out, or counts it as lost, and takes its buffers back.
    pub(super) fn settle(
        &mut self,
        mut pending: Box<Pending>,
        ending: Option<Ending>,
        observer: &mut impl Observer,
    ) {
        match ending {
            Some(ending) => pending.with_exchange(self.role, ending, |exchange| observer.exchange(exchange)),
            None => observer.lost(Loss::Unproven),
        }
        if self.spare.len() < MAX_SPARE {
            pending.clear();
            self.spare.push(pending);
        }
    }

    /// Buffers for an exchange.
    pub(super) fn pending(&mut self) -> Box<Pending> {
        self.spare.pop().unwrap_or_default()
    }

    /// Puts responses aside until their request comes.
    pub(super) fn park(&mut self, segment: &Segment<'_>, observer: &mut impl Observer) {
        if !self.parked.add(segment) {
            self.drop_parked(observer);
            let end = segment.offset.checked_add(u64::from(segment.length));
            self.responses.next = self.responses.next.max(end);
            self.order = Order::Uncertain { losses: true };
        }
    }

    /// The request of the responses put aside was not seen.
    fn drop_parked(&mut self, observer: &mut impl Observer) {
        if !self.parked.is_empty() {
            observer.lost(Loss::ResponseWithoutRequest);
            self.responses.next = self.responses.next.max(self.parked.end());
            self.responses.lose();
            self.parked = Parked::default();
        }
    }
}
