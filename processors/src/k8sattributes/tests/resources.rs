//! What becomes of resources.

use proptest::prelude::*;

use super::*;
use crate::testing::processed;

#[test]
fn what_a_resource_has_stays_unless_it_is_empty() {
    let catalogue =
        catalogue("extract: {metadata: [k8s.pod.name, k8s.namespace.name, k8s.node.name, service.name]}");
    tell::<Pod>(&catalogue, pod("cart", "u-1", "10.0.0.1"));
    let own = [
        text("k8s.pod.ip", "10.0.0.1"),
        text("k8s.pod.name", "own"),
        text("k8s.namespace.name", ""),
        text("service.name", "own"),
    ];
    let found = one(&catalogue, &own, None);
    assert_eq!(found["k8s.pod.name"], "own");
    assert_eq!(found["k8s.namespace.name"], "shop");
    assert_eq!(found["k8s.node.name"], "node-1");
    assert_eq!(found["service.name"], "own");
    // A name that only is that of the program is none.
    let program =
        [text("k8s.pod.uid", "u-1"), text("service.name", "java"), text("process.executable.name", "java")];
    assert_eq!(one(&catalogue, &program, None)["service.name"], "cart-6c45f8d6f6");
}

#[test]
fn resources_are_counted_by_what_became_of_them() {
    let catalogue = catalogue("");
    tell::<Pod>(&catalogue, pod("cart", "u-1", "10.0.0.1"));
    tell::<Pod>(&catalogue, pod("jaeger-collector", "u-2", "10.0.0.2"));
    let (known, excluded, unknown) = (by_ip("10.0.0.1"), by_ip("10.0.0.2"), by_ip("10.0.0.3"));
    let message = traces(&[&known, &excluded, &unknown, &unknown, &[], &[]]);
    let (_, tally) = enrich::enrich(batch(message, None), &catalogue);
    let expected = r"Tally { associated: 1, excluded: 1, unknown: 2, unidentified: 2 }";
    assert_eq!(format!("{tally:?}"), expected);
    assert_ne!(tally, Tally::default());
    // What nothing is added to stays itself.
    let untouched = batch(traces(&[&unknown]), None);
    let bytes = untouched.chunks()[0].bytes().clone();
    let (same, _) = enrich::enrich(untouched, &catalogue);
    assert_eq!(same.chunks()[0].bytes().as_ptr(), bytes.as_ptr());
}

#[tokio::test]
async fn passing_through_adds_the_address_of_the_client() {
    for (attributes, expected) in [
        (vec![], Some("10.0.0.9")),
        (vec![text("k8s.pod.ip", "10.0.0.1")], Some("10.0.0.1")),
        (vec![text("k8s.pod.uid", "u")], None),
    ] {
        let context = Context { peer: Some("[::ffff:10.0.0.9]:1".parse().unwrap()), ..Context::default() };
        let batch =
            processed::<K8sAttributes>("passthrough: true", Signal::Traces, traces(&[&attributes]), context)
                .await;
        let data = TracesData::decode(batch.unwrap().contiguous()).unwrap();
        let resource = data.resource_spans[0].resource.as_ref().unwrap();
        let found = resource.attributes.iter().find(|pair| pair.key == "k8s.pod.ip");
        assert_eq!(found.cloned(), expected.map(|expected| text("k8s.pod.ip", expected)));
    }
}

proptest! {
    /// Whatever a resource has: each attribute that is there and not empty stays, all others are those of the pod.
    #[test]
    fn enriching_adds_what_is_missing_and_nothing_else(
        own in prop::collection::btree_map(
            prop::sample::select(vec![
                "k8s.pod.name", "k8s.pod.uid", "k8s.namespace.name", "k8s.node.name", "container.id", "x", "zone",
                "service.name", "k8s.container.name",
            ]),
            prop::sample::select(vec!["", "a", "u-1", "app", "id-u-1"]),
            0..8,
        ),
    ) {
        let catalogue = catalogue(
            "pod_association: [{sources: [{from: connection}]}]
extract: {metadata: [k8s.pod.name, k8s.pod.uid, k8s.namespace.name, k8s.node.name, service.name,
    container.image.name, k8s.container.name, container.id]}",
        );
        tell::<Pod>(&catalogue, pod("cart", "u-1", "10.0.0.1"));
        let attributes: Vec<KeyValue> = own.iter().map(|(key, value)| text(key, value)).collect();
        let found = one(&catalogue, &attributes, Some("10.0.0.1"));
        let mut expected: BTreeMap<String, String> =
            own.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let has = |key: &str| own.get(key).copied().unwrap_or_default();
        let is_container = match (has("k8s.container.name"), has("container.id")) {
            ("", "") => true,
            ("", id) => id == "id-u-1",
            (name, _) => name == "app",
        };
        let mut added = vec![
            ("k8s.pod.name", "cart"), ("k8s.pod.uid", "u-1"), ("k8s.namespace.name", "shop"),
            ("k8s.node.name", "node-1"), ("service.name", "cart-6c45f8d6f6"),
        ];
        if is_container {
            added.extend([
                ("container.image.name", "ghcr.io/shop/cart"), ("k8s.container.name", "app"), ("container.id", "id-u-1"),
            ]);
        }
        for (key, value) in added {
            if has(key).is_empty() {
                expected.insert(key.to_owned(), value.to_owned());
            }
        }
        prop_assert_eq!(found, expected);
    }
}
