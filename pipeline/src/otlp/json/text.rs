//! JSON strings and numbers as text.

use base64::Engine as _;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// How many bytes at the start of `bytes` stand for themselves inside a JSON string: up to the first quote,
/// backslash or control character. Eight bytes at a time.
#[inline]
pub(super) fn plain_length(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let special = special_bytes(u64::from_le_bytes(*word));
        if special != 0 {
            return index * 8 + special.trailing_zeros() as usize / 8;
        }
    }
    let plain = rest.iter().position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\');
    words.len() * 8 + plain.unwrap_or(rest.len())
}

/// Sets the high bit of the first byte of `word` that is special in a JSON string, and of some after it.
#[inline]
const fn special_bytes(word: u64) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    let control = word.wrapping_sub(ONES * 0x20);
    let quote = (word ^ (ONES * b'"' as u64)).wrapping_sub(ONES);
    let backslash = (word ^ (ONES * b'\\' as u64)).wrapping_sub(ONES);
    (control | quote | backslash) & !word & HIGH
}

/// A JSON string of this text. What is not UTF-8 becomes U+FFFD, so that the output is JSON whatever comes in.
#[inline]
pub(super) fn write_string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    if text.is_ascii() || simdutf8::basic::from_utf8(text).is_ok() {
        escape(out, text);
    } else {
        escape(out, String::from_utf8_lossy(text).as_bytes());
    }
    out.push(b'"');
}

fn escape(out: &mut Vec<u8>, mut text: &[u8]) {
    loop {
        let (plain, rest) = text.split_at(plain_length(text));
        out.extend_from_slice(plain);
        let Some((&special, rest)) = rest.split_first() else { return };
        text = rest;
        match special {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => {
                out.extend_from_slice(b"\\u00");
                write_hex_digits(out, &[control]);
            }
        }
    }
}

/// A JSON string of these bytes in lower-case hexadecimal.
#[inline]
pub(super) fn write_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    write_hex_digits(out, bytes);
    out.push(b'"');
}

fn write_hex_digits(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(bytes.iter().flat_map(|byte| [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]));
}

/// A JSON string of these bytes in base64, padded.
pub(super) fn write_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let written = out
        .get_mut(start..)
        .and_then(|space| base64::engine::general_purpose::STANDARD.encode_slice(bytes, space).ok());
    out.truncate(start + written.unwrap_or(0));
    out.push(b'"');
}

/// A JSON number.
#[inline]
pub(super) fn write_unsigned(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [b'0'; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        let digit = (number % 10) as u8;
        digits[start] = b'0' + digit;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(start..).unwrap_or_default());
}

/// A JSON number.
#[inline]
pub(super) fn write_signed(out: &mut Vec<u8>, number: i64) {
    if number < 0 {
        out.push(b'-');
    }
    write_unsigned(out, number.unsigned_abs());
}

/// A JSON number, or a string for what JSON has no number: `"NaN"`, `"Infinity"`, `"-Infinity"`.
pub(super) fn write_double(out: &mut Vec<u8>, number: f64) {
    if number.is_finite() {
        // Writing to a vector cannot fail.
        let _ = serde_json::to_writer(out, &number);
    } else if number.is_nan() {
        out.extend_from_slice(b"\"NaN\"");
    } else {
        out.extend_from_slice(if number > 0.0 { b"\"Infinity\"" } else { b"\"-Infinity\"" });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_at_their_limits() {
        assert_eq!(written(|out| write_unsigned(out, u64::MAX)), u64::MAX.to_string());
        assert_eq!(written(|out| write_signed(out, i64::MIN)), i64::MIN.to_string());
        assert_eq!(written(|out| write_unsigned(out, 0)), "0");
        assert_eq!(written(|out| write_double(out, f64::NEG_INFINITY)), "\"-Infinity\"");
        assert_eq!(written(|out| write_double(out, f64::NAN)), "\"NaN\"");
    }

    #[test]
    fn bytes_in_base64_and_hexadecimal() {
        assert_eq!(written(|out| write_base64(out, b"sluice!")), "\"c2x1aWNlIQ==\"");
        assert_eq!(written(|out| write_base64(out, b"")), "\"\"");
        assert_eq!(written(|out| write_hex(out, &[0x0a, 0xff])), "\"0aff\"");
    }

    #[test]
    fn broken_text_is_still_json() {
        assert_eq!(written(|out| write_string(out, b"a\xffb\x01")), "\"a\u{fffd}b\\u0001\"");
    }

    proptest! {
        #[test]
        fn serde_json_reads_every_string(text in any::<String>()) {
            let json = written(|out| write_string(out, text.as_bytes()));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }

        #[test]
        fn every_double_reads_back(bits in any::<u64>()) {
            let number = f64::from_bits(bits);
            if number.is_finite() {
                let json = written(|out| write_double(out, number));
                prop_assert_eq!(json.parse::<f64>().unwrap().to_bits(), bits);
            }
        }

        #[test]
        fn plain_bytes_are_counted_as_one_by_one(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let expected = bytes.iter().position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\');
            prop_assert_eq!(plain_length(&bytes), expected.unwrap_or(bytes.len()));
        }
    }
}
