//! What becomes of resources once Kubernetes has told of pods.

mod config;
mod extraction;
mod pods;
mod resources;

use std::{collections::BTreeMap, sync::Arc};

use opentelemetry_proto::tonic::{
    common::v1::{KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span, TracesData},
};
use prost::Message;
use serde_json::{Value as Json, json};
use sluice_pipeline::{
    Batch, Chunk, Context, Signal,
    component::ComponentConfig,
    kubernetes::{
        self as kubernetes, DaemonSet, Deployment, Job, Namespace, Node, Observer, Pod, ReplicaSet,
        StatefulSet,
    },
    otlp::count,
};

use super::{association::Associations, catalogue::Catalogue, enrich, metrics::Tally, rules::Rules, *};
use crate::testing::{decoded, text};

const ALL: &str =
    "[k8s.namespace.name, k8s.pod.name, k8s.pod.uid, k8s.pod.hostname, k8s.pod.ip, k8s.pod.start_time,
    k8s.deployment.name, k8s.deployment.uid, k8s.replicaset.name, k8s.replicaset.uid, k8s.daemonset.name,
    k8s.daemonset.uid, k8s.statefulset.name, k8s.statefulset.uid, k8s.job.name, k8s.job.uid, k8s.cronjob.name,
    k8s.cronjob.uid, k8s.node.name, k8s.node.uid, k8s.cluster.uid, k8s.container.name, container.id,
    container.image.name, container.image.tag, container.image.repo_digests, service.namespace, service.name,
    service.version, service.instance.id]";

fn catalogue(yaml: &str) -> Arc<Catalogue> {
    let config = decoded::<K8sAttributesConfig>(yaml);
    assert_eq!(config.problems(), []);
    let rules = Rules::new(&config.extract, &config.exclude);
    let associations = Associations::new(&config.pod_association);
    Arc::new(Catalogue::new(rules, associations, *config.pod_delete_grace_period))
}

/// Tells of an object as an informer does.
fn tell<R: kubernetes::Resource>(catalogue: &Catalogue, object: Json) -> Arc<R>
where
    Catalogue: Observer<R>,
{
    let object = Arc::new(serde_json::from_value::<R>(object).unwrap());
    Observer::<R>::set(catalogue, &object);
    Observer::<R>::settled(catalogue);
    object
}

fn gone<R: kubernetes::Resource>(catalogue: &Catalogue, object: &Arc<R>)
where
    Catalogue: Observer<R>,
{
    Observer::<R>::removed(catalogue, object);
    Observer::<R>::settled(catalogue);
}

fn owner(kind: &str, name: &str, uid: &str) -> Json {
    json!([{"kind": kind, "name": name, "uid": uid, "controller": true}])
}

fn pod(name: &str, uid: &str, address: &str) -> Json {
    json!({
        "metadata": {
            "name": name, "namespace": "shop", "uid": uid, "creationTimestamp": "2026-01-02T03:04:05Z",
            "ownerReferences": owner("ReplicaSet", "cart-6c45f8d6f6", "rs-1"),
        },
        "spec": {"nodeName": "node-1", "containers": [{"name": "app", "image": "ghcr.io/shop/cart:1.2"}]},
        "status": {
            "phase": "Running", "podIP": address, "startTime": "2026-01-02T03:04:06Z",
            "containerStatuses": [{
                "name": "app", "containerID": format!("containerd://id-{uid}"), "restartCount": 0,
                "imageID": "ghcr.io/shop/cart@sha256:12",
            }],
        },
    })
}

fn traces(resources: &[&[KeyValue]]) -> Vec<u8> {
    let group = |attributes: &&[KeyValue]| ResourceSpans {
        resource: Some(Resource { attributes: attributes.to_vec(), ..Resource::default() }),
        scope_spans: vec![ScopeSpans {
            spans: vec![Span { name: "GET /".to_owned(), ..Span::default() }],
            ..ScopeSpans::default()
        }],
        ..ResourceSpans::default()
    };
    TracesData { resource_spans: resources.iter().map(group).collect() }.encode_to_vec()
}

fn batch(message: Vec<u8>, client: Option<&str>) -> Batch {
    let context = Context {
        peer: client.map(|client| (client.parse::<std::net::IpAddr>().unwrap(), 4000).into()),
        ..Context::default()
    };
    let items = count::count(Signal::Traces, &message);
    Batch::new(Signal::Traces, Chunk::new(message.into(), items), context)
}

/// The attributes of each resource after enriching.
fn enriched(catalogue: &Catalogue, resources: &[&[KeyValue]], client: Option<&str>) -> Vec<Vec<KeyValue>> {
    let (batch, _) = enrich::enrich(batch(traces(resources), client), catalogue);
    let data = TracesData::decode(batch.contiguous()).unwrap();
    assert!(data.resource_spans.iter().all(|group| group.scope_spans[0].spans[0].name == "GET /"));
    data.resource_spans.into_iter().map(|group| group.resource.unwrap().attributes).collect()
}

/// Those of a single resource as text, each key once.
fn one(catalogue: &Catalogue, attributes: &[KeyValue], client: Option<&str>) -> BTreeMap<String, String> {
    let attributes = enriched(catalogue, &[attributes], client).remove(0);
    let count = attributes.len();
    let texts: BTreeMap<_, _> = attributes
        .into_iter()
        .map(|KeyValue { key, value, .. }| {
            let value = match value.and_then(|value| value.value) {
                Some(Value::StringValue(text)) => text,
                Some(Value::IntValue(number)) => number.to_string(),
                Some(Value::ArrayValue(array)) => format!("{:?}", array.values.len()),
                other => panic!("{key} is {other:?}"),
            };
            (key, value)
        })
        .collect();
    assert_eq!(texts.len(), count, "no key twice: {texts:?}");
    texts
}

fn by_ip(address: &str) -> [KeyValue; 1] {
    [text("k8s.pod.ip", address)]
}
