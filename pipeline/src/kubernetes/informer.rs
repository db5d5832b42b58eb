//! Keeps the objects of a selection current.

use std::{
    any::{Any, TypeId},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tracing::{debug, info, warn};

use super::{
    access::Access,
    api::{Api, Event, PAGE},
    error::KubernetesError,
    objects::{Listed, MOST, Objects, Observer},
    resources::{Keep, Resource},
};
use crate::{
    component::{BuildError, ComponentContext, Kind},
    telemetry::names,
};

/// How many pages a list has at most: twice as many as full ones, since what is selected may be spread thinly.
const MOST_PAGES: usize = 2 * MOST / PAGE;
/// The reason of failures that nothing mends but a role.
const FORBIDDEN: &str = "forbidden";
/// How often the log says the same of a server.
const TELL_EVERY: Duration = Duration::from_secs(300);

/// Which objects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Selection {
    /// The namespace; empty means all.
    pub namespace: String,
    /// Such as `app=oap`; empty means all.
    pub label_selector: String,
    /// Such as `spec.nodeName=a`; empty means all.
    pub field_selector: String,
}

/// The objects of a selection, kept current until it is dropped.
pub struct Informer<R> {
    state: Arc<State<R>>,
    task: JoinHandle<()>,
}

struct State<R> {
    objects: Objects<R>,
    trouble: Mutex<Option<Trouble>>,
}

/// Why the objects are not current.
struct Trouble {
    message: String,
    was_told: bool,
}

/// How long things take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    /// How long the server is asked to keep a watch.
    pub(super) watch: Duration,
    /// After what silence a watch is given up.
    pub(super) silence: Duration,
    /// The pause after a first failure, and the least between two watches.
    pub(super) pause: Duration,
    /// The longest pause.
    pub(super) longest_pause: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            watch: Duration::from_secs(300),
            silence: Duration::from_secs(330),
            pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(30),
        }
    }
}

/// What runs in this process.
static RUNNING: Mutex<Vec<Running>> = Mutex::new(Vec::new());

struct Running {
    resource: TypeId,
    access: Access,
    selection: Selection,
    keep: Keep,
    informer: Weak<dyn Any + Send + Sync>,
}

/// The informer of this selection: one for all components of the process that want the same.
///
/// # Errors
/// What is wrong with the configuration, such as a token that cannot be read.
pub fn shared<R: Resource>(
    access: &Access,
    selection: &Selection,
    keep: &Keep,
    kind: Kind,
    context: &ComponentContext,
) -> Result<Arc<Informer<R>>, BuildError> {
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    running.retain(|it| it.informer.strong_count() > 0);
    let same = running.iter().filter(|it| it.resource == TypeId::of::<R>());
    let mut same = same.filter(|it| it.access == *access && it.selection == *selection && it.keep == *keep);
    if let Some(informer) = same.find_map(|it| it.informer.upgrade()?.downcast().ok()) {
        return Ok(informer);
    }
    let timing = Timing::default();
    let informer = Arc::new(Informer::<R>::start(access, selection, keep, timing, kind, context)?);
    let any: Arc<dyn Any + Send + Sync> = Arc::clone(&informer) as _;
    running.push(Running {
        resource: TypeId::of::<R>(),
        access: access.clone(),
        selection: selection.clone(),
        keep: keep.clone(),
        informer: Arc::downgrade(&any),
    });
    Ok(informer)
}

impl Selection {
    /// For messages.
    pub(super) fn what(&self, plural: &str) -> String {
        match self.namespace.is_empty() {
            // Those are in none.
            true if matches!(plural, "namespaces" | "nodes") => plural.to_owned(),
            true => format!("{plural} of all namespaces"),
            false => format!("{plural} in namespace {}", self.namespace),
        }
    }

    /// Path and query of a list or a watch. Parameters without a value are left out.
    pub(super) fn path(&self, api: &str, plural: &str, parameters: &[(&str, &str)]) -> String {
        let namespace = match self.namespace.is_empty() {
            true => String::new(),
            false => format!("/namespaces/{}", encoded(&self.namespace)),
        };
        let mut path = format!("/{api}{namespace}/{plural}");
        let selectors = [
            ("labelSelector", self.label_selector.as_str()),
            ("fieldSelector", self.field_selector.as_str()),
        ];
        let all = parameters.iter().chain(&selectors).filter(|(_, value)| !value.is_empty());
        for (place, (name, value)) in all.enumerate() {
            path.push(if place == 0 { '?' } else { '&' });
            path.push_str(name);
            path.push('=');
            path.push_str(&encoded(value));
        }
        path
    }
}

impl<R: Resource> Informer<R> {
    /// Begins to list and watch.
    pub(super) fn start(
        access: &Access,
        selection: &Selection,
        keep: &Keep,
        timing: Timing,
        kind: Kind,
        context: &ComponentContext,
    ) -> Result<Self, BuildError> {
        let api = Api::new(access, context)?;
        let state = Arc::new(State { objects: Objects::new(keep.clone()), trouble: Mutex::default() });
        let follow = follow(Arc::clone(&state), api, selection.clone(), timing);
        let task = context.status.supervise(kind, &context.id, "watching Kubernetes", follow);
        Ok(Self { state, task })
    }

    /// The objects that there are, in no order.
    #[must_use]
    pub fn objects(&self) -> Vec<Arc<R>> {
        self.state.objects.all()
    }

    /// The object of this name.
    #[must_use]
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<R>> {
        self.state.objects.get(namespace, name)
    }

