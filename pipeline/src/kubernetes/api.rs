//! Requests to the API server: pages of lists, and watches.

use std::{marker::PhantomData, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Uri, header};
use serde::Deserialize;
use tokio::time::{Instant, timeout};

use super::{
    access::{Access, Token},
    error::{KubernetesError, Refusal},
    informer::{Selection, Timing},
    resources::{Metadata, Resource, or_default},
};
use crate::{
    component::{BuildError, ComponentContext},
    from_files::{Files, FromFiles},
    http::client::{Fetch, HttpClient, HttpStream},
};

/// How many objects a page has.
pub(super) const PAGE: usize = 250;
/// The most that is read of a page. Objects are 1.5 MiB at most, and some kilobytes as a rule.
const PAGE_LIMIT: usize = 32 << 20;
/// The longest line of a watch: one object.
const LINE_LIMIT: usize = 4 << 20;
/// How much is read of the answer of a server that refuses, and how much of that is quoted.
const REFUSAL_LIMIT: usize = 64 << 10;
const QUOTE_LIMIT: usize = 256;
/// How long a page may take.
const PAGE_TIME: Duration = Duration::from_secs(60);
/// How long a token that was read is good for. They are replaced every hour or so.
const TOKEN_LOOK: Duration = Duration::from_secs(1);
/// Tokens are some kilobytes at most.
const TOKEN_LIMIT: usize = 64 << 10;

/// What is asked for: whole objects, or nothing but their metadata where the server can.
const WHOLE: &str = "application/json";
const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";
const METADATA_LIST: &str =
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";

/// Asks the API server.
pub(super) struct Api {
    client: HttpClient,
    server: String,
    token: Option<Arc<FromFiles<HeaderValue>>>,
}

/// A page of a list.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound = "R: Resource")]
pub(super) struct Page<R> {
    #[serde(deserialize_with = "or_default")]
    pub(super) metadata: PageMetadata,
    #[serde(deserialize_with = "or_default")]
    pub(super) items: Vec<R>,
}

/// What a page says of its list.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct PageMetadata {
    /// From where a watch goes on.
    #[serde(deserialize_with = "or_default")]
    pub(super) resource_version: String,
    /// What the next page is asked for by; empty on the last.
    #[serde(rename = "continue", deserialize_with = "or_default")]
    pub(super) continues: String,
}

/// What happened to an object.
#[derive(Debug, PartialEq)]
pub(super) enum Event<R> {
    /// It is there, as it is now.
    Set(R),
    /// It is gone, or no longer selected.
    Removed(R),
    /// Nothing, up to this version.
    Bookmark(String),
}

/// A watch: events as they arrive.
pub(super) struct Watch<R> {
    stream: HttpStream,
    lines: Lines,
    what: String,
    silence: Duration,
    resource: PhantomData<R>,
}

/// Cuts what arrives into lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    buffer: Vec<u8>,
    /// How much of it has no end of a line.
    searched: usize,
}

#[derive(Deserialize)]
#[serde(bound = "O: Deserialize<'de>")]
struct Line<O> {
    #[serde(rename = "type")]
    kind: String,
    object: O,
}

/// Kubernetes' `Status`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct StatusObject {
    pub(super) code: u16,
    #[serde(deserialize_with = "or_default")]
    pub(super) message: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Marked {
    #[serde(deserialize_with = "or_default")]
    metadata: Metadata,
}

impl Api {
    pub(super) fn new(access: &Access, context: &ComponentContext) -> Result<Self, BuildError> {
        access.check()?;
        let key = access.token_key.clone();
        let token =
            match &access.token {
                Token::None => None,
                Token::Text(text) => Some(FromFiles::fixed(bearer(text.expose()).map_err(|reason| {
                    BuildError::setting(&key, format!("cannot use the token: {reason}"))
                })?)),
                Token::File(path) => {
                    let files = Files {
                        what: "the token for Kubernetes".to_owned(),
                        paths: vec![path.clone().into()],
                        every: TOKEN_LOOK,
                    };
                    let path = path.clone();
                    Some(FromFiles::watched(files, move || token(&path, &key))?)
                }
            };
        let client = HttpClient::new(&access.client(), context)?;
        Ok(Self { client, server: access.server.clone(), token })
    }

