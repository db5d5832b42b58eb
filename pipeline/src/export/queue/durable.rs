//! The sending queue behind a storage extension: a batch is answered once it is synced, and sent from there.

use std::{
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{
    StreamExt,
    future::{BoxFuture, OptionFuture},
    stream::FuturesUnordered,
};
use tokio::{
    sync::watch,
    time::{interval, sleep, timeout_at},
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::{AbortOnDropHandle, TaskTracker},
};
use tracing::error;

use super::{
    backlog::{Backlog, Consumers},
    rules,
    space::{Granted, Space, before},
};
use crate::{
    batch::Batch,
    batching::Ticket,
    component::{ComponentId, DurableQueue, Kind, QueueOwner, Storage},
    consumer::{Consumer, Demand, Permit},
    export::{QueueConfig, attempts::Attempts, direct::shutting_down},
    reply::{Code, Failure, Reply},
};

/// How long to wait before a storage that could not be opened is tried again.
const REOPEN_INTERVAL: Duration = Duration::from_secs(5);
/// How often what the queue holds is reported.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// How long a caller that may wait does so before an append that failed, on a full disk say, is tried again.
const APPEND_INTERVAL: Duration = Duration::from_millis(100);

/// Answers once a batch is synced. What was not delivered when the process ends is delivered by the next.
pub(in crate::export) struct Durable {
    backlog: Arc<Backlog>,
    store: watch::Receiver<Option<Arc<dyn DurableQueue>>>,
    space: Space,
    consumers: Consumers,
    reader: TaskTracker,
    _abort_reader: AbortOnDropHandle<()>,
    _close: DropGuard,
}

/// Reads the store into the backlog and settles what came of it.
struct Reader {
    storage: Arc<dyn Storage>,
    owner: QueueOwner,
    backlog: Arc<Backlog>,
    space: Space,
    /// How much is read ahead of the consumers, in the unit of the batching rules.
    ahead: usize,
}

impl Durable {
    pub(in crate::export) fn start(
        mut attempts: Attempts,
        config: &QueueConfig,
        storage: Arc<dyn Storage>,
        owner: QueueOwner,
    ) -> Self {
        storage.announce(&owner);
        attempts.callers_wait = false;
        attempts.kept = true;
        let close = attempts.closing.clone().drop_guard();
        let rules = rules(config);
        let ahead = NonZeroUsize::new(rules.min_size).map_or(1, NonZeroUsize::get);
        let backlog = Backlog::new(attempts, rules);
        let consumers = Consumers::start(config.num_consumers, &backlog);
        let (opened, store) = watch::channel(None);
        let reader = TaskTracker::new();
        let space = Space::new(config);
        let id = owner.id.clone();
        let task = Reader { storage, owner, backlog: Arc::clone(&backlog), space: space.clone(), ahead };
        let run = reader.track_future(task.run(opened));
        let status = &backlog.attempts.status;
        let abort = status.supervise(Kind::Exporter, &id, "reads its sending queue", run);
        let abort = AbortOnDropHandle::new(abort);
        reader.close();
        Self { backlog, store, space, consumers, reader, _abort_reader: abort, _close: close }
    }

    /// The store, once it is open.
    async fn store(&self, deadline: Option<Instant>) -> Result<Arc<dyn DurableQueue>, Failure> {
        let mut opened = self.store.clone();
        let waiting = async { opened.wait_for(Option::is_some).await.ok().and_then(|store| store.clone()) };
        let store = match deadline {
            Some(deadline) => timeout_at(deadline.into(), waiting).await.map_err(|_| {
                Failure::retryable("the storage of the sending queue is not open yet")
                    .with_code(Code::Unavailable)
            })?,
            None => waiting.await,
        };
        store.ok_or_else(shutting_down)
    }

    async fn take_space(&self, demand: &Demand) -> Result<Granted, Failure> {
        if self.closing().is_cancelled() {
            return Err(shutting_down());
        }
        let store = self.store(demand.deadline).await?;
        tokio::select! {
            granted = self.space.take(demand, || store.usage()) => granted,
            () = self.closing().cancelled() => Err(shutting_down()),
        }
    }

    async fn append(&self, batch: Batch, permit: Permit) -> Result<(), Failure> {
        let _granted = match permit.into_reservation::<Granted>() {
            Some(granted) => granted,
            None => self.take_space(&Demand::of(&batch)).await?,
        };
        let deadline = batch.context().deadline;
        let store = self.store(deadline).await?;
        loop {
            if self.closing().is_cancelled() {
                return Err(shutting_down());
            }
            let Err(failure) = store.append(batch.clone()).await else { return Ok(()) };
            let again = self.space.blocks() && !failure.is_permanent();
            if !again || !before(deadline, sleep(APPEND_INTERVAL)).await {
                return Err(failure);
            }
        }
    }

    fn refuse(&self, failure: Failure, items: usize) -> Failure {
        self.backlog.attempts.metrics.enqueue_failed(items);
        error!(
            exporter = %self.id(), error = %failure, rejected_items = items,
            "Exporting failed. Rejecting data."
        );
        failure
    }

    fn closing(&self) -> &CancellationToken {
        &self.backlog.attempts.closing
    }

    fn id(&self) -> &ComponentId {
        &self.backlog.attempts.id
    }
}

impl Consumer for Durable {
    fn reserve<'a>(&'a self, demand: &'a Demand) -> BoxFuture<'a, Result<Permit, Failure>> {
        Box::pin(async move {
            let granted = self.take_space(demand).await;
            granted.map(Permit::holding).map_err(|failure| self.refuse(failure, demand.items))
        })
    }

    fn consume(&self, batch: Batch, permit: Permit) -> BoxFuture<'_, Reply> {
        let items = batch.items();
        Box::pin(async move {
            match self.append(batch, permit).await {
                Ok(()) => Reply::Delivered,
                Err(failure) => self.refuse(failure, items).into(),
            }
        })
    }

    fn hurry(&self) {
        self.backlog.attempts.hurried.cancel();
    }

    fn drain(&self, deadline: Instant) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.consumers.drain(&self.backlog, deadline).await;
            self.backlog.abandon();
            let settled = timeout_at(deadline.into(), self.reader.wait()).await;
            if settled.is_err() {
                error!(
                    exporter = %self.id(),
                    "Not all deliveries were recorded before the shutdown deadline; they will be repeated at start."
                );
            }
        })
    }
}

