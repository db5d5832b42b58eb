//! Where sockets come from besides binding them: from whoever started the process, or shared with another process.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use listenfd::ListenFd;
use socket2::{SockFilter, SockRef};

use super::{BoundSocket, bind::resolve};
use crate::component::Transport;

/// The sockets that a process started with, and whether it shares its ports. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Sockets {
    inherited: Arc<Mutex<Vec<BoundSocket>>>,
    pub(super) shares_ports: bool,
}

/// What was passed on to the process and is no socket that listens.
#[derive(Debug, thiserror::Error)]
#[error(
    "descriptor {descriptor} of LISTEN_FDS cannot be used: {source}; pass on sockets that listen on TCP or Unix addresses"
)]
pub struct CannotInherit {
    descriptor: usize,
    source: io::Error,
}

impl Sockets {
    /// Takes the sockets that the starter of this process opened for it, as systemd does for socket units (variables
    /// `LISTEN_FDS` and `LISTEN_PID`, sd_listen_fds(3)). They stay open there while this process is restarted.
    ///
    /// # Errors
    /// A descriptor that is no socket which listens.
    pub fn inherit(shares_ports: bool) -> Result<Self, CannotInherit> {
        /// The first descriptor that is passed on.
        const FIRST: usize = 3;
        let mut given = ListenFd::from_env();
        let mut inherited = Vec::new();
        for place in 0..given.len() {
            let cannot = |source| CannotInherit { descriptor: FIRST + place, source };
            let socket = match given.take_tcp_listener(place) {
                Ok(socket) => socket.map(BoundSocket::Tcp),
                Err(_) => given.take_unix_listener(place).map_err(cannot)?.map(BoundSocket::Unix),
            };
            if let Some(socket) = socket {
                socket.set_nonblocking().map_err(cannot)?;
                inherited.push(socket);
            }
        }
        Ok(Self { inherited: Arc::new(Mutex::new(inherited)), shares_ports })
    }

    /// The addresses of the inherited sockets that no component listens on.
    #[must_use]
    pub fn unclaimed(&self) -> Vec<String> {
        self.locked().iter().map(BoundSocket::address).collect()
    }

    /// The inherited socket for this address.
    pub(super) fn take(&self, transport: &Transport) -> Option<BoundSocket> {
        let mut inherited = self.locked();
        let place = inherited.iter().position(|socket| socket.serves(transport))?;
        Some(inherited.remove(place))
    }

    /// Keeps an inherited socket for a later configuration.
    pub(super) fn give_back(&self, socket: BoundSocket) {
        self.locked().push(socket);
    }

    fn locked(&self) -> MutexGuard<'_, Vec<BoundSocket>> {
        self.inherited.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BoundSocket {
    fn set_nonblocking(&self) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.set_nonblocking(true),
            Self::Unix(socket) => socket.set_nonblocking(true),
        }
    }

    fn serves(&self, transport: &Transport) -> bool {
        match (self, transport) {
            (Self::Tcp(socket), Transport::Tcp(address)) => {
                let Ok(bound) = socket.local_addr() else { return false };
                resolve(address).is_ok_and(|wanted| wanted.iter().any(|wanted| covers(bound, *wanted)))
            }
            (Self::Unix(socket), Transport::Unix(path)) => {
                socket.local_addr().is_ok_and(|bound| bound.as_pathname() == Some(path.as_path()))
            }
            _ => false,
        }
    }

    fn address(&self) -> String {
        match self {
            Self::Tcp(socket) => socket.local_addr().map(|address| address.to_string()),
            Self::Unix(socket) => socket.local_addr().map(|address| format!("{address:?}")),
        }
        .unwrap_or_else(|error| error.to_string())
    }

    /// Lets no new connection begin here: a client's first packet is dropped, and repeated a second later it reaches
    /// the process that shares the port, if this one has closed its socket by then.
    pub(super) fn refuse_newcomers(&self) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => SockRef::from(socket).attach_filter(&without_newcomers()),
            Self::Unix(_) => Ok(()),
        }
    }
}

/// Whether a socket bound here takes the connections to that address. One of IPv6 that is bound to every address takes
/// those of IPv4 too, as systemd opens it.
fn covers(bound: SocketAddr, wanted: SocketAddr) -> bool {
    let every = |address: IpAddr| address.is_unspecified();
    bound == wanted
        || (bound.port() == wanted.port() && every(bound.ip()) && every(wanted.ip()) && bound.is_ipv6())
}

/// A classic BPF program that keeps every TCP packet but one that begins a connection (SYN without ACK).
fn without_newcomers() -> [SockFilter; 5] {
    const LOAD_BYTE: u16 = 0x30;
    const AND: u16 = 0x54;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    /// The flags within the TCP header, which is where the packet begins for a filter of a socket.
    const FLAGS: u32 = 13;
    const SYN: u32 = 0x02;
    const ACK: u32 = 0x10;
    [
        SockFilter::new(LOAD_BYTE, 0, 0, FLAGS),
        SockFilter::new(AND, 0, 0, SYN | ACK),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, SYN),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ]
}

#[cfg(test)]
mod tests {
    use std::{
        net::{TcpListener, TcpStream},
        time::Duration,
    };

    use super::*;

    fn holding(socket: TcpListener) -> Sockets {
        let sockets = Sockets::default();
        sockets.give_back(BoundSocket::Tcp(socket));
        sockets
    }

    #[test]
    fn an_inherited_socket_is_taken_by_its_address_once() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let sockets = holding(socket);
        assert_eq!(sockets.unclaimed(), [address.to_string()]);
        let other = Transport::Tcp(format!("127.0.0.2:{}", address.port()));
        assert!(sockets.take(&other).is_none());
        let named = Transport::Tcp(format!("localhost:{}", address.port()));
        assert!(sockets.take(&named).is_some());
        assert!(sockets.take(&named).is_none());
    }

    #[test]
    fn a_socket_of_every_address_covers_what_means_every_address() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert!(covers(at("[::]:4317"), at("0.0.0.0:4317")));
        assert!(!covers(at("0.0.0.0:4317"), at("[::]:4317")));
        assert!(!covers(at("[::]:4317"), at("127.0.0.1:4317")));
        assert!(!covers(at("[::]:4317"), at("[::]:4318")));
    }

    #[test]
    fn nobody_new_gets_in_and_those_inside_stay() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut inside = TcpStream::connect(address).unwrap();
        let socket = BoundSocket::Tcp(listener.try_clone().unwrap());
        socket.refuse_newcomers().unwrap();
        let refused = TcpStream::connect_timeout(&address, Duration::from_millis(200)).unwrap_err();
        assert_eq!(
            refused.kind(),
            io::ErrorKind::TimedOut,
            "not even refused: the next process is to get it"
        );
        let (mut served, _) = listener.accept().unwrap();
        io::Write::write_all(&mut inside, b"x").unwrap();
        let mut byte = [0];
        io::Read::read_exact(&mut served, &mut byte).unwrap();
        assert_eq!(&byte, b"x");
    }
}
