//! The attributes of generated telemetry, from small sets of values, as real telemetry has them.

use fastrand::Rng;
use sluice_pipeline::otlp::write::Writer;

pub(super) const SERVICES: [&str; 6] = ["checkout", "cart", "payment", "catalog", "shipping", "frontend"];
pub(super) const METHODS: [&str; 4] = ["GET", "GET", "POST", "PUT"];
pub(super) const STATUSES: [u64; 6] = [200, 200, 200, 201, 404, 503];
pub(super) const AGENTS: [&str; 3] = [
    "OpenTelemetry-Shop/4.2 (Linux) grpc-java-netty/1.62",
    "okhttp/4.12.0 (Linux; Android 14)",
    "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101",
];
pub(super) const HOSTS: [&str; 3] = ["orders.shop.svc", "prices.shop.svc", "stock0.shop.svc"];

/// The time of the first item: 2026-11-20T00:00:00Z.
pub(super) const EPOCH_NANOS: u64 = 1_795_132_800_000_000_000;

/// One of these values.
pub(super) fn pick<T: Copy + Default>(random: &mut Rng, values: &[T]) -> T {
    random.choice(values).copied().unwrap_or_default()
}

/// An attribute with a string value, in field `number`.
pub(super) fn text(writer: &mut Writer<'_>, number: u32, key: &str, value: &str) {
    writer.message(number, |pair| {
        pair.bytes(1, key.as_bytes());
        pair.message(2, |any| any.bytes(1, value.as_bytes()));
    });
}

/// An attribute with an integer value, in field `number`.
pub(super) fn integer(writer: &mut Writer<'_>, number: u32, key: &str, value: u64) {
    writer.message(number, |pair| {
        pair.bytes(1, key.as_bytes());
        pair.message(2, |any| any.varint(3, value));
    });
}

/// The attributes of a resource: a service in a pod.
pub(super) fn resource(writer: &mut Writer<'_>, random: &mut Rng) {
    let service = pick(random, &SERVICES);
    let instance = random.u64(..);
    text(writer, 1, "service.name", service);
    text(writer, 1, "service.namespace", "shop");
    text(writer, 1, "service.version", "2026.11.3");
    text(writer, 1, "service.instance.id", &format!("{instance:016x}"));
    text(writer, 1, "k8s.namespace.name", "shop");
    text(writer, 1, "k8s.pod.name", &format!("{service}-7d9f6c5b8-{:05x}", instance & 0xf_ffff));
    text(writer, 1, "k8s.node.name", &format!("node-{}", instance % 40));
    text(writer, 1, "telemetry.sdk.language", "java");
    text(writer, 1, "telemetry.sdk.name", "opentelemetry");
}

/// A random id of `N` bytes that is not all zero.
pub(super) fn id<const N: usize>(random: &mut Rng) -> [u8; N] {
    let mut id = [0; N];
    random.fill(&mut id);
    id[0] |= 1;
    id
}
