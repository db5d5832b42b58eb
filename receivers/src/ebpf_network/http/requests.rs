//! The direction of the requests.

use super::{
    Anomaly, Loss, Observer,
    body::{Body, Skipped},
    detect,
    head::{self, Coding, Declared, Details, Invalid, MAX_HEAD, RequestHead},
    pairing::{Http1, MAX_BODIES, MAX_HEADS, MAX_QUEUE, Order},
    pending::{call_of, emptied},
    stream::State,
};
use crate::ebpf_network::socket::Segment;

impl Http1 {
    pub(super) fn request_segment(&mut self, segment: &Segment<'_>, observer: &mut impl Observer) {
        let Some(news) = self.requests.advance(segment) else { return };
        if news.gap > 0 {
            self.requests.recorded = true;
            self.skip_requests(news.gap, 0, observer);
            self.requests.recorded = false;
        }
        self.feed_requests(news.bytes, news.whole, segment, observer);
        if news.uncaptured > 0 && !self.upgraded && !self.refuted {
            self.record_request(segment);
            self.skip_requests(news.uncaptured, segment.end, observer);
        }
    }

    fn feed_requests(
        &mut self,
        mut bytes: &[u8],
        mut at_start: bool,
        segment: &Segment<'_>,
        observer: &mut impl Observer,
    ) {
        while let Some(first) = bytes.first()
            && !self.upgraded
            && !self.refuted
        {
            let used = match self.requests.state {
                State::Seek if at_start && detect::surely_request(bytes) => {
                    at_start = false;
                    self.requests.begin_head(segment, true);
                    0
                }
                State::Seek => return,
                // Servers pass over empty lines before a request (RFC 9112, section 2.2).
                State::Start if matches!(first, b'\r' | b'\n') => 1,
                State::Start => {
                    at_start = false;
                    self.requests.begin_head(segment, false);
                    0
                }
                State::Head => match self.request_head(bytes, segment, observer) {
                    Ok(used) => used,
                    Err(invalid) => {
                        self.invalid_request(invalid, observer);
                        0
                    }
                },
                State::Body(body) => match self.request_body(body, bytes, segment, observer) {
                    Ok(used) => used,
                    Err(invalid) => {
                        self.lose_requests(invalid.into(), observer);
                        return;
                    }
                },
            };
            at_start &= used == 0;
            bytes = bytes.get(used..).unwrap_or_default();
        }
    }

    /// Reads the head, or keeps what there is of it. Gives how many bytes it took.
    fn request_head(
        &mut self,
        bytes: &[u8],
        segment: &Segment<'_>,
        observer: &mut impl Observer,
    ) -> Result<usize, Invalid> {
        let wants_details = observer.wants_details();
        if wants_details {
            self.requests.record(call_of(segment));
        }
        if self.requests.head.is_empty() {
            let mut details = wants_details.then(Details::default);
            match head::request(bytes, details.as_mut())? {
                Some(head) => return self.begin_request(&head, details.as_ref(), bytes, segment, observer),
                None if detect::request(bytes) == detect::Start::No => return Err(Invalid::NoMessage),
                None => {}
            }
        }
        let before = self.requests.head.len();
        let taken = bytes.get(..MAX_HEAD - before).unwrap_or(bytes);
        self.requests.head.extend_from_slice(taken);
        let stream = &mut self.requests;
        let first_line = stream.scanned == 0;
        if !head::is_complete(&stream.head, &mut stream.scanned) {
            let hopeless = first_line && detect::request(&stream.head) == detect::Start::No;
            return match (hopeless, stream.head.len() == MAX_HEAD) {
                (true, _) => Err(Invalid::NoMessage),
                (_, true) => Err(Invalid::TooLarge),
                _ => Ok(taken.len()),
            };
        }
        let whole = std::mem::take(&mut stream.head);
        let mut details = wants_details.then(Details::default);
        let begun = match head::request(&whole, details.as_mut())? {
            Some(head) => self.begin_request(&head, details.as_ref(), &whole, segment, observer)?,
            None => return Err(Invalid::Malformed),
        };
        self.requests.head = emptied(whole);
        Ok(begun - before)
    }

    /// A request's head is complete.
    fn begin_request(
        &mut self,
        head: &RequestHead<'_>,
        details: Option<&Details<'_>>,
        bytes: &[u8],
        segment: &Segment<'_>,
        observer: &mut impl Observer,
    ) -> Result<usize, Invalid> {
        let body = Body::of_request(head.declared)?;
        self.confirmed = true;
        note_anomaly(head.declared, observer);
        self.drain(observer);
        self.body_is_queued = self.admit(head.size, observer);
        if self.body_is_queued {
            let mut pending = self.pending();
            pending.begin(head, self.requests.start, segment.end);
            pending.certain = self.order == Order::Certain;
            if let Some(details) = details {
                pending.detail(details, bytes.get(..head.size).unwrap_or_default());
                let wants = pending.with_request(|request| observer.request(request));
                let kept: usize =
                    self.queue.iter().map(|other| other.request.keep + other.response.keep).sum();
                let most = MAX_BODIES.saturating_sub(kept) / 4;
                pending.request.keep = wants.request_body.min(most);
                pending.response.keep = wants.response_body.min(most);
                pending.keep_calls = wants.calls;
                pending.calls(&self.requests.calls);
            }
            self.queue.push_back(pending);
        }
        self.requests.state = State::Body(body);
        if body.is_done() {
            self.finish_request(observer);
        }
        if !self.parked.is_empty() && self.order == Order::Certain {
            self.replay(observer);
        }
        Ok(head.size)
    }

