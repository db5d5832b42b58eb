//! Which tags describe the process rather than the span.

/// Whether a tag of this name moves to the resource, as in the Collector.
pub(super) fn is_resource_key(key: &str) -> bool {
    let Some((namespace, name)) = key.split_once('.') else { return false };
    let names: &[&str] = match namespace {
        "cloud" => &[
            "account.id",
            "availability_zone",
            "infrastructure_service",
            "platform",
            "provider",
            "region",
            "resource_id",
            "zone",
        ],
        "container" => &[
            "command",
            "command_args",
            "command_line",
            "id",
            "image.id",
            "image.name",
            "image.tag",
            "name",
            "runtime",
        ],
        "deployment" => &["environment", "environment.name"],
        "device" => &["id", "manufacturer", "model.identifier", "model.name"],
        "faas" => &["id", "instance", "max_memory", "name", "version"],
        "host" => &["arch", "id", "image.id", "image.name", "image.version", "name", "type"],
        "k8s" => &[
            "cluster.name",
            "cluster.uid",
            "container.name",
            "container.restart_count",
            "cronjob.name",
            "cronjob.uid",
            "daemonset.name",
            "daemonset.uid",
            "deployment.name",
            "deployment.uid",
            "job.name",
            "job.uid",
            "namespace.name",
            "node.name",
            "node.uid",
            "pod.name",
            "pod.uid",
            "replicaset.name",
            "replicaset.uid",
            "statefulset.name",
            "statefulset.uid",
        ],
        "os" => &["description", "name", "type", "version"],
        "process" => &[
            "command",
            "command_args",
            "command_line",
            "executable.name",
            "executable.path",
            "owner",
            "parent_pid",
            "pid",
            "runtime.description",
            "runtime.name",
            "runtime.version",
        ],
        "service" => &["instance.id", "name", "namespace", "version"],
        "telemetry" => {
            &["auto.version", "distro.name", "distro.version", "sdk.language", "sdk.name", "sdk.version"]
        }
        "webengine" => &["description", "name", "version"],
        _ => return false,
    };
    names.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::is_resource_key;

    #[test]
    fn only_known_names_describe_the_process() {
        for key in ["host.name", "k8s.pod.name", "service.version", "deployment.environment"] {
            assert!(is_resource_key(key), "{key}");
        }
        for key in ["http.method", "host", "host.", "host.name.x", "process.cpu", "os"] {
            assert!(!is_resource_key(key), "{key}");
        }
    }
}
