//! The metrics of the JVM and the CLR.

use prost::Message;
use sluice_pipeline::otlp::{
    attribute::{write_int, write_text},
    write::Writer,
};
use sluice_protocols::skywalking::{
    attributes::metric,
    v3::{
        ClrMetric, ClrMetricCollection, Gc, GcPhase, JvmMetric, JvmMetricCollection, Memory, MemoryPool,
        PoolType, Thread,
    },
};

use super::{
    Malformed, nanoseconds,
    output::{Items, Output},
    record::Source,
};

/// `NumberDataPoint.attributes`.
const ATTRIBUTES: u32 = 7;
const BYTES: &str = "By";

/// The name of a metric, and the part of an entry that it is of.
type Part<T> = (&'static str, fn(&T) -> i64);

/// Writes a `JVMMetricCollection`.
pub(super) fn jvm(message: &[u8], output: &mut Output) -> Result<(), Malformed> {
    let collection = JvmMetricCollection::decode(message)?;
    let source = source(&collection.service, &collection.service_instance);
    collection.metrics.iter().try_for_each(|jvm| {
        output.separate();
        output.add_scoped(
            |writer| source.write(writer),
            &scope(metric::JVM_SCOPE),
            |items| write_jvm(&mut Gauges { items, time: nanoseconds(jvm.time) }, jvm),
        )
    })
}

/// Writes a `CLRMetricCollection`.
pub(super) fn clr(message: &[u8], output: &mut Output) -> Result<(), Malformed> {
    let collection = ClrMetricCollection::decode(message)?;
    let source = source(&collection.service, &collection.service_instance);
    collection.metrics.iter().try_for_each(|clr| {
        output.separate();
        output.add_scoped(
            |writer| source.write(writer),
            &scope(metric::CLR_SCOPE),
            |items| write_clr(&mut Gauges { items, time: nanoseconds(clr.time) }, clr),
        )
    })
}

fn source<'m>(service: &'m str, instance: &'m str) -> Source<'m> {
    Source { service, instance, ..Source::default() }
}

fn scope(name: &str) -> Vec<u8> {
    let mut scope = Vec::new();
    Writer::new(&mut scope).bytes(1, name.as_bytes());
    scope
}

fn write_jvm(gauges: &mut Gauges<'_, '_>, jvm: &JvmMetric) -> Result<(), Malformed> {
    if let Some(cpu) = &jvm.cpu {
        gauges.double("skywalking.jvm.cpu.usage", "%", cpu.usage_percent)?;
    }
    write_memory(gauges, &jvm.memory)?;
    write_pools(gauges, &jvm.memory_pool)?;
    write_gc(gauges, &jvm.gc)?;
    if let Some(thread) = &jvm.thread {
        write_threads(gauges, thread)?;
    }
    if let Some(class) = &jvm.clazz {
        gauges.one("jvm.class.count", "{class}", class.loaded_class_count)?;
        gauges.one("jvm.class.unloaded", "{class}", class.total_unloaded_class_count)?;
        gauges.one("jvm.class.loaded", "{class}", class.total_loaded_class_count)?;
    }
    Ok(())
}

fn write_memory(gauges: &mut Gauges<'_, '_>, memory: &[Memory]) -> Result<(), Malformed> {
    let parts: [Part<Memory>; 4] = [
        ("skywalking.jvm.memory.init", |memory| memory.init),
        ("skywalking.jvm.memory.max", |memory| memory.max),
        ("skywalking.jvm.memory.used", |memory| memory.used),
        ("skywalking.jvm.memory.committed", |memory| memory.committed),
    ];
    for (name, part) in parts {
        gauges.many(name, BYTES, memory, part, |writer, memory| {
            write_text(writer, ATTRIBUTES, "jvm.memory.type", memory_type(memory.is_heap));
        })?;
    }
    Ok(())
}

fn write_pools(gauges: &mut Gauges<'_, '_>, pools: &[MemoryPool]) -> Result<(), Malformed> {
    let parts: [Part<MemoryPool>; 4] = [
        ("jvm.memory.init", |pool| pool.init),
        ("jvm.memory.limit", |pool| pool.max),
        ("jvm.memory.used", |pool| pool.used),
        ("jvm.memory.committed", |pool| pool.committed),
    ];
    for (name, part) in parts {
        gauges.many(name, BYTES, pools, part, |writer, pool| {
            let known = PoolType::try_from(pool.r#type).ok();
            write_enum(writer, "jvm.memory.pool.name", pool.r#type, known.map(|pool| pool.as_str_name()));
            let is_heap = matches!(
                known,
                Some(
                    PoolType::NewgenUsage
                        | PoolType::OldgenUsage
                        | PoolType::SurvivorUsage
                        | PoolType::ZheapUsage
                )
            );
            write_text(writer, ATTRIBUTES, "jvm.memory.type", memory_type(is_heap));
        })?;
    }
    Ok(())
}

fn write_gc(gauges: &mut Gauges<'_, '_>, gc: &[Gc]) -> Result<(), Malformed> {
    let parts: [(&str, Part<Gc>); 2] = [
        ("{collection}", ("skywalking.jvm.gc.count", |gc| gc.count)),
        ("ms", ("skywalking.jvm.gc.time", |gc| gc.time)),
    ];
    for (unit, (name, part)) in parts {
        gauges.many(name, unit, gc, part, |writer, gc| {
            let known = GcPhase::try_from(gc.phase).ok();
            write_enum(writer, "jvm.gc.name", gc.phase, known.map(|phase| phase.as_str_name()));
        })?;
    }
    Ok(())
}

fn write_threads(gauges: &mut Gauges<'_, '_>, thread: &Thread) -> Result<(), Malformed> {
    const UNIT: &str = "{thread}";
    gauges.one("skywalking.jvm.thread.live", UNIT, thread.live_count)?;
    gauges.one("skywalking.jvm.thread.daemon", UNIT, thread.daemon_count)?;
    gauges.one("skywalking.jvm.thread.peak", UNIT, thread.peak_count)?;
    let states = [
        ("runnable", thread.runnable_state_thread_count),
        ("blocked", thread.blocked_state_thread_count),
        ("waiting", thread.waiting_state_thread_count),
        ("timed_waiting", thread.timed_waiting_state_thread_count),
    ];
    gauges.many(
        "jvm.thread.count",
        UNIT,
        &states,
        |(_, count)| *count,
        |writer, (state, _)| {
            write_text(writer, ATTRIBUTES, "jvm.thread.state", state);
        },
    )
}

fn write_clr(gauges: &mut Gauges<'_, '_>, clr: &ClrMetric) -> Result<(), Malformed> {
    if let Some(cpu) = &clr.cpu {
        gauges.double("skywalking.clr.cpu.usage", "%", cpu.usage_percent)?;
    }
    if let Some(gc) = &clr.gc {
        let generations = [
            ("gen0", gc.gen0_collect_count),
            ("gen1", gc.gen1_collect_count),
            ("gen2", gc.gen2_collect_count),
        ];
        gauges.many(
            "skywalking.clr.gc.collections",
            "{collection}",
            &generations,
            |(_, count)| *count,
            |writer, (generation, _)| write_text(writer, ATTRIBUTES, "gc.heap.generation", generation),
        )?;
        gauges.one("skywalking.clr.gc.heap_memory", BYTES, gc.heap_memory)?;
    }
    if let Some(thread) = &clr.thread {
        for (name, count) in [
            ("skywalking.clr.thread.available_completion_port", thread.available_completion_port_threads),
            ("skywalking.clr.thread.available_worker", thread.available_worker_threads),
            ("skywalking.clr.thread.max_completion_port", thread.max_completion_port_threads),
            ("skywalking.clr.thread.max_worker", thread.max_worker_threads),
        ] {
            gauges.one(name, "{thread}", count.into())?;
        }
    }
    Ok(())
}

const fn memory_type(is_heap: bool) -> &'static str {
    if is_heap { "heap" } else { "non_heap" }
}

fn write_enum(writer: &mut Writer<'_>, key: &str, value: i32, name: Option<&str>) {
    match name {
        Some(name) => write_text(writer, ATTRIBUTES, key, name),
        None => write_int(writer, ATTRIBUTES, key, value.into()),
    }
}

/// Writes gauges of one moment.
struct Gauges<'g, 'o> {
    items: &'g mut Items<'o>,
    time: u64,
}

impl Gauges<'_, '_> {
    fn one(&mut self, name: &str, unit: &str, value: i64) -> Result<(), Malformed> {
        self.many(name, unit, &[value], |value| *value, |_, _| {})
    }

    fn double(&mut self, name: &str, unit: &str, value: f64) -> Result<(), Malformed> {
        self.write(name, unit, 1, |writer, time| {
            writer.message(1, |writer| {
                writer.fixed64(3, time);
                writer.double(4, value);
            });
        })
    }

    /// A data point for each entry; nothing without entries.
    fn many<T>(
        &mut self,
        name: &str,
        unit: &str,
        entries: &[T],
        value: impl Fn(&T) -> i64,
        attributes: impl Fn(&mut Writer<'_>, &T),
    ) -> Result<(), Malformed> {
        if entries.is_empty() {
            return Ok(());
        }
        self.write(name, unit, entries.len(), |writer, time| {
            for entry in entries {
                writer.message(1, |writer| {
                    attributes(writer, entry);
                    writer.fixed64(3, time);
                    writer.fixed64(6, value(entry).cast_unsigned());
                });
            }
        })
    }

    fn write(
        &mut self,
        name: &str,
        unit: &str,
        points: usize,
        fill: impl FnOnce(&mut Writer<'_>, u64),
    ) -> Result<(), Malformed> {
        let time = self.time;
        self.items.item(points, |writer, _| {
            writer.bytes(1, name.as_bytes());
            writer.bytes(3, unit.as_bytes());
            writer.message(5, |writer| fill(writer, time));
            Ok(())
        })
    }
}
