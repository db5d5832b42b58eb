//! `include` and `exclude` together, level by level of a walk.

use sluice_pipeline::{
    Signal,
    otlp::view::{LogRecord, Resource, Scope, Span, View},
};

use super::Matcher;

/// `include` and `exclude`; what is left out selects everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    pub(crate) include: Option<Matcher>,
    pub(crate) exclude: Option<Matcher>,
}

/// What a filter selects where a walk is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Selection<'a> {
    filter: &'a Filter,
    /// Whether `exclude` matches all that was asked of the resource, and of the scope, that the walk is in.
    excluded: Excluded,
}

#[derive(Clone, Copy, Debug, Default)]
struct Excluded {
    resource: bool,
    scope: bool,
}

impl Filter {
    /// Whether it selects everything.
    pub(crate) fn is_everything(&self) -> bool {
        self.include.is_none() && self.exclude.is_none()
    }

    /// Whether it selects what answers so to `include` and `exclude`.
    pub(crate) fn selects(&self, matches: impl Fn(&Matcher) -> bool) -> bool {
        self.include.as_ref().is_none_or(&matches) && !self.exclude.as_ref().is_some_and(&matches)
    }
}

impl<'a> Selection<'a> {
    pub(crate) fn new(filter: &'a Filter) -> Self {
        Self { filter, excluded: Excluded::default() }
    }

    /// The walk comes to a resource: whether anything of it may be selected.
    pub(crate) fn resource(&mut self, resource: &[u8]) -> bool {
        if self.filter.is_everything() {
            return true;
        }
        let resource = Resource::of(resource);
        self.excluded.resource =
            self.filter.exclude.as_ref().is_some_and(|exclude| exclude.resource(resource));
        self.filter.include.as_ref().is_none_or(|include| include.resource(resource))
    }

    /// The walk comes to a scope: whether anything of it may be selected.
    pub(crate) fn scope(&mut self, scope: &[u8]) -> bool {
        if self.filter.is_everything() {
            return true;
        }
        let scope = Scope::of(scope);
        self.excluded.scope = self.filter.exclude.as_ref().is_some_and(|exclude| exclude.scope(scope));
        self.filter.include.as_ref().is_none_or(|include| include.scope(scope))
    }

    /// Whether a metric of this name is selected.
    pub(crate) fn metric(&self, name: &[u8]) -> bool {
        self.selects(|matcher| matcher.metric(name))
    }

    /// Whether a span or log record is selected; others are selected by what they are in.
    pub(crate) fn item(&self, signal: Signal, item: &[u8]) -> bool {
        if self.filter.is_everything() {
            return true;
        }
        match signal {
            Signal::Traces => {
                let span = Span::of(item);
                self.selects(|matcher| matcher.span(span))
            }
            Signal::Logs => {
                let record = LogRecord::of(item);
                self.selects(|matcher| matcher.log_record(record))
            }
            Signal::Metrics | Signal::Profiles => true,
        }
    }

    fn selects(&self, matches: impl Fn(&Matcher) -> bool) -> bool {
        let Filter { include, exclude } = self.filter;
        include.as_ref().is_none_or(&matches)
            && !(self.excluded.resource && self.excluded.scope && exclude.as_ref().is_some_and(&matches))
    }
}
