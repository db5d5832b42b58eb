//! What is made of what Kubernetes writes.

use super::*;

#[test]
fn only_pods_that_serve_have_addresses() {
    let pod = |status: &str, metadata: &str| {
        let text =
            format!(r#"{{"kind": "Pod", "metadata": {{{metadata}}}, "spec": {{}}, "status": {{{status}}}}}"#);
        serde_json::from_str::<Pod>(&text).unwrap().serves_at()
    };
    let ready =
        r#""phase": "Running", "podIP": "10.0.0.7", "conditions": [{"type": "Ready", "status": "True"}]"#;
    assert_eq!(pod(ready, ""), "10.0.0.7".parse().ok());
    assert_eq!(pod(ready, r#""labels": null, "deletionTimestamp": "2026-01-01T00:00:00Z""#), None);
    assert_eq!(pod(&ready.replace("True", "False"), ""), None);
    assert_eq!(pod(&ready.replace("Running", "Pending"), ""), None);
    assert_eq!(pod(&ready.replace("10.0.0.7", ""), ""), None);
    assert_eq!(pod(r#""conditions": null"#, ""), None);
}

#[test]
fn services_and_slices_have_theirs() {
    let service = |ip| serde_json::from_str::<Service>(&format!(r#"{{"spec": {{"clusterIP": "{ip}"}}}}"#));
    assert_eq!(service("fd00::1").unwrap().address(), "fd00::1".parse().ok());
    assert_eq!(service("None").unwrap().address(), None);
    let slice: EndpointSlice = serde_json::from_str(
        r#"{"endpoints": [{"addresses": ["10.0.0.1", "10.0.0.2"], "conditions": {"ready": true}},
            {"addresses": ["10.0.0.3"], "conditions": {"ready": false}}, {"addresses": ["10.0.0.4"]}]}"#,
    )
    .unwrap();
    let serving: Vec<String> = slice.serving().map(|address| address.to_string()).collect();
    assert_eq!(serving, ["10.0.0.1", "10.0.0.4"]);
}

#[test]
fn only_what_is_wanted_is_kept() {
    let text = r#"{"metadata": {"name": "a", "labels": {"app": "x", "other": "y"},
        "annotations": {"resource.example.com/a": "1", "last-applied": "long"},
        "ownerReferences": [{"kind": "ReplicaSet", "name": "a-1", "uid": "u"}]},
        "spec": {"nodeName": "n", "containers": [{"name": "c", "image": "i", "env": [{"name": "SECRET"}]}]},
        "status": {"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}],
            "conditions": [{"type": "Ready", "status": "True"}, {"type": "Initialized", "status": "True"}],
            "containerStatuses": [{"name": "c", "containerID": "containerd://1", "restartCount": 2,
                "lastState": {"terminated": {"containerID": "containerd://0"}}}]}}"#;
    let pod: Pod = serde_json::from_str(text).unwrap();
    let mut bare = pod.clone();
    bare.trim(&Keep::default());
    assert!(bare.metadata.labels.is_empty() && bare.metadata.annotations.is_empty());
    assert!(bare.spec.containers.is_empty() && bare.status.container_statuses.is_empty());
    assert_eq!(bare.metadata.owner("ReplicaSet").unwrap().uid, "u");
    assert_eq!(bare.addresses().map(|it| it.to_string()).collect::<Vec<_>>(), ["10.0.0.1", "fd00::1"]);
    assert!(bare.size() < pod.size());

    let mut kept = pod.clone();
    kept.trim(&Keep {
        labels: Wanted { keys: ["app".to_owned()].into(), ..Wanted::default() },
        annotations: Wanted { prefixes: ["resource.".to_owned()].into(), ..Wanted::default() },
        containers: true,
    });
    assert_eq!(kept.metadata.labels.keys().collect::<Vec<_>>(), ["app"]);
    assert_eq!(kept.metadata.annotations.keys().collect::<Vec<_>>(), ["resource.example.com/a"]);
    assert_eq!(kept.status.container_statuses[0].last_state.terminated.container_id, "containerd://0");
    assert_eq!(kept.status.conditions.len(), 1);
}

#[test]
fn a_pod_in_its_nodes_network_has_no_address_of_its_own() {
    let pod = r#"{"spec": {"hostNetwork": true}, "status": {"podIP": "10.0.0.1"}}"#;
    assert_eq!(serde_json::from_str::<Pod>(pod).unwrap().addresses().count(), 0);
}
