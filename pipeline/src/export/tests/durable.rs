//! The seam to the durable queue, against one that keeps its records in memory.

use std::{
    collections::{BTreeMap, HashMap},
    future::pending,
};

use super::*;
use crate::{
    component::{Capabilities, ComponentId, DurableQueue, QueueOwner, QueueUsage, Storage},
    export::answers_later,
};

/// A store whose disk is a map. Syncing takes 10 ms.
#[derive(Default)]
struct Store {
    state: Mutex<Records>,
    appended: tokio::sync::Notify,
    full: std::sync::atomic::AtomicBool,
}

#[derive(Default)]
struct Records {
    last: u64,
    unread: BTreeMap<u64, Batch>,
    unsettled: BTreeMap<u64, Batch>,
    settled: Vec<(u64, Reply)>,
}

impl Store {
    fn settled(&self) -> Vec<(u64, Reply)> {
        self.state.lock().unwrap().settled.clone()
    }

    /// What was read and not settled is read again.
    fn restart(&self) {
        let mut state = self.state.lock().unwrap();
        state.unread = state.unsettled.clone();
    }

    fn unsettled(&self) -> usize {
        self.state.lock().unwrap().unsettled.len()
    }
}

impl DurableQueue for Store {
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move {
            if self.full.load(std::sync::atomic::Ordering::Relaxed) {
                return Err(Failure::retryable("the disk is full"));
            }
            wait(10).await;
            let mut state = self.state.lock().unwrap();
            state.last += 1;
            let number = state.last;
            state.unread.insert(number, batch.clone());
            state.unsettled.insert(number, batch);
            drop(state);
            self.appended.notify_one();
            Ok(())
        })
    }

    fn next(&self) -> BoxFuture<'_, (u64, Batch)> {
        Box::pin(async move {
            loop {
                let first = self.state.lock().unwrap().unread.pop_first();
                match first {
                    Some(record) => return record,
                    None => self.appended.notified().await,
                }
            }
        })
    }

    fn settle(&self, number: u64, reply: &Reply) -> BoxFuture<'_, Result<(), Failure>> {
        let reply = reply.clone();
        Box::pin(async move {
            let mut state = self.state.lock().unwrap();
            state.unsettled.remove(&number);
            state.settled.push((number, reply));
            Ok(())
        })
    }

    fn usage(&self) -> QueueUsage {
        let state = self.state.lock().unwrap();
        let batches = state.unsettled.values();
        QueueUsage {
            requests: batches.len(),
            items: batches.clone().map(Batch::items).sum(),
            bytes: batches.map(Batch::bytes).sum(),
            oldest: (!state.unsettled.is_empty()).then_some(Duration::from_secs(4)),
        }
    }
}

struct Disk(Option<Arc<Store>>);

impl Storage for Disk {
    fn queue(&self, _owner: QueueOwner) -> BoxFuture<'_, Result<Arc<dyn DurableQueue>, Failure>> {
        let store = self.0.clone();
        Box::pin(async move {
            match store {
                Some(store) => Ok(store as Arc<dyn DurableQueue>),
                None => pending().await,
            }
        })
    }
}

fn with_storage(store: Option<&Arc<Store>>) -> ExporterContext {
    let mut context = context();
    let storage: Arc<dyn Storage> = Arc::new(Disk(store.map(Arc::clone)));
    let offered = Capabilities { storage: Some(storage), ..Capabilities::default() };
    let id = ComponentId::of_type("file_storage");
    context.component.extensions = Arc::new(HashMap::from([(id, offered)]));
    context
}

fn config() -> QueueConfig {
    QueueConfig { storage: Some(ComponentId::of_type("file_storage")), ..QueueConfig::default() }
}

#[tokio::test(start_paused = true)]
async fn callers_are_answered_after_the_sync_and_deliveries_are_recorded() {
    let destination = Arc::new(Destination::slow(Duration::from_secs(1)));
    let store = Arc::new(Store::default());
    let exporter = start_in(&destination, config(), &with_storage(Some(&store)));
    assert_eq!(offer(&*exporter, batch(3)).await, Reply::Delivered);
    assert_eq!((now() - destination.started).as_millis(), 10, "not before the sync, nor much later");
    assert_eq!(store.unsettled(), 1);
    wait(1_500).await;
    assert_eq!(destination.sizes(), [3]);
    assert_eq!(store.settled(), [(1, Reply::Delivered)]);
}

#[tokio::test(start_paused = true)]
async fn permanent_failures_are_settled_and_passing_ones_retried() {
    let answers = |number, batch: &Batch| match (number, batch.items()) {
        (1, _) => busy(),
        (_, 2) => bad(),
        _ => Reply::Delivered,
    };
    let destination = Arc::new(Destination::new(answers));
    let store = Arc::new(Store::default());
    let exporter = start_in(&destination, config(), &with_storage(Some(&store)));
    offer(&*exporter, batch(1)).await;
    offer(&*exporter, batch(2)).await;
    wait(6_000).await;
    assert_eq!(store.settled(), [(2, bad()), (1, Reply::Delivered)]);
}

