//! Acts in which something goes wrong: connects that fail, segments that are thrown away, resets.
#![expect(unsafe_code, reason = "each system call is meant to be exactly that one")]

use std::{
    io::Read as _,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::fd::AsRawFd,
};

use super::{
    REQUEST,
    calls::{checked, connect, read_all, write},
    say,
};

pub(super) fn refused(address: &str) {
    let error = TcpStream::connect(address).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
}

/// The same socket, first to where no one listens, then to where someone does.
pub(super) fn connect_again(address: &str) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    // SAFETY: a new socket, which lives until the process ends.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0) };
    assert_eq!(connect_socket(socket, address.parse().unwrap()), -1);
    assert_eq!(connect_socket(socket, listener.local_addr().unwrap()), 0);
    let server = listener.accept().unwrap().0;
    // SAFETY: the buffer is as long as it says.
    let sent = checked(unsafe { libc::write(socket, REQUEST.as_ptr().cast(), REQUEST.len()) });
    assert_eq!(read_all(&server, sent), REQUEST);
    // SAFETY: no one else has it.
    assert_eq!(unsafe { libc::close(socket) }, 0);
}

fn connect_socket(descriptor: i32, address: SocketAddr) -> i32 {
    let SocketAddr::V4(address) = address else { panic!("it is IPv4") };
    let place = libc::sockaddr_in {
        sin_family: u16::try_from(libc::AF_INET).unwrap(),
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(address.ip().octets()) },
        sin_zero: [0; 8],
    };
    let length = u32::try_from(size_of_val(&place)).unwrap();
    // SAFETY: the address is as long as it says.
    unsafe { libc::connect(descriptor, std::ptr::from_ref(&place).cast(), length) }
}

/// The client resets the connection.
pub(super) fn reset() {
    let (client, server) = connect();
    write(&client, REQUEST);
    read_all(&server, REQUEST.len());
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let length = u32::try_from(size_of_val(&linger)).unwrap();
    // SAFETY: the option's value is as long as it says.
    let set = unsafe {
        let value = std::ptr::from_ref(&linger).cast();
        libc::setsockopt(client.as_raw_fd(), libc::SOL_SOCKET, libc::SO_LINGER, value, length)
    };
    assert_eq!(set, 0);
    drop(client);
    let error = (&server).read(&mut [0; 10]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

/// Whether the kernel is to throw away all that arrives at a socket.
fn deafen(socket: &impl AsRawFd, is_deaf: bool) {
    let mut nothing = libc::sock_filter { code: 6, jt: 0, jf: 0, k: 0 };
    let program = libc::sock_fprog { len: 1, filter: &raw mut nothing };
    let option = if is_deaf { libc::SO_ATTACH_FILTER } else { libc::SO_DETACH_FILTER };
    let length = u32::try_from(size_of_val(&program)).unwrap();
    // SAFETY: the program is as long as it says, and is copied.
    let set = unsafe {
        let value = std::ptr::from_ref(&program).cast();
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, value, length)
    };
    assert_eq!(set, 0);
}

fn retransmits(stream: &TcpStream) -> u32 {
    // SAFETY: numbers may be zero.
    let mut information: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut length = u32::try_from(size_of_val(&information)).unwrap();
    // SAFETY: the kernel writes at most so many bytes.
    let got = unsafe {
        let value = (&raw mut information).cast();
        libc::getsockopt(stream.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, value, &raw mut length)
    };
    assert_eq!(got, 0);
    information.tcpi_total_retrans
}

/// After an exchange, a request that arrives only when it is sent again. Says how often it was.
pub(super) fn lossy() {
    let (client, server) = connect();
    write(&client, REQUEST);
    read_all(&server, REQUEST.len());
    deafen(&server, true);
    write(&client, REQUEST);
    while retransmits(&client) == 0 {
        std::thread::yield_now();
    }
    deafen(&server, false);
    assert_eq!(read_all(&server, REQUEST.len()), REQUEST);
    say(retransmits(&client));
}

/// Connects to a listener that nothing reaches, with few attempts.
pub(super) fn unanswered() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    deafen(&listener, true);
    // SAFETY: a new socket, which lives until the process ends.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0) };
    let attempts: i32 = 1;
    let length = u32::try_from(size_of_val(&attempts)).unwrap();
    // SAFETY: the option's value is as long as it says.
    let set = unsafe {
        let value = std::ptr::from_ref(&attempts).cast();
        libc::setsockopt(socket, libc::IPPROTO_TCP, libc::TCP_SYNCNT, value, length)
    };
    assert_eq!(set, 0);
    assert_eq!(connect_socket(socket, listener.local_addr().unwrap()), -1);
    assert_eq!(std::io::Error::last_os_error().kind(), std::io::ErrorKind::TimedOut);
    // SAFETY: no one else has it.
    assert_eq!(unsafe { libc::close(socket) }, 0);
}
