//! All series, by resource.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

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
    write::{Document, Times},
};
use crate::room::{Room, Rooms};

/// What a resource takes besides its key and message, in bytes.
const RESOURCE_BYTES: usize = size_of::<OfResource>() + 128;

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
    rooms: Rooms,
    resources: HashMap<Arc<[u8]>, OfResource>,
    /// The resources by when they were last seen: numbers that grow.
    order: BTreeMap<u64, Arc<[u8]>>,
    next: u64,
    /// Resources that made room for others, until they are written.
    evicted: Vec<OfResource>,
    /// When deltas began.
    since: u64,
    key: Vec<u8>,
}

/// The series of a resource.
struct OfResource {
    /// The encoded resource.
    message: Vec<u8>,
    seen: u64,
    /// Its place in the order.
    number: u64,
    calls: Table,
    durations: Table,
    events: Table,
    /// What its message and key take.
    _room: Room,
}

/// What became of the spans of a batch, where it is not what the configuration asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Spans of resources without a service, which the Collector leaves out as well.
    pub(super) without_service: u64,
    /// Spans of resources that there is no room for.
    pub(super) without_room: u64,
    pub(super) over_limit: u64,
    pub(super) over_budget: u64,
    /// Resources that begin anew when they come again, since others came.
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
        Self {
            plan,
            rooms: Rooms::new(u64::MAX, budget.clone()),
            resources: HashMap::new(),
            order: BTreeMap::new(),
            next: 0,
            evicted: Vec::new(),
            since: now,
            key: Vec::new(),
        }
    }

    /// Counts the spans of a batch; `now` is in nanoseconds since 1970, as everywhere here.
    pub(super) fn add(&mut self, batch: &Batch, now: u64) -> Outcome {
        let mut outcome = Outcome::default();
        for group in batch.chunks().iter().flat_map(|chunk| resource_groups(chunk.bytes())) {
            let resource = group.resource();
            let attributes = resource.attributes();
            let spans = || group.scope_groups().map(|scope| scope.spans().count() as u64).sum::<u64>();
            let Some(service) = service(attributes) else {
                outcome.without_service += spans();
                continue;
            };
            let key = resource_key(attributes, &self.plan.resource_keys);
            if !self.see(&key, resource, now, &mut outcome) {
                outcome.without_room += spans();
                continue;
            }
            let Self { plan, rooms, resources, key: buffer, .. } = self;
            let Some(of_resource) = resources.get_mut(&key) else { continue };
            for scope_group in group.scope_groups() {
                let scope = Some(scope_group.scope()).filter(|scope| {
                    !scope.name.is_empty() && plan.scopes.iter().any(|name| name == scope.name)
                });
                let place = Place { service: &service, resource: attributes, scope };
                for span in scope_group.spans() {
                    of_resource.count(plan, rooms, &place, &span, now, buffer, &mut outcome);
                }
            }
        }
        outcome
    }

    /// Notes that a resource has spans. Whether there is room for it, if it is new.
    fn see(&mut self, key: &Arc<[u8]>, resource: Resource<'_>, now: u64, outcome: &mut Outcome) -> bool {
        let number = self.next;
        if let Some(known) = self.resources.get_mut(key) {
            known.seen = now;
            if known.number + 1 != number {
                self.order.remove(&std::mem::replace(&mut known.number, number));
                self.order.insert(number, Arc::clone(key));
                self.next += 1;
            }
            return true;
        }
        let message = if self.plan.with_resource { resource.message } else { &[] };
        let Some(room) = self.rooms.admit(message.len() + key.len() + RESOURCE_BYTES) else { return false };
        if self.resources.len() >= self.plan.resources
            && let Some((_, oldest)) = self.order.pop_first()
        {
            outcome.evicted_resources += 1;
            self.evicted.extend(self.resources.remove(&oldest));
        }
        let new = OfResource {
            message: message.to_vec(),
            seen: now,
            number,
            calls: Table::new(self.plan.limit, 0),
            durations: Table::new(self.plan.limit, self.plan.exemplars()),
            events: Table::new(self.plan.limit, 0),
            _room: room,
        };
        self.resources.insert(Arc::clone(key), new);
        self.order.insert(number, Arc::clone(key));
        self.next += 1;
        true
    }

    /// Begins to write what there is; each resource is then written by itself, so that spans are counted meanwhile.
    pub(super) fn begin_flush(&mut self, now: u64) -> Flush {
        let mut flush = Flush {
            keys: self.resources.keys().cloned().collect(),
            since: std::mem::replace(&mut self.since, now),
            now,
            document: Document::default(),
        };
        for resource in std::mem::take(&mut self.evicted) {
            resource.write(&self.plan, &mut flush);
        }
        flush
    }

    /// Writes some resources, and forgets what is to be forgotten. Nothing once all are written.
    pub(super) fn flush_some(&mut self, flush: &mut Flush, budget: &Budget) -> Option<Vec<Chunk>> {
        if flush.keys.is_empty() && flush.document.is_empty() {
            return None;
        }
        while !flush.document.is_full() {
            let Some(key) = flush.keys.pop() else { return Some(flush.document.take_all(budget)) };
            let Some(resource) = self.resources.get_mut(&key) else { continue };
            resource.write(&self.plan, flush);
            let expired = |expiration: u64| flush.now.saturating_sub(expiration);
            let is_over = self.plan.is_delta
                || (self.plan.resource_expiration > 0
                    && resource.seen < expired(self.plan.resource_expiration));
            if is_over {
                self.order.remove(&resource.number);
                self.resources.remove(&key);
                continue;
            }
            for table in [&mut resource.calls, &mut resource.durations, &mut resource.events] {
                table.forget_exemplars();
                if self.plan.series_expiration > 0 {
                    table.expire(expired(self.plan.series_expiration));
                }
            }
        }
        Some(flush.document.take(budget))
    }

    /// Whether what is refused is part of what is sent later.
    pub(super) fn is_cumulative(&self) -> bool {
        !self.plan.is_delta
    }
}