#[tokio::test(start_paused = true)]
async fn what_was_not_delivered_at_the_shutdown_stays() {
    let metrics = Metrics::record();
    let destination = Arc::new(Destination::new(|_, _| busy()));
    let store = Arc::new(Store::default());
    let exporter = start_in(&destination, config(), &with_storage(Some(&store)));
    offer(&*exporter, batch(1)).await;
    wait(1_000).await;
    exporter.drain(in_seconds(10)).await;
    assert_eq!(store.settled(), []);
    assert_eq!(store.unsettled(), 1);
    assert_eq!(metrics.value("otelcol_exporter_send_failed_spans", "otlp"), 0.0, "nothing is given up");
    assert!(is_retryable(&offer(&*exporter, batch(1)).await));
    assert_eq!(metrics.value("otelcol_exporter_sent_spans", "otlp"), 0.0);

    store.restart();
    let recovered = Arc::new(Destination::healthy());
    let _next = start_in(&recovered, config(), &with_storage(Some(&store)));
    wait(1_000).await;
    assert_eq!(recovered.sizes(), [1], "the next start delivers what the last left");
    assert_eq!(store.settled(), [(1, Reply::Delivered)]);
}

#[tokio::test(start_paused = true)]
async fn without_retrying_a_shutdown_loses_nothing_either() {
    let metrics = Metrics::record();
    let begin = |destination: &Arc<Destination>, store: &Arc<Store>| {
        let retry = RetryConfig { enabled: false, ..RetryConfig::default() };
        let settings = Settings { timeout: Duration::ZERO, retry, queue: config() };
        let sender: Arc<dyn Sender> = Arc::<Destination>::clone(destination);
        Exporter::start(sender, settings, &with_storage(Some(store))).unwrap()
    };
    let latency = Duration::from_millis(500);
    let destination = Arc::new(Destination { latency, ..Destination::new(|_, _| busy()) });
    let store = Arc::new(Store::default());
    let exporter = begin(&destination, &store);
    offer(&*exporter, batch(1)).await;
    wait(100).await;
    assert_eq!(destination.busiest(), 1, "it is under way when the shutdown begins");
    exporter.drain(in_seconds(10)).await;
    assert_eq!((store.settled(), store.unsettled()), (vec![], 1));
    assert_eq!(metrics.value("otelcol_exporter_send_failed_spans", "otlp"), 0.0, "nothing is given up");

    store.restart();
    let recovered = Arc::new(Destination::healthy());
    let _next = begin(&recovered, &store);
    wait(1_000).await;
    assert_eq!((recovered.sizes(), store.settled()), (vec![1], vec![(1, Reply::Delivered)]));
}

#[tokio::test(start_paused = true)]
async fn what_is_tried_while_the_receivers_stop_stays_too() {
    let destination = Arc::new(Destination::new(|_, _| busy()));
    let store = Arc::new(Store::default());
    let exporter = start_in(&destination, config(), &with_storage(Some(&store)));
    offer(&*exporter, batch(1)).await;
    wait(1_000).await;
    exporter.hurry();
    offer(&*exporter, batch(2)).await;
    wait(1_000).await;
    exporter.drain(in_seconds(10)).await;
    assert_eq!((store.settled(), store.unsettled()), (vec![], 2));
}

