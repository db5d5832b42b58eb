//! The unit that moves through pipelines: a rope of encoded OTLP messages with its context.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use bytes::Bytes;
use http::HeaderMap;

use crate::{budget::Charge, compression::Encoding, native::Native, signal::Signal};

/// Telemetry of one signal, as it came over the wire.
///
/// The chunks together are one protobuf message: concatenating encoded messages of the same type merges their
/// repeated fields, so batches are joined by moving chunks. Profiles are the exception, see [`Batch::can_join`].
/// Cloning shares the bytes.
#[derive(Clone, Debug)]
pub struct Batch {
    signal: Signal,
    chunks: Vec<Chunk>,
    items: usize,
    context: Arc<Context>,
}

/// One complete encoded `TracesData`, `MetricsData`, `LogsData` or `ProfilesData` in canonical form
/// (checked by [`crate::otlp::check`] or written by Sluice itself), or messages that become one once somebody looks.
#[derive(Clone, Debug)]
pub struct Chunk {
    content: Content,
    items: usize,
    origin: Origin,
    compressed: Option<Compressed>,
    charge: Option<Arc<Charge>>,
}

#[derive(Clone, Debug)]
enum Content {
    Encoded(Bytes),
    Native(Arc<Native>),
}

/// The compressed bytes that a chunk came in, kept so that an untouched chunk can leave as it came.
/// Only ever one gzip member or one zstd frame.
#[derive(Clone, Debug)]
pub struct Compressed {
    /// How they are compressed.
    pub encoding: Encoding,
    /// The compressed bytes.
    pub bytes: Bytes,
}

/// The request that a chunk came in with. Answers and resends are per origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin(u64);

/// What is known about the sender of a batch.
#[derive(Clone, Debug)]
pub struct Context {
    /// When the caller stops waiting for an answer.
    pub deadline: Option<Instant>,
    /// Request headers, empty unless the receiver has `include_metadata: true`. Never logged.
    pub metadata: HeaderMap,
    /// The address of the client.
    pub peer: Option<SocketAddr>,
    /// What a server authenticator said about the client: attribute name and value. Never logged.
    pub auth: Vec<(String, String)>,
    /// When the receiver had the whole request.
    pub arrival: Instant,
}

impl Default for Context {
    fn default() -> Self {
        Self {
            deadline: None,
            metadata: HeaderMap::new(),
            peer: None,
            auth: Vec::new(),
            arrival: Instant::now(),
        }
    }
}

impl Origin {
    /// An origin that no other chunk of this process has.
    #[must_use]
    pub fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl Chunk {
    /// A chunk with an origin of its own. `items` must be what the bytes hold.
    #[must_use]
    pub fn new(bytes: Bytes, items: usize) -> Self {
        Self::of(Content::Encoded(bytes), items)
    }

    /// A chunk of messages that are not translated yet, with an origin of its own. `items` must be what they become.
    #[must_use]
    pub fn from_native(native: Native, items: usize) -> Self {
        Self::of(Content::Native(Arc::new(native)), items)
    }

    fn of(content: Content, items: usize) -> Self {
        Self { content, items, origin: Origin::next(), compressed: None, charge: None }
    }

    /// Keeps the compressed bytes that the chunk was decoded from.
    #[must_use]
    pub fn with_compressed(mut self, compressed: Compressed) -> Self {
        self.compressed = Some(compressed);
        self
    }

    /// Ties memory charged against the byte budget to the life of the chunk.
    #[must_use]
    pub fn with_charge(mut self, charge: Charge) -> Self {
        self.charge = Some(Arc::new(charge));
        self
    }

    /// A chunk with other content but the same origin: what a processor or a split makes of it.
    /// The charge stays with it until its last descendant is gone.
    #[must_use]
    pub fn replaced(&self, bytes: Bytes, items: usize) -> Self {
        let content = Content::Encoded(bytes);
        Self { content, items, origin: self.origin, compressed: None, charge: self.charge.clone() }
    }

    /// The encoded message. What came in messages of another protocol is translated by the first call.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        match &self.content {
            Content::Encoded(bytes) => bytes,
            Content::Native(native) => native.otlp(),
        }
    }

    /// Its size in bytes: of the encoded message, or of what it came in while nobody has looked at it. Unlike
    /// [`Self::bytes`] it costs nothing, and may change.
    #[must_use]
    pub fn size(&self) -> usize {
        match &self.content {
            Content::Encoded(bytes) => bytes.len(),
            Content::Native(native) => native.translated().map_or(native.length(), Bytes::len),
        }
    }

    /// How much room to take for it, in bytes: of the encoded message, or of what it came in and the most that this may
    /// become. It does not change when somebody looks.
    #[must_use]
    pub fn room(&self) -> usize {
        match &self.content {
            Content::Encoded(bytes) => bytes.len(),
            Content::Native(native) => native.most(),
        }
    }

    /// The messages of another protocol that it came in, if nothing changed it since.
    #[must_use]
    pub fn native(&self) -> Option<&Native> {
        match &self.content {
            Content::Encoded(_) => None,
            Content::Native(native) => Some(native),
        }
    }

    /// How many spans, data points, log records or profile samples it holds.
    #[must_use]
    pub fn items(&self) -> usize {
        self.items
    }

    /// The request that it came in with.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// The compressed bytes that it came in, if nothing changed it since.
    #[must_use]
    pub fn compressed(&self) -> Option<&Compressed> {
        self.compressed.as_ref()
    }

    /// Bytes held in memory: the message and, if kept, what it came in.
    #[must_use]
    pub fn memory(&self) -> usize {
        let content = match &self.content {
            Content::Encoded(bytes) => bytes.len(),
            Content::Native(native) => native.length() + native.translated().map_or(0, Bytes::len),
        };
        content + self.compressed.as_ref().map_or(0, |compressed| compressed.bytes.len())
    }
}

