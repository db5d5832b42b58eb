//! What a tag means for OTLP.

use sluice_protocols::zipkin::tag;

use super::{encoded::Link, resource::is_resource_key};

/// What a tag means for OTLP.
pub(super) enum Role<'s> {
    /// Nothing but itself: an attribute of the span.
    Attribute,
    /// An attribute of the resource.
    Resource,
    /// A field of the span, or of its scope or resource.
    Field(Field<'s>),
}

/// A field that Zipkin has no place for, carried as a tag.
pub(super) enum Field<'s> {
    ServiceNameSource,
    ScopeName,
    ScopeVersion,
    LibraryName,
    LibraryVersion,
    StatusCode(StatusCode),
    StatusDescription,
    Kind(SpanKind),
    TraceState,
    Link(u32, Link<'s>),
    DroppedAttributes(u32),
    DroppedEvents(u32),
    DroppedLinks(u32),
}

/// `Status.StatusCode` of OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StatusCode {
    Unset = 0,
    Ok = 1,
    Error = 2,
}

/// `SpanKind` of OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SpanKind {
    Unspecified = 0,
    Internal = 1,
    Server = 2,
    Client = 3,
    Producer = 4,
    Consumer = 5,
}

impl<'s> Role<'s> {
    /// The role of this tag. A value that its field cannot have leaves it an attribute.
    pub(super) fn of(key: &str, value: &'s str) -> Self {
        let field = match key {
            tag::SERVICE_NAME_SOURCE if !value.is_empty() => Some(Field::ServiceNameSource),
            tag::SCOPE_NAME => Some(Field::ScopeName),
            tag::SCOPE_VERSION => Some(Field::ScopeVersion),
            tag::LIBRARY_NAME => Some(Field::LibraryName),
            tag::LIBRARY_VERSION => Some(Field::LibraryVersion),
            tag::STATUS_CODE => StatusCode::from_tag(value).map(Field::StatusCode),
            tag::STATUS_DESCRIPTION => Some(Field::StatusDescription),
            tag::SPAN_KIND => SpanKind::from_tag(value).map(Field::Kind),
            tag::TRACE_STATE => Some(Field::TraceState),
            tag::DROPPED_ATTRIBUTES => count(value).map(Field::DroppedAttributes),
            tag::DROPPED_EVENTS => count(value).map(Field::DroppedEvents),
            tag::DROPPED_LINKS => count(value).map(Field::DroppedLinks),
            _ if key.starts_with(tag::LINK_PREFIX) => link(key, value),
            _ if is_resource_key(key) => return Self::Resource,
            _ => None,
        };
        field.map_or(Self::Attribute, Self::Field)
    }
}

impl StatusCode {
    fn from_tag(value: &str) -> Option<Self> {
        let name = match value.split_at_checked(12) {
            Some((prefix, name)) if prefix.eq_ignore_ascii_case("STATUS_CODE_") => name,
            _ => value,
        };
        [("unset", Self::Unset), ("ok", Self::Ok), ("error", Self::Error)]
            .into_iter()
            .find_map(|(known, code)| name.eq_ignore_ascii_case(known).then_some(code))
    }
}

impl SpanKind {
    fn from_tag(value: &str) -> Option<Self> {
        [
            ("internal", Self::Internal),
            ("server", Self::Server),
            ("client", Self::Client),
            ("producer", Self::Producer),
            ("consumer", Self::Consumer),
        ]
        .into_iter()
        .find_map(|(known, kind)| value.eq_ignore_ascii_case(known).then_some(kind))
    }
}

/// A count as the exporter writes it: above zero, without sign or leading zeros.
fn count(value: &str) -> Option<u32> {
    if value.starts_with(['0', '+']) { None } else { value.parse().ok() }
}

fn link<'s>(key: &str, value: &'s str) -> Option<Field<'s>> {
    let place = key.strip_prefix(tag::LINK_PREFIX)?.parse().ok()?;
    Link::decode(value).map(|link| Field::Link(place, link))
}
