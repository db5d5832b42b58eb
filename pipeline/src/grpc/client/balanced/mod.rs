//! A channel to several destinations of one service, each of which can take any call.
//!
//! Calls go to the destinations in turn, by weight; those with a key go to the same destination as long as it is there.
//! All addresses of a name are destinations. Names are looked up and destinations checked from time to time; new ones
//! get their share of calls as soon as they answer, and a call that a destination certainly did not see is sent to
//! another.

mod affinity;
mod member;
mod members;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    future::pending,
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::future::{BoxFuture, select_all};
use http::{HeaderMap, HeaderValue, Request, Response, Uri, header};
use http_body_util::BodyExt;
use tokio::{
    sync::watch,
    time::{sleep, timeout_at},
};
use tracing::debug;

pub use self::affinity::Affinity;
use self::{member::Member, members::Members};
use super::{LONGEST_CALL, RESPONSE_LIMIT, body::Outgoing, fixed_headers, request, response, slot::Unsent};
use crate::{
    component::{Backend, BuildError, ComponentContext, RelayBody, Upstream},
    grpc::{GrpcClientConfig, Status, frame::Messages},
    http::{Rope, warn_of_plaintext},
    reply::{Code, Failure},
};

/// At how many destinations a call is tried that none of them saw.
const MOST_TRIES: usize = 4;
/// Headers that belong to one connection, or that the channel sets itself.
const OWN_HEADERS: [header::HeaderName; 4] =
    [header::HOST, header::CONNECTION, header::TRANSFER_ENCODING, header::USER_AGENT];

/// What a balanced channel is made by.
#[derive(Clone, Debug)]
pub struct BalancedSettings {
    /// The key at which destinations are configured, for messages.
    pub key: &'static str,
    /// Where to send.
    pub destinations: Vec<Destination>,
    /// Destinations that something else finds.
    pub found: Vec<Found>,
    /// How connections are made; its `endpoint` and `balancer_name` do not count, nor its `compression` and `auth`.
    pub client: GrpcClientConfig,
    /// The value of the header `authentication`, marked as sensitive.
    pub authentication: Option<HeaderValue>,
    /// How often names are looked up and destinations checked.
    pub check_period: Duration,
    /// How long calls with the same key go to the same destination.
    pub affinity: Affinity,
}

/// A name or address with a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// As [`GrpcClientConfig::endpoint`].
    pub endpoint: String,
    /// How many calls each of its addresses gets for one that another gets with weight 1.
    pub weight: u32,
}

/// Destinations that something else finds, and tells when they change.
#[derive(Clone)]
pub struct Found {
    /// What they are called together, with the port: `host:port`.
    pub endpoint: String,
    /// How many calls each gets for one that another gets with weight 1.
    pub weight: u32,
    /// What finds them.
    pub finder: Arc<dyn Finder>,
}

/// Finds the addresses of destinations.
pub trait Finder: Send + Sync {
    /// Those that there are: an empty list means that there are none.
    ///
    /// # Errors
    /// They are not known (yet); the old ones stay.
    fn find(&self) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>;

    /// Changes when they may have changed.
    fn changes(&self) -> watch::Receiver<u64>;
}

/// A call that sends messages and gets one answer.
#[derive(Debug)]
pub struct Stream<'a> {
    /// The method, `/package.Service/Method`.
    pub path: &'a str,
    /// What is sent before the client's half is closed.
    pub messages: Messages,
    /// Calls with the same key go to the same destination.
    pub key: Option<&'a [u8]>,
    /// When the call is given up.
    pub deadline: Option<Instant>,
}

/// A channel to several destinations of one service.
pub struct BalancedChannel {
    members: Members,
    headers: HeaderMap,
    check_period: Duration,
}

impl fmt::Debug for Found {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Found").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl BalancedChannel {
    /// A channel by these settings. It follows its destinations only while [`Self::follow`] runs.
    ///
    /// # Errors
    /// A destination that is none, a certificate that cannot be read.
    pub fn new(settings: &BalancedSettings, context: &ComponentContext) -> Result<Self, BuildError> {
        let members = Members::new(settings)?;
        let mut headers = fixed_headers(&settings.client)?;
        if let Some(value) = &settings.authentication {
            headers.insert("authentication", value.clone());
            members.plaintext_hosts().iter().for_each(|host| warn_of_plaintext(context, host));
        }
        Ok(Self { members, headers, check_period: settings.check_period })
    }

    /// Looks names up and checks destinations, for ever.
    pub async fn follow(self: Arc<Self>) {
        let mut changes = self.members.changes();
        loop {
            self.members.look_up().await;
            self.members.check(self.check_period, &self.headers).await;
            tokio::select! {
                () = sleep(self.check_period) => {}
                () = any(&mut changes) => {}
            }
        }
    }

    /// How many destinations answered when they were last checked, and how many there are.
    #[must_use]
    pub fn ready(&self) -> (usize, usize) {
        self.members.ready()
    }

