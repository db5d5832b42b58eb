//! Finds the trace context in the headers of a request: W3C `traceparent`, B3 and SkyWalking's `sw8`.

mod b3;
mod carried;
mod headers;
mod hex;
mod sw8;
#[cfg(test)]
mod tests;
mod w3c;

pub use carried::Carried;
pub use headers::Headers;

/// A trace context as a header carried it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context<'a> {
    /// Which header.
    pub format: Format,
    /// The trace id as the header had it; of `sw8`, decoded.
    pub trace_id: &'a str,
    /// The span id as the header had it; of `sw8`, the index of the parent span.
    pub span_id: &'a str,
    /// `sw8` only: the parent segment id, decoded.
    pub segment_id: &'a str,
    /// Whether the caller samples; `None` if it leaves that open.
    pub sampled: Option<bool>,
}

/// A way to carry trace context over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// W3C `traceparent`.
    W3c,
    /// The single header `b3`.
    B3,
    /// The headers `X-B3-*`.
    B3Multi,
    /// SkyWalking's `sw8`.
    Sw8,
}

/// The contexts of one request, the one to go by first (W3C, B3, B3 multi, sw8).
#[derive(Clone, Copy, Debug, Default)]
pub struct Contexts<'a> {
    list: [Option<Context<'a>>; 4],
    sampled: Option<bool>,
}

impl Context<'_> {
    /// The trace id as OTLP has it; 64-bit ids are padded with zeros on the left. `None` for `sw8`, whose ids are text.
    #[must_use]
    pub fn trace_id_bytes(&self) -> Option<[u8; 16]> {
        match (self.format, self.trace_id.len()) {
            (Format::Sw8, _) => None,
            (_, 16) => {
                let mut id = [0; 16];
                let (_, right) = id.split_at_mut(8);
                right.copy_from_slice(&hex::decode::<8>(self.trace_id)?);
                Some(id)
            }
            _ => hex::decode(self.trace_id),
        }
    }

    /// The span id as OTLP has it. `None` for `sw8`, which has the index of a span.
    #[must_use]
    pub fn span_id_bytes(&self) -> Option<[u8; 8]> {
        if self.format == Format::Sw8 { None } else { hex::decode(self.span_id) }
    }
}

impl<'a> Contexts<'a> {
    /// The one to go by.
    #[must_use]
    pub fn first(&self) -> Option<&Context<'a>> {
        self.iter().next()
    }

    /// All of them, the one to go by first.
    pub fn iter(&self) -> impl Iterator<Item = &Context<'a>> {
        self.list.iter().flatten()
    }

    /// Whether the caller samples, by the first header that tells. Unlike the contexts it counts headers that carry a
    /// decision and no ids, such as `b3: 0`.
    #[must_use]
    pub const fn sampled(&self) -> Option<bool> {
        self.sampled
    }
}

/// Orders them by precedence; of several with one format the last stays.
impl<'a> FromIterator<Context<'a>> for Contexts<'a> {
    fn from_iter<I: IntoIterator<Item = Context<'a>>>(contexts: I) -> Self {
        let mut list = [None; 4];
        for context in contexts {
            let [w3c, b3, b3_multi, sw8] = &mut list;
            let place = match context.format {
                Format::W3c => w3c,
                Format::B3 => b3,
                Format::B3Multi => b3_multi,
                Format::Sw8 => sw8,
            };
            *place = Some(context);
        }
        let sampled = list.iter().flatten().find_map(|context: &Context<'_>| context.sampled);
        Self { list, sampled }
    }
}
