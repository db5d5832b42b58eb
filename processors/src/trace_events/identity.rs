//! Who sent or received something: what resources and connections tell of a process, and whether two of them agree.

use std::net::IpAddr;

use sluice_pipeline::{
    exchange::process,
    otlp::view::{AnyValue, Resource, Text},
};

/// How surely two descriptions mean the same process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Agreement {
    /// Nothing that both tell says so.
    Unknown,
    /// They share a pod or an address, in which several processes may live.
    Place,
    /// They are the same process or container.
    Process,
}

/// What a resource tells of its process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Process {
    host: Box<str>,
    /// 0 if unknown.
    pid: i64,
    /// As its own namespace numbers it; 0 if unknown.
    namespace_pid: i64,
    container: Box<str>,
    pod: Box<str>,
    addresses: Vec<IpAddr>,
    executable: Box<str>,
}

/// One end of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct End {
    pub(super) address: Option<IpAddr>,
    /// 0 if unknown.
    pub(super) port: u16,
}

/// How short a container id may be cut, as in the host names that container engines give.
const SHORT_CONTAINER_ID: usize = 12;
/// The most addresses of a host that are kept.
const MAX_ADDRESSES: usize = 16;

impl Process {
    pub(super) fn of(resource: &Resource<'_>) -> Self {
        let mut known = Self::default();
        for pair in resource.attributes() {
            match (pair.key.as_str(), pair.value) {
                (process::HOST_NAME, AnyValue::String(name)) => known.host = name.as_str().into(),
                (process::PID, value) => known.pid = integer(&value),
                (process::NAMESPACE_PID, value) => known.namespace_pid = integer(&value),
                (process::CONTAINER_ID, AnyValue::String(id)) => known.container = id.as_str().into(),
                (process::POD_UID, AnyValue::String(uid)) => known.pod = uid.as_str().into(),
                (process::EXECUTABLE_NAME, AnyValue::String(name)) => known.executable = name.as_str().into(),
                ("host.ip", AnyValue::Array(values)) => {
                    let addresses = values.filter_map(|value| address(&value));
                    known.addresses = addresses.take(MAX_ADDRESSES).collect();
                }
                _ => {}
            }
        }
        known
    }

    /// Bytes that it takes beside itself.
    pub(super) fn size(&self) -> usize {
        let text = [&self.host, &self.container, &self.pod, &self.executable];
        text.iter().map(|text| text.len()).sum::<usize>() + self.addresses.len() * size_of::<IpAddr>()
    }

    /// Whether both are known to be one process of one host.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.pid != 0 && self.pid == other.pid && self.host == other.host && self.container == other.container
    }

    /// Whether the executable is a proxy that reports the spans with `component: proxy`; `None` if it is unknown.
    pub(super) fn is_envoy(&self) -> Option<bool> {
        (!self.executable.is_empty()).then(|| self.executable.contains("envoy"))
    }

    /// How this, the process of an exchange, agrees with that of a span; `None` if they contradict each other.
    pub(super) fn agreement(&self, span: &Self) -> Option<Agreement> {
        let mut found = Agreement::Unknown;
        if known(&self.pod, &span.pod) {
            if self.pod != span.pod {
                return None;
            }
            found = Agreement::Place;
        }
        let mut same_container = self.has_container(&span.host);
        if known(&self.container, &span.container) {
            if !self.has_container(&span.container) {
                return None;
            }
            same_container = true;
        }
        if same_container {
            found = Agreement::Process;
        }
        let same_host = known(&self.host, &span.host) && first_label(&self.host) == first_label(&span.host);
        let is_outside = self.pid != 0 && self.container.is_empty() && self.pod.is_empty();
        let is_inside = !span.container.is_empty() || !span.pod.is_empty();
        if is_outside && is_inside && !(same_host && self.pid == span.pid) {
            return None;
        }
        if span.pid != 0 && self.pid != 0 {
            // An SDK in a container sees the number of its own namespace, which others on the host may have too.
            let is_inner = self.namespace_pid != 0 && span.pid == self.namespace_pid;
            found = match (span.pid == self.pid, is_inner) {
                (false, false) => return None,
                (true, _) if same_host => Agreement::Process,
                (false, true) if same_host => found.max(Agreement::Place),
                _ => found,
            };
        }
        let names_differ = !same_host && known(&self.host, &span.host);
        if names_differ && self.container.is_empty() && found == Agreement::Unknown {
            // In a container a host name says nothing of the host.
            return None;
        }
        Some(found)
    }

    /// Whether `id` is that of its container, perhaps cut short.
    fn has_container(&self, id: &str) -> bool {
        id.len() >= SHORT_CONTAINER_ID && self.container.starts_with(id)
    }

    pub(super) fn has_address(&self, address: IpAddr) -> bool {
        self.addresses.contains(&address)
    }
}

