//! What the processes do that are watched: both ends of connections over loopback, system call by system call.
#![expect(unsafe_code, reason = "each system call is meant to be exactly that one")]

use std::{
    ffi::c_void,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    os::{fd::AsRawFd, unix::process::CommandExt},
    process::Command,
};

pub(crate) const REQUEST: &[u8] = b"GET /act?query=1 HTTP/1.1\r\nHost: test\r\n\r\n";
pub(crate) const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
pub(crate) const CLIENT_HELLO: &[u8] = b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03";

/// Like no protocol anywhere, and no two stretches of it are the same.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|place| u8::try_from(0x80 | (place ^ (place >> 7)) & 0x7f).unwrap()).collect()
}

/// Two binary bytes, as no protocol that is recognised begins.
pub(crate) const BINARY: &[u8] = &[0xfe, 0x01];

#[test]
#[ignore = "run by the other tests, in a process of its own"]
fn act() {
    let name = std::env::var("SLUICE_ACT").expect("the name of the act");
    let argument = std::env::var("SLUICE_ACT_ARGUMENT").unwrap_or_default();
    match name.as_str() {
        "read and write" => read_and_write(),
        "vectors" => vectors(),
        "many vectors" => many_vectors(),
        "send and receive" => send_and_receive(),
        "messages" => messages(),
        "several messages" => several_messages(),
        "file" => file(),
        "peek" => peek(),
        "discard" => discard(),
        "urgent" => urgent(),
        "mapped" => mapped(),
        "partial" => partial(),
        "large" => large(),
        "ring" => super::ring::act(),
        "end with the last bytes" => end_with_the_last_bytes(),
        "read after the end" => read_after_the_end(),
        "32-bit" => call_as_32_bit(),
        "unrecognised" => unrecognised(),
        "tls" => begin_with(CLIENT_HELLO),
        "http2" => begin_with(PREFACE),
        "families" => families(),
        "refused" => refused(&argument),
        "connect again" => connect_again(&argument),
        "reset" => reset(),
        "same descriptor" => same_descriptor(),
        "older" => older(),
        "flood" => flood(),
        "ports" => ports(&argument),
        "ignored" => ignored(),
        "run another" => run_another(),
        other => panic!("no act {other}"),
    }
}

fn say(text: impl std::fmt::Display) {
    println!("\nsaid: {text}");
}

fn wait_for_a_word() {
    let mut byte = [0];
    std::io::stdin().read_exact(&mut byte).unwrap();
}

/// The ends of a new connection: the client's, then the server's.
pub(crate) fn connect() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

fn checked(result: isize) -> usize {
    usize::try_from(result).unwrap_or_else(|_| panic!("{}", std::io::Error::last_os_error()))
}

fn write(stream: &TcpStream, bytes: &[u8]) {
    // SAFETY: the buffer is as long as it says.
    let written = checked(unsafe { libc::write(stream.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) });
    assert_eq!(written, bytes.len());
}

fn read(stream: &TcpStream, at_most: usize) -> Vec<u8> {
    let mut bytes = vec![0; at_most];
    // SAFETY: the buffer is as long as it says.
    let length = checked(unsafe { libc::read(stream.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len()) });
    bytes.truncate(length);
    bytes
}

/// Reads until so many bytes are there.
fn read_all(stream: &TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < length {
        let more = read(stream, length - bytes.len());
        assert!(!more.is_empty(), "it ended after {} of {length} bytes", bytes.len());
        bytes.extend(more);
    }
    bytes
}

fn receive(stream: &TcpStream, at_most: usize, flags: i32) -> Vec<u8> {
    let mut bytes = vec![0; at_most];
    // SAFETY: the buffer is as long as it says.
    let length =
        checked(unsafe { libc::recv(stream.as_raw_fd(), bytes.as_mut_ptr().cast(), at_most, flags) });
    bytes.truncate(length);
    bytes
}

fn entry(bytes: &[u8]) -> libc::iovec {
    libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast::<c_void>(), iov_len: bytes.len() }
}

fn entry_mut(bytes: &mut [u8]) -> libc::iovec {
    libc::iovec { iov_base: bytes.as_mut_ptr().cast::<c_void>(), iov_len: bytes.len() }
}

fn header(entries: &mut [libc::iovec]) -> libc::msghdr {
    // SAFETY: all zeroes is a message header without anything.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = entries.as_mut_ptr();
    header.msg_iovlen = entries.len();
    header
}

