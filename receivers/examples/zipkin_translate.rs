//! What the translation of a Zipkin span costs: `cargo run --profile ci -p sluice-receivers --example zipkin_translate`.
//!
//! Requests of 100 spans of about 650 bytes with 6 tags, as the budget of the design has them.

#![expect(clippy::print_stdout, clippy::expect_used, reason = "a tool for the terminal")]

use std::{fmt::Write, hint::black_box};

use sluice_receivers::zipkin::{Format, translate};

const SPANS: u32 = 100;
const REQUESTS: u32 = 3_000;

fn main() {
    let body = request();
    println!("{} bytes of JSON a span", body.len() / SPANS as usize);
    let size = translate(Format::Json, body.as_bytes(), false).expect("the request is valid").traces.len();
    println!("{} bytes of OTLP a span", size / SPANS as usize);
    for _ in 0..5 {
        let start = cpu_nanoseconds();
        for _ in 0..REQUESTS {
            drop(black_box(translate(Format::Json, black_box(body.as_bytes()), false)));
        }
        println!("{} ns of CPU a span", (cpu_nanoseconds() - start) / u64::from(SPANS * REQUESTS));
    }
}

/// CPU time of this thread, which other processes do not count into as they do into the time of day.
fn cpu_nanoseconds() -> u64 {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux counts CPU time");
    statistics.split(' ').next().and_then(|time| time.parse().ok()).expect("the first number is CPU time")
}

fn request() -> String {
    let mut body = String::from("[");
    for span in 0..SPANS {
        let comma = if span == 0 { "" } else { "," };
        write!(
            body,
            concat!(
                r#"{}{{"traceId":"5af7183fb1d4cf5f{:016x}","parentId":"6b221d5bc9e6496c","id":"{:016x}","#,
                r#""kind":"SERVER","name":"get /api/v1/orders/{{id}}","timestamp":1556604172355{:03},"duration":14310,"#,
                r#""localEndpoint":{{"serviceName":"order-service","ipv4":"192.168.99.1","port":8080}},"#,
                r#""remoteEndpoint":{{"serviceName":"frontend","ipv4":"172.19.0.2","port":58648}},"#,
                r#""annotations":[{{"timestamp":1556604172356123,"value":"cache.miss"}}],"#,
                r#""tags":{{"http.method":"GET","http.path":"/api/v1/orders/42","http.status_code":"200","#,
                r#""http.url":"http://orders.example.com/api/v1/orders/42?expand=items","mvc.controller.class":"OrderController","#,
                r#""peer.address":"172.19.0.2:58648"}}}}"#
            ),
            comma,
            span + 1,
            span + 1,
            span
        )
        .expect("writing to a string");
    }
    body + "]"
}
