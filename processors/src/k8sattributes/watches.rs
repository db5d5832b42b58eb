//! What is watched for a configuration, once for all processors that have the same.

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use sluice_pipeline::{
    component::{BuildError, ComponentContext, Kind as ComponentKind},
    kubernetes::{
        Access, DaemonSet, Deployment, Informer, Job, Keep, Namespace, Node, Observer, Pod, ReplicaSet,
        Resource, Selection, StatefulSet, shared,
    },
};
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{
    association::Associations,
    catalogue::Catalogue,
    config::{AuthType, Field, FieldFilterConfig, FilterConfig, K8sAttributesConfig, Operation, Whose},
    related::CLUSTER,
    rules::Rules,
};

/// How often what is gone is looked through, at most.
const SWEEP: Duration = Duration::from_secs(30);

/// A catalogue that is kept current while this lives.
pub(super) struct Watches {
    pub(super) catalogue: Arc<Catalogue>,
    informers: Vec<Arc<dyn Lists>>,
    upkeep: JoinHandle<()>,
}

/// An informer, whatever it watches.
trait Lists: Send + Sync {
    /// Waits until there was a list.
    fn listed(&self, limit: Duration) -> BoxFuture<'_, Result<(), String>>;
}

impl<R: Resource> Lists for Informer<R> {
    fn listed(&self, limit: Duration) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(self.listed(limit))
    }
}

/// What this process watches.
static RUNNING: Mutex<Vec<(K8sAttributesConfig, Weak<Watches>)>> = Mutex::new(Vec::new());

impl Watches {
    /// Those of this configuration: a processor is built for each pipeline that lists it.
    pub(super) fn shared(
        config: &K8sAttributesConfig,
        context: &ComponentContext,
    ) -> Result<Arc<Self>, BuildError> {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|(_, watches)| watches.strong_count() > 0);
        let same = running.iter().filter(|(known, _)| known == config);
        if let Some(watches) = same.filter_map(|(_, watches)| watches.upgrade()).next() {
            return Ok(watches);
        }
        let watches = Arc::new(Self::start(config, context)?);
        running.push((config.clone(), Arc::downgrade(&watches)));
        Ok(watches)
    }

    fn start(config: &K8sAttributesConfig, context: &ComponentContext) -> Result<Self, BuildError> {
        let rules = Rules::new(&config.extract, &config.exclude);
        let associations = Associations::new(&config.pod_association);
        let grace = *config.pod_delete_grace_period;
        let catalogue = Arc::new(Catalogue::new(rules, associations, grace));
        let mut starting =
            Starting { access: access(config)?, context, catalogue: &catalogue, started: Vec::new() };
        starting.all(&config.filter)?;
        let informers = starting.started;
        let resync = config.watch_sync_period.limit();
        let upkeep = upkeep(Arc::downgrade(&catalogue), grace, resync);
        let upkeep =
            context.status.supervise(ComponentKind::Processor, &context.id, "forgetting pods", upkeep);
        Ok(Self { catalogue, informers, upkeep })
    }

    /// Waits until everything has been listed.
    pub(super) async fn listed(&self, limit: Duration) -> Result<(), String> {
        let deadline = Instant::now() + limit;
        for informer in &self.informers {
            let left = deadline.saturating_duration_since(Instant::now());
            // A list that is there already is found whatever the time.
            timeout(left + Duration::from_secs(1), informer.listed(left))
                .await
                .unwrap_or_else(|_| Err("Kubernetes has not answered yet".to_owned()))?;
        }
        Ok(())
    }
}

impl Drop for Watches {
    fn drop(&mut self) {
        self.upkeep.abort();
    }
}

struct Starting<'a> {
    access: Access,
    context: &'a ComponentContext,
    catalogue: &'a Arc<Catalogue>,
    started: Vec<Arc<dyn Lists>>,
}

impl Starting<'_> {
    /// What pods belong to comes first, so that most pods are known completely as soon as they are known.
    fn all(&mut self, filter: &FilterConfig) -> Result<(), BuildError> {
        let rules = &self.catalogue.rules;
        let node = node(filter)?;
        let mut namespaces: Vec<String> = filter.namespace.clone();
        if namespaces.is_empty() {
            namespaces.push(String::new());
        }
        self.namespaces(&namespaces)?;
        if rules.reads(Whose::Node) || rules.has(Field::NodeUid) {
            self.watch::<Node>(&named(&node), &rules.keep(Whose::Node))?;
        }
        for namespace in &namespaces {
            let of_namespace = Selection { namespace: namespace.clone(), ..Selection::default() };
            if rules.needs_replica_sets() {
                self.watch::<ReplicaSet>(&of_namespace, &Keep::default())?;
            }
            if rules.reads(Whose::Deployment) {
                self.watch::<Deployment>(&of_namespace, &rules.keep(Whose::Deployment))?;
            }
            if rules.reads(Whose::StatefulSet) {
                self.watch::<StatefulSet>(&of_namespace, &rules.keep(Whose::StatefulSet))?;
            }
            if rules.reads(Whose::DaemonSet) {
                self.watch::<DaemonSet>(&of_namespace, &rules.keep(Whose::DaemonSet))?;
            }
            if rules.reads(Whose::Job) || rules.has(Field::CronJobUid) {
                self.watch::<Job>(&of_namespace, &rules.keep(Whose::Job))?;
            }
            let mut keep = rules.keep(Whose::Pod);
            keep.containers |= self.catalogue.associations.uses(&super::association::Property::ContainerId);
            let pods = Selection {
                label_selector: label_selector(&filter.labels),
                field_selector: field_selector(&filter.fields, &node),
                ..of_namespace
            };
            self.watch::<Pod>(&pods, &keep)?;
        }
        Ok(())
    }

    fn namespaces(&mut self, of_pods: &[String]) -> Result<(), BuildError> {
        let rules = &self.catalogue.rules;
        let keep = rules.keep(Whose::Namespace);
        let mut wanted: Vec<&str> = Vec::new();
        if rules.reads(Whose::Namespace) {
            wanted.extend(of_pods.iter().map(String::as_str));
        }
        let has_cluster = wanted.iter().any(|name| name.is_empty() || *name == CLUSTER);
        if rules.has(Field::ClusterUid) && !has_cluster {
            wanted.push(CLUSTER);
        }
        wanted.into_iter().try_for_each(|name| self.watch::<Namespace>(&named(name), &keep))
    }

    fn watch<R: Resource>(&mut self, selection: &Selection, keep: &Keep) -> Result<(), BuildError>
    where
        Catalogue: Observer<R>,
    {
        let informer = shared::<R>(&self.access, selection, keep, ComponentKind::Processor, self.context)?;
        let observer: Arc<dyn Observer<R>> = Arc::clone(self.catalogue) as _;
        informer.observe(&observer);
        self.started.push(informer);
        Ok(())
    }
}

