//! JVM and CLR metrics: one scope is one message, its data points put together by their place
//! (`docs/skywalking-mapping.md`).

use sluice_pipeline::otlp::{
    view::{AnyValue, MetricData, Number, NumberDataPoint, ScopeGroup, Text},
    write::Writer,
};

use super::meter::value;
use crate::oap::{
    entity::Entity,
    streams::{Method, Streams},
    wire::{flag, int, milliseconds, text},
};

/// `PoolType`: names by number.
const POOLS: [&str; 11] = [
    "CODE_CACHE_USAGE",
    "NEWGEN_USAGE",
    "OLDGEN_USAGE",
    "SURVIVOR_USAGE",
    "PERMGEN_USAGE",
    "METASPACE_USAGE",
    "ZHEAP_USAGE",
    "COMPRESSED_CLASS_SPACE_USAGE",
    "CODEHEAP_NON_NMETHODS_USAGE",
    "CODEHEAP_PROFILED_NMETHODS_USAGE",
    "CODEHEAP_NON_PROFILED_NMETHODS_USAGE",
];
/// `GCPhase`: names by number.
const PHASES: [&str; 3] = ["NEW", "OLD", "NORMAL"];
const MEMORY: [&str; 4] = [
    "skywalking.jvm.memory.init",
    "skywalking.jvm.memory.max",
    "skywalking.jvm.memory.used",
    "skywalking.jvm.memory.committed",
];
const POOL: [&str; 4] = ["jvm.memory.init", "jvm.memory.limit", "jvm.memory.used", "jvm.memory.committed"];
const COLLECTION: [&str; 2] = ["skywalking.jvm.gc.count", "skywalking.jvm.gc.time"];
const THREAD: [&str; 3] =
    ["skywalking.jvm.thread.live", "skywalking.jvm.thread.daemon", "skywalking.jvm.thread.peak"];
const CLASS: [&str; 3] = ["jvm.class.count", "jvm.class.unloaded", "jvm.class.loaded"];
const CLR_THREAD: [&str; 4] = [
    "skywalking.clr.thread.available_completion_port",
    "skywalking.clr.thread.available_worker",
    "skywalking.clr.thread.max_completion_port",
    "skywalking.clr.thread.max_worker",
];

/// The metrics of a scope.
struct Scope<'b, 'a>(&'b ScopeGroup<'a>);

/// Adds the message of a scope.
pub(super) fn push(method: Method, scopes: &ScopeGroup<'_>, said: &Entity, streams: &mut Streams) {
    let scope = Scope(scopes);
    let items = scopes.metrics().map(|metric| super::points(&metric)).sum();
    streams.push(method, "", items, |out| {
        let mut collection = Writer::new(out);
        collection.message(1, |metric| match method {
            Method::Clr => scope.write_clr(metric),
            _ => scope.write_jvm(metric),
        });
        text(&mut collection, 2, &said.service);
        text(&mut collection, 3, &said.instance);
    });
}

