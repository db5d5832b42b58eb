//! Builds what a plan names, reusing every running instance that the new configuration leaves as it was.
//!
//! Each instance has a mark: what it was made from. An instance is reused if its mark is unchanged, so a reload
//! restarts only the pipelines that changed; outlets of receivers and connectors are swapped to the new pipelines.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::{
    instances::{
        Built, BuiltExtension, BuiltReceiver, ConnectorInstance, Identity, Instance, Instances, Mark,
        PipelineInstance,
    },
    listen::{Claim, ListenerPool},
    mark,
    plan::{Plan, Planned, PlannedConnector, PlannedPipeline},
};
use crate::{
    budget::Budget,
    component::{
        BuildError, Capabilities, ComponentContext, ComponentId, ConnectorContext, ExporterContext,
        ExtensionContext, Kind, Outlets, Pair, PipelineId, ProcessorContext, ReceiverContext,
    },
    config::{Node, Problems},
    consumer::{Consumer, FanOut},
    graph::Status,
    outlet::Outlet,
    signal::Signal,
};

/// A component that could not be built, or not be started once it was.
#[derive(Debug, thiserror::Error)]
#[error("cannot start {kind} \"{id}\"{reason}")]
pub struct CannotStart {
    kind: Kind,
    id: ComponentId,
    /// With the place in the configuration, if one setting is to blame.
    reason: String,
}

impl CannotStart {
    /// With the place of the setting that is to blame, where the configuration of the component is known.
    pub(super) fn new(kind: Kind, id: ComponentId, body: Option<&Node>, source: BuildError) -> Self {
        let reason = match (source, body) {
            (BuildError::Setting { key, message }, Some(body)) => {
                let mut problems = Problems::default();
                problems.at_key(body, &key, message);
                format!("\n{}", problems.to_string().trim_end())
            }
            (source, _) => format!(": {source}"),
        };
        Self { kind, id, reason }
    }
}

struct BuiltExtensions {
    extensions: Vec<BuiltExtension>,
    capabilities: Arc<HashMap<ComponentId, Capabilities>>,
    /// Whether any of them is not the running one.
    changed: bool,
}

/// Builds against the running instances without touching them.
pub(super) struct Builder<'a> {
    pub(super) budget: Budget,
    pub(super) status: Arc<Status>,
    pub(super) running: &'a Instances,
    /// What exporters listen on is handed out as they are built.
    pub(super) listeners: &'a ListenerPool,
    pub(super) claims: &'a [Claim],
}

impl Builder<'_> {
    /// Builds the plan. Nothing of the running graph changes until [`Built::take_over`].
    pub(super) fn build(&self, plan: &Plan<'_>) -> Result<Built, CannotStart> {
        let BuiltExtensions { extensions, capabilities, changed } = self.extensions(plan)?;
        let mut built = Built {
            extensions,
            capabilities: Arc::clone(&capabilities),
            exporters: BTreeMap::new(),
            connectors: BTreeMap::new(),
            pipelines: Vec::new(),
            receivers: Vec::new(),
            swaps: Vec::new(),
        };
        let scope = Scope { builder: self, capabilities, extensions_changed: changed };
        for ((id, signal), planned) in &plan.exporters {
            let instance = scope.exporter(planned, *signal)?;
            built.exporters.insert((id.clone(), *signal), instance);
        }
        // Downstream pipelines first: what feeds them needs their heads.
        for pipeline in plan.pipelines.iter().rev() {
            for id in &pipeline.connectors {
                if let Some(planned) = plan.connectors.get(id)
                    && !built.connectors.contains_key(id)
                {
                    let instance = scope.connector(planned, &mut built)?;
                    built.connectors.insert(id.clone(), instance);
                }
            }
            let instance = scope.pipeline(pipeline, plan, &built)?;
            built.pipelines.insert(0, instance);
        }
        for (planned, feeds) in &plan.receivers {
            let receiver = scope.receiver(planned, feeds, &mut built)?;
            built.receivers.push(receiver);
        }
        Ok(built)
    }

    fn extensions(&self, plan: &Plan<'_>) -> Result<BuiltExtensions, CannotStart> {
        let mut capabilities = HashMap::new();
        let mut extensions = Vec::new();
        for planned in &plan.extensions {
            let mark = mark::of(&planned.body);
            let kept = self.running.extensions.iter().find(|old| old.id == planned.id && old.mark == mark);
            let fresh = match kept {
                Some(old) => {
                    capabilities.insert(planned.id.clone(), old.extension.capabilities());
                    None
                }
                None => {
                    let component = self.context(planned, &Arc::default());
                    let extension = planned
                        .config()
                        .map_err(unreadable)
                        .and_then(|config| {
                            planned.entry.build_extension(config, ExtensionContext { component })
                        })
                        .map_err(|source| cannot_start(planned, source))?;
                    capabilities.insert(planned.id.clone(), extension.capabilities());
                    Some(extension)
                }
            };
            extensions.push((Identity { id: planned.id.clone(), mark }, fresh));
        }
        let changed = extensions.iter().any(|(_, fresh)| fresh.is_some())
            || extensions.len() != self.running.extensions.len();
        Ok(BuiltExtensions { extensions, capabilities: Arc::new(capabilities), changed })
    }

    fn context(
        &self,
        planned: &Planned<'_>,
        capabilities: &Arc<HashMap<ComponentId, Capabilities>>,
    ) -> ComponentContext {
        ComponentContext {
            id: planned.id.clone(),
            budget: self.budget.clone(),
            extensions: Arc::clone(capabilities),
            status: Arc::clone(&self.status),
        }
    }
}

