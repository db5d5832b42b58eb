//! OTLP spans to Zipkin requests, read through views and written as they are read.
//!
//! The mapping is the OpenTelemetry specification's with the Collector's names where they differ; of names that have an
//! older form both are written. Flags and addresses that the `zipkin` receiver kept as attributes become fields again.
//! Events that have an end are two annotations and a tag.

mod endpoint;
mod interval;
mod span;
mod tags;

use schemars::JsonSchema;
use serde::Deserialize;
use sluice_pipeline::otlp::view::{Repeated, ResourceGroup, Scope, ScopeGroup, Span, View, resource_groups};
use sluice_protocols::zipkin::{self, SpanListJson, write_span_protobuf};

use self::span::{Resource, zipkin_span};

/// How large a request grows before the next one is begun, in bytes. Zipkin's server takes 10 MiB; and as the tags of a
/// resource are repeated for each of its spans, a batch has no bound of its own.
const REQUEST_SIZE: usize = 8 << 20;

/// How requests are encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A JSON list of spans.
    #[default]
    Json,
    /// A protobuf `ListOfSpans`.
    #[serde(rename = "proto")]
    Protobuf,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The encoded list; empty if all its spans were dropped.
    pub body: Vec<u8>,
    /// How many spans it holds.
    pub spans: usize,
    /// How many spans were left out of it for want of a trace id or a span id.
    pub dropped: usize,
}

/// Iterates over the requests that a batch of traces makes. There is one unless the batch is large.
pub struct Requests<'a> {
    format: Format,
    default_service_name: &'a str,
    request_size: usize,
    chunks: Vec<&'a [u8]>,
    resources: Repeated<'a, ResourceGroup<'a>>,
    resource: Resource<'a>,
    scopes: Repeated<'a, ScopeGroup<'a>>,
    scope: Scope<'a>,
    spans: Repeated<'a, &'a [u8]>,
}

impl<'a> Requests<'a> {
    /// The requests of these encoded `TracesData`. A resource that names no service gets `default_service_name`, or
    /// the Collector's `OTLPResourceNoServiceName` if that is empty.
    #[must_use]
    pub fn of(format: Format, default_service_name: &'a str, mut chunks: Vec<&'a [u8]>) -> Self {
        chunks.reverse();
        Self {
            format,
            default_service_name,
            request_size: REQUEST_SIZE,
            chunks,
            resources: Repeated::default(),
            resource: Resource::default(),
            scopes: Repeated::default(),
            scope: Scope::default(),
            spans: Repeated::default(),
        }
    }

    /// The next span, with what it belongs to in place.
    fn next_span(&mut self) -> Option<Span<'a>> {
        loop {
            if let Some(span) = self.spans.next() {
                return Some(Span::of(span));
            }
            if let Some(group) = self.scopes.next() {
                self.scope = group.scope();
                self.spans = group.items();
            } else if let Some(group) = self.resources.next() {
                self.resource = Resource::of(&group.resource(), self.default_service_name);
                self.scopes = group.scope_groups();
            } else {
                self.resources = resource_groups(self.chunks.pop()?);
            }
        }
    }

    /// Adds spans until there are no more or the list is long enough; false if there was none.
    fn fill(&mut self, request: &mut Request, list: &mut List<'_>) -> bool {
        let mut any = false;
        while list.length() < self.request_size
            && let Some(span) = self.next_span()
        {
            any = true;
            match zipkin_span(&self.resource, &self.scope, &span) {
                Some(span) => {
                    list.push(&span);
                    request.spans += 1;
                }
                None => request.dropped += 1,
            }
        }
        any
    }
}

impl Iterator for Requests<'_> {
    type Item = Request;

    fn next(&mut self) -> Option<Request> {
        let mut request = Request { body: Vec::new(), spans: 0, dropped: 0 };
        let mut body = Vec::new();
        let mut list = List::begin(self.format, &mut body);
        let any = self.fill(&mut request, &mut list);
        list.end();
        if request.spans > 0 {
            request.body = body;
        }
        any.then_some(request)
    }
}

/// A list of spans in either format.
enum List<'o> {
    Json(SpanListJson<'o>),
    Protobuf(&'o mut Vec<u8>),
}

impl<'o> List<'o> {
    fn begin(format: Format, body: &'o mut Vec<u8>) -> Self {
        match format {
            Format::Json => Self::Json(SpanListJson::begin(body)),
            Format::Protobuf => Self::Protobuf(body),
        }
    }

    fn push(&mut self, span: &zipkin::Span<'_>) {
        match self {
            Self::Json(list) => list.push(span),
            Self::Protobuf(body) => write_span_protobuf(body, span),
        }
    }

    fn length(&self) -> usize {
        match self {
            Self::Json(list) => list.length(),
            Self::Protobuf(body) => body.len(),
        }
    }

    fn end(self) {
        if let Self::Json(list) = self {
            list.end();
        }
    }
}

#[cfg(test)]
mod tests;
