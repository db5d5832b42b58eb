//! Batches as the payloads of records. The format is described in `docs/queue-format.md`.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use sluice_pipeline::{
    Signal,
    batch::{Batch, Chunk, Compressed, Context, Origin},
    budget::Budget,
    compression::{Encoding, decompress},
    config::is_secret_key,
};

/// What describes a chunk before the chunks themselves, in bytes.
const CHUNK: usize = 17;
/// The encodings by their number on disk, less one.
const ENCODINGS: [Encoding; 5] =
    [Encoding::Gzip, Encoding::Zstd, Encoding::Deflate, Encoding::Snappy, Encoding::SnappyFramed];

/// A batch ready to be written. Shares the bytes of its chunks.
pub(super) struct Encoded {
    head: Vec<u8>,
    chunks: Vec<Bytes>,
}

/// A payload that no batch can be made of.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Undecodable {
    /// It ends within something.
    #[error("it is cut off")]
    CutOff,
    /// It goes on behind its last chunk.
    #[error("something follows its last chunk")]
    Surplus,
    /// A number that stands for nothing.
    #[error("{0} is unknown")]
    Unknown(&'static str),
    /// Names or values that no request can have had.
    #[error("its metadata is no header")]
    Metadata,
    /// More than its header says.
    #[error("it is larger than its header says")]
    Size,
    /// Compressed bytes that are not, or not of that size.
    #[error("a chunk cannot be decompressed")]
    Compression,
}

impl Encoded {
    pub(super) fn new(batch: &Batch) -> Self {
        let mut head = vec![batch.signal() as u8];
        put_peer(&mut head, batch.context().peer);
        put_metadata(&mut head, &batch.context().metadata);
        put32(&mut head, batch.chunks().len());
        let mut origins: Vec<Origin> = Vec::new();
        let mut chunks = Vec::with_capacity(batch.chunks().len());
        for chunk in batch.chunks() {
            let origin = origins.iter().rposition(|known| *known == chunk.origin()).unwrap_or_else(|| {
                origins.push(chunk.origin());
                origins.len() - 1
            });
            let stored = chunk.compressed().map_or(chunk.bytes(), |compressed| &compressed.bytes);
            put32(&mut head, chunk.items());
            put32(&mut head, origin);
            head.push(chunk.compressed().map_or(0, |compressed| number_of(compressed.encoding)));
            put32(&mut head, stored.len());
            put32(&mut head, chunk.bytes().len());
            chunks.push(stored.clone());
        }
        Self { head, chunks }
    }

    /// The payload, in pieces.
    pub(super) fn payload(&self) -> Vec<&[u8]> {
        std::iter::once(&self.head[..]).chain(self.chunks.iter().map(|chunk| &chunk[..])).collect()
    }

    /// Its length in bytes.
    pub(super) fn len(&self) -> usize {
        self.head.len() + self.chunks.iter().map(Bytes::len).sum::<usize>()
    }
}

/// The batch of a payload that arrived `age` ago and is `size` bytes of OTLP at most. Its memory is charged to the budget,
/// whether or not there is any left.
///
/// # Errors
/// [`Undecodable`].
pub(super) fn decode(
    payload: Vec<u8>,
    size: u64,
    age: Duration,
    budget: &Budget,
) -> Result<Batch, Undecodable> {
    let payload = Bytes::from(payload);
    let mut rest = Rest { payload: &payload, position: 0 };
    let signal = *Signal::ALL.get(usize::from(rest.byte()?)).ok_or(Undecodable::Unknown("its signal"))?;
    let peer = rest.peer()?;
    let metadata = rest.metadata()?;
    let count = rest.number32()?;
    let mut table = Rest { payload: &payload, position: rest.position };
    rest.take(count.checked_mul(CHUNK).ok_or(Undecodable::CutOff)?)?;
    let mut chunks: Vec<Chunk> = Vec::with_capacity(count);
    let mut left = size;
    // The number of each origin, with the first chunk that has it.
    let mut firsts: Vec<usize> = Vec::new();
    for place in 0..count {
        let (items, origin) = (table.number32()?, table.number32()?);
        let encoding = table.byte()?;
        let (stored, plain) = (table.number32()?, table.number32()?);
        let stored = rest.take(stored)?;
        left = left.checked_sub(plain as u64).ok_or(Undecodable::Size)?;
        let (bytes, compressed) = unpack(encoding, stored, plain)?;
        let held = bytes.len() + compressed.as_ref().map_or(0, |compressed| compressed.bytes.len());
        let mut chunk = match firsts.get(origin).and_then(|first| chunks.get(*first)) {
            Some(first) => first.replaced(bytes, items),
            None if origin == firsts.len() => {
                firsts.push(place);
                Chunk::new(bytes, items)
            }
            None => return Err(Undecodable::Unknown("an origin")),
        }
        .with_charge(budget.charge_anyway(held as u64));
        if let Some(compressed) = compressed {
            chunk = chunk.with_compressed(compressed);
        }
        chunks.push(chunk);
    }
    if rest.position != payload.len() {
        return Err(Undecodable::Surplus);
    }
    let arrival = Instant::now().checked_sub(age).unwrap_or_else(Instant::now);
    let context = Context { deadline: None, metadata, peer, auth: Vec::new(), arrival };
    Ok(Batch::from_chunks(signal, chunks, Arc::new(context)))
}