/// One build: the builder with the extensions of the new graph.
struct Scope<'a, 'b> {
    builder: &'a Builder<'b>,
    capabilities: Arc<HashMap<ComponentId, Capabilities>>,
    /// Components hold what extensions gave them, so none is reused when extensions change.
    extensions_changed: bool,
}

impl Scope<'_, '_> {
    fn context(&self, planned: &Planned<'_>) -> ComponentContext {
        self.builder.context(planned, &self.capabilities)
    }

    fn exporter(&self, planned: &Planned<'_>, signal: Signal) -> Result<Instance, CannotStart> {
        let mark = mark::of(&planned.body);
        let running = self.builder.running.exporters.get(&(planned.id.clone(), signal));
        if let Some(kept) = running.filter(|old| old.mark == mark && !self.extensions_changed) {
            return Ok(kept.clone());
        }
        let listeners = self
            .builder
            .listeners
            .hand_out(self.builder.claims, &planned.owner())
            .map_err(|error| BuildError::Other(format!("cannot hand it a listener: {error}")))
            .map_err(|source| cannot_start(planned, source))?;
        let context = ExporterContext { component: self.context(planned), signal, listeners };
        let consumer = planned
            .config()
            .map_err(unreadable)
            .and_then(|config| planned.entry.build_exporter(config, context))
            .map_err(|source| cannot_start(planned, source))?;
        Ok(Instance { mark, consumer })
    }

    fn connector(
        &self,
        planned: &PlannedConnector<'_>,
        built: &mut Built,
    ) -> Result<ConnectorInstance, CannotStart> {
        let component = &planned.component;
        let given: Vec<Signal> = planned.feeds.keys().copied().collect();
        let mark = format!("{} {:?} {given:?}", mark::of(&component.body), planned.takes);
        let heads = built.heads(&planned.feeds);
        let running = self.builder.running.connectors.get(&component.id);
        if let Some(kept) = running.filter(|old| old.mark == mark && !self.extensions_changed) {
            built.swap(&kept.outlets, &heads);
            return Ok(kept.clone());
        }
        let outlets = Outlets::new(heads.into_iter().map(|(signal, head)| (signal, Outlet::new(head))));
        let context = ConnectorContext {
            component: self.context(component),
            taken: planned.takes.iter().copied().collect(),
            outlets: outlets.clone(),
        };
        let branches = component
            .config()
            .map_err(unreadable)
            .and_then(|config| component.entry.build_connector(config, context))
            .map_err(|source| cannot_start(component, source))?;
        Ok(ConnectorInstance { mark, branches, outlets })
    }

    fn pipeline(
        &self,
        planned: &PlannedPipeline<'_>,
        plan: &Plan<'_>,
        built: &Built,
    ) -> Result<PipelineInstance, CannotStart> {
        let signal = planned.id.signal;
        let mut branches: Vec<Arc<dyn Consumer>> = Vec::new();
        for id in &planned.exporters {
            branches.extend(
                built.exporters.get(&(id.clone(), signal)).map(|exporter| Arc::clone(&exporter.consumer)),
            );
        }
        for id in &planned.connectors {
            let connector = built.connectors.get(id);
            branches.extend(connector.and_then(|connector| connector.branches.get(&signal)).cloned());
        }
        let mark = self.pipeline_mark(planned, &branches);
        let running = self.builder.running.pipelines.iter().find(|old| old.id == planned.id);
        if let Some(kept) = running.filter(|old| old.mark == mark && !self.extensions_changed) {
            return Ok(kept.clone());
        }
        let answers_later = answers_later(planned, plan);
        let mut head = FanOut::over(branches);
        let mut stages = Vec::new();
        for processor in planned.processors.iter().rev() {
            let context = ProcessorContext {
                component: self.context(processor),
                pipeline: planned.id.clone(),
                answers_later,
            };
            head = processor
                .config()
                .map_err(unreadable)
                .and_then(|config| processor.entry.build_processor(config, context, head))
                .map_err(|source| cannot_start(processor, source))?;
            stages.insert(0, Arc::clone(&head));
        }
        Ok(PipelineInstance {
            id: planned.id.clone(),
            mark,
            head,
            stages,
            connectors: planned.connectors.clone(),
        })
    }

