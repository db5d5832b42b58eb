//! A caller's claim to an answer, kept while its batch waits, is split and is joined with others.

use std::{
    any::Any,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use tokio::sync::oneshot;

use crate::{
    batch::Origin,
    reply::{Code, Failure, Reply},
};

/// A caller's claim to an answer, with what is held for its batch until then.
pub struct Ticket {
    answer: Option<oneshot::Sender<Reply>>,
    deadline: Option<Instant>,
    held: Option<Box<dyn Any + Send + Sync>>,
}

/// One piece of a caller's batch. The caller is answered when all pieces are; a piece that is dropped without an
/// answer counts as a failure that may be retried.
#[derive(Debug)]
pub(super) struct Part {
    claim: Arc<Claim>,
    answered: bool,
}

struct Claim {
    ticket: Ticket,
    reply: Mutex<Option<Reply>>,
}

impl Ticket {
    /// A claim whose answer arrives at the receiver. The caller stops waiting at `deadline`; `held` is dropped with
    /// the last piece of its batch.
    pub fn new(deadline: Option<Instant>, held: impl Any + Send + Sync) -> (Self, oneshot::Receiver<Reply>) {
        let (answer, answered) = oneshot::channel();
        (Self { answer: Some(answer), deadline, held: Some(Box::new(held)) }, answered)
    }

    /// For a batch whose caller has its answer already.
    pub fn answered(held: impl Any + Send + Sync) -> Self {
        Self { answer: None, deadline: None, held: Some(Box::new(held)) }
    }

    /// One piece for each of `count` pieces of the batch.
    pub(super) fn parts(self, count: usize) -> impl Iterator<Item = Part> {
        let claim = Arc::new(Claim { ticket: self, reply: Mutex::new(None) });
        (0..count).map(move |_| Part { claim: Arc::clone(&claim), answered: false })
    }
}

impl Part {
    /// When the caller stops waiting.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.claim.ticket.deadline
    }

    /// Answers this piece. `origins` are those of the piece.
    pub(super) fn answer(mut self, origins: &[Origin], reply: Reply) {
        self.answered = true;
        self.claim.add(origins, reply);
    }
}

impl Claim {
    fn add(&self, origins: &[Origin], reply: Reply) {
        let mut total = self.reply.lock().unwrap_or_else(PoisonError::into_inner);
        *total = Some(match total.take() {
            None => reply,
            Some(earlier) => combine(earlier, reply, origins),
        });
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.answered {
            self.claim.add(&[], unanswered());
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let reply = self.reply.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        self.ticket.held = None;
        if let Some(answer) = self.ticket.answer.take() {
            // The caller may have left; its batch was still taken care of.
            let _ = answer.send(reply.unwrap_or_else(unanswered));
        }
    }
}

fn unanswered() -> Reply {
    Failure::retryable("the batch was given up before its destination answered; send it again")
        .with_code(Code::Unavailable)
        .into()
}

/// The answer to two pieces of one batch; `origins` are those of the second.
fn combine(first: Reply, second: Reply, origins: &[Origin]) -> Reply {
    match (first, second) {
        (Reply::Rejected { items, message }, Reply::Rejected { items: more, message: other }) => {
            let message = if message.is_empty() { other } else { message };
            Reply::Rejected { items: items + more, message }
        }
        (Reply::Mixed(mut all), Reply::Mixed(others)) => {
            for (origin, reply) in others {
                add_for_origin(&mut all, origin, reply);
            }
            Reply::Mixed(all)
        }
        (Reply::Mixed(mut all), whole) if !origins.is_empty() => {
            for origin in origins {
                add_for_origin(&mut all, *origin, whole.clone());
            }
            Reply::Mixed(all)
        }
        // Which origins the one piece had is not known any more, so what befell it befalls all.
        (whole, Reply::Mixed(all)) | (Reply::Mixed(all), whole) if whole != Reply::Delivered => {
            all.into_iter().fold(whole, |joined, (_, reply)| joined.join(reply))
        }
        (first, second) => first.join(second),
    }
}

fn add_for_origin(all: &mut Vec<(Origin, Reply)>, origin: Origin, reply: Reply) {
    match all.iter_mut().find(|(known, _)| *known == origin) {
        Some((_, known)) => *known = combine(known.clone(), reply, &[]),
        None => all.push((origin, reply)),
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Ticket")
            .field("awaited", &self.answer.is_some())
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ticket.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad() -> Reply {
        Failure::permanent("bad").into()
    }

    #[tokio::test]
    async fn the_caller_is_answered_when_every_piece_is() {
        let (ticket, mut answered) = Ticket::new(None, ());
        let mut parts: Vec<_> = ticket.parts(2).collect();
        let rejected = |items| Reply::Rejected { items, message: "no".to_owned() };
        parts.pop().unwrap().answer(&[], rejected(2));
        assert!(answered.try_recv().is_err(), "one piece is still under way");
        parts.pop().unwrap().answer(&[], rejected(3));
        assert_eq!(answered.await.unwrap(), rejected(5), "different items were rejected");
    }

    #[tokio::test]
    async fn a_lost_piece_makes_the_whole_retryable() {
        let (ticket, answered) = Ticket::new(None, ());
        let mut parts: Vec<_> = ticket.parts(2).collect();
        parts.pop().unwrap().answer(&[], Reply::Delivered);
        drop(parts);
        assert!(matches!(answered.await.unwrap(), Reply::Failed(failure) if !failure.is_permanent()));
    }

    #[tokio::test]
    async fn what_is_held_is_given_back_before_the_answer() {
        let held = Arc::new(());
        let (ticket, answered) = Ticket::new(None, Arc::clone(&held));
        ticket.parts(1).for_each(|part| part.answer(&[], Reply::Delivered));
        answered.await.unwrap();
        assert_eq!(Arc::strong_count(&held), 1);
    }

    #[test]
    fn pieces_of_several_origins_are_answered_per_origin() {
        let (one, two, three) = (Origin::next(), Origin::next(), Origin::next());
        let first = Reply::Mixed(vec![(one, bad()), (two, Reply::Delivered)]);
        let busy = Reply::Failed(Failure::retryable("busy"));
        let joined = combine(first.clone(), busy.clone(), &[two, three]);
        assert_eq!(joined.for_origin(one), bad());
        assert_eq!(joined.for_origin(two), busy);
        assert_eq!(joined.for_origin(three), busy);
        assert_eq!(combine(busy.clone(), first, &[one, two]), busy, "no origin may miss its failure");
    }
}
