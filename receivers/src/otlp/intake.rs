//! From a decompressed message to the answer of the pipeline, the same for all protocols.

use std::time::Instant;

use bytes::Bytes;
use sluice_pipeline::{
    Batch, Chunk, Code, Context, Outlet, Reply, Signal,
    batch::Compressed,
    budget::Charge,
    component::Outlets,
    grpc::Status,
    http::Refusal,
    otlp::check::{NotTaken, check_charged},
    telemetry::{AnswerLimits, ReceiverMetrics},
};

/// A whole message with what it holds.
pub(super) struct Message {
    pub(super) bytes: Bytes,
    pub(super) compressed: Option<Compressed>,
    pub(super) charge: Charge,
}

/// Part of a request was rejected for good; with no items, the destination only sent a warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Partial {
    pub(super) rejected: u64,
    pub(super) message: String,
}

/// The way into the pipelines, with the counters of one transport.
#[derive(Clone)]
pub(super) struct Intake {
    outlets: Outlets,
    pub(super) metrics: ReceiverMetrics,
}

impl Intake {
    pub(super) fn new(outlets: Outlets, metrics: ReceiverMetrics) -> Self {
        Self { outlets, metrics }
    }

    /// Whether a pipeline takes this signal.
    pub(super) fn takes(&self, signal: Signal) -> bool {
        self.outlets.get(signal).is_some()
    }

    /// Checks a message, hands it to the pipelines and waits for their answer. Dropping the future cancels nothing.
    pub(super) async fn take(
        &self,
        signal: Signal,
        message: Message,
        context: Context,
        write_timeout: Option<Instant>,
    ) -> Result<Option<Partial>, Status> {
        let Some(outlet) = self.outlets.get(signal) else {
            return Err(Status::new(
                Code::Unimplemented,
                format!("no pipeline takes {signal} from this receiver"),
            ));
        };
        let Some(chunk) = self.chunk(signal, message)? else { return Ok(None) };
        let waiting = self.metrics.waiting(AnswerLimits { deadline: context.deadline, write_timeout });
        // A task of its own, so that what becomes of the items is counted also if the client leaves.
        let task = tokio::spawn(deliver(outlet.clone(), signal, chunk, context, self.metrics.clone()));
        let reply = task.await;
        waiting.answered();
        match reply {
            Ok(Reply::Failed(failure)) => Err(Status::of_failure(&failure)),
            Ok(Reply::Rejected { items, message }) => Ok(Some(Partial { rejected: items, message })),
            Ok(Reply::Delivered | Reply::Mixed(_)) => Ok(None),
            Err(_) => Err(Status::new(Code::Unavailable, "the task of this request ended without an answer")),
        }
    }

    /// The message as a chunk; `None` if it holds nothing.
    fn chunk(&self, signal: Signal, message: Message) -> Result<Option<Chunk>, Status> {
        let Message { bytes, mut compressed, mut charge } = message;
        let checked =
            check_charged(signal, bytes, |more| charge.grow(more)).map_err(|error| match error {
                NotTaken::Malformed(malformed) => {
                    self.metrics.refused_request("malformed");
                    Status::new(Code::InvalidArgument, malformed.to_string())
                }
                NotTaken::Refused(exhausted) => {
                    let refusal = Refusal::from(exhausted);
                    self.metrics.refused_request(refusal.reason());
                    Status::from(&refusal)
                }
            })?;
        if checked.repaired > 0 {
            self.metrics.repaired(checked.repaired);
        }
        if checked.canonicalised {
            self.metrics.canonicalised();
        }
        if checked.canonicalised || checked.repaired > 0 {
            compressed = None;
        }
        if checked.items == 0 {
            return Ok(None);
        }
        let mut chunk = Chunk::new(checked.bytes, checked.items);
        if let Some(compressed) = compressed {
            chunk = chunk.with_compressed(compressed);
        }
        charge.shrink_to(chunk.memory() as u64);
        Ok(Some(chunk.with_charge(charge)))
    }
}

/// Hands a chunk over, counts what became of its items, and returns the answer for it alone.
async fn deliver(
    outlet: Outlet,
    signal: Signal,
    chunk: Chunk,
    context: Context,
    metrics: ReceiverMetrics,
) -> Reply {
    let (origin, items) = (chunk.origin(), chunk.items());
    let reply = outlet.send(Batch::new(signal, chunk, context)).await;
    let reply = match reply {
        Reply::Mixed(_) => reply.for_origin(origin),
        whole => whole,
    };
    let refused = match &reply {
        Reply::Delivered | Reply::Mixed(_) => 0,
        Reply::Rejected { items: rejected, .. } => {
            usize::try_from(*rejected).map_or(items, |rejected| rejected.min(items))
        }
        Reply::Failed(_) => items,
    };
    metrics.accepted(signal, items - refused);
    if refused > 0 {
        metrics.refused(signal, refused);
    }
    reply
}
