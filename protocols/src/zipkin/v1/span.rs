//! The span of the v1 model.

use std::borrow::Cow;

use super::super::{
    id::{SpanId, TraceId},
    span::{Endpoint, SpanFault},
};

/// How many annotations, and how many binary annotations, a span may have: each takes more memory than its bytes.
pub(super) const MAX_ANNOTATIONS: usize = 16_384;

/// A span as it came. Its ids are checked by [`SourceSpan::check`].
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct SourceSpan<'a> {
    pub(super) trace_id: TraceId,
    pub(super) id: SpanId,
    pub(super) parent_id: Option<SpanId>,
    /// Empty if absent.
    pub(super) name: Cow<'a, str>,
    /// In microseconds since 1970; 0 if absent.
    pub(super) timestamp: u64,
    /// In microseconds; 0 if absent.
    pub(super) duration: u64,
    pub(super) annotations: Vec<SourceAnnotation<'a>>,
    pub(super) binary_annotations: Vec<BinaryAnnotation<'a>>,
    pub(super) debug: bool,
}

/// Something that happened at a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SourceAnnotation<'a> {
    /// In microseconds since 1970.
    pub(super) timestamp: u64,
    pub(super) value: Cow<'a, str>,
    /// Never one of which nothing is known.
    pub(super) endpoint: Option<Endpoint<'a>>,
}

/// What a host said of the span: a tag, or the address of the other end.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct BinaryAnnotation<'a> {
    pub(super) key: Cow<'a, str>,
    pub(super) value: Value<'a>,
    /// Never one of which nothing is known.
    pub(super) endpoint: Option<Endpoint<'a>>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Text(Cow<'a, str>),
    Scalar(Scalar),
}

/// A value that is no text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar {
    /// True or false.
    Boolean(bool),
    /// An integer of any width.
    Integer(i64),
    /// A decimal.
    Double(f64),
}

impl<'a> SourceSpan<'a> {
    pub(super) fn annotate(&mut self, annotation: SourceAnnotation<'a>) -> Result<(), SpanFault> {
        push(&mut self.annotations, annotation, "annotations")
    }

    pub(super) fn tag(&mut self, annotation: BinaryAnnotation<'a>) -> Result<(), SpanFault> {
        push(&mut self.binary_annotations, annotation, "binaryAnnotations")
    }

    /// Fails unless it has what every span needs.
    pub(super) fn check(&self) -> Result<(), SpanFault> {
        if self.trace_id == TraceId::default() {
            return Err(SpanFault::Missing("traceId"));
        }
        if self.id == SpanId::default() {
            return Err(SpanFault::Missing("id"));
        }
        Ok(())
    }
}

fn push<T>(list: &mut Vec<T>, item: T, field: &'static str) -> Result<(), SpanFault> {
    if list.len() >= MAX_ANNOTATIONS {
        return Err(SpanFault::Annotations { field, maximum: MAX_ANNOTATIONS });
    }
    list.push(item);
    Ok(())
}

impl BinaryAnnotation<'_> {
    /// Whether it gives the address of the client, server or broker. Some clients write "1" instead of true.
    pub(super) fn is_address(&self) -> bool {
        self.endpoint.is_some()
            && matches!(self.key.as_ref(), "ca" | "sa" | "ma")
            && matches!(self.value, Value::Text(_) | Value::Scalar(Scalar::Boolean(true)))
    }
}
