//! Spans of about 368 bytes with seven attributes.

use fastrand::Rng;
use sluice_pipeline::otlp::write::Writer;

use super::attributes::{AGENTS, EPOCH_NANOS, HOSTS, METHODS, STATUSES, id, integer, pick, text};

/// Writes one span as field 2 of its scope's group.
pub(super) fn span(writer: &mut Writer<'_>, random: &mut Rng, index: usize) {
    let start = EPOCH_NANOS + index as u64 * 1_000_003 + random.u64(..1_000_000);
    let status = pick(random, &STATUSES);
    writer.message(2, |span| {
        span.bytes(1, &id::<16>(random));
        span.bytes(2, &id::<8>(random));
        span.bytes(4, &id::<8>(random));
        span.bytes(5, b"GET /api/v1/orders/{order_id}");
        span.varint(6, random.u64(2..=3));
        span.fixed64(7, start);
        span.fixed64(8, start + random.u64(100_000..80_000_000));
        text(span, 9, "http.request.method", pick(random, &METHODS));
        text(span, 9, "url.path", &format!("/api/v1/orders/{:07}", random.u32(..10_000_000)));
        integer(span, 9, "http.response.status_code", status);
        text(span, 9, "server.address", pick(random, &HOSTS));
        integer(span, 9, "server.port", 8080);
        text(span, 9, "user_agent.original", pick(random, &AGENTS));
        text(span, 9, "client.address", &format!("10.{}.{}.{}", random.u8(..), random.u8(..), random.u8(..)));
        if status >= 500 {
            span.message(15, |result| result.varint(3, 2));
        }
        span.fixed32(16, 0x101);
    });
}
