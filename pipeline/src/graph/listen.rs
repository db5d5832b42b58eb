//! Host-owned listeners: bound before anything starts, kept across reloads.

use std::{
    collections::HashMap,
    fs, io,
    net::{SocketAddr, TcpListener as StdTcpListener, ToSocketAddrs},
    os::unix::net::UnixListener as StdUnixListener,
    path::Path,
};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, UnixListener};

use crate::{
    component::{Endpoint, Listener, Listeners, Transport},
    config::Location,
};

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 1024;

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
    bound: HashMap<Transport, Bound>,
}

#[derive(Debug)]
struct Bound {
    owner: String,
    socket: BoundSocket,
}

#[derive(Debug)]
enum BoundSocket {
    Tcp(StdTcpListener),
    Unix(StdUnixListener),
}

/// An endpoint that cannot be bound.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Two components of one configuration want the same address.
    #[error(
        "{owner} cannot listen on {address} ({key}): {other} listens there already; give one of them another port"
    )]
    Shared {
        /// The component that cannot listen.
        owner: String,
        /// The configured address.
        address: String,
        /// The key that configures it, with its place.
        key: String,
        /// The component that has it.
        other: String,
    },
    /// Another process, or this one, has the port.
    #[error(
        "{owner} cannot listen on {address} ({key}): the address is in use{holder}; stop that process or choose another port"
    )]
    InUse {
        /// The component that cannot listen.
        owner: String,
        /// The configured address.
        address: String,
        /// The key that configures it, with its place.
        key: String,
        /// ` by process PID (NAME)` where it can be told.
        holder: String,
    },
    /// The address is no `host:port`, or its host does not resolve.
    #[error("{owner} cannot listen on {address} ({key}): {reason}; write host:port, such as localhost:4317")]
    Address {
        /// The component that cannot listen.
        owner: String,
        /// The configured address.
        address: String,
        /// The key that configures it, with its place.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Anything else that the system refuses.
    #[error("{owner} cannot listen on {address} ({key}): {source}")]
    System {
        /// The component that cannot listen.
        owner: String,
        /// The configured address.
        address: String,
        /// The key that configures it, with its place.
        key: String,
        /// The system's reason.
        source: io::Error,
    },
}

impl ListenerPool {
    /// Binds what is not bound yet. All failures at once; sockets bound in vain are closed again.
    ///
    /// # Errors
    /// One error for each endpoint that cannot be bound.
    pub fn bind(&mut self, claims: &[Claim]) -> Result<(), Vec<ListenError>> {
        let mut claimed: HashMap<&Transport, &str> = HashMap::new();
        let mut fresh = Vec::new();
        let mut errors = Vec::new();
        for Claim { owner, endpoint, place } in claims {
            let attempt = Attempt { owner, endpoint, place: place.as_ref() };
            if let Some(other) = claimed.get(&endpoint.transport) {
                errors.push(attempt.shared(other));
                continue;
            }
            claimed.insert(&endpoint.transport, owner);
            if !self.bound.contains_key(&endpoint.transport) {
                match attempt.bind() {
                    Ok(socket) => {
                        let owner = owner.clone();
                        fresh.push((endpoint.transport.clone(), Bound { owner, socket }));
                    }
                    Err(error) => errors.push(error),
                }
            }
        }
        if errors.is_empty() {
            self.bound.extend(fresh);
            Ok(())
        } else {
            Err(errors)
        }
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

    /// Closes every socket that nobody claims any more.
    pub fn retain(&mut self, claims: &[Claim]) {
        self.bound.retain(|transport, bound| {
            let keep = claims.iter().any(|claim| claim.endpoint.transport == *transport);
            if !keep && let (BoundSocket::Unix(_), Transport::Unix(path)) = (&bound.socket, transport) {
                // The socket is ours: `bind` refused to start over a live one.
                if let Err(error) = fs::remove_file(path) {
                    tracing::warn!(owner = bound.owner, %transport, %error, "Cannot remove a socket file");
                }
            }
            keep
        });
    }
}

struct Attempt<'a> {
    owner: &'a str,
    endpoint: &'a Endpoint,
    place: Option<&'a Location>,
}

