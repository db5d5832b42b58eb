//! When requests and messages were sent and received, and what that says about the times of spans.

use super::{span::SourceAnnotation, split::Splitter};
use crate::zipkin::span::{Annotation, Kind, SpanFault};

/// When the annotations came that mean something to Zipkin. Messages go over a wire before and after the broker.
#[derive(Debug, Default)]
pub(super) struct Moments {
    pub(super) client_sent: Option<Moment>,
    pub(super) client_received: Option<Moment>,
    pub(super) server_received: Option<Moment>,
    pub(super) server_sent: Option<Moment>,
    pub(super) message_sent: Option<Moment>,
    pub(super) message_received: Option<Moment>,
    pub(super) wire_sent: Option<Moment>,
    pub(super) wire_received: Option<Moment>,
}

/// An annotation that says when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// In microseconds since 1970.
    pub(super) time: u64,
    /// The side of the host that made it.
    pub(super) side: usize,
    /// The place of the annotation.
    pub(super) annotation: usize,
}

impl Moments {
    /// Where an annotation of this value belongs, and the kind of span that makes it.
    pub(super) fn slot(&mut self, value: &str) -> Option<(&mut Option<Moment>, Option<Kind>)> {
        Some(match value {
            "cs" => (&mut self.client_sent, Some(Kind::Client)),
            "cr" => (&mut self.client_received, Some(Kind::Client)),
            "sr" => (&mut self.server_received, Some(Kind::Server)),
            "ss" => (&mut self.server_sent, Some(Kind::Server)),
            "ms" => (&mut self.message_sent, Some(Kind::Producer)),
            "mr" => (&mut self.message_received, Some(Kind::Consumer)),
            "ws" => (&mut self.wire_sent, None),
            "wr" => (&mut self.wire_received, None),
            _ => return None,
        })
    }

    /// Clients may leave out the start if timestamp and duration say the same as it.
    pub(super) fn infer_starts(&mut self, timestamp: u64, duration: u64) {
        let starts = |end: Option<Moment>| {
            let at_end = |end: &Moment| {
                timestamp != 0 && duration != 0 && timestamp.saturating_add(duration) == end.time
            };
            end.filter(at_end).map(|end| Moment { time: timestamp, ..end })
        };
        self.client_sent = self.client_sent.or_else(|| starts(self.client_received));
        self.server_received = self.server_received.or_else(|| starts(self.server_sent));
    }
}

impl<'a> Splitter<'a> {
    pub(super) fn time_request(
        &mut self,
        at: &Moments,
        annotations: &[SourceAnnotation<'a>],
    ) -> Result<(), SpanFault> {
        match (at.client_sent, at.server_received) {
            (Some(sent), Some(received)) => {
                // The span's own times are the client's.
                self.set_times(sent, at.client_received);
                let server = self.opposite(sent, received, [Kind::Client, Kind::Server], annotations)?;
                let server = self.span(server);
                server.shared = true;
                server.timestamp = received.time;
                if let Some(answered) = at.server_sent {
                    server.duration = answered.time.saturating_sub(received.time);
                }
            }
            (Some(sent), None) if at.client_received.is_some() => self.set_times(sent, at.client_received),
            (None, Some(received)) if at.server_sent.is_some() => self.set_times(received, at.server_sent),
            _ => self.leave_incomplete(at),
        }
        // Version 1 has no shared flag: a server that only joined a span leaves its times to the client.
        if let (None, Some(received)) = (at.client_sent, at.server_received)
            && (self.timestamp == 0 || at.server_sent.is_some() && self.duration == 0)
        {
            self.span(received.side).shared = true;
        }
        Ok(())
    }

    pub(super) fn time_message(
        &mut self,
        at: &Moments,
        annotations: &[SourceAnnotation<'a>],
    ) -> Result<(), SpanFault> {
        match (at.message_sent, at.message_received) {
            (Some(sent), Some(received)) => {
                let consumer =
                    self.opposite(sent, received, [Kind::Producer, Kind::Consumer], annotations)?;
                let consumer = self.span(consumer);
                consumer.shared = true;
                consumer.timestamp = at.wire_received.unwrap_or(received).time;
                if let Some(wire) = at.wire_received {
                    consumer.duration = received.time.saturating_sub(wire.time);
                }
                let producer = self.span(sent.side);
                producer.timestamp = sent.time;
                producer.duration = at.wire_sent.map_or(0, |wire| wire.time.saturating_sub(sent.time));
            }
            (Some(sent), None) => {
                self.set_times(sent, at.wire_sent);
                self.keep(at.wire_received, "wr");
            }
            (None, Some(received)) => {
                let start = at.wire_received.unwrap_or(received);
                self.set_times(start, at.wire_received.and(Some(received)));
                self.keep(at.wire_sent, "ws");
            }
            (None, None) => {
                self.keep(at.wire_sent, "ws");
                self.keep(at.wire_received, "wr");
            }
        }
        Ok(())
    }

    /// The side that received what the other sent: a further one if a service talks to itself.
    fn opposite(
        &mut self,
        sent: Moment,
        received: Moment,
        [sender, receiver]: [Kind; 2],
        annotations: &[SourceAnnotation<'a>],
    ) -> Result<usize, SpanFault> {
        if sent.side != received.side {
            return Ok(received.side);
        }
        self.span(sent.side).kind = Some(sender);
        let host = annotations.get(received.annotation).and_then(|annotation| annotation.endpoint.as_ref());
        let place = self.fork(host)?;
        self.span(place).kind = Some(receiver);
        Ok(place)
    }

    /// Both times of the span if it has them, else those between two annotations.
    fn set_times(&mut self, start: Moment, end: Option<Moment>) {
        let (timestamp, duration) = (self.timestamp, self.duration);
        let span = self.span(start.side);
        if timestamp != 0 && duration != 0 {
            span.timestamp = timestamp;
            span.duration = duration;
        } else {
            span.timestamp = start.time;
            if let Some(end) = end {
                span.duration = end.time.saturating_sub(start.time);
            }
        }
    }

    /// A request of which one end is missing: its start is the timestamp, its end an annotation.
    fn leave_incomplete(&mut self, at: &Moments) {
        for span in self.spans() {
            let (start, end, name) = match span.kind {
                Some(Kind::Client) => (at.client_sent, at.client_received, "cr"),
                Some(Kind::Server) => (at.server_received, at.server_sent, "ss"),
                _ => continue,
            };
            span.timestamp = start.map_or(span.timestamp, |start| start.time);
            if let Some(end) = end {
                span.annotations.push(Annotation { timestamp: end.time, value: name.into() });
            }
        }
        if self.timestamp != 0 {
            let (timestamp, duration) = (self.timestamp, self.duration);
            let first = self.span(0);
            first.timestamp = timestamp;
            first.duration = duration;
        }
    }

    /// What says nothing about the times stays an annotation.
    fn keep(&mut self, moment: Option<Moment>, name: &'static str) {
        if let Some(Moment { time, side, .. }) = moment {
            self.span(side).annotations.push(Annotation { timestamp: time, value: name.into() });
        }
    }
}
