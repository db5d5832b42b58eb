//! Writes attributes of a log record whose lengths are known, which is faster than filling them in.

use std::net::IpAddr;

use sluice_pipeline::otlp::write::{Writer, varint, varint_length};

/// `KeyValue` in `LogRecord.attributes`.
const ATTRIBUTE: u8 = 6 << 3 | 2;
const KEY: u8 = 1 << 3 | 2;
const VALUE: u8 = 2 << 3 | 2;
const STRING: u8 = 1 << 3 | 2;
const BOOL: u8 = 2 << 3;
const INT: u8 = 3 << 3;

/// An attribute with text.
#[inline]
pub(super) fn text(out: &mut Vec<u8>, key: &str, value: &str) {
    let string = 1 + varint_length(value.len() as u64) + value.len();
    begin(out, key, string);
    out.push(STRING);
    varint(out, value.len() as u64);
    out.extend_from_slice(value.as_bytes());
}

/// An attribute with text that may not be UTF-8: what is invalid becomes U+FFFD.
#[inline]
pub(super) fn repaired(out: &mut Vec<u8>, key: &str, value: &[u8]) {
    match std::str::from_utf8(value) {
        Ok(value) => text(out, key, value),
        Err(_) => text(out, key, &String::from_utf8_lossy(value)),
    }
}

/// An attribute with an integer.
#[inline]
pub(super) fn int(out: &mut Vec<u8>, key: &str, value: u64) {
    begin(out, key, 1 + varint_length(value));
    out.push(INT);
    varint(out, value);
}

/// An attribute with a truth value.
#[inline]
pub(super) fn boolean(out: &mut Vec<u8>, key: &str, value: bool) {
    begin(out, key, 2);
    out.extend_from_slice(&[BOOL, u8::from(value)]);
}

/// An attribute with an address; IPv4 in IPv6 is shown as IPv4.
#[inline]
pub(super) fn address(out: &mut Vec<u8>, key: &str, address: IpAddr) {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let mut buffer = [0; 15];
            let mut length = 0;
            for (place, octet) in address.octets().into_iter().enumerate() {
                if place > 0 {
                    buffer[length] = b'.';
                    length += 1;
                }
                for (least, divisor) in [(100, 100), (10, 10), (0, 1)] {
                    if octet >= least {
                        buffer[length] = b'0' + octet / divisor % 10;
                        length += 1;
                    }
                }
            }
            repaired(out, key, &buffer[..length]);
        }
        IpAddr::V6(address) => text(out, key, &address.to_string()),
    }
}

/// An attribute whose value `write` writes.
pub(super) fn nested(out: &mut Vec<u8>, key: &str, write: impl FnOnce(&mut Writer<'_>)) {
    Writer::new(out).message(6, |writer| {
        writer.bytes(1, key.as_bytes());
        writer.message(2, write);
    });
}

/// Everything up to an `AnyValue` of this length.
#[inline]
fn begin(out: &mut Vec<u8>, key: &str, value: usize) {
    let head = 1 + varint_length(key.len() as u64) + key.len();
    let whole = head + 1 + varint_length(value as u64) + value;
    if let (Ok(whole @ ..0x80), Ok(key_length), Ok(value)) =
        (u8::try_from(whole), u8::try_from(key.len()), u8::try_from(value))
    {
        // Nearly all are so short that each length takes a byte.
        out.extend_from_slice(&[ATTRIBUTE, whole, KEY, key_length]);
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(&[VALUE, value]);
        return;
    }
    out.push(ATTRIBUTE);
    varint(out, whole as u64);
    out.push(KEY);
    varint(out, key.len() as u64);
    out.extend_from_slice(key.as_bytes());
    out.push(VALUE);
    varint(out, value as u64);
}
