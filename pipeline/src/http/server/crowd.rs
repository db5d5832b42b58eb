//! Which connections make room when there are too many: those that have done nothing for longest.
//!
//! Without it, clients that open connections and send nothing, or headers a byte at a time, would keep all others out.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use metrics::Counter;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// How many make room at once, of each hundred there may be; at least one does.
const PERCENT: usize = 1;

/// The connections of a server.
pub(super) struct Crowd {
    members: Mutex<Members>,
    most: usize,
    made_room: Counter,
}

#[derive(Default)]
struct Members {
    next: u64,
    by_number: HashMap<u64, Arc<Member>>,
    was_told: bool,
}

/// A connection.
pub(super) struct Member {
    under_way: AtomicUsize,
    idle_since: Mutex<Instant>,
    /// Set when it has to make room.
    pub(super) makes_room: CancellationToken,
    has_heard: AtomicBool,
}

/// Its place in the crowd, for as long as it is open.
pub(super) struct Place {
    crowd: Arc<Crowd>,
    number: u64,
    pub(super) member: Arc<Member>,
}

/// A request under way on a connection.
pub(super) struct Request(Arc<Member>);

impl Crowd {
    pub(super) fn new(most: usize, made_room: Counter) -> Arc<Self> {
        Arc::new(Self { members: Mutex::default(), most, made_room })
    }

    /// A new connection, idle from now on.
    pub(super) fn join(self: &Arc<Self>) -> Place {
        let member = Arc::new(Member {
            under_way: AtomicUsize::new(0),
            idle_since: Mutex::new(Instant::now()),
            makes_room: CancellationToken::new(),
            has_heard: AtomicBool::new(false),
        });
        let mut members = self.members();
        let number = members.next;
        members.next += 1;
        members.by_number.insert(number, Arc::clone(&member));
        Place { crowd: Arc::clone(self), number, member }
    }

    /// How many there are.
    pub(super) fn size(&self) -> usize {
        self.members().by_number.len()
    }

    /// Whether connections are scarce, so that idle ones should go.
    pub(super) fn is_dense(&self) -> bool {
        self.members().by_number.len() > self.most / 2
    }

    /// Has those that have been idle for longest make room, unless others are about to: a server that is slow to close
    /// them would otherwise send away everybody, those who have just come included.
    pub(super) fn make_room(&self) {
        let mut members = self.members();
        if members.by_number.values().any(|member| member.is_about_to_go()) {
            return;
        }
        let mut idle: Vec<(Instant, &Arc<Member>)> = members
            .by_number
            .values()
            .filter(|member| !member.makes_room.is_cancelled())
            .filter_map(|member| Some((member.idle_since()?, member)))
            .collect();
        let count = (self.most * PERCENT / 100).max(1).min(idle.len());
        if count == 0 {
            return;
        }
        idle.select_nth_unstable_by_key(count - 1, |(since, _)| *since);
        for (_, member) in idle.iter().take(count) {
            member.makes_room.cancel();
        }
        self.made_room.increment(count as u64);
        if !members.was_told {
            members.was_told = true;
            warn!(
                connections = self.most,
                "As many connections as there may be are open; those that were idle for longest make room"
            );
        }
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Member {
    /// Since when it has had no request; `None` if one is under way.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let is_idle = self.under_way.load(Ordering::Acquire) == 0;
        is_idle.then(|| *self.idle_since.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether it has been told to make room and does not know yet.
    fn is_about_to_go(&self) -> bool {
        self.makes_room.is_cancelled() && !self.has_heard.load(Ordering::Acquire)
    }

    /// It knows that it has to make room.
    pub(super) fn hear(&self) {
        self.has_heard.store(true, Ordering::Release);
    }

    /// A request begins.
    pub(super) fn begin(self: &Arc<Self>) -> Request {
        self.under_way.fetch_add(1, Ordering::AcqRel);
        Request(Arc::clone(self))
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        *self.0.idle_since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.0.under_way.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.crowd.members().by_number.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn gone(places: &[Place]) -> Vec<usize> {
        let gone = places.iter().enumerate().filter(|(_, place)| place.member.makes_room.is_cancelled());
        gone.map(|(place, _)| place).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn those_that_were_idle_for_longest_go_first_and_busy_ones_stay() {
        let crowd = Crowd::new(200, Counter::noop());
        let mut places = Vec::new();
        for _ in 0..6 {
            places.push(crowd.join());
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        let busy = places[0].member.begin();
        // Has just had a request, so that it is the last in line.
        drop(places[1].member.begin());
        let make_room = || {
            crowd.make_room();
            let gone = gone(&places);
            gone.iter().for_each(|place| places[*place].member.hear());
            gone
        };
        assert_eq!(make_room(), [2, 3], "one of each hundred");
        assert_eq!(make_room(), [2, 3, 4, 5]);
        make_room();
        assert_eq!(make_room(), [1, 2, 3, 4, 5], "a request is under way on the first");
        drop(busy);
        assert!(!crowd.is_dense());
        drop(places);
        assert!(crowd.members().by_number.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_else_goes_while_some_are_about_to() {
        let crowd = Crowd::new(200, Counter::noop());
        let places: Vec<Place> = (0..6).map(|_| crowd.join()).collect();
        crowd.make_room();
        let first = gone(&places);
        assert_eq!(first.len(), 2);
        crowd.make_room();
        assert_eq!(gone(&places), first);
        // One closes, the other has a request to end.
        places[first[0]].member.hear();
        crowd.make_room();
        assert_eq!(gone(&places), first);
        places[first[1]].member.hear();
        crowd.make_room();
        assert_eq!(gone(&places).len(), 4);
    }
}