    /// Its processors, and which instances it feeds: a pipeline is rebuilt when one of them is.
    fn pipeline_mark(&self, planned: &PlannedPipeline<'_>, branches: &[Arc<dyn Consumer>]) -> Mark {
        let mut mark = String::new();
        for processor in &planned.processors {
            mark.push_str(&format!("{} {}\n", processor.id, mark::of(&processor.body)));
        }
        for branch in branches {
            mark.push_str(&format!("{:p}\n", Arc::as_ptr(branch)));
        }
        mark
    }

    fn receiver(
        &self,
        planned: &Planned<'_>,
        feeds: &BTreeMap<Signal, Vec<PipelineId>>,
        built: &mut Built,
    ) -> Result<BuiltReceiver, CannotStart> {
        let signals: Vec<Signal> = feeds.keys().copied().collect();
        let mark = format!("{} {signals:?}", mark::of(&planned.body));
        let heads = built.heads(feeds);
        let running = self.builder.running.receivers.iter().find(|old| old.id == planned.id);
        let identity = Identity { id: planned.id.clone(), mark };
        if let Some(kept) = running.filter(|old| old.mark == identity.mark && !self.extensions_changed) {
            let outlets = kept.outlets.clone();
            built.swap(&outlets, &heads);
            return Ok((identity, None, outlets));
        }
        let outlets = Outlets::new(heads.into_iter().map(|(signal, head)| (signal, Outlet::new(head))));
        let context = ReceiverContext { component: self.context(planned), outlets: outlets.clone() };
        let receiver = planned
            .config()
            .map_err(unreadable)
            .and_then(|config| planned.entry.build_receiver(config, context))
            .map_err(|source| cannot_start(planned, source))?;
        Ok((identity, Some(receiver), outlets))
    }
}

impl Built {
    /// Waits until every processor is ready.
    pub(super) async fn ready(&self, plan: &Plan<'_>) -> Result<(), CannotStart> {
        for (planned, built) in plan.pipelines.iter().zip(&self.pipelines) {
            for (processor, stage) in planned.processors.iter().zip(&built.stages) {
                stage.ready().await.map_err(|source| cannot_start(processor, source))?;
            }
        }
        Ok(())
    }

    /// What feeds of each signal lead to.
    fn heads(&self, feeds: &BTreeMap<Signal, Vec<PipelineId>>) -> HashMap<Signal, Arc<dyn Consumer>> {
        feeds
            .iter()
            .map(|(signal, targets)| {
                let heads = self
                    .pipelines
                    .iter()
                    .filter(|pipeline| targets.contains(&pipeline.id))
                    .map(|pipeline| Arc::clone(&pipeline.head))
                    .collect();
                (*signal, FanOut::over(heads))
            })
            .collect()
    }

    fn swap(&mut self, outlets: &Outlets, heads: &HashMap<Signal, Arc<dyn Consumer>>) {
        for (signal, outlet) in outlets.iter() {
            if let Some(head) = heads.get(&signal) {
                self.swaps.push((outlet.clone(), Arc::clone(head)));
            }
        }
    }
}

/// Whether any exporter that a batch can reach answers only once data is safe elsewhere.
fn answers_later(pipeline: &PlannedPipeline<'_>, plan: &Plan<'_>) -> bool {
    let signal = pipeline.id.signal;
    let exporters = pipeline.exporters.iter().filter_map(|id| plan.exporters.get(&(id.clone(), signal)));
    let mut later = exporters
        .filter_map(|planned| planned.config().ok().map(|config| planned.entry.answers_later(&config)));
    if later.any(|later| later) {
        return true;
    }
    let connectors = pipeline.connectors.iter().filter_map(|id| plan.connectors.get(id));
    connectors
        .flat_map(|connector| {
            let declaration = connector.component.entry.declaration;
            connector
                .feeds
                .iter()
                .filter(move |(given, _)| declaration.supports(Pair(signal, **given)) && !declaration.absorbs)
                .flat_map(|(_, targets)| targets)
        })
        // The plan has no cycles, so this ends.
        .any(|target| plan.pipelines.iter().any(|next| next.id == *target && answers_later(next, plan)))
}

fn cannot_start(planned: &Planned<'_>, source: BuildError) -> CannotStart {
    CannotStart::new(planned.kind, planned.id.clone(), Some(&planned.body), source)
}

fn unreadable(problems: Problems) -> BuildError {
    BuildError::Other(problems.to_string())
}
