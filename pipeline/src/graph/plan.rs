//! The graph as planned from a configuration: every reference resolved, every rule checked, nothing built.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{endpoints, listen::Claim, references, wiring};
use crate::{
    component::{AnyConfig, ComponentId, Endpoint, Entry, Kind, Pair, PipelineId, Registry},
    config::{Definition, Document, Located, Node, Pipeline, Problems, known, suggest},
    signal::Signal,
};

/// A graph that can be built.
pub struct Plan<'r> {
    /// Extensions in the order in which they start.
    pub extensions: Vec<Planned<'r>>,
    /// Receivers with the pipelines that they feed, by signal.
    pub receivers: Vec<(Planned<'r>, BTreeMap<Signal, Vec<PipelineId>>)>,
    /// Connectors by id.
    pub connectors: BTreeMap<ComponentId, PlannedConnector<'r>>,
    /// Exporters by id and signal.
    pub exporters: BTreeMap<(ComponentId, Signal), Planned<'r>>,
    /// Pipelines in the order in which data passes them: a pipeline comes before those that it feeds.
    pub pipelines: Vec<PlannedPipeline<'r>>,
}

/// A component with its type and configuration.
#[derive(Clone)]
pub struct Planned<'r> {
    /// Its kind.
    pub kind: Kind,
    /// Its id.
    pub id: ComponentId,
    /// Its type.
    pub entry: &'r Entry,
    /// Its configuration.
    pub body: Node,
}

/// A connector with the pipelines on both sides.
pub struct PlannedConnector<'r> {
    /// The component.
    pub component: Planned<'r>,
    /// The signals of the pipelines that export to it.
    pub takes: BTreeSet<Signal>,
    /// The pipelines that receive from it, by signal.
    pub feeds: BTreeMap<Signal, Vec<PipelineId>>,
}

/// A pipeline with its resolved components.
pub struct PlannedPipeline<'r> {
    /// Its id.
    pub id: PipelineId,
    /// Receivers and connectors that feed it.
    pub receivers: Vec<ComponentId>,
    /// Processors in order.
    pub processors: Vec<Planned<'r>>,
    /// Exporters that it feeds.
    pub exporters: Vec<ComponentId>,
    /// Connectors that it feeds.
    pub connectors: Vec<ComponentId>,
}

impl Planned<'_> {
    /// What people call it: `receiver otlp`.
    #[must_use]
    pub fn owner(&self) -> String {
        format!("{} {}", self.kind, self.id)
    }

    /// Decodes its configuration, which the plan has checked before.
    ///
    /// # Errors
    /// What the check would have found; only if a file that it reads has changed since.
    pub fn config(&self) -> Result<AnyConfig, Problems> {
        let mut problems = Problems::default();
        match self.entry.decode(&self.body, &mut problems) {
            Some(config) => Ok(config),
            None => Err(problems),
        }
    }

    /// The endpoints that the host binds for it.
    #[must_use]
    pub fn endpoints(&self) -> Vec<Endpoint> {
        self.config().map_or_else(|_| Vec::new(), |config| self.entry.endpoints(&config))
    }
}

impl<'r> Plan<'r> {
    /// Plans the graph. Reports every error of the graph and of each component; `None` if there is any.
    #[must_use]
    pub fn of(document: &Document, registry: &'r Registry, problems: &mut Problems) -> Option<Self> {
        let mut found = Problems::default();
        let resolver = Resolver::new(document, registry, &mut found);
        let plan = resolver.plan(document, &mut found);
        references::check(document, &plan, &mut found);
        // Only of a sound plan: each file is read, each port compared, as they would be used.
        if !found.has_errors() {
            plan.check_files(&mut found);
            endpoints::check(document, &plan, &mut found);
        }
        let sound = !found.has_errors();
        problems.extend(found);
        sound.then_some(plan)
    }

    /// Reports the errors of each component by itself, for a document whose structure allows no graph.
    pub fn check_components(document: &Document, registry: &'r Registry, problems: &mut Problems) {
        Resolver::new(document, registry, problems);
    }

