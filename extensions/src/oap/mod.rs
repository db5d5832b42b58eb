//! The `oap` extension: connections to SkyWalking's OAP servers, for the receivers that relay calls to it and the
//! exporters that send to it. Calls go to the servers in turn, those of one service instance's meters to one server;
//! servers are watched, and one that comes gets its share.

mod config;
mod finder;
mod meters;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Instant};

pub use config::{
    EndpointConfig, KubernetesConfig, MetersConfig, OapConfig, RoutingConfig, SelectConfig, ServerKind,
    WeightedEndpoint,
};
use futures_util::future::BoxFuture;
use sluice_pipeline::{
    component::{
        Backend, BuildError, Capabilities, Capability, ComponentContext, Declaration, Endpoint, Extension,
        ExtensionContext, ExtensionFactory, Kind, Listeners, Upstream,
    },
    grpc::client::{BalancedChannel, BalancedSettings},
};
use tokio::task::JoinHandle;

use self::meters::Reporter;
use crate::authenticator::sensitive;

/// The `oap` extension.
pub struct Oap {
    context: ComponentContext,
    channel: Arc<BalancedChannel>,
    meters: Option<MetersConfig>,
    running: Vec<JoinHandle<()>>,
}

impl ExtensionFactory for Oap {
    type Config = OapConfig;
    const DECLARATION: Declaration = Declaration {
        name: "oap",
        aliases: &[],
        summary: "Connects to SkyWalking's OAP servers, for the components that relay to them or send to them.",
        signals: &[],
        absorbs: false,
        example: include_str!("example.yaml"),
    };

    fn endpoints(_config: &OapConfig) -> Vec<Endpoint> {
        Vec::new()
    }

    fn offers(_config: &OapConfig) -> Vec<Capability> {
        vec![Capability::Upstream, Capability::Backend]
    }

    fn build(config: OapConfig, context: ExtensionContext) -> Result<Box<dyn Extension>, BuildError> {
        let authentication = (!config.authentication.is_empty())
            .then(|| {
                sensitive(config.authentication.expose()).ok_or_else(|| {
                    BuildError::setting("authentication", "has a character that no header may have")
                })
            })
            .transpose()?;
        let meters = config.satellite_meters.clone();
        let settings = BalancedSettings {
            key: "endpoints",
            destinations: config.destinations(),
            found: match &config.kubernetes {
                Some(kubernetes) => finder::found(kubernetes, &context.component)?,
                None => Vec::new(),
            },
            client: config.client(""),
            authentication,
            check_period: config.check_period.into(),
            affinity: config.affinity(),
        };
        let channel = Arc::new(BalancedChannel::new(&settings, &context.component)?);
        Ok(Box::new(Self { context: context.component, channel, meters, running: Vec::new() }))
    }
}

impl Extension for Oap {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            upstream: Some(Arc::clone(&self.channel) as Arc<dyn Upstream>),
            backend: Some(Arc::clone(&self.channel) as Arc<dyn Backend>),
            ..Capabilities::default()
        }
    }

    fn start(&mut self, _listeners: Listeners) -> BoxFuture<'_, Result<(), BuildError>> {
        Box::pin(async move {
            let follow = Arc::clone(&self.channel).follow();
            let ComponentContext { status, id, .. } = &self.context;
            self.running.push(status.supervise(Kind::Extension, id, "following the OAP servers", follow));
            if let Some(config) = self.meters.take() {
                let report = Reporter::new(config, Arc::clone(&self.channel) as Arc<dyn Backend>).run();
                self.running.push(status.supervise(
                    Kind::Extension,
                    id,
                    "reporting Satellite's meters",
                    report,
                ));
            }
            Ok(())
        })
    }

    fn stop(&mut self, _deadline: Instant) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.running.drain(..).for_each(|task| task.abort());
        })
    }
}
