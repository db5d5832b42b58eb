//! Spans to segments. Those of SkyWalking's agents become the segments that they came from; of others each is a segment of
//! its own, or those of a trace and resource together. Events with an end become attached events.

mod attached;
mod index;
mod native;
mod reference;
mod segment;
mod semantics;
mod tags;

use sluice_pipeline::otlp::view::{Scope, Span, View, resource_groups};

pub(super) use self::{
    attached::{Attached, Context},
    index::segment_id,
};
use self::{
    index::{Index, Place},
    native::Segments,
};
use super::{config::OapConfig, entity::Entity, streams::Streams};

/// A resource that spans are of.
struct Source {
    entity: Entity,
    said: Entity,
}

/// One span that did not come from SkyWalking, with what it belongs to.
struct Foreign<'a> {
    span: Span<'a>,
    scope: Scope<'a>,
    source: usize,
}

/// What this batch of encoded `TracesData` becomes.
pub(super) fn translate(chunks: &[&[u8]], config: &OapConfig, streams: &mut Streams) {
    let mut sources = Vec::new();
    let mut foreign = Vec::new();
    let mut index = Index::new(config.segments);
    for group in chunks.iter().flat_map(|chunk| resource_groups(chunk)) {
        let resource = group.resource();
        let mut source = Source { entity: Entity::default(), said: Entity::as_said(&resource) };
        // Only spans of others are named by templates.
        let mut is_named = false;
        let mut segments = Segments::default();
        for scopes in group.scope_groups() {
            let scope = scopes.scope();
            for span in scopes.items().map(Span::of) {
                if segments.push(&span, &source.said, streams) {
                    continue;
                }
                if !std::mem::replace(&mut is_named, true) {
                    source.entity = Entity::of(&resource, &config.services);
                }
                if attached::is_partial(&span) {
                    attached::push_all(&span, &source.entity, streams, 1);
                } else if index.add(&span, sources.len()) {
                    foreign.push(Foreign { span, scope, source: sources.len() });
                } else {
                    streams.drop(1, "spans without a trace id or without a span id, which OAP cannot place");
                }
            }
        }
        segments.finish(&source.said, streams);
        sources.push(source);
    }
    index.settle();
    segment::push_all(&foreign, &sources, &index, config, streams);
}

impl Source {
    /// The service that a span of another source says called it.
    fn caller<'a>(&'a self, endpoint: &'a str) -> reference::Caller<'a> {
        reference::Caller { service: &self.entity.service, instance: &self.entity.instance, endpoint }
    }
}

/// The name of the nearest span that entered the process on the way up from this place.
fn endpoint<'a>(index: &Index<'a>, place: &Place<'a>) -> &'a str {
    index.way_up(place).find(|place| semantics::is_entry(place.kind)).map_or("", |place| place.name)
}
