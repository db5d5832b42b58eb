use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use sluice_pipeline::{
    Batch as Data, Chunk, Code, Context, Demand, Failure, Permit, Reply, Signal,
    budget::Budget,
    component::{ComponentConfig, ComponentContext},
    config::types,
    outlet::offer,
};

use super::*;

/// A next stage that answers after a while and remembers what it took.
struct Stage {
    latency: Duration,
    full: AtomicBool,
    answer: Box<dyn Fn(&Data) -> Reply + Send + Sync>,
    taken: Mutex<Vec<(Duration, Data)>>,
    started: Instant,
}

impl Stage {
    fn new(answer: impl Fn(&Data) -> Reply + Send + Sync + 'static) -> Self {
        Self {
            latency: Duration::ZERO,
            full: AtomicBool::new(false),
            answer: Box::new(answer),
            taken: Mutex::default(),
            started: now(),
        }
    }

    fn slow(milliseconds: u64) -> Arc<Self> {
        Arc::new(Self { latency: Duration::from_millis(milliseconds), ..Self::new(|_| Reply::Delivered) })
    }

    fn sizes(&self) -> Vec<usize> {
        self.taken.lock().unwrap().iter().map(|(_, batch)| batch.items()).collect()
    }

    fn times(&self) -> Vec<u128> {
        self.taken.lock().unwrap().iter().map(|(after, _)| after.as_millis()).collect()
    }
}

impl Consumer for Stage {
    fn reserve<'a>(&'a self, _demand: &'a Demand) -> BoxFuture<'a, Result<Permit, Failure>> {
        Box::pin(async {
            if self.full.load(Ordering::Relaxed) {
                return Err(Failure::retryable("sending queue is full"));
            }
            Ok(Permit::none())
        })
    }

    fn consume(&self, batch: Data, _permit: Permit) -> BoxFuture<'_, Reply> {
        Box::pin(async move {
            let reply = (self.answer)(&batch);
            self.taken.lock().unwrap().push((now() - self.started, batch));
            tokio::time::sleep(self.latency).await;
            reply
        })
    }

    fn drain(&self, _deadline: Instant) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

async fn wait(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}

fn build(config: BatchConfig, stage: &Arc<Stage>, answers_later: bool) -> Arc<dyn Consumer> {
    build_in(config, stage, answers_later, Budget::new(1 << 30))
}

fn build_in(
    config: BatchConfig,
    stage: &Arc<Stage>,
    answers_later: bool,
    budget: Budget,
) -> Arc<dyn Consumer> {
    let component = ComponentContext::detached("batch", budget);
    let context = ProcessorContext { component, pipeline: "traces".parse().unwrap(), answers_later };
    Batch::build(config, context, Arc::<Stage>::clone(stage)).unwrap()
}

fn batch(items: usize) -> Data {
    batch_with(items, Context::default())
}

fn batch_with(items: usize, context: Context) -> Data {
    Data::new(Signal::Traces, Chunk::new(Bytes::from(vec![0; items * 10]), items), context)
}

fn of_tenant(items: usize, tenant: &str) -> Data {
    let mut context = Context::default();
    context.metadata.insert("tenant", tenant.parse().unwrap());
    batch_with(items, context)
}

fn sized(send_batch_size: usize) -> BatchConfig {
    BatchConfig { send_batch_size, ..BatchConfig::default() }
}

async fn offer_all(processor: &Arc<dyn Consumer>, batches: Vec<Data>) -> Vec<Reply> {
    let offers = batches.into_iter().map(|batch| {
        let processor = Arc::clone(processor);
        tokio::spawn(async move { offer(&*processor, batch).await })
    });
    let mut replies = Vec::new();
    for task in offers.collect::<Vec<_>>() {
        replies.push(task.await.unwrap());
    }
    replies
}

fn is_retryable(reply: &Reply) -> bool {
    matches!(reply, Reply::Failed(failure) if !failure.is_permanent())
}

