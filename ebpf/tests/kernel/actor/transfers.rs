//! Acts about what calls move, and what of it is captured.
#![expect(unsafe_code, reason = "each system call is meant to be exactly that one")]

use std::{io::Write as _, os::fd::AsRawFd};

use super::{
    BINARY, REQUEST, RESPONSE,
    calls::{checked, connect, entry, entry_mut, header, read, read_all, receive, write, writev},
    pattern, say,
};

pub(super) fn read_and_write() {
    let (client, server) = connect();
    write(&client, REQUEST);
    assert_eq!(read(&server, 4096), REQUEST);
    write(&server, RESPONSE);
    // In two pieces.
    assert_eq!(read(&client, 20), &RESPONSE[..20]);
    assert_eq!(read(&client, 4096), &RESPONSE[20..]);
}

pub(super) fn vectors() {
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
pub(super) fn many_vectors() {
    let (client, server) = connect();
    let parts: Vec<&[u8]> = REQUEST.chunks(1).collect();
    assert_eq!(writev(&client, &parts), REQUEST.len());
    read_all(&server, REQUEST.len());
    write(&client, REQUEST);
    read_all(&server, REQUEST.len());
}

pub(super) fn send_and_receive() {
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

pub(super) fn messages() {
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
pub(super) fn several_messages() {
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
pub(super) fn file() {
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

pub(super) fn peek() {
    let (client, server) = connect();
    write(&client, REQUEST);
    assert_eq!(receive(&server, 10, libc::MSG_PEEK), REQUEST[..10]);
    assert_eq!(receive(&server, 4096, libc::MSG_PEEK), REQUEST);
    assert_eq!(read(&server, 4096), REQUEST);
    write(&server, RESPONSE);
    read_all(&client, RESPONSE.len());
}

/// The server throws away the first ten bytes without looking at them.
pub(super) fn discard() {
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
pub(super) fn urgent() {
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
pub(super) fn mapped() {
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
pub(super) fn partial() {
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
pub(super) fn large() {
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

/// A call that has a 32-bit program's number for `brk`, which is `recvfrom`'s of 64-bit programs.
pub(super) fn call_as_32_bit() {
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
pub(super) fn unrecognised() {
    let (client, server) = connect();
    for _ in 0..12 {
        write(&client, BINARY);
    }
    write(&client, REQUEST);
    read_all(&server, 12 * BINARY.len() + REQUEST.len());
}

/// A protocol's first bytes, then something that looks like a request.
pub(super) fn begin_with(first: &[u8]) {
    let (client, server) = connect();
    write(&client, first);
    read_all(&server, first.len());
    write(&client, REQUEST);
    read_all(&server, REQUEST.len());
}
