//! The `ebpf_network` receiver: HTTP exchanges and TCP connections, as the kernel sees them.

pub mod exchange;
pub mod http;
pub mod metrics;
pub mod record;
pub mod redaction;
pub mod sampling;
pub mod socket;
pub mod trace_context;
