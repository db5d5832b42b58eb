//! The connections of a channel: one to each address of its destination, up to a few; used in turn, replaced when lost,
//! and following the addresses when they change.

use std::{
    io,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures_util::future::select_ok;
use http::{Request, Response};
use hyper::{body::Incoming, client::conn::http2::SendRequest};
use tokio::time::sleep;
use tracing::debug;

use super::{
    body::Outgoing,
    connection::{Dialler, Peer},
    endpoint::Endpoint,
    resolver::{Resolver, resolver},
    slot::{Slot, Unsent, locked},
};
use crate::{
    component::BuildError,
    grpc::{GrpcClientConfig, Status},
    reply::Code,
};

/// The pause between attempts of a call that waits for a connection.
const WAIT_PAUSE: Duration = Duration::from_millis(200);
/// How often the addresses of a name are looked up while calls are made.
const LOOK_UP_EVERY: Duration = Duration::from_secs(30);
/// How many addresses are connected to, of those that a name has.
const MOST_CONNECTIONS: usize = 8;

/// The connections of a channel.
pub(super) struct Connections {
    dialler: Arc<Dialler>,
    wait_for_ready: bool,
    pick_first: bool,
    resolver: Resolver,
    look_up_every: Duration,
    pool: Arc<Mutex<Pool>>,
}

#[derive(Default)]
struct Pool {
    slots: Vec<Arc<Slot>>,
    turn: usize,
    looked_up: Option<Instant>,
}

type Connected = (Arc<Slot>, SendRequest<Outgoing>);

impl Connections {
    pub(super) fn new(config: &GrpcClientConfig, endpoint: &Endpoint) -> Result<Self, BuildError> {
        Ok(Self {
            dialler: Arc::new(Dialler::new(config, endpoint)?),
            wait_for_ready: config.wait_for_ready,
            pick_first: config.balancer_name == "pick_first",
            resolver: resolver(endpoint),
            look_up_every: LOOK_UP_EVERY,
            pool: Arc::default(),
        })
    }

    /// The same with other addresses, looked up so often.
    #[cfg(test)]
    pub(super) fn with_resolver(mut self, resolver: Resolver, look_up_every: Duration) -> Self {
        self.resolver = resolver;
        self.look_up_every = look_up_every;
        self
    }

    /// Sends a request over one of the connections, which are made as needed.
    pub(super) async fn send(
        &self,
        request: Request<Outgoing>,
        deadline: Instant,
    ) -> Result<Response<Incoming>, Unsent> {
        let (slot, sender) =
            self.sender(deadline).await.map_err(|status| Unsent { status, retry: false, request: None })?;
        slot.send(sender, request).await
    }

    async fn sender(&self, deadline: Instant) -> Result<Connected, Status> {
        loop {
            let connected = match self.slots().await {
                Ok(slots) => match self.next_connected(&slots) {
                    Some(sender) => Ok(sender),
                    None => self.connect(&slots).await,
                },
                Err(error) => Err(error),
            };
            match connected {
                Ok(sender) => return Ok(sender),
                Err(error) if self.wait_for_ready && Instant::now() + WAIT_PAUSE < deadline => {
                    debug!(endpoint = self.dialler.name(), %error, "Cannot connect; the call waits");
                    sleep(WAIT_PAUSE).await;
                }
                Err(error) => {
                    let message = format!("cannot connect to {}: {error}", self.dialler.name());
                    return Err(Status::new(Code::Unavailable, message));
                }
            }
        }
    }

    /// The addresses, beginning with the one whose turn it is. Looked up before the first call, and from time to time
    /// beside the later ones.
    async fn slots(&self) -> io::Result<Vec<Arc<Slot>>> {
        let (slots, is_due) = {
            let mut pool = locked(&self.pool);
            let is_due = pool.looked_up.is_none_or(|last| last.elapsed() >= self.look_up_every);
            if is_due && !pool.slots.is_empty() {
                pool.looked_up = Some(Instant::now());
            }
            (pool.in_turn(self.pick_first), is_due)
        };
        if slots.is_empty() {
            let peers = (self.resolver)().await?;
            if peers.is_empty() {
                return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
            }
            let mut pool = locked(&self.pool);
            pool.follow(peers, self.pick_first);
            pool.looked_up = Some(Instant::now());
            return Ok(pool.in_turn(self.pick_first));
        }
        if is_due {
            let (look_up, pool, pick_first) = ((self.resolver)(), Arc::clone(&self.pool), self.pick_first);
            let name = self.dialler.name().to_owned();
            tokio::spawn(async move {
                match look_up.await {
                    Ok(peers) if !peers.is_empty() => locked(&pool).follow(peers, pick_first),
                    Ok(_) => debug!(endpoint = name, "The name has no address any more; the old ones stay"),
                    Err(error) => {
                        debug!(endpoint = name, %error, "The name cannot be looked up; its addresses stay")
                    }
                }
            });
        }
        Ok(slots)
    }

    /// The next connection that there is. Those that are missing are made beside the call.
    fn next_connected(&self, slots: &[Arc<Slot>]) -> Option<Connected> {
        let connected = slots.iter().find_map(|slot| Some((Arc::clone(slot), slot.sender()?)))?;
        if !self.pick_first {
            for slot in slots.iter().filter(|slot| slot.wants_connection()) {
                let (slot, dialler) = (Arc::clone(slot), Arc::clone(&self.dialler));
                tokio::spawn(async move {
                    if let Err(error) = slot.connect(&dialler).await {
                        debug!(endpoint = dialler.name(), %error, "One of several addresses cannot be connected to");
                    }
                });
            }
        }
        Some(connected)
    }

    /// The first connection that can be made: of all addresses at once, or in their order.
    async fn connect(&self, slots: &[Arc<Slot>]) -> io::Result<Connected> {
        let connect = async |slot: &Arc<Slot>| Ok((Arc::clone(slot), slot.connect(&self.dialler).await?));
        if !self.pick_first {
            let all = slots.iter().map(|slot| Box::pin(connect(slot)));
            return select_ok(all).await.map(|(connected, _)| connected);
        }
        let mut refused = io::Error::from(io::ErrorKind::NotFound);
        for slot in slots {
            match connect(slot).await {
                Ok(connected) => return Ok(connected),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }
}

impl Pool {
    fn in_turn(&mut self, pick_first: bool) -> Vec<Arc<Slot>> {
        let mut slots = self.slots.clone();
        if !pick_first && !slots.is_empty() {
            let first = self.turn % slots.len();
            self.turn = self.turn.wrapping_add(1);
            slots.rotate_left(first);
        }
        slots
    }

    /// Keeps the connections to addresses that are still there. Those to others end with their last call.
    fn follow(&mut self, mut peers: Vec<Peer>, pick_first: bool) {
        peers.dedup();
        self.slots.retain(|slot| peers.contains(&slot.peer));
        if !pick_first {
            // Of many addresses each client takes others.
            fastrand::shuffle(&mut peers);
        }
        for peer in peers {
            if self.slots.len() >= MOST_CONNECTIONS {
                break;
            }
            if !self.slots.iter().any(|slot| slot.peer == peer) {
                self.slots.push(Arc::new(Slot::new(peer)));
            }
        }
    }
}