    /// Reports what is wrong with the files that its components name.
    fn check_files(&self, problems: &mut Problems) {
        let mut checked = BTreeSet::new();
        for planned in self.components() {
            if checked.insert((planned.kind, &planned.id))
                && let Ok(config) = planned.config()
            {
                for problem in planned.entry.file_problems(&config) {
                    problems.at_key(&planned.body, &problem.key, problem.message);
                }
            }
        }
    }

    /// Every component of the graph, some of them several times.
    pub(super) fn components(&self) -> impl Iterator<Item = &Planned<'r>> {
        let receivers = self.receivers.iter().map(|(planned, _)| planned);
        let processors = self.pipelines.iter().flat_map(|pipeline| &pipeline.processors);
        let connectors = self.connectors.values().map(|planned| &planned.component);
        self.extensions
            .iter()
            .chain(receivers)
            .chain(processors)
            .chain(connectors)
            .chain(self.exporters.values())
    }

    /// The components that may listen, each once.
    pub(super) fn listening(&self) -> impl Iterator<Item = &Planned<'r>> {
        let receivers = self.receivers.iter().map(|(planned, _)| planned);
        // One that listens takes a single signal, so an id is there once.
        self.extensions.iter().chain(receivers).chain(self.exporters.values())
    }

    /// Every endpoint that a component of the graph listens on.
    #[must_use]
    pub fn claims(&self) -> Vec<Claim> {
        self.listening()
            .flat_map(|planned| {
                let owner = planned.owner();
                planned.endpoints().into_iter().map(move |endpoint| {
                    let (_, place) = planned.body.nearest_place(endpoint.key);
                    Claim { owner: owner.clone(), place: Some(place.clone()), endpoint }
                })
            })
            .collect()
    }
}

struct Resolver<'d, 'r> {
    definitions: HashMap<(Kind, &'d ComponentId), (&'d Definition, Option<&'r Entry>)>,
}

impl<'d, 'r> Resolver<'d, 'r> {
    fn new(document: &'d Document, registry: &'r Registry, problems: &mut Problems) -> Self {
        let mut definitions = HashMap::new();
        for definition in &document.definitions {
            let entry = find_type(definition, registry, problems);
            if let Some(entry) = entry {
                // Checked also where no pipeline uses it, as the Collector does.
                entry.decode(&definition.body, problems);
            }
            definitions.insert((definition.kind, &definition.id.value), (definition, entry));
        }
        let resolver = Self { definitions };
        resolver.report_ambiguous(document, problems);
        resolver
    }

    fn report_ambiguous(&self, document: &Document, problems: &mut Problems) {
        for definition in document.definitions.iter().filter(|definition| definition.kind == Kind::Connector)
        {
            let id = &definition.id.value;
            for kind in [Kind::Receiver, Kind::Exporter] {
                if self.definitions.contains_key(&(kind, id)) {
                    problems.error(
                        &definition.id.location,
                        format!(
                            "\"{id}\" is defined as a connector and under {}; rename one of them, such as {id}/2",
                            kind.section()
                        ),
                    );
                }
            }
        }
    }

    fn plan(&self, document: &Document, problems: &mut Problems) -> Plan<'r> {
        let mut used: BTreeSet<(Kind, ComponentId)> = BTreeSet::new();
        let extensions = self.extensions(document, &mut used, problems);
        let mut receivers: BTreeMap<ComponentId, (Planned<'r>, BTreeMap<Signal, Vec<PipelineId>>)> =
            BTreeMap::new();
        let mut connectors: BTreeMap<ComponentId, PlannedConnector<'r>> = BTreeMap::new();
        let mut exporters = BTreeMap::new();
        let mut pipelines = Vec::new();
        for pipeline in &document.pipelines {
            let id = &pipeline.id.value;
            let mut planned = PlannedPipeline {
                id: id.clone(),
                receivers: Vec::new(),
                processors: Vec::new(),
                exporters: Vec::new(),
                connectors: Vec::new(),
            };
            for (reference, component) in self.side(pipeline, Side::In, &mut used, problems) {
                planned.receivers.push(reference.clone());
                match component.kind {
                    Kind::Connector => connector(&mut connectors, component)
                        .feeds
                        .entry(id.signal)
                        .or_default()
                        .push(id.clone()),
                    _ => receivers
                        .entry(reference)
                        .or_insert_with(|| (component, BTreeMap::new()))
                        .1
                        .entry(id.signal)
                        .or_default()
                        .push(id.clone()),
                }
            }
            planned.processors = self.processors(pipeline, &mut used, problems);
            for (reference, component) in self.side(pipeline, Side::Out, &mut used, problems) {
                if component.kind == Kind::Connector {
                    connector(&mut connectors, component).takes.insert(id.signal);
                    planned.connectors.push(reference);
                } else {
                    exporters.insert((reference.clone(), id.signal), component);
                    planned.exporters.push(reference);
                }
            }
            pipelines.push(planned);
        }
        wiring::check_connectors(document, &connectors, problems);
        self.warn_unused(document, &used, problems);
        let pipelines = wiring::in_order(document, pipelines, &connectors, problems);
        Plan { extensions, receivers: receivers.into_values().collect(), connectors, exporters, pipelines }
    }

