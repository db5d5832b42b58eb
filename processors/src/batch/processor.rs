//! The consumer that pipelines see: admits batches and answers their callers.

use std::{sync::Arc, time::Instant};

use futures_util::future::BoxFuture;
use sluice_pipeline::{
    Batch, Code, Consumer, Demand, Failure, Permit, Reply,
    batching::Ticket,
    component::{Kind, ProcessorContext},
};
use tokio::{task::AbortHandle, time::timeout_at};
use tokio_util::{sync::DropGuard, task::TaskTracker};

use super::{
    BatchConfig,
    admission::{Admission, Admitted},
    sender::Sender,
};

/// Joins batches before `next`.
pub(super) struct Processor {
    sender: Arc<Sender>,
    admission: Admission,
    holds_callers: bool,
    dispatcher: TaskTracker,
    abort: AbortHandle,
    _close: DropGuard,
}

impl Processor {
    pub(super) fn start(config: &BatchConfig, context: &ProcessorContext, next: Arc<dyn Consumer>) -> Self {
        let component = &context.component;
        let sender = Arc::new(Sender::new(config, context, next));
        let close = sender.closing.clone().drop_guard();
        let dispatcher = TaskTracker::new();
        let run = dispatcher.track_future(Arc::clone(&sender).run());
        let abort =
            component.status.supervise(Kind::Processor, &component.id, "sends batches", run).abort_handle();
        dispatcher.close();
        Self {
            sender,
            admission: Admission::new(component.budget.clone()),
            holds_callers: context.answers_later,
            dispatcher,
            abort,
            _close: close,
        }
    }

    fn admit(&self, items: usize, bytes: usize) -> Result<Admitted, Failure> {
        let admitted = match self.sender.refusal() {
            Some(failure) => Err(failure),
            None => self.admission.admit(bytes),
        };
        admitted.inspect_err(|_| self.sender.metrics.dropped(items, "refused"))
    }

    async fn take(&self, batch: Batch, permit: Permit) -> Result<Reply, Failure> {
        let admitted = match permit.into_reservation::<Admitted>() {
            Some(admitted) => admitted,
            None => self.admit(batch.items(), batch.room())?,
        };
        self.sender.metrics.incoming(batch.items());
        if !self.holds_callers {
            self.sender.push(batch, Ticket::answered(admitted), None)?;
            return Ok(Reply::Delivered);
        }
        let deadline = batch.context().deadline;
        let (ticket, answered) = Ticket::new(deadline, admitted);
        self.sender.push(batch, ticket, deadline)?;
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

impl Consumer for Processor {
    fn reserve<'a>(&'a self, demand: &'a Demand) -> BoxFuture<'a, Result<Permit, Failure>> {
        Box::pin(async move { self.admit(demand.items, demand.bytes).map(Permit::holding) })
    }

    fn consume(&self, batch: Batch, permit: Permit) -> BoxFuture<'_, Reply> {
        Box::pin(async move { self.take(batch, permit).await.unwrap_or_else(Reply::Failed) })
    }

    fn drain(&self, deadline: Instant) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.sender.closing.cancel();
            if timeout_at(deadline.into(), self.dispatcher.wait()).await.is_err() {
                self.abort.abort();
                self.sender.abandon();
            }
        })
    }
}

/// The refusal of a processor that is being shut down.
pub(super) fn shutting_down() -> Failure {
    Failure::retryable("the batch processor is shutting down; send again later").with_code(Code::Unavailable)
}
