//! What the extensions that add or check credentials share: an extension that only offers something, secrets in files.

use std::{
    fs,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::{BoxFuture, ready};
use http::HeaderValue;
use sluice_pipeline::{
    component::{BuildError, Capabilities, Extension, Listeners, Problem},
    config::types::Secret,
    from_files::{Files, FromFiles},
};

/// How long a look at a file with secrets is good for.
pub(crate) const LOOK: Duration = Duration::from_secs(1);
/// The most that a file with secrets may hold, in bytes.
const FILE_LIMIT: u64 = 1 << 20;

/// An extension that serves nothing by itself and offers something to other components.
pub(crate) struct Offer(pub(crate) Capabilities);

impl Extension for Offer {
    fn capabilities(&self) -> Capabilities {
        self.0.clone()
    }

    fn start(&mut self, _listeners: Listeners) -> BoxFuture<'_, Result<(), BuildError>> {
        Box::pin(ready(Ok(())))
    }

    fn stop(&mut self, _deadline: Instant) -> BoxFuture<'_, ()> {
        Box::pin(ready(()))
    }
}

/// The text of a file without the white space around it. Its content stays out of errors.
pub(crate) fn read(key: &str, path: &str) -> Result<String, BuildError> {
    let failed = |reason: String| BuildError::setting(key, format!("cannot read {path}: {reason}"));
    let size = fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
    if size > FILE_LIMIT {
        return Err(failed(format!("it is larger than {FILE_LIMIT} bytes")));
    }
    let bytes = fs::read(path).map_err(|error| failed(error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| failed("it is not UTF-8".to_owned()))?;
    Ok(text.trim().to_owned())
}

/// A secret that stands in the configuration, or in a file that is read again when it has changed. The file wins.
pub(crate) fn secret(
    key: &'static str,
    text: &Secret,
    file: &str,
) -> Result<Arc<FromFiles<Secret>>, BuildError> {
    if file.is_empty() {
        return Ok(FromFiles::fixed(text.clone()));
    }
    let files = Files { what: key.to_owned(), paths: vec![PathBuf::from(file)], every: LOOK };
    let file = file.to_owned();
    FromFiles::watched(files, move || match read(key, &file)? {
        empty if empty.is_empty() => Err(BuildError::setting(key, format!("{file} is empty"))),
        secret => Ok(secret.into()),
    })
}

/// What is wrong with something that is made of files, by making it.
pub(crate) fn problem<T>(made: Result<T, BuildError>) -> Option<Problem> {
    made.err().map(|error| match error {
        BuildError::Setting { key, message } => Problem::at(key, message),
        BuildError::Other(message) => Problem::at("", message),
    })
}

/// A header value that is never shown.
pub(crate) fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
pub(crate) mod testing {
    //! Builds authenticators from YAML.

    use http::HeaderMap;
    use sluice_pipeline::{
        Context, Failure,
        budget::Budget,
        component::{AuthRefusal, ComponentConfig, ComponentContext, ExtensionContext, ExtensionFactory},
        config,
    };

    use super::*;

    /// The configuration that this YAML decodes to.
    pub(crate) fn decoded<F: ExtensionFactory>(yaml: &str) -> F::Config {
        let mut problems = config::Problems::default();
        let node = config::parse("test.yaml", yaml, &mut problems).unwrap();
        config::decode(&node, &mut problems).unwrap_or_else(|| panic!("{problems}"))
    }

    /// What the extension offers with this configuration.
    pub(crate) fn built<F: ExtensionFactory>(yaml: &str) -> Capabilities {
        let config = decoded::<F>(yaml);
        assert_eq!(config.problems(), []);
        assert_eq!(config.file_problems(), []);
        let component = ComponentContext::detached("test", Budget::new(u64::MAX));
        F::build(config, ExtensionContext { component }).unwrap().capabilities()
    }

    /// The keys and messages of everything that is wrong with this configuration.
    pub(crate) fn wrong<F: ExtensionFactory>(yaml: &str) -> Vec<(String, String)> {
        let config = decoded::<F>(yaml);
        let mut problems = config.problems();
        problems.extend(config.file_problems());
        problems.into_iter().map(|problem| (problem.key, problem.message)).collect()
    }

    /// The headers that are sent with these and this context.
    pub(crate) async fn sent(
        capabilities: &Capabilities,
        headers: &[(&str, &str)],
        context: &Context,
    ) -> Result<HeaderMap, Failure> {
        let mut headers = header_map(headers);
        capabilities.client_auth.as_ref().unwrap().authorise(&mut headers, context).await?;
        Ok(headers)
    }

    /// Whether a client with these headers is let in, and what is known of it.
    pub(crate) async fn let_in(
        capabilities: &Capabilities,
        headers: &[(&str, &str)],
    ) -> Result<Vec<(String, String)>, AuthRefusal> {
        capabilities.server_auth.as_ref().unwrap().authenticate(&header_map(headers)).await
    }

    pub(crate) fn header_map(headers: &[(&str, &str)]) -> HeaderMap {
        headers
            .iter()
            .map(|(name, value)| {
                (name.parse::<http::HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
            })
            .collect()
    }

    /// A server of HTTP/1.1 on loopback that answers each request by itself.
    pub(crate) struct Fake {
        pub(crate) address: std::net::SocketAddr,
        requests: Arc<std::sync::Mutex<Vec<String>>>,
        task: tokio::task::JoinHandle<()>,
    }

    impl Fake {
        /// Answers with the status and the JSON that `answer` gives for a request and its number.
        pub(crate) async fn start(answer: impl Fn(&str, usize) -> (u16, String) + Send + 'static) -> Self {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};

            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let requests = Arc::new(std::sync::Mutex::new(Vec::new()));
            let seen = Arc::clone(&requests);
            let task = tokio::spawn(async move {
                loop {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    let mut request = String::new();
                    while !is_whole(&request) {
                        let mut part = [0; 4096];
                        let count = stream.read(&mut part).await.unwrap();
                        request.push_str(std::str::from_utf8(&part[..count]).unwrap());
                    }
                    let (status, body) = {
                        let mut seen = seen.lock().unwrap();
                        seen.push(request.clone());
                        answer(&request, seen.len() - 1)
                    };
                    let head = format!(
                        "HTTP/1.1 {status} So\r\ncontent-type: application/json\r\nconnection: close\r\n\
                         content-length: {}\r\n\r\n{body}",
                        body.len()
                    );
                    stream.write_all(head.as_bytes()).await.unwrap();
                }
            });
            Self { address, requests, task }
        }

        pub(crate) fn requests(&self) -> Vec<String> {
            self.requests.lock().unwrap().clone()
        }
    }

    impl Drop for Fake {
        fn drop(&mut self) {
            self.task.abort();
        }
    }

    fn is_whole(request: &str) -> bool {
        let Some((head, body)) = request.split_once("\r\n\r\n") else { return false };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        body.len() >= length.map_or(0, |length| length.parse().unwrap())
    }
}