    fn extensions(
        &self,
        document: &Document,
        used: &mut BTreeSet<(Kind, ComponentId)>,
        problems: &mut Problems,
    ) -> Vec<Planned<'r>> {
        let mut planned = Vec::new();
        for reference in &document.extensions {
            if used.contains(&(Kind::Extension, reference.value.clone())) {
                problems.error(
                    &reference.location,
                    format!("service.extensions lists \"{}\" twice; remove one", reference.value),
                );
            } else if let Some(component) =
                self.resolve(reference, &[Kind::Extension], "service.extensions", used, problems)
            {
                planned.push(component);
            }
        }
        planned
    }

    fn processors(
        &self,
        pipeline: &Pipeline,
        used: &mut BTreeSet<(Kind, ComponentId)>,
        problems: &mut Problems,
    ) -> Vec<Planned<'r>> {
        let (id, path) = (&pipeline.id.value, path_of(pipeline));
        let mut seen = BTreeSet::new();
        let mut planned = Vec::new();
        for reference in &pipeline.processors {
            if !seen.insert(&reference.value) {
                problems.error(
                    &reference.location,
                    format!(
                        "{path} references processor \"{}\" multiple times; a second instance needs a name, such as {}/2",
                        reference.value, reference.value.kind()
                    ),
                );
                continue;
            }
            let Some(component) = self.resolve(reference, &[Kind::Processor], &path, used, problems) else {
                continue;
            };
            if component.entry.declaration.takes(id.signal) {
                planned.push(component);
            } else {
                problems.error(&reference.location, unsupported(&component, id.signal));
            }
        }
        planned
    }

    /// The receiving or exporting side of a pipeline.
    fn side(
        &self,
        pipeline: &Pipeline,
        side: Side,
        used: &mut BTreeSet<(Kind, ComponentId)>,
        problems: &mut Problems,
    ) -> Vec<(ComponentId, Planned<'r>)> {
        let signal = pipeline.id.value.signal;
        let (references, kind) = match side {
            Side::In => (&pipeline.receivers, Kind::Receiver),
            Side::Out => (&pipeline.exporters, Kind::Exporter),
        };
        let mut planned: Vec<(ComponentId, Planned<'r>)> = Vec::new();
        for reference in references {
            if planned.iter().any(|(id, _)| *id == reference.value) {
                problems.error(
                    &reference.location,
                    format!(
                        "{} references {kind} \"{}\" multiple times; remove one",
                        path_of(pipeline),
                        reference.value
                    ),
                );
                continue;
            }
            let kinds = [kind, Kind::Connector];
            let Some(component) = self.resolve(reference, &kinds, &path_of(pipeline), used, problems) else {
                continue;
            };
            let declaration = &component.entry.declaration;
            let supported = match (component.kind, side) {
                (Kind::Connector, Side::In) => declaration.signals.iter().any(|(pair, _)| pair.1 == signal),
                (Kind::Connector, Side::Out) => declaration.takes(signal),
                _ => declaration.supports(Pair(signal, signal)),
            };
            if supported {
                planned.push((reference.value.clone(), component));
            } else {
                problems.error(&reference.location, unsupported(&component, signal));
            }
        }
        planned
    }

    fn resolve(
        &self,
        reference: &Located<ComponentId>,
        kinds: &[Kind],
        path: &str,
        used: &mut BTreeSet<(Kind, ComponentId)>,
        problems: &mut Problems,
    ) -> Option<Planned<'r>> {
        let found = kinds.iter().find_map(|kind| self.definitions.get(&(*kind, &reference.value)));
        let Some((definition, entry)) = found else {
            let names: Vec<String> = self
                .definitions
                .keys()
                .filter(|(kind, _)| kinds.contains(kind))
                .map(|(_, id)| id.to_string())
                .collect();
            let kind = kinds.first().copied().unwrap_or(Kind::Receiver);
            let nearest = suggest::nearest(&reference.value.to_string(), names.iter().map(String::as_str));
            problems.error_with(
                &reference.location,
                format!(
                    "{path} references {kind} \"{}\" which is not configured under {}",
                    reference.value,
                    kind.section()
                ),
                nearest.map(|nearest| format!("did you mean \"{nearest}\"?")),
            );
            return None;
        };
        used.insert((definition.kind, reference.value.clone()));
        // A type that is unknown was reported at its definition.
        let entry = (*entry)?;
        Some(Planned {
            kind: definition.kind,
            id: reference.value.clone(),
            entry,
            body: definition.body.clone(),
        })
    }

    fn warn_unused(
        &self,
        document: &Document,
        used: &BTreeSet<(Kind, ComponentId)>,
        problems: &mut Problems,
    ) {
        for definition in &document.definitions {
            if !used.contains(&(definition.kind, definition.id.value.clone())) {
                let place = match definition.kind {
                    Kind::Extension => "service.extensions does not list it",
                    _ => "no pipeline uses it",
                };
                problems.warning(
                    &definition.id.location,
                    format!(
                        "{} \"{}\" is configured but not started: {place}",
                        definition.kind, definition.id.value
                    ),
                );
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Side {
    In,
    Out,
}

fn connector<'m, 'r>(
    connectors: &'m mut BTreeMap<ComponentId, PlannedConnector<'r>>,
    component: Planned<'r>,
) -> &'m mut PlannedConnector<'r> {
    connectors.entry(component.id.clone()).or_insert_with(|| PlannedConnector {
        component,
        takes: BTreeSet::new(),
        feeds: BTreeMap::new(),
    })
}

pub(super) fn path_of(pipeline: &Pipeline) -> String {
    format!("service.pipelines.{}", pipeline.id.value)
}

fn unsupported(component: &Planned<'_>, signal: Signal) -> String {
    let declaration = &component.entry.declaration;
    let supported: Vec<String> = declaration
        .signals
        .iter()
        .map(
            |(Pair(taken, given), _)| {
                if taken == given { taken.to_string() } else { format!("{taken} to {given}") }
            },
        )
        .collect();
    format!(
        "{} \"{}\" does not support {signal}; it supports {}",
        component.kind,
        component.id,
        supported.join(", ")
    )
}

fn find_type<'r>(
    definition: &Definition,
    registry: &'r Registry,
    problems: &mut Problems,
) -> Option<&'r Entry> {
    let (kind, id) = (definition.kind, &definition.id.value);
    let entry = registry.find(kind, id.kind());
    if entry.is_none() {
        let names = || {
            registry.of_kind(kind).flat_map(|entry| {
                std::iter::once(entry.declaration.name).chain(entry.declaration.aliases.iter().copied())
            })
        };
        let respelt = names().find(|name| known::is_respelt(name, id.kind()));
        let (message, nearest) = if respelt.is_none() && known::is_collector_component(kind, id.kind()) {
            (format!("{kind} type \"{}\" is not in this build of Sluice", id.kind()), None)
        } else {
            let nearest = respelt.or_else(|| suggest::nearest(id.kind(), names()));
            (format!("unknown {kind} type \"{}\"", id.kind()), nearest)
        };
        let note = nearest.map_or_else(
            || "`sluice components` lists all types".to_owned(),
            |nearest| format!("did you mean \"{nearest}\"?"),
        );
        problems.error_with(&definition.id.location, message, [note]);
    }
    entry
}