impl End {
    /// The address, if it tells hosts apart.
    pub(super) fn routable(&self) -> Option<IpAddr> {
        self.address.filter(|address| !address.is_loopback() && !address.is_unspecified())
    }

    pub(super) fn is_loopback(&self) -> bool {
        self.address.is_some_and(|address| address.is_loopback())
    }

    /// Whether both mean the same address and port, as far as both tell; `None` if there is nothing to compare.
    pub(super) fn agrees(&self, other: &Self) -> Option<bool> {
        let addresses = match (self.address, other.address) {
            (Some(one), Some(two)) => Some(one == two),
            _ => None,
        };
        let ports = (self.port != 0 && other.port != 0).then_some(self.port == other.port);
        match (addresses, ports) {
            (None, ports) => ports,
            // An address alone says little where all is on one host.
            (Some(true), None) => None,
            (Some(addresses), ports) => Some(addresses && ports.unwrap_or(true)),
        }
    }
}

/// An address as text, IPv4 also where it is written as IPv6.
pub(super) fn address(value: &AnyValue<'_>) -> Option<IpAddr> {
    let AnyValue::String(text) = value else { return None };
    text.as_str().parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// A port as a number or as text; 0 if it is none.
pub(super) fn port(value: &AnyValue<'_>) -> u16 {
    u16::try_from(integer(value)).unwrap_or(0)
}

/// An integer, also as text; 0 if it is none.
pub(super) fn integer(value: &AnyValue<'_>) -> i64 {
    match value {
        AnyValue::Int(number) => *number,
        AnyValue::String(text) => text.as_str().parse().unwrap_or(0),
        _ => 0,
    }
}

fn known(one: &str, two: &str) -> bool {
    !one.is_empty() && !two.is_empty()
}

/// A host may call itself by its name or by its full name.
fn first_label(host: &str) -> String {
    let is_name = host.parse::<IpAddr>().is_err();
    let label = if is_name { host.split('.').next().unwrap_or(host) } else { host };
    label.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(host: &str, pid: i64, container: &str, pod: &str) -> Process {
        Process { host: host.into(), pid, container: container.into(), pod: pod.into(), ..Process::default() }
    }

    const CONTAINER: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn host_and_pid_name_a_process() {
        let exchange = process("Node-1.example.com", 7, "", "");
        assert_eq!(exchange.agreement(&process("node-1", 7, "", "")), Some(Agreement::Process));
        assert_eq!(exchange.agreement(&process("node-1", 8, "", "")), None);
        assert_eq!(exchange.agreement(&process("node-2", 7, "", "")), None, "another host");
        assert_eq!(
            exchange.agreement(&process("", 7, "", "")),
            Some(Agreement::Unknown),
            "pid 7 is everywhere"
        );
        assert_eq!(exchange.agreement(&process("node-1", 0, "", "")), Some(Agreement::Unknown));
    }

    #[test]
    fn a_process_in_a_container_may_report_the_number_of_its_namespace() {
        let exchange = Process { namespace_pid: 1, ..process("node-1", 4711, CONTAINER, "pod") };
        assert_eq!(exchange.agreement(&process("node-1", 1, CONTAINER, "")), Some(Agreement::Process));
        assert_eq!(exchange.agreement(&process(&CONTAINER[..12], 1, "", "")), Some(Agreement::Process));
        assert_eq!(exchange.agreement(&process(&CONTAINER[..12], 2, "", "")), None);
        assert_eq!(exchange.agreement(&process("", 0, CONTAINER, "")), Some(Agreement::Process));
        assert_eq!(exchange.agreement(&process("", 1, "fedcba98765432100123456789abcdef", "")), None);
        let outside = process("node-1", 4712, "", "");
        assert_eq!(outside.agreement(&process("", 0, CONTAINER, "")), None);
        assert_eq!(outside.agreement(&process("", 0, "", "pod")), None);
    }

    #[test]
    fn a_pod_is_a_place() {
        let exchange = Process { namespace_pid: 1, ..process("node-1", 4711, CONTAINER, "pod") };
        assert_eq!(exchange.agreement(&process("a-pod-name", 1, "", "pod")), Some(Agreement::Place));
        assert_eq!(exchange.agreement(&process("a-pod-name", 1, "", "another")), None);
        assert_eq!(exchange.agreement(&process("a-pod-name", 1, "", "")), Some(Agreement::Unknown));
        assert_eq!(exchange.agreement(&process("a-pod-name", 2, "", "pod")), None);
        assert_eq!(
            exchange.agreement(&process("node-1", 1, "", "")),
            Some(Agreement::Place),
            "many have pid 1"
        );
    }
}
