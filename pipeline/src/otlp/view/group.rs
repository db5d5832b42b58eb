//! What all signals share: items grouped by scope, scopes grouped by resource.
//!
//! `ResourceSpans`, `ResourceMetrics`, `ResourceLogs` and `ResourceProfiles` have the same fields, as have
//! `ScopeSpans` and its siblings.

use super::{Attributes, LogRecord, Metric, Profile, Repeated, Span, View, walk};

/// The groups of a whole encoded `TracesData`, `MetricsData`, `LogsData` or `ProfilesData`.
#[inline]
pub fn resource_groups(data: &[u8]) -> Repeated<'_, ResourceGroup<'_>> {
    Repeated::all(data, 1)
}

/// The items of one resource, grouped by scope.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResourceGroup<'a> {
    message: &'a [u8],
    resource: &'a [u8],
    schema_url: &'a [u8],
    scope_groups: Repeated<'a, ScopeGroup<'a>>,
}

impl<'a> View<'a> for ResourceGroup<'a> {
    #[inline]
    fn of(message: &'a [u8]) -> Self {
        let mut group = Self { message, ..Self::default() };
        walk(message, |field, from| match field.number {
            1 => group.resource = field.value.bytes(),
            2 => group.scope_groups.note(2, from),
            3 => group.schema_url = field.value.bytes(),
            _ => {}
        });
        group
    }
}

impl<'a> ResourceGroup<'a> {
    /// The encoded message.
    #[must_use]
    pub fn message(&self) -> &'a [u8] {
        self.message
    }

    /// What produced the items; empty if absent.
    #[must_use]
    pub fn resource(&self) -> Resource<'a> {
        Resource::of(self.resource)
    }

    /// The schema of the resource, as text.
    #[must_use]
    pub fn schema_url(&self) -> &'a [u8] {
        self.schema_url
    }

    /// The items by scope.
    #[must_use]
    pub fn scope_groups(&self) -> Repeated<'a, ScopeGroup<'a>> {
        self.scope_groups
    }
}

/// The items of one scope.
#[derive(Clone, Copy, Debug, Default)]
pub struct ScopeGroup<'a> {
    message: &'a [u8],
    scope: &'a [u8],
    schema_url: &'a [u8],
    items: Repeated<'a, &'a [u8]>,
}

impl<'a> View<'a> for ScopeGroup<'a> {
    #[inline]
    fn of(message: &'a [u8]) -> Self {
        let mut group = Self { message, ..Self::default() };
        walk(message, |field, from| match field.number {
            1 => group.scope = field.value.bytes(),
            2 => group.items.note(2, from),
            3 => group.schema_url = field.value.bytes(),
            _ => {}
        });
        group
    }
}

impl<'a> ScopeGroup<'a> {
    /// The encoded message.
    #[must_use]
    pub fn message(&self) -> &'a [u8] {
        self.message
    }

    /// What within the process produced the items; empty if absent.
    #[must_use]
    pub fn scope(&self) -> Scope<'a> {
        Scope::of(self.scope)
    }

    /// The schema of scope and items, as text.
    #[must_use]
    pub fn schema_url(&self) -> &'a [u8] {
        self.schema_url
    }

    /// The encoded spans, metrics, log records or profiles.
    #[must_use]
    pub fn items(&self) -> Repeated<'a, &'a [u8]> {
        self.items
    }

    /// The items of traces.
    pub fn spans(&self) -> impl Iterator<Item = Span<'a>> + use<'a> {
        self.items.map(Span::of)
    }

    /// The items of metrics.
    pub fn metrics(&self) -> impl Iterator<Item = Metric<'a>> + use<'a> {
        self.items.map(Metric::of)
    }

    /// The items of logs.
    pub fn log_records(&self) -> impl Iterator<Item = LogRecord<'a>> + use<'a> {
        self.items.map(LogRecord::of)
    }

    /// The items of profiles.
    pub fn profiles(&self) -> impl Iterator<Item = Profile<'a>> + use<'a> {
        self.items.map(Profile::of)
    }
}

/// What produced the telemetry.
#[derive(Clone, Copy, Debug, Default)]
pub struct Resource<'a> {
    /// The encoded message.
    pub message: &'a [u8],
    /// How many attributes the SDK dropped.
    pub dropped_attributes_count: u32,
    attributes: Attributes<'a>,
}

impl<'a> View<'a> for Resource<'a> {
    fn of(message: &'a [u8]) -> Self {
        let mut resource = Self { message, ..Self::default() };
        walk(message, |field, from| match field.number {
            1 => resource.attributes.note(1, from),
            2 => resource.dropped_attributes_count = field.value.number() as u32,
            _ => {}
        });
        resource
    }
}

impl<'a> Resource<'a> {
    /// What describes it, such as `service.name`.
    #[must_use]
    pub fn attributes(&self) -> Attributes<'a> {
        self.attributes
    }
}

/// What within a process produced the telemetry: usually a library.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scope<'a> {
    /// The encoded message.
    pub message: &'a [u8],
    /// Its name, as text.
    pub name: &'a [u8],
    /// Its version, as text.
    pub version: &'a [u8],
    /// How many attributes the SDK dropped.
    pub dropped_attributes_count: u32,
    attributes: Attributes<'a>,
}

impl<'a> View<'a> for Scope<'a> {
    fn of(message: &'a [u8]) -> Self {
        let mut scope = Self { message, ..Self::default() };
        walk(message, |field, from| match field.number {
            1 => scope.name = field.value.bytes(),
            2 => scope.version = field.value.bytes(),
            3 => scope.attributes.note(3, from),
            4 => scope.dropped_attributes_count = field.value.number() as u32,
            _ => {}
        });
        scope
    }
}

impl<'a> Scope<'a> {
    /// What describes it.
    #[must_use]
    pub fn attributes(&self) -> Attributes<'a> {
        self.attributes
    }
}
