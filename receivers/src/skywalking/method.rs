//! Which methods there are, and what each takes.

use sluice_protocols::envoy;

use super::{health, translate::Kind};

/// What a method is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It takes telemetry, one message a call or a stream.
    Telemetry(Kind, Shape),
    /// What it says only OAP can answer; without OAP an empty answer means that there is nothing to do.
    Asking(Shape),
    /// Whether Sluice serves.
    Health,
    /// The same from now on.
    HealthWatch,
}

/// How a method takes its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Unary,
    Stream,
    /// A stream that is answered before it ends.
    Conversation,
}

/// What the method at this path is for; `None` if this build does not know it.
pub(super) fn purpose(path: &str) -> Option<Purpose> {
    use Purpose::{Asking, Health, HealthWatch, Telemetry};
    use Shape::{Conversation, Stream, Unary};
    match path {
        envoy::ACCESS_LOGS | envoy::SATELLITE_ACCESS_LOGS => {
            return Some(Telemetry(Kind::EnvoyLogs, Stream));
        }
        envoy::METRICS => return Some(Telemetry(Kind::EnvoyMetrics, Stream)),
        health::CHECK => return Some(Health),
        health::WATCH => return Some(HealthWatch),
        "/skywalking.v10.AsyncProfilerTask/collect" | "/skywalking.v10.PprofTask/collect" => {
            return Some(Asking(Conversation));
        }
        "/skywalking.v10.AsyncProfilerTask/getAsyncProfilerTaskCommands"
        | "/skywalking.v10.PprofTask/getPprofTaskCommands" => return Some(Asking(Unary)),
        _ => {}
    }
    // Agents before 8.4 have the same services without a package.
    let method = path.strip_prefix("/skywalking.v3.").or_else(|| path.strip_prefix('/'))?;
    Some(match method {
        "TraceSegmentReportService/collect" => Telemetry(Kind::Segment, Stream),
        "TraceSegmentReportService/collectInSync" => Telemetry(Kind::SegmentCollection, Unary),
        "SpanAttachedEventReportService/collect" => Telemetry(Kind::AttachedEvent, Stream),
        "LogReportService/collect" => Telemetry(Kind::Log, Stream),
        "MeterReportService/collect" => Telemetry(Kind::Meter, Stream),
        "MeterReportService/collectBatch" => Telemetry(Kind::MeterCollection, Stream),
        "JVMMetricReportService/collect" => Telemetry(Kind::Jvm, Unary),
        "CLRMetricReportService/collect" => Telemetry(Kind::Clr, Unary),
        "EventService/collect" => Telemetry(Kind::Event, Stream),
        "ManagementService/reportInstanceProperties" => Telemetry(Kind::InstanceProperties, Unary),
        "ManagementService/keepAlive" => Telemetry(Kind::InstancePing, Unary),
        "BrowserPerfService/collectPerfData" => Telemetry(Kind::BrowserPerf, Unary),
        "BrowserPerfService/collectWebVitalsPerfData" => Telemetry(Kind::BrowserWebVitals, Unary),
        "BrowserPerfService/collectResourcePerfData" => Telemetry(Kind::BrowserResource, Unary),
        "BrowserPerfService/collectWebInteractionsPerfData" => Telemetry(Kind::BrowserWebInteractions, Unary),
        "BrowserPerfService/collectErrorLogs" => Telemetry(Kind::BrowserError, Stream),
        "ServiceMeshMetricService/collect" => Telemetry(Kind::Mesh, Stream),
        "EBPFAccessLogService/collect" => Telemetry(Kind::EbpfAccessLog, Stream),
        "EBPFProcessService/reportProcesses" => Telemetry(Kind::EbpfProcesses, Unary),
        "EBPFProcessService/keepAlive" => Telemetry(Kind::EbpfProcessPings, Unary),
        "ConfigurationDiscoveryService/fetchConfigurations"
        | "ProfileTask/getProfileTaskCommands"
        | "ProfileTask/reportTaskFinish"
        | "EBPFProfilingService/queryTasks"
        | "ContinuousProfilingService/queryPolicies"
        | "ContinuousProfilingService/reportProfilingTask" => Asking(Unary),
        "ProfileTask/collectSnapshot"
        | "ProfileTask/goProfileReport"
        | "EBPFProfilingService/collectProfilingData" => Asking(Stream),
        _ => return None,
    })
}

/// Whether OAP answers messages of this kind with more than that it has them: it numbers processes.
pub(super) const fn is_answered(kind: Kind) -> bool {
    matches!(kind, Kind::EbpfProcesses | Kind::EbpfProcessPings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_of_all_ages_find_their_services() {
        let segments = Some(Purpose::Telemetry(Kind::Segment, Shape::Stream));
        assert_eq!(purpose("/skywalking.v3.TraceSegmentReportService/collect"), segments);
        assert_eq!(purpose("/TraceSegmentReportService/collect"), segments);
        assert_eq!(
            purpose("/satellite.envoy.accesslog.v3.SatelliteAccessLogService/StreamAccessLogs"),
            Some(Purpose::Telemetry(Kind::EnvoyLogs, Shape::Stream))
        );
        assert_eq!(purpose("/skywalking.v3.Arthas/getCommand"), None);
        assert_eq!(purpose(""), None);
    }
}
