//! Envoy's access logs: a record an entry, which keeps it as it came, with a few attributes for reading.

use sluice_pipeline::otlp::attribute::{write_int, write_text};
use sluice_protocols::skywalking::attributes::event_name;

use super::{
    Malformed,
    envoy_identifier::{self, Node, write_resource},
    output::{Items, Output},
    pair::{bytes, fields, number},
    record::{ATTRIBUTES, write_raw_body},
};

const MESSAGE: &str = "StreamAccessLogsMessage";
const ENTRIES: &str = "HTTPAccessLogEntries or TCPAccessLogEntries";
const ENTRY: &str = "HTTPAccessLogEntry or TCPAccessLogEntry";
const METHODS: [&str; 10] =
    ["", "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/// Writes a `StreamAccessLogsMessage`; `identifier` is that of the last message that had one.
pub(super) fn logs(message: &[u8], identifier: &mut Vec<u8>, output: &mut Output) -> Result<(), Malformed> {
    envoy_identifier::read(MESSAGE, message, identifier)?;
    let node = Node::read(identifier)?;
    let observed = output.observed();
    let (id, cluster) = (output.repairs.text(node.id), output.repairs.text(node.cluster));
    output.add(
        |writer| write_resource(writer, identifier, &id, &cluster),
        |items| {
            fields(MESSAGE, message, |number, value| {
                let is_http = match number {
                    2 => true,
                    3 => false,
                    _ => return Ok(()),
                };
                let entries = bytes(MESSAGE, number, value)?;
                fields(ENTRIES, entries, |number, value| match number {
                    1 => write_entry(items, is_http, bytes(ENTRIES, number, value)?, observed),
                    _ => Ok(()),
                })
            })
        },
    )
}

/// What is read of an entry; of fields that occur twice the last one counts.
#[derive(Default)]
struct Entry<'m> {
    time: u64,
    upstream_cluster: &'m [u8],
    method: i64,
    path: &'m [u8],
    status: Option<i64>,
}

fn write_entry(items: &mut Items<'_>, is_http: bool, raw: &[u8], observed: u64) -> Result<(), Malformed> {
    let entry = Entry::read(raw, is_http)?;
    items.item(1, |writer, repairs| {
        if entry.time != 0 {
            writer.fixed64(1, entry.time);
        }
        writer.fixed64(11, observed);
        let name = if is_http { event_name::ENVOY_HTTP } else { event_name::ENVOY_TCP };
        writer.bytes(12, name.as_bytes());
        write_raw_body(writer, raw);
        let method = usize::try_from(entry.method).ok().and_then(|place| METHODS.get(place)).unwrap_or(&"");
        for (key, value) in [
            ("http.request.method", method.as_bytes()),
            ("url.path", entry.path),
            ("envoy.upstream_cluster", entry.upstream_cluster),
        ] {
            if !value.is_empty() {
                write_text(writer, ATTRIBUTES, key, &repairs.text(value));
            }
        }
        if let Some(status) = entry.status {
            write_int(writer, ATTRIBUTES, "http.response.status_code", status);
        }
        Ok(())
    })
}

impl<'m> Entry<'m> {
    fn read(raw: &'m [u8], is_http: bool) -> Result<Self, Malformed> {
        let mut entry = Self::default();
        fields(ENTRY, raw, |number, value| match (number, is_http) {
            (1, _) => entry.read_common(bytes(ENTRY, number, value)?),
            (3, true) => entry.read_request(bytes(ENTRY, number, value)?),
            (4, true) => entry.read_response(bytes(ENTRY, number, value)?),
            _ => Ok(()),
        })?;
        Ok(entry)
    }

    fn read_common(&mut self, common: &'m [u8]) -> Result<(), Malformed> {
        const COMMON: &str = "AccessLogCommon";
        fields(COMMON, common, |number, value| {
            match number {
                5 => self.time = timestamp(bytes(COMMON, number, value)?)?,
                15 => self.upstream_cluster = bytes(COMMON, number, value)?,
                _ => {}
            }
            Ok(())
        })
    }

    fn read_request(&mut self, request: &'m [u8]) -> Result<(), Malformed> {
        const REQUEST: &str = "HTTPRequestProperties";
        fields(REQUEST, request, |field, value| {
            match field {
                1 => self.method = number(REQUEST, field, value)?,
                5 => self.path = bytes(REQUEST, field, value)?,
                _ => {}
            }
            Ok(())
        })
    }

    fn read_response(&mut self, response: &'m [u8]) -> Result<(), Malformed> {
        const RESPONSE: &str = "HTTPResponseProperties";
        const VALUE: &str = "UInt32Value";
        fields(RESPONSE, response, |field, value| {
            if field != 1 {
                return Ok(());
            }
            fields(VALUE, bytes(RESPONSE, field, value)?, |field, value| {
                if field == 1 {
                    self.status = Some(number(VALUE, field, value)?);
                }
                Ok(())
            })
        })
    }
}

fn timestamp(message: &[u8]) -> Result<u64, Malformed> {
    const TIMESTAMP: &str = "Timestamp";
    let (mut seconds, mut nanoseconds) = (0, 0);
    fields(TIMESTAMP, message, |field, value| {
        match field {
            1 => seconds = number(TIMESTAMP, field, value)?,
            2 => nanoseconds = number(TIMESTAMP, field, value)?,
            _ => {}
        }
        Ok(())
    })?;
    let positive = |value| u64::try_from(value).unwrap_or(0);
    Ok(positive(seconds).saturating_mul(1_000_000_000).saturating_add(positive(nanoseconds)))
}
