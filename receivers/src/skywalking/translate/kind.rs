//! The kinds of messages.

use sluice_pipeline::Signal;

/// A kind of message that becomes telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say which of SkyWalking's and Envoy's messages it is")]
pub enum Kind {
    Segment,
    SegmentCollection,
    Log,
    Meter,
    MeterCollection,
    Jvm,
    Clr,
    Event,
    InstanceProperties,
    InstancePing,
    AttachedEvent,
    BrowserPerf,
    BrowserWebVitals,
    BrowserResource,
    BrowserWebInteractions,
    BrowserError,
    Mesh,
    EbpfAccessLog,
    EbpfProcesses,
    EbpfProcessPings,
    EnvoyLogs,
    EnvoyMetrics,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 22] = [
        Self::Segment,
        Self::SegmentCollection,
        Self::Log,
        Self::Meter,
        Self::MeterCollection,
        Self::Jvm,
        Self::Clr,
        Self::Event,
        Self::InstanceProperties,
        Self::InstancePing,
        Self::AttachedEvent,
        Self::BrowserPerf,
        Self::BrowserWebVitals,
        Self::BrowserResource,
        Self::BrowserWebInteractions,
        Self::BrowserError,
        Self::Mesh,
        Self::EbpfAccessLog,
        Self::EbpfProcesses,
        Self::EbpfProcessPings,
        Self::EnvoyLogs,
        Self::EnvoyMetrics,
    ];

    /// Whether its messages are segments, or lists of such.
    pub(super) const fn is_segments(self) -> bool {
        matches!(self, Self::Segment | Self::SegmentCollection)
    }

    /// Whether its messages are decoded to structs: all but the most frequent ones.
    pub(super) const fn is_decoded(self) -> bool {
        !matches!(self, Self::Segment | Self::SegmentCollection | Self::Log | Self::EnvoyLogs)
    }

    /// The signal that its messages become.
    #[must_use]
    pub const fn signal(self) -> Signal {
        match self {
            Self::Segment | Self::SegmentCollection => Signal::Traces,
            Self::Meter | Self::MeterCollection | Self::Jvm | Self::Clr | Self::EnvoyMetrics => {
                Signal::Metrics
            }
            _ => Signal::Logs,
        }
    }
}
