//! Text as bytes.

/// Reads bytes as text.
pub trait Text {
    /// The text, or an empty one if the bytes are not UTF-8, which the check at the door excludes.
    fn as_str(&self) -> &str;
}

impl Text for [u8] {
    #[inline]
    fn as_str(&self) -> &str {
        simdutf8::basic::from_utf8(self).unwrap_or_default()
    }
}
