//! Hexadecimal ids.

/// The id, if it is exactly as long and all digits. Digits of either case.
pub(super) fn decode<const SIZE: usize>(text: &str) -> Option<[u8; SIZE]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * SIZE {
        return None;
    }
    let mut id = [0; SIZE];
    for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(id)
}

/// The text of an id of `length` digits, lower case only, that is not all zeros.
pub(super) fn lower_id(bytes: &[u8], length: usize) -> Option<&str> {
    let valid = bytes.len() == length && all(bytes, is_lower) && !is_zero(bytes);
    if valid { str::from_utf8(bytes).ok() } else { None }
}

/// The text of an id of 16 digits, or, where `wide`, also of 32, that is not all zeros.
pub(super) fn id(bytes: &[u8], wide: bool) -> Option<&str> {
    let length = bytes.len() == 16 || wide && bytes.len() == 32;
    if length && all(bytes, u8::is_ascii_hexdigit) && !is_zero(bytes) {
        str::from_utf8(bytes).ok()
    } else {
        None
    }
}

pub(super) const fn is_lower(byte: &u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

pub(super) fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Without an early end, so that it is done many bytes at a time.
fn all(bytes: &[u8], valid: impl Fn(&u8) -> bool) -> bool {
    bytes.iter().fold(true, |all, byte| all & valid(byte))
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |zero, byte| zero & (*byte == b'0'))
}