impl Attempt<'_> {
    fn bind(&self) -> Result<BoundSocket, ListenError> {
        match &self.endpoint.transport {
            Transport::Tcp(address) => self.bind_tcp(address).map(BoundSocket::Tcp),
            Transport::Unix(path) => self.bind_unix(path).map(BoundSocket::Unix),
        }
    }

    fn bind_tcp(&self, address: &str) -> Result<StdTcpListener, ListenError> {
        let candidates = resolve(address).map_err(|reason| self.address(reason))?;
        let mut refused = None;
        for candidate in candidates {
            match listen(candidate) {
                Ok(socket) => return Ok(socket),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    return Err(self.in_use(candidate.port()));
                }
                Err(error) => refused = Some(error),
            }
        }
        Err(match refused {
            Some(source) => self.system(source),
            None => self.address("the host has no address".to_owned()),
        })
    }

    fn bind_unix(&self, path: &Path) -> Result<StdUnixListener, ListenError> {
        if path.exists() {
            if std::os::unix::net::UnixStream::connect(path).is_ok() {
                return Err(self.in_use(0));
            }
            // A socket file without a listener is what a killed process leaves.
            fs::remove_file(path).map_err(|source| self.system(source))?;
        }
        let listener = StdUnixListener::bind(path).map_err(|source| self.system(source))?;
        listener.set_nonblocking(true).map_err(|source| self.system(source))?;
        Ok(listener)
    }

    fn shared(&self, other: &str) -> ListenError {
        let (owner, address, key) = self.named();
        ListenError::Shared { owner, address, key, other: other.to_owned() }
    }

    fn in_use(&self, port: u16) -> ListenError {
        let (owner, address, key) = self.named();
        let holder = holder_of(port).map_or_else(String::new, |holder| format!(" by {holder}"));
        ListenError::InUse { owner, address, key, holder }
    }

    fn address(&self, reason: String) -> ListenError {
        let (owner, address, key) = self.named();
        ListenError::Address { owner, address, key, reason }
    }

    fn system(&self, source: io::Error) -> ListenError {
        let (owner, address, key) = self.named();
        ListenError::System { owner, address, key, source }
    }

    fn named(&self) -> (String, String, String) {
        let key = match self.place {
            Some(place) => format!("{} at {place}", self.endpoint.key),
            None => self.endpoint.key.to_owned(),
        };
        (self.owner.to_owned(), self.endpoint.transport.to_string(), key)
    }
}

/// The addresses to try, IPv4 first for a host name; all interfaces for an empty host, IPv6 (which serves IPv4 too)
/// before IPv4.
fn resolve(address: &str) -> Result<Vec<SocketAddr>, String> {
    if let Some(port) = address.strip_prefix(':') {
        let port: u16 = port.parse().map_err(|_| format!("\"{port}\" is not a port"))?;
        return Ok(vec![
            SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, port)),
            SocketAddr::from((std::net::Ipv4Addr::UNSPECIFIED, port)),
        ]);
    }
    let mut addresses: Vec<SocketAddr> =
        address.to_socket_addrs().map_err(|error| error.to_string())?.collect();
    addresses.sort_by_key(SocketAddr::is_ipv6);
    Ok(addresses)
}

fn listen(address: SocketAddr) -> io::Result<StdTcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// The process that listens on this TCP port, as far as `/proc` shows it to us.
fn holder_of(port: u16) -> Option<String> {
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| {
            table.lines().skip(1).filter_map(|line| listening_inode(line, port)).collect::<Vec<_>>()
        })
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    let processes = fs::read_dir("/proc").ok()?;
    for process in processes.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let Ok(descriptors) = fs::read_dir(process.path().join("fd")) else { continue };
        let holds = descriptors.flatten().any(|descriptor| {
            fs::read_link(descriptor.path())
                .is_ok_and(|target| inodes.iter().any(|inode| target.as_os_str() == inode.as_str()))
        });
        if holds {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some(format!("process {pid} ({})", name.trim()));
        }
    }
    None
}

/// The inode of a line of `/proc/net/tcp` that listens (state 0A) on this port.
fn listening_inode(line: &str, port: u16) -> Option<String> {
    let columns: Vec<&str> = line.split_whitespace().collect();
    let (_, local_port) = columns.get(1)?.rsplit_once(':')?;
    let listens = *columns.get(3)? == "0A" && u16::from_str_radix(local_port, 16).ok()? == port;
    listens.then(|| columns.get(9).map(|inode| (*inode).to_owned()))?
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