fn unpack(encoding: u8, stored: Bytes, plain: usize) -> Result<(Bytes, Option<Compressed>), Undecodable> {
    let Some(place) = usize::from(encoding).checked_sub(1) else {
        return if stored.len() == plain { Ok((stored, None)) } else { Err(Undecodable::CutOff) };
    };
    let encoding = *ENCODINGS.get(place).ok_or(Undecodable::Unknown("an encoding"))?;
    let bytes = decompress(encoding, &stored, plain).map_err(|_| Undecodable::Compression)?.bytes;
    if bytes.len() != plain {
        return Err(Undecodable::Compression);
    }
    Ok((bytes.into(), Some(Compressed { encoding, bytes: stored })))
}

fn number_of(encoding: Encoding) -> u8 {
    ENCODINGS.iter().zip(1..).find(|(known, _)| **known == encoding).map_or(0, |(_, number)| number)
}

fn put32(head: &mut Vec<u8>, number: usize) {
    // Larger batches are refused before they are written.
    head.extend_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
}

fn put_peer(head: &mut Vec<u8>, peer: Option<SocketAddr>) {
    match peer.map(|peer| peer.ip()) {
        None => head.push(0),
        Some(IpAddr::V4(address)) => {
            head.push(4);
            head.extend_from_slice(&address.octets());
        }
        Some(IpAddr::V6(address)) => {
            head.push(6);
            head.extend_from_slice(&address.octets());
        }
    }
    if let Some(peer) = peer {
        head.extend_from_slice(&peer.port().to_le_bytes());
    }
}

fn put_metadata(head: &mut Vec<u8>, metadata: &HeaderMap) {
    let kept: Vec<(&HeaderName, &HeaderValue)> = metadata
        .iter()
        .filter(|(name, value)| !value.is_sensitive() && !is_secret_key(name.as_str()))
        .take(usize::from(u16::MAX))
        .collect();
    head.extend_from_slice(&u16::try_from(kept.len()).unwrap_or(u16::MAX).to_le_bytes());
    for (name, value) in kept {
        // `http` keeps names below 64 KiB.
        let name = name.as_str().as_bytes();
        head.extend_from_slice(&u16::try_from(name.len()).unwrap_or(u16::MAX).to_le_bytes());
        head.extend_from_slice(name);
        put32(head, value.len());
        head.extend_from_slice(value.as_bytes());
    }
}

/// What of a payload was not read yet.
struct Rest<'a> {
    payload: &'a Bytes,
    position: usize,
}