    /// Sends the messages, and returns the message of the answer.
    ///
    /// # Errors
    /// What happened, to be retried or not as OTLP says.
    pub async fn stream(&self, stream: Stream<'_>) -> Result<Bytes, Failure> {
        let deadline = stream.deadline.unwrap_or_else(|| Instant::now() + LONGEST_CALL);
        let path = stream.path;
        let rope = Rope::new([stream.messages.into_bytes()]);
        let call = self.call(path, rope, stream.key, deadline);
        match timeout_at(deadline.into(), call).await {
            Ok(answer) => answer.map_err(|(member, status)| {
                let at = member.map_or_else(String::new, |member| format!(" at {member}"));
                status.into_failure(&format!("calling {path}{at}"))
            }),
            Err(_) => {
                let status = Status::new(Code::DeadlineExceeded, "no answer before the deadline");
                Err(status.into_failure(&format!("calling {path}")))
            }
        }
    }

    async fn call(
        &self,
        path: &str,
        messages: Rope,
        key: Option<&[u8]>,
        deadline: Instant,
    ) -> Result<Bytes, (Option<Arc<Member>>, Status)> {
        let mut tried: Vec<Arc<Member>> = Vec::new();
        let mut refused = None;
        while tried.len() < MOST_TRIES {
            let Some(member) = self.members.choose(key, &tried).await else { break };
            let at = |status| (Some(Arc::clone(&member)), status);
            let body = Outgoing::whole(messages.clone());
            let request = request(member.endpoint(), path, &self.headers, body, deadline).map_err(at)?;
            match member.send(request).await {
                Ok(answer) => return response::read(answer, RESPONSE_LIMIT).await.map_err(at),
                Err(Unsent { status, retry: false, .. }) => return Err(at(status)),
                Err(Unsent { status, .. }) => {
                    debug!(destination = %member, error = status.message, "A call goes to another destination");
                    tried.push(Arc::clone(&member));
                    refused = Some(at(status));
                }
            }
        }
        Err(refused.unwrap_or_else(|| (None, Status::new(Code::Unavailable, "no destination is known"))))
    }

    /// Sends a call on as its bytes arrive, and returns the answer as it arrives.
    ///
    /// # Errors
    /// No destination takes it.
    pub async fn relay(&self, call: Request<RelayBody>) -> Result<Response<RelayBody>, Failure> {
        let (head, body) = call.into_parts();
        let path = head.uri.path().to_owned();
        let mut headers = head.headers;
        for name in OWN_HEADERS {
            headers.remove(name);
        }
        headers.extend(self.headers.clone());
        let mut body = Outgoing::Relayed(body);
        let mut tried: Vec<Arc<Member>> = Vec::new();
        let mut refused = None;
        while tried.len() < MOST_TRIES {
            let Some(member) = self.members.choose(None, &tried).await else { break };
            let request = relayed(&member, &path, headers.clone(), body);
            let request = request.map_err(|status| status.into_failure(&format!("relaying {path}")))?;
            let unsent = match member.relay(request).await {
                Ok(answer) => {
                    let (head, body) = answer.into_parts();
                    return Ok(Response::from_parts(head, body.map_err(Into::into).boxed_unsync()));
                }
                Err(unsent) => unsent,
            };
            let failure = unsent.status.into_failure(&format!("relaying {path} at {member}"));
            match unsent.request {
                Some(request) => body = request.into_body(),
                None => return Err(failure),
            }
            tried.push(member);
            refused = Some(failure);
        }
        Err(refused.unwrap_or_else(|| {
            let status = Status::new(Code::Unavailable, "no destination is known");
            status.into_failure(&format!("relaying {path}"))
        }))
    }
}

impl Upstream for BalancedChannel {
    fn relay(&self, request: Request<RelayBody>) -> BoxFuture<'_, Result<Response<RelayBody>, Failure>> {
        Box::pin(self.relay(request))
    }
}

impl Backend for BalancedChannel {
    fn stream<'a>(&'a self, stream: Stream<'a>) -> BoxFuture<'a, Result<Bytes, Failure>> {
        Box::pin(self.stream(stream))
    }
}

/// Waits until one of these changes.
async fn any(changes: &mut [watch::Receiver<u64>]) {
    let changed = changes.iter_mut().map(|changes| {
        Box::pin(async move {
            // One that will not change any more is not waited for.
            if changes.changed().await.is_err() {
                pending::<()>().await;
            }
        })
    });
    let changed: Vec<_> = changed.collect();
    match changed.is_empty() {
        true => pending().await,
        false => drop(select_all(changed).await),
    }
}

/// A call for this destination.
fn relayed(
    member: &Member,
    path: &str,
    headers: HeaderMap,
    body: Outgoing,
) -> Result<Request<Outgoing>, Status> {
    let endpoint = member.endpoint();
    let uri = Uri::builder().scheme(endpoint.scheme()).authority(endpoint.authority()).path_and_query(path);
    let mut request = Request::new(body);
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = uri.build().map_err(|error| Status::new(Code::Internal, error.to_string()))?;
    *request.version_mut() = http::Version::HTTP_2;
    *request.headers_mut() = headers;
    request.headers_mut().insert(header::TE, HeaderValue::from_static("trailers"));
    Ok(request)
}