impl Batch {
    /// A batch of one chunk.
    #[must_use]
    pub fn new(signal: Signal, chunk: Chunk, context: Context) -> Self {
        Self { signal, items: chunk.items, chunks: vec![chunk], context: Arc::new(context) }
    }

    /// A batch of these chunks, in order.
    #[must_use]
    pub fn from_chunks(signal: Signal, chunks: Vec<Chunk>, context: Arc<Context>) -> Self {
        Self { signal, items: chunks.iter().map(Chunk::items).sum(), chunks, context }
    }

    /// Its signal.
    #[must_use]
    pub fn signal(&self) -> Signal {
        self.signal
    }

    /// How many items all chunks hold together.
    #[must_use]
    pub fn items(&self) -> usize {
        self.items
    }

    /// Encoded size in bytes, all chunks together. It has them translated; where that is not needed, ask for
    /// [`Self::size`].
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.bytes().len()).sum()
    }

    /// Has all chunks translated that are not yet: before a lock is taken under which they are looked at.
    pub fn translate(&self) {
        for chunk in &self.chunks {
            let _: &Bytes = chunk.bytes();
        }
    }

    /// [`Chunk::size`] of all chunks together.
    #[must_use]
    pub fn size(&self) -> usize {
        self.chunks.iter().map(Chunk::size).sum()
    }

    /// [`Chunk::room`] of all chunks together.
    #[must_use]
    pub fn room(&self) -> usize {
        self.chunks.iter().map(Chunk::room).sum()
    }

    /// The chunks, in order.
    #[must_use]
    pub fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    /// Takes the batch apart.
    #[must_use]
    pub fn into_chunks(self) -> Vec<Chunk> {
        self.chunks
    }

    /// What is known about the sender.
    #[must_use]
    pub fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// The same batch with another context.
    #[must_use]
    pub fn with_context(mut self, context: Arc<Context>) -> Self {
        self.context = context;
        self
    }

    /// Whether chunks of this signal may be joined. Profiles share a dictionary within one message, so each of
    /// their chunks is exported alone.
    #[must_use]
    pub fn can_join(signal: Signal) -> bool {
        signal != Signal::Profiles
    }

    /// Appends the chunks of `other`, copying nothing. The context of `self` stays.
    pub fn join(&mut self, other: Self) {
        debug_assert_eq!(self.signal, other.signal, "only batches of one signal are joined");
        self.items += other.items;
        self.chunks.extend(other.chunks);
    }

    /// Replaces each chunk by what `change` makes of it; `None` drops the chunk.
    ///
    /// # Errors
    /// The first error of `change`.
    pub fn try_map<E>(
        mut self,
        mut change: impl FnMut(Chunk) -> Result<Option<Chunk>, E>,
    ) -> Result<Self, E> {
        let mut changed = Vec::with_capacity(self.chunks.len());
        for chunk in self.chunks {
            changed.extend(change(chunk)?);
        }
        self.items = changed.iter().map(Chunk::items).sum();
        self.chunks = changed;
        Ok(self)
    }

    /// The distinct origins of its chunks, in order of first appearance.
    #[must_use]
    pub fn origins(&self) -> Vec<Origin> {
        let mut origins: Vec<Origin> = Vec::new();
        for chunk in &self.chunks {
            if origins.last() != Some(&chunk.origin) && !origins.contains(&chunk.origin) {
                origins.push(chunk.origin);
            }
        }
        origins
    }

    /// The chunks of one origin as a batch of their own; shares the bytes.
    #[must_use]
    pub fn of_origin(&self, origin: Origin) -> Self {
        let chunks = self.chunks.iter().filter(|chunk| chunk.origin == origin).cloned().collect();
        Self::from_chunks(self.signal, chunks, Arc::clone(&self.context))
    }

    /// The batch taken apart by origin, in order of first appearance; shares the bytes.
    #[must_use]
    pub fn by_origin(&self) -> Vec<(Origin, Self)> {
        let mut places: HashMap<Origin, usize> = HashMap::new();
        let mut parts: Vec<(Origin, Vec<Chunk>)> = Vec::new();
        for chunk in &self.chunks {
            let place = *places.entry(chunk.origin).or_insert_with(|| {
                parts.push((chunk.origin, Vec::new()));
                parts.len() - 1
            });
            if let Some((_, chunks)) = parts.get_mut(place) {
                chunks.push(chunk.clone());
            }
        }
        let batch = |chunks| Self::from_chunks(self.signal, chunks, Arc::clone(&self.context));
        parts.into_iter().map(|(origin, chunks)| (origin, batch(chunks))).collect()
    }

    /// The whole batch as one buffer: the chunk itself if there is one, else a copy.
    #[must_use]
    pub fn contiguous(&self) -> Bytes {
        match self.chunks.as_slice() {
            [only] => only.bytes().clone(),
            chunks => {
                let mut whole = Vec::with_capacity(self.bytes());
                for chunk in chunks {
                    whole.extend_from_slice(chunk.bytes());
                }
                whole.into()
            }
        }
    }
}
