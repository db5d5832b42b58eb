//! The keys of the receiver.

use sluice_pipeline::component::{ComponentConfig, Transport};

use super::*;

#[test]
fn a_protocol_without_keys_is_on_and_one_not_named_is_off() {
    let config = read_config("protocols:\n  grpc:\n").unwrap();
    let endpoints = Otlp::endpoints(&config);
    assert_eq!(endpoints.len(), 1);
    assert_eq!(endpoints[0].transport, Transport::Tcp("localhost:4317".to_owned()));
    assert!(config.problems().is_empty());

    let both =
        read_config("protocols: {grpc: {endpoint: '0.0.0.0:1'}, http: {endpoint: /run/x, transport: unix}}");
    let transports: Vec<_> =
        Otlp::endpoints(&both.unwrap()).into_iter().map(|endpoint| endpoint.transport.to_string()).collect();
    assert_eq!(transports, ["0.0.0.0:1", "unix:/run/x"]);
}

#[test]
fn no_protocol_at_all_is_a_problem() {
    for text in ["{}", "protocols:", "protocols: {}"] {
        let problems = read_config(text).unwrap().problems();
        assert_eq!(problems.len(), 1, "{text}");
        assert!(problems[0].message.contains("must specify at least one protocol"));
    }
}

#[test]
fn defaults_are_the_collectors() {
    let config = read_config("{protocols: {grpc: , http: }}").unwrap();
    let (grpc, http) = (config.protocols.grpc.unwrap().server, config.protocols.http.unwrap());
    assert_eq!(grpc.message_limit(), 4 << 20);
    assert_eq!((http.server.endpoint.as_str(), http.server.body_limit()), ("localhost:4318", 20 << 20));
    assert!(http.server.write_timeout.is_zero() && http.server.idle_timeout.is_zero());
    assert_eq!(http.paths.logs_url_path, "/v1/logs");
}

#[test]
fn unknown_keys_and_keys_of_other_builds_are_located() {
    let unknown = read_config("protocols:\n  grpc:\n    endpont: localhost:1\n").unwrap_err();
    assert!(unknown.contains("otlp.yaml:3:5") && unknown.contains("endpoint"), "{unknown}");
    let config =
        read_config("protocols: {http: {tls: {cert_file: a, key_file: b, tpm: {enabled: true}}}}").unwrap();
    let keys: Vec<_> = config.problems().into_iter().map(|problem| problem.key).collect();
    assert_eq!(keys, ["protocols.http.tls.tpm"]);
}
