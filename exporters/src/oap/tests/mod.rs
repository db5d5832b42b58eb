//! What OTLP becomes, read back through SkyWalking's messages.

mod logs;
mod meters;
mod sending;
mod traces;

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value::Value},
    resource::v1::Resource,
};
use proptest::prelude::*;
use prost::Message;
use sluice_pipeline::{
    Batch, Chunk, Context, Signal, component::ComponentConfig, config, otlp::testing::canonical_bytes,
};

use super::*;

/// The configuration that this YAML decodes to.
fn configured(yaml: &str) -> OapConfig {
    let mut problems = config::Problems::default();
    let node = config::parse("test.yaml", yaml, &mut problems).unwrap();
    config::decode(&node, &mut problems).unwrap_or_else(|| panic!("{problems}"))
}

fn batch(signal: Signal, message: &impl Message) -> Batch {
    Batch::new(signal, Chunk::new(message.encode_to_vec().into(), 1), Context::default())
}

/// The messages for a method, of all its calls in order.
fn sent<M: Message + Default>(batch: &Batch, config: &OapConfig, method: Method) -> Vec<M> {
    let calls = messages(batch, config).into_iter().filter(|(of, _)| *of == method);
    calls.flat_map(|(_, framed)| unframed(&framed)).collect()
}

fn unframed<M: Message + Default>(mut framed: &[u8]) -> Vec<M> {
    let mut messages = Vec::new();
    while let Some((prefix, rest)) = framed.split_first_chunk::<5>() {
        let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
        messages.push(M::decode(&rest[..length]).unwrap());
        framed = &rest[length..];
    }
    messages
}

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn text(key: &str, value: &str) -> KeyValue {
    pair(key, Value::StringValue(value.to_owned()))
}

fn int(key: &str, value: i64) -> KeyValue {
    pair(key, Value::IntValue(value))
}

fn resource(attributes: &[(&str, &str)]) -> Option<Resource> {
    let attributes = attributes.iter().map(|(key, value)| text(key, value)).collect();
    Some(Resource { attributes, ..Resource::default() })
}

#[test]
fn defaults_wait_for_the_result() {
    let config = configured("{}");
    assert_eq!(config.problems(), []);
    assert!(config.sending_queue.wait_for_result && config.retry_on_failure.enabled);
    assert!(Oap::answers_later(&config));
    assert_eq!(config.references()[0].id.to_string(), "oap");
    assert_eq!(config.segments, SegmentSize::Span);
}

#[test]
fn what_cannot_work_is_named() {
    let keys =
        |yaml: &str| configured(yaml).problems().into_iter().map(|problem| problem.key).collect::<Vec<_>>();
    assert_eq!(keys("{services: [], processes: [{service: '{a'}]}"), ["services", "processes.0.service"]);
    assert_eq!(keys("{services: [{layer: GENERAL}]}"), ["services.0.service"]);
    assert_eq!(keys("{sending_queue: {num_consumers: 0}}"), ["sending_queue.num_consumers"]);
}

proptest! {
    /// Whatever SDKs send becomes messages that can be read.
    #[test]
    fn any_otlp_is_translated(
        traces in canonical_bytes(Signal::Traces),
        metrics in canonical_bytes(Signal::Metrics),
        logs in canonical_bytes(Signal::Logs),
        whole: bool,
    ) {
        let config = configured(if whole { "{segments: whole}" } else { "{}" });
        for (signal, bytes) in [(Signal::Traces, traces), (Signal::Metrics, metrics), (Signal::Logs, logs)] {
            let batch = Batch::new(signal, Chunk::new(bytes.into(), 1), Context::default());
            for (_, framed) in messages(&batch, &config) {
                unframed::<()>(&framed);
            }
        }
    }
}
