//! What a batch becomes: streams of messages, one for each method and, where OAP wants it, each service or instance.

use std::collections::HashMap;

use bytes::Bytes;
use sluice_pipeline::grpc::frame::Messages;
use sluice_protocols::skywalking::COLLECT_SEGMENTS;

/// A method of OAP that takes telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are those of the services")]
pub enum Method {
    Segments,
    AttachedEvents,
    Logs,
    Meters,
    Jvm,
    Clr,
    Events,
    Properties,
    KeepAlive,
    BrowserPerf,
    BrowserWebVitals,
    BrowserResource,
    BrowserWebInteractions,
    BrowserErrors,
    Mesh,
    AccessLogs,
    Processes,
    ProcessPings,
    EnvoyAccessLogs,
    EnvoyMetrics,
}

/// Messages for one call of a method.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    /// Calls with the same key go to the same OAP.
    pub(super) key: Option<String>,
    pub(super) messages: Messages,
    /// How many items of the batch it stands for.
    pub(super) items: usize,
}

/// The calls that a batch becomes.
#[derive(Debug, Default)]
pub(super) struct Streams {
    calls: Vec<Call>,
    open: HashMap<(Method, String), usize>,
    /// Where the last message went, with the key: mostly the next goes there too.
    last: Option<(usize, String)>,
    /// Items that OAP has no place for, and why the last one was left out.
    pub(super) dropped: usize,
    pub(super) reason: &'static str,
}

impl Method {
    /// `/package.Service/method`.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Segments => COLLECT_SEGMENTS,
            Self::AttachedEvents => "/skywalking.v3.SpanAttachedEventReportService/collect",
            Self::Logs => "/skywalking.v3.LogReportService/collect",
            Self::Meters => "/skywalking.v3.MeterReportService/collect",
            Self::Jvm => "/skywalking.v3.JVMMetricReportService/collect",
            Self::Clr => "/skywalking.v3.CLRMetricReportService/collect",
            Self::Events => "/skywalking.v3.EventService/collect",
            Self::Properties => "/skywalking.v3.ManagementService/reportInstanceProperties",
            Self::KeepAlive => "/skywalking.v3.ManagementService/keepAlive",
            Self::BrowserPerf => "/skywalking.v3.BrowserPerfService/collectPerfData",
            Self::BrowserWebVitals => "/skywalking.v3.BrowserPerfService/collectWebVitalsPerfData",
            Self::BrowserResource => "/skywalking.v3.BrowserPerfService/collectResourcePerfData",
            Self::BrowserWebInteractions => {
                "/skywalking.v3.BrowserPerfService/collectWebInteractionsPerfData"
            }
            Self::BrowserErrors => "/skywalking.v3.BrowserPerfService/collectErrorLogs",
            Self::Mesh => "/skywalking.v3.ServiceMeshMetricService/collect",
            Self::AccessLogs => "/skywalking.v3.EBPFAccessLogService/collect",
            Self::Processes => "/skywalking.v3.EBPFProcessService/reportProcesses",
            Self::ProcessPings => "/skywalking.v3.EBPFProcessService/keepAlive",
            Self::EnvoyAccessLogs => "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs",
            Self::EnvoyMetrics => "/envoy.service.metrics.v3.MetricsService/StreamMetrics",
        }
    }

    /// Whether a call takes one message and no more.
    const fn is_unary(self) -> bool {
        matches!(
            self,
            Self::Jvm
                | Self::Clr
                | Self::Properties
                | Self::KeepAlive
                | Self::BrowserPerf
                | Self::BrowserWebVitals
                | Self::BrowserResource
                | Self::BrowserWebInteractions
                | Self::Processes
                | Self::ProcessPings
        )
    }

    /// Whether what has one key must reach one OAP: it aggregates the meters of an instance.
    const fn is_aggregated(self) -> bool {
        matches!(self, Self::Meters)
    }
}

impl Streams {
    /// Adds a message that stands for so many items to the stream of this key; `write` appends it to a buffer.
    pub(super) fn push(&mut self, method: Method, key: &str, items: usize, write: impl FnOnce(&mut Vec<u8>)) {
        let Some(call) = self.call(method, key) else { return };
        if call.messages.push(write) {
            call.items += items;
        } else {
            self.drop(items, "messages of more than 4 GiB, which gRPC cannot carry");
        }
    }

    /// Adds messages that are framed already.
    pub(super) fn extend(&mut self, method: Method, key: &str, items: usize, framed: &Bytes) {
        let Some(call) = self.call(method, key) else { return };
        call.messages.extend(framed);
        call.items += items;
    }

    /// The call that the next message for this key goes into.
    fn call(&mut self, method: Method, key: &str) -> Option<&mut Call> {
        let place = self.place(method, key).unwrap_or_else(|| {
            let routed = method.is_aggregated().then(|| key.to_owned());
            self.calls.push(Call { method, key: routed, messages: Messages::default(), items: 0 });
            self.open.insert((method, key.to_owned()), self.calls.len() - 1);
            self.calls.len() - 1
        });
        if self.last.as_ref().is_none_or(|(last, _)| *last != place) {
            self.last = Some((place, key.to_owned()));
        }
        self.calls.get_mut(place)
    }

    /// Whether the next message for this key follows others on its stream.
    pub(super) fn is_open(&self, method: Method, key: &str) -> bool {
        self.place(method, key).is_some()
    }

    /// The call that takes further messages for this key.
    fn place(&self, method: Method, key: &str) -> Option<usize> {
        if method.is_unary() {
            return None;
        }
        let last = self.last.as_ref().filter(|(_, last)| last == key).map(|(place, _)| *place);
        let is_same = |place: &usize| self.calls.get(*place).is_some_and(|call| call.method == method);
        last.filter(is_same).or_else(|| self.open.get(&(method, key.to_owned())).copied())
    }

    /// Leaves items out.
    pub(super) fn drop(&mut self, items: usize, reason: &'static str) {
        self.dropped += items;
        if items > 0 {
            self.reason = reason;
        }
    }

    pub(super) fn into_calls(self) -> Vec<Call> {
        self.calls
    }
}
