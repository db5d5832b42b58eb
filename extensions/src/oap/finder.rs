//! OAP servers in Kubernetes, found by labels.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use sluice_pipeline::{
    component::{BuildError, ComponentContext, Kind},
    grpc::client::{Finder, Found},
    kubernetes::{Access, EndpointSlice, Informer, Keep, Pod, Resource, Selection, Service, shared},
};
use tokio::sync::watch;

use super::config::{KubernetesConfig, ServerKind};

/// How long calls wait for the first list.
const FIRST: Duration = Duration::from_secs(5);

/// A resource whose objects have addresses.
trait Addressed: Resource {
    /// Those that serve.
    fn addresses(&self) -> Vec<std::net::IpAddr>;
}

impl Addressed for Pod {
    fn addresses(&self) -> Vec<std::net::IpAddr> {
        self.serves_at().into_iter().collect()
    }
}

impl Addressed for Service {
    fn addresses(&self) -> Vec<std::net::IpAddr> {
        self.address().into_iter().collect()
    }
}

impl Addressed for EndpointSlice {
    fn addresses(&self) -> Vec<std::net::IpAddr> {
        self.serving().collect()
    }
}

/// The addresses of a selection's objects, with a port.
struct Selected<R> {
    informer: Arc<Informer<R>>,
    port: u16,
}

/// What is found of each namespace.
pub(super) fn found(config: &KubernetesConfig, context: &ComponentContext) -> Result<Vec<Found>, BuildError> {
    let namespaces = config.select.namespaces.iter();
    let found = namespaces.map(|namespace| {
        let finder = match config.select.kind {
            ServerKind::Pod => finder::<Pod>(config, namespace, context),
            ServerKind::Service => finder::<Service>(config, namespace, context),
            ServerKind::Endpoints => finder::<EndpointSlice>(config, namespace, context),
        };
        let endpoint = format!("{}.{namespace}:{}", config.select.kind.plural(), config.select.port);
        Ok(Found { endpoint, weight: 1, finder: finder? })
    });
    found.collect()
}

fn finder<R: Addressed>(
    config: &KubernetesConfig,
    namespace: &str,
    context: &ComponentContext,
) -> Result<Arc<dyn Finder>, BuildError> {
    let selection = Selection {
        namespace: namespace.to_owned(),
        label_selector: config.select.label_selector.clone(),
        field_selector: config.select.field_selector.clone(),
    };
    let access = Access::of(&config.api)?;
    let informer = shared::<R>(&access, &selection, &Keep::default(), Kind::Extension, context)?;
    Ok(Arc::new(Selected { informer, port: config.select.port }))
}

impl<R: Addressed> Finder for Selected<R> {
    fn find(&self) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let (informer, port) = (Arc::clone(&self.informer), self.port);
        Box::pin(async move {
            informer.listed(FIRST).await.map_err(io::Error::other)?;
            let addresses = informer.objects().into_iter().flat_map(|object| object.addresses());
            let mut addresses: Vec<SocketAddr> =
                addresses.map(|address| SocketAddr::new(address, port)).collect();
            // So that servers take turns in the same order whatever order they were listed in.
            addresses.sort_unstable();
            Ok(addresses)
        })
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.informer.changes()
    }
}
