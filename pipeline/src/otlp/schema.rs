//! The messages of OTLP as a table: numbers, JSON names, types and rules of their fields.
//!
//! One table drives the check at the door, the canonical rewrite and both directions of the JSON encoding.
//! Source: opentelemetry-proto 1.10 (`common`, `resource`, `trace`, `metrics`, `logs`, `profiles/v1development`).

use std::fmt;

use super::rule::{self, Rule};
use crate::signal::Signal;

/// The most fields that a message has.
pub(super) const MAX_FIELDS: usize = 16;

/// A message type.
pub struct Message {
    /// Its name in the proto files.
    pub name: &'static str,
    /// Its fields in the order of their numbers.
    pub fields: &'static [Field],
    /// The place in `fields` of each field number, by number; 255 where this build knows none.
    index: [u8; 32],
    rules: [Rule; 32],
    is_item: bool,
}

/// A field of a message.
#[derive(Debug)]
pub struct Field {
    /// Its number.
    pub number: u32,
    /// Its name in OTLP/JSON (lowerCamelCase).
    pub json: &'static str,
    /// The type of its value, or of each value if repeated.
    pub kind: Type,
    /// Whether it occurs any number of times.
    pub repeated: bool,
    /// The group of fields of which at most one is set; 0 if it is in none.
    pub one_of: u8,
    /// Whether its presence counts even at the default value (`optional`, and members of a `oneof`).
    pub explicit: bool,
    /// Which messages of the same parent it must follow for a view to read in one pass: those of lower rank.
    pub rank: u8,
}

/// The type of a field.
#[derive(Clone, Copy, Debug)]
pub enum Type {
    /// UTF-8 text.
    String,
    /// Bytes; base64 in JSON.
    Bytes,
    /// Bytes that are an id of this length or empty; hexadecimal in JSON.
    Id(usize),
    /// Varint, true or false.
    Bool,
    /// Varint, unsigned 32 bits.
    Uint32,
    /// Varint, unsigned 64 bits; a string in JSON.
    Uint64,
    /// Varint, signed 32 bits.
    Int32,
    /// Varint, signed 64 bits; a string in JSON.
    Int64,
    /// Zigzag varint of 32 bits.
    Sint32,
    /// Varint enum; a number in OTLP/JSON.
    Enum,
    /// Four bytes, unsigned.
    Fixed32,
    /// Eight bytes, unsigned; a string in JSON.
    Fixed64,
    /// Eight bytes, signed; a string in JSON.
    Sfixed64,
    /// Eight bytes, IEEE 754.
    Double,
    /// A nested message.
    Message(&'static Message),
}

/// The message that a whole batch of this signal is.
#[must_use]
pub fn root(signal: Signal) -> &'static Message {
    match signal {
        Signal::Traces => &TRACES_DATA,
        Signal::Metrics => &METRICS_DATA,
        Signal::Logs => &LOGS_DATA,
        Signal::Profiles => &PROFILES_DATA,
    }
}

impl Message {
    const fn new(name: &'static str, fields: &'static [Field]) -> Self {
        assert!(fields.len() <= MAX_FIELDS, "the canonical rewrite keeps each singular field");
        let mut index = [255u8; 32];
        let mut place = 0;
        while place < fields.len() {
            #[expect(clippy::cast_possible_truncation, reason = "no message has 255 fields")]
            let small = place as u8;
            index[fields[place].number as usize] = small;
            place += 1;
        }
        Self { name, fields, index, rules: rule::of(fields), is_item: rule::is_item(name) }
    }

    /// The field with this number, if this build knows it.
    #[inline]
    #[must_use]
    pub fn field(&self, number: u32) -> Option<&'static Field> {
        self.place(number).and_then(|place| self.fields.get(place))
    }

    /// The place in [`Message::fields`] of the field with this number.
    #[inline]
    #[must_use]
    pub fn place(&self, number: u32) -> Option<usize> {
        match self.index.get(number as usize) {
            Some(&place) if place != 255 => Some(place as usize),
            _ => None,
        }
    }

    /// What the check at the door demands of the fields, by number; it has no rule for unknown ones.
    #[inline]
    pub(super) fn rules(&self) -> &[Rule; 32] {
        &self.rules
    }

    /// Whether it is what batches are counted in: a span, data point, log record or profile sample.
    #[inline]
    #[must_use]
    pub fn is_item(&self) -> bool {
        self.is_item
    }

    /// The field with this JSON name.
    #[must_use]
    pub fn field_named(&self, json: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.json == json)
    }
}