fn access(config: &K8sAttributesConfig) -> Result<Access, BuildError> {
    match config.auth_type {
        AuthType::KubeConfig => Access::kubeconfig(&config.kube_config_path, &config.context, "auth_type"),
        AuthType::None => Access::without_credentials("auth_type", "use kubeConfig"),
        AuthType::ServiceAccount | AuthType::Tls => Access::in_cluster("auth_type", "use kubeConfig"),
    }
}

/// The node whose pods are known; empty means all.
fn node(filter: &FilterConfig) -> Result<String, BuildError> {
    if filter.node_from_env_var.is_empty() {
        return Ok(filter.node.clone());
    }
    let value = std::env::var(&filter.node_from_env_var).ok().filter(|value| !value.is_empty());
    value.ok_or_else(|| {
        let message = format!(
            "{} is not set in the environment; give it spec.nodeName by the downward API (fieldRef)",
            filter.node_from_env_var
        );
        BuildError::setting("filter.node_from_env_var", message)
    })
}

/// Objects of this name; empty means all.
fn named(name: &str) -> Selection {
    let field_selector =
        if name.is_empty() { String::new() } else { format!("metadata.name={}", escaped(name)) };
    Selection { field_selector, ..Selection::default() }
}

fn label_selector(filters: &[FieldFilterConfig]) -> String {
    let terms = filters.iter().map(|FieldFilterConfig { key, value, op }| match op {
        Operation::Equals => format!("{key}={value}"),
        Operation::NotEquals => format!("{key}!={value}"),
        Operation::Exists => key.clone(),
        Operation::DoesNotExist => format!("!{key}"),
    });
    terms.collect::<Vec<_>>().join(",")
}

fn field_selector(filters: &[FieldFilterConfig], node: &str) -> String {
    let terms = filters.iter().map(|FieldFilterConfig { key, value, op }| {
        let op = if *op == Operation::NotEquals { "!=" } else { "=" };
        format!("{key}{op}{}", escaped(value))
    });
    let node = (!node.is_empty()).then(|| format!("spec.nodeName={}", escaped(node)));
    terms.chain(node).collect::<Vec<_>>().join(",")
}

/// A value in a field selector.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace(',', "\\,").replace('=', "\\=")
}

/// Forgets pods that have been gone long enough, and goes through all of them from time to time.
async fn upkeep(catalogue: Weak<Catalogue>, grace: Duration, resync: Option<Duration>) {
    let pause = (grace / 4).clamp(Duration::from_millis(100), SWEEP);
    let mut resynced = Instant::now();
    loop {
        sleep(resync.map_or(pause, |resync| resync.max(Duration::from_secs(1)).min(pause))).await;
        let Some(catalogue) = catalogue.upgrade() else { return };
        catalogue.sweep(Instant::now());
        if resync.is_some_and(|resync| resynced.elapsed() >= resync) {
            catalogue.resync();
            resynced = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_become_selectors() {
        let filter =
            |key: &str, value: &str, op| FieldFilterConfig { key: key.into(), value: value.into(), op };
        let labels = [
            filter("app", "a", Operation::Equals),
            filter("tier", "b", Operation::NotEquals),
            filter("team", "", Operation::Exists),
            filter("test", "", Operation::DoesNotExist),
        ];
        assert_eq!(label_selector(&labels), "app=a,tier!=b,team,!test");
        let fields = [
            filter("status.phase", "Running", Operation::NotEquals),
            filter("x", "a,b=c", Operation::Equals),
        ];
        assert_eq!(field_selector(&fields, "n"), "status.phase!=Running,x=a\\,b\\=c,spec.nodeName=n");
        assert_eq!(named("kube-system").field_selector, "metadata.name=kube-system");
        assert_eq!(named(""), Selection::default());
    }

    #[test]
    fn the_node_comes_from_the_environment() {
        let by = |variable: &str| {
            node(&FilterConfig { node_from_env_var: variable.to_owned(), ..FilterConfig::default() })
        };
        assert_eq!(by("PATH").unwrap(), std::env::var("PATH").unwrap());
        let error = by("SLUICE_NO_SUCH_VARIABLE").unwrap_err().to_string();
        assert!(error.contains("SLUICE_NO_SUCH_VARIABLE is not set"), "{error}");
    }
}
