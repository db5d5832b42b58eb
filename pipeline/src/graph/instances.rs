//! The running instances of a graph, and how a newly built one takes the place of the old.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use crate::{
    component::{Capabilities, ComponentId, Extension, Outlets, PipelineId, Receiver},
    consumer::Consumer,
    outlet::{Line, Outlet},
    signal::Signal,
};

/// What an instance was made from. Equal marks mean that the instance can stay.
pub(super) type Mark = String;

/// The instances of a running graph.
#[derive(Default)]
pub(super) struct Instances {
    pub(super) extensions: Vec<ExtensionInstance>,
    pub(super) capabilities: Arc<HashMap<ComponentId, Capabilities>>,
    pub(super) exporters: BTreeMap<(ComponentId, Signal), Instance>,
    pub(super) connectors: BTreeMap<ComponentId, ConnectorInstance>,
    /// In the order in which data passes.
    pub(super) pipelines: Vec<PipelineInstance>,
    pub(super) receivers: Vec<ReceiverInstance>,
}

/// An extension. Started once, kept while its configuration stays.
pub(super) struct ExtensionInstance {
    pub(super) id: ComponentId,
    pub(super) mark: Mark,
    pub(super) extension: Box<dyn Extension>,
    pub(super) started: bool,
}

/// A consumer and what it was made from.
#[derive(Clone)]
pub(super) struct Instance {
    pub(super) mark: Mark,
    pub(super) consumer: Arc<dyn Consumer>,
}

/// A connector with its ways on.
#[derive(Clone)]
pub(super) struct ConnectorInstance {
    pub(super) mark: Mark,
    pub(super) branches: HashMap<Signal, Arc<dyn Consumer>>,
    pub(super) outlets: Outlets,
}

/// A pipeline: its head, and its stages for draining.
#[derive(Clone)]
pub(super) struct PipelineInstance {
    pub(super) id: PipelineId,
    pub(super) mark: Mark,
    pub(super) head: Arc<dyn Consumer>,
    pub(super) stages: Vec<Arc<dyn Consumer>>,
    pub(super) connectors: Vec<ComponentId>,
}

/// A receiver with its ways in.
pub(super) struct ReceiverInstance {
    pub(super) id: ComponentId,
    pub(super) mark: Mark,
    pub(super) receiver: Box<dyn Receiver>,
    pub(super) outlets: Outlets,
    pub(super) started: bool,
}

/// What a reload leaves behind, to be drained.
#[derive(Default)]
pub(super) struct Leftover {
    pub(super) receivers: Vec<ReceiverInstance>,
    pub(super) lines: Vec<Arc<Line>>,
    pub(super) pipelines: Vec<PipelineInstance>,
    pub(super) connectors: BTreeMap<ComponentId, ConnectorInstance>,
    pub(super) exporters: Vec<Instance>,
    pub(super) extensions: Vec<ExtensionInstance>,
}

/// Everything that is built anew, with what stays of the old graph, ready to take its place.
pub(super) struct Built {
    pub(super) extensions: Vec<BuiltExtension>,
    pub(super) capabilities: Arc<HashMap<ComponentId, Capabilities>>,
    pub(super) exporters: BTreeMap<(ComponentId, Signal), Instance>,
    pub(super) connectors: BTreeMap<ComponentId, ConnectorInstance>,
    pub(super) pipelines: Vec<PipelineInstance>,
    pub(super) receivers: Vec<BuiltReceiver>,
    pub(super) swaps: Vec<(Outlet, Arc<dyn Consumer>)>,
}

/// An extension to start, or `None` where the running one stays.
pub(super) type BuiltExtension = (Identity, Option<Box<dyn Extension>>);

/// A receiver to start, or `None` where the running one stays, with its outlets.
pub(super) type BuiltReceiver = (Identity, Option<Box<dyn Receiver>>, Outlets);

/// Id and mark of a component to be kept or replaced.
pub(super) struct Identity {
    pub(super) id: ComponentId,
    pub(super) mark: Mark,
}

impl Built {
    /// Takes the place of the running graph; returns what is no longer part of it.
    pub(super) fn take_over(self, running: &mut Instances) -> Leftover {
        let mut left = Leftover::default();
        let mut old_extensions = std::mem::take(&mut running.extensions);
        for (identity, fresh) in self.extensions {
            let kept = old_extensions.iter().position(|old| old.id == identity.id && fresh.is_none());
            running.extensions.extend(match (fresh, kept) {
                (Some(extension), _) => Some(ExtensionInstance {
                    id: identity.id,
                    mark: identity.mark,
                    extension,
                    started: false,
                }),
                (None, Some(place)) => Some(old_extensions.remove(place)),
                (None, None) => None,
            });
        }
        left.extensions = old_extensions;
        let mut old_receivers = std::mem::take(&mut running.receivers);
        for (identity, fresh, outlets) in self.receivers {
            let kept = old_receivers.iter().position(|old| old.id == identity.id && fresh.is_none());
            running.receivers.extend(match (fresh, kept) {
                (Some(receiver), _) => Some(ReceiverInstance {
                    id: identity.id,
                    mark: identity.mark,
                    receiver,
                    outlets,
                    started: false,
                }),
                (None, Some(place)) => Some(old_receivers.remove(place)),
                (None, None) => None,
            });
        }
        left.receivers = old_receivers;
        left.lines = self.swaps.into_iter().map(|(outlet, head)| outlet.swap(head)).collect();
        let same = |one: &Arc<dyn Consumer>, two: &Arc<dyn Consumer>| Arc::ptr_eq(one, two);
        left.pipelines = std::mem::take(&mut running.pipelines)
            .into_iter()
            .filter(|old| !self.pipelines.iter().any(|new| same(&new.head, &old.head) && new.id == old.id))
            .collect();
        left.connectors = std::mem::take(&mut running.connectors)
            .into_iter()
            .filter(|(id, old)| self.connectors.get(id).is_none_or(|new| !same_branches(new, old)))
            .collect();
        left.exporters = std::mem::take(&mut running.exporters)
            .into_iter()
            .filter(|(key, old)| {
                self.exporters.get(key).is_none_or(|new| !same(&new.consumer, &old.consumer))
            })
            .map(|(_, old)| old)
            .collect();
        running.capabilities = self.capabilities;
        running.exporters = self.exporters;
        running.connectors = self.connectors;
        running.pipelines = self.pipelines;
        left
    }
}

fn same_branches(one: &ConnectorInstance, two: &ConnectorInstance) -> bool {
    one.branches
        .iter()
        .all(|(signal, branch)| two.branches.get(signal).is_some_and(|other| Arc::ptr_eq(branch, other)))
}