impl<'a> Scope<'_, 'a> {
    fn write_jvm(&self, metric: &mut Writer<'_>) {
        self.write_time(metric);
        self.write_cpu(metric, "skywalking.jvm.cpu.usage");
        self.write_each(metric, 3, MEMORY, 2, |out, point| {
            flag(out, 1, said(point, "jvm.memory.type").as_deref() == Some("heap"));
        });
        self.write_each(metric, 4, POOL, 2, |out, point| {
            int(out, 1, number(point, "jvm.memory.pool.name", &POOLS));
        });
        self.write_each(metric, 5, COLLECTION, 2, |out, point| {
            int(out, 1, number(point, "jvm.gc.name", &PHASES));
        });
        let states: Vec<_> = self.points("jvm.thread.count").collect();
        if !states.is_empty() || self.points(THREAD[0]).next().is_some() {
            metric.message(6, |thread| {
                self.write_firsts(thread, THREAD);
                for (number, state) in (4..).zip(["runnable", "blocked", "waiting", "timed_waiting"]) {
                    let point =
                        states.iter().find(|point| said(point, "jvm.thread.state").as_deref() == Some(state));
                    int(thread, number, point.map_or(0, whole));
                }
            });
        }
        if self.points(CLASS[0]).next().is_some() {
            metric.message(7, |class| self.write_firsts(class, CLASS));
        }
    }

    fn write_clr(&self, metric: &mut Writer<'_>) {
        self.write_time(metric);
        self.write_cpu(metric, "skywalking.clr.cpu.usage");
        let collections: Vec<_> = self.points("skywalking.clr.gc.collections").collect();
        if !collections.is_empty() {
            metric.message(3, |gc| {
                for (number, generation) in (1..).zip(["gen0", "gen1", "gen2"]) {
                    let of = |point: &&NumberDataPoint<'_>| {
                        said(point, "gc.heap.generation").as_deref() == Some(generation)
                    };
                    int(gc, number, collections.iter().find(of).map_or(0, whole));
                }
                let heap = self.points("skywalking.clr.gc.heap_memory").next();
                int(gc, 4, heap.as_ref().map_or(0, whole));
            });
        }
        if self.points(CLR_THREAD[0]).next().is_some() {
            metric.message(4, |thread| self.write_firsts(thread, CLR_THREAD));
        }
    }

    fn write_time(&self, metric: &mut Writer<'_>) {
        let first = self.0.metrics().find_map(|metric| gauge(metric.data).next());
        int(metric, 1, first.map_or(0, |point| milliseconds(point.time_unix_nano)));
    }

    fn write_cpu(&self, metric: &mut Writer<'_>, name: &str) {
        if let Some(point) = self.points(name).next() {
            metric.message(2, |cpu| {
                let usage = value(&point).unwrap_or_default();
                if usage.to_bits() != 0 {
                    cpu.double(2, usage);
                }
            });
        }
    }

    /// A message for each place of these metrics, their values as fields from `first` on.
    fn write_each<const METRICS: usize>(
        &self,
        metric: &mut Writer<'_>,
        number: u32,
        names: [&str; METRICS],
        first: u32,
        head: impl Fn(&mut Writer<'_>, &NumberDataPoint<'_>),
    ) {
        let columns: Vec<Vec<NumberDataPoint<'a>>> =
            names.iter().map(|name| self.points(name).collect()).collect();
        let Some(leading) = columns.first() else { return };
        for (place, point) in leading.iter().enumerate() {
            metric.message(number, |out| {
                head(out, point);
                for (number, column) in (first..).zip(&columns) {
                    int(out, number, column.get(place).map_or(0, whole));
                }
            });
        }
    }

    /// The first value of each of these metrics, as fields from 1 on.
    fn write_firsts<const METRICS: usize>(&self, out: &mut Writer<'_>, names: [&str; METRICS]) {
        for (number, name) in (1..).zip(names) {
            int(out, number, self.points(name).next().as_ref().map_or(0, whole));
        }
    }

    fn points(&self, name: &str) -> impl Iterator<Item = NumberDataPoint<'a>> {
        let metrics: Vec<_> = self.0.metrics().filter(|metric| metric.name == name.as_bytes()).collect();
        metrics.into_iter().flat_map(|metric| gauge(metric.data))
    }
}

fn gauge(data: MetricData<'_>) -> impl Iterator<Item = NumberDataPoint<'_>> {
    let gauge = if let MetricData::Gauge(gauge) = data { Some(gauge.data_points()) } else { None };
    gauge.into_iter().flatten()
}

fn said(point: &NumberDataPoint<'_>, name: &str) -> Option<String> {
    crate::oap::entity::text(point.attributes(), name).map(|text| text.into_owned())
}

/// The number of an enum that is given by name, or by number.
fn number(point: &NumberDataPoint<'_>, name: &str, names: &[&str]) -> i64 {
    match point.attributes().find(|pair| pair.key.as_str() == name).map(|pair| pair.value) {
        Some(AnyValue::Int(number)) => number,
        Some(AnyValue::String(name)) => {
            let place = names.iter().position(|known| known.as_bytes() == name);
            place.and_then(|place| i64::try_from(place).ok()).unwrap_or_default()
        }
        _ => 0,
    }
}

fn whole(point: &NumberDataPoint<'_>) -> i64 {
    match point.value {
        Some(Number::Int(value)) => value,
        #[expect(clippy::cast_possible_truncation, reason = "saturates")]
        Some(Number::Double(value)) => value as i64,
        None => 0,
    }
}
