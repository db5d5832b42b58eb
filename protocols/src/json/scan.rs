//! Finds the end of a run of plain string content, eight bytes at a time.

const LOW_BITS: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// How many bytes stand before the first quote, backslash or control character (or before the end).
#[inline]
pub(super) fn plain_length(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    while let Some((chunk, tail)) = rest.split_first_chunk::<8>() {
        let special = special_bytes(u64::from_le_bytes(*chunk));
        if special != 0 {
            return bytes.len() - rest.len() + special.trailing_zeros() as usize / 8;
        }
        rest = tail;
    }
    let plain = rest.iter().position(|byte| is_special(*byte)).unwrap_or(rest.len());
    bytes.len() - rest.len() + plain
}

const fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// The high bit of each special byte. A borrow can also set bits above the lowest one, which alone is used.
#[inline]
const fn special_bytes(word: u64) -> u64 {
    let quote = word ^ (LOW_BITS * b'"' as u64);
    let backslash = word ^ (LOW_BITS * b'\\' as u64);
    let below_space = word.wrapping_sub(LOW_BITS * 0x20) & !word;
    (quote.wrapping_sub(LOW_BITS) & !quote | backslash.wrapping_sub(LOW_BITS) & !backslash | below_space)
        & HIGH_BITS
}
