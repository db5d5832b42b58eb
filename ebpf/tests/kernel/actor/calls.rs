//! System calls, each exactly the one that it is named after.
#![expect(unsafe_code, reason = "each system call is meant to be exactly that one")]

use std::{
    ffi::c_void,
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::fd::AsRawFd,
};

/// The ends of a new connection: the client's, then the server's.
pub(crate) fn connect() -> (TcpStream, TcpStream) {
    connect_at(0)
}

/// The same, of a server with this port.
pub(super) fn connect_at(port: u16) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}
pub(super) fn checked(result: isize) -> usize {
    usize::try_from(result).unwrap_or_else(|_| panic!("{}", std::io::Error::last_os_error()))
}

pub(super) fn write(stream: &TcpStream, bytes: &[u8]) {
    // SAFETY: the buffer is as long as it says.
    let written = checked(unsafe { libc::write(stream.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) });
    assert_eq!(written, bytes.len());
}

pub(super) fn read(stream: &TcpStream, at_most: usize) -> Vec<u8> {
    let mut bytes = vec![0; at_most];
    // SAFETY: the buffer is as long as it says.
    let length = checked(unsafe { libc::read(stream.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len()) });
    bytes.truncate(length);
    bytes
}

/// Reads until so many bytes are there.
pub(super) fn read_all(stream: &TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < length {
        let more = read(stream, length - bytes.len());
        assert!(!more.is_empty(), "it ended after {} of {length} bytes", bytes.len());
        bytes.extend(more);
    }
    bytes
}

pub(super) fn receive(stream: &TcpStream, at_most: usize, flags: i32) -> Vec<u8> {
    let mut bytes = vec![0; at_most];
    // SAFETY: the buffer is as long as it says.
    let length =
        checked(unsafe { libc::recv(stream.as_raw_fd(), bytes.as_mut_ptr().cast(), at_most, flags) });
    bytes.truncate(length);
    bytes
}

pub(super) fn entry(bytes: &[u8]) -> libc::iovec {
    libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast::<c_void>(), iov_len: bytes.len() }
}

pub(super) fn entry_mut(bytes: &mut [u8]) -> libc::iovec {
    libc::iovec { iov_base: bytes.as_mut_ptr().cast::<c_void>(), iov_len: bytes.len() }
}

pub(super) fn header(entries: &mut [libc::iovec]) -> libc::msghdr {
    // SAFETY: all zeroes is a message header without anything.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = entries.as_mut_ptr();
    header.msg_iovlen = entries.len();
    header
}

pub(super) fn writev(stream: &TcpStream, parts: &[&[u8]]) -> usize {
    let entries: Vec<libc::iovec> = parts.iter().map(|part| entry(part)).collect();
    // SAFETY: each entry is a slice that outlives the call.
    checked(unsafe {
        libc::writev(stream.as_raw_fd(), entries.as_ptr(), i32::try_from(entries.len()).unwrap())
    })
}