    /// A page of the objects; `continues` is that of the page before.
    pub(super) async fn list<R: Resource>(
        &self,
        selection: &Selection,
        continues: &str,
    ) -> Result<Page<R>, KubernetesError> {
        let what = selection.what(R::PLURAL);
        let limit = PAGE.to_string();
        let path = selection.path(R::API, R::PLURAL, &[("limit", limit.as_str()), ("continue", continues)]);
        let listed = timeout(PAGE_TIME, async {
            let accepts = if R::METADATA_ONLY { METADATA_LIST } else { WHOLE };
            let mut stream = self.open::<R>(&path, &what, PAGE_TIME, accepts).await?;
            let bytes = read(&mut stream, PAGE_LIMIT).await.map_err(KubernetesError::Unreachable)?;
            let bytes = bytes.ok_or(KubernetesError::TooLarge { what: what.clone(), limit: PAGE_LIMIT })?;
            let page: Page<R> =
                serde_json::from_slice(&bytes).map_err(|error| self.malformed(&what, &error))?;
            // Without one it is some other JSON, and no empty list.
            match page.metadata.resource_version.is_empty() {
                true => Err(self.malformed(&what, &"the list has no version")),
                false => Ok(page),
            }
        });
        listed.await.unwrap_or_else(|_| {
            Err(KubernetesError::Stalled { what: what.clone(), seconds: PAGE_TIME.as_secs() })
        })
    }

    /// What happens to the objects from this version on.
    pub(super) async fn watch<R: Resource>(
        &self,
        selection: &Selection,
        version: &str,
        timing: Timing,
    ) -> Result<Watch<R>, KubernetesError> {
        let what = selection.what(R::PLURAL);
        let seconds = timing.watch.as_secs().max(1).to_string();
        let query = [
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("timeoutSeconds", seconds.as_str()),
            ("resourceVersion", version),
        ];
        let path = selection.path(R::API, R::PLURAL, &query);
        let accepts = if R::METADATA_ONLY { METADATA } else { WHOLE };
        let stream = self.open::<R>(&path, &what, timing.silence, accepts).await?;
        Ok(Watch { stream, lines: Lines::default(), what, silence: timing.silence, resource: PhantomData })
    }

    async fn open<R: Resource>(
        &self,
        path: &str,
        what: &str,
        patience: Duration,
        accepts: &'static str,
    ) -> Result<HttpStream, KubernetesError> {
        let uri: Uri =
            format!("{}{path}", self.server).parse().map_err(|error| self.malformed(what, &error))?;
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(accepts));
        if let Some(token) = &self.token {
            headers.insert(header::AUTHORIZATION, HeaderValue::clone(&*token.current().await));
        }
        let deadline = (Instant::now() + patience).into_std();
        let fetch = Fetch { method: Method::GET, uri: &uri, headers, body: Bytes::new(), limit: 0, deadline };
        let mut stream = self.client.open(fetch).await.map_err(KubernetesError::Unreachable)?;
        match stream.status.as_u16() {
            200 => Ok(stream),
            410 => Err(KubernetesError::Gone { what: what.to_owned() }),
            status => {
                let told = timeout(patience, read(&mut stream, REFUSAL_LIMIT)).await;
                let told = told.ok().and_then(Result::ok).flatten().unwrap_or_default();
                let told: StatusObject = serde_json::from_slice(&told).unwrap_or_default();
                Err(refusal::<R>(status, what, &told.message))
            }
        }
    }

    pub(super) fn malformed(&self, what: &str, reason: &dyn std::fmt::Display) -> KubernetesError {
        malformed(what, &self.server, reason)
    }
}

impl<R: Resource> Watch<R> {
    /// The next event; `None` once the server has ended the watch.
    pub(super) async fn next(&mut self) -> Result<Option<Event<R>>, KubernetesError> {
        loop {
            if let Some(line) = self.lines.next() {
                return self.event(&line).map(Some);
            }
            if self.lines.buffer.len() > LINE_LIMIT {
                return Err(KubernetesError::TooLarge { what: self.what.clone(), limit: LINE_LIMIT });
            }
            match timeout(self.silence, self.stream.chunk()).await {
                Ok(Ok(Some(bytes))) => self.lines.push(&bytes),
                Ok(Ok(None)) => {
                    return match self.lines.rest() {
                        Some(line) => self.event(&line).map(Some),
                        None => Ok(None),
                    };
                }
                Ok(Err(failure)) => return Err(KubernetesError::Unreachable(failure)),
                Err(_) => {
                    let seconds = self.silence.as_secs();
                    return Err(KubernetesError::Stalled { what: self.what.clone(), seconds });
                }
            }
        }
    }

