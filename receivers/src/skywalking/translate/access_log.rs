//! Rover's access logs, kept as they came, each with the node and connection that the stream says once.

use prost::Message;
use sluice_pipeline::otlp::{
    attribute::{write_int, write_text},
    write::Writer,
};
use sluice_protocols::skywalking::{
    attributes::event_name,
    v3::{AccessLogHttpProtocol, EbpfAccessLogMessage, EbpfAccessLogNodeInfo, access_log_protocol_logs},
};

use super::{
    Malformed,
    output::Output,
    pair::{bytes, fields},
    record::{ATTRIBUTES, write, write_raw_body, write_some},
};

const MESSAGE: &str = "EBPFAccessLogMessage";
const METHODS: [&str; 9] = ["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "TRACE", "CONNECT"];

/// Writes an `EBPFAccessLogMessage`. `node` and `connection` are those of the last message that named them.
pub(super) fn access_log(
    message: &[u8],
    node: &mut Vec<u8>,
    connection: &mut Vec<u8>,
    output: &mut Output,
) -> Result<(), Malformed> {
    let decoded = EbpfAccessLogMessage::decode(message)?;
    let (mut names_node, mut names_connection) = (false, false);
    fields(MESSAGE, message, |number, value| {
        let (named, last) = match number {
            1 => (&mut names_node, &mut *node),
            2 => (&mut names_connection, &mut *connection),
            _ => return Ok(()),
        };
        let found = bytes(MESSAGE, number, value)?;
        if !found.is_empty() {
            (*named, *last) = (true, found.to_vec());
        }
        Ok(())
    })?;
    let mut whole = Vec::with_capacity(message.len() + node.len() + connection.len() + 12);
    let mut writer = Writer::new(&mut whole);
    for (number, named, last) in [(1, names_node, &*node), (2, names_connection, &*connection)] {
        if !named && !last.is_empty() {
            writer.bytes(number, last);
        }
    }
    writer.raw(message);
    let place = EbpfAccessLogNodeInfo::decode(node.as_slice())?;
    let http = decoded.protocol_log.and_then(|log| log.protocol);
    let observed = output.observed();
    output.add(
        |writer| {
            write_some(writer, 1, "k8s.node.name", &place.name);
            write_some(writer, 1, "k8s.cluster.name", &place.cluster_name);
        },
        |items| {
            write(items, event_name::EBPF_ACCESS_LOG, 0, observed, |writer| {
                write_raw_body(writer, &whole);
                if let Some(access_log_protocol_logs::Protocol::Http(http)) = &http {
                    write_http(writer, http);
                }
            })
        },
    )
}

fn write_http(writer: &mut Writer<'_>, http: &AccessLogHttpProtocol) {
    if let Some(request) = &http.request {
        let method = usize::try_from(request.method).ok().and_then(|place| METHODS.get(place));
        write_text(writer, ATTRIBUTES, "http.request.method", method.unwrap_or(&"_OTHER"));
        write_some(writer, ATTRIBUTES, "url.path", &request.path);
        write_some(writer, ATTRIBUTES, "server.address", &request.host);
    }
    if let Some(response) = &http.response {
        write_int(writer, ATTRIBUTES, "http.response.status_code", response.status_code.into());
    }
}
