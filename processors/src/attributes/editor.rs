//! Walks a batch and edits the attributes of what is included.

use sluice_pipeline::{
    Signal,
    otlp::{
        rewrite::{Editor, Part, Visit},
        view::{Metric, View},
    },
};

use super::{
    action::Edits,
    filter::{Filter, Selection},
};

/// Edits the attributes of spans, log records and data points.
pub(super) struct ItemEditor<'a> {
    signal: Signal,
    selection: Selection<'a>,
    edits: Edits<'a>,
}

impl<'a> ItemEditor<'a> {
    pub(super) fn new(signal: Signal, filter: &'a Filter, edits: Edits<'a>) -> Self {
        Self { signal, selection: Selection::new(filter), edits }
    }
}

impl Editor for ItemEditor<'_> {
    fn resource(&mut self, resource: &mut Part<'_>) -> Visit {
        if self.selection.resource(resource.bytes()) { Visit::Descend } else { Visit::Keep }
    }

    fn scope(&mut self, scope: &mut Part<'_>) -> Visit {
        if self.selection.scope(scope.bytes()) { Visit::Descend } else { Visit::Keep }
    }

    fn metric(&mut self, metric: &mut Part<'_>) -> Visit {
        if self.selection.metric(Metric::of(metric.bytes()).name) { Visit::Descend } else { Visit::Keep }
    }

    fn item(&mut self, item: &mut Part<'_>) -> Visit {
        if self.selection.item(self.signal, item.bytes())
            && let Some(attributes) = item.attributes()
        {
            self.edits.apply(attributes);
        }
        Visit::Keep
    }
}
