//! All series, by resource.

use std::collections::HashMap;

use sluice_pipeline::{
    Batch, Chunk,
    budget::Budget,
    otlp::view::{Attributes, Resource, Span, resource_groups},
};

use super::{
    config::{ExemplarsConfig, SpanMetricsConfig, TemporalityName, Unit},
    dimensions::{Dimensions, Place, service},
    histogram::Histogram,
    table::{Added, Exemplar, Series, Table, Tally},
    write::Document,
};

/// What is counted, and how.
pub(super) struct Plan {
    pub(super) namespace: String,
    calls: Dimensions,
    /// Without it durations are left out.
    durations: Option<Dimensions>,
    /// Without it events are left out.
    events: Option<Dimensions>,
    pub(super) unit: Unit,
    /// Of an explicit histogram.
    pub(super) bounds: Vec<f64>,
    empty: Histogram,
    exemplars: ExemplarsConfig,
    scopes: Vec<Vec<u8>>,
    resource_keys: Vec<Vec<u8>>,
    resources: usize,
    limit: usize,
    with_resource: bool,
    pub(super) is_delta: bool,
    resource_expiration: u64,
    series_expiration: u64,
}

/// All series.
pub(super) struct Store {
    plan: Plan,
    budget: Budget,
    resources: HashMap<Box<[u8]>, OfResource>,
    /// When deltas began.
    since: u64,
    key: Vec<u8>,
}

/// The series of a resource.
struct OfResource {
    /// The encoded resource.
    message: Vec<u8>,
    seen: u64,
    calls: Table,
    durations: Table,
    events: Table,
}

/// What became of the spans of a batch, where it is not what the configuration asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Spans of resources without a service, which the Collector leaves out as well.
    pub(super) without_service: u64,
    pub(super) over_limit: u64,
    pub(super) over_budget: u64,
    /// Resources that were forgotten to make room.
    pub(super) evicted_resources: u64,
}

impl Plan {
    pub(super) fn new(config: &SpanMetricsConfig) -> Self {
        let dimensions = |own: &[_]| Dimensions::new(&config.exclude_dimensions, &[&config.dimensions, own]);
        let unit = config.histogram.unit;
        let explicit = config.histogram.explicit.clone().unwrap_or_default();
        let bounds: Vec<f64> =
            explicit.buckets.iter().map(|bound| bound.get().as_nanos() as f64 / unit.nanoseconds()).collect();
        let nanoseconds =
            |duration: std::time::Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self {
            namespace: config.namespace.clone(),
            calls: dimensions(&config.calls_dimensions),
            durations: (!config.histogram.disable).then(|| dimensions(&config.histogram.dimensions)),
            events: config.events.enabled.then(|| dimensions(&config.events.dimensions)),
            unit,
            empty: match config.histogram.exponential {
                Some(exponential) => Histogram::exponential(exponential.max_size),
                None => Histogram::explicit(bounds.len()),
            },
            bounds,
            exemplars: config.exemplars,
            scopes: config
                .include_instrumentation_scope
                .iter()
                .map(|name| name.clone().into_bytes())
                .collect(),
            resource_keys: config
                .resource_metrics_key_attributes
                .iter()
                .map(|name| name.clone().into_bytes())
                .collect(),
            resources: config.resource_metrics_cache_size,
            limit: config.aggregation_cardinality_limit,
            with_resource: config.add_resource_attributes != Some(false),
            is_delta: config.aggregation_temporality == TemporalityName::Delta,
            resource_expiration: nanoseconds(config.metrics_expiration.get()),
            series_expiration: nanoseconds(config.series_expiration.get()),
        }
    }
}

impl Store {
    pub(super) fn new(plan: Plan, budget: &Budget, now: u64) -> Self {
        Self { plan, budget: budget.clone(), resources: HashMap::new(), since: now, key: Vec::new() }
    }

    /// Counts the spans of a batch; `now` is in nanoseconds since 1970, as everywhere here.
    pub(super) fn add(&mut self, batch: &Batch, now: u64) -> Outcome {
        let mut outcome = Outcome::default();
        for group in batch.chunks().iter().flat_map(|chunk| resource_groups(chunk.bytes())) {
            let resource = group.resource();
            let attributes = resource.attributes();
            let Some(service) = service(attributes) else {
                outcome.without_service +=
                    group.scope_groups().map(|scope| scope.spans().count() as u64).sum::<u64>();
                continue;
            };
            let of_resource =
                find(&self.plan, &self.budget, &mut self.resources, resource, now, &mut outcome);
            for scope_group in group.scope_groups() {
                let scope = Some(scope_group.scope()).filter(|scope| {
                    !scope.name.is_empty() && self.plan.scopes.iter().any(|name| name == scope.name)
                });
                let place = Place { service: &service, resource: attributes, scope };
                for span in scope_group.spans() {
                    of_resource.count(&self.plan, &place, &span, now, &mut self.key, &mut outcome);
                }
            }
        }
        outcome
    }

