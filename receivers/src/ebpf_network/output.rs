//! From the thread that parses to the pipelines.

use std::{sync::Arc, time::Duration};

use sluice_pipeline::{
    Batch, Chunk, Context, Outlet, Reply, Signal,
    budget::{Budget, Charge},
    component::{ComponentId, Outlets},
    telemetry::ReceiverMetrics,
};
use tokio::sync::mpsc::{Receiver, Sender, channel, error::TrySendError};
use tracing::warn;

use super::counters::{Dropped, dropped};

/// How many messages may wait for a pipeline.
const WAITING: usize = 64;
/// How long a message is offered to a pipeline that is busy.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long to wait before it is offered again.
const PAUSE: Duration = Duration::from_millis(250);

/// An encoded OTLP message, with the memory that it takes.
pub(super) struct Message {
    bytes: Vec<u8>,
    items: usize,
    charge: Charge,
}

/// The way to the pipelines of one signal. What they cannot take is dropped and counted: the kernel does not wait.
pub(super) struct Output {
    id: ComponentId,
    budget: Budget,
    sender: Sender<Message>,
}

/// The other end of [`Output`].
pub(super) struct Forwarder {
    id: ComponentId,
    signal: Signal,
    outlet: Outlet,
    metrics: ReceiverMetrics,
    receiver: Receiver<Message>,
}

/// A way to the pipelines of `signal`, if there are any.
pub(super) fn output(
    id: &ComponentId,
    signal: Signal,
    outlets: &Outlets,
    budget: &Budget,
) -> Option<(Output, Forwarder)> {
    let outlet = outlets.get(signal)?.clone();
    let (sender, receiver) = channel(WAITING);
    let metrics = ReceiverMetrics::new(id, "ebpf");
    Some((
        Output { id: id.clone(), budget: budget.clone(), sender },
        Forwarder { id: id.clone(), signal, outlet, metrics, receiver },
    ))
}

impl Output {
    /// Hands a message on, or drops it. Never waits.
    pub(super) fn send(&self, bytes: Vec<u8>, items: usize) {
        let Ok(charge) = self.budget.charge(bytes.len() as u64) else {
            return dropped(&self.id, items, Dropped::Memory);
        };
        match self.sender.try_send(Message { bytes, items, charge }) {
            Ok(()) => {}
            Err(TrySendError::Full(message) | TrySendError::Closed(message)) => {
                dropped(&self.id, message.items, Dropped::PipelineBusy);
            }
        }
    }
}

impl Forwarder {
    /// Hands messages to the pipelines until the thread that parses has ended.
    pub(super) async fn run(mut self) {
        while let Some(message) = self.receiver.recv().await {
            let items = message.items;
            match self.offer(message).await {
                Reply::Delivered => self.metrics.accepted(self.signal, items),
                Reply::Rejected { items: rejected, .. } => {
                    let rejected = usize::try_from(rejected).unwrap_or(items).min(items);
                    self.metrics.accepted(self.signal, items - rejected);
                    dropped(&self.id, rejected, Dropped::Refused);
                }
                Reply::Failed(failure) => {
                    self.metrics.refused(self.signal, items);
                    let reason =
                        if failure.is_permanent() { Dropped::Refused } else { Dropped::PipelineBusy };
                    dropped(&self.id, items, reason);
                    warn!(
                        receiver = %self.id, signal = self.signal.name(), items, error = %failure,
                        "The pipeline did not take what was seen; it is lost"
                    );
                }
                Reply::Mixed(_) => self.metrics.accepted(self.signal, items),
            }
        }
    }

    async fn offer(&self, message: Message) -> Reply {
        let Message { bytes, items, charge } = message;
        let batch =
            Batch::new(self.signal, Chunk::new(bytes.into(), items).with_charge(charge), Context::default());
        let context = Arc::clone(batch.context());
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            let reply = self.outlet.send(batch.clone().with_context(Arc::clone(&context))).await;
            match &reply {
                Reply::Failed(failure) if !failure.is_permanent() && tokio::time::Instant::now() < until => {
                    tokio::time::sleep(PAUSE).await;
                }
                _ => return reply,
            }
        }
    }
}
