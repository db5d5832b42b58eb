use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::{
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span, TracesData},
};
use prost::Message;
use sluice_pipeline::{
    Batch, Chunk, Context, Reply, Signal,
    budget::Budget,
    component::{ComponentConfig, ComponentContext},
    otlp::count,
    outlet::offer,
};
use tokio::sync::mpsc;

use super::*;
use crate::testing::{Reluctant, decoded, text};

struct Setup {
    processor: Arc<dyn Consumer>,
    taken: mpsc::Receiver<Batch>,
    budget: Budget,
    begin: tokio::time::Instant,
}

fn setup(yaml: &str, limit: u64, refusals: usize) -> Setup {
    let config: GroupByTraceConfig = decoded(yaml);
    assert_eq!(config.problems(), []);
    let (next, taken) = Reluctant::new(refusals);
    let budget = Budget::new(limit);
    let context = ProcessorContext {
        component: ComponentContext::detached("groupbytrace", budget.clone()),
        pipeline: "traces".parse().unwrap(),
        answers_later: true,
    };
    let processor = GroupByTrace::build(config, context, next).unwrap();
    Setup { processor, taken, budget, begin: tokio::time::Instant::now() }
}

/// Spans of one service, each of the trace with this number.
fn batch(service: &str, traces: &[u8], context: Context) -> Batch {
    let span = |trace: &u8| Span {
        trace_id: vec![*trace; 16],
        name: format!("{service} {trace}"),
        ..Span::default()
    };
    let data = TracesData {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: vec![text("service.name", service)],
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                spans: traces.iter().map(span).collect(),
                schema_url: "scope".into(),
                ..ScopeSpans::default()
            }],
            schema_url: "resource".into(),
        }],
    };
    Batch::new(Signal::Traces, Chunk::new(data.encode_to_vec().into(), traces.len()), context)
}

impl Setup {
    async fn send(&self, service: &str, traces: &[u8]) -> Reply {
        offer(self.processor.as_ref(), batch(service, traces, Context::default())).await
    }

    /// The names of the spans of each chunk of the next batch.
    async fn next(&mut self) -> Vec<Vec<String>> {
        names(&self.taken.recv().await.unwrap())
    }
}

fn names(batch: &Batch) -> Vec<Vec<String>> {
    let of_chunk = |chunk: &Chunk| {
        assert_eq!(count::count(Signal::Traces, chunk.bytes()), chunk.items());
        let groups = TracesData::decode(chunk.bytes().clone()).unwrap().resource_spans;
        assert!(groups.iter().all(|group| group.resource.is_some() && group.schema_url == "resource"));
        let scopes = groups.into_iter().flat_map(|group| group.scope_spans);
        scopes
            .inspect(|scope| assert_eq!(scope.schema_url, "scope"))
            .flat_map(|scope| scope.spans)
            .map(|span| span.name)
            .collect()
    };
    batch.chunks().iter().map(of_chunk).collect()
}

#[tokio::test(start_paused = true)]
async fn the_spans_of_a_trace_leave_together_a_second_after_the_first() {
    let mut setup = setup("{}", 1 << 30, 0);
    assert!(matches!(setup.send("web", &[1, 2, 1]).await, Reply::Delivered));
    tokio::time::sleep(Duration::from_millis(600)).await;
    setup.send("stock", &[1, 3]).await;
    let first = setup.next().await;
    let after = setup.begin.elapsed();
    assert!((Duration::from_secs(1)..Duration::from_millis(1100)).contains(&after), "{after:?}");
    let mut first: Vec<String> = first.into_iter().map(|trace| trace.join(", ")).collect();
    first.sort();
    assert_eq!(first, ["web 1, web 1, stock 1", "web 2"]);
    assert_eq!(setup.next().await, [["stock 3"]]);
    let after = setup.begin.elapsed();
    assert!((Duration::from_millis(1600)..Duration::from_millis(1700)).contains(&after), "{after:?}");
    tokio::task::yield_now().await;
    assert_eq!(setup.budget.queued(), 0);
}

#[tokio::test(start_paused = true)]
async fn too_many_traces_make_the_oldest_leave_early() {
    let mut setup = setup("{num_traces: 2}", 1 << 30, 0);
    for trace in 1..=3 {
        setup.send("web", &[trace]).await;
    }
    assert_eq!(setup.next().await, [["web 1"]]);
    assert_eq!(setup.begin.elapsed(), Duration::ZERO);
    assert_eq!(setup.next().await, [["web 2"], ["web 3"]]);
}

#[tokio::test(start_paused = true)]
async fn what_has_no_room_is_refused_and_what_was_taken_leaves() {
    let mut setup = setup("{}", 100_000, 0);
    let traces: Vec<u8> = (1..=50).collect();
    let mut taken = 0;
    while matches!(setup.send("web", &traces).await, Reply::Delivered) {
        taken += 1;
        assert!(taken < 100, "nothing is ever refused");
    }
    assert!(taken > 0);
    let spans: usize = setup.next().await.iter().map(Vec::len).sum();
    assert_eq!(spans, taken * 50);
    tokio::task::yield_now().await;
    assert!(matches!(setup.send("web", &traces).await, Reply::Delivered), "there is room again");
}

#[tokio::test(start_paused = true)]
async fn a_busy_next_stage_is_asked_again_and_the_drain_waits_for_it() {
    let mut setup = setup("{wait_duration: 1h}", 1 << 30, 3);
    setup.send("web", &[1, 2]).await;
    setup.processor.drain((tokio::time::Instant::now() + Duration::from_secs(10)).into_std()).await;
    assert_eq!(setup.next().await.len(), 2);
    assert!(setup.begin.elapsed() < Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn metadata_goes_with_the_trace_and_deadlines_do_not() {
    let mut setup = setup("{}", 1 << 30, 0);
    let mut context =
        Context { deadline: Some(Instant::now() + Duration::from_millis(10)), ..Context::default() };
    context.metadata.insert("tenant", "blue".parse().unwrap());
    offer(setup.processor.as_ref(), batch("web", &[1], context)).await;
    setup.send("web", &[2]).await;
    let (one, other) = (setup.taken.recv().await.unwrap(), setup.taken.recv().await.unwrap());
    let (with, without) = if one.context().metadata.is_empty() { (other, one) } else { (one, other) };
    assert_eq!(
        (names(&with), names(&without)),
        (vec![vec!["web 1".to_owned()]], vec![vec!["web 2".to_owned()]])
    );
    assert_eq!(with.context().metadata["tenant"], "blue");
    assert!(with.context().deadline.is_none() && without.context().metadata.is_empty());
}

#[test]
fn wrong_settings_are_found() {
    for (yaml, key) in [
        ("{num_traces: 0}", "num_traces"),
        ("{num_workers: 0}", "num_workers"),
        ("{wait_duration: 0s}", "wait_duration"),
        ("{discard_orphans: true}", "discard_orphans"),
        ("{store_on_disk: true}", "store_on_disk"),
    ] {
        let problems = decoded::<GroupByTraceConfig>(yaml).problems();
        assert_eq!(problems.iter().map(|problem| problem.key.as_str()).collect::<Vec<_>>(), [key], "{yaml}");
    }
    assert_eq!(
        decoded::<GroupByTraceConfig>("{discard_orphans: false, store_on_disk: false}").problems(),
        []
    );
}
