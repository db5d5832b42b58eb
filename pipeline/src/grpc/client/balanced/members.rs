//! The destinations that there are, and which of them gets the next call.

use std::{
    collections::HashSet,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use http::HeaderMap;
use tokio::sync::watch;
use tracing::{debug, warn};

use super::{
    super::{
        connection::{Dialler, Peer},
        endpoint::Endpoint,
        resolver::{Resolver, resolver},
        slot::locked,
    },
    BalancedSettings, Destination, Finder, Found,
    affinity::{Remembered, hash, rank},
    member::{Member, Origin},
};
use crate::component::BuildError;

/// How many destinations are connected to, of those that there are.
const MOST: usize = 64;

/// The destinations that there are.
pub(super) struct Members {
    names: Vec<Name>,
    finders: Vec<Arc<dyn Finder>>,
    list: Mutex<Vec<Arc<Member>>>,
    remembered: Mutex<Remembered<u64>>,
    /// Held by the call that looks names up while no destination is known.
    first: tokio::sync::Mutex<()>,
    /// How many such look-ups have ended.
    ended: AtomicU64,
}

/// A configured destination with what finds its addresses.
struct Name {
    origin: Arc<Origin>,
    resolver: Resolver,
    /// Whether no addresses means that there are none. Name servers say so while they are ill, too.
    may_be_empty: bool,
}

impl Members {
    pub(super) fn new(settings: &BalancedSettings) -> Result<Self, BuildError> {
        let origin = |Destination { endpoint, weight }: &Destination| -> Result<Arc<Origin>, BuildError> {
            let client = &settings.client;
            let wrong = |message| BuildError::setting(settings.key, message);
            let endpoint =
                Endpoint::parse(endpoint, &client.authority, client.tls.insecure).map_err(wrong)?;
            let dialler = Dialler::new(client, &endpoint)?;
            Ok(Arc::new(Origin { endpoint, dialler, weight: *weight }))
        };
        let named = settings.destinations.iter().map(|destination| {
            let origin = origin(destination)?;
            Ok(Name { resolver: resolver(&origin.endpoint), origin, may_be_empty: false })
        });
        let found = settings.found.iter().map(|Found { endpoint, weight, finder }| {
            let origin = origin(&Destination { endpoint: endpoint.clone(), weight: *weight })?;
            Ok(Name { origin, resolver: of_finder(finder), may_be_empty: true })
        });
        Ok(Self {
            names: named.chain(found).collect::<Result<_, BuildError>>()?,
            finders: settings.found.iter().map(|found| Arc::clone(&found.finder)).collect(),
            list: Mutex::default(),
            remembered: Mutex::new(Remembered::new(settings.affinity)),
            first: tokio::sync::Mutex::default(),
            ended: AtomicU64::new(0),
        })
    }

    /// The same with the addresses that this finds for the first name.
    #[cfg(test)]
    pub(super) fn with_resolver(mut self, resolver: Resolver) -> Self {
        self.names[0].resolver = resolver;
        self
    }

    /// Hosts to which connections are not encrypted.
    pub(super) fn plaintext_hosts(&self) -> Vec<&str> {
        let endpoints = self.names.iter().map(|name| &name.origin.endpoint);
        endpoints
            .filter(|endpoint| !endpoint.is_encrypted() && !endpoint.is_unix())
            .map(Endpoint::host)
            .collect()
    }

    /// What changes when destinations that something else finds may have changed.
    pub(super) fn changes(&self) -> Vec<watch::Receiver<u64>> {
        self.finders.iter().map(|finder| finder.changes()).collect()
    }

    /// How many answered when they were last asked, and how many there are.
    pub(super) fn ready(&self) -> (usize, usize) {
        let list = locked(&self.list);
        (list.iter().filter(|member| member.is_ready()).count(), list.len())
    }

    /// Looks all names up. Connections to addresses that are still there are kept; those to others end with their last
    /// call. A name that cannot be looked up, or has no address, keeps those it has; of a finder no address means none.
    pub(super) async fn look_up(&self) {
        let found = join_all(self.names.iter().map(|name| (name.resolver)())).await;
        self.adopt(found);
    }

    fn adopt(&self, found: Vec<io::Result<Vec<Peer>>>) {
        let mut list = locked(&self.list);
        let mut next: Vec<Arc<Member>> = Vec::new();
        let mut seen = HashSet::new();
        for (name, peers) in self.names.iter().zip(found) {
            let of_name = |member: &&Arc<Member>| Arc::ptr_eq(&member.origin, &name.origin);
            let members: Vec<Arc<Member>> = match peers {
                Ok(peers) if name.may_be_empty || !peers.is_empty() => {
                    let known =
                        |peer: &Peer| list.iter().filter(of_name).find(|member| member.peer() == peer);
                    let member = |peer: Peer| {
                        known(&peer).cloned().unwrap_or_else(|| Arc::new(Member::new(&name.origin, peer)))
                    };
                    peers.into_iter().map(member).collect()
                }
                peers => {
                    let error =
                        peers.err().map_or_else(|| "it has no address".to_owned(), |error| error.to_string());
                    debug!(
                        destination = name.origin.endpoint.name(),
                        error, "A name keeps its old addresses"
                    );
                    list.iter().filter(of_name).cloned().collect()
                }
            };
            // Two names for one address are one destination.
            next.extend(members.into_iter().filter(|member| seen.insert(member.name)));
        }
        if next.len() > MOST {
            warn!(used = MOST, found = next.len(), "More destinations than are connected to");
            next.truncate(MOST);
        }
        *list = next;
    }

    /// Asks all of them at once whether they serve.
    pub(super) async fn check(&self, limit: Duration, headers: &HeaderMap) {
        let list = locked(&self.list).clone();
        join_all(list.iter().map(|member| member.check(limit, headers))).await;
    }

    /// The destination for the next call but for those that were tried: one that is ready if there is one.
    pub(super) async fn choose(&self, key: Option<&[u8]>, tried: &[Arc<Member>]) -> Option<Arc<Member>> {
        if locked(&self.list).is_empty() {
            let before = self.ended.load(Ordering::Acquire);
            let _turn = self.first.lock().await;
            // Who waited for another's look-up has its outcome, also if it found nothing.
            let is_shared = self.ended.load(Ordering::Acquire) != before;
            if !is_shared && locked(&self.list).is_empty() {
                self.look_up().await;
                self.ended.fetch_add(1, Ordering::Release);
            }
        }
        let list = locked(&self.list);
        let untried = || list.iter().filter(|member| !tried.iter().any(|tried| Arc::ptr_eq(tried, member)));
        let mut candidates: Vec<&Arc<Member>> = untried().filter(|member| member.is_ready()).collect();
        if candidates.is_empty() {
            candidates = untried().collect();
        }
        match key {
            Some(key) => self.of_key(hash(key), &candidates, Instant::now()),
            None => in_turn(&candidates),
        }
        .cloned()
    }

    fn of_key<'m>(&self, key: u64, candidates: &[&'m Arc<Member>], now: Instant) -> Option<&'m Arc<Member>> {
        let mut remembered = locked(&self.remembered);
        let put = remembered.get(key, now);
        if let Some(member) = candidates.iter().find(|member| Some(member.name) == put) {
            return Some(member);
        }
        let ranked = candidates.iter().map(|member| (rank(key, member.name, member.origin.weight), *member));
        let (_, best) = ranked.max_by(|one, other| one.0.total_cmp(&other.0))?;
        remembered.set(key, best.name, now);
        Some(best)
    }
}

fn of_finder(finder: &Arc<dyn Finder>) -> Resolver {
    let finder = Arc::clone(finder);
    Arc::new(move || {
        let found = finder.find();
        Box::pin(async move { Ok(found.await?.into_iter().map(Peer::Tcp).collect()) })
    })
}

/// The one that is owed most, so that calls are spread by weight and evenly in time. Called with the list locked.
fn in_turn<'m>(candidates: &[&'m Arc<Member>]) -> Option<&'m Arc<Member>> {
    let mut total = 0;
    for member in candidates {
        let weight = i64::from(member.origin.weight);
        member.credit.fetch_add(weight, Ordering::Relaxed);
        total += weight;
    }
    let owed = |member: &&&Arc<Member>| member.credit.load(Ordering::Relaxed);
    // The first of equals, so that they take turns in their order.
    let best = candidates.iter().rev().max_by_key(owed).copied()?;
    best.credit.fetch_sub(total, Ordering::Relaxed);
    Some(best)
}
