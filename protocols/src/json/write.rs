//! Writes JSON strings.

use std::io::Write as _;

/// Appends a string with its quotes.
pub fn write_string(out: &mut Vec<u8>, string: &str) {
    out.push(b'"');
    let mut rest = string.as_bytes();
    loop {
        let (plain, special) = rest.split_at_checked(super::scan::plain_length(rest)).unwrap_or((rest, &[]));
        out.extend_from_slice(plain);
        let Some((byte, tail)) = special.split_first() else { break };
        write_escape(out, *byte);
        rest = tail;
    }
    out.push(b'"');
}

fn write_escape(out: &mut Vec<u8>, byte: u8) {
    match byte {
        b'"' => out.extend_from_slice(b"\\\""),
        b'\\' => out.extend_from_slice(b"\\\\"),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        // Writing into a vector cannot fail.
        _ => drop(write!(out, "\\u{byte:04x}")),
    }
}
