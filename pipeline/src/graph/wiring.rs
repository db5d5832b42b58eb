//! The rules between pipelines: connectors used on both sides, no cycles, an order in which data passes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::plan::{PlannedConnector, PlannedPipeline};
use crate::{
    component::{ComponentId, Pair, PipelineId},
    config::{Document, Problems},
};

/// Reports connectors that are used on one side only, or between signals that they cannot join.
pub(super) fn check_connectors(
    document: &Document,
    connectors: &BTreeMap<ComponentId, PlannedConnector<'_>>,
    problems: &mut Problems,
) {
    for pipeline in &document.pipelines {
        let signal = pipeline.id.value.signal;
        for reference in &pipeline.exporters {
            let Some(connector) = connectors.get(&reference.value) else { continue };
            let declaration = &connector.component.entry.declaration;
            if !connector.feeds.keys().any(|given| declaration.supports(Pair(signal, *given))) {
                problems.error(
                    &reference.location,
                    format!(
                        "connector \"{}\" is used as exporter in pipeline {} but as receiver in no pipeline that it \
                         could feed with {signal}; list it under receivers of another pipeline",
                        reference.value, pipeline.id.value
                    ),
                );
            }
        }
        for reference in &pipeline.receivers {
            let Some(connector) = connectors.get(&reference.value) else { continue };
            let declaration = &connector.component.entry.declaration;
            if !connector.takes.iter().any(|taken| declaration.supports(Pair(*taken, signal))) {
                problems.error(
                    &reference.location,
                    format!(
                        "connector \"{}\" is used as receiver in pipeline {} but as exporter in no pipeline from \
                         which it could make {signal}; list it under exporters of another pipeline",
                        reference.value, pipeline.id.value
                    ),
                );
            }
        }
    }
}

/// Puts a pipeline before those that it feeds, and reports a cycle at the pipeline where it closes.
pub(super) fn in_order<'r>(
    document: &Document,
    pipelines: Vec<PlannedPipeline<'r>>,
    connectors: &BTreeMap<ComponentId, PlannedConnector<'_>>,
    problems: &mut Problems,
) -> Vec<PlannedPipeline<'r>> {
    let fed = feeds(&pipelines, connectors);
    let mut search = Search { fed: &fed, path: Vec::new(), finished: BTreeSet::new(), order: Vec::new() };
    for pipeline in &pipelines {
        if let Some(cycle) = search.visit(&pipeline.id) {
            let location = document
                .pipelines
                .iter()
                .find(|candidate| candidate.id.value == pipeline.id)
                .map(|candidate| candidate.id.location.clone());
            if let Some(location) = location {
                problems.error(&location, format!("cycle detected: {cycle}; a pipeline cannot feed itself"));
            }
            return pipelines;
        }
    }
    let place: HashMap<PipelineId, usize> =
        search.order.into_iter().rev().enumerate().map(|(place, id)| (id, place)).collect();
    let mut ordered = pipelines;
    ordered.sort_by_key(|pipeline| place.get(&pipeline.id).copied().unwrap_or(usize::MAX));
    ordered
}

type Feeds = BTreeMap<PipelineId, Vec<(ComponentId, PipelineId)>>;

fn feeds(
    pipelines: &[PlannedPipeline<'_>],
    connectors: &BTreeMap<ComponentId, PlannedConnector<'_>>,
) -> Feeds {
    let mut fed = Feeds::new();
    for pipeline in pipelines {
        let targets = fed.entry(pipeline.id.clone()).or_default();
        for id in &pipeline.connectors {
            let Some(connector) = connectors.get(id) else { continue };
            let declaration = &connector.component.entry.declaration;
            for (signal, receiving) in &connector.feeds {
                if declaration.supports(Pair(pipeline.id.signal, *signal)) {
                    targets.extend(receiving.iter().map(|target| (id.clone(), target.clone())));
                }
            }
        }
    }
    fed
}

struct Search<'f> {
    fed: &'f Feeds,
    path: Vec<(PipelineId, Option<ComponentId>)>,
    finished: BTreeSet<PipelineId>,
    order: Vec<PipelineId>,
}

impl Search<'_> {
    /// Depth first, on the heap: the depth is the configuration's to choose. Returns the cycle in words.
    fn visit(&mut self, start: &PipelineId) -> Option<String> {
        let mut pending = vec![(start.clone(), 0usize)];
        while let Some((id, next)) = pending.pop() {
            if next == 0 {
                if self.finished.contains(&id) {
                    continue;
                }
                self.path.push((id.clone(), None));
            }
            let target = self.fed.get(&id).and_then(|targets| targets.get(next)).cloned();
            let Some((connector, target)) = target else {
                self.path.pop();
                if self.finished.insert(id.clone()) {
                    self.order.push(id);
                }
                continue;
            };
            if let Some(step) = self.path.last_mut() {
                step.1 = Some(connector);
            }
            if let Some(place) = self.path.iter().position(|(visited, _)| *visited == target) {
                return Some(self.describe(place, &target));
            }
            pending.push((id, next + 1));
            pending.push((target, 0));
        }
        None
    }

    fn describe(&self, from: usize, target: &PipelineId) -> String {
        let mut words = String::new();
        for (pipeline, connector) in self.path.iter().skip(from) {
            words.push_str(&format!("pipeline {pipeline}"));
            if let Some(connector) = connector {
                words.push_str(&format!(" -> connector \"{connector}\" -> "));
            }
        }
        words + &format!("pipeline {target}")
    }
}