    /// Whether the request that comes now can be told its response.
    fn admit(&mut self, size: usize, observer: &mut impl Observer) -> bool {
        match (self.order, self.queue.front()) {
            (Order::Certain, _) => {
                let heads: usize = self.queue.iter().map(|pending| pending.request.head_size).sum();
                let room = self.queue.len() < MAX_QUEUE && heads + size <= MAX_HEADS;
                if !room {
                    observer.lost(Loss::QueueFull);
                    self.order = Order::Uncertain { losses: true };
                }
                room
            }
            _ if self.pipelining > 0 => {
                observer.lost(Loss::Pipelined);
                false
            }
            (_, None) => true,
            (_, Some(_)) => {
                observer.lost(Loss::Unproven);
                self.drop_candidate(observer);
                false
            }
        }
    }

    fn request_body(
        &mut self,
        mut body: Body,
        bytes: &[u8],
        segment: &Segment<'_>,
        observer: &mut impl Observer,
    ) -> Result<usize, Invalid> {
        self.record_request(segment);
        let pending = self.queue.back_mut().filter(|_| self.body_is_queued);
        let used = body.feed(bytes, segment.end, pending.map(|pending| &mut pending.request))?;
        self.requests.state = State::Body(body);
        if body.is_done() {
            self.finish_request(observer);
        }
        Ok(used)
    }

    fn record_request(&mut self, segment: &Segment<'_>) {
        if !self.requests.recorded && self.body_is_queued && matches!(self.requests.state, State::Body(_)) {
            self.requests.recorded = true;
            if let Some(pending) = self.queue.back_mut().filter(|pending| pending.keep_calls) {
                pending.call(call_of(segment));
            }
        }
    }

    /// Passes over bytes that were not seen; `end` is when they were moved, if known.
    pub(super) fn skip_requests(&mut self, count: u64, end: u64, observer: &mut impl Observer) {
        match self.requests.state {
            State::Seek => {}
            State::Start | State::Head => self.lose_requests(Loss::Gap, observer),
            State::Body(mut body) => {
                let mut pending = self.queue.back_mut().filter(|_| self.body_is_queued);
                let skipped = body.skip(count, pending.as_deref_mut().map(|pending| &mut pending.request));
                if let Some(pending) = pending {
                    pending.request.moved(0, end);
                }
                self.requests.state = State::Body(body);
                match skipped {
                    Skipped::Inside => {}
                    Skipped::Done => self.finish_request(observer),
                    Skipped::Lost => self.lose_requests(Loss::Gap, observer),
                }
            }
        }
    }

    /// The last byte of a request came.
    pub(super) fn finish_request(&mut self, observer: &mut impl Observer) {
        self.requests.finish();
        if !std::mem::take(&mut self.body_is_queued) {
            return;
        }
        let Some(pending) = self.queue.back_mut() else { return };
        pending.request.done = true;
        if pending.response.done {
            self.complete(observer);
        }
    }

    /// What was taken for a head is none, or one that cannot be read.
    fn invalid_request(&mut self, invalid: Invalid, observer: &mut impl Observer) {
        match invalid {
            Invalid::NoMessage if self.requests.found => self.requests.lose(),
            Invalid::NoMessage if !self.confirmed => self.refuted = true,
            _ => {
                self.confirmed = true;
                self.lose_requests(invalid.into(), observer);
            }
        }
    }

    /// Takes the responses that came before their request.
    fn replay(&mut self, observer: &mut impl Observer) {
        let parked = std::mem::take(&mut self.parked);
        for segment in parked.segments() {
            self.segment(&segment, observer);
        }
    }
}

pub(super) fn note_anomaly(declared: Declared, observer: &mut impl Observer) {
    if declared.coding == Coding::Chunked && declared.length.is_some() {
        observer.anomaly(Anomaly::LengthAndChunked);
    }
}

impl From<Invalid> for Loss {
    fn from(invalid: Invalid) -> Self {
        match invalid {
            Invalid::TooLarge => Self::HeadTooLarge,
            Invalid::TooManyHeaders => Self::TooManyHeaders,
            Invalid::Malformed | Invalid::NoMessage => Self::Malformed,
        }
    }
}
