//! Hides a value behind its SHA-256.

use std::fmt::Write;

use sha2::{Digest, Sha256};
use sluice_pipeline::otlp::{
    rewrite::value,
    view::{AnyValue, View},
};

/// The encoded text that takes the place of an encoded value: what the Collector hashes, as it hashes it.
pub(super) fn hashed(encoded: &[u8]) -> Vec<u8> {
    let digest = match AnyValue::of(encoded) {
        AnyValue::String(b"") => String::new(),
        AnyValue::String(text) => sha256(text),
        AnyValue::Bool(truth) => sha256(&[u8::from(truth)]),
        AnyValue::Int(number) => sha256(&number.to_le_bytes()),
        AnyValue::Double(number) => sha256(&number.to_bits().to_le_bytes()),
        AnyValue::Empty
        | AnyValue::Array(_)
        | AnyValue::KeyValues(_)
        | AnyValue::Bytes(_)
        | AnyValue::StringIndex(_) => String::new(),
    };
    value::string(digest.as_bytes())
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing into a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(encoded: &[u8]) -> String {
        AnyValue::of(&hashed(encoded)).text().into_owned()
    }

    #[test]
    fn each_type_is_hashed_by_its_bytes() {
        // Computed with coreutils: printf 'foo' | sha256sum, and so on.
        let foo = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
        let one_byte = "4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a";
        let one_in_eight = "7c9fa136d4413fa6173637e883b6998d32e1d675f88cddff9dcbcf331820f4b8";
        assert_eq!(hash(&value::string(b"foo")), foo);
        assert_eq!(hash(&value::bool(true)), one_byte);
        assert_eq!(hash(&value::int(1)), one_in_eight);
        assert_eq!(hash(&value::double(f64::from_bits(1))), one_in_eight);
    }

    #[test]
    fn what_has_no_bytes_to_hash_becomes_empty_text() {
        assert_eq!(hash(&value::string(b"")), "");
        assert_eq!(hash(&value::array([value::int(1)])), "");
        assert!(matches!(AnyValue::of(&hashed(b"")), AnyValue::String(b"")));
    }
}
