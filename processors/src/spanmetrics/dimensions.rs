//! What tells series apart: read from spans into keys, and from keys into attributes.

use sluice_pipeline::otlp::{
    rewrite::value,
    view::{AnyValue, Attributes, Scope, Span},
    wire::{Fields, Value},
    write::Writer,
};

use super::config::Dimension;

/// The attributes that every series has unless they are excluded.
pub(super) const OWN: [&str; 4] = ["service.name", "span.name", "span.kind", "status.code"];
const KINDS: [&str; 6] = [
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];
const CODES: [&str; 3] = ["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];
const SCOPE_NAME: &str = "span.instrumentation.scope.name";
const SCOPE_VERSION: &str = "span.instrumentation.scope.version";
/// The attribute of the series for what there is no room for.
pub(super) const OVERFLOW: &str = "otel.metric.overflow";

/// Which attributes the series of a metric have. A key is the series' attributes, encoded: fields 1, each a `KeyValue`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dimensions {
    own: [bool; 4],
    others: Vec<Other>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Other {
    name: Vec<u8>,
    /// The encoded `AnyValue` where the attribute is missing.
    default: Option<Vec<u8>>,
}

/// Where a span stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) service: &'a [u8],
    pub(super) resource: Attributes<'a>,
    /// The scope, if it tells series apart.
    pub(super) scope: Option<Scope<'a>>,
}

impl Dimensions {
    pub(super) fn new(excluded: &[String], lists: &[&[Dimension]]) -> Self {
        let others = lists.iter().flat_map(|list| list.iter()).map(|dimension| Other {
            name: dimension.name.clone().into_bytes(),
            default: dimension.default.as_ref().map(|text| value::string(text.as_bytes())),
        });
        Self {
            own: OWN.map(|name| !excluded.iter().any(|excluded| excluded == name)),
            others: others.collect(),
        }
    }

    /// Writes the key of the series that a span belongs to, or an event of it.
    pub(super) fn key(
        &self,
        place: &Place<'_>,
        span: &Span<'_>,
        event: Option<Attributes<'_>>,
        key: &mut Vec<u8>,
    ) {
        key.clear();
        let mut writer = Writer::new(key);
        let kind = usize::try_from(span.kind).ok().and_then(|kind| KINDS.get(kind)).unwrap_or(&KINDS[0]);
        let code =
            usize::try_from(span.status().code).ok().and_then(|code| CODES.get(code)).unwrap_or(&CODES[0]);
        let own = [place.service, span.name, kind.as_bytes(), code.as_bytes()];
        for ((name, text), _) in OWN.iter().zip(own).zip(self.own).filter(|(_, wanted)| *wanted) {
            text_pair(&mut writer, name.as_bytes(), text);
        }
        if let Some(scope) = place.scope {
            text_pair(&mut writer, SCOPE_NAME.as_bytes(), scope.name);
            if !scope.version.is_empty() {
                text_pair(&mut writer, SCOPE_VERSION.as_bytes(), scope.version);
            }
        }
        for other in &self.others {
            let found = find(span.attributes(), &other.name)
                .or_else(|| event.and_then(|attributes| find(attributes, &other.name)))
                .or_else(|| find(place.resource, &other.name));
            match (found, &other.default) {
                (Some(pair), _) => writer.bytes(1, pair),
                (None, Some(default)) => writer.message(1, |writer| {
                    writer.bytes(1, &other.name);
                    writer.bytes(2, default);
                }),
                (None, None) => {}
            }
        }
    }
}

/// The key of the series for what there is no room for.
pub(super) fn overflow_key() -> Vec<u8> {
    let mut key = Vec::new();
    Writer::new(&mut key).message(1, |writer| {
        writer.bytes(1, OVERFLOW.as_bytes());
        writer.bytes(2, &value::bool(true));
    });
    key
}

/// Writes the attributes of a key as fields of this number.
pub(super) fn write_key(key: &[u8], number: u32, writer: &mut Writer<'_>) {
    for field in Fields::of(key).flatten() {
        if let Value::Bytes(pair) = field.value {
            writer.bytes(number, pair);
        }
    }
}

/// The text of `service.name`.
pub(super) fn service(attributes: Attributes<'_>) -> Option<Vec<u8>> {
    let mut attributes = attributes;
    let pair = attributes.find(|pair| pair.key == b"service.name")?;
    Some(match pair.value {
        AnyValue::String(text) => text.to_vec(),
        other => other.text().into_owned().into_bytes(),
    })
}

fn text_pair(writer: &mut Writer<'_>, key: &[u8], text: &[u8]) {
    writer.message(1, |writer| {
        writer.bytes(1, key);
        writer.message(2, |writer| writer.bytes(1, text));
    });
}

/// The encoded `KeyValue` of a key.
fn find<'a>(mut attributes: Attributes<'a>, key: &[u8]) -> Option<&'a [u8]> {
    attributes.find(|pair| pair.key == key).map(|pair| pair.message)
}
