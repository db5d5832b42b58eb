//! Host-owned listeners: bound before anything starts, kept across reloads.

mod bind;
mod error;
mod holder;
mod sockets;

use std::{
    collections::HashMap, fs, io, net::TcpListener as StdTcpListener,
    os::unix::net::UnixListener as StdUnixListener, time::Duration,
};

use tokio::net::{TcpListener, UnixListener};

use self::bind::Attempt;
pub use self::{
    error::ListenError,
    sockets::{CannotInherit, Sockets},
};
use crate::{
    component::{Endpoint, Listener, Listeners, Transport},
    config::Location,
};

/// How long connections that have begun may take to be there before a shared port is left to another process. Shorter
/// than the second after which a client repeats its first packet.
const LAST_ARRIVALS: Duration = Duration::from_millis(300);

/// An endpoint with who wants it.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Who, as people call it: `receiver otlp`.
    pub owner: String,
    /// What.
    pub endpoint: Endpoint,
    /// Where that is configured, if it is in a text.
    pub place: Option<Location>,
}

/// The bound sockets of the process, by address.
#[derive(Debug, Default)]
pub struct ListenerPool {
    sockets: Sockets,
    bound: HashMap<Transport, Bound>,
}

#[derive(Debug)]
struct Bound {
    owner: String,
    socket: BoundSocket,
    /// It stays open with whoever started this process.
    inherited: bool,
}

#[derive(Debug)]
enum BoundSocket {
    Tcp(StdTcpListener),
    Unix(StdUnixListener),
}

impl ListenerPool {
    /// A pool that takes what it needs from these first.
    #[must_use]
    pub fn new(sockets: Sockets) -> Self {
        Self { sockets, bound: HashMap::new() }
    }

    /// Binds what is not bound yet. All failures at once; sockets bound in vain are closed again.
    ///
    /// # Errors
    /// One error for each endpoint that cannot be bound.
    pub fn bind(&mut self, claims: &[Claim]) -> Result<(), Vec<ListenError>> {
        let mut claimed: HashMap<&Transport, &str> = HashMap::new();
        let mut fresh = Vec::new();
        let mut errors = Vec::new();
        for Claim { owner, endpoint, place } in claims {
            let shares_ports = self.sockets.shares_ports;
            let attempt = Attempt { owner, endpoint, place: place.as_ref(), shares_ports };
            if let Some(other) = claimed.get(&endpoint.transport) {
                errors.push(attempt.shared(other));
                continue;
            }
            claimed.insert(&endpoint.transport, owner);
            if self.bound.contains_key(&endpoint.transport) {
                continue;
            }
            let inherited = self.sockets.take(&endpoint.transport);
            let is_inherited = inherited.is_some();
            match inherited.map_or_else(|| attempt.bind(), Ok) {
                Ok(socket) => {
                    let bound = Bound { owner: owner.clone(), socket, inherited: is_inherited };
                    fresh.push((endpoint.transport.clone(), bound));
                }
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() {
            self.bound.extend(fresh);
            return Ok(());
        }
        for (_, bound) in fresh.into_iter().filter(|(_, bound)| bound.inherited) {
            self.sockets.give_back(bound.socket);
        }
        Err(errors)
    }

    /// Hands out the sockets that `owner` claims. The pool keeps its own handle on each.
    ///
    /// # Errors
    /// The system's reason for refusing another handle.
    pub fn hand_out(&self, claims: &[Claim], owner: &str) -> io::Result<Listeners> {
        let mut listeners = Listeners::new();
        for Claim { endpoint, .. } in claims.iter().filter(|claim| claim.owner == owner) {
            let bound = self.bound.get(&endpoint.transport).ok_or(io::ErrorKind::NotFound)?;
            let listener = match &bound.socket {
                BoundSocket::Tcp(socket) => Listener::Tcp(TcpListener::from_std(socket.try_clone()?)?),
                BoundSocket::Unix(socket) => Listener::Unix(UnixListener::from_std(socket.try_clone()?)?),
            };
            listeners.insert(endpoint.name, listener);
        }
        Ok(listeners)
    }

    /// Leaves the shared ports of these owners to the process that shares them, without refusing anybody: nobody new
    /// gets in, and who has begun to connect does, as long as connections are still accepted. To be followed by
    /// [`Self::retain`] at once.
    pub async fn leave_shared_ports(&self, is_owner: impl Fn(&str) -> bool) {
        if !self.sockets.shares_ports {
            return;
        }
        for (transport, bound) in self.bound.iter().filter(|(_, bound)| is_owner(&bound.owner)) {
            if let Err(error) = bound.socket.refuse_newcomers() {
                tracing::warn!(%transport, %error, "A port cannot be left in order; a few clients may be refused");
            }
        }
        tokio::time::sleep(LAST_ARRIVALS).await;
    }

    /// Closes every socket that nobody claims any more.
    pub fn retain(&mut self, claims: &[Claim]) {
        let is_wanted =
            |transport: &Transport| claims.iter().any(|claim| claim.endpoint.transport == *transport);
        for (transport, bound) in self.bound.extract_if(|transport, _| !is_wanted(transport)) {
            if bound.inherited {
                self.sockets.give_back(bound.socket);
            } else if let (BoundSocket::Unix(_), Transport::Unix(path)) = (&bound.socket, &transport) {
                // The socket is ours: `bind` refused to start over a live one.
                if let Err(error) = fs::remove_file(path) {
                    tracing::warn!(owner = bound.owner, %transport, %error, "Cannot remove a socket file");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(owner: &str, address: &str) -> Claim {
        let transport = Transport::Tcp(address.to_owned());
        let endpoint = Endpoint { name: "http", key: "endpoint", transport };
        Claim { owner: owner.to_owned(), endpoint, place: None }
    }

    #[tokio::test]
    async fn a_port_in_use_names_the_component_and_the_process() {
        let holder = StdTcpListener::bind("127.0.0.1:0").unwrap();
        let address = holder.local_addr().unwrap().to_string();
        let errors = ListenerPool::default().bind(&[claim("receiver otlp/in", &address)]).unwrap_err();
        let message = errors[0].to_string();
        assert!(message.contains("receiver otlp/in"), "{message}");
        assert!(message.contains(&format!("process {}", std::process::id())), "{message}");
    }

    #[tokio::test]
    async fn two_components_cannot_share_an_address() {
        let errors = ListenerPool::default()
            .bind(&[claim("receiver otlp", "127.0.0.1:0"), claim("receiver otlp/2", "127.0.0.1:0")])
            .unwrap_err();
        assert!(errors[0].to_string().contains("receiver otlp listens there already"), "{}", errors[0]);
    }

    #[tokio::test]
    async fn a_socket_outlives_what_it_was_handed_to() {
        let mut pool = ListenerPool::default();
        let free = StdTcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let endpoint = claim("receiver otlp", &free);
        pool.bind(std::slice::from_ref(&endpoint)).unwrap();
        drop(pool.hand_out(std::slice::from_ref(&endpoint), "receiver otlp").unwrap());
        tokio::net::TcpStream::connect(&free).await.expect("the pool keeps the socket open");
        pool.retain(&[]);
        assert!(tokio::net::TcpStream::connect(&free).await.is_err(), "nobody wants it any more");
    }

    #[test]
    fn wrong_addresses_say_so() {
        let errors = ListenerPool::default().bind(&[claim("receiver otlp", "localhost")]).unwrap_err();
        assert!(errors[0].to_string().contains("write host:port"), "{}", errors[0]);
    }
}
