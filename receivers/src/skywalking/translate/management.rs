//! What instances say about themselves.

use prost::Message;
use sluice_protocols::skywalking::{
    attributes::event_name,
    v3::{InstancePingPkg, InstanceProperties},
};

use super::{
    Malformed,
    output::Output,
    record::{Source, record, write_pairs},
};

/// Writes an `InstanceProperties`.
pub(super) fn properties(message: &[u8], output: &mut Output) -> Result<(), Malformed> {
    let instance = InstanceProperties::decode(message)?;
    let source = source(&instance.service, &instance.service_instance, &instance.layer);
    record(output, source, event_name::INSTANCE_PROPERTIES, 0, |writer| {
        write_pairs(writer, &instance.properties);
    })
}

/// Writes an `InstancePingPkg`.
pub(super) fn ping(message: &[u8], output: &mut Output) -> Result<(), Malformed> {
    let instance = InstancePingPkg::decode(message)?;
    let source = source(&instance.service, &instance.service_instance, &instance.layer);
    record(output, source, event_name::INSTANCE_PING, 0, |_| {})
}

fn source<'m>(service: &'m str, instance: &'m str, layer: &'m str) -> Source<'m> {
    Source { service, instance, layer, version: "" }
}