#[tokio::test(start_paused = true)]
async fn records_are_batched_and_settled_one_by_one() {
    let destination = Arc::new(Destination::healthy());
    let store = Arc::new(Store::default());
    let batch_config = crate::export::BatchConfig { min_size: 4, ..crate::export::BatchConfig::default() };
    let config = QueueConfig { batch: Some(batch_config), ..config() };
    let exporter = start_in(&destination, config, &with_storage(Some(&store)));
    for _ in 0..6 {
        offer(&*exporter, batch(1)).await;
    }
    wait(1_000).await;
    assert_eq!(destination.sizes(), [4, 2]);
    let mut numbers: Vec<_> = store.settled().into_iter().map(|(number, _)| number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6]);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_refuses_is_reported_to_the_caller() {
    let metrics = Metrics::record();
    let destination = Arc::new(Destination::healthy());
    let store = Arc::new(Store { full: true.into(), ..Store::default() });
    let exporter = start_in(&destination, config(), &with_storage(Some(&store)));
    assert!(is_retryable(&offer(&*exporter, batch(4)).await));
    assert_eq!(metrics.value("otelcol_exporter_enqueue_failed_spans", "otlp"), 4.0);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_may_wait_waits_for_a_full_disk_until_its_deadline() {
    let destination = Arc::new(Destination::healthy());
    let store = Arc::new(Store { full: true.into(), ..Store::default() });
    let config = QueueConfig { block_on_overflow: true, ..config() };
    let exporter = start_in(&destination, config, &with_storage(Some(&store)));
    assert!(is_retryable(&offer(&*exporter, batch_until(1, 450)).await));
    assert_eq!((now() - destination.started).as_millis(), 450);
    let room = async {
        wait(250).await;
        store.full.store(false, std::sync::atomic::Ordering::Relaxed);
    };
    let waiting = batch_until(2, 5_000);
    let (reply, ()) = tokio::join!(offer(&*exporter, waiting), room);
    assert_eq!(reply, Reply::Delivered);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_or_lets_its_callers_wait() {
    let metrics = Metrics::record();
    let store = Arc::new(Store::default());
    let destination = Arc::new(Destination::slow(Duration::from_secs(1)));
    for blocks in [false, true] {
        let config = QueueConfig {
            queue_size: 3,
            sizer: Some(crate::export::Sizer::Items),
            num_consumers: 1,
            block_on_overflow: blocks,
            ..config()
        };
        let exporter = start_in(&destination, config, &with_storage(Some(&store)));
        assert_eq!(offer(&*exporter, batch(2)).await, Reply::Delivered);
        let begin = now();
        let second = offer(&*exporter, batch_until(2, 5_000)).await;
        if blocks {
            assert_eq!(second, Reply::Delivered, "there is room once the first is delivered");
            assert!(now() - begin > Duration::from_millis(900));
        } else {
            assert!(is_retryable(&second), "{second:?}");
            assert_eq!(metrics.value("otelcol_exporter_enqueue_failed_spans", "otlp"), 2.0);
        }
        let never = offer(&*exporter, batch(4)).await;
        assert!(!is_retryable(&never), "{never:?}");
        wait(5_000).await;
        assert_eq!(store.unsettled(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_store_holds_is_reported() {
    let metrics = Metrics::record();
    let store = Arc::new(Store::default());
    let destination = Arc::new(Destination::slow(Duration::from_secs(10)));
    let exporter = start_in(&destination, config(), &with_storage(Some(&store)));
    offer(&*exporter, batch(3)).await;
    wait(1_500).await;
    for (name, value) in [
        ("otelcol_exporter_queue_size", 1.0),
        ("otelcol_exporter_queue_capacity", 1000.0),
        ("sluice_exporter_queue_bytes", 30.0),
        ("sluice_exporter_queue_oldest_seconds", 4.0),
    ] {
        assert_eq!(metrics.value(name, "otlp"), value, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_open_keeps_callers_no_longer_than_they_wait() {
    let destination = Arc::new(Destination::healthy());
    let exporter = start_in(&destination, config(), &with_storage(None));
    assert!(is_retryable(&offer(&*exporter, batch_until(1, 300)).await));
    assert_eq!((now() - destination.started).as_millis(), 300);
}

#[tokio::test]
async fn a_missing_storage_is_a_located_error() {
    let sender: Arc<dyn Sender> = Arc::new(Destination::healthy());
    let settings = Settings { timeout: Duration::ZERO, retry: RetryConfig::default(), queue: config() };
    let Err(error) = Exporter::start(sender, settings, &context()) else { panic!("it started") };
    assert!(error.to_string().starts_with("sending_queue.storage: "), "{error}");
}

#[test]
fn only_a_plain_memory_queue_answers_early() {
    assert!(!answers_later(&QueueConfig::default()));
    assert!(answers_later(&QueueConfig::disabled()));
    assert!(answers_later(&QueueConfig { wait_for_result: true, ..QueueConfig::default() }));
    assert!(answers_later(&config()));
}

/// A storage with a defect.
struct Broken;

impl Storage for Broken {
    fn queue(&self, _owner: QueueOwner) -> BoxFuture<'_, Result<Arc<dyn DurableQueue>, Failure>> {
        Box::pin(async { panic!("a defect") })
    }
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_nobody_reads_any_more_turns_health_red() {
    let mut context = context();
    let offered = Capabilities { storage: Some(Arc::new(Broken)), ..Capabilities::default() };
    let id = ComponentId::of_type("file_storage");
    context.component.extensions = Arc::new(HashMap::from([(id, offered)]));
    let _exporter = start_in(&Arc::new(Destination::healthy()), config(), &context);
    wait(10).await;
    let died = context.component.status.snapshot().died;
    assert_eq!(died.len(), 1);
    assert_eq!((died[0].component.as_str(), died[0].task), ("exporter otlp", "reads its sending queue"));
}
