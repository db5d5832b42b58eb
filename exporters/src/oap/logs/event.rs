//! SkyWalking's events of services.

use sluice_pipeline::otlp::{
    view::{AnyValue, Text},
    write::Writer,
};
use sluice_protocols::skywalking::attributes::{event, log};

use super::Record;
use crate::oap::{
    streams::{Method, Streams},
    wire::{int, integer, pair, text},
};

/// The least severity number of an error.
const ERROR: i32 = 17;

/// Adds it.
pub(super) fn push(of: &Record<'_, '_>, streams: &mut Streams) {
    let record = &of.record;
    let value =
        |name: &str| record.attributes().find(|pair| pair.key.as_str() == name).map(|pair| pair.value);
    let said = |name: &str| value(name).map(|value| value.text().into_owned()).unwrap_or_default();
    let number = |name: &str| value(name).and_then(integer);
    streams.push(Method::Events, "", 1, |out| {
        let mut message = Writer::new(out);
        text(&mut message, 1, &said(event::UUID));
        let endpoint = said(log::ENDPOINT);
        if ![&of.said.service, &of.said.instance, &endpoint].iter().all(|text| text.is_empty()) {
            message.message(2, |source| {
                text(source, 1, &of.said.service);
                text(source, 2, &of.said.instance);
                text(source, 3, &endpoint);
            });
        }
        text(&mut message, 3, &said(event::NAME));
        let kind = number(event::TYPE).unwrap_or_else(|| i64::from(record.severity_number >= ERROR));
        int(&mut message, 4, kind);
        text(&mut message, 5, &record.body().map(|body| body.text()).unwrap_or_default());
        if let Some(AnyValue::KeyValues(parameters)) = value(event::PARAMETERS) {
            for parameter in parameters {
                pair(&mut message, 6, parameter.key.as_str(), &parameter.value.text());
            }
        }
        int(&mut message, 7, number(event::START_TIME).unwrap_or_default());
        int(&mut message, 8, number(event::END_TIME).unwrap_or_default());
        text(&mut message, 9, &of.said.layer);
    });
}
