use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use sluice_pipeline::{
    Chunk, Context, Signal,
    component::{ComponentConfig, ComponentContext},
    config::{Problems, decode, parse, types::Duration},
    outlet::offer,
};

use super::*;

#[derive(Default)]
struct Sink(AtomicUsize);

impl Consumer for Sink {
    fn reserve<'a>(&'a self, _demand: &'a Demand) -> BoxFuture<'a, Result<Permit, Failure>> {
        Box::pin(async { Ok(Permit::none()) })
    }

    fn consume(&self, batch: Batch, _permit: Permit) -> BoxFuture<'_, Reply> {
        self.0.fetch_add(batch.items(), Ordering::Relaxed);
        Box::pin(async { Reply::Delivered })
    }

    fn drain(&self, _deadline: Instant) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

fn limited_to(mebibytes: u64) -> MemoryLimiterConfig {
    MemoryLimiterConfig {
        check_interval: Duration::from_secs(1),
        limit_mib: mebibytes,
        ..MemoryLimiterConfig::default()
    }
}

fn build(config: MemoryLimiterConfig, budget: &Budget, sink: &Arc<Sink>) -> Arc<dyn Consumer> {
    let context = ProcessorContext {
        component: ComponentContext::detached("memory_limiter", budget.clone()),
        pipeline: "traces".parse().unwrap(),
        answers_later: true,
    };
    MemoryLimiter::build(config, context, Arc::<Sink>::clone(sink)).unwrap()
}

fn batch(items: usize) -> Batch {
    Batch::new(Signal::Traces, Chunk::new(Bytes::from_static(b"x"), items), Context::default())
}

fn keys(config: &MemoryLimiterConfig) -> Vec<String> {
    config.problems().into_iter().map(|problem| problem.key).collect()
}

#[tokio::test]
async fn data_is_refused_above_the_soft_limit_and_taken_below_it() {
    let budget = Budget::new(1 << 40);
    let sink = Arc::new(Sink::default());
    let limiter = build(limited_to(100), &budget, &sink);
    assert_eq!(budget.limit(), 100 << 20);
    let charge = budget.charge(80 << 20).unwrap();
    assert_eq!(offer(&*limiter, batch(3)).await, Reply::Delivered, "the soft limit is 80 MiB");
    let one_more = budget.charge(1).unwrap();
    let Reply::Failed(failure) = offer(&*limiter, batch(5)).await else { panic!("it was taken") };
    assert!(!failure.is_permanent());
    assert_eq!(failure.code, Some(Code::Unavailable));
    drop((charge, one_more));
    assert_eq!(offer(&*limiter, batch(1)).await, Reply::Delivered);
    assert_eq!(sink.0.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn the_smallest_limit_holds_and_goes_with_its_processor() {
    let budget = Budget::new(1 << 40);
    let sink = Arc::new(Sink::default());
    let large = build(limited_to(200), &budget, &sink);
    let small = build(limited_to(100), &budget, &sink);
    assert_eq!(budget.limit(), 100 << 20);
    drop(small);
    assert_eq!(budget.limit(), 200 << 20);
    drop(large);
    assert_eq!(budget.limit(), 1 << 40);
}

#[test]
fn limits_come_from_mebibytes_or_a_percentage() {
    let spiked = MemoryLimiterConfig { spike_limit_mib: 30, ..limited_to(100) };
    assert_eq!(spiked.limits(0), config::Limits { hard: 100 << 20, soft: 70 << 20 });
    let share = MemoryLimiterConfig { limit_percentage: 80, spike_limit_percentage: 20, ..limited_to(0) };
    assert_eq!(share.limits(1_000), config::Limits { hard: 800, soft: 600 });
    let fifth = MemoryLimiterConfig { limit_percentage: 50, ..limited_to(0) };
    assert_eq!(fifth.limits(1_000), config::Limits { hard: 500, soft: 400 });
}

#[test]
fn the_collectors_rules_hold() {
    assert_eq!(keys(&limited_to(100)), [""; 0]);
    assert_eq!(keys(&MemoryLimiterConfig::default()), ["check_interval", ""]);
    let spiked = MemoryLimiterConfig { spike_limit_mib: 100, ..limited_to(100) };
    assert_eq!(keys(&spiked), ["spike_limit_mib"]);
    let percentages =
        MemoryLimiterConfig { limit_percentage: 101, spike_limit_percentage: 101, ..limited_to(0) };
    assert_eq!(keys(&percentages), ["limit_percentage", "spike_limit_percentage", "spike_limit_percentage"]);
    let intervals =
        MemoryLimiterConfig { min_gc_interval_when_hard_limited: Duration::from_secs(11), ..limited_to(1) };
    assert_eq!(keys(&intervals), ["min_gc_interval_when_soft_limited"]);
}

#[test]
fn it_reads_a_collectors_file() {
    let text = "{check_interval: 1s, limit_percentage: 75, spike_limit_percentage: 15, min_gc_interval_when_hard_limited: 1s}";
    let mut problems = Problems::default();
    let node = parse("c.yaml", text, &mut problems).unwrap();
    let config: MemoryLimiterConfig = decode(&node, &mut problems).unwrap();
    assert_eq!((config.limit_percentage, config.spike_limit_percentage), (75, 15));
    assert_eq!(keys(&config), [""; 0]);
}
