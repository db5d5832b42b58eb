//! Zipkin spans to OTLP, written as bytes while the request is read: no list of spans, no OTLP structs.
//!
//! The mapping is the Collector's, and what it loses is kept: the shared and debug flags, an endpoint's second
//! address, dropped counts, and annotations that only resemble encoded events. Spans are grouped by all that becomes
//! their resource and scope, so that none gets another's. Spans of v1 are made spans of v2 first.

mod address;
mod attribute;
mod encoded;
mod meter;
mod resource;
mod role;
mod span;

use sluice_pipeline::budget::{Charge, Exhausted};
use sluice_protocols::zipkin::Malformed;

use self::span::Translator;

/// How a request is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A JSON list of v2 spans.
    Json,
    /// A protobuf `ListOfSpans`.
    Protobuf,
    /// A JSON list of v1 spans.
    V1Json,
    /// A list of v1 spans in thrift's binary protocol.
    V1Thrift,
}

/// A request as OTLP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Translated {
    /// An encoded `TracesData`; empty if there are no spans.
    pub traces: Vec<u8>,
    /// How many spans it holds.
    pub spans: usize,
    /// How many values held invalid UTF-8, now U+FFFD.
    pub repaired: usize,
}

/// Why a request could not be translated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Untranslatable {
    /// It is no list of spans.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// There is no memory for what it becomes.
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
}

/// Translates a request. With `parse_string_tags`, tags that look like integers, decimals or booleans become such.
///
/// # Errors
/// [`Malformed`] if any part of it is no list of spans: all are taken or none.
pub fn translate(format: Format, body: &[u8], parse_string_tags: bool) -> Result<Translated, Malformed> {
    let mut translator = Translator::new(parse_string_tags, None);
    let read = translator.read(format, body)?;
    Ok(Translated { traces: translator.finish(), spans: read.spans, repaired: read.repaired })
}

/// Like [`translate`], charging memory as it is needed: a small span becomes several times its size.
///
/// # Errors
/// [`Untranslatable`].
pub fn translate_charged(
    format: Format,
    body: &[u8],
    parse_string_tags: bool,
    charge: &mut Charge,
) -> Result<Translated, Untranslatable> {
    let mut translator = Translator::new(parse_string_tags, Some(charge));
    let read = translator.read(format, body)?;
    translator.exhausted()?;
    Ok(Translated { traces: translator.finish(), spans: read.spans, repaired: read.repaired })
}

#[cfg(test)]
mod tests;
