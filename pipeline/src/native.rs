//! Messages of a receiver's own protocol, which become OTLP once somebody looks.

use std::{fmt, sync::OnceLock};

use bytes::Bytes;

/// Checked messages that a chunk stands for, as their sender framed them.
///
/// An exporter that speaks the same protocol hands them on as they are. Whoever else looks at the chunk has them
/// translated, once for all that share it; a chunk that was changed is no longer them.
pub struct Native {
    method: &'static str,
    messages: Bytes,
    most: usize,
    translate: Box<Translate>,
    otlp: OnceLock<Bytes>,
}

/// Makes the canonical root message of the chunk's signal of framed messages.
type Translate = dyn Fn(&[u8]) -> Vec<u8> + Send + Sync;

impl Native {
    /// Messages that the gRPC method at this path takes, framed for gRPC and not compressed, and how many bytes they become at
    /// most. Nobody asks later whether there is memory for that: the charge of the chunk is to cover it from the beginning.
    #[must_use]
    pub fn new(
        method: &'static str,
        messages: Bytes,
        most: usize,
        translate: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        Self { method, messages, most, translate: Box::new(translate), otlp: OnceLock::new() }
    }

    /// The messages, if they are those of this method: `/package.Service/method`.
    #[must_use]
    pub fn messages_of(&self, method: &str) -> Option<&Bytes> {
        (self.method == method).then_some(&self.messages)
    }

    /// What they are in OTLP.
    pub(crate) fn otlp(&self) -> &Bytes {
        self.otlp.get_or_init(|| {
            let mut bytes = (self.translate)(&self.messages);
            if bytes.capacity() - bytes.len() > bytes.len() / 8 {
                bytes.shrink_to_fit();
            }
            bytes.into()
        })
    }

    /// What they are in OTLP, if anybody looked yet.
    pub(crate) fn translated(&self) -> Option<&Bytes> {
        self.otlp.get()
    }

    /// How long they are, in bytes.
    pub(crate) fn length(&self) -> usize {
        self.messages.len()
    }

    /// How many bytes are held once somebody has looked, at most.
    pub(crate) fn most(&self) -> usize {
        self.messages.len() + self.most
    }
}

impl fmt::Debug for Native {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Native");
        shown.field("method", &self.method).field("length", &self.messages.len());
        shown.field("translated", &self.translated().is_some()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;
    use crate::batch::{Batch, Chunk, Context};
    use crate::consumer::Demand;
    use crate::otlp::split::{Limit, split};
    use crate::signal::Signal;

    const METHOD: &str = "/shop.Orders/collect";
    /// An empty `ResourceSpans` and an unknown field.
    const OTLP: &[u8] = &[0x0a, 0, 0x7a, 4, 1, 2, 3, 4];

    struct Fixture {
        batch: Batch,
        translations: Arc<AtomicUsize>,
    }

    impl Fixture {
        fn new() -> Self {
            let translations = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&translations);
            let native = Native::new(METHOD, Bytes::from_static(b"\0\0\0\0\x01x"), 10, move |_| {
                count.fetch_add(1, Ordering::Relaxed);
                OTLP.to_vec()
            });
            let batch = Batch::new(Signal::Traces, Chunk::from_native(native, 3), Context::default());
            Self { batch, translations }
        }

        fn translations(&self) -> usize {
            self.translations.load(Ordering::Relaxed)
        }
    }

    #[test]
    fn nothing_is_translated_until_somebody_looks_and_then_once() {
        let fixture = Fixture::new();
        let shared = fixture.batch.clone();
        let asked = Demand::of(&fixture.batch).bytes;
        assert_eq!((fixture.batch.items(), fixture.batch.size(), asked), (3, 6, 16), "room for both forms");
        assert_eq!(fixture.translations(), 0);
        for batch in [&fixture.batch, &shared, &fixture.batch] {
            assert_eq!(batch.chunks()[0].bytes(), OTLP);
        }
        assert_eq!(fixture.translations(), 1);
        assert_eq!((shared.size(), shared.bytes(), shared.chunks()[0].memory()), (8, 8, 14));
        assert_eq!(Demand::of(&shared).bytes, 16, "what room was taken for does not change");
    }

    #[test]
    fn joining_and_splitting_by_items_leaves_whole_chunks_as_they_came() {
        let Fixture { mut batch, translations } = Fixture::new();
        batch.join(Fixture::new().batch);
        let parts = split(batch, Limit::Items(3));
        assert_eq!(parts.len(), 2);
        for part in parts {
            let native = part.chunks()[0].native().unwrap();
            assert_eq!(native.messages_of(METHOD).unwrap(), &b"\0\0\0\0\x01x"[..]);
            assert_eq!(native.messages_of("/shop.Orders/other"), None);
        }
        assert_eq!(translations.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_changed_chunk_is_no_longer_what_it_came_in() {
        let fixture = Fixture::new();
        let changed = fixture.batch.chunks()[0].replaced(Bytes::from_static(&OTLP[..2]), 1);
        assert!(changed.native().is_none());
        assert_eq!(changed.bytes(), &OTLP[..2]);
    }
}
