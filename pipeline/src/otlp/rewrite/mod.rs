//! Changes encoded OTLP in one pass: what is not changed is copied as it stands, unknown fields with it.
//!
//! A processor implements [`Editor`]. The walk shows it each resource, scope, metric, item and span event as a
//! [`Part`]; the editor looks at the bytes (through the [views](super::view)), edits attributes or sets fields, and
//! says how to go on. A message is copied only once something in it changed, and what is around it too; a chunk in
//! which nothing changed stays itself, with its compressed form.
//!
//! ```
//! use sluice_pipeline::otlp::rewrite::{self, Editor, Part, Visit};
//!
//! /// Removes one attribute from every span, log record or data point.
//! struct WithoutSecret;
//!
//! impl Editor for WithoutSecret {
//!     fn item(&mut self, item: &mut Part<'_>) -> Visit {
//!         if let Some(attributes) = item.attributes() {
//!             attributes.delete(b"secret");
//!         }
//!         Visit::Keep
//!     }
//! }
//!
//! fn process(batch: sluice_pipeline::Batch) -> sluice_pipeline::Batch {
//!     rewrite::batch(batch, &mut WithoutSecret)
//! }
//! ```

mod attributes;
mod inline;
mod output;
mod part;
mod patches;
mod place;
pub mod value;
mod walk;

use bytes::Bytes;

pub use attributes::Attributes;
pub use part::Part;

use crate::{
    batch::{Batch, Chunk},
    signal::Signal,
};

/// How to go on with a message that an editor has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visit {
    /// Leave it out with everything in it. For a resource or scope that is its whole group.
    ///
    /// A group, metric or set of points that is left with nothing, since all in it was dropped, goes as well.
    Drop,
    /// Keep it, with the edits made; what it contains is copied as it stands.
    Keep,
    /// Keep it, with the edits made, and visit what it contains.
    Descend,
}

/// Sees the messages of a chunk from the outside in, and changes them.
///
/// A method left out descends to the items, which are kept.
pub trait Editor {
    /// A resource; without bytes if its group has none. [`Visit::Descend`] goes on to its scopes.
    fn resource(&mut self, resource: &mut Part<'_>) -> Visit {
        let _ = resource;
        Visit::Descend
    }

    /// An instrumentation scope; without bytes if its group has none. [`Visit::Descend`] goes on to its spans, log
    /// records, metrics or profiles.
    fn scope(&mut self, scope: &mut Part<'_>) -> Visit {
        let _ = scope;
        Visit::Descend
    }

    /// A metric. [`Visit::Descend`] goes on to its data points.
    fn metric(&mut self, metric: &mut Part<'_>) -> Visit {
        let _ = metric;
        Visit::Descend
    }

    /// A span, log record, data point of any type, or profile. [`Visit::Descend`] goes on to the events of a span
    /// and is [`Visit::Keep`] for others.
    fn item(&mut self, item: &mut Part<'_>) -> Visit {
        let _ = item;
        Visit::Keep
    }

    /// An event of a span. [`Visit::Descend`] is [`Visit::Keep`].
    fn event(&mut self, event: &mut Part<'_>) -> Visit {
        let _ = event;
        Visit::Keep
    }
}

/// Rewrites every chunk of a batch. Chunks with nothing left are gone; the batch may end without any.
#[must_use]
pub fn batch(batch: Batch, editor: &mut impl Editor) -> Batch {
    let signal = batch.signal();
    let context = batch.context().clone();
    let chunks = batch.into_chunks().into_iter().filter_map(|each| chunk(signal, each, editor)).collect();
    Batch::from_chunks(signal, chunks, context)
}

/// Rewrites a chunk. It is returned itself if nothing changed, and `None` if nothing is left of it.
#[must_use]
pub fn chunk(signal: Signal, chunk: Chunk, editor: &mut impl Editor) -> Option<Chunk> {
    let inlined = if signal == Signal::Profiles { inline::inlined(chunk.bytes()) } else { None };
    match walk::rewrite(signal, inlined.as_deref().unwrap_or(chunk.bytes()), editor) {
        Rewritten::Unchanged => Some(chunk),
        Rewritten::Changed { removed, .. } if removed >= chunk.items() && removed > 0 => None,
        Rewritten::Changed { bytes, removed } => {
            Some(chunk.replaced(bytes, chunk.items().saturating_sub(removed)))
        }
    }
}

/// What a walk made of an encoded root message.
#[derive(Debug)]
enum Rewritten {
    /// No editor changed anything.
    Unchanged,
    /// The new message, and how many items fewer it has.
    Changed { bytes: Bytes, removed: usize },
}

#[cfg(test)]
mod tests;
