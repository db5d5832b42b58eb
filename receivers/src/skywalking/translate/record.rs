//! Writes log records, which all that is neither span nor metric becomes.

use sluice_pipeline::otlp::{
    attribute::{write_int, write_text},
    write::Writer,
};
use sluice_protocols::skywalking::{
    attributes::resource,
    v3::{KeyIntValuePair, KeyStringValuePair},
};

use super::{
    Malformed, nanoseconds,
    output::{Items, Output},
    pair::escaped,
};

/// The encoded scope of logs and meters.
pub(super) const AGENT_SCOPE: &[u8] = b"\x0a\x0askywalking";
/// `LogRecord.attributes`.
pub(super) const ATTRIBUTES: u32 = 6;
/// `LogRecord.body`.
pub(super) const BODY: u32 = 5;

/// `SeverityNumber` of INFO and ERROR.
pub(super) const INFO: u64 = 9;
pub(super) const ERROR: u64 = 17;

/// Whose record it is.
#[derive(Clone, Copy, Default)]
pub(super) struct Source<'m> {
    pub(super) service: &'m str,
    pub(super) instance: &'m str,
    pub(super) layer: &'m str,
    pub(super) version: &'m str,
}

impl Source<'_> {
    /// Writes the attributes of the resource.
    pub(super) fn write(&self, writer: &mut Writer<'_>) {
        write_some(writer, 1, resource::SERVICE_NAME, self.service);
        write_some(writer, 1, resource::SERVICE_INSTANCE, self.instance);
        write_some(writer, 1, resource::SERVICE_LAYER, self.layer);
        write_some(writer, 1, resource::SERVICE_VERSION, self.version);
    }
}

/// Adds a record of one message: its time in milliseconds, and what `fill` writes.
pub(super) fn record(
    output: &mut Output,
    source: Source<'_>,
    event_name: &str,
    time: i64,
    fill: impl FnOnce(&mut Writer<'_>),
) -> Result<(), Malformed> {
    record_at(output, source, event_name, nanoseconds(time), fill)
}

/// The same with the time in nanoseconds.
pub(super) fn record_at(
    output: &mut Output,
    source: Source<'_>,
    event_name: &str,
    time: u64,
    fill: impl FnOnce(&mut Writer<'_>),
) -> Result<(), Malformed> {
    let observed = output.observed();
    output.add(|writer| source.write(writer), |items| write(items, event_name, time, observed, fill))
}

/// Writes a record below whatever resource.
pub(super) fn write(
    items: &mut Items<'_>,
    event_name: &str,
    time: u64,
    observed: u64,
    fill: impl FnOnce(&mut Writer<'_>),
) -> Result<(), Malformed> {
    items.item(1, |writer, _| {
        if time != 0 {
            writer.fixed64(1, time);
        }
        writer.fixed64(11, observed);
        writer.bytes(12, event_name.as_bytes());
        fill(writer);
        Ok(())
    })
}

/// Writes severity number and text.
pub(super) fn write_severity(writer: &mut Writer<'_>, number: u64, text: &str) {
    writer.varint(2, number);
    writer.bytes(3, text.as_bytes());
}

/// Writes a body of text.
pub(super) fn write_body(writer: &mut Writer<'_>, text: &str) {
    writer.message(BODY, |writer| writer.bytes(1, text.as_bytes()));
}

/// Writes a body of bytes.
pub(super) fn write_raw_body(writer: &mut Writer<'_>, bytes: &[u8]) {
    writer.message(BODY, |writer| writer.bytes(7, bytes));
}

/// Writes text unless it is empty.
pub(super) fn write_some(writer: &mut Writer<'_>, number: u32, key: &str, value: &str) {
    if !value.is_empty() {
        write_text(writer, number, key, value);
    }
}

/// Writes pairs as attributes of a record.
pub(super) fn write_pairs(writer: &mut Writer<'_>, pairs: &[KeyStringValuePair]) {
    for pair in pairs {
        write_text(writer, ATTRIBUTES, &escaped(&pair.key), &pair.value);
    }
}

/// Writes numbers under keys that begin with `prefix`.
pub(super) fn write_numbers(writer: &mut Writer<'_>, prefix: &str, pairs: &[KeyIntValuePair]) {
    for pair in pairs {
        write_int(writer, ATTRIBUTES, &format!("{prefix}{}", pair.key), pair.value);
    }
}