    /// Tells the observer what there is and, as long as it is there, what happens from now on.
    pub fn observe(&self, observer: &Arc<dyn Observer<R>>) {
        self.state.objects.observe(observer);
    }

    /// Counts how often the objects have changed; 0 until they have been listed.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.state.objects.changes()
    }

    /// Waits until the objects have been listed, at most this long.
    ///
    /// # Errors
    /// Why they have not.
    pub async fn listed(&self, limit: Duration) -> Result<(), String> {
        let mut changes = self.changes();
        let listed = timeout(limit, changes.wait_for(|changes| *changes > 0)).await;
        match listed {
            Ok(Ok(_)) => Ok(()),
            _ => Err(self.trouble().unwrap_or_else(|| "Kubernetes has not answered yet".to_owned())),
        }
    }

    /// Why the objects are not current, while they are not.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.state.trouble().as_ref().map(|trouble| trouble.message.clone())
    }
}

impl<R> Drop for Informer<R> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<R: Resource> State<R> {
    fn trouble(&self) -> std::sync::MutexGuard<'_, Option<Trouble>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The objects are current again.
    fn recover(&self, selection: &Selection) {
        if self.trouble().take().is_some_and(|trouble| trouble.was_told) {
            info!(what = selection.what(R::PLURAL), "Kubernetes answers again");
        }
    }

    /// Puts a complete list in place of what there was; the version of it.
    async fn list(&self, api: &Api, selection: &Selection) -> Result<String, KubernetesError> {
        let mut found = Listed::default();
        let mut continues = String::new();
        for _ in 0..MOST_PAGES {
            let page = api.list::<R>(selection, &continues).await?;
            let (known, is_empty) = (found.len(), page.items.is_empty());
            page.items.into_iter().try_for_each(|object| self.objects.list(&mut found, object, selection))?;
            if page.metadata.continues.is_empty() {
                self.objects.replace(found);
                return Ok(page.metadata.resource_version);
            }
            // A page may be empty and not the last (ListOptions.limit), but each leads on.
            if (found.len() == known && !is_empty) || page.metadata.continues == continues {
                let what = selection.what(R::PLURAL);
                return Err(api.malformed(&what, &"a page of the list repeats what was before it"));
            }
            continues = page.metadata.continues;
        }
        let reason = format!("the list has not ended after {MOST_PAGES} pages");
        Err(api.malformed(&selection.what(R::PLURAL), &reason))
    }

    /// Follows what happens from this version on until the server ends the watch, and moves the version with it.
    async fn watch(
        &self,
        api: &Api,
        selection: &Selection,
        version: &mut String,
        timing: Timing,
    ) -> Result<(), KubernetesError> {
        let mut watch = api.watch::<R>(selection, version, timing).await?;
        self.recover(selection);
        while let Some(event) = watch.next().await? {
            let reached = match event {
                Event::Set(object) => {
                    let reached = object.metadata().resource_version.clone();
                    self.objects.set(object, selection)?;
                    reached
                }
                Event::Removed(object) => {
                    let reached = object.metadata().resource_version.clone();
                    self.objects.remove(&object);
                    reached
                }
                Event::Bookmark(reached) => reached,
            };
            if !reached.is_empty() {
                *version = reached;
            }
        }
        Ok(())
    }
}

/// Lists and watches, for ever. After a failure it pauses, longer each time; until a list succeeds again the objects stay.
async fn follow<R: Resource>(state: Arc<State<R>>, api: Api, selection: Selection, timing: Timing) {
    let mut version = None;
    let mut pause = timing.pause;
    let mut failed: Option<Instant> = None;
    let mut told: Option<(&str, Instant)> = None;
    loop {
        let begun = Instant::now();
        let was_listed = version.is_some();
        let outcome = match &mut version {
            Some(version) => state.watch(&api, &selection, version, timing).await,
            unknown => state.list(&api, &selection).await.map(|listed| *unknown = Some(listed)),
        };
        let Err(error) = outcome else {
            if was_listed && told.is_some_and(|(known, _)| known == FORBIDDEN) {
                told = None;
            }
            // A server that ends each watch at once is not asked without a pause.
            if was_listed {
                sleep(timing.pause.saturating_sub(begun.elapsed())).await;
            }
            continue;
        };
        let reason = error.reason();
        metrics::counter!(
            names::KUBERNETES_FAILURES, "resource" => R::PLURAL, "reason" => reason
        )
        .increment(1);
        // That versions are forgotten is usual, a missing permission told once, everything else once in a while.
        let is_recent = |at: Instant| reason == FORBIDDEN || at.elapsed() < TELL_EVERY;
        let is_known = told.is_some_and(|(known, at)| known == reason && is_recent(at));
        let tells = reason != "gone" && !is_known;
        if tells {
            told = Some((reason, Instant::now()));
            warn!(%error, "What is known of Kubernetes is not current; trying on");
        } else {
            debug!(%error, "Kubernetes does not answer");
        }
        let was_told = state.trouble().take().is_some_and(|trouble| trouble.was_told);
        *state.trouble() = Some(Trouble { message: error.to_string(), was_told: was_told || tells });
        // A lost or silent connection goes on where it was; everything else begins anew.
        if !matches!(error, KubernetesError::Unreachable(_) | KubernetesError::Stalled { .. }) {
            version = None;
        }
        let is_repeated = failed.is_some_and(|at| at.elapsed() < timing.longest_pause * 2);
        pause = if is_repeated { (pause * 2).min(timing.longest_pause) } else { timing.pause };
        failed = Some(Instant::now());
        // So that not all processes come back at once.
        sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
    }
}

/// A value in a query or a path (RFC 3986).
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte))
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
