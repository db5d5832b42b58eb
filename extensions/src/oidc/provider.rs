//! An issuer and its keys: from a file, or found by OpenID Connect Discovery and kept.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
use serde::Deserialize;
use sluice_pipeline::{
    component::{AuthRefusal, BuildError, ComponentContext},
    from_files::{Files, FromFiles},
    http::client::{Fetch, HttpClient},
};
use tokio::sync::Mutex;
use tracing::warn;

use super::{ProviderConfig, jwt::Token, keys::Keys};
use crate::authenticator::{LOOK, read};

/// How long keys are used before they are asked for again, so that those that the issuer took back are forgotten.
const KEYS_LIFE: Duration = Duration::from_secs(3600);
/// How soon they are asked for again because of a key that is not among them, or after a failure: tokens with made-up
/// keys are not to be many requests.
const PAUSE: Duration = Duration::from_secs(10);
/// How long the issuer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most that is read of an answer, in bytes.
const ANSWER_LIMIT: usize = 1 << 20;

const CHALLENGE: &str = "Bearer error=\"invalid_token\"";

/// An issuer of tokens.
pub(super) struct Provider {
    pub(super) config: ProviderConfig,
    source: Source,
}

enum Source {
    File(Arc<FromFiles<Keys>>),
    Discovery(Box<Discovery>),
}

struct Discovery {
    client: HttpClient,
    issuer: String,
    known: ArcSwapOption<Known>,
    /// Held while keys are asked for: when that was last, and what came of it if it failed.
    asked: Mutex<Option<(Instant, Option<String>)>>,
}

struct Known {
    keys: Keys,
    since: Instant,
}

/// The metadata of an issuer, as far as it matters here.
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

impl Provider {
    pub(super) fn new(config: ProviderConfig, context: &ComponentContext) -> Result<Self, BuildError> {
        let source = if config.public_keys_file.is_empty() {
            Source::Discovery(Box::new(Discovery {
                client: HttpClient::new(&config.http_client(), context)?,
                issuer: config.issuer_url.clone(),
                known: ArcSwapOption::empty(),
                asked: Mutex::new(None),
            }))
        } else {
            let path = config.public_keys_file.clone();
            let what = format!("the keys of {}", config.issuer_url);
            let files = Files { what, paths: vec![path.clone().into()], every: LOOK };
            Source::File(FromFiles::watched(files, move || {
                Keys::parse(read("public_keys_file", &path)?.as_bytes())
            })?)
        };
        Ok(Self { config, source })
    }

    /// What batches are to know of the client that sent this token of this issuer.
    pub(super) async fn check(&self, token: &Token<'_>) -> Result<Vec<(String, String)>, AuthRefusal> {
        let refused = |message| AuthRefusal::Wrong { message, challenge: CHALLENGE };
        // Before the signature: what has expired is not worth a question for keys.
        if let Some(problem) = token.problem(&self.config, SystemTime::now()) {
            return Err(refused(problem));
        }
        let key = token.key_id.as_deref();
        let verify = |keys: &Keys| keys.verify(&token.algorithm, key, token.message, &token.signature);
        let is_sound = match &self.source {
            Source::File(keys) => verify(&*keys.current().await),
            Source::Discovery(discovery) => {
                let known = discovery.keys(|keys| keys.has(&token.algorithm, key)).await;
                verify(&known.map_err(AuthRefusal::Unavailable)?.keys)
            }
        };
        if is_sound {
            token.attributes(&self.config).map_err(refused)
        } else {
            Err(refused("the token is not signed by a known key"))
        }
    }
}

impl Discovery {
    /// The issuer's keys, asked for anew if they are old or not enough.
    async fn keys(&self, are_enough: impl Fn(&Keys) -> bool) -> Result<Arc<Known>, String> {
        let good = |known: &Arc<Known>| known.since.elapsed() < KEYS_LIFE && are_enough(&known.keys);
        if let Some(known) = self.known.load_full().filter(&good) {
            return Ok(known);
        }
        let mut asked = self.asked.lock().await;
        // Whoever waited for the lock may find what it wanted.
        if let Some(known) = self.known.load_full().filter(&good) {
            return Ok(known);
        }
        let recent = asked.as_ref().filter(|(since, _)| since.elapsed() < PAUSE);
        let failure = match recent {
            Some((_, failure)) => failure.clone(),
            None => {
                let found = self.ask().await;
                let failure = found.as_ref().err().cloned();
                if let Some(error) = &failure {
                    warn!(issuer = self.issuer, error, "The keys of an issuer cannot be had");
                }
                if let Ok(keys) = found {
                    self.known.store(Some(Arc::new(Known { keys, since: Instant::now() })));
                }
                *asked = Some((Instant::now(), failure.clone()));
                failure
            }
        };
        // Old keys are better than none while the issuer is away.
        self.known.load_full().ok_or_else(|| failure.unwrap_or_else(|| "no keys are known".to_owned()))
    }

    async fn ask(&self) -> Result<Keys, String> {
        let place = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let metadata: Metadata =
            serde_json::from_slice(&self.get(&place).await?).map_err(|error| format!("{place}: {error}"))?;
        if metadata.issuer != self.issuer {
            return Err(format!("{place} is of the issuer {:?}, not of {:?}", metadata.issuer, self.issuer));
        }
        // A secure issuer does not send anybody to keys that are not.
        if self.issuer.starts_with("https:") && !metadata.jwks_uri.starts_with("https:") {
            return Err(format!("{place} names keys at {:?}, which is not https", metadata.jwks_uri));
        }
        let keys = self.get(&metadata.jwks_uri).await?;
        Keys::parse(&keys).map_err(|error| format!("{}: {error}", metadata.jwks_uri))
    }

    async fn get(&self, place: &str) -> Result<Bytes, String> {
        let uri: Uri = place.parse().map_err(|error| format!("{place:?} is no URI: {error}"))?;
        let fetch = Fetch {
            method: Method::GET,
            uri: &uri,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            limit: ANSWER_LIMIT,
            deadline: Instant::now() + PATIENCE,
        };
        let answer = self.client.fetch(fetch).await.map_err(|failure| failure.message)?;
        if answer.status.is_success() {
            Ok(answer.body)
        } else {
            Err(format!("{place} answered {}", answer.status))
        }
    }
}
