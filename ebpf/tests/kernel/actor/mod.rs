//! What the processes do that are watched: both ends of connections over loopback, system call by system call.

mod calls;
mod connections;
mod exchanges;
mod incidents;
mod transfers;

use std::io::Read as _;

pub(crate) use self::{
    calls::connect,
    connections::{CONNECTIONS, FLOOD, FLOOD_MESSAGE},
    exchanges::{EXCHANGES, REMARKABLE, SLOW, calls as calls_of_exchange},
    transfers::{FILE, LARGE},
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
        "read and write" => transfers::read_and_write(),
        "vectors" => transfers::vectors(),
        "many vectors" => transfers::many_vectors(),
        "send and receive" => transfers::send_and_receive(),
        "messages" => transfers::messages(),
        "several messages" => transfers::several_messages(),
        "file" => transfers::file(),
        "peek" => transfers::peek(),
        "discard" => transfers::discard(),
        "urgent" => transfers::urgent(),
        "mapped" => transfers::mapped(),
        "partial" => transfers::partial(),
        "large" => transfers::large(),
        "ring" => super::ring::act(),
        "end with the last bytes" => connections::end_with_the_last_bytes(),
        "read after the end" => connections::read_after_the_end(),
        "32-bit" => transfers::call_as_32_bit(),
        "unrecognised" => transfers::unrecognised(),
        "tls" => transfers::begin_with(CLIENT_HELLO),
        "http2" => transfers::begin_with(PREFACE),
        "families" => connections::families(),
        "refused" => incidents::refused(&argument),
        "connect again" => incidents::connect_again(&argument),
        "reset" => incidents::reset(),
        "lossy" => incidents::lossy(),
        "unanswered" => incidents::unanswered(),
        "same descriptor" => connections::same_descriptor(),
        "older" => connections::older(),
        "exchanges and end" => exchanges::exchanges_that_end(&argument, false),
        "exchanges and a request" => exchanges::exchanges_that_end(&argument, true),
        "exchanges" => exchanges::exchanges(&argument),
        "flood" => connections::flood(&argument),
        "ports" => connections::ports(&argument),
        "ignored" => connections::ignored(),
        "twice" => connections::twice(),
        "run another" => connections::run_another(),
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
