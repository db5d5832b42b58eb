//! Zipkin v2 JSON spans of about 650 bytes with six tags.

use std::fmt::Write as _;

use fastrand::Rng;

use super::attributes::{AGENTS, EPOCH_NANOS, HOSTS, METHODS, SERVICES, STATUSES, pick};

/// A JSON array of this many spans.
pub(super) fn spans(random: &mut Rng, items: usize) -> Vec<u8> {
    let mut json = String::with_capacity(items * 660 + 2);
    for index in 0..items {
        json.push(if index == 0 { '[' } else { ',' });
        span(&mut json, random, index);
    }
    json.push(']');
    json.into_bytes()
}

fn span(json: &mut String, random: &mut Rng, index: usize) {
    let timestamp = EPOCH_NANOS / 1000 + index as u64 * 1_003;
    let path = random.u32(1_000_000..10_000_000);
    // Writing to a String does not fail.
    let _ = write!(
        json,
        concat!(
            r#"{{"traceId":"{:032x}","id":"{:016x}","parentId":"{:016x}","kind":"{}","#,
            r#""name":"get /api/v1/orders/{{order_id}}","timestamp":{},"duration":{},"#,
            r#""localEndpoint":{{"serviceName":"{}","ipv4":"10.0.{}.{}","port":8080}},"#,
            r#""remoteEndpoint":{{"serviceName":"{}","ipv4":"10.1.{}.{}","port":40112}},"#,
            r#""annotations":[{{"timestamp":{},"value":"request body received"}}],"#,
            r#""tags":{{"http.method":"{}","http.path":"/api/v1/orders/{}","http.status_code":"{}","#,
            r#""http.host":"{}","http.user_agent":"{}","component":"spring-webmvc"}}}}"#,
        ),
        random.u128(1..),
        random.u64(1..),
        random.u64(1..),
        pick(random, &["CLIENT", "SERVER"]),
        timestamp,
        random.u32(100..80_000),
        pick(random, &SERVICES),
        random.u8(..),
        random.u8(..),
        pick(random, &SERVICES),
        random.u8(..),
        random.u8(..),
        timestamp + 50,
        pick(random, &METHODS),
        path,
        pick(random, &STATUSES),
        pick(random, &HOSTS),
        pick(random, &AGENTS),
    );
}
