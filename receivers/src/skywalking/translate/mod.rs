//! SkyWalking's messages to OTLP, written as bytes: no OTLP structs, and none of SkyWalking's where there are many.
//!
//! `docs/skywalking-mapping.md` is the mapping, `sluice_protocols::skywalking::attributes` the names in it.

mod access_log;
mod attached_event;
mod browser;
mod envoy_identifier;
mod envoy_log;
mod envoy_metrics;
mod event;
mod kept;
mod kind;
mod log;
mod management;
mod mesh;
mod meter;
mod output;
mod pair;
mod processes;
mod record;
mod runtime;
mod segment;

pub use self::kind::Kind;

use prost::DecodeError;
use sluice_pipeline::{
    Chunk, Signal,
    budget::{Budget, Charge, Exhausted},
    otlp::wire::WireError,
};
use sluice_protocols::skywalking::id::Rules;

use self::{kept::Kept, meter::Header, output::Output};

/// Translates the messages of one stream or request, in order.
pub struct Translator {
    kind: Kind,
    rules: Rules,
    budget: Option<Budget>,
    kept: Option<Kept>,
    output: Output,
    state: State,
}

/// Bytes held for each byte of a message that is decoded, at most: an empty element of a list takes two.
const DECODED: usize = 64;

/// What a stream says once for all that follows.
#[derive(Default)]
struct State {
    log_service: Vec<u8>,
    meter: Header,
    node: Vec<u8>,
    connection: Vec<u8>,
    identifier: Vec<u8>,
}

/// What messages became.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Translated {
    /// What it is.
    pub signal: Signal,
    /// The encoded root message of the signal.
    pub bytes: Vec<u8>,
    /// How many spans, data points or log records it holds.
    pub items: usize,
    /// How many values held invalid UTF-8, now U+FFFD.
    pub repaired: usize,
}

/// A message that is not of its kind, or too large for what memory there is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The protobuf wire format is broken.
    #[error("cannot read a {message} as protobuf: {reason}")]
    Wire {
        /// The innermost message.
        message: &'static str,
        /// What is wrong with it.
        reason: WireError,
    },
    /// A known field has a value of another type.
    #[error("cannot read a {message}: its field {number} has the wrong wire type")]
    WireType {
        /// The message that the field is in.
        message: &'static str,
        /// The number of the field.
        number: u32,
    },
    /// A message of the less frequent kinds cannot be read.
    #[error("cannot read a message: {0}")]
    Message(#[from] DecodeError),
    /// There is no memory for what it becomes.
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
}

impl Translator {
    /// Translates messages of this kind.
    #[must_use]
    pub fn new(kind: Kind, rules: Rules) -> Self {
        Self { kind, rules, budget: None, kept: None, output: Output::default(), state: State::default() }
    }

    /// The same translator, which charges what messages become, as it grows.
    #[must_use]
    pub fn charged_to(mut self, budget: &Budget) -> Self {
        self.budget = Some(budget.clone());
        self
    }

    /// The same translator, which keeps segments as they came, once they are checked: [`Self::take_kept`] gives them, and
    /// the budget is charged for them. All other kinds are translated.
    #[must_use]
    pub fn keeping(mut self, budget: &Budget) -> Self {
        self.kept = self.kind.is_segments().then(|| Kept::charged_to(budget));
        self
    }

    /// Adds a message.
    ///
    /// # Errors
    /// [`Malformed`]; nothing of the message was added then.
    pub fn push(&mut self, message: &[u8]) -> Result<(), Malformed> {
        let Self { kind, rules, budget, kept, output, state } = self;
        // What follows something that was translated is translated too: nothing overtakes it.
        if let Some(kept) = kept
            && output.items == 0
            && kept.push(*kind, message)?
        {
            return Ok(());
        }
        let _decoding = match budget {
            Some(budget) => {
                output.charge_to(budget);
                let decoded = if kind.is_decoded() { DECODED * message.len() } else { 0 };
                Some(budget.charge(decoded as u64)?)
            }
            None => None,
        };
        match kind {
            Kind::Segment | Kind::SegmentCollection => {
                segment::each(*kind, message, |segment| segment::segment(segment, *rules, output))
            }
            Kind::Log => log::log(message, *rules, &mut state.log_service, output),
            Kind::Meter => meter::meter(message, &mut state.meter, output),
            Kind::MeterCollection => meter::collection(message, output),
            Kind::Jvm => runtime::jvm(message, output),
            Kind::Clr => runtime::clr(message, output),
            Kind::Event => event::event(message, output),
            Kind::InstanceProperties => management::properties(message, output),
            Kind::InstancePing => management::ping(message, output),
            Kind::AttachedEvent => attached_event::attached_event(message, *rules, output),
            Kind::BrowserPerf => browser::perf(message, output),
            Kind::BrowserWebVitals => browser::web_vitals(message, output),
            Kind::BrowserResource => browser::resource(message, output),
            Kind::BrowserWebInteractions => browser::web_interactions(message, output),
            Kind::BrowserError => browser::error(message, output),
            Kind::Mesh => mesh::metrics(message, output),
            Kind::EbpfAccessLog => {
                access_log::access_log(message, &mut state.node, &mut state.connection, output)
            }
            Kind::EbpfProcesses => processes::report(message, output),
            Kind::EbpfProcessPings => processes::pings(message, output),
            Kind::EnvoyLogs => envoy_log::logs(message, &mut state.identifier, output),
            Kind::EnvoyMetrics => envoy_metrics::metrics(message, &mut state.identifier, output),
        }
    }

    /// Bytes written or kept that were not taken yet.
    #[must_use]
    pub fn size(&self) -> usize {
        self.output.size() + self.kept.as_ref().map_or(0, Kept::size)
    }

    /// The segments that were kept since the last call, with their charge; `None` if there are none. They came before
    /// what [`Self::take`] gives, which is to be taken next.
    #[must_use]
    pub fn take_kept(&mut self) -> Option<Chunk> {
        self.kept.as_mut()?.take(self.rules)
    }

    /// What the messages since the last call became, with its charge if it has one; `None` if nothing.
    #[must_use]
    pub fn take(&mut self) -> Option<(Translated, Option<Charge>)> {
        let mut output = std::mem::take(&mut self.output);
        let (items, repaired) = (output.items, output.repairs.count());
        let charge = output.take_charge();
        let bytes = output.finish();
        let translated = Translated { signal: self.kind.signal(), bytes, items, repaired };
        (items > 0).then_some((translated, charge))
    }
}

/// Nanoseconds of milliseconds since 1970; what is outside the range is moved to its end.
fn nanoseconds(milliseconds: i64) -> u64 {
    const NANOSECONDS: u64 = 1_000_000;
    u64::try_from(milliseconds).unwrap_or(0).min(u64::MAX / NANOSECONDS) * NANOSECONDS
}

#[cfg(test)]
mod tests;
