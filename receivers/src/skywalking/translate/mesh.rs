//! What the proxies of a service mesh measure: a record a metric, which keeps it as it came.

use prost::Message;
use sluice_pipeline::otlp::{
    attribute::{write_int, write_text},
    write::Writer,
};
use sluice_protocols::skywalking::{
    attributes::event_name,
    v3::{HttpServiceMeshMetric, TcpServiceMeshMetric},
};

use super::{
    Malformed,
    output::Output,
    pair::{bytes, fields},
    record::{ATTRIBUTES, Source, record, write_raw_body, write_some},
};

const METRICS: &str = "ServiceMeshMetrics";
const SOURCE_SERVICE: &str = "skywalking.mesh.source_service";

/// Writes a `ServiceMeshMetrics`.
pub(super) fn metrics(message: &[u8], output: &mut Output) -> Result<(), Malformed> {
    fields(METRICS, message, |number, value| match number {
        1 => each(bytes(METRICS, number, value)?, |raw| http(raw, output)),
        2 => each(bytes(METRICS, number, value)?, |raw| tcp(raw, output)),
        _ => Ok(()),
    })
}

fn each<'m>(
    message: &'m [u8],
    mut take: impl FnMut(&'m [u8]) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    const NAME: &str = "HTTPServiceMeshMetrics or TCPServiceMeshMetrics";
    fields(NAME, message, |number, value| match number {
        1 => take(bytes(NAME, number, value)?),
        _ => Ok(()),
    })
}

fn http(raw: &[u8], output: &mut Output) -> Result<(), Malformed> {
    let metric = HttpServiceMeshMetric::decode(raw)?;
    let source = source(&metric.dest_service_name, &metric.dest_service_instance);
    record(output, source, event_name::MESH_HTTP, metric.start_time, |writer| {
        write_raw_body(writer, raw);
        write_parties(writer, &metric.source_service_name, &metric.tls_mode);
        write_some(writer, ATTRIBUTES, "url.path", &metric.endpoint);
        write_int(writer, ATTRIBUTES, "http.response.status_code", metric.response_code.into());
        write_int(writer, ATTRIBUTES, "skywalking.mesh.latency", metric.latency.into());
    })
}

fn tcp(raw: &[u8], output: &mut Output) -> Result<(), Malformed> {
    let metric = TcpServiceMeshMetric::decode(raw)?;
    let source = source(&metric.dest_service_name, &metric.dest_service_instance);
    record(output, source, event_name::MESH_TCP, metric.start_time, |writer| {
        write_raw_body(writer, raw);
        write_parties(writer, &metric.source_service_name, &metric.tls_mode);
        write_int(writer, ATTRIBUTES, "skywalking.mesh.received_bytes", metric.received_bytes);
        write_int(writer, ATTRIBUTES, "skywalking.mesh.sent_bytes", metric.sent_bytes);
    })
}

fn source<'m>(service: &'m str, instance: &'m str) -> Source<'m> {
    Source { service, instance, ..Source::default() }
}

fn write_parties(writer: &mut Writer<'_>, source: &str, tls_mode: &str) {
    if !source.is_empty() {
        write_text(writer, ATTRIBUTES, SOURCE_SERVICE, source);
    }
    write_some(writer, ATTRIBUTES, "skywalking.mesh.tls_mode", tls_mode);
}
