//! What the keys mean, and that both capabilities are offered.

use sluice_pipeline::{component::ComponentConfig, grpc::client::Destination};

use super::*;
use crate::authenticator::testing::{built, decoded, wrong};

#[test]
fn one_server_on_this_machine_is_the_default() {
    let config = decoded::<Oap>("{}");
    assert_eq!(config.problems(), []);
    assert_eq!(config.destinations(), [Destination { endpoint: "localhost:11800".to_owned(), weight: 1 }]);
    assert!(config.client("").tls.insecure, "OAP listens without TLS");
    assert_eq!(config.check_period.as_secs(), 5);
    assert_eq!((config.routing.cache_size, config.routing.cache_ttl.as_secs()), (5000, 180));
}

#[test]
fn servers_have_weights_and_connections_may_be_encrypted() {
    let config =
        decoded::<Oap>("{endpoints: ['oap-1:11800', {endpoint: 'oap-2:11800', weight: 3}], tls: {}}");
    let weights: Vec<_> = config.destinations().iter().map(|destination| destination.weight).collect();
    assert_eq!(weights, [1, 3]);
    assert!(!config.client("").tls.insecure);
}

#[test]
fn relaying_and_sending_are_offered() {
    let capabilities = built::<Oap>("{endpoints: ['127.0.0.1:11800']}");
    assert!(capabilities.upstream.is_some() && capabilities.backend.is_some());
}

#[test]
fn servers_in_kubernetes_take_the_place_of_the_default() {
    let config = decoded::<Oap>("{kubernetes: {label_selector: app=oap}}");
    assert_eq!(config.problems(), []);
    assert_eq!(config.destinations(), []);
    let SelectConfig { namespaces, kind, port, .. } = config.kubernetes.unwrap().select;
    assert_eq!((namespaces.as_slice(), kind, port), (&["default".to_owned()][..], ServerKind::Pod, 11800));
    let both = decoded::<Oap>("{endpoints: ['oap:11800'], kubernetes: {label_selector: app=oap}}");
    assert_eq!(both.destinations().len(), 1);
    for tls in ["insecure: true", "insecure_skip_verify: true", "server_name_override: oap.example.com"] {
        let config = decoded::<Oap>(&format!("{{kubernetes: {{label_selector: app=oap}}, tls: {{{tls}}}}}"));
        assert_eq!(config.problems(), [], "{tls}: no name is checked, or it is known");
    }
}

#[test]
fn what_cannot_work_is_named() {
    let keys = |yaml: &str| wrong::<Oap>(yaml).into_iter().map(|(key, _)| key).collect::<Vec<_>>();
    assert_eq!(keys("{endpoints: []}"), ["endpoints"]);
    assert_eq!(
        keys("{endpoints: [oap, {endpoint: 'oap:1', weight: 0}]}"),
        ["endpoints.0", "endpoints.1.weight"]
    );
    assert_eq!(keys("{kubernetes: }"), ["kubernetes.label_selector"]);
    assert_eq!(
        keys("{kubernetes: {namespaces: [a/b], port: 0, label_selector: a=b, api_server: nowhere}, tls: {}}"),
        ["kubernetes.api_server", "kubernetes.namespaces", "kubernetes.port", "tls.server_name_override"]
    );
    assert_eq!(
        keys("{satellite_meters: {service: '', interval: 0s}}"),
        ["satellite_meters.service", "satellite_meters.interval"]
    );
    assert_eq!(keys("{check_period: 0s, authentication: \"a\\nb\"}"), ["check_period", "authentication"]);
    assert_eq!(keys("{tls: {ca_file: /nowhere/ca}}"), ["tls.ca_file"]);
    let messages: String =
        wrong::<Oap>("{authentication: \"hush\\nb\"}").into_iter().map(|(_, text)| text).collect();
    assert!(!messages.contains("hush"), "{messages}");
}
