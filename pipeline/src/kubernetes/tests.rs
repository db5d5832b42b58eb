//! An informer against an API server that is good, and against one that is not.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use proptest::prelude::*;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    api::{Event, Lines, event},
    informer::Timing,
    testing::{ApiServer, Behaviour},
    *,
};
use crate::{
    budget::Budget,
    component::{ComponentContext, Kind},
    tls::ClientTlsConfig,
};

const PATIENCE: Duration = Duration::from_secs(20);

struct Cluster {
    server: ApiServer,
    directory: TempDir,
    authority: String,
}

impl Cluster {
    async fn start() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &issuer);
        let certificate = certificate.unwrap().pem();
        let server = ApiServer::start(&certificate, &key.serialize_pem()).await.unwrap();
        let cluster = Self { server, directory: tempfile::tempdir().unwrap(), authority: issuer.pem() };
        fs::write(cluster.token(), "first\n").unwrap();
        cluster
    }

    fn token(&self) -> PathBuf {
        self.directory.path().join("token")
    }

    fn access(&self) -> Access {
        Access::of(&ApiConfig {
            api_server: format!("https://localhost:{}", self.server.address.port()),
            token_file: self.token().display().to_string(),
            tls: ClientTlsConfig { ca_pem: Some(self.authority.clone()), ..ClientTlsConfig::default() },
        })
        .unwrap()
    }

    fn informer(&self) -> Informer<Pod> {
        let timing = Timing {
            watch: Duration::from_secs(60),
            silence: Duration::from_millis(700),
            pause: Duration::from_millis(10),
            longest_pause: Duration::from_millis(50),
        };
        Informer::start(&self.access(), &selection(), &Keep::default(), timing, Kind::Extension, &context())
            .unwrap()
    }

    async fn until_watched(&self) {
        until("somebody watches", || self.server.is_watched()).await;
    }
}

fn selection() -> Selection {
    Selection {
        namespace: "default".to_owned(),
        label_selector: "app=oap".to_owned(),
        field_selector: String::new(),
    }
}

