//! Walks a batch and drops what is not selected.

use sluice_pipeline::{
    Signal,
    otlp::{
        rewrite::{Editor, Part, Visit},
        view::{Metric, Resource, View},
    },
};

use crate::attributes::filter::{Filter, Selection};

/// What stays.
#[derive(Clone, Debug)]
pub(super) enum Selected {
    /// Spans and log records: what is asked of a resource, a scope and an item is asked together.
    Items(Box<Filter>),
    /// Metrics.
    Metrics(Box<MetricFilter>),
}

/// Which metrics stay: resources are told by their attributes and metrics by their names, each for itself.
#[derive(Clone, Debug)]
pub(super) struct MetricFilter {
    pub(super) resources: Filter,
    pub(super) names: Filter,
}

/// Drops what is not selected.
pub(super) struct Dropping<'a> {
    signal: Signal,
    walk: Walk<'a>,
}

enum Walk<'a> {
    Items(Selection<'a>),
    Metrics(&'a MetricFilter),
}

impl<'a> Dropping<'a> {
    pub(super) fn new(signal: Signal, selected: &'a Selected) -> Self {
        let walk = match selected {
            Selected::Items(filter) => Walk::Items(Selection::new(filter)),
            Selected::Metrics(filter) => Walk::Metrics(filter),
        };
        Self { signal, walk }
    }
}

impl Editor for Dropping<'_> {
    fn resource(&mut self, resource: &mut Part<'_>) -> Visit {
        let selected = match &mut self.walk {
            Walk::Items(selection) => selection.resource(resource.bytes()),
            Walk::Metrics(filter) => {
                let resource = Resource::of(resource.bytes());
                filter.resources.selects(|matcher| matcher.resource(resource))
            }
        };
        if selected { Visit::Descend } else { Visit::Drop }
    }

    fn scope(&mut self, scope: &mut Part<'_>) -> Visit {
        let selected = match &mut self.walk {
            Walk::Items(selection) => selection.scope(scope.bytes()),
            Walk::Metrics(_) => true,
        };
        if selected { Visit::Descend } else { Visit::Drop }
    }

    fn metric(&mut self, metric: &mut Part<'_>) -> Visit {
        match &self.walk {
            Walk::Metrics(filter) => {
                let name = Metric::of(metric.bytes()).name;
                if filter.names.selects(|matcher| matcher.metric(name)) { Visit::Keep } else { Visit::Drop }
            }
            Walk::Items(_) => Visit::Keep,
        }
    }

    fn item(&mut self, item: &mut Part<'_>) -> Visit {
        match &self.walk {
            Walk::Items(selection) if !selection.item(self.signal, item.bytes()) => Visit::Drop,
            Walk::Items(_) | Walk::Metrics(_) => Visit::Keep,
        }
    }
}
