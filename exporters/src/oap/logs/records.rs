//! Log records that are messages of SkyWalking's agents, of Rover and of Envoy (`docs/skywalking-mapping.md`).

use sluice_pipeline::otlp::{
    view::{AnyValue, Text},
    write::Writer,
};
use sluice_protocols::skywalking::attributes::{ESCAPE, attached_event, event_name, id};

use super::{Envoy, Record, browser, event};
use crate::oap::{
    entity::text as attribute,
    streams::{Method, Streams},
    wire::{instant, int, integer, pair, text},
};

/// Adds the message that a record stands for; false if it is none.
pub(super) fn push(of: &Record<'_, '_>, name: &str, streams: &mut Streams) -> bool {
    match name {
        event_name::EVENT => event::push(of, streams),
        event_name::INSTANCE_PROPERTIES => push_properties(of, streams),
        event_name::INSTANCE_PING => push_ping(of, streams),
        event_name::SPAN_ATTACHED_EVENT => push_attached_event(of, streams),
        event_name::MESH_HTTP => push_mesh(of, 1, streams),
        event_name::MESH_TCP => push_mesh(of, 2, streams),
        event_name::EBPF_ACCESS_LOG => push_body(of, Method::AccessLogs, |out, body| out.raw(body), streams),
        event_name::EBPF_PROCESSES => push_body(of, Method::Processes, |out, body| out.raw(body), streams),
        event_name::EBPF_PROCESS_PINGS => {
            push_body(of, Method::ProcessPings, |out, body| out.raw(body), streams);
        }
        event_name::ENVOY_HTTP => push_envoy(of, 2, streams),
        event_name::ENVOY_TCP => push_envoy(of, 3, streams),
        other => return browser::push(of, other, streams),
    }
    true
}

fn push_body(
    of: &Record<'_, '_>,
    method: Method,
    write: impl FnOnce(&mut Writer<'_>, &[u8]),
    streams: &mut Streams,
) {
    match of.record.body() {
        Some(AnyValue::Bytes(body)) => {
            streams.push(method, "", 1, |out| write(&mut Writer::new(out), body));
        }
        _ => streams.drop(1, "records whose body was to be an encoded message"),
    }
}

/// `ServiceMeshMetrics` of one metric, of HTTP or TCP by the number of the list that it is in.
fn push_mesh(of: &Record<'_, '_>, number: u32, streams: &mut Streams) {
    let write = |out: &mut Writer<'_>, body: &[u8]| out.message(number, |list| list.bytes(1, body));
    push_body(of, Method::Mesh, write, streams);
}

/// Entries of one proxy's log follow each other on one stream, which says at its beginning whose it is.
fn push_envoy(of: &Record<'_, '_>, number: u32, streams: &mut Streams) {
    let Some(AnyValue::Bytes(entry)) = of.record.body() else {
        return streams.drop(1, "records whose body was to be an encoded message");
    };
    let Envoy { identifier, key } = of.envoy;
    let is_first = !streams.is_open(Method::EnvoyAccessLogs, key);
    streams.push(Method::EnvoyAccessLogs, key, 1, |out| {
        let mut message = Writer::new(out);
        if is_first {
            message.bytes(1, identifier);
        }
        message.message(number, |entries| entries.bytes(1, entry));
    });
}

fn push_properties(of: &Record<'_, '_>, streams: &mut Streams) {
    streams.push(Method::Properties, "", 1, |out| {
        let mut message = Writer::new(out);
        text(&mut message, 1, &of.said.service);
        text(&mut message, 2, &of.said.instance);
        for property in of.record.attributes() {
            let key = property.key.as_str();
            pair(&mut message, 3, key.strip_prefix(ESCAPE).unwrap_or(key), &property.value.text());
        }
        text(&mut message, 4, &of.said.layer);
    });
}

fn push_ping(of: &Record<'_, '_>, streams: &mut Streams) {
    streams.push(Method::KeepAlive, "", 1, |out| {
        let mut message = Writer::new(out);
        text(&mut message, 1, &of.said.service);
        text(&mut message, 2, &of.said.instance);
        text(&mut message, 3, &of.said.layer);
    });
}

fn push_attached_event(of: &Record<'_, '_>, streams: &mut Streams) {
    let record = &of.record;
    let value =
        |name: &str| record.attributes().find(|pair| pair.key.as_str() == name).map(|pair| pair.value);
    streams.push(Method::AttachedEvents, "", 1, |out| {
        let mut message = Writer::new(out);
        if record.time_unix_nano > 0 {
            instant(&mut message, 1, record.time_unix_nano);
        }
        text(&mut message, 2, &attribute(record.attributes(), attached_event::NAME).unwrap_or_default());
        if let Some(end) = value(attached_event::END).and_then(integer) {
            instant(&mut message, 3, u64::try_from(end).unwrap_or_default());
        }
        for tag in record.attributes() {
            let key = tag.key.as_str();
            if let Some(key) = key.strip_prefix(ESCAPE) {
                pair(&mut message, 4, key, &tag.value.text());
            } else if !is_own(key) {
                pair(&mut message, 4, key, &tag.value.text());
            }
        }
        for summary in record.attributes() {
            let Some(key) = summary.key.as_str().strip_prefix(attached_event::SUMMARY) else { continue };
            message.message(5, |entry| {
                text(entry, 1, key);
                int(entry, 2, integer(summary.value).unwrap_or_default());
            });
        }
        let Some(kind) = value(attached_event::CONTEXT_TYPE) else { return };
        message.message(6, |context| {
            let kind = match kind {
                AnyValue::Int(kind) => kind,
                AnyValue::String(b"ZIPKIN") => 1,
                _ => 0,
            };
            int(context, 1, kind);
            for (number, name) in [(2, id::TRACE_ID), (3, id::SEGMENT_ID), (4, id::SPAN_ID)] {
                text(context, number, &attribute(record.attributes(), name).unwrap_or_default());
            }
        });
    });
}

/// Whether a key belongs to the contract, and so is no tag.
pub(super) fn is_own(key: &str) -> bool {
    sluice_protocols::skywalking::attributes::RESERVED.iter().any(|beginning| key.starts_with(beginning))
}
