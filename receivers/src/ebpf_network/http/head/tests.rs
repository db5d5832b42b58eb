//! Heads are read as by the plainest means.

use proptest::{collection::vec, prelude::*};

use super::*;

const NAMES: [&str; 9] = [
    "host",
    "upgrade",
    "user-agent",
    "content-length",
    "transfer-encoding",
    "traceparent",
    "b3",
    "x-b3-sampled",
    "x-other",
];

/// A name with letters of either case, or with bits of its bytes changed.
fn name() -> impl Strategy<Value = Vec<u8>> {
    let change = |(name, cases, change): (&str, u32, Option<(usize, u8)>)| {
        let mut name: Vec<u8> = name
            .bytes()
            .enumerate()
            .map(|(at, byte)| if cases >> at & 1 == 1 { byte.to_ascii_uppercase() } else { byte })
            .collect();
        if let Some((at, bits)) = change {
            let at = at % name.len();
            name[at] ^= bits;
        }
        name
    };
    let bits = prop_oneof![Just(0x20u8), Just(1), any::<u8>()];
    (prop::sample::select(&NAMES[..]), any::<u32>(), prop::option::of((any::<usize>(), bits)))
        .prop_map(change)
}

/// Host, user agent, whether there is an upgrade, and what is said of the body.
type Found = (Vec<u8>, Vec<u8>, bool, Declared);

/// The same by the plainest means: line by line, and byte by byte.
fn plainly(bytes: &[u8]) -> Result<Option<Found>, Invalid> {
    let mut lines = Vec::new();
    let mut rest = bytes;
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let line = &rest[..end];
        lines.push(line.strip_suffix(b"\r").unwrap_or(line));
        rest = &rest[end + 1..];
    }
    let (mut host, mut agent, mut upgrade, mut declared) =
        (Vec::new(), Vec::new(), false, Declared::default());
    for (count, line) in lines.iter().skip(1).enumerate() {
        if line.is_empty() {
            return Ok(Some((host, agent, upgrade, declared)));
        }
        if count == MAX_HEADERS {
            return Err(Invalid::TooManyHeaders);
        }
        let colon = line.iter().position(|byte| *byte == b':').ok_or(Invalid::Malformed)?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        let ends = [name.first(), name.last()];
        if !ends.iter().all(|byte| byte.is_some_and(|byte| super::super::detect::is_token(*byte))) {
            return Err(Invalid::Malformed);
        }
        match name.to_ascii_lowercase().as_slice() {
            b"host" => host = value.to_vec(),
            b"user-agent" => agent = value.to_vec(),
            b"upgrade" => upgrade = true,
            b"content-length" => {
                for part in value.split(|byte| *byte == b',') {
                    let text = str::from_utf8(part.trim_ascii()).map_err(|_| Invalid::Malformed)?;
                    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
                    let length = text.parse().ok().filter(|_| digits).ok_or(Invalid::Malformed)?;
                    if declared.length.is_some_and(|other| other != length) {
                        return Err(Invalid::Malformed);
                    }
                    declared.length = Some(length);
                }
            }
            b"transfer-encoding" => {
                let text = value.to_ascii_lowercase();
                let last = text.rsplit(|byte| *byte == b',').next().unwrap_or_default().trim_ascii();
                declared.coding = if last == b"chunked" { Coding::Chunked } else { Coding::Other };
            }
            _ => {}
        }
    }
    Ok(None)
}

proptest! {
    #[test]
    fn the_first_byte_is_found(line in vec(prop_oneof![b':'..=b';', any::<u8>()], 0..40), padding in 0usize..100) {
        let line = [vec![b'x'; padding], line].concat();
        prop_assert_eq!(position(&line, b':'), line.iter().position(|byte| *byte == b':'));
    }

    #[test]
    fn names_are_compared_in_any_case(name in name()) {
        prop_assert_eq!(is(&name, b"host"), name.eq_ignore_ascii_case(b"host"));
        prop_assert_eq!(is(&name, b"user-agent"), name.eq_ignore_ascii_case(b"user-agent"));
        prop_assert_eq!(is(&name, b"content-length"), name.eq_ignore_ascii_case(b"content-length"));
        prop_assert_eq!(is(&name, b"transfer-encoding"), name.eq_ignore_ascii_case(b"transfer-encoding"));
    }

    #[test]
    fn heads_are_read_as_by_the_plainest_means(
        headers in vec(
            (
                name(),
                prop::sample::select(&[": ", ":", "", " :", ": \t"][..]),
                prop::sample::select(&["", "5", "5, 5", "5,6", "18446744073709551615", "18446744073709551616",
                    "+5", "chunked", "gzip, Chunked ", "chunked, gzip", "\u{e9}", "a:b"][..]),
                prop_oneof![4 => 0usize..10, 1 => 50usize..100],
                prop::sample::select(&["\r\n", "\n", "\r\n\r\n", "\r\r\n"][..]),
            ),
            0..12,
        ),
        is_complete in any::<bool>(),
    ) {
        let mut bytes = b"GET /a HTTP/1.1\r\n".to_vec();
        for (name, colon, value, padding, end) in headers {
            let padding = " ".repeat(padding);
            bytes.extend([&name, colon.as_bytes(), padding.as_bytes(), value.as_bytes(), end.as_bytes()].concat());
        }
        bytes.extend_from_slice(if is_complete { b"\r\nbody" } else { b"" });
        let mut details = Details::default();
        let detailed = request(&bytes, Some(&mut details)).map(|head| head.map(|head| {
            (details.host.to_vec(), details.user_agent.to_vec(), head.upgrade, head.declared)
        }));
        let measured = request(&bytes, None).map(|head| head.map(|head| (head.upgrade, head.declared)));
        prop_assert_eq!(&measured, &detailed.as_ref().map_err(|error| *error).map(|head| {
            head.as_ref().map(|(_, _, upgrade, declared)| (*upgrade, *declared))
        }));
        let line = b"HTTP/1.1 200 OK".to_vec();
        let answer = [line, bytes[15..].to_vec()].concat();
        let answered = response(&answer).map(|head| head.map(|head| head.declared));
        prop_assert_eq!(answered, measured.map(|head| head.map(|(_, declared)| declared)));
        prop_assert_eq!(detailed, plainly(&bytes));
    }
}
