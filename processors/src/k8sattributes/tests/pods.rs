//! Which pod a resource is of, while pods come, change and go.

use std::time::Duration;

use super::*;

#[test]
fn containers_are_found_by_name_by_id_or_alone() {
    let catalogue = catalogue(&format!("extract: {{metadata: {ALL}}}"));
    let mut two = pod("cart", "u-1", "10.0.0.1");
    two["spec"]["containers"].as_array_mut().unwrap().push(json!({"name": "proxy", "image": "envoy"}));
    two["status"]["containerStatuses"].as_array_mut().unwrap().push(json!({
        "name": "proxy", "containerID": "containerd://new", "restartCount": 3,
        "lastState": {"terminated": {"containerID": "containerd://old"}},
    }));
    tell::<Pod>(&catalogue, two);
    let with = |pairs: &[KeyValue]| one(&catalogue, &[&by_ip("10.0.0.1")[..], pairs].concat(), None);
    assert!(!with(&[]).contains_key("k8s.container.name"), "which of both is not known");
    let named = with(&[text("k8s.container.name", "proxy")]);
    assert_eq!((&*named["container.id"], &*named["container.image.tag"]), ("new", "latest"));
    let other_run = [text("k8s.container.name", "proxy"), text("k8s.container.restart_count", "2")];
    assert!(!with(&other_run).contains_key("container.id"));
    let ended = with(&[text("container.id", "old")]);
    assert_eq!((&*ended["k8s.container.name"], &*ended["container.id"]), ("proxy", "old"));
    assert!(!with(&[text("container.id", "unknown")]).contains_key("k8s.container.name"));
    assert_eq!(with(&[text("container.id", "id-u-1")])["container.image.name"], "ghcr.io/shop/cart");
}

#[test]
fn kernel_records_are_associated_by_container() {
    let catalogue = catalogue(
        "extract: {metadata: [k8s.pod.name]}
pod_association: [{sources: [{from: resource_attribute, name: container.id}]}]
pod_delete_grace_period: 0s",
    );
    tell::<Pod>(&catalogue, pod("cart", "u-1", "10.0.0.1"));
    let name = |id: &str| one(&catalogue, &[text("container.id", id)], None).get("k8s.pod.name").cloned();
    assert_eq!(name("id-u-1").as_deref(), Some("cart"));
    // It was started again.
    let mut again = pod("cart", "u-1", "10.0.0.1");
    again["status"]["containerStatuses"][0]["containerID"] = "containerd://second".into();
    again["status"]["containerStatuses"][0]["lastState"] =
        json!({"terminated": {"containerID": "containerd://id-u-1"}});
    tell::<Pod>(&catalogue, again);
    assert_eq!((name("second").as_deref(), name("id-u-1").as_deref()), (Some("cart"), Some("cart")));
    assert_eq!(name("third"), None);
}

#[test]
fn pods_that_are_gone_are_known_for_a_while() {
    let catalogue = catalogue("pod_delete_grace_period: 120s");
    let old = tell::<Pod>(&catalogue, pod("cart", "u-1", "10.0.0.1"));
    let name = |uid: &str| one(&catalogue, &[text("k8s.pod.uid", uid)], None).get("k8s.pod.name").cloned();
    gone(&catalogue, &old);
    let now = std::time::Instant::now();
    catalogue.sweep(now);
    assert_eq!(name("u-1").as_deref(), Some("cart"));
    // It is there again before its time is over, as after a list that had missed it.
    tell::<Pod>(&catalogue, pod("cart", "u-1", "10.0.0.1"));
    catalogue.sweep(now + Duration::from_secs(121));
    assert_eq!(name("u-1").as_deref(), Some("cart"));
    gone(&catalogue, &old);
    catalogue.sweep(std::time::Instant::now() + Duration::from_secs(119));
    assert_eq!(name("u-1").as_deref(), Some("cart"));
    catalogue.sweep(std::time::Instant::now() + Duration::from_secs(121));
    assert_eq!(name("u-1"), None);
    assert_eq!(catalogue.read().size(), (0, 0));
}

#[test]
fn an_address_is_that_of_the_pod_that_has_it_now() {
    let catalogue = catalogue("");
    let at = |start: &str, name: &str, uid: &str| {
        let mut pod = pod(name, uid, "10.0.0.1");
        pod["status"]["startTime"] = start.into();
        pod
    };
    let name = || one(&catalogue, &by_ip("10.0.0.1"), None).get("k8s.pod.name").cloned();
    let new = tell::<Pod>(&catalogue, at("2026-01-02T00:00:00Z", "new", "u-2"));
    // News of the old one come late.
    let old = tell::<Pod>(&catalogue, at("2026-01-01T00:00:00Z", "old", "u-1"));
    assert_eq!(name().as_deref(), Some("new"));
    gone(&catalogue, &old);
    assert_eq!(name().as_deref(), Some("new"));
    // One that has ended still has its address, but does not send.
    let mut ended = at("2026-01-03T00:00:00Z", "job", "u-3");
    ended["status"]["phase"] = "Succeeded".into();
    tell::<Pod>(&catalogue, ended);
    assert_eq!(name().as_deref(), Some("new"));
    gone(&catalogue, &new);
    assert_eq!(name().as_deref(), Some("job"), "nothing that runs has it");
    // A stateful set's pod comes back under its name.
    let db = |uid: &str, address: &str| pod("db-0", uid, address);
    tell::<Pod>(&catalogue, db("u-4", "10.0.0.4"));
    tell::<Pod>(&catalogue, db("u-5", "10.0.0.5"));
    catalogue.sweep(std::time::Instant::now() + Duration::from_secs(121));
    assert!(!one(&catalogue, &by_ip("10.0.0.4"), None).contains_key("k8s.pod.name"));
    assert_eq!(one(&catalogue, &by_ip("10.0.0.5"), None)["k8s.pod.uid"], "u-5");
}

#[test]
fn some_pods_are_not_associated() {
    let catalogue = catalogue("");
    let mut host = pod("agent", "u-1", "10.0.0.1");
    host["spec"]["hostNetwork"] = true.into();
    tell::<Pod>(&catalogue, host);
    let mut ignored = pod("ignored", "u-2", "10.0.0.2");
    ignored["metadata"]["annotations"] = json!({"opentelemetry.io/k8s-processor/ignore": " True"});
    tell::<Pod>(&catalogue, ignored);
    tell::<Pod>(&catalogue, pod("jaeger-agent-x", "u-3", "10.0.0.3"));
    let mut dual = pod("dual", "u-4", "10.0.0.4");
    dual["status"]["podIPs"] = json!([{"ip": "10.0.0.4"}, {"ip": "fd00::4"}]);
    tell::<Pod>(&catalogue, dual);
    for (client, name) in [
        ("10.0.0.1", None),
        ("10.0.0.2", None),
        ("10.0.0.3", None),
        ("10.0.0.4", Some("dual")),
        ("::ffff:10.0.0.4", Some("dual")),
        ("fd00::4", Some("dual")),
    ] {
        let found = one(&catalogue, &[], Some(client));
        assert_eq!(found.get("k8s.pod.name").map(String::as_str), name, "{client}");
    }
    assert_eq!(one(&catalogue, &[text("k8s.pod.uid", "u-1")], Some("10.0.0.4"))["k8s.pod.name"], "agent");
}
