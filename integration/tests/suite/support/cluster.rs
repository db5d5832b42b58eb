//! A Kubernetes cluster, as far as its API server shows it.

use std::fs;

use serde_json::{Value, json};
use sluice_pipeline::kubernetes::testing::ApiServer;
use tokio::runtime::Runtime;

use super::{Setup, certificates::issue_all};

/// A cluster and a kubeconfig file for it.
pub(crate) struct Cluster {
    pub(crate) server: ApiServer,
    runtime: Runtime,
}

impl Cluster {
    pub(crate) fn start(setup: &Setup) -> Self {
        let runtime = Runtime::new().unwrap();
        issue_all(setup, &[("api", 2100)]);
        let read = |name: &str| fs::read_to_string(setup.path(name)).unwrap();
        let server = runtime.block_on(ApiServer::start(&read("api.crt"), &read("api.key"))).unwrap();
        let kubeconfig = format!(
            "current-context: test
contexts: [{{name: test, context: {{cluster: test, user: sluice}}}}]
clusters: [{{name: test, cluster: {{server: 'https://localhost:{}', certificate-authority: ca.crt}}}}]
users: [{{name: sluice, user: {{token: secret-token}}}}]
",
            server.address.port()
        );
        setup.write("kubeconfig", &kubeconfig);
        Self { server, runtime }
    }

    pub(crate) fn pod(&self, name: &str, address: &str) {
        self.server.set_of("pods", "shop", name, pod(name, address));
    }

    /// As a server does that is updated.
    pub(crate) fn restart(&mut self) {
        self.server.stop();
        self.runtime.block_on(self.server.start_again()).unwrap();
    }
}

/// A running pod with this name and address, of a deployment.
pub(crate) fn pod(name: &str, address: &str) -> Value {
    json!({
        "metadata": {
            "uid": format!("uid-{name}"), "labels": {"team": "blue"}, "creationTimestamp": "2026-01-02T03:04:05Z",
            "ownerReferences": [{"kind": "ReplicaSet", "name": "cart-6c45f8d6f6", "uid": "rs"}],
        },
        "spec": {"nodeName": "node-1", "containers": [{"name": "app", "image": "shop/cart:1.2"}]},
        "status": {
            "phase": "Running", "podIP": address, "startTime": "2026-01-02T03:04:06Z",
            "containerStatuses": [{"name": "app", "containerID": format!("containerd://id-{name}"), "restartCount": 0}],
        },
    })
}
