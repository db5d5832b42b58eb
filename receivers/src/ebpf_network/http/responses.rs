//! The direction of the responses.

use super::{
    Loss, Observer,
    body::{Body, Skipped},
    detect,
    head::{self, Invalid, MAX_HEAD, ResponseHead},
    pairing::{Http1, Order},
    pending::{Kind, call_of, emptied},
    requests::note_anomaly,
    stream::State,
};
use crate::ebpf_network::{exchange::Ending, socket::Segment};

/// What becomes of the rest of a segment.
enum Next {
    /// It goes on behind so many bytes.
    Behind(usize),
    /// Its request has not been seen yet.
    Wait,
    /// It is of no interest.
    Ignore,
}

impl Http1 {
    pub(super) fn response_segment(&mut self, segment: &Segment<'_>, observer: &mut impl Observer) {
        let Some(news) = self.responses.advance(segment) else { return };
        if news.gap > 0 {
            self.responses.recorded = true;
            self.skip_responses(news.gap, 0, observer);
            self.responses.recorded = false;
        }
        let mut bytes = news.bytes;
        let mut at_start = news.whole;
        while !bytes.is_empty() && !self.upgraded && !self.refuted {
            match self.feed_responses(bytes, at_start, segment, observer) {
                Next::Behind(used) => {
                    at_start = false;
                    bytes = bytes.get(used..).unwrap_or_default();
                }
                Next::Ignore => break,
                Next::Wait => {
                    let length = bytes.len() as u64 + news.uncaptured;
                    let offset = self.responses.next.map_or(0, |next| next - length);
                    self.responses.next = Some(offset);
                    let length = u32::try_from(length).unwrap_or(u32::MAX);
                    return self.park(&Segment { offset, length, bytes, ..*segment }, observer);
                }
            }
        }
        if news.uncaptured > 0 && !self.upgraded && !self.refuted {
            self.record_response(segment);
            self.skip_responses(news.uncaptured, segment.end, observer);
        }
    }

    fn feed_responses(
        &mut self,
        bytes: &[u8],
        at_start: bool,
        segment: &Segment<'_>,
        observer: &mut impl Observer,
    ) -> Next {
        match self.responses.state {
            State::Seek if at_start && detect::surely_response(bytes) => {
                self.drain(observer);
                if self.queue.front().is_none_or(|first| first.response.done) {
                    observer.lost(Loss::ResponseWithoutRequest);
                    return Next::Ignore;
                }
                self.responses.begin_head(segment, true);
                Next::Behind(0)
            }
            State::Seek => {
                self.stray(bytes.len() as u64, segment.end, observer);
                Next::Ignore
            }
            State::Start => self.start_response(segment, observer),
            State::Head => match self.response_head(bytes, segment, observer) {
                Ok(used) => Next::Behind(used),
                Err(invalid) => {
                    self.lose_responses(invalid.into(), observer);
                    Next::Ignore
                }
            },
            State::Body(body) => match self.response_body(body, bytes, segment, observer) {
                Ok(used) => Next::Behind(used),
                Err(invalid) => {
                    self.lose_responses(invalid.into(), observer);
                    Next::Ignore
                }
            },
        }
    }

    /// A response begins behind the end of another.
    fn start_response(&mut self, segment: &Segment<'_>, observer: &mut impl Observer) -> Next {
        if let Some(first) = self.queue.front_mut().filter(|first| !first.response.done) {
            if let Some(held) = self.held.take() {
                first.certain = true;
                self.order = Order::Certain;
                self.disputed = false;
                self.settle(held, Some(Ending::Complete), observer);
            }
            if self.queue.len() > 1 && self.order == Order::Certain {
                self.note_pipelining();
            }
            self.responses.begin_head(segment, false);
            return Next::Behind(0);
        }
        if self.order == Order::Certain {
            return Next::Wait;
        }
        self.lose_responses(Loss::ResponseWithoutRequest, observer);
        Next::Ignore
    }