fn writev(stream: &TcpStream, parts: &[&[u8]]) -> usize {
    let entries: Vec<libc::iovec> = parts.iter().map(|part| entry(part)).collect();
    // SAFETY: each entry is a slice that outlives the call.
    checked(unsafe {
        libc::writev(stream.as_raw_fd(), entries.as_ptr(), i32::try_from(entries.len()).unwrap())
    })
}

fn read_and_write() {
    let (client, server) = connect();
    write(&client, REQUEST);
    assert_eq!(read(&server, 4096), REQUEST);
    write(&server, RESPONSE);
    // In two pieces.
    assert_eq!(read(&client, 20), &RESPONSE[..20]);
    assert_eq!(read(&client, 4096), &RESPONSE[20..]);
}

fn vectors() {
    let (client, server) = connect();
    let (first, rest) = REQUEST.split_at(3);
    let (middle, last) = rest.split_at(17);
    assert_eq!(writev(&client, &[b"", b"", b"", b"", b"", first, b"", middle, last]), REQUEST.len());
    let (mut one, mut none, mut two, mut three) = ([0; 1], [0; 0], [0; 10], [0; 4096]);
    let entries = [
        entry_mut(&mut none),
        entry_mut(&mut one),
        entry_mut(&mut none),
        entry_mut(&mut two),
        entry_mut(&mut three),
    ];
    // SAFETY: each entry is an array that outlives the call.
    let length = checked(unsafe { libc::readv(server.as_raw_fd(), entries.as_ptr(), 5) });
    assert_eq!(length, REQUEST.len());
    assert_eq!(writev(&server, &[RESPONSE]), RESPONSE.len());
    read_all(&client, RESPONSE.len());
}

/// Of more buffers than the kernel side looks at.
fn many_vectors() {
    let (client, server) = connect();
    let parts: Vec<&[u8]> = REQUEST.chunks(1).collect();
    assert_eq!(writev(&client, &parts), REQUEST.len());
    read_all(&server, REQUEST.len());
    write(&client, REQUEST);
    read_all(&server, REQUEST.len());
}

fn send_and_receive() {
    let (client, server) = connect();
    // SAFETY: the buffer is as long as it says.
    let sent = checked(unsafe { libc::send(client.as_raw_fd(), REQUEST.as_ptr().cast(), REQUEST.len(), 0) });
    assert_eq!(sent, REQUEST.len());
    assert_eq!(receive(&server, 4096, 0), REQUEST);
    // SAFETY: as above.
    let sent = checked(unsafe {
        libc::send(server.as_raw_fd(), RESPONSE.as_ptr().cast(), RESPONSE.len(), libc::MSG_NOSIGNAL)
    });
    assert_eq!(sent, RESPONSE.len());
    assert_eq!(receive(&client, RESPONSE.len(), libc::MSG_WAITALL), RESPONSE);
}

fn messages() {
    let (client, server) = connect();
    let (first, last) = REQUEST.split_at(10);
    let mut entries = [entry(first), entry(b""), entry(last)];
    // SAFETY: the header's entries outlive the call.
    let sent = checked(unsafe { libc::sendmsg(client.as_raw_fd(), &header(&mut entries), 0) });
    assert_eq!(sent, REQUEST.len());
    let (mut one, mut two) = ([0; 7], [0; 4096]);
    let mut entries = [entry_mut(&mut one), entry_mut(&mut two)];
    // SAFETY: as above.
    let length = checked(unsafe { libc::recvmsg(server.as_raw_fd(), &mut header(&mut entries), 0) });
    assert_eq!(length, REQUEST.len());
    assert_eq!(one, REQUEST[..7]);
    write(&server, RESPONSE);
    read_all(&client, RESPONSE.len());
}