// By name only: messages nest in themselves.
impl fmt::Debug for Message {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Message").field(&self.name).finish()
    }
}

const fn one(number: u32, json: &'static str, kind: Type) -> Field {
    Field { number, json, kind, repeated: false, one_of: 0, explicit: false, rank: 0 }
}

const fn many(number: u32, json: &'static str, kind: Type) -> Field {
    Field { number, json, kind, repeated: true, one_of: 0, explicit: false, rank: 0 }
}

const fn choice(number: u32, json: &'static str, kind: Type) -> Field {
    Field { number, json, kind, repeated: false, one_of: 1, explicit: true, rank: 0 }
}

const fn optional(number: u32, json: &'static str, kind: Type) -> Field {
    Field { number, json, kind, repeated: false, one_of: 0, explicit: true, rank: 0 }
}

/// Repeated messages that come after the singular ones of their parent (items after their resource or scope).
const fn after(number: u32, json: &'static str, kind: Type) -> Field {
    Field { number, json, kind, repeated: true, one_of: 0, explicit: false, rank: 1 }
}

use Type::{
    Bool, Bytes, Double, Enum, Fixed32, Fixed64, Id, Int32, Int64, Message as Nested, Sfixed64, Sint32,
    String, Uint32, Uint64,
};

macro_rules! messages {
    ($($(#[$docs:meta])* $constant:ident = $name:literal { $($field:expr),* $(,)? })*) => {
        $($(#[$docs])* pub static $constant: Message = Message::new($name, &[$($field),*]);)*
    };
}

messages! {
    /// A value of any type.
    ANY_VALUE = "AnyValue" {
        choice(1, "stringValue", String),
        choice(2, "boolValue", Bool),
        choice(3, "intValue", Int64),
        choice(4, "doubleValue", Double),
        choice(5, "arrayValue", Nested(&ARRAY_VALUE)),
        choice(6, "kvlistValue", Nested(&KEY_VALUE_LIST)),
        choice(7, "bytesValue", Bytes),
        choice(8, "stringValueStrindex", Int32),
    }
    /// Values in order.
    ARRAY_VALUE = "ArrayValue" { many(1, "values", Nested(&ANY_VALUE)) }
    /// Keys with values.
    KEY_VALUE_LIST = "KeyValueList" { many(1, "values", Nested(&KEY_VALUE)) }
    /// A key with its value: an attribute.
    KEY_VALUE = "KeyValue" {
        one(1, "key", String),
        one(2, "value", Nested(&ANY_VALUE)),
        one(3, "keyStrindex", Int32),
    }
    /// What produced the telemetry within the process.
    SCOPE = "InstrumentationScope" {
        one(1, "name", String),
        one(2, "version", String),
        many(3, "attributes", Nested(&KEY_VALUE)),
        one(4, "droppedAttributesCount", Uint32),
    }
    /// A reference to an entity that attributes describe.
    ENTITY_REF = "EntityRef" {
        one(1, "schemaUrl", String),
        one(2, "type", String),
        many(3, "idKeys", String),
        many(4, "descriptionKeys", String),
    }
    /// What produced the telemetry.
    RESOURCE = "Resource" {
        many(1, "attributes", Nested(&KEY_VALUE)),
        one(2, "droppedAttributesCount", Uint32),
        many(3, "entityRefs", Nested(&ENTITY_REF)),
    }

    /// A batch of traces.
    TRACES_DATA = "TracesData" { many(1, "resourceSpans", Nested(&RESOURCE_SPANS)) }
    /// Spans of one resource.
    RESOURCE_SPANS = "ResourceSpans" {
        one(1, "resource", Nested(&RESOURCE)),
        after(2, "scopeSpans", Nested(&SCOPE_SPANS)),
        one(3, "schemaUrl", String),
    }
    /// Spans of one scope.
    SCOPE_SPANS = "ScopeSpans" {
        one(1, "scope", Nested(&SCOPE)),
        after(2, "spans", Nested(&SPAN)),
        one(3, "schemaUrl", String),
    }
    /// A span.
    SPAN = "Span" {
        one(1, "traceId", Id(16)),
        one(2, "spanId", Id(8)),
        one(3, "traceState", String),
        one(4, "parentSpanId", Id(8)),
        one(5, "name", String),
        one(6, "kind", Enum),
        one(7, "startTimeUnixNano", Fixed64),
        one(8, "endTimeUnixNano", Fixed64),
        many(9, "attributes", Nested(&KEY_VALUE)),
        one(10, "droppedAttributesCount", Uint32),
        many(11, "events", Nested(&SPAN_EVENT)),
        one(12, "droppedEventsCount", Uint32),
        many(13, "links", Nested(&SPAN_LINK)),
        one(14, "droppedLinksCount", Uint32),
        one(15, "status", Nested(&STATUS)),
        one(16, "flags", Fixed32),
    }
    /// Something that happened during a span.
    SPAN_EVENT = "Span.Event" {
        one(1, "timeUnixNano", Fixed64),
        one(2, "name", String),
        many(3, "attributes", Nested(&KEY_VALUE)),
        one(4, "droppedAttributesCount", Uint32),
    }
    /// A reference to another span.
    SPAN_LINK = "Span.Link" {
        one(1, "traceId", Id(16)),
        one(2, "spanId", Id(8)),
        one(3, "traceState", String),
        many(4, "attributes", Nested(&KEY_VALUE)),
        one(5, "droppedAttributesCount", Uint32),
        one(6, "flags", Fixed32),
    }
    /// How a span ended.
    STATUS = "Status" { one(2, "message", String), one(3, "code", Enum) }

    /// A batch of metrics.
    METRICS_DATA = "MetricsData" { many(1, "resourceMetrics", Nested(&RESOURCE_METRICS)) }
    /// Metrics of one resource.
    RESOURCE_METRICS = "ResourceMetrics" {
        one(1, "resource", Nested(&RESOURCE)),
        after(2, "scopeMetrics", Nested(&SCOPE_METRICS)),
        one(3, "schemaUrl", String),
    }
    /// Metrics of one scope.
    SCOPE_METRICS = "ScopeMetrics" {
        one(1, "scope", Nested(&SCOPE)),
        after(2, "metrics", Nested(&METRIC)),
        one(3, "schemaUrl", String),
    }
    /// A metric with its data points.
    METRIC = "Metric" {
        one(1, "name", String),
        one(2, "description", String),
        one(3, "unit", String),
        choice(5, "gauge", Nested(&GAUGE)),
        choice(7, "sum", Nested(&SUM)),
        choice(9, "histogram", Nested(&HISTOGRAM)),
        choice(10, "exponentialHistogram", Nested(&EXPONENTIAL_HISTOGRAM)),
        choice(11, "summary", Nested(&SUMMARY)),
        many(12, "metadata", Nested(&KEY_VALUE)),
    }
    /// Points of a gauge.
    GAUGE = "Gauge" { many(1, "dataPoints", Nested(&NUMBER_DATA_POINT)) }
    /// Points of a sum.
    SUM = "Sum" {
        many(1, "dataPoints", Nested(&NUMBER_DATA_POINT)),
        one(2, "aggregationTemporality", Enum),
        one(3, "isMonotonic", Bool),
    }
    /// Points of a histogram.
    HISTOGRAM = "Histogram" {
        many(1, "dataPoints", Nested(&HISTOGRAM_DATA_POINT)),
        one(2, "aggregationTemporality", Enum),
    }
    /// Points of an exponential histogram.
    EXPONENTIAL_HISTOGRAM = "ExponentialHistogram" {
        many(1, "dataPoints", Nested(&EXPONENTIAL_HISTOGRAM_DATA_POINT)),
        one(2, "aggregationTemporality", Enum),
    }
    /// Points of a summary.
    SUMMARY = "Summary" { many(1, "dataPoints", Nested(&SUMMARY_DATA_POINT)) }
    /// A number at a time.
    NUMBER_DATA_POINT = "NumberDataPoint" {
        one(2, "startTimeUnixNano", Fixed64),
        one(3, "timeUnixNano", Fixed64),
        choice(4, "asDouble", Double),
        many(5, "exemplars", Nested(&EXEMPLAR)),
        choice(6, "asInt", Sfixed64),
        many(7, "attributes", Nested(&KEY_VALUE)),
        one(8, "flags", Uint32),
    }
    /// A histogram over a time.
    HISTOGRAM_DATA_POINT = "HistogramDataPoint" {
        one(2, "startTimeUnixNano", Fixed64),
        one(3, "timeUnixNano", Fixed64),
        one(4, "count", Fixed64),
        optional(5, "sum", Double),
        many(6, "bucketCounts", Fixed64),
        many(7, "explicitBounds", Double),
        many(8, "exemplars", Nested(&EXEMPLAR)),
        many(9, "attributes", Nested(&KEY_VALUE)),
        one(10, "flags", Uint32),
        optional(11, "min", Double),
        optional(12, "max", Double),
    }
    /// An exponential histogram over a time.
    EXPONENTIAL_HISTOGRAM_DATA_POINT = "ExponentialHistogramDataPoint" {
        many(1, "attributes", Nested(&KEY_VALUE)),
        one(2, "startTimeUnixNano", Fixed64),
        one(3, "timeUnixNano", Fixed64),
        one(4, "count", Fixed64),
        optional(5, "sum", Double),
        one(6, "scale", Sint32),
        one(7, "zeroCount", Fixed64),
        one(8, "positive", Nested(&BUCKETS)),
        one(9, "negative", Nested(&BUCKETS)),
        one(10, "flags", Uint32),
        many(11, "exemplars", Nested(&EXEMPLAR)),
        optional(12, "min", Double),
        optional(13, "max", Double),
        one(14, "zeroThreshold", Double),
    }
    /// Buckets of an exponential histogram.
    BUCKETS = "ExponentialHistogramDataPoint.Buckets" {
        one(1, "offset", Sint32),
        many(2, "bucketCounts", Uint64),
    }
    /// A summary over a time.
    SUMMARY_DATA_POINT = "SummaryDataPoint" {
        one(2, "startTimeUnixNano", Fixed64),
        one(3, "timeUnixNano", Fixed64),
        one(4, "count", Fixed64),
        one(5, "sum", Double),
        many(6, "quantileValues", Nested(&VALUE_AT_QUANTILE)),
        many(7, "attributes", Nested(&KEY_VALUE)),
        one(8, "flags", Uint32),
    }
    /// A quantile of a summary.
    VALUE_AT_QUANTILE = "SummaryDataPoint.ValueAtQuantile" {
        one(1, "quantile", Double),
        one(2, "value", Double),
    }
    /// A measurement kept beside its aggregate.
    EXEMPLAR = "Exemplar" {
        one(2, "timeUnixNano", Fixed64),
        choice(3, "asDouble", Double),
        one(4, "spanId", Id(8)),
        one(5, "traceId", Id(16)),
        choice(6, "asInt", Sfixed64),
        many(7, "filteredAttributes", Nested(&KEY_VALUE)),
    }

    /// A batch of logs.
    LOGS_DATA = "LogsData" { many(1, "resourceLogs", Nested(&RESOURCE_LOGS)) }
    /// Log records of one resource.
    RESOURCE_LOGS = "ResourceLogs" {
        one(1, "resource", Nested(&RESOURCE)),
        after(2, "scopeLogs", Nested(&SCOPE_LOGS)),
        one(3, "schemaUrl", String),
    }
    /// Log records of one scope.
    SCOPE_LOGS = "ScopeLogs" {
        one(1, "scope", Nested(&SCOPE)),
        after(2, "logRecords", Nested(&LOG_RECORD)),
        one(3, "schemaUrl", String),
    }
    /// A log record.
    LOG_RECORD = "LogRecord" {
        one(1, "timeUnixNano", Fixed64),
        one(2, "severityNumber", Enum),
        one(3, "severityText", String),
        one(5, "body", Nested(&ANY_VALUE)),
        many(6, "attributes", Nested(&KEY_VALUE)),
        one(7, "droppedAttributesCount", Uint32),
        one(8, "flags", Fixed32),
        one(9, "traceId", Id(16)),
        one(10, "spanId", Id(8)),
        one(11, "observedTimeUnixNano", Fixed64),
        one(12, "eventName", String),
    }

    /// A batch of profiles with the tables that they share.
    PROFILES_DATA = "ProfilesData" {
        many(1, "resourceProfiles", Nested(&RESOURCE_PROFILES)),
        one(2, "dictionary", Nested(&PROFILES_DICTIONARY)),
    }
    /// The tables that the profiles of a batch refer to by index.
    PROFILES_DICTIONARY = "ProfilesDictionary" {
        many(1, "mappingTable", Nested(&MAPPING)),
        many(2, "locationTable", Nested(&LOCATION)),
        many(3, "functionTable", Nested(&FUNCTION)),
        many(4, "linkTable", Nested(&PROFILE_LINK)),
        many(5, "stringTable", String),
        many(6, "attributeTable", Nested(&KEY_VALUE_AND_UNIT)),
        many(7, "stackTable", Nested(&STACK)),
    }
    /// Profiles of one resource.
    RESOURCE_PROFILES = "ResourceProfiles" {
        one(1, "resource", Nested(&RESOURCE)),
        after(2, "scopeProfiles", Nested(&SCOPE_PROFILES)),
        one(3, "schemaUrl", String),
    }
    /// Profiles of one scope.
    SCOPE_PROFILES = "ScopeProfiles" {
        one(1, "scope", Nested(&SCOPE)),
        after(2, "profiles", Nested(&PROFILE)),
        one(3, "schemaUrl", String),
    }
    /// A profile with its samples.
    PROFILE = "Profile" {
        one(1, "sampleType", Nested(&VALUE_TYPE)),
        many(2, "samples", Nested(&SAMPLE)),
        one(3, "timeUnixNano", Fixed64),
        one(4, "durationNano", Uint64),
        one(5, "periodType", Nested(&VALUE_TYPE)),
        one(6, "period", Int64),
        one(7, "profileId", Id(16)),
        one(8, "droppedAttributesCount", Uint32),
        one(9, "originalPayloadFormat", String),
        one(10, "originalPayload", Bytes),
        many(11, "attributeIndices", Int32),
    }
    /// A reference to a span.
    PROFILE_LINK = "Link" { one(1, "traceId", Id(16)), one(2, "spanId", Id(8)) }
    /// What the values of samples mean.
    VALUE_TYPE = "ValueType" { one(1, "typeStrindex", Int32), one(2, "unitStrindex", Int32) }
    /// A stack with its values.
    SAMPLE = "Sample" {
        one(1, "stackIndex", Int32),
        many(2, "attributeIndices", Int32),
        one(3, "linkIndex", Int32),
        many(4, "values", Int64),
        many(5, "timestampsUnixNano", Fixed64),
    }
    /// A mapped binary.
    MAPPING = "Mapping" {
        one(1, "memoryStart", Uint64),
        one(2, "memoryLimit", Uint64),
        one(3, "fileOffset", Uint64),
        one(4, "filenameStrindex", Int32),
        many(5, "attributeIndices", Int32),
    }
    /// Locations from the leaf on.
    STACK = "Stack" { many(1, "locationIndices", Int32) }
    /// A place in a binary.
    LOCATION = "Location" {
        one(1, "mappingIndex", Int32),
        one(2, "address", Uint64),
        many(3, "lines", Nested(&LINE)),
        many(4, "attributeIndices", Int32),
    }
    /// A line of source.
    LINE = "Line" { one(1, "functionIndex", Int32), one(2, "line", Int64), one(3, "column", Int64) }
    /// A function.
    FUNCTION = "Function" {
        one(1, "nameStrindex", Int32),
        one(2, "systemNameStrindex", Int32),
        one(3, "filenameStrindex", Int32),
        one(4, "startLine", Int64),
    }
    /// An attribute of the attribute table.
    KEY_VALUE_AND_UNIT = "KeyValueAndUnit" {
        one(1, "keyStrindex", Int32),
        one(2, "value", Nested(&ANY_VALUE)),
        one(3, "unitStrindex", Int32),
    }
}
