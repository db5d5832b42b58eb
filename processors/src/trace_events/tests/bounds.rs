//! Memory, refusals, shutdown.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use sluice_pipeline::{
    Reply,
    budget::Budget,
    component::{ComponentConfig, ComponentContext, Outlets},
    config::types,
};

use super::{super::*, world::*};

const TRACE: [u8; 16] = [7; 16];
const CLIENT: i32 = 3;

fn old(id: u64) -> opentelemetry_proto::tonic::trace::v1::Span {
    span(CLIENT, TRACE, id, 0, ago(9_000), ago(8_000))
}

fn fresh(id: u64) -> opentelemetry_proto::tonic::trace::v1::Span {
    span(CLIENT, TRACE, id, 0, ago(100), ago(10))
}

fn exchange(id: u64) -> Exchange {
    Exchange::new("client", TRACE, id, ago(9_000) + 1_000_000, ago(8_000)).called("x")
}

fn deadline() -> Instant {
    tokio::time::Instant::now().into_std() + Duration::from_secs(5)
}

#[tokio::test(start_paused = true)]
async fn a_refused_batch_leaves_nothing_behind_and_joins_when_it_comes_again() {
    let world = World::new(|_| {});
    let host = Host::pid("h", 1);
    world.exchanges(vec![exchange(1).of(&host)]).await;
    let group = host.reports(vec![old(1), fresh(2)]);
    world.traces.is_refusing.store(true, Ordering::Relaxed);
    assert!(matches!(world.spans(vec![group.clone()]).await, Reply::Failed(_)));
    world.traces.is_refusing.store(false, Ordering::Relaxed);
    wait(1_000).await;
    assert!(world.left().is_empty(), "the caller still has them all");
    assert_eq!(world.spans(vec![group]).await, Reply::Delivered);
    wait(1_000).await;
    let mut events = world.events();
    events.sort();
    assert_eq!(events, [(1, vec!["x".to_owned()]), (2, vec![])]);
}

#[tokio::test(start_paused = true)]
async fn what_was_held_is_offered_until_it_is_taken() {
    let world = World::new(|_| {});
    world.spans(vec![Host::pid("h", 1).reports(vec![fresh(1)])]).await;
    world.traces.is_refusing.store(true, Ordering::Relaxed);
    wait(5_000).await;
    assert!(world.budget.queued() > 0, "it counts while it is on its way");
    world.traces.is_refusing.store(false, Ordering::Relaxed);
    wait(2_000).await;
    assert_eq!(world.left().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_exchange_told_twice_is_attached_once() {
    let world = World::new(|_| {});
    let host = Host::pid("h", 1);
    let twice = exchange(1);
    world.exchanges(vec![twice.clone().of(&host), twice.clone().of(&host)]).await;
    world.exchanges(vec![twice.of(&host)]).await;
    world.spans(vec![host.reports(vec![old(1)])]).await;
    assert_eq!(world.events(), [(1, vec!["x".to_owned()])]);
}

#[tokio::test(start_paused = true)]
async fn exchanges_beyond_the_bound_push_out_the_oldest() {
    let world = World::new(|config| config.max_exchange_bytes = 20_000);
    let host = Host::pid("h", 1);
    for id in 1..=100 {
        world.exchanges(vec![exchange(id).of(&host)]).await;
    }
    wait(1).await;
    let left = world.unjoined();
    assert!((50..100).contains(&left.len()), "{}", left.len());
    assert_eq!(left[0].span_id, 1u64.to_be_bytes());
    assert!(world.budget.queued() <= 20_000);
    world.spans(vec![host.reports(vec![old(100), old(1)])]).await;
    assert_eq!(world.events(), [(100, vec!["x".to_owned()]), (1, vec![])]);
}

#[tokio::test(start_paused = true)]
async fn spans_beyond_the_bound_leave_at_once() {
    let world = World::new(|config| config.max_held_span_bytes = 3_000);
    world.spans(vec![Host::pid("h", 1).reports((1..=50).map(fresh).collect())]).await;
    wait(1).await;
    assert!((40..50).contains(&world.left().len()), "{}", world.left().len());
    wait(600).await;
    assert_eq!(world.left().len(), 50);
}

#[tokio::test(start_paused = true)]
async fn the_budget_of_the_process_bounds_all_of_it() {
    let world = World::with_budget(Budget::new(20_000), |_| {});
    let host = Host::pid("h", 1);
    for id in 1..=100 {
        world.exchanges(vec![exchange(id).of(&host)]).await;
        world.spans(vec![host.reports(vec![fresh(1_000 + id), old(2_000 + id)])]).await;
        assert!(world.budget.queued() <= 15_000, "{}", world.budget.queued());
    }
    wait(60_000).await;
    assert_eq!((world.left().len(), world.unjoined().len()), (200, 100));
    assert_eq!(world.budget.queued(), 0, "all of it is given back");
}

#[tokio::test(start_paused = true)]
async fn memory_comes_back_with_time() {
    let world = World::new(|_| {});
    let host = Host::pid("h", 1);
    world.exchanges(vec![exchange(1).of(&host), exchange(2).of(&host)]).await;
    world.spans(vec![host.reports(vec![old(1), old(3), fresh(4)])]).await;
    assert!(world.budget.queued() > 0);
    wait(32_000).await;
    assert_eq!(world.budget.queued(), 0);
    assert_eq!((world.left().len(), world.unjoined().len()), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn draining_lets_everything_go() {
    let world = World::new(|_| {});
    let host = Host::pid("h", 1);
    world.exchanges(vec![exchange(1).of(&host)]).await;
    world.spans(vec![host.reports(vec![fresh(2)])]).await;
    let began = Instant::now();
    world.consumers[&Signal::Traces].drain(deadline()).await;
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!((world.left().len(), world.unjoined().len()), (1, 1));
    // Another pipeline may drain later.
    world.spans(vec![host.reports(vec![fresh(3)])]).await;
    world.exchanges(vec![exchange(4).of(&host)]).await;
    world.consumers[&Signal::Logs].drain(deadline()).await;
    assert_eq!((world.left().len(), world.unjoined().len()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn draining_ends_at_its_deadline() {
    let world = World::new(|_| {});
    world.spans(vec![Host::pid("h", 1).reports(vec![fresh(2)])]).await;
    world.traces.is_refusing.store(true, Ordering::Relaxed);
    let began = tokio::time::Instant::now();
    world.consumers[&Signal::Traces].drain(deadline()).await;
    assert_eq!(began.elapsed(), Duration::from_secs(5));
}

#[tokio::test]
async fn it_needs_a_pipeline_of_traces_behind_it() {
    let component = ComponentContext::detached("trace_events", Budget::new(1));
    let context = ConnectorContext { component, taken: vec![Signal::Logs], outlets: Outlets::default() };
    let error = TraceEvents::build(TraceEventsConfig::default(), context).err().unwrap();
    assert!(error.to_string().contains("no pipeline of traces"), "{error}");
}

#[test]
fn settings_that_cannot_work_are_named() {
    let keys = |change: fn(&mut TraceEventsConfig)| -> Vec<String> {
        let mut config = TraceEventsConfig::default();
        change(&mut config);
        config.problems().into_iter().map(|problem| problem.key).collect()
    };
    assert_eq!(keys(|_| {}), [""; 0]);
    assert_eq!(keys(|config| config.exchange_wait = types::Duration::ZERO), ["exchange_wait", "span_hold"]);
    assert_eq!(keys(|config| config.span_hold = types::Duration::from_secs(60)), ["span_hold"]);
    assert_eq!(keys(|config| config.events.clear()), ["events"]);
}
