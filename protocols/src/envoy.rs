//! Messages of Envoy's access log and metrics services, version 3, as far as Sluice looks into them.

pub use crate::messages::envoy::{data, service};

/// The method of [`service::accesslog::v3`]. `SATELLITE_ACCESS_LOGS` takes the same messages; SkyWalking Satellite sends
/// many Envoys' over one stream, each change announced by an identifier.
pub const ACCESS_LOGS: &str = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs";
/// The same from SkyWalking Satellite.
pub const SATELLITE_ACCESS_LOGS: &str =
    "/satellite.envoy.accesslog.v3.SatelliteAccessLogService/StreamAccessLogs";
/// The method of [`service::metrics::v3`].
pub const METRICS: &str = "/envoy.service.metrics.v3.MetricsService/StreamMetrics";