#[tokio::test(start_paused = true)]
async fn before_a_memory_queue_callers_are_answered_on_admission() {
    let stage = Stage::slow(0);
    let processor = build(sized(10), &stage, false);
    for items in [4, 4, 4, 3] {
        assert_eq!(offer(&*processor, batch(items)).await, Reply::Delivered);
        wait(10).await;
    }
    assert_eq!((stage.sizes(), stage.times()), (vec![12], vec![20]), "full with the third");
    wait(300).await;
    assert_eq!((stage.sizes(), stage.times()), (vec![12, 3], vec![20, 230]), "the rest after the timeout");
}

#[tokio::test(start_paused = true)]
async fn a_serial_client_is_not_throttled_where_its_answer_comes_later() {
    let stage = Stage::slow(5);
    let processor = build(BatchConfig::default(), &stage, true);
    for _ in 0..200 {
        assert_eq!(offer(&*processor, batch(1)).await, Reply::Delivered);
    }
    assert_eq!((now() - stage.started).as_millis(), 1_000, "200 requests of 5 ms, not of 200 ms");
}

#[tokio::test(start_paused = true)]
async fn what_arrives_while_a_batch_is_under_way_is_joined() {
    let stage = Stage::slow(50);
    let processor = build(BatchConfig::default(), &stage, true);
    let first = tokio::spawn({
        let processor = Arc::clone(&processor);
        async move { offer(&*processor, batch(1)).await }
    });
    wait(1).await;
    let replies = offer_all(&processor, (0..20).map(|_| batch(1)).collect()).await;
    assert_eq!(first.await.unwrap(), Reply::Delivered);
    assert!(replies.iter().all(|reply| *reply == Reply::Delivered));
    assert_eq!((stage.sizes(), stage.times()), (vec![1, 20], vec![0, 50]));
}

#[tokio::test(start_paused = true)]
async fn the_timeout_and_the_callers_deadline_bound_the_wait() {
    let stage = Stage::slow(10_000);
    let processor = build(BatchConfig::default(), &stage, true);
    let hurried = Context { deadline: Some(now() + Duration::from_millis(100)), ..Context::default() };
    let offers = [batch(1), batch_with(2, hurried)].map(|batch| {
        let processor = Arc::clone(&processor);
        async move { offer(&*processor, batch).await }
    });
    let [first, second] = offers;
    let first = tokio::spawn(first);
    wait(1).await;
    let second = tokio::spawn(second);
    wait(1).await;
    let third = tokio::spawn({
        let processor = Arc::clone(&processor);
        async move { offer(&*processor, batch(3)).await }
    });
    let late = second.await.unwrap();
    assert!(matches!(late, Reply::Failed(failure) if failure.code == Some(Code::DeadlineExceeded)));
    assert!(
        (100..=101).contains(&(now() - stage.started).as_millis()),
        "the caller is told when its time is up"
    );
    wait(300).await;
    assert_eq!(stage.sizes(), [1, 5], "the hurried one left with all that was there");
    let left = stage.times()[1];
    assert!((50..=51).contains(&left), "half-way to its deadline, though one was under way: {left}");
    assert_eq!(third.await.unwrap(), Reply::Delivered);
    assert_eq!(first.await.unwrap(), Reply::Delivered);
}

#[tokio::test(start_paused = true)]
async fn each_held_caller_gets_its_own_answer() {
    let poison = batch(2);
    let (origin, bad) = (poison.origins()[0], Reply::Failed(Failure::permanent("bad")));
    let answer = {
        let bad = bad.clone();
        move |batch: &Data| {
            let reply = |other| if other == origin { bad.clone() } else { Reply::Delivered };
            Reply::Mixed(batch.origins().into_iter().map(|other| (other, reply(other))).collect())
        }
    };
    let stage = Arc::new(Stage::new(answer));
    let processor = build(BatchConfig::default(), &stage, true);
    let replies = offer_all(&processor, vec![batch(1), poison, batch(1)]).await;
    assert_eq!(stage.sizes(), [4]);
    assert_eq!(replies, [Reply::Delivered, bad, Reply::Delivered]);
}

