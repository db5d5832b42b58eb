//! Log records with a body, five attributes and a trace context.

use fastrand::Rng;
use sluice_pipeline::otlp::write::Writer;

use super::attributes::{EPOCH_NANOS, METHODS, SERVICES, STATUSES, id, integer, pick, text};

/// Writes one log record as field 2 of its scope's group.
pub(super) fn record(writer: &mut Writer<'_>, random: &mut Rng, index: usize) {
    let time = EPOCH_NANOS + index as u64 * 1_000_003;
    let service = pick(random, &SERVICES);
    writer.message(2, |record| {
        record.fixed64(1, time);
        record.varint(2, 9);
        record.bytes(3, b"INFO");
        record.message(5, |body| {
            let line = format!("order {} accepted, {service} notified", random.u32(..1_000_000));
            body.bytes(1, line.as_bytes());
        });
        text(record, 6, "log.logger", "com.example.shop.orders.OrderController");
        text(record, 6, "thread.name", &format!("http-nio-8080-exec-{}", random.u8(1..30)));
        text(record, 6, "http.request.method", pick(random, &METHODS));
        integer(record, 6, "http.response.status_code", pick(random, &STATUSES));
        text(record, 6, "peer.service", service);
        record.fixed32(8, 1);
        record.bytes(9, &id::<16>(random));
        record.bytes(10, &id::<8>(random));
        record.fixed64(11, time + 1_000);
    });
}
