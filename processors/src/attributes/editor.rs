//! Walks a batch and edits the attributes of what is included.

use sluice_pipeline::{
    Signal,
    otlp::{
        rewrite::{Editor, Part, Visit},
        view::{LogRecord, Metric, Resource, Scope, Span, View},
    },
};

use super::{action::Edits, filter::Matcher};

/// What a processor acts on.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    pub(super) include: Option<Matcher>,
    pub(super) exclude: Option<Matcher>,
}

/// Edits the attributes of spans, log records and data points.
pub(super) struct ItemEditor<'a> {
    signal: Signal,
    filter: &'a Filter,
    edits: Edits<'a>,
    /// Whether `exclude` matches all that was asked of the resource, and of the scope, that the walk is in.
    excluded: Excluded,
}

#[derive(Clone, Copy, Debug, Default)]
struct Excluded {
    resource: bool,
    scope: bool,
}

impl<'a> ItemEditor<'a> {
    pub(super) fn new(signal: Signal, filter: &'a Filter, edits: Edits<'a>) -> Self {
        Self { signal, filter, edits, excluded: Excluded::default() }
    }

    /// Whether something with these answers to `include` and `exclude` is left alone.
    fn skips(&self, matches: impl Fn(&Matcher) -> bool) -> bool {
        let Filter { include, exclude } = self.filter;
        include.as_ref().is_some_and(|include| !matches(include))
            || (self.excluded.resource && self.excluded.scope && exclude.as_ref().is_some_and(matches))
    }
}

impl Editor for ItemEditor<'_> {
    fn resource(&mut self, resource: &mut Part<'_>) -> Visit {
        let Filter { include, exclude } = self.filter;
        if include.is_none() && exclude.is_none() {
            return Visit::Descend;
        }
        let resource = Resource::of(resource.bytes());
        if include.as_ref().is_some_and(|include| !include.resource(resource)) {
            return Visit::Keep;
        }
        self.excluded.resource = exclude.as_ref().is_some_and(|exclude| exclude.resource(resource));
        Visit::Descend
    }

    fn scope(&mut self, scope: &mut Part<'_>) -> Visit {
        let Filter { include, exclude } = self.filter;
        if include.is_none() && exclude.is_none() {
            return Visit::Descend;
        }
        let scope = Scope::of(scope.bytes());
        if include.as_ref().is_some_and(|include| !include.scope(scope)) {
            return Visit::Keep;
        }
        self.excluded.scope = exclude.as_ref().is_some_and(|exclude| exclude.scope(scope));
        Visit::Descend
    }

    fn metric(&mut self, metric: &mut Part<'_>) -> Visit {
        let name = Metric::of(metric.bytes()).name;
        if self.skips(|matcher| matcher.metric(name)) { Visit::Keep } else { Visit::Descend }
    }

    fn item(&mut self, item: &mut Part<'_>) -> Visit {
        let filtered = self.filter.include.is_some() || self.filter.exclude.is_some();
        let skipped = filtered
            && match self.signal {
                Signal::Traces => {
                    let span = Span::of(item.bytes());
                    self.skips(|matcher| matcher.span(span))
                }
                Signal::Logs => {
                    let record = LogRecord::of(item.bytes());
                    self.skips(|matcher| matcher.log_record(record))
                }
                // Data points were chosen by their metric.
                Signal::Metrics | Signal::Profiles => false,
            };
        if !skipped && let Some(attributes) = item.attributes() {
            self.edits.apply(attributes);
        }
        Visit::Keep
    }
}