    /// Writes what there is, and forgets what is to be forgotten.
    pub(super) fn flush(&mut self, now: u64) -> Vec<Chunk> {
        let Self { plan, resources, .. } = self;
        let mut document = Document::new(plan, self.since, now);
        for resource in resources.values_mut() {
            resource.write(plan, &mut document);
            for table in [&mut resource.calls, &mut resource.durations, &mut resource.events] {
                table.forget_exemplars();
                if plan.series_expiration > 0 {
                    table.expire(now.saturating_sub(plan.series_expiration));
                }
            }
        }
        if plan.is_delta {
            resources.clear();
        } else if plan.resource_expiration > 0 {
            let before = now.saturating_sub(plan.resource_expiration);
            resources.retain(|_, resource| resource.seen >= before);
        }
        let chunks = document.finish(&self.budget);
        self.since = now;
        chunks
    }
}

/// The series of a resource, new if need be.
fn find<'s>(
    plan: &Plan,
    budget: &Budget,
    resources: &'s mut HashMap<Box<[u8]>, OfResource>,
    resource: Resource<'_>,
    now: u64,
    outcome: &mut Outcome,
) -> &'s mut OfResource {
    let key = resource_key(resource.attributes(), &plan.resource_keys);
    if resources.len() >= plan.resources && !resources.contains_key(&key) {
        let oldest = resources.iter().min_by_key(|(_, resource)| resource.seen).map(|(key, _)| key.clone());
        if let Some(oldest) = oldest {
            resources.remove(&oldest);
            outcome.evicted_resources += 1;
        }
    }
    let found = resources.entry(key).or_insert_with(|| OfResource {
        message: if plan.with_resource { resource.message.to_vec() } else { Vec::new() },
        seen: now,
        calls: Table::new(plan.limit, budget),
        durations: Table::new(plan.limit, budget),
        events: Table::new(plan.limit, budget),
    });
    found.seen = now;
    found
}

/// The attributes that tell resources apart, in an order of their own.
fn resource_key(attributes: Attributes<'_>, named: &[Vec<u8>]) -> Box<[u8]> {
    let wanted = |key: &[u8]| named.is_empty() || named.iter().any(|name| name == key);
    let mut pairs: Vec<&[u8]> = attributes.filter(|pair| wanted(pair.key)).map(|pair| pair.message).collect();
    pairs.sort_unstable();
    let mut key = Vec::with_capacity(pairs.iter().map(|pair| pair.len() + 4).sum());
    for pair in pairs {
        key.extend_from_slice(&u32::try_from(pair.len()).unwrap_or(u32::MAX).to_le_bytes());
        key.extend_from_slice(pair);
    }
    key.into()
}

impl OfResource {
    fn count(
        &mut self,
        plan: &Plan,
        place: &Place<'_>,
        span: &Span<'_>,
        now: u64,
        key: &mut Vec<u8>,
        outcome: &mut Outcome,
    ) {
        plan.calls.key(place, span, None, key);
        let added = self.calls.add(key, now, || Tally::Count(0), count_one);
        outcome.note(added);
        if let Some(durations) = &plan.durations {
            if *durations != plan.calls {
                durations.key(place, span, None, key);
            }
            let length = span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano);
            #[expect(clippy::cast_precision_loss, reason = "durations are floats")]
            let value = length as f64 / plan.unit.nanoseconds();
            let exemplar = plan.exemplar(span, value);
            let added = self.durations.add(
                key,
                now,
                || Tally::Durations(plan.empty.clone()),
                |series| {
                    if let Tally::Durations(histogram) = &mut series.tally {
                        histogram.add(value, &plan.bounds);
                    }
                    if let Some(exemplar) = exemplar
                        && series.exemplars.len() < plan.exemplars.max_per_data_point
                    {
                        series.exemplars.push(exemplar);
                    }
                },
            );
            // A span without room counts once, unless only its duration has none.
            if *durations != plan.calls {
                outcome.note(added);
            }
        }
        if let Some(events) = &plan.events {
            for event in span.events() {
                events.key(place, span, Some(event.attributes()), key);
                let added = self.events.add(key, now, || Tally::Count(0), count_one);
                outcome.note(added);
            }
        }
    }

    fn write(&self, plan: &Plan, document: &mut Document<'_>) {
        let name = |name: &str| match plan.namespace.as_str() {
            "" => name.to_owned(),
            namespace => format!("{namespace}.{name}"),
        };
        document.metric(&self.message, &name("calls"), "", &self.calls);
        document.metric(&self.message, &name("duration"), plan.unit.name(), &self.durations);
        document.metric(&self.message, &name("events"), "", &self.events);
    }
}

fn count_one(series: &mut Series) {
    if let Tally::Count(count) = &mut series.tally {
        *count += 1;
    }
}

impl Plan {
    fn exemplar(&self, span: &Span<'_>, value: f64) -> Option<Exemplar> {
        if !self.exemplars.enabled {
            return None;
        }
        Some(Exemplar {
            trace_id: span.trace_id.try_into().ok()?,
            span_id: span.span_id.try_into().ok()?,
            time: span.end_time_unix_nano,
            value,
        })
    }
}

impl Outcome {
    fn note(&mut self, added: Added) {
        match added {
            Added::Here => {}
            Added::OverLimit => self.over_limit += 1,
            Added::OverBudget => self.over_budget += 1,
        }
    }
}
