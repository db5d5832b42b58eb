//! The face that every stage of a pipeline shows to the stage before it.

use std::{any::Any, fmt, sync::Arc, time::Instant};

use futures_util::future::{BoxFuture, join_all};

use crate::{
    batch::Batch,
    component::BuildError,
    reply::{Failure, Reply},
    signal::Signal,
};

/// Something that takes batches: a processor with what follows it, an exporter, a connector, a fan-out.
///
/// A batch is offered in two steps, so that a fan-out can reserve room everywhere before it sends anywhere.
pub trait Consumer: Send + Sync + 'static {
    /// Reserves room for a batch. A consumer without a queue of its own passes the question on, or grants at once.
    fn reserve<'a>(&'a self, demand: &'a Demand) -> BoxFuture<'a, Result<Permit, Failure>>;

    /// Takes the batch and answers when it is safe. `permit` is what [`Consumer::reserve`] granted for it.
    fn consume(&self, batch: Batch, permit: Permit) -> BoxFuture<'_, Reply>;

    /// Hands on everything held back (batches that are filling up), and returns when it is answered or the
    /// deadline has passed. Each stage drains only itself: the graph drains them in the order of the pipeline.
    /// Nothing is consumed afterwards.
    fn drain(&self, deadline: Instant) -> BoxFuture<'_, ()>;

    /// Waits until it can do its work as its configuration wants it, before anything is received; by itself at once.
    /// Also asked again of what goes on running through a reload.
    ///
    /// # Errors
    /// Why it never will; nothing then starts.
    fn ready(&self) -> BoxFuture<'_, Result<(), BuildError>> {
        Box::pin(async { Ok(()) })
    }

    /// The process is ending: what waits to be tried again is tried once more or given back to its caller. Nothing to
    /// do where nothing is retried.
    fn hurry(&self) {}
}

/// The size of a batch for which room is asked.
#[derive(Clone, Debug)]
pub struct Demand {
    /// The signal of the batch.
    pub signal: Signal,
    /// How many items.
    pub items: usize,
    /// How many bytes, [`Batch::room`].
    pub bytes: usize,
    /// When the caller stops waiting.
    pub deadline: Option<Instant>,
}

/// Room granted by [`Consumer::reserve`]; dropping it gives the room back.
#[derive(Default)]
pub struct Permit(Option<Box<dyn Any + Send>>);

/// Gives every batch to all of several consumers.
pub struct FanOut {
    branches: Vec<Arc<dyn Consumer>>,
}

impl Demand {
    /// The demand of this batch.
    #[must_use]
    pub fn of(batch: &Batch) -> Self {
        Self {
            signal: batch.signal(),
            items: batch.items(),
            bytes: batch.room(),
            deadline: batch.context().deadline,
        }
    }
}

impl Permit {
    /// For consumers that need no room.
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    /// Carries the consumer's own proof of reservation.
    pub fn holding<T: Send + 'static>(reservation: T) -> Self {
        Self(Some(Box::new(reservation)))
    }

    /// The reservation, if it is of this consumer's type.
    #[must_use]
    pub fn into_reservation<T: 'static>(self) -> Option<T> {
        self.0.and_then(|held| held.downcast::<T>().ok()).map(|held| *held)
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Permit").field("holds", &self.0.is_some()).finish()
    }
}

impl FanOut {
    /// One consumer stands for itself; several are fanned out to.
    #[must_use]
    pub fn over(mut branches: Vec<Arc<dyn Consumer>>) -> Arc<dyn Consumer> {
        match branches.len() {
            1 => branches.remove(0),
            _ => Arc::new(Self { branches }),
        }
    }
}

impl Consumer for FanOut {
    fn reserve<'a>(&'a self, demand: &'a Demand) -> BoxFuture<'a, Result<Permit, Failure>> {
        Box::pin(async move {
            let mut permits = Vec::with_capacity(self.branches.len());
            for branch in &self.branches {
                permits.push(branch.reserve(demand).await?);
            }
            Ok(Permit::holding(permits))
        })
    }

    fn consume(&self, batch: Batch, permit: Permit) -> BoxFuture<'_, Reply> {
        Box::pin(async move {
            let mut permits = permit.into_reservation::<Vec<Permit>>().unwrap_or_default().into_iter();
            let answers = self
                .branches
                .iter()
                .map(|branch| branch.consume(batch.clone(), permits.next().unwrap_or_default()));
            join_all(answers).await.into_iter().fold(Reply::Delivered, Reply::join)
        })
    }

    fn drain(&self, deadline: Instant) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            join_all(self.branches.iter().map(|branch| branch.drain(deadline))).await;
        })
    }
}
