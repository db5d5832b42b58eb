//! Configurations that cannot work.

use sluice_pipeline::component::ProcessorFactory;

use super::*;

#[test]
fn what_cannot_work_is_told_at_its_place() {
    for (yaml, key, message) in [
        ("auth_type: tls", "auth_type", "tls is not in this build"),
        ("context: a", "context", "kubeConfig only"),
        ("filter: {node: a, node_from_env_var: B}", "filter.node", "keep one of the two"),
        ("filter: {fields: [{key: a, op: exists}]}", "filter.fields.0.op", "equals and not-equals only"),
        ("filter: {labels: [{value: a}]}", "filter.labels.0", "a key is needed"),
        ("pod_association: [{}]", "pod_association.0.sources", "one to four"),
        ("pod_association: [{sources: [{name: a}]}]", "pod_association.0.sources.0", "\"from\" is needed"),
        (
            "pod_association: [{sources: [{from: resource_attribute}]}]",
            "pod_association.0.sources.0",
            "\"name\" is needed",
        ),
        ("exclude: {pods: [{name: '('}]}", "exclude.pods.0.name", "no regular expression"),
        ("extract: {labels: [{}]}", "extract.labels.0", "a key or a key_regex"),
        ("extract: {labels: [{key: a, key_regex: b}]}", "extract.labels.0.key_regex", "keep one of the two"),
        (
            "extract: {annotations: [{key_regex: '('}]}",
            "extract.annotations.0.key_regex",
            "no regular expression",
        ),
        ("extract: {annotations: [{key: a, regex: b}]}", "extract.annotations.0.regex", "not in this build"),
    ] {
        let problems = decoded::<K8sAttributesConfig>(yaml).problems();
        assert!(
            matches!(&problems[..], [only] if only.key == key && only.message.contains(message)),
            "{yaml}: {problems:?}"
        );
    }
    let namespaces = |yaml: &str| decoded::<K8sAttributesConfig>(yaml).filter.namespace;
    assert_eq!(namespaces("filter: {namespace: a}"), ["a"]);
    assert_eq!(namespaces("filter: {namespace: [a, b]}"), ["a", "b"]);
}

#[tokio::test]
async fn in_no_pod_there_is_no_service_account() {
    let built = K8sAttributes::build(
        K8sAttributesConfig::default(),
        crate::testing::context(Signal::Traces),
        Arc::new(crate::testing::Sink::default()),
    );
    let error = built.err().unwrap().to_string();
    assert!(error.contains("auth_type: this is no pod") && error.contains("use kubeConfig"), "{error}");
}
