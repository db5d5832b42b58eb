//! A batch on its way, joined from several callers' batches, and the way back of its answer.

use std::time::Instant;

use super::ticket::Part;
use crate::{
    batch::{Batch, Chunk, Origin},
    reply::Reply,
};

/// A batch joined from the batches of one or more callers.
#[derive(Debug)]
pub struct Merged {
    /// The batch.
    pub batch: Batch,
    /// Why it leaves now.
    pub trigger: Trigger,
    pub(super) parts: Vec<Share>,
}

/// A caller's share of a joined batch: the next `chunks` chunks.
#[derive(Debug)]
pub(super) struct Share {
    pub(super) part: Part,
    pub(super) chunks: usize,
}

/// Why a batch leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// It has the size at which batches leave.
    Size,
    /// It has waited as long as it may.
    Timeout,
    /// Nothing was to be gained by waiting.
    Idle,
}

impl Merged {
    /// When the last of its callers stops waiting; `None` if one waits without a limit.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        latest(self.parts.iter().map(|share| share.part.deadline()))
    }

    /// Answers every caller with what concerns it.
    ///
    /// A partial rejection of a joined batch cannot be attributed; its callers are told that it was delivered.
    pub fn answer(self, reply: &Reply) {
        let joined = self.parts.len() > 1;
        let mut chunks = self.batch.chunks();
        for Share { part, chunks: count } in self.parts {
            let (own, rest) = chunks.split_at(count.min(chunks.len()));
            chunks = rest;
            let origins = origins(own);
            let reply = match reply {
                Reply::Rejected { .. } if joined => Reply::Delivered,
                Reply::Mixed(_) => of_origins(reply, &origins),
                whole => whole.clone(),
            };
            part.answer(&origins, reply);
        }
    }
}

/// The latest of these deadlines; `None` if there is none or one is missing.
pub(super) fn latest(deadlines: impl Iterator<Item = Option<Instant>>) -> Option<Instant> {
    deadlines.reduce(|one, two| one.zip(two).map(|(one, two)| one.max(two))).flatten()
}

fn origins(chunks: &[Chunk]) -> Vec<Origin> {
    let mut origins: Vec<_> = chunks.iter().map(Chunk::origin).collect();
    origins.sort_unstable();
    origins.dedup();
    origins
}

fn of_origins(reply: &Reply, origins: &[Origin]) -> Reply {
    match origins {
        [only] => reply.for_origin(*only),
        several => Reply::Mixed(several.iter().map(|origin| (*origin, reply.for_origin(*origin))).collect()),
    }
}
