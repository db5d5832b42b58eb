//! The product end to end: the real binary between real clients and real servers.
//!
//! What the peers are and how to get them: `integration/README.md`. A peer that is missing is skipped, loudly; with
//! `CI=true` that is a failure.

#[cfg(test)]
mod support;

#[cfg(test)]
mod broken_configs;
#[cfg(test)]
mod collector_files;
#[cfg(test)]
mod dashboards;
#[cfg(test)]
mod durable;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod expiry;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod hand_over;
#[cfg(test)]
mod hostile_clients;
#[cfg(test)]
mod hostile_input;
#[cfg(test)]
mod kernel;
#[cfg(test)]
mod kernel_hostile;
#[cfg(test)]
mod kernel_kubernetes;
#[cfg(test)]
mod kernel_mesh;
#[cfg(test)]
mod kernel_old;
#[cfg(test)]
mod kernel_peers;
#[cfg(test)]
mod kernel_tcp;
#[cfg(test)]
mod kernel_tracers;
#[cfg(test)]
mod kubernetes;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod mutual_tls;
#[cfg(test)]
mod oap_agents;
#[cfg(test)]
mod oap_balance;
#[cfg(test)]
mod oap_changes;
#[cfg(test)]
mod oap_exchanges;
#[cfg(test)]
mod oap_kubernetes;
#[cfg(test)]
mod oap_otlp;
#[cfg(test)]
mod oap_profiling;
#[cfg(test)]
mod oap_relay;
#[cfg(test)]
mod oap_satellite;
#[cfg(test)]
mod power_cuts;
#[cfg(test)]
mod prometheus;
#[cfg(test)]
mod ready_made;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod remote_write;
#[cfg(test)]
mod sdk_node;
#[cfg(test)]
mod sdk_python;
#[cfg(test)]
mod sdk_rate;
#[cfg(test)]
mod security;
#[cfg(test)]
mod skywalking;
#[cfg(test)]
mod soak;
#[cfg(test)]
mod span_metrics;
#[cfg(test)]
mod zipkin;
