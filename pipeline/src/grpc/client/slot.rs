//! One address of a destination with the connection to it.

use std::{
    io,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use http::{Request, Response};
use hyper::{body::Incoming, client::conn::http2::SendRequest};
use tokio::time::timeout;

use super::{
    body::Outgoing,
    connection::{Dialler, Peer, lost, was_not_looked_at},
};
use crate::grpc::Status;

/// How long making a connection may take, with its TLS handshake.
const CONNECT_LIMIT: Duration = Duration::from_secs(20);
/// How soon an address that could not be connected to is tried again while others can: at first, doubled with each
/// failure, and at most.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(120);
/// How many calls in a row may go unanswered until their connection is replaced: one whose packets are lost on the way
/// says nothing of it.
const MOST_UNANSWERED: usize = 3;

/// An address with the connection to it.
pub(super) struct Slot {
    pub(super) peer: Peer,
    ready: Mutex<Option<SendRequest<Outgoing>>>,
    /// Calls that were given up since the last answer.
    unanswered: AtomicUsize,
    /// When the last attempt failed, and how soon there may be another.
    failed: Mutex<Option<(Instant, Duration)>>,
    /// Held while a connection is made, so that only one is.
    connecting: tokio::sync::Mutex<()>,
}

/// A call that got no answer.
pub(super) struct Unsent {
    pub(super) status: Status,
    /// Whether the destination certainly saw nothing of it, so that it may be sent again at once.
    pub(super) retry: bool,
    /// The call as it was, if nothing of it was sent.
    pub(super) request: Option<Box<Request<Outgoing>>>,
}

/// A call under way; one that is dropped before it ended was given up.
struct Waiting<'a> {
    slot: &'a Slot,
    ended: bool,
}

impl Slot {
    pub(super) fn new(peer: Peer) -> Self {
        Self {
            peer,
            ready: Mutex::default(),
            unanswered: AtomicUsize::new(0),
            failed: Mutex::default(),
            connecting: tokio::sync::Mutex::default(),
        }
    }

    /// The connection, if there is one.
    pub(super) fn sender(&self) -> Option<SendRequest<Outgoing>> {
        locked(&self.ready).as_ref().filter(|sender| !sender.is_closed()).cloned()
    }

    pub(super) fn wants_connection(&self) -> bool {
        let failed_lately = locked(&self.failed).is_some_and(|(failed, pause)| failed.elapsed() < pause);
        self.sender().is_none() && !failed_lately && self.connecting.try_lock().is_ok()
    }

    pub(super) async fn connect(&self, dialler: &Dialler) -> io::Result<SendRequest<Outgoing>> {
        let _turn = self.connecting.lock().await;
        if let Some(sender) = self.sender() {
            return Ok(sender);
        }
        let made = timeout(CONNECT_LIMIT, dialler.dial(&self.peer)).await;
        match made.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(sender) => {
                *locked(&self.ready) = Some(sender.clone());
                *locked(&self.failed) = None;
                Ok(sender)
            }
            Err(error) => {
                let mut failed = locked(&self.failed);
                let pause = failed.map_or(RETRY_PAUSE, |(_, pause)| (pause * 2).min(LONGEST_PAUSE));
                *failed = Some((Instant::now(), pause));
                Err(error)
            }
        }
    }

    /// Sends a call whose caller gives it up at a time of its own choice, which says something of the connection.
    pub(super) async fn send(
        &self,
        sender: SendRequest<Outgoing>,
        request: Request<Outgoing>,
    ) -> Result<Response<Incoming>, Unsent> {
        let mut waiting = Waiting { slot: self, ended: false };
        let answer = pass(sender, request).await;
        waiting.ended = true;
        answer
    }
}

/// Sends a call over this connection.
pub(super) async fn pass(
    mut sender: SendRequest<Outgoing>,
    request: Request<Outgoing>,
) -> Result<Response<Incoming>, Unsent> {
    if let Err(error) = sender.ready().await {
        return Err(Unsent { status: lost(&error), retry: true, request: Some(Box::new(request)) });
    }
    sender.try_send_request(request).await.map_err(|mut failed| {
        // hyper gives a request back exactly if nothing of it went out.
        let request = failed.take_message().map(Box::new);
        let retry = request.is_some() || was_not_looked_at(failed.error());
        Unsent { status: lost(failed.error()), retry, request }
    })
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let unanswered = &self.slot.unanswered;
        if self.ended {
            unanswered.store(0, Ordering::Relaxed);
        } else if unanswered.fetch_add(1, Ordering::Relaxed) + 1 >= MOST_UNANSWERED {
            unanswered.store(0, Ordering::Relaxed);
            // Calls that are still under way on it go on.
            *locked(&self.slot.ready) = None;
        }
    }
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
