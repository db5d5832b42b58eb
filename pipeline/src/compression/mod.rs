//! Compression of requests and responses, always with a cap on what may come out.

/// How bytes are compressed. The names are those of `Content-Encoding` and `grpc-encoding`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
    /// `deflate`: zlib (RFC 1950), or raw deflate as some clients send it.
    Deflate,
    /// Snappy, framed or as a single block.
    Snappy,
}
