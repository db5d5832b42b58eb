//! Trace and span ids of headers as OTLP has them.

use crate::ebpf_network::trace_context::{Context, Format};

/// The ids of the first context that has valid ones, and that context.
pub(super) fn first<'c, 'a>(
    contexts: impl Iterator<Item = &'c Context<'a>>,
) -> Option<(&'c Context<'a>, [u8; 16], [u8; 8])>
where
    'a: 'c,
{
    contexts
        .filter(|context| context.format != Format::Sw8)
        .find_map(|context| Some((context, parse(context.trace_id)?, parse(context.span_id)?)))
}

/// Reads hexadecimal digits of any case; a shorter id is padded on the left. An id of zeros is none.
fn parse<const BYTES: usize>(text: &str) -> Option<[u8; BYTES]> {
    let digits = text.as_bytes();
    // B3 has trace ids of 64 bits; shorter ids come from tracers that drop leading zeros.
    if digits.is_empty() || digits.len() > 2 * BYTES {
        return None;
    }
    let mut id = [0; BYTES];
    let mut any = 0;
    for (place, digit) in digits.iter().rev().enumerate() {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            b'A'..=b'F' => digit - b'A' + 10,
            _ => return None,
        };
        id[BYTES - 1 - place / 2] |= value << (place % 2 * 4);
        any |= value;
    }
    (any != 0).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_padded_and_checked() {
        assert_eq!(parse::<8>("00000000000000Ff"), Some([0, 0, 0, 0, 0, 0, 0, 0xff]));
        assert_eq!(parse::<16>("463ac35c9f6413ad").map(|id| (id[7], id[8], id[15])), Some((0, 0x46, 0xad)));
        for invalid in ["", "0", "0000000000000000", "g", "12345678901234567", "-1"] {
            assert_eq!(parse::<8>(invalid), None, "{invalid}");
        }
    }
}