impl Rest<'_> {
    fn take(&mut self, count: usize) -> Result<Bytes, Undecodable> {
        let end = self.position.checked_add(count).filter(|end| *end <= self.payload.len());
        let end = end.ok_or(Undecodable::CutOff)?;
        let taken = self.payload.slice(self.position..end);
        self.position = end;
        Ok(taken)
    }

    fn array<const SIZE: usize>(&mut self) -> Result<[u8; SIZE], Undecodable> {
        let rest = self.payload.get(self.position..).and_then(|rest| rest.first_chunk::<SIZE>());
        self.position += SIZE;
        rest.copied().ok_or(Undecodable::CutOff)
    }

    fn byte(&mut self) -> Result<u8, Undecodable> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn number16(&mut self) -> Result<u16, Undecodable> {
        self.array().map(u16::from_le_bytes)
    }

    fn number32(&mut self) -> Result<usize, Undecodable> {
        let number = u32::from_le_bytes(self.array()?);
        usize::try_from(number).map_err(|_| Undecodable::CutOff)
    }

    fn peer(&mut self) -> Result<Option<SocketAddr>, Undecodable> {
        let address: IpAddr = match self.byte()? {
            0 => return Ok(None),
            4 => self.array::<4>()?.into(),
            6 => self.array::<16>()?.into(),
            _ => return Err(Undecodable::Unknown("an address family")),
        };
        Ok(Some(SocketAddr::new(address, self.number16()?)))
    }

    fn metadata(&mut self) -> Result<HeaderMap, Undecodable> {
        let mut metadata = HeaderMap::new();
        for _ in 0..self.number16()? {
            let length = self.number16()?;
            let name = self.take(usize::from(length))?;
            let length = self.number32()?;
            let value = self.take(length)?;
            let name = HeaderName::from_bytes(&name).map_err(|_| Undecodable::Metadata)?;
            let value = HeaderValue::from_bytes(&value).map_err(|_| Undecodable::Metadata)?;
            metadata.try_append(name, value).map_err(|_| Undecodable::Metadata)?;
        }
        Ok(metadata)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sluice_pipeline::compression::compress;

    use super::*;

    fn budget() -> Budget {
        Budget::new(1 << 30)
    }

    fn payload(batch: &Batch) -> Vec<u8> {
        let encoded = Encoded::new(batch);
        let payload = encoded.payload().concat();
        assert_eq!(payload.len(), encoded.len());
        payload
    }

    fn decoded(batch: &Batch) -> Batch {
        decode(payload(batch), 1 << 20, Duration::from_secs(60), &budget()).unwrap()
    }

    #[test]
    fn a_batch_comes_back_as_it_was() {
        let plain = Bytes::from_static(b"some telemetry, some telemetry");
        let gzip: Bytes = compress(Encoding::Gzip, None, std::slice::from_ref(&plain)).unwrap().into();
        let first = Chunk::new(plain.clone(), 3)
            .with_compressed(Compressed { encoding: Encoding::Gzip, bytes: gzip.clone() });
        let second = Chunk::new(Bytes::from_static(b"more"), 1);
        let third = first.replaced(Bytes::from_static(b"of the first"), 2);
        let mut metadata = HeaderMap::new();
        metadata.append("x-tenant", HeaderValue::from_static("a"));
        metadata.append("x-tenant", HeaderValue::from_static("b"));
        let peer = Some("[2001:db8::1]:4317".parse().unwrap());
        let context = Context { metadata, peer, ..Context::default() };
        let batch = Batch::from_chunks(Signal::Metrics, vec![first, second, third], Arc::new(context));
        let back = decoded(&batch);
        assert_eq!((back.signal(), back.items()), (Signal::Metrics, 6));
        assert_eq!(back.contiguous(), batch.contiguous());
        assert_eq!(back.chunks()[0].compressed().unwrap().bytes, gzip);
        assert!(back.chunks()[1].compressed().is_none());
        assert_eq!(back.chunks()[0].origin(), back.chunks()[2].origin());
        assert_ne!(back.chunks()[0].origin(), back.chunks()[1].origin());
        assert_eq!(back.context().metadata, batch.context().metadata);
        assert_eq!(back.context().peer, peer);
        assert!(back.context().arrival.elapsed() >= Duration::from_secs(60));
        assert!(payload(&batch).len() < 30 + gzip.len() + 200, "only the compressed bytes are stored");
    }

    #[test]
    fn credentials_are_not_stored() {
        let mut metadata = HeaderMap::new();
        for name in ["authorization", "proxy-authorization", "cookie", "x-api-key", "x-auth-token"] {
            metadata.insert(name, HeaderValue::from_static("hush"));
        }
        let mut marked = HeaderValue::from_static("hush");
        marked.set_sensitive(true);
        metadata.insert("x-innocent", marked);
        metadata.insert("x-tenant", HeaderValue::from_static("a"));
        let auth = vec![("subject".to_owned(), "hush".to_owned())];
        let context = Context { metadata, auth, ..Context::default() };
        let batch = Batch::new(Signal::Logs, Chunk::new(Bytes::from_static(b"x"), 1), context);
        let payload = payload(&batch);
        assert!(!payload.windows(4).any(|window| window == b"hush"));
        let back = decode(payload, 1 << 20, Duration::ZERO, &budget()).unwrap();
        assert_eq!(back.context().metadata.len(), 1);
        assert!(back.context().auth.is_empty());
    }

    #[test]
    fn what_is_read_counts_as_memory_until_it_is_gone() {
        let budget = budget();
        let batch = Batch::new(Signal::Logs, Chunk::new(vec![7; 1000].into(), 1), Context::default());
        let back = decode(payload(&batch), 1 << 20, Duration::ZERO, &budget).unwrap();
        assert_eq!(budget.used(), 1000);
        drop(back);
        assert_eq!(budget.used(), 0);
    }

    proptest! {
        #[test]
        fn arbitrary_payloads_never_panic(payload: Vec<u8>) {
            let _ = decode(payload, 1 << 20, Duration::ZERO, &budget());
        }

        #[test]
        fn a_payload_that_is_cut_off_or_longer_is_undecodable(
            content in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..5),
            cut: prop::sample::Index,
        ) {
            let chunks = content.iter().map(|bytes| Chunk::new(bytes.clone().into(), 1)).collect();
            let batch = Batch::from_chunks(Signal::Traces, chunks, Arc::default());
            let mut payload = payload(&batch);
            prop_assert_eq!(decode(payload.clone(), 1 << 20, Duration::ZERO, &budget()).unwrap().contiguous(), batch.contiguous());
            let cut_off = payload[..cut.index(payload.len())].to_vec();
            prop_assert_eq!(decode(cut_off, 1 << 20, Duration::ZERO, &budget()).unwrap_err(), Undecodable::CutOff);
            payload.push(0);
            prop_assert_eq!(decode(payload, 1 << 20, Duration::ZERO, &budget()).unwrap_err(), Undecodable::Surplus);
        }
    }
}