/// Three requests in one call each way, then one response in a call for one message.
fn several_messages() {
    let (client, server) = connect();
    let mut entries = [[entry(REQUEST)], [entry(REQUEST)], [entry(REQUEST)]];
    let mut sent: Vec<libc::mmsghdr> =
        entries.iter_mut().map(|entries| libc::mmsghdr { msg_hdr: header(entries), msg_len: 0 }).collect();
    // SAFETY: all headers' entries outlive the call, here and below.
    let count = checked(unsafe { libc::sendmmsg(client.as_raw_fd(), sent.as_mut_ptr(), 3, 0) } as isize);
    assert_eq!((count, sent[2].msg_len as usize), (3, REQUEST.len()));
    let mut buffers = vec![vec![0; REQUEST.len()]; 3];
    let mut entries: Vec<[libc::iovec; 1]> = buffers.iter_mut().map(|buffer| [entry_mut(buffer)]).collect();
    let mut received: Vec<libc::mmsghdr> =
        entries.iter_mut().map(|entries| libc::mmsghdr { msg_hdr: header(entries), msg_len: 0 }).collect();
    // SAFETY: see above.
    let count = checked(unsafe {
        libc::recvmmsg(server.as_raw_fd(), received.as_mut_ptr(), 3, 0, std::ptr::null_mut())
    } as isize);
    assert_eq!((count, buffers[2].as_slice()), (3, REQUEST));

    let mut entries = [entry(RESPONSE)];
    let mut one = libc::mmsghdr { msg_hdr: header(&mut entries), msg_len: 0 };
    // SAFETY: see above.
    assert_eq!(checked(unsafe { libc::sendmmsg(server.as_raw_fd(), &mut one, 1, 0) } as isize), 1);
    let mut buffer = vec![0; RESPONSE.len()];
    let mut entries = [entry_mut(&mut buffer)];
    let mut one = libc::mmsghdr { msg_hdr: header(&mut entries), msg_len: 0 };
    // SAFETY: see above.
    let count =
        checked(unsafe { libc::recvmmsg(client.as_raw_fd(), &mut one, 1, 0, std::ptr::null_mut()) } as isize);
    assert_eq!((count, buffer.as_slice()), (1, RESPONSE));
}

/// A header by `write`, a body by `sendfile`.
fn file() {
    let (client, server) = connect();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&pattern(FILE)).unwrap();
    write(&client, REQUEST);
    read_all(&server, REQUEST.len());
    write(&server, RESPONSE);
    let mut place = 0;
    while usize::try_from(place).unwrap() < FILE {
        // SAFETY: `place` is a number that the kernel may write to.
        checked(unsafe { libc::sendfile(server.as_raw_fd(), file.as_raw_fd(), &mut place, FILE) });
    }
    let all = read_all(&client, RESPONSE.len() + FILE);
    assert_eq!(all[RESPONSE.len()..], pattern(FILE));
}

pub(crate) const FILE: usize = 30_000;

fn peek() {
    let (client, server) = connect();
    write(&client, REQUEST);
    assert_eq!(receive(&server, 10, libc::MSG_PEEK), REQUEST[..10]);
    assert_eq!(receive(&server, 4096, libc::MSG_PEEK), REQUEST);
    assert_eq!(read(&server, 4096), REQUEST);
    write(&server, RESPONSE);
    read_all(&client, RESPONSE.len());
}

/// The server throws away the first ten bytes without looking at them.
fn discard() {
    let (client, server) = connect();
    write(&client, REQUEST);
    // SAFETY: with MSG_TRUNC, TCP writes nothing.
    let thrown =
        checked(unsafe { libc::recv(server.as_raw_fd(), std::ptr::null_mut(), 10, libc::MSG_TRUNC) });
    assert_eq!(thrown, 10);
    assert_eq!(read(&server, 4096), REQUEST[10..]);
    write(&server, RESPONSE);
    read_all(&client, RESPONSE.len());
}

/// An urgent byte, read apart from the stream.
fn urgent() {
    let (client, server) = connect();
    write(&client, REQUEST);
    read_all(&server, REQUEST.len());
    // SAFETY: the buffer has one byte.
    assert_eq!(checked(unsafe { libc::send(client.as_raw_fd(), b"!".as_ptr().cast(), 1, libc::MSG_OOB) }), 1);
    assert_eq!(receive(&server, 1, libc::MSG_OOB), b"!");
    write(&client, REQUEST);
    read_all(&server, REQUEST.len());
}

/// From memory, and into memory, that no one has touched yet.
fn mapped() {
    let (client, server) = connect();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(REQUEST).unwrap();
    // SAFETY: new mappings of a file that is long enough, and of nothing; they live until the process ends.
    let (from, into) = unsafe {
        let private = libc::MAP_PRIVATE;
        let anonymous = private | libc::MAP_ANONYMOUS;
        let from = libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_READ, private, file.as_raw_fd(), 0);
        let writable = libc::PROT_READ | libc::PROT_WRITE;
        (from, libc::mmap(std::ptr::null_mut(), 4096, writable, anonymous, -1, 0))
    };
    assert!(from != libc::MAP_FAILED && into != libc::MAP_FAILED);
    // SAFETY: the mappings are longer.
    let sent = checked(unsafe { libc::write(client.as_raw_fd(), from, REQUEST.len()) });
    assert_eq!(sent, REQUEST.len());
    // SAFETY: as above.
    assert_eq!(checked(unsafe { libc::read(server.as_raw_fd(), into, 4096) }), REQUEST.len());
    write(&server, RESPONSE);
    read_all(&client, RESPONSE.len());
}

