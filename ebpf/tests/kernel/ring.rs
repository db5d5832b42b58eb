//! `io_uring`: tier A tells how much was moved, tier B sees nothing of it, and offsets show that.
#![expect(unsafe_code, reason = "there is no library for it here")]

use std::{
    ffi::c_void,
    io::Write as _,
    os::fd::AsRawFd,
    sync::atomic::{AtomicU32, Ordering},
};

use sluice_ebpf::{Tier, event::operation};

use crate::{
    actor::{REQUEST, RESPONSE, connect},
    watch::watch_both,
};

const SEND: u8 = 26;
const RECEIVE: u8 = 27;

/// As `linux/io_uring.h` has it; the parts that matter here.
#[repr(C)]
#[derive(Default)]
struct Submission {
    operation: u8,
    flags: u8,
    priority: u16,
    descriptor: i32,
    offset: u64,
    address: u64,
    length: u32,
    rest: [u32; 9],
}

struct Ring {
    descriptor: i32,
    rings: *mut u8,
    submissions: *mut Submission,
    parameters: [u32; 30],
}

impl Ring {
    fn new() -> Option<Self> {
        let mut parameters = [0_u32; 30];
        // SAFETY: the parameters are as long as the kernel's.
        let descriptor = unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, parameters.as_mut_ptr()) };
        let descriptor = i32::try_from(descriptor).ok().filter(|descriptor| *descriptor >= 0)?;
        let map = |length, offset| {
            let access = libc::PROT_READ | libc::PROT_WRITE;
            // SAFETY: a new mapping, which lives until the process ends.
            let at = unsafe {
                libc::mmap(std::ptr::null_mut(), length, access, libc::MAP_SHARED, descriptor, offset)
            };
            assert!(at != libc::MAP_FAILED);
            at
        };
        let rings = map(4096, 0).cast();
        Some(Self { descriptor, rings, submissions: map(4096, 0x1000_0000).cast(), parameters })
    }

    fn number(&self, parameter: usize) -> &AtomicU32 {
        // SAFETY: the kernel says where in the mapping the number is.
        unsafe { &*self.rings.add(self.parameters[parameter] as usize).cast::<AtomicU32>() }
    }

    /// One operation, from its submission to its result.
    fn run(&self, operation: u8, descriptor: i32, address: *mut c_void, length: usize) -> i32 {
        let submission = Submission {
            operation,
            descriptor,
            address: address as u64,
            length: u32::try_from(length).unwrap(),
            ..Submission::default()
        };
        // SAFETY: there is room for one, and the kernel reads it only below.
        unsafe { self.submissions.write(submission) };
        self.number(16).store(0, Ordering::Relaxed);
        self.number(11).fetch_add(1, Ordering::Release);
        // SAFETY: waits for one result.
        let taken = unsafe { libc::syscall(libc::SYS_io_uring_enter, self.descriptor, 1, 1, 1, 0, 0) };
        assert_eq!(taken, 1);
        let head = self.number(20).fetch_add(1, Ordering::AcqRel);
        let place = (head & self.number(22).load(Ordering::Relaxed)) as usize;
        // SAFETY: the kernel has filled this result of 16 bytes, of which the third word is what the call returned.
        unsafe { self.rings.add(self.parameters[25] as usize + 16 * place + 8).cast::<i32>().read() }
    }
}

/// A request by `write`, one by `io_uring`, and one by `write`.
pub(crate) fn act() {
    let Some(ring) = Ring::new() else {
        println!("\nsaid: none");
        return;
    };
    let (mut client, server) = connect();
    let length = i32::try_from(REQUEST.len()).unwrap();
    let mut buffer = [0_u8; 4096];
    let mut receive = || ring.run(RECEIVE, server.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len());
    client.write_all(REQUEST).unwrap();
    assert_eq!(receive(), length);
    assert_eq!(ring.run(SEND, client.as_raw_fd(), REQUEST.as_ptr().cast_mut().cast(), REQUEST.len()), length);
    assert_eq!(receive(), length);
    client.write_all(RESPONSE).unwrap();
    assert_eq!(receive(), i32::try_from(RESPONSE.len()).unwrap());
}

#[test]
fn asynchronous_calls_are_counted_or_leave_a_gap() {
    watch_both("ring", |tier, story, said| {
        if said == "none" {
            eprintln!("skipped: this kernel has no io_uring");
            return;
        }
        let sent = [REQUEST, REQUEST, RESPONSE].concat();
        if tier == Tier::A {
            story.is_exact(&sent, b"");
            let transfers = story.stream(true, true);
            assert_eq!((transfers[1].operation, transfers[1].is_opaque), (operation::IO_URING, true));
            assert!(
                story
                    .stream(false, false)
                    .iter()
                    .all(|it| it.is_opaque && it.operation == operation::IO_URING)
            );
        } else {
            let transfers = story.stream(true, true);
            let places: Vec<u64> = transfers.iter().map(|it| it.offset).collect();
            assert_eq!(places, [0, 2 * REQUEST.len() as u64]);
            assert_eq!(transfers[1].bytes, RESPONSE);
        }
    });
}