fn context() -> ComponentContext {
    ComponentContext::detached("oap", Budget::new(1 << 30))
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let begin = tokio::time::Instant::now();
    while !condition() {
        assert!(begin.elapsed() < PATIENCE, "it did not come about that {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn pod(address: &str) -> Value {
    json!({
        "metadata": {"labels": {"app": "oap"}},
        "status": {"phase": "Running", "podIP": address, "conditions": [{"type": "Ready", "status": "True"}]},
    })
}

fn page_that_leads_to_itself(items: &str) -> String {
    format!(r#"{{"metadata":{{"resourceVersion":"1","continue":"more"}},"items":[{items}]}}"#)
}

fn addresses(informer: &Informer<Pod>) -> Vec<String> {
    let serving = informer.objects().into_iter().filter_map(|pod| pod.serves_at());
    let mut addresses: Vec<String> = serving.map(|address| address.to_string()).collect();
    addresses.sort();
    addresses
}

#[tokio::test]
async fn pods_are_listed_in_pages_and_then_watched() {
    let cluster = Cluster::start().await;
    for number in 0..600 {
        cluster
            .server
            .set(&format!("oap-{number:03}"), pod(&format!("10.0.{}.{}", number / 250, number % 250)));
    }
    let mut other = pod("10.9.9.9");
    other["metadata"]["labels"]["app"] = "other".into();
    cluster.server.set("other", other);
    let informer = cluster.informer();
    informer.listed(PATIENCE).await.unwrap();
    assert_eq!(informer.objects().len(), 600, "selected by label, in three pages");
    assert_eq!(informer.get("default", "oap-007").unwrap().metadata.name, "oap-007");

    cluster.until_watched().await;
    let asked = cluster.server.asked();
    assert_eq!(asked[0].path, "/api/v1/namespaces/default/pods?limit=250&labelSelector=app%3Doap");
    assert_eq!(
        asked[1].path,
        "/api/v1/namespaces/default/pods?limit=250&continue=250&labelSelector=app%3Doap"
    );
    assert!(
        asked[3].path.contains("watch=true&allowWatchBookmarks=true&timeoutSeconds=60&resourceVersion=602")
    );
    assert!(asked.iter().all(|asked| asked.authorization == "Bearer first"));

    let changes = informer.changes();
    cluster.server.remove("oap-000");
    cluster.server.set("new", pod("10.8.8.8"));
    until("the new pod is there", || addresses(&informer).contains(&"10.8.8.8".to_owned())).await;
    assert!(informer.get("default", "oap-000").is_none());
    assert!(changes.has_changed().unwrap(), "those who wait are told");
}

#[tokio::test]
async fn a_token_that_was_replaced_is_read_again() {
    let cluster = Cluster::start().await;
    let informer = cluster.informer();
    informer.listed(PATIENCE).await.unwrap();
    fs::write(cluster.token(), "second").unwrap();
    let second = || cluster.server.asked().iter().any(|asked| asked.authorization == "Bearer second");
    // A token is good for a second, and asked for with the next watch.
    let begin = tokio::time::Instant::now();
    while !second() {
        assert!(begin.elapsed() < PATIENCE, "{:?}", cluster.server.asked());
        cluster.server.end_watches();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn forgotten_versions_are_listed_again() {
    let cluster = Cluster::start().await;
    cluster.server.set("a", pod("10.0.0.1"));
    let informer = cluster.informer();
    informer.listed(PATIENCE).await.unwrap();
    for gone in ["in the watch", "at its begin"] {
        cluster.until_watched().await;
        cluster.server.forget("a");
        cluster.server.set("b", pod("10.0.0.2"));
        if gone == "in the watch" {
            cluster
                .server
                .say(r#"{"type":"ERROR","object":{"kind":"Status","code":410,"message":"too old"}}"#);
        } else {
            cluster.server.behave(Behaviour::Refuses(410));
            cluster.server.end_watches();
            until("it is told", || informer.trouble().is_some()).await;
            cluster.server.behave(Behaviour::Good);
        }
        until("the list is new", || addresses(&informer) == ["10.0.0.2"]).await;
        cluster.server.remove("b");
        cluster.server.set("a", pod("10.0.0.1"));
        until("it goes on", || addresses(&informer) == ["10.0.0.1"]).await;
    }
}

/// Whatever the server does: what is known stays, why is told, and it goes on once the server is well.
#[tokio::test]
async fn a_bad_server_costs_nothing_but_news() {
    let cluster = Cluster::start().await;
    cluster.server.set("a", pod("10.0.0.1"));
    let informer = cluster.informer();
    informer.listed(PATIENCE).await.unwrap();
    let line = |text: &str| format!("{{\"type\":\"ADDED\",\"object\":{text}}}");
    for (behaviour, said, expected) in [
        (Behaviour::Refuses(403), String::new(), "needs a role with the verbs list and watch on pods"),
        (Behaviour::Refuses(401), String::new(), "is the token of this cluster"),
        (Behaviour::Refuses(500), String::new(), "answered 500 about pods in namespace default: not now"),
        (Behaviour::Says("<html>".to_owned()), String::new(), "is not what Kubernetes answers"),
        (Behaviour::Says("{}".to_owned()), String::new(), "the list has no version"),
        (Behaviour::Says(page_that_leads_to_itself("")), String::new(), "repeats what was before it"),
        (
            Behaviour::Says(page_that_leads_to_itself(r#"{"metadata":{"name":"z"}}"#)),
            String::new(),
            "repeats what was",
        ),
        (Behaviour::IsSilent, String::new(), "did not answer in time"),
        (Behaviour::Good, "this is no event".to_owned(), "is not what Kubernetes answers"),
        (Behaviour::Good, line("[1]"), "is not what Kubernetes answers"),
        (Behaviour::Good, line(&"[".repeat(10_000)), "is not what Kubernetes answers"),
        (Behaviour::Good, "x".repeat(5 << 20), "larger than 4194304 bytes"),
    ] {
        cluster.until_watched().await;
        cluster.server.behave(behaviour.clone());
        if said.is_empty() {
            cluster.server.end_watches();
        } else {
            cluster.server.say(&said);
        }
        let told = || informer.trouble().is_some_and(|trouble| trouble.contains(expected));
        until(&format!("{expected:?} is told, not {:?}", informer.trouble()), told).await;
        assert_eq!(addresses(&informer), ["10.0.0.1"], "{behaviour:?}");
        cluster.server.behave(Behaviour::Good);
        let name = format!("after-{}", cluster.server.asked().len());
        cluster.server.set(&name, pod("10.0.0.2"));
        until("news arrive", || addresses(&informer) == ["10.0.0.1", "10.0.0.2"]).await;
        until("all is well", || informer.trouble().is_none()).await;
        cluster.until_watched().await;
        cluster.server.remove(&name);
        until("news arrive", || addresses(&informer) == ["10.0.0.1"]).await;
    }
}

#[derive(Default)]
struct Heard(std::sync::Mutex<Vec<String>>);

impl Observer<Pod> for Heard {
    fn set(&self, pod: &Arc<Pod>) {
        self.0.lock().unwrap().push(format!("set {} {}", pod.metadata.name, pod.status.pod_ip));
    }

    fn removed(&self, pod: &Arc<Pod>) {
        self.0.lock().unwrap().push(format!("removed {} {}", pod.metadata.name, pod.status.pod_ip));
    }
}

#[tokio::test]
async fn observers_hear_what_is_new_and_nothing_twice() {
    let cluster = Cluster::start().await;
    cluster.server.set("a", pod("10.0.0.1"));
    cluster.server.set("b", pod("10.0.0.2"));
    let informer = cluster.informer();
    informer.listed(PATIENCE).await.unwrap();
    let heard = Arc::new(Heard::default());
    let observer: Arc<dyn Observer<Pod>> = Arc::clone(&heard) as _;
    informer.observe(&observer);
    let news = || {
        let mut news = std::mem::take(&mut *heard.0.lock().unwrap());
        news.sort();
        news
    };
    assert_eq!(news(), ["set a 10.0.0.1", "set b 10.0.0.2"]);
    cluster.until_watched().await;
    cluster.server.set("a", pod("10.0.0.3"));
    until("it is heard", || addresses(&informer) == ["10.0.0.2", "10.0.0.3"]).await;
    assert_eq!(news(), ["set a 10.0.0.3"]);

    // While nobody watches one goes and one comes; one stays as it was.
    cluster.server.behave(Behaviour::Refuses(410));
    cluster.server.end_watches();
    until("it is told", || informer.trouble().is_some()).await;
    cluster.server.forget("b");
    cluster.server.set("c", pod("10.0.0.4"));
    cluster.server.behave(Behaviour::Good);
    until("the list is new", || addresses(&informer) == ["10.0.0.3", "10.0.0.4"]).await;
    assert_eq!(news(), ["removed b 10.0.0.2", "set c 10.0.0.4"]);
}

#[tokio::test]
async fn a_silent_watch_is_begun_again_where_it_was() {
    let cluster = Cluster::start().await;
    let informer = cluster.informer();
    informer.listed(PATIENCE).await.unwrap();
    cluster.until_watched().await;
    cluster.server.say(r#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"777"}}}"#);
    let again = || cluster.server.asked().iter().any(|asked| asked.path.contains("resourceVersion=777"));
    until("it is watched from the bookmark", again).await;
    let lists = cluster.server.asked().iter().filter(|asked| !asked.path.contains("watch=")).count();
    assert_eq!(lists, 1);
}

#[tokio::test]
async fn components_that_want_the_same_share_it() {
    let cluster = Cluster::start().await;
    let (access, context) = (cluster.access(), context());
    let share = |selection: &Selection, keep: &Keep| {
        shared::<Pod>(&access, selection, keep, Kind::Extension, &context).unwrap()
    };
    let least = Keep::default();
    let (one, other) = (share(&selection(), &least), share(&selection(), &least));
    assert!(Arc::ptr_eq(&one, &other));
    assert!(!Arc::ptr_eq(&one, &share(&Selection::default(), &least)));
    assert!(!Arc::ptr_eq(&one, &share(&selection(), &Keep { containers: true, ..Keep::default() })));
    one.listed(PATIENCE).await.unwrap();
    let before = Arc::downgrade(&one);
    drop((one, other));
    assert!(before.upgrade().is_none(), "it ends with the last who wants it");
}

#[test]
fn in_no_pod_the_server_must_be_named() {
    let refused = Access::of(&ApiConfig::default()).unwrap_err().to_string();
    assert!(refused.contains("name the API server"), "{refused}");
    for api_server in ["http://10.0.0.1:8080", "HTTP://10.0.0.1:8080"] {
        let plain = ApiConfig {
            api_server: api_server.to_owned(),
            token_file: "/token".to_owned(),
            ..ApiConfig::default()
        };
        let problems = plain.problems("kubernetes");
        assert!(problems.iter().any(|problem| problem.message.contains("not encrypted")), "{problems:?}");
    }
}

proptest! {
    /// However the bytes arrive, the same lines come out, and none is held longer than to its end.
    #[test]
    fn lines_do_not_depend_on_how_they_arrive(bytes in prop::collection::vec(0_u8..16, 0..200), cut in 1_usize..20) {
        let bytes: Vec<u8> = bytes.into_iter().map(|byte| if byte == 0 { b'\n' } else { b'a' + byte }).collect();
        let mut lines = Lines::default();
        let mut found = Vec::new();
        for piece in bytes.chunks(cut) {
            lines.push(piece);
            while let Some(line) = lines.next() {
                found.push(line);
            }
        }
        let complete = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let expected: Vec<Vec<u8>> = bytes[..complete]
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(<[u8]>::to_vec)
            .collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn no_line_breaks_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..300), kind in "[A-Z]{1,8}") {
        let _ = event::<Pod>(&bytes);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let line = json!({"type": kind, "object": {"metadata": {"name": text}}}).to_string();
        if let Ok(Event::Set(pod)) = event::<Pod>(line.as_bytes()) {
            prop_assert_eq!(pod.metadata.name, text);
        }
    }
}