impl Reader {
    async fn run(self, opened: watch::Sender<Option<Arc<dyn DurableQueue>>>) {
        let closing = self.backlog.attempts.closing.clone();
        let Some(store) = closing.run_until_cancelled(self.open()).await else { return };
        opened.send_replace(Some(Arc::clone(&store)));
        tokio::select! {
            () = self.read(store.as_ref(), &closing) => {}
            () = self.report(store.as_ref()) => {}
        }
        self.report_once(store.as_ref());
    }

    async fn report(&self, store: &dyn DurableQueue) {
        let mut ticks = interval(REPORT_INTERVAL);
        loop {
            ticks.tick().await;
            self.report_once(store);
        }
    }

    fn report_once(&self, store: &dyn DurableQueue) {
        let (usage, metrics) = (store.usage(), &self.backlog.attempts.metrics);
        #[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
        {
            metrics.queue_capacity.set(self.space.limit() as f64);
            metrics.queue_size.set(self.space.size_of(&usage) as f64);
            metrics.queue_bytes.set(usage.bytes as f64);
        }
        metrics.queue_age.set(usage.oldest.map_or(0.0, |age| age.as_secs_f64()));
    }

    async fn open(&self) -> Arc<dyn DurableQueue> {
        loop {
            match self.storage.queue(self.owner.clone()).await {
                Ok(store) => return store,
                Err(failure) => error!(
                    exporter = %self.owner.id, error = %failure,
                    "The storage of a sending queue could not be opened; trying again. Until then data is refused."
                ),
            }
            sleep(REOPEN_INTERVAL).await;
        }
    }

    async fn read(&self, store: &dyn DurableQueue, closing: &CancellationToken) {
        let mut under_way = FuturesUnordered::new();
        // Kept from turn to turn: a read that is dropped half-way might lose its place.
        let mut reading: Option<BoxFuture<'_, (u64, Batch)>> = None;
        loop {
            let closed = closing.is_cancelled();
            if closed && under_way.is_empty() {
                return;
            }
            if !closed && reading.is_none() && self.backlog.size() < self.ahead {
                reading = Some(store.next());
            }
            let is_reading = reading.is_some();
            tokio::select! {
                Some((number, batch)) = OptionFuture::from(reading.as_mut()), if !closed && is_reading => {
                    reading = None;
                    let (ticket, answered) = Ticket::new(None, ());
                    if self.backlog.push(batch, ticket).is_ok() {
                        under_way.push(async move { (number, answered.await) });
                    }
                }
                Some((number, answer)) = under_way.next(), if !under_way.is_empty() => {
                    if let Ok(reply) = answer {
                        // Who is hurried no longer repeats, and closes soon.
                        let ending = closing.is_cancelled() || self.backlog.attempts.hurried.is_cancelled();
                        self.settle(store, number, &reply, ending).await;
                    }
                }
                () = self.backlog.taken(), if !closed && !is_reading => {}
                () = closing.cancelled(), if !closed => {}
            }
        }
    }

    /// Records what came of a batch. One that failed only because of the shutdown stays for the next start.
    async fn settle(&self, store: &dyn DurableQueue, number: u64, reply: &Reply, ending: bool) {
        if ending && may_succeed_later(reply) {
            return;
        }
        let settled = store.settle(number, reply).await;
        self.space.freed();
        if let Err(failure) = settled {
            error!(
                exporter = %self.owner.id, error = %failure,
                "A delivery could not be recorded in the storage of the sending queue; it may be repeated."
            );
        }
    }
}

fn may_succeed_later(reply: &Reply) -> bool {
    match reply {
        Reply::Failed(failure) => !failure.is_permanent(),
        Reply::Mixed(replies) => replies.iter().any(|(_, reply)| may_succeed_later(reply)),
        Reply::Delivered | Reply::Rejected { .. } => false,
    }
}
