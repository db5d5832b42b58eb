//! What the tests of v1 share: lists read, and spans shown as text to compare.

mod properties;
mod reading;
mod splitting;
mod write;

use std::fmt::Write as _;

use super::*;
use crate::zipkin::{Span, SpanListJson};

/// The spans of a list in the form in which the tests compare them: as v2 JSON, with what is no text behind it.
fn shown(read: impl FnOnce(&mut dyn FnMut(&Span<'_>, &[Typed<'_>]))) -> Vec<String> {
    let mut spans = Vec::new();
    read(&mut |span, typed| {
        let mut json = Vec::new();
        let mut list = SpanListJson::begin(&mut json);
        list.push(span);
        list.end();
        let mut text = String::from_utf8(json).unwrap();
        for (key, value) in typed {
            write!(text, " {key}={value:?}").unwrap();
        }
        spans.push(text);
    });
    spans
}

fn json(body: &str) -> Vec<String> {
    shown(|each| {
        read_json(body.as_bytes(), each).unwrap();
    })
}

fn thrift(body: &[u8]) -> Vec<String> {
    shown(|each| {
        read_thrift(body, each).unwrap();
    })
}

fn annotation(timestamp: u64, value: &str, service: &str) -> String {
    format!(r#"{{"timestamp":{timestamp},"value":"{value}","endpoint":{{"serviceName":"{service}"}}}}"#)
}
