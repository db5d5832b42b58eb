//! The sending queue in memory. It is lost with the process.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use tokio::time::{interval, timeout_at};
use tokio_util::{sync::DropGuard, task::AbortOnDropHandle};
use tracing::{error, warn};

use super::{
    backlog::{Backlog, Consumers},
    room::{Reservation, Room},
    rules,
};
use crate::{
    batch::Batch,
    batching::Ticket,
    budget::Budget,
    component::Kind,
    consumer::{Consumer, Demand, Permit},
    export::{QueueConfig, attempts::Attempts, direct::shutting_down},
    reply::{Code, Failure, Reply},
};

/// How often the age of the oldest batch is reported.
const REPORT_INTERVAL: Duration = Duration::from_secs(5);

/// Answers once a batch has its place in the queue, or with `wait_for_result` once it was delivered.
pub(in crate::export) struct Memory {
    backlog: Arc<Backlog>,
    room: Room,
    blocks: bool,
    consumers: Consumers,
    _reporter: AbortOnDropHandle<()>,
    _close: DropGuard,
}

impl Memory {
    pub(in crate::export) fn start(mut attempts: Attempts, config: &QueueConfig, budget: Budget) -> Self {
        attempts.callers_wait = config.wait_for_result;
        if !config.wait_for_result {
            warn_of_loss(&attempts.id.to_string());
        }
        let room = Room::new(config, budget, attempts.metrics.clone());
        let close = attempts.closing.clone().drop_guard();
        let backlog = Backlog::new(attempts, rules(config));
        let consumers = Consumers::start(config.num_consumers, &backlog);
        let Attempts { id, status, .. } = &backlog.attempts;
        let reporter =
            status.supervise(Kind::Exporter, id, "reports its sending queue", report(room.clone()));
        let reporter = AbortOnDropHandle::new(reporter);
        Self {
            backlog,
            room,
            blocks: config.block_on_overflow,
            consumers,
            _reporter: reporter,
            _close: close,
        }
    }

    async fn take_room(&self, demand: &Demand) -> Result<Reservation, Failure> {
        let closing = &self.backlog.attempts.closing;
        if closing.is_cancelled() {
            return Err(shutting_down());
        }
        let taken = if self.blocks {
            tokio::select! {
                taken = self.room.take(demand) => taken,
                () = closing.cancelled() => return Err(shutting_down()),
            }
        } else {
            self.room.try_take(demand)
        };
        taken.map_err(|reason| {
            let failure = Failure::from(reason);
            self.backlog.attempts.metrics.enqueue_failed(demand.items);
            error!(
                exporter = %self.backlog.attempts.id, error = %failure, rejected_items = demand.items,
                "Exporting failed. Rejecting data."
            );
            failure
        })
    }

    async fn enqueue(&self, batch: Batch, permit: Permit) -> Result<Reply, Failure> {
        let reservation = match permit.into_reservation::<Reservation>() {
            Some(reservation) => reservation,
            None => self.take_room(&Demand::of(&batch)).await?,
        };
        if !self.backlog.attempts.callers_wait {
            self.backlog.push(batch, Ticket::answered(reservation))?;
            return Ok(Reply::Delivered);
        }
        let deadline = batch.context().deadline;
        let (ticket, answered) = Ticket::new(deadline, reservation);
        self.backlog.push(batch, ticket)?;
        let answered = match deadline {
            Some(deadline) => timeout_at(deadline.into(), answered).await.map_err(|_| {
                Failure::retryable("the batch was not delivered before its caller's deadline")
                    .with_code(Code::DeadlineExceeded)
            })?,
            None => answered.await,
        };
        answered.map_err(|_| shutting_down())
    }
}

impl Consumer for Memory {
    fn reserve<'a>(&'a self, demand: &'a Demand) -> BoxFuture<'a, Result<Permit, Failure>> {
        Box::pin(async move { self.take_room(demand).await.map(Permit::holding) })
    }

    fn consume(&self, batch: Batch, permit: Permit) -> BoxFuture<'_, Reply> {
        Box::pin(async move { self.enqueue(batch, permit).await.unwrap_or_else(Reply::Failed) })
    }

    fn hurry(&self) {
        self.backlog.attempts.hurried.cancel();
    }

    fn drain(&self, deadline: Instant) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.consumers.drain(&self.backlog, deadline).await;
            let lost = self.backlog.abandon();
            if lost > 0 {
                let attempts = &self.backlog.attempts;
                attempts.metrics.send_failed(lost, "shutdown");
                if !attempts.callers_wait {
                    attempts.status.lost(Kind::Exporter, &attempts.id, lost);
                }
                error!(
                    exporter = %self.backlog.attempts.id, dropped_items = lost,
                    "The sending queue was not empty at the shutdown deadline. Dropping data."
                );
            }
            self.room.report();
        })
    }
}

async fn report(room: Room) {
    let mut ticks = interval(REPORT_INTERVAL);
    loop {
        ticks.tick().await;
        room.report();
    }
}

/// Says once for each exporter what a memory queue means.
fn warn_of_loss(exporter: &str) {
    static WARNED: Mutex<Option<HashSet<String>>> = Mutex::new(None);
    let mut warned = WARNED.lock().unwrap_or_else(PoisonError::into_inner);
    if warned.get_or_insert_default().insert(exporter.to_owned()) {
        warn!(
            exporter,
            "The sending queue is in memory: clients are answered before their data is delivered, and what is \
             queued is lost if the process ends or the destination stays away. Set sending_queue.storage to keep \
             it on disk, or sending_queue.wait_for_result: true to answer only when it was delivered."
        );
    }
}
