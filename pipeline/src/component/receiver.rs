//! Receivers: where telemetry enters.

use std::{collections::HashMap, fmt, path::PathBuf, time::Instant};

use futures_util::future::BoxFuture;
use tokio::net::{TcpListener, UnixListener};

use super::{BuildError, ComponentConfig, ComponentContext, Declaration};
use crate::{outlet::Outlet, signal::Signal};

/// A type of receiver. One instance serves all signals of an id.
pub trait ReceiverFactory: 'static {
    /// Its keys.
    type Config: ComponentConfig;
    /// What it says of itself.
    const DECLARATION: Declaration;

    /// The endpoints that the host binds for it before anything starts.
    fn endpoints(config: &Self::Config) -> Vec<Endpoint>;

    /// Builds it; touches neither network nor disk beyond reading files that the configuration names.
    ///
    /// # Errors
    /// A setting that cannot work.
    fn build(config: Self::Config, context: ReceiverContext) -> Result<Box<dyn Receiver>, BuildError>;
}

/// What a receiver is given.
pub struct ReceiverContext {
    /// Id, budget, extensions.
    pub component: ComponentContext,
    /// Where its batches go.
    pub outlets: Outlets,
}

/// A built receiver.
pub trait Receiver: Send {
    /// Begins to serve. The listeners are those of [`ReceiverFactory::endpoints`], by name.
    ///
    /// # Errors
    /// Why it cannot serve.
    fn start(&mut self, listeners: Listeners) -> BoxFuture<'_, Result<(), BuildError>>;

    /// Takes nothing new, answers what is under way, and returns then or at the deadline.
    fn stop(&mut self, deadline: Instant) -> BoxFuture<'_, ()>;
}

/// A receiver's ways into the pipelines, one for each signal that it is used for.
#[derive(Clone, Default)]
pub struct Outlets(HashMap<Signal, Outlet>);

/// Something to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Which of the component's endpoints: `grpc`, `http`.
    pub name: &'static str,
    /// The key that configures it, below the component, for error messages.
    pub key: &'static str,
    /// Where to bind.
    pub transport: Transport,
}

/// An address to bind.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// `host:port` as in the Collector: `localhost` prefers IPv4, an empty host (`:4317`) means all interfaces.
    Tcp(String),
    /// A path in the file system.
    Unix(PathBuf),
}

/// A bound endpoint.
#[derive(Debug)]
pub enum Listener {
    /// Of [`Transport::Tcp`].
    Tcp(TcpListener),
    /// Of [`Transport::Unix`].
    Unix(UnixListener),
}

/// Bound endpoints by [`Endpoint::name`].
pub type Listeners = HashMap<&'static str, Listener>;

impl Outlets {
    /// Outlets for these signals.
    #[must_use]
    pub fn new(outlets: impl IntoIterator<Item = (Signal, Outlet)>) -> Self {
        Self(outlets.into_iter().collect())
    }

    /// The outlet of a signal; `None` if no pipeline of that signal uses the receiver.
    #[must_use]
    pub fn get(&self, signal: Signal) -> Option<&Outlet> {
        self.0.get(&signal)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (Signal, &Outlet)> {
        self.0.iter().map(|(signal, outlet)| (*signal, outlet))
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => formatter.write_str(address),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}
