//! A request for a token and the answer to it (RFC 6749, 4.4.2, 5.1 and 5.2).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use serde::Deserialize;
use sluice_pipeline::{
    Failure,
    component::{BuildError, ComponentContext},
    config::types::Secret,
    from_files::FromFiles,
    http::client::{Fetch, HttpClient, HttpResponse},
    reply::Code,
};

use super::{OAuth2ClientConfig, config::GRANT};
use crate::authenticator::{secret, sensitive};

/// How long a request may take where nothing is configured.
const LONGEST: Duration = Duration::from_secs(30);
/// The most that is read of an answer, in bytes.
const ANSWER_LIMIT: usize = 64 << 10;
/// How long a token is used that does not say when it ends.
const UNKNOWN_LIFE: Duration = Duration::from_secs(300);

/// Asks the authorization server.
pub(super) struct Issuer {
    client: HttpClient,
    uri: Uri,
    id: Arc<FromFiles<Secret>>,
    secret: Arc<FromFiles<Secret>>,
    parameters: Vec<(String, String)>,
    timeout: Duration,
}

/// A token with its time.
pub(super) struct Token {
    /// As it stands in the header.
    pub(super) header: HeaderValue,
    /// When it was asked for.
    pub(super) since: Instant,
    /// How long it may be used.
    pub(super) life: Duration,
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    #[serde(default)]
    token_type: String,
    expires_in: Option<Seconds>,
}

/// Some servers write the number as text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(f64),
    Text(String),
}

/// What a server says of itself when it gives no token; never what was sent to it.
#[derive(Default, Deserialize)]
struct Refusal {
    #[serde(default)]
    error: String,
}

impl Issuer {
    pub(super) fn new(config: &OAuth2ClientConfig, context: &ComponentContext) -> Result<Self, BuildError> {
        let uri = config
            .token_url
            .parse()
            .map_err(|error| BuildError::setting("token_url", format!("this is no URI: {error}")))?;
        let mut parameters = vec![("grant_type".to_owned(), GRANT.to_owned())];
        if !config.scopes.is_empty() {
            parameters.push(("scope".to_owned(), config.scopes.join(" ")));
        }
        for (name, values) in &config.endpoint_params {
            parameters.extend(values.iter().map(|value| (name.clone(), value.clone())));
        }
        let id = Secret::from(config.client_id.as_str());
        Ok(Self {
            client: HttpClient::new(&config.http_client(), context)?,
            uri,
            id: secret("client_id_file", &id, &config.client_id_file)?,
            secret: secret("client_secret_file", &config.client_secret, &config.client_secret_file)?,
            parameters,
            timeout: config.timeout.limit().unwrap_or(LONGEST),
        })
    }

    /// Asks for a new token: with the client's secret in a header first, as the standard wants it, then in the body, as
    /// some servers do.
    pub(super) async fn token(&self) -> Result<Token, Failure> {
        let since = Instant::now();
        let answer = self.ask(true).await?;
        if matches!(answer.status, StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED) {
            let second = self.ask(false).await?;
            // What the first try was answered says more, if the second fails too.
            return read(if second.status.is_success() { &second } else { &answer }, since);
        }
        read(&answer, since)
    }

    async fn ask(&self, in_header: bool) -> Result<HttpResponse, Failure> {
        let (id, secret) = (self.id.current().await, self.secret.current().await);
        let mut parameters = self.parameters.clone();
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        if in_header {
            let both = format!("{}:{}", encoded(id.expose()), encoded(secret.expose()));
            let value = sensitive(&format!("Basic {}", STANDARD.encode(both)));
            headers.extend(value.map(|value| (header::AUTHORIZATION, value)));
        } else {
            parameters.push(("client_id".to_owned(), id.expose().to_owned()));
            parameters.push(("client_secret".to_owned(), secret.expose().to_owned()));
        }
        let body: Vec<String> =
            parameters.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
        let fetch = Fetch {
            method: Method::POST,
            uri: &self.uri,
            headers,
            body: body.join("&").into(),
            limit: ANSWER_LIMIT,
            deadline: Instant::now() + self.timeout,
        };
        self.client.fetch(fetch).await
    }
}

/// Retryable whatever went wrong: a secret may be replaced before the data is given up.
fn read(answer: &HttpResponse, since: Instant) -> Result<Token, Failure> {
    let failed = |why: &str| {
        let message = format!("the authorization server answered {}{why}", answer.status);
        Failure::retryable(message).with_code(Code::Unauthenticated)
    };
    if !answer.status.is_success() {
        let refusal: Refusal = serde_json::from_slice(&answer.body).unwrap_or_default();
        // The codes of RFC 6749 are words; anything else might quote the request.
        let is_word = |text: &str| {
            text.len() < 64 && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        };
        return Err(match refusal.error.as_str() {
            word if !word.is_empty() && is_word(word) => failed(&format!(" ({word})")),
            _ => failed(""),
        });
    }
    // The parser's words may quote the content.
    let read: Answer =
        serde_json::from_slice(&answer.body).map_err(|_| failed(", but no token that can be read"))?;
    let scheme = match read.token_type.as_str() {
        other if other.is_empty() || other.eq_ignore_ascii_case("bearer") => "Bearer",
        other => other,
    };
    let header = Some(&read.access_token)
        .filter(|token| !token.is_empty())
        .and_then(|token| sensitive(&format!("{scheme} {token}")))
        .ok_or_else(|| failed(", but a token that no header can carry"))?;
    let seconds = match read.expires_in {
        Some(Seconds::Number(seconds)) => Some(seconds),
        Some(Seconds::Text(text)) => text.parse().ok(),
        None => None,
    };
    let life = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or(UNKNOWN_LIFE);
    Ok(Token { header, since, life })
}

/// As forms encode a text (`application/x-www-form-urlencoded`).
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => {
                encoded.push(char::from(byte))
            }
            b' ' => encoded.push('+'),
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}