/// Series on their way out.
pub(super) struct Flush {
    keys: Vec<Arc<[u8]>>,
    since: u64,
    now: u64,
    document: Document,
}

/// The attributes that tell resources apart, in an order of their own.
fn resource_key(attributes: Attributes<'_>, named: &[Vec<u8>]) -> Arc<[u8]> {
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
    #[expect(clippy::too_many_arguments, reason = "what all spans of a batch share is passed on as it is")]
    fn count(
        &mut self,
        plan: &Plan,
        rooms: &Rooms,
        place: &Place<'_>,
        span: &Span<'_>,
        now: u64,
        key: &mut Vec<u8>,
        outcome: &mut Outcome,
    ) {
        plan.calls.key(place, span, None, key);
        let added = self.calls.add(key, now, rooms, || Tally::Count(0), count_one);
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
                rooms,
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
                let added = self.events.add(key, now, rooms, || Tally::Count(0), count_one);
                outcome.note(added);
            }
        }
    }

    fn write(&self, plan: &Plan, flush: &mut Flush) {
        let name = |name: &str| match plan.namespace.as_str() {
            "" => name.to_owned(),
            namespace => format!("{namespace}.{name}"),
        };
        let times = Times { since: plan.is_delta.then_some(flush.since), now: flush.now };
        let tables = [
            ("calls", "", &self.calls),
            ("duration", plan.unit.name(), &self.durations),
            ("events", "", &self.events),
        ];
        for (metric, unit, table) in tables {
            flush.document.metric(&self.message, &name(metric), unit, table, times, &plan.bounds);
        }
    }
}

fn count_one(series: &mut Series) {
    if let Tally::Count(count) = &mut series.tally {
        *count += 1;
    }
}

impl Plan {
    /// The most exemplars of a series.
    fn exemplars(&self) -> usize {
        if self.exemplars.enabled { self.exemplars.max_per_data_point } else { 0 }
    }

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
