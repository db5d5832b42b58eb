//! The server's side: the users of a password file, and how passwords are checked without being a way to keep Sluice
//! busy.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::future::BoxFuture;
use http::{HeaderMap, header};
use ring::{digest::SHA256_OUTPUT_LEN, hmac, rand::SystemRandom};
use sluice_pipeline::{
    component::{AuthRefusal, BuildError, ServerAuth},
    from_files::{Files, FromFiles},
};
use tokio::sync::Semaphore;

use super::{HtpasswdConfig, hash::Hash};
use crate::authenticator::{LOOK, read};

const CHALLENGE: &str = "Basic realm=\"sluice\", charset=\"UTF-8\"";
/// How many passwords are hashed at once, and how many requests may wait for that.
const AT_ONCE: usize = 2;
const WAITING: usize = 64;
/// How many proven credentials are remembered.
const REMEMBERED: usize = 1024;

/// Users with their passwords.
pub(super) struct Users {
    hashes: HashMap<String, Hash>,
    /// Credentials that were found right, so that each costs its hash once; under a key of this process, so that they
    /// cannot be guessed from here. They go with the users when the file changes.
    proven: Mutex<HashSet<[u8; SHA256_OUTPUT_LEN]>>,
    key: hmac::Key,
}

/// Checks the credentials of clients.
pub(super) struct Guard {
    users: Arc<FromFiles<Users>>,
    at_once: Semaphore,
    waiting: Semaphore,
}

impl Users {
    /// Those of both sources.
    pub(super) fn of(config: &HtpasswdConfig) -> Result<Self, BuildError> {
        let mut users = Self::none()?;
        if !config.file.is_empty() {
            users.add("htpasswd.file", &read("htpasswd.file", &config.file)?)?;
        }
        users.add("htpasswd.inline", config.inline.expose())?;
        Ok(users)
    }

    /// Those that stand in the configuration itself.
    pub(super) fn inline(config: &HtpasswdConfig) -> Result<Self, BuildError> {
        let mut users = Self::none()?;
        users.add("htpasswd.inline", config.inline.expose())?;
        Ok(users)
    }

    fn none() -> Result<Self, BuildError> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .map_err(|_| BuildError::Other("the system gives no random numbers".to_owned()))?;
        Ok(Self { hashes: HashMap::new(), proven: Mutex::default(), key })
    }

    fn add(&mut self, key: &str, text: &str) -> Result<(), BuildError> {
        for (number, line) in text.lines().map(str::trim).enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |what: &str| BuildError::setting(key, format!("line {}: {what}", number + 1));
            let (name, hash) = line.split_once(':').ok_or_else(|| wrong("write name:password"))?;
            let hash = Hash::parse(hash).map_err(|what| wrong(&format!("the password {what}")))?;
            self.hashes.insert(name.to_owned(), hash);
        }
        Ok(())
    }

    pub(super) fn any(&self, is_meant: impl Fn(&Hash) -> bool) -> bool {
        self.hashes.values().any(is_meant)
    }

    fn is_proven(&self, credentials: &[u8; SHA256_OUTPUT_LEN]) -> bool {
        self.proven.lock().unwrap_or_else(PoisonError::into_inner).contains(credentials)
    }

    fn remember(&self, credentials: [u8; SHA256_OUTPUT_LEN]) {
        let mut proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        if proven.len() >= REMEMBERED {
            proven.clear();
        }
        proven.insert(credentials);
    }

    /// Whether the password is the user's. A user that there is not takes as long as one that there is.
    pub(super) fn knows(&self, name: &str, password: &str) -> bool {
        match self.hashes.get(name) {
            Some(hash) => hash.is_of(password),
            None => {
                if let Some(any) = self.hashes.values().next() {
                    std::hint::black_box(any.is_of(password));
                }
                false
            }
        }
    }
}

impl Guard {
    pub(super) fn new(config: HtpasswdConfig) -> Result<Self, BuildError> {
        let users = if config.file.is_empty() {
            FromFiles::fixed(Users::of(&config)?)
        } else {
            let what = "the users of htpasswd.file".to_owned();
            let files = Files { what, paths: vec![config.file.clone().into()], every: LOOK };
            FromFiles::watched(files, move || Users::of(&config))?
        };
        Ok(Self { users, at_once: Semaphore::new(AT_ONCE), waiting: Semaphore::new(WAITING) })
    }

    async fn check(&self, headers: &HeaderMap) -> Result<String, AuthRefusal> {
        let refused = |message| AuthRefusal::Wrong { message, challenge: CHALLENGE };
        let sent = headers.get(header::AUTHORIZATION).ok_or_else(|| refused("no basic auth provided"))?;
        let (name, password) =
            credentials(sent.as_bytes()).ok_or_else(|| refused("invalid authorization header"))?;
        let users = self.users.current().await;
        let mut digest = [0; SHA256_OUTPUT_LEN];
        digest.copy_from_slice(hmac::sign(&users.key, sent.as_bytes()).as_ref());
        if users.is_proven(&digest) {
            return Ok(name);
        }
        let _place = self
            .waiting
            .try_acquire()
            .map_err(|_| AuthRefusal::Unavailable("too many passwords are being checked".to_owned()))?;
        // Neither is ever closed.
        let _turn = self.at_once.acquire().await.ok();
        let asked = Arc::clone(&users);
        let checked =
            tokio::task::spawn_blocking(move || asked.knows(&name, &password).then_some(name)).await;
        match checked {
            Ok(Some(name)) => {
                users.remember(digest);
                Ok(name)
            }
            _ => Err(refused("invalid credentials")),
        }
    }
}

/// Name and password of a header (RFC 7617).
pub(super) fn credentials(sent: &[u8]) -> Option<(String, String)> {
    let (scheme, encoded) = std::str::from_utf8(sent).ok()?.split_once(' ')?;
    let decoded = STANDARD.decode(encoded.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let (name, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

impl ServerAuth for Guard {
    fn authenticate<'a>(
        &'a self,
        headers: &'a HeaderMap,
    ) -> BoxFuture<'a, Result<Vec<(String, String)>, AuthRefusal>> {
        Box::pin(async move { Ok(vec![("username".to_owned(), self.check(headers).await?)]) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn any_header_and_any_file_is_survived(sent: Vec<u8>, text: String) {
            credentials(&sent);
            credentials(format!("Basic {}", STANDARD.encode(&sent)).as_bytes());
            let _ = Users::inline(&HtpasswdConfig { inline: text.as_str().into(), ..HtpasswdConfig::default() });
            for start in ["$2y$", "$apr1$", "{SHA}", "{SSHA}"] {
                let _ = Hash::parse(&format!("{start}{text}"));
            }
        }
    }
}