#[tokio::test(start_paused = true)]
async fn a_full_next_stage_is_waited_for_and_new_data_refused() {
    let stage = Stage::slow(0);
    stage.full.store(true, Ordering::Relaxed);
    let processor = build(sized(1), &stage, false);
    assert_eq!(offer(&*processor, batch(1)).await, Reply::Delivered);
    wait(100).await;
    assert!(is_retryable(&offer(&*processor, batch(1)).await), "nothing is answered that has no place");
    stage.full.store(false, Ordering::Relaxed);
    wait(2_000).await;
    assert_eq!(stage.sizes(), [1], "what was answered went on");
    assert_eq!(offer(&*processor, batch(2)).await, Reply::Delivered);
}

#[tokio::test(start_paused = true)]
async fn the_byte_budget_bounds_what_fills_up() {
    let stage = Stage::slow(0);
    let processor = build_in(BatchConfig::default(), &stage, false, Budget::new(1_000));
    assert_eq!(offer(&*processor, batch(40)).await, Reply::Delivered);
    assert!(is_retryable(&offer(&*processor, batch(20)).await), "600 bytes exceed half of the budget");
    wait(300).await;
    assert_eq!(offer(&*processor, batch(20)).await, Reply::Delivered);
}

#[tokio::test(start_paused = true)]
async fn metadata_keeps_batches_apart_up_to_a_limit() {
    let stage = Stage::slow(0);
    let config = BatchConfig {
        metadata_keys: vec!["Tenant".to_owned()],
        metadata_cardinality_limit: 2,
        ..BatchConfig::default()
    };
    let processor = build(config, &stage, false);
    for (items, tenant) in [(1, "red"), (2, "blue"), (4, "red")] {
        assert_eq!(offer(&*processor, of_tenant(items, tenant)).await, Reply::Delivered);
    }
    let third = offer(&*processor, of_tenant(1, "green")).await;
    assert!(matches!(third, Reply::Failed(failure) if failure.is_permanent()));
    wait(300).await;
    let mut sizes = stage.sizes();
    sizes.sort_unstable();
    assert_eq!(sizes, [2, 5]);
    assert!(
        stage.taken.lock().unwrap().iter().all(|(_, batch)| batch.context().metadata.contains_key("tenant"))
    );
    let late = offer(&*processor, of_tenant(1, "green")).await;
    assert!(!is_retryable(&late), "the limit is for the life of the process");
}

#[tokio::test(start_paused = true)]
async fn a_timeout_of_zero_sends_at_once() {
    let stage = Stage::slow(0);
    let config = BatchConfig { timeout: types::Duration::ZERO, ..BatchConfig::default() };
    let processor = build(config, &stage, false);
    offer(&*processor, batch(1)).await;
    wait(1).await;
    assert_eq!(stage.times(), [0]);
}

#[tokio::test(start_paused = true)]
async fn draining_flushes() {
    for answers_later in [false, true] {
        let stage = Stage::slow(0);
        let processor = build(BatchConfig::default(), &stage, answers_later);
        offer(&*processor, batch(3)).await;
        processor.drain(now() + Duration::from_secs(5)).await;
        assert_eq!(stage.sizes(), [3]);
        assert_eq!(now(), stage.started, "without waiting for the timeout");
        assert!(is_retryable(&offer(&*processor, batch(1)).await));
    }
}

#[tokio::test(start_paused = true)]
async fn draining_ends_at_its_deadline() {
    let stage = Stage::slow(60_000);
    let processor = build(sized(1), &stage, false);
    offer(&*processor, batch(1)).await;
    offer(&*processor, batch(2)).await;
    wait(1).await;
    processor.drain(now() + Duration::from_secs(2)).await;
    assert_eq!((now() - stage.started).as_millis(), 2_001);
}

#[test]
fn the_collectors_rules_hold() {
    let keys = |config: BatchConfig| -> Vec<String> {
        config.problems().into_iter().map(|problem| problem.key).collect()
    };
    assert_eq!(keys(BatchConfig::default()), [""; 0]);
    assert_eq!(keys(BatchConfig { send_batch_max_size: 8191, ..sized(8192) }), ["send_batch_max_size"]);
    let twice = vec!["a".to_owned(), "A".to_owned()];
    assert_eq!(keys(BatchConfig { metadata_keys: twice, ..sized(1) }), ["metadata_keys.1"]);
}
