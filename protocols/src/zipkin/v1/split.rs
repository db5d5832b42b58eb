//! What a v1 span is in v2.
//!
//! In v1 both ends of a request write into one span, and every annotation names the host that made it. In v2 each has a
//! span of its own; those of one id are told apart by the shared flag. The rules are those of Zipkin's server.

use std::borrow::Cow;

use super::{
    Typed,
    moments::{Moment, Moments},
    span::{BinaryAnnotation, SourceAnnotation, SourceSpan, Value},
};
use crate::zipkin::{
    id::{SpanId, TraceId},
    span::{Annotation, Endpoint, Kind, Span, SpanFault},
};

/// The most services that may write into one span: two or a few do, and each costs a copy of its name.
pub(super) const MAX_SERVICES: usize = 16;

/// The binary annotation of a span that is local to its service.
const LOCAL_COMPONENT: &str = "lc";
const COMPONENT: &str = "component";

/// The spans that one becomes.
#[derive(Debug)]
pub(super) struct Sides<'a> {
    /// Moves from span to span as they are handed over, for it may be long.
    name: Cow<'a, str>,
    sides: Vec<Side<'a>>,
}

/// What one service saw of a span.
#[derive(Debug, Default)]
pub(super) struct Side<'a> {
    pub(super) span: Span<'a>,
    typed: Vec<Typed<'a>>,
}

/// Puts what hosts wrote into the spans of their services.
pub(super) struct Splitter<'a> {
    /// At least one: what no host wrote belongs to the first.
    sides: Vec<Side<'a>>,
    identity: Identity,
    pub(super) timestamp: u64,
    pub(super) duration: u64,
}

/// What all sides have in common, but for the name.
#[derive(Clone, Copy)]
struct Identity {
    trace_id: TraceId,
    id: SpanId,
    parent_id: Option<SpanId>,
    debug: bool,
}

/// The addresses that binary annotations give.
#[derive(Default)]
struct Addresses<'a> {
    client: Option<Endpoint<'a>>,
    server: Option<Endpoint<'a>>,
    broker: Option<Endpoint<'a>>,
}

/// Splits a span.
///
/// # Errors
/// [`SpanFault::Services`] if more than [`MAX_SERVICES`] wrote into it.
pub(super) fn split(source: SourceSpan<'_>) -> Result<Sides<'_>, SpanFault> {
    let SourceSpan { trace_id, id, parent_id, debug, timestamp, duration, .. } = source;
    let SourceSpan { name, mut annotations, mut binary_annotations, .. } = source;
    annotations.sort_by(|one, other| (one.timestamp, &one.value).cmp(&(other.timestamp, &other.value)));
    binary_annotations.sort_by(|one, other| one.key.cmp(&other.key));
    let identity = Identity { trace_id, id, parent_id, debug };
    let mut splitter = Splitter { sides: vec![identity.side()], identity, timestamp, duration };
    let mut moments = splitter.place_annotations(&mut annotations)?;
    moments.infer_starts(timestamp, duration);
    splitter.time_request(&moments, &annotations)?;
    splitter.time_message(&moments, &annotations)?;
    let addresses = splitter.place_tags(binary_annotations)?;
    splitter.set_remote_endpoints(&moments, addresses, &annotations)?;
    Ok(Sides { name, sides: splitter.finish() })
}

impl Sides<'_> {
    /// Calls `each` with one span after the other and returns how many there were.
    pub(super) fn hand_over(mut self, each: &mut impl FnMut(&Span<'_>, &[Typed<'_>])) -> usize {
        for side in &mut self.sides {
            side.span.name = std::mem::take(&mut self.name);
            each(&side.span, &side.typed);
            self.name = std::mem::take(&mut side.span.name);
        }
        self.sides.len()
    }
}

impl Identity {
    fn side<'a>(self) -> Side<'a> {
        let Self { trace_id, id, parent_id, debug } = self;
        Side { span: Span { trace_id, id, parent_id, debug, ..Span::default() }, typed: Vec::new() }
    }
}

