//! Log records to what they stand for: logs, the kernel's exchanges, and what SkyWalking's agents say beside spans.

mod browser;
mod event;
mod exchange;
mod exchange_events;
mod known;
mod plain;
mod records;

use sluice_pipeline::otlp::view::{AnyValue, LogRecord, Resource, Text, View, resource_groups};
use sluice_protocols::skywalking::attributes::resource as names;

use self::known::Addresses;
use super::{config::OapConfig, entity::Entity, streams::Streams};

/// A log record with the resource that it is of.
struct Record<'b, 'a> {
    record: LogRecord<'a>,
    resource: &'b Resource<'a>,
    entity: &'b Entity,
    said: &'b Entity,
    envoy: &'b Envoy<'a>,
}

/// The proxy that access logs are of.
struct Envoy<'a> {
    identifier: &'a [u8],
    /// Any text tells streams apart, so bytes as text will do.
    key: String,
}

impl<'a> Envoy<'a> {
    fn of(resource: &Resource<'a>) -> Self {
        let found = resource.attributes().find(|pair| pair.key == names::ENVOY_IDENTIFIER.as_bytes());
        let identifier = match found.map(|pair| pair.value) {
            Some(AnyValue::Bytes(identifier)) => identifier,
            _ => &[],
        };
        Self { identifier, key: identifier.iter().map(|byte| char::from(*byte)).collect() }
    }
}

/// What this batch of encoded `LogsData` becomes.
pub(super) fn translate(chunks: &[&[u8]], config: &OapConfig, streams: &mut Streams) {
    let addresses = Addresses::of(chunks, config);
    for group in chunks.iter().flat_map(|chunk| resource_groups(chunk)) {
        let resource = group.resource();
        let entity = Entity::of(&resource, &config.services);
        let said = Entity::as_said(&resource);
        let process = Entity::of(&resource, &config.processes);
        let envoy = Envoy::of(&resource);
        for scopes in group.scope_groups() {
            let scope = scopes.scope();
            for record in scopes.items().map(LogRecord::of) {
                let record =
                    Record { record, resource: &resource, entity: &entity, said: &said, envoy: &envoy };
                let name = record.record.event_name.as_str();
                if name == sluice_pipeline::exchange::EVENT_NAME {
                    exchange::push(&record, &process, &addresses, streams);
                } else if !records::push(&record, name, streams) {
                    plain::push(&record, scope.name.as_str(), streams);
                }
            }
        }
    }
}