    fn event(&self, line: &[u8]) -> Result<Event<R>, KubernetesError> {
        event(line).map_err(|refused| match refused {
            Told::Status(StatusObject { code: 410, .. }) => KubernetesError::Gone { what: self.what.clone() },
            Told::Status(StatusObject { code, message }) => refusal::<R>(code, &self.what, &message),
            Told::Garbage(reason) => malformed(&self.what, self.stream.place(), &reason),
        })
    }
}

/// What a line tells that is no event.
#[derive(Debug)]
pub(super) enum Told {
    Status(StatusObject),
    Garbage(String),
}

/// The event that a line is.
pub(super) fn event<R: Resource>(line: &[u8]) -> Result<Event<R>, Told> {
    let garbage = |error: serde_json::Error| Told::Garbage(error.to_string());
    // The kind comes first or last, and says what the object is.
    let Line { kind, object: Marked { metadata } } = serde_json::from_slice(line).map_err(garbage)?;
    let object = || serde_json::from_slice(line).map(|Line { object, .. }: Line<R>| object).map_err(garbage);
    match kind.as_str() {
        "ADDED" | "MODIFIED" => Ok(Event::Set(object()?)),
        "DELETED" => Ok(Event::Removed(object()?)),
        "BOOKMARK" => Ok(Event::Bookmark(metadata.resource_version)),
        "ERROR" => {
            let Line { object, .. } = serde_json::from_slice(line).map_err(garbage)?;
            Err(Told::Status(object))
        }
        _ => Err(Told::Garbage(format!("an event of type {:?}", quoted(&kind)))),
    }
}

impl Lines {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// What is left once nothing more arrives, unless it is empty.
    fn rest(&mut self) -> Option<Vec<u8>> {
        let rest = std::mem::take(self).buffer;
        if rest.iter().all(u8::is_ascii_whitespace) { None } else { Some(rest) }
    }

    /// The next line that is not empty.
    pub(super) fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            let Some(end) = memchr::memchr(b'\n', &self.buffer[self.searched..]) else {
                self.searched = self.buffer.len();
                return None;
            };
            let rest = self.buffer.split_off(self.searched + end + 1);
            let mut line = std::mem::replace(&mut self.buffer, rest);
            self.searched = 0;
            line.pop();
            if !line.iter().all(u8::is_ascii_whitespace) {
                return Some(line);
            }
        }
    }
}

/// All of an answer; `None` if it is larger than `limit`.
async fn read(stream: &mut HttpStream, limit: usize) -> Result<Option<Vec<u8>>, crate::Failure> {
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.chunk().await? {
        if bytes.len() + chunk.len() > limit {
            return Ok(None);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Some(bytes))
}

fn refusal<R: Resource>(status: u16, what: &str, message: &str) -> KubernetesError {
    // `api/v1`, or `apis/`, group and version.
    let group = R::API.strip_prefix("apis/").and_then(|rest| rest.split('/').next()).unwrap_or_default();
    let message = quoted(message);
    KubernetesError::Refused(Refusal { status, what: what.to_owned(), resource: R::PLURAL, group, message })
}

fn malformed(what: &str, place: &str, reason: &dyn std::fmt::Display) -> KubernetesError {
    let reason = quoted(&reason.to_string());
    KubernetesError::Malformed { what: what.to_owned(), place: place.to_owned(), reason }
}

/// A server's words, as far as they are shown.
fn quoted(text: &str) -> String {
    text.trim().chars().filter(|character| !character.is_control()).take(QUOTE_LIMIT).collect()
}

/// The header that a file's token makes. The token stays out of errors.
fn token(path: &str, key: &str) -> Result<HeaderValue, BuildError> {
    let failed =
        |reason: String| BuildError::setting(key, format!("cannot use the token in {path}: {reason}"));
    let size = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
    if size > TOKEN_LIMIT as u64 {
        return Err(failed(format!("it is larger than {TOKEN_LIMIT} bytes")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    bearer(&text).map_err(|reason| failed(reason.to_owned()))
}

fn bearer(token: &str) -> Result<HeaderValue, &'static str> {
    if token.trim().is_empty() {
        return Err("it is empty");
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.trim()))
        .map_err(|_| "it has a character that no header may have")?;
    value.set_sensitive(true);
    Ok(value)
}
