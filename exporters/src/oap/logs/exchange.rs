//! Exchanges that the kernel saw, as Rover tells OAP of them: access log records, and for sampled ones the log that lists
//! them under their process and the events on their span.

use sluice_pipeline::{
    exchange::{event, process, reason, record},
    otlp::{view::Text, write::Writer},
};

use super::{Record, exchange_events, known::Addresses};
use crate::oap::{
    entity::{Entity, text as attribute},
    streams::{Method, Streams},
    traces::Context,
    wire::{int, integer, milliseconds, pair, text},
};

/// The tag by which OAP's rules find such logs.
const LOG_KIND: (&str, &str) = ("LOG_KIND", "NET_PROFILING_SAMPLED_TRACE");
/// `AccessLogProtocolType`.
const HTTP_1: i64 = 1;
/// `AccessLogHTTPProtocolRequestMethod`, in the order of its numbers.
const METHODS: [&str; 9] = ["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "TRACE", "CONNECT"];

/// One exchange.
pub(super) struct Exchange<'b, 'a> {
    pub(super) of: &'b Record<'b, 'a>,
    pub(super) process: &'b Entity,
}

/// Adds what OAP is told of an exchange.
pub(super) fn push(of: &Record<'_, '_>, process: &Entity, addresses: &Addresses, streams: &mut Streams) {
    let exchange = Exchange { of, process };
    streams.push(Method::AccessLogs, "", 1, |out| exchange.write(&mut Writer::new(out), addresses));
    if exchange.is_sampled() {
        streams.push(Method::Logs, &process.service, 0, |out| exchange.write_log(&mut Writer::new(out)));
        if let Some(context) = exchange.context() {
            exchange_events::push(&exchange, &context, streams);
        }
    }
}

impl Exchange<'_, '_> {
    pub(super) fn said(&self, name: &str) -> String {
        attribute(self.of.record.attributes(), name).unwrap_or_default().into_owned()
    }

    pub(super) fn number(&self, name: &str) -> i64 {
        let found = self.of.record.attributes().find(|pair| pair.key.as_str() == name);
        found.and_then(|pair| integer(pair.value)).unwrap_or_default()
    }

    /// A time; 0 if absent.
    pub(super) fn time(&self, name: &str) -> u64 {
        u64::try_from(self.number(name)).unwrap_or_default()
    }

    pub(super) fn is_client(&self) -> bool {
        self.said(record::ROLE) == event::CLIENT
    }

    /// The end of what was seen of it.
    fn end(&self) -> u64 {
        let start = self.of.record.time_unix_nano;
        start.max(self.time(record::RESPONSE_END)).max(self.time(record::REQUEST_END))
    }

    fn is_sampled(&self) -> bool {
        let said = self.said(record::SAMPLING_REASON);
        [reason::SLOW, reason::STATUS_4XX, reason::STATUS_5XX].contains(&said.as_str())
    }

    /// The span that its header names, as the tracer of that header knows it.
    fn context(&self) -> Option<Context> {
        use sluice_pipeline::exchange::format;
        match self.said(record::TRACE_FORMAT).as_str() {
            format::SW8 => Some(Context::skywalking(
                &self.said(record::SW8_TRACE_ID),
                &self.said(record::SW8_SEGMENT_ID),
                &self.number(record::SW8_SPAN_ID).to_string(),
            )),
            format::W3C | format::B3 | format::B3_MULTI => {
                Some(Context::zipkin(self.of.record.trace_id, self.of.record.span_id))
            }
            _ => None,
        }
    }

    fn write(&self, message: &mut Writer<'_>, addresses: &Addresses) {
        let host = attribute(self.of.resource.attributes(), process::HOST_NAME).unwrap_or_default();
        message.message(1, |node| {
            text(node, 1, &host);
            // Times are counted from here; those of records are counted from 1970.
            node.message(3, |_| {});
        });
        message.message(2, |connection| {
            connection
                .message(1, |local| self.write_process(local, self.process, self.number(record::LOCAL_PORT)));
            connection.message(2, |remote| self.write_peer(remote, addresses));
            int(connection, 3, i64::from(!self.is_client()));
            int(connection, 5, HTTP_1);
        });
        message.message(4, |log| log.message(1, |http| self.write_http(http)));
    }

    fn write_process(&self, address: &mut Writer<'_>, entity: &Entity, port: i64) {
        let own = std::ptr::eq(entity, self.process);
        let of_resource = |name: &str| {
            let found = own.then(|| attribute(self.of.resource.attributes(), name)).flatten();
            found.unwrap_or_default().into_owned()
        };
        address.message(1, |kubernetes| {
            text(kubernetes, 1, &entity.service);
            text(kubernetes, 2, &entity.instance);
            text(kubernetes, 3, &of_resource("k8s.container.name"));
            text(kubernetes, 4, &of_resource(process::EXECUTABLE_NAME));
            int(kubernetes, 5, port);
        });
    }

    /// By name where the other end is in the batch, else OAP finds it by its address.
    fn write_peer(&self, remote: &mut Writer<'_>, addresses: &Addresses) {
        let (address, port) = (self.said(record::PEER_ADDRESS), self.number(record::PEER_PORT));
        match addresses.get(&address, &port.to_string()) {
            Some(peer) if peer.service != self.process.service => self.write_process(remote, peer, port),
            _ => remote.message(2, |ip| {
                text(ip, 1, &address);
                int(ip, 2, port);
            }),
        }
    }

    fn write_http(&self, http: &mut Writer<'_>) {
        let start = self.of.record.time_unix_nano;
        for (number, time) in [(1, start), (2, self.end())] {
            http.message(number, |timestamp| timestamp.message(1, |offset| offset.varint(1, time)));
        }
        http.message(4, |request| {
            let method = self.said(record::METHOD);
            let number = METHODS.iter().position(|known| *known == method).unwrap_or_default();
            int(request, 1, i64::try_from(number).unwrap_or_default());
            text(request, 2, &self.said(record::PATH));
            self.write_sizes(request, record::REQUEST_SIZE, record::REQUEST_BODY_SIZE);
            if let Some(context) = self.context() {
                context.write_as_access_log(request, 5);
            }
            text(request, 6, &self.said(record::HOST));
        });
        http.message(5, |response| {
            int(response, 1, self.number(record::STATUS));
            self.write_sizes(response, record::RESPONSE_SIZE, record::RESPONSE_BODY_SIZE);
        });
    }

    fn write_sizes(&self, message: &mut Writer<'_>, whole: &str, body: &str) {
        let (whole, body) = (self.number(whole), self.number(body));
        int(message, 3, whole.saturating_sub(body).max(0));
        int(message, 4, body);
    }

    /// The log of a sampled exchange, as Rover writes it.
    fn write_log(&self, data: &mut Writer<'_>) {
        int(data, 1, milliseconds(self.end()));
        text(data, 2, &self.process.service);
        text(data, 3, &self.process.instance);
        data.message(5, |body| {
            text(body, 1, "json");
            body.message(3, |json| text(json, 1, &self.json()));
        });
        if let Some(context) = self.context() {
            data.message(6, |out| text(out, 1, context.trace()));
        }
        data.message(7, |tags| pair(tags, 1, LOG_KIND.0, LOG_KIND.1));
        text(data, 8, &self.process.layer);
    }

    fn json(&self) -> String {
        let nanoseconds = self.end().saturating_sub(self.of.record.time_unix_nano);
        let own = serde_json::json!({ "process_id": "", "local": true, "address": "" });
        let address = format!("{}:{}", self.said(record::PEER_ADDRESS), self.number(record::PEER_PORT));
        let peer = serde_json::json!({ "process_id": "", "local": false, "address": address });
        let (client, server) = if self.is_client() { (own, peer) } else { (peer, own) };
        serde_json::json!({
            "uri": self.said(record::PATH),
            "reason": self.said(record::SAMPLING_REASON),
            "latency": nanoseconds / 1_000_000,
            "trace_provider": self.context().map_or("", |context| context.provider()),
            "client_process": client,
            "server_process": server,
            "detect_point": if self.is_client() { "client" } else { "server" },
            "component": "http",
            "ssl": false,
            "status": self.number(record::STATUS),
        })
        .to_string()
    }
}
