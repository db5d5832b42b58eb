//! Acts about connections and processes: how they begin, end, fail, and who has them.
#![expect(unsafe_code, reason = "each system call is meant to be exactly that one")]

use std::{
    io::Write as _,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    os::{fd::AsRawFd, unix::process::CommandExt},
    process::Command,
};

use super::{
    REQUEST, RESPONSE,
    calls::{connect, connect_at, read, read_all, write},
    pattern, say,
    transfers::read_and_write,
    wait_for_a_word,
};

/// The last piece arrives together with the end of the connection, as it does from a server that closes.
pub(super) fn end_with_the_last_bytes() {
    let (client, server) = connect();
    write(&client, REQUEST);
    read_all(&server, REQUEST.len());
    write(&server, &RESPONSE[..20]);
    assert_eq!(read(&client, 4096), RESPONSE[..20]);
    write(&server, &RESPONSE[20..]);
    drop(server);
    await_end(&client);
    assert_eq!(read(&client, 4096), RESPONSE[20..]);
    assert!(read(&client, 4096).is_empty());
}

pub(super) fn await_end(stream: &TcpStream) {
    let mut poll = libc::pollfd { fd: stream.as_raw_fd(), events: libc::POLLRDHUP, revents: 0 };
    // SAFETY: there is one.
    assert_eq!(unsafe { libc::poll(&mut poll, 1, 10_000) }, 1);
}

/// The client has said that it sends no more, so its side is closed when the server closes; only then it reads.
pub(super) fn read_after_the_end() {
    let (client, server) = connect();
    write(&client, REQUEST);
    client.shutdown(Shutdown::Write).unwrap();
    read_all(&server, REQUEST.len());
    write(&server, RESPONSE);
    say(client.local_addr().unwrap().port());
    drop(server);
    await_end(&client);
    assert_eq!(read(&client, 4096), RESPONSE);
}

/// Connections over IPv4, over IPv6, and over IPv4 by IPv6 sockets. Says each one's ends.
pub(super) fn families() {
    for (listen, target) in [
        ("127.0.0.1:0", "127.0.0.1"),
        ("[::1]:0", "[::1]"),
        ("[::]:0", "[::ffff:127.0.0.1]"),
        ("[::]:0", "127.0.0.1"),
    ] {
        let listener = TcpListener::bind(listen).unwrap();
        let address: SocketAddr =
            format!("{target}:{}", listener.local_addr().unwrap().port()).parse().unwrap();
        let client = TcpStream::connect(address).unwrap();
        let server = listener.accept().unwrap().0;
        write(&client, REQUEST);
        read_all(&server, REQUEST.len());
        let plain = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        say(format_args!("{} {}", plain(client.local_addr().unwrap()), plain(client.peer_addr().unwrap())));
    }
}

/// Many connections after one another, each with the descriptors of the last one. Says those of the clients.
pub(super) fn same_descriptor() {
    for _ in 0..CONNECTIONS {
        let (client, server) = connect();
        write(&client, REQUEST);
        read_all(&server, REQUEST.len());
        write(&server, RESPONSE);
        read_all(&client, RESPONSE.len());
        say(client.as_raw_fd());
    }
}

pub(crate) const CONNECTIONS: usize = 40;

/// A connection that is made, and used once, before it waits.
pub(super) fn older() {
    let (client, server) = connect();
    write(&client, &pattern(77));
    read_all(&server, 77);
    say(format_args!("{} {}", client.local_addr().unwrap(), client.peer_addr().unwrap()));
    std::io::stdout().flush().unwrap();
    wait_for_a_word();
    write(&client, REQUEST);
    read_all(&server, REQUEST.len());
    write(&server, RESPONSE);
    read_all(&client, RESPONSE.len());
}

/// More than a small ring holds, over the port given; then, when told, one request more.
pub(super) fn flood(port: &str) {
    let (client, server) = connect_at(port.parse().unwrap());
    let message = [REQUEST, &pattern(400)].concat();
    for _ in 0..FLOOD {
        write(&client, &message);
        read_all(&server, message.len());
    }
    say("flooded");
    wait_for_a_word();
    write(&client, &message);
    read_all(&server, message.len());
}

pub(crate) const FLOOD: usize = 1_000;
pub(crate) const FLOOD_MESSAGE: usize = REQUEST.len() + 400;

/// An exchange over the port given, and one over another.
pub(super) fn ports(port: &str) {
    for port in [port.parse().unwrap(), 0_u16] {
        let (client, server) = connect_at(port);
        write(&client, REQUEST);
        read_all(&server, REQUEST.len());
    }
}

/// An exchange of its own, one of a child that is a copy, and one of a child that is another program. Says both children.
pub(super) fn ignored() {
    wait_for_a_word();
    read_and_write();
    // SAFETY: the child does nothing but calls to the system, then ends.
    let child = unsafe { libc::fork() };
    if child == 0 {
        read_and_write();
        // SAFETY: it ends at once.
        unsafe { libc::_exit(0) };
    }
    let mut status = 1;
    // SAFETY: the status is a number.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert_eq!(status, 0);
    say(child);
    let mut other = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "actor::act", "--test-threads=1"])
        .env("SLUICE_ACT", "read and write")
        .spawn()
        .unwrap();
    say(other.id());
    assert!(other.wait().unwrap().success());
}

/// Two exchanges, each when told to. Says that the first is over.
pub(super) fn twice() {
    wait_for_a_word();
    read_and_write();
    say("once");
    std::io::stdout().flush().unwrap();
    wait_for_a_word();
    read_and_write();
}

/// Another program takes over, started by a thread that is not the first.
pub(super) fn run_another() {
    let error = Command::new("/bin/true").args(["one", "", "th ree"]).arg("x".repeat(1_000)).exec();
    panic!("{error}");
}