    /// Reads the head, or keeps what there is of it. Gives how many bytes it took.
    fn response_head(
        &mut self,
        bytes: &[u8],
        segment: &Segment<'_>,
        observer: &mut impl Observer,
    ) -> Result<usize, Invalid> {
        self.record_response(segment);
        if self.responses.head.is_empty() {
            match head::response(bytes)? {
                Some(head) => {
                    self.begin_response(&head, bytes, segment, observer);
                    return Ok(head.size);
                }
                None if detect::response(bytes) == detect::Start::No => return Err(Invalid::NoMessage),
                None => {}
            }
        }
        let before = self.responses.head.len();
        let taken = bytes.get(..MAX_HEAD - before).unwrap_or(bytes);
        self.responses.head.extend_from_slice(taken);
        let stream = &mut self.responses;
        if !head::is_complete(&stream.head, &mut stream.scanned) {
            return match (detect::response(&stream.head), stream.head.len()) {
                (detect::Start::No, _) => Err(Invalid::NoMessage),
                (_, MAX_HEAD) => Err(Invalid::TooLarge),
                _ => Ok(taken.len()),
            };
        }
        let whole = std::mem::take(&mut stream.head);
        let head = head::response(&whole)?.ok_or(Invalid::Malformed)?;
        self.begin_response(&head, &whole, segment, observer);
        self.responses.head = emptied(whole);
        Ok(head.size - before)
    }

    /// A response's head is complete.
    fn begin_response(
        &mut self,
        head: &ResponseHead,
        bytes: &[u8],
        segment: &Segment<'_>,
        observer: &mut impl Observer,
    ) {
        let Some(pending) = self.queue.front_mut() else { return self.responses.lose() };
        note_anomaly(head.declared, observer);
        let switches = head.status == 101;
        if matches!(head.status, 100..200) && !switches {
            self.responses.state = State::Start;
            return;
        }
        let start = self.responses.start;
        pending.answer(head, bytes.get(..head.size).unwrap_or_default(), start, segment.end);
        if switches || pending.kind == Kind::Connect && matches!(head.status, 200..300) {
            return self.upgrade(switches, observer);
        }
        let body = Body::of_response(head.status, pending.kind == Kind::Head, head.declared);
        self.responses.state = State::Body(body);
        if body.is_done() {
            self.finish_response(observer);
        }
    }

    fn response_body(
        &mut self,
        mut body: Body,
        bytes: &[u8],
        segment: &Segment<'_>,
        observer: &mut impl Observer,
    ) -> Result<usize, Invalid> {
        self.record_response(segment);
        let part = self.queue.front_mut().map(|pending| &mut pending.response);
        let used = body.feed(bytes, segment.end, part)?;
        self.responses.state = State::Body(body);
        if body.is_done() {
            self.finish_response(observer);
        }
        Ok(used)
    }

    fn record_response(&mut self, segment: &Segment<'_>) {
        if !self.responses.recorded && matches!(self.responses.state, State::Head | State::Body(_)) {
            self.responses.recorded = true;
            if let Some(pending) = self.queue.front_mut().filter(|pending| pending.keep_calls) {
                pending.call(call_of(segment));
            }
        }
    }

    /// Passes over bytes that were not seen; `end` is when they were moved, if known.
    pub(super) fn skip_responses(&mut self, count: u64, end: u64, observer: &mut impl Observer) {
        match self.responses.state {
            State::Seek => self.stray(count, end, observer),
            State::Start | State::Head => self.lose_responses(Loss::Gap, observer),
            State::Body(mut body) => {
                let mut part = self.queue.front_mut().map(|pending| &mut pending.response);
                let skipped = body.skip(count, part.as_deref_mut());
                if let Some(part) = part {
                    part.moved(0, end);
                }
                self.responses.state = State::Body(body);
                match skipped {
                    Skipped::Inside => {}
                    Skipped::Done => self.finish_response(observer),
                    Skipped::Lost => self.lose_responses(Loss::Gap, observer),
                }
            }
        }
    }

    /// Bytes of which nothing is known but their number.
    fn stray(&mut self, count: u64, end: u64, observer: &mut impl Observer) {
        match &mut self.draining {
            Some(pending) => pending.response.moved(count, end),
            None => self.drop_candidate(observer),
        }
    }

    /// The last byte of a response came.
    fn finish_response(&mut self, observer: &mut impl Observer) {
        self.responses.finish();
        let Some(pending) = self.queue.front_mut() else { return };
        pending.response.done = true;
        if pending.request.done {
            self.complete(observer);
        }
    }

    /// HTTP ends here. Only a `101` to a request that asked for it needs no proof that they belong together.
    fn upgrade(&mut self, switches: bool, observer: &mut impl Observer) {
        self.upgraded = true;
        let losses = self.order == Order::Uncertain { losses: true };
        let held = self.held.take();
        if let Some(first) = self.queue.pop_front() {
            let proven = first.certain || !losses || switches && first.upgrade;
            self.settle(first, proven.then_some(Ending::Upgraded), observer);
        }
        for pending in std::mem::take(&mut self.queue).into_iter().chain(held) {
            self.settle(pending, None, observer);
        }
    }
}