impl<'a> Splitter<'a> {
    /// The span of a side; places come from [`Splitter::side_of`] and [`Splitter::fork`] only.
    pub(super) fn span(&mut self, side: usize) -> &mut Span<'a> {
        &mut self.sides[side].span
    }

    pub(super) fn spans(&mut self) -> impl Iterator<Item = &mut Span<'a>> {
        self.sides.iter_mut().map(|side| &mut side.span)
    }

    /// A further side at this host, though its service may have one already.
    pub(super) fn fork(&mut self, host: Option<&Endpoint<'a>>) -> Result<usize, SpanFault> {
        let place = self.sides.len();
        if place == MAX_SERVICES {
            return Err(SpanFault::Services { maximum: MAX_SERVICES });
        }
        let mut side = self.identity.side();
        side.span.local_endpoint = host.cloned().unwrap_or_default();
        self.sides.push(side);
        Ok(place)
    }

    /// The side of a host's service, which is the first as long as that has none.
    fn side_of(&mut self, host: Option<&Endpoint<'a>>) -> Result<usize, SpanFault> {
        let Some(host) = host else { return Ok(0) };
        if self.span(0).local_endpoint.is_absent() {
            self.span(0).local_endpoint = host.clone();
        }
        match self.sides.iter().position(|side| same_service(&side.span.local_endpoint, host)) {
            Some(place) => Ok(place),
            None => self.fork(Some(host)),
        }
    }

    /// Those that mean something to Zipkin set kinds and are returned; the others are moved to their sides.
    fn place_annotations(&mut self, annotations: &mut [SourceAnnotation<'a>]) -> Result<Moments, SpanFault> {
        let mut moments = Moments::default();
        for (place, annotation) in annotations.iter_mut().enumerate() {
            let side = self.side_of(annotation.endpoint.as_ref())?;
            let time = annotation.timestamp;
            let timed = annotation.endpoint.is_some() && time != 0;
            match moments.slot(&annotation.value).filter(|_| timed) {
                Some((slot, kind)) => {
                    *slot = Some(Moment { time, side, annotation: place });
                    let span = self.span(side);
                    span.kind = kind.or(span.kind);
                }
                None => {
                    let value = std::mem::take(&mut annotation.value);
                    self.span(side).annotations.push(Annotation { timestamp: time, value });
                }
            }
        }
        Ok(moments)
    }

    /// Moves binary annotations to their sides, but for the addresses, which are returned.
    fn place_tags(&mut self, annotations: Vec<BinaryAnnotation<'a>>) -> Result<Addresses<'a>, SpanFault> {
        let mut addresses = Addresses::default();
        for annotation in annotations {
            if annotation.is_address() {
                match annotation.key.as_ref() {
                    "ca" => addresses.client = annotation.endpoint,
                    "sa" => addresses.server = annotation.endpoint,
                    _ => addresses.broker = annotation.endpoint,
                }
                continue;
            }
            let side = self.side_of(annotation.endpoint.as_ref())?;
            if let Some(side) = self.sides.get_mut(side) {
                side.put(annotation.key, annotation.value);
            }
        }
        Ok(addresses)
    }

    fn set_remote_endpoints(
        &mut self,
        at: &Moments,
        addresses: Addresses<'a>,
        annotations: &[SourceAnnotation<'a>],
    ) -> Result<(), SpanFault> {
        let Addresses { client, server, broker } = addresses;
        let answering = at.server_received.or(at.server_sent);
        let asking = at.client_sent.or(at.client_received);
        if answering.or(asking).is_none() && (client.is_some() || server.is_some()) {
            return self.set_bare_endpoints(client, server);
        }
        if let (Some(mut client), Some(answering)) = (client, answering) {
            let host =
                annotations.get(answering.annotation).and_then(|annotation| annotation.endpoint.as_ref());
            let own = host.is_some_and(|host| same_service(host, &client));
            let same_address = |host: &Endpoint<'_>| {
                (host.ipv4, host.ipv6, host.port) == (client.ipv4, client.ipv6, client.port)
            };
            if !(own && host.is_some_and(same_address)) {
                // Finagle's servers give the client's address under their own name.
                if own {
                    client.service_name = Cow::Borrowed("");
                }
                self.span(answering.side).remote_endpoint = client;
            }
        }
        if let (Some(server), Some(asking)) = (server, asking) {
            self.span(asking.side).remote_endpoint = server;
        }
        for moment in [at.message_sent, at.message_received].into_iter().flatten() {
            if let Some(broker) = &broker {
                self.span(moment.side).remote_endpoint = broker.clone();
            }
        }
        Ok(())
    }

    /// Where nothing was sent or received, the addresses alone say what a span is.
    fn set_bare_endpoints(
        &mut self,
        client: Option<Endpoint<'a>>,
        server: Option<Endpoint<'a>>,
    ) -> Result<(), SpanFault> {
        match (client, server) {
            (Some(client), Some(server)) => {
                let side = self.side_of(Some(&client))?;
                self.span(side).remote_endpoint = server;
            }
            (Some(client), None) => {
                self.span(0).kind = Some(Kind::Server);
                self.span(0).remote_endpoint = client;
            }
            (None, server) => self.span(0).remote_endpoint = server.unwrap_or_default(),
        }
        Ok(())
    }

    fn finish(mut self) -> Vec<Side<'a>> {
        for side in &mut self.sides {
            side.span.shared &= side.span.kind != Some(Kind::Client);
            side.name_component();
        }
        self.sides
    }
}

impl<'a> Side<'a> {
    /// Adds a tag. They come in the order of their keys; of one key the last stays.
    fn put(&mut self, key: Cow<'a, str>, value: Value<'a>) {
        match value {
            // Without a component it only says where the span was.
            Value::Text(text) if key == LOCAL_COMPONENT && text.is_empty() => {}
            Value::Text(text) => {
                self.span.tags.pop_if(|(last, _)| *last == key);
                self.span.tags.push((key, text));
            }
            Value::Scalar(scalar) => {
                self.typed.pop_if(|(last, _)| *last == key);
                self.typed.push((key, scalar));
            }
        }
    }

    /// The local component has a name of its own in OpenTelemetry.
    fn name_component(&mut self) {
        let tags = &mut self.span.tags;
        if tags.iter().all(|(key, _)| key != COMPONENT)
            && let Some((key, _)) = tags.iter_mut().find(|(key, _)| key == LOCAL_COMPONENT)
        {
            *key = Cow::Borrowed(COMPONENT);
        }
    }
}

fn same_service(one: &Endpoint<'_>, other: &Endpoint<'_>) -> bool {
    one.service_name.eq_ignore_ascii_case(&other.service_name)
}
