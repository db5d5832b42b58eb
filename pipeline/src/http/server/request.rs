//! A request as handlers see it: its head at once, its content through admission.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, Version, header, request::Parts};
use hyper::body::{Body, Incoming};

use crate::{
    batch::{Compressed, Context},
    budget::{Budget, Charge},
    compression::{Encoding, UnknownEncoding, decompress_charged},
    http::{
        Refusal,
        body::{self, Limits, Pace},
    },
};

/// What requests of a server may cost, and what of them is passed on.
pub(super) struct Admission {
    pub(super) budget: Budget,
    pub(super) body_limit: usize,
    pub(super) pace: Pace,
    pub(super) encodings: Vec<Option<Encoding>>,
    pub(super) include_metadata: bool,
    pub(super) read_timeout: Option<Duration>,
}

/// A request to an [`super::HttpServer`]. Its credentials have been checked.
pub struct IncomingRequest {
    /// Method, URI and headers.
    pub head: Parts,
    /// The address of the client; `None` on a unix socket.
    pub peer: Option<SocketAddr>,
    /// What the authenticator said about the client.
    pub auth: Vec<(String, String)>,
    body: Option<Incoming>,
    admission: Arc<Admission>,
    arrival: Instant,
    time_limit: Option<Duration>,
}

/// The content of a request, decompressed.
#[derive(Debug)]
pub struct Content {
    /// Its bytes in one piece.
    pub bytes: Bytes,
    /// The bytes that it was decompressed from, if they may be passed on as they came.
    pub compressed: Option<Compressed>,
    /// What holds the place of both in the budget.
    pub charge: Charge,
}

impl IncomingRequest {
    pub(super) fn new(
        head: Parts,
        body: Incoming,
        peer: Option<SocketAddr>,
        auth: Vec<(String, String)>,
        admission: Arc<Admission>,
        time_limit: Option<Duration>,
    ) -> Self {
        Self { head, peer, auth, body: Some(body), admission, arrival: Instant::now(), time_limit }
    }

    /// When the server gives up the answer of its own accord (`write_timeout`).
    #[must_use]
    pub fn answer_by(&self) -> Option<Instant> {
        self.arrival.checked_add(self.time_limit?)
    }

    /// The path of the URI.
    #[must_use]
    pub fn path(&self) -> &str {
        self.head.uri.path()
    }

    /// The value of `Content-Type` without parameters, in lower case; empty if there is none.
    #[must_use]
    pub fn content_type(&self) -> String {
        let value = self.head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// Reads and decompresses the body. The second call finds it empty.
    ///
    /// # Errors
    /// [`Refusal`]. A client that speaks HTTP/1 has then been read to its end where that was cheap, so that it gets
    /// to read the answer.
    pub async fn content(&mut self) -> Result<Content, Refusal> {
        let Some(mut body) = self.body.take() else {
            return Ok(Content {
                bytes: Bytes::new(),
                compressed: None,
                charge: self.admission.budget.charge(0)?,
            });
        };
        let content = self.read(&mut body).await;
        let cut_short = matches!(
            content,
            Err(Refusal::TooLarge { .. } | Refusal::Exhausted(_) | Refusal::UnsupportedEncoding(_))
        );
        if cut_short && self.head.version < Version::HTTP_2 {
            body::drain(body).await;
        }
        content
    }

    /// Reads on and throws away, for a request that is refused by its head.
    pub async fn drain(&mut self) {
        if let Some(body) = self.body.take().filter(|_| self.head.version < Version::HTTP_2) {
            body::drain(body).await;
        }
    }

    /// As [`Self::drain`], for a client that is not let in. One that waits to be asked for its body is not asked.
    pub(super) async fn drain_stranger(&mut self) {
        let waits = self.head.headers.contains_key(header::EXPECT);
        if let Some(body) = self.body.take().filter(|_| self.head.version < Version::HTTP_2 && !waits) {
            body::drain_stranger(body).await;
        }
    }

    /// What is known about the sender, for batches. Headers are taken along where the server includes metadata.
    #[must_use]
    pub fn context(&self, deadline: Option<Instant>) -> Context {
        Context {
            deadline,
            metadata: if self.admission.include_metadata {
                self.head.headers.clone()
            } else {
                HeaderMap::new()
            },
            peer: self.peer,
            auth: self.auth.clone(),
            arrival: Instant::now(),
        }
    }

    async fn read(&self, body: &mut Incoming) -> Result<Content, Refusal> {
        const KEY: &str = "max_request_body_size";
        let admission = &self.admission;
        let encoding = self.encoding()?;
        let limits = Limits {
            budget: &admission.budget,
            bytes: admission.body_limit,
            key: KEY,
            pace: admission.pace,
            deadline: admission.read_timeout.map(|timeout| self.arrival + timeout),
        };
        let announced = body.size_hint().exact().and_then(|size| usize::try_from(size).ok());
        if announced.is_some_and(|size| size > admission.body_limit) {
            return Err(Refusal::TooLarge { limit: admission.body_limit, key: KEY });
        }
        let admitted = body::read(body, limits, |_| announced).await?;
        let mut charge = admitted.charge;
        let Some(encoding) = encoding else {
            return Ok(Content { bytes: admitted.bytes, compressed: None, charge });
        };
        let decompressed = decompress_charged(encoding, &admitted.bytes, admission.body_limit, &mut charge)
            .map_err(|error| Refusal::of_decompression(error, KEY))?;
        Ok(Content {
            bytes: decompressed.bytes.into(),
            compressed: decompressed.whole.then_some(Compressed { encoding, bytes: admitted.bytes }),
            charge,
        })
    }

    fn encoding(&self) -> Result<Option<Encoding>, Refusal> {
        let mut values = self.head.headers.get_all(header::CONTENT_ENCODING).iter();
        let Some(value) = values.next() else { return Ok(None) };
        let name = value.to_str().unwrap_or("not text");
        let unsupported = || Refusal::from(UnknownEncoding(name.to_owned()));
        if values.next().is_some() {
            return Err(unsupported());
        }
        let encoding = Encoding::from_name(name)?;
        if self.admission.encodings.contains(&encoding) { Ok(encoding) } else { Err(unsupported()) }
    }
}
