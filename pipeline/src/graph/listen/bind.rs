//! Binds an endpoint.

use std::{
    fs, io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
};

use socket2::{Domain, Protocol, Socket, Type};

use super::{BoundSocket, ListenError, holder::holder_of};
use crate::{
    component::{Endpoint, Transport},
    config::Location,
};

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 1024;

/// An endpoint to be bound, for an error that names what it is.
pub(super) struct Attempt<'a> {
    pub(super) owner: &'a str,
    pub(super) endpoint: &'a Endpoint,
    pub(super) place: Option<&'a Location>,
    pub(super) shares_ports: bool,
}

impl Attempt<'_> {
    pub(super) fn bind(&self) -> Result<BoundSocket, ListenError> {
        match &self.endpoint.transport {
            Transport::Tcp(address) => self.bind_tcp(address).map(BoundSocket::Tcp),
            Transport::Unix(path) => self.bind_unix(path).map(BoundSocket::Unix),
        }
    }

    fn bind_tcp(&self, address: &str) -> Result<TcpListener, ListenError> {
        let candidates = resolve(address).map_err(|reason| self.address(reason))?;
        let mut refused = None;
        for candidate in candidates {
            match listen(candidate, self.shares_ports) {
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

    fn bind_unix(&self, path: &Path) -> Result<UnixListener, ListenError> {
        if path.exists() {
            if UnixStream::connect(path).is_ok() {
                return Err(self.in_use(0));
            }
            // A socket file without a listener is what a killed process leaves.
            fs::remove_file(path).map_err(|source| self.system(source))?;
        }
        let listener = UnixListener::bind(path).map_err(|source| self.system(source))?;
        listener.set_nonblocking(true).map_err(|source| self.system(source))?;
        Ok(listener)
    }

    pub(super) fn shared(&self, other: &str) -> ListenError {
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
pub(super) fn resolve(address: &str) -> Result<Vec<SocketAddr>, String> {
    if let Some(port) = address.strip_prefix(':') {
        let port: u16 = port.parse().map_err(|_| format!("\"{port}\" is not a port"))?;
        return Ok(vec![
            SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)),
            SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
        ]);
    }
    let mut addresses: Vec<SocketAddr> =
        address.to_socket_addrs().map_err(|error| error.to_string())?.collect();
    addresses.sort_by_key(SocketAddr::is_ipv6);
    Ok(addresses)
}

fn listen(address: SocketAddr, shares_port: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shares_port)?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
