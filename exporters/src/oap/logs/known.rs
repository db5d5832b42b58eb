//! The processes of a batch by their addresses, so that the other end of an exchange has a name.

use std::collections::HashMap;

use sluice_pipeline::{
    exchange::{EVENT_NAME, event, record},
    otlp::view::{LogRecord, View, resource_groups},
};

use crate::oap::{
    config::OapConfig,
    entity::{Entity, text},
};

/// Processes by address and port. Of two at one address that of a server counts.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    known: HashMap<(String, String), Entity>,
}

impl Addresses {
    pub(super) fn of(chunks: &[&[u8]], config: &OapConfig) -> Self {
        let mut addresses = Self::default();
        for group in chunks.iter().flat_map(|chunk| resource_groups(chunk)) {
            let mut entity = None;
            for exchange in group.scope_groups().flat_map(|scopes| scopes.items()).map(LogRecord::of) {
                if exchange.event_name != EVENT_NAME.as_bytes() {
                    continue;
                }
                let value = |name: &str| text(exchange.attributes(), name).unwrap_or_default().into_owned();
                let entity = entity.get_or_insert_with(|| Entity::of(&group.resource(), &config.processes));
                let place = (value(record::LOCAL_ADDRESS), value(record::LOCAL_PORT));
                if value(record::ROLE) == event::SERVER || !addresses.known.contains_key(&place) {
                    addresses.known.insert(place, entity.clone());
                }
            }
        }
        addresses
    }

    pub(super) fn get(&self, address: &str, port: &str) -> Option<&Entity> {
        self.known.get(&(address.to_owned(), port.to_owned()))
    }
}