/// More than the socket takes at once, from two buffers. Says how much it took.
fn partial() {
    let (client, server) = connect();
    client.set_nonblocking(true).unwrap();
    let body = pattern(16 << 20);
    let taken = writev(&client, &[REQUEST, &body]);
    assert!(taken > REQUEST.len() && taken < body.len(), "{taken}");
    say(taken);
    read_all(&server, taken);
    client.set_nonblocking(false).unwrap();
    write(&client, REQUEST);
    read_all(&server, REQUEST.len());
}

/// A message of which only the beginning is captured, in pieces.
fn large() {
    let (client, server) = connect();
    let body = pattern(LARGE);
    let message = [REQUEST, &body].concat();
    for piece in message.chunks(3_000) {
        write(&client, piece);
    }
    read_all(&server, message.len());
    write(&client, REQUEST);
    read_all(&server, REQUEST.len());
}

pub(crate) const LARGE: usize = 20_000;

/// The last piece arrives together with the end of the connection, as it does from a server that closes.
fn end_with_the_last_bytes() {
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

fn await_end(stream: &TcpStream) {
    let mut poll = libc::pollfd { fd: stream.as_raw_fd(), events: libc::POLLRDHUP, revents: 0 };
    // SAFETY: there is one.
    assert_eq!(unsafe { libc::poll(&mut poll, 1, 10_000) }, 1);
}

/// The client has said that it sends no more, so its side is closed when the server closes; only then it reads.
fn read_after_the_end() {
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

/// A call that has a 32-bit program's number for `brk`, which is `recvfrom`'s of 64-bit programs.
fn call_as_32_bit() {
    let (client, server) = connect();
    write(&client, REQUEST);
    read_all(&server, REQUEST.len());
    #[cfg(target_arch = "x86_64")]
    {
        let result: i64;
        // SAFETY: brk(0) changes nothing; the interrupt may clobber r8 to r11.
        unsafe {
            std::arch::asm!(
                "push rbx", "xor ebx, ebx", "int 0x80", "pop rbx",
                inlateout("rax") 45_i64 => result, in("rdi") i64::from(client.as_raw_fd()),
                out("r8") _, out("r9") _, out("r10") _, out("r11") _,
            );
        }
        say(result);
    }
    write(&server, RESPONSE);
    read_all(&client, RESPONSE.len());
}

/// Twelve calls of no known protocol, then a request.
fn unrecognised() {
    let (client, server) = connect();
    for _ in 0..12 {
        write(&client, BINARY);
    }
    write(&client, REQUEST);
    read_all(&server, 12 * BINARY.len() + REQUEST.len());
}

/// A protocol's first bytes, then something that looks like a request.
fn begin_with(first: &[u8]) {
    let (client, server) = connect();
    write(&client, first);
    read_all(&server, first.len());
    write(&client, REQUEST);
    read_all(&server, REQUEST.len());
}

/// Connections over IPv4, over IPv6, and over IPv4 by IPv6 sockets. Says each one's ends.
fn families() {
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

fn refused(address: &str) {
    let error = TcpStream::connect(address).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
}

/// The same socket, first to where no one listens, then to where someone does.
fn connect_again(address: &str) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let connect = |descriptor: i32, address: SocketAddr| {
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
    };
    // SAFETY: a new socket, which lives until the process ends.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0) };
    assert_eq!(connect(socket, address.parse().unwrap()), -1);
    assert_eq!(connect(socket, listener.local_addr().unwrap()), 0);
    let server = listener.accept().unwrap().0;
    // SAFETY: the buffer is as long as it says.
    let sent = checked(unsafe { libc::write(socket, REQUEST.as_ptr().cast(), REQUEST.len()) });
    assert_eq!(read_all(&server, sent), REQUEST);
    // SAFETY: no one else has it.
    assert_eq!(unsafe { libc::close(socket) }, 0);
}

/// The client resets the connection.
fn reset() {
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

/// Many connections after one another, each with the descriptors of the last one. Says those of the clients.
fn same_descriptor() {
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
fn older() {
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

/// More than a small ring holds; then, when told, one request more.
fn flood() {
    let (client, server) = connect();
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
fn ports(port: &str) {
    for port in [port.parse().unwrap(), 0_u16] {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let server = listener.accept().unwrap().0;
        write(&client, REQUEST);
        read_all(&server, REQUEST.len());
    }
}

/// An exchange of its own, one of a child that is a copy, and one of a child that is another program. Says both children.
fn ignored() {
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

/// Another program takes over, started by a thread that is not the first.
fn run_another() {
    let error = Command::new("/bin/true").args(["one", "", "th ree"]).arg("x".repeat(1_000)).exec();
    panic!("{error}");
}
