//! One connection: its requests, its idle time, its end.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::{HeaderValue, Request, Response, StatusCode, Version, header};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, sleep_until},
};
use tracing::debug;

use super::{
    accept::{Options, Protocols, State},
    crowd::{Member, Place},
};
use crate::http::{ResponseBody, text};

/// HTTP/1 buffers and headers, in bytes: the most and the least of them. Each connection keeps one, which nothing
/// charges, so that they are half of HTTP/2's frames where the budget is small.
const HTTP1_BUFFER: (u32, u32) = (256 << 10, 16 << 10);
/// HTTP/2 headers, in bytes.
const HTTP2_HEADERS: u32 = 64 << 10;
/// Headers up to this size count as part of what a connection costs, in bytes.
const SMALL_HEADERS: u32 = 4 << 10;
/// How many streams a client may take back before they were looked at, and how many may fail by its fault, until the
/// connection is ended: against floods of them ("rapid reset").
const PENDING_RESETS: usize = 20;
const ERROR_RESETS: usize = 1024;
/// How long a connection may be idle while connections are scarce, whatever is configured.
const CROWDED_IDLE: Duration = Duration::from_secs(60);
const CLOSE: HeaderValue = HeaderValue::from_static("close");
/// How long a connection without a request stays once the server stops; one may be about to come.
const STOPPING_TIME: Duration = Duration::from_secs(1);
/// How long an idle connection has to close after it was told to.
const CLOSING_TIME: Duration = Duration::from_secs(5);

/// When a connection ends of the server's own accord.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lifetime {
    /// After this time without a request.
    pub idle: Option<Duration>,
    /// After this time, give or take a tenth, so that connections do not end together.
    pub age: Option<Duration>,
    /// How long its requests may still take then; `None` waits for them.
    pub grace: Option<Duration>,
}

pub(super) async fn serve<S>(stream: S, peer: Option<SocketAddr>, place: &Place, state: Arc<State>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let shared = Arc::clone(&state);
    let member = Arc::clone(&place.member);
    let had_http2 = Arc::new(AtomicBool::new(false));
    let has_http2 = Arc::clone(&had_http2);
    let service = service_fn(move |request: Request<Incoming>| {
        let state = Arc::clone(&shared);
        let under_way = member.begin();
        let version = request.version();
        has_http2.fetch_or(version == Version::HTTP_2, Ordering::Relaxed);
        async move {
            let mut response = answer(request, peer, &state).await;
            if version != Version::HTTP_2 && state.stopping.is_cancelled() {
                response.headers_mut().insert(header::CONNECTION, CLOSE);
            }
            drop(under_way);
            Ok::<_, Infallible>(response)
        }
    });
    let builder = builder(&state.options);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut clock = Clock::new(&state.options.lifetime);
    let mut told_to_close = false;
    let mut makes_room = false;
    loop {
        tokio::select! {
            result = connection.as_mut() => {
                if let Err(error) = result {
                    debug!(?peer, error, "A connection broke");
                }
                return;
            }
            () = state.ended.cancelled() => return,
            // A request that came meanwhile is answered.
            () = place.member.makes_room.cancelled(), if !makes_room => {
                place.member.hear();
                if place.member.idle_since().is_some() {
                    return;
                }
                (told_to_close, makes_room) = (true, true);
                clock.next = Some(Instant::now() + STOPPING_TIME);
                connection.as_mut().graceful_shutdown();
            }
            () = state.stopping.cancelled(), if !told_to_close => {
                told_to_close = true;
                clock.next = Some(Instant::now() + STOPPING_TIME);
                // HTTP/1, and a client that has just come, are told with the answer to the next request: told at once,
                // they would lose the one that is on its way.
                if had_http2.load(Ordering::Relaxed) {
                    connection.as_mut().graceful_shutdown();
                }
            }
            () = sleep_until(clock.next.unwrap_or_else(Instant::now)), if clock.next.is_some() => {
                if told_to_close {
                    let waits_for_request = makes_room || state.stopping.is_cancelled();
                    if place.member.idle_since().is_some() || !waits_for_request {
                        return;
                    }
                    clock.next = Some(Instant::now() + STOPPING_TIME);
                    connection.as_mut().graceful_shutdown();
                } else if clock.is_over(&place.member, &state) {
                    told_to_close = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

/// Answers a request, unless its headers are many and all the room for such is taken.
async fn answer(
    request: Request<Incoming>,
    peer: Option<SocketAddr>,
    state: &State,
) -> Response<ResponseBody> {
    let size = size(&request);
    let _room = match u32::try_from(size) {
        Ok(size) if size > SMALL_HEADERS => match state.header_room.try_acquire_many(size) {
            Ok(room) => Some(room),
            Err(_) => {
                state.refused_headers.increment(1);
                return text(
                    StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                    "there is no room for so many headers now",
                );
            }
        },
        _ => None,
    };
    state.handler.handle(request, peer).await
}

/// Bytes of the request's head, about as they are held.
fn size(request: &Request<Incoming>) -> usize {
    let headers = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len());
    headers.sum::<usize>() + request.uri().path_and_query().map_or(0, |path| path.as_str().len())
}

fn builder(options: &Options) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    if options.protocols == Protocols::Http2 {
        builder = builder.http2_only();
    }
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(options.header_timeout)
        .keep_alive(options.keep_alive)
        .max_buf_size((options.http2.max_frame_size / 2).clamp(HTTP1_BUFFER.1, HTTP1_BUFFER.0) as usize);
    let http2 = &options.http2;
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_frame_size(http2.max_frame_size)
        .initial_stream_window_size(http2.stream_window)
        .initial_connection_window_size(http2.connection_window)
        .max_concurrent_streams(http2.max_concurrent_streams)
        .max_pending_accept_reset_streams(PENDING_RESETS)
        .max_local_error_reset_streams(ERROR_RESETS)
        .keep_alive_interval(http2.keep_alive_interval)
        .keep_alive_timeout(http2.keep_alive_timeout)
        .max_header_list_size(HTTP2_HEADERS);
    builder
}

/// When a connection is looked at next, and whether it is then over.
struct Clock {
    idle: Option<Duration>,
    ends: Option<Instant>,
    grace: Option<Duration>,
    next: Option<Instant>,
}

impl Clock {
    fn new(lifetime: &Lifetime) -> Self {
        let now = Instant::now();
        let ends = lifetime.age.map(|age| now + age.mul_f64(0.9 + 0.2 * fastrand::f64()));
        let look = now + lifetime.idle.unwrap_or(CROWDED_IDLE).min(CROWDED_IDLE);
        let next = Some(ends.map_or(look, |ends| ends.min(look)));
        Self { idle: lifetime.idle, ends, grace: lifetime.grace, next }
    }

    fn is_over(&mut self, member: &Member, state: &State) -> bool {
        let now = Instant::now();
        if self.ends.is_some_and(|ends| ends <= now) {
            self.next = self.grace.map(|grace| now + grace);
            return true;
        }
        let allowed = match (self.idle, state.crowd.is_dense()) {
            (Some(idle), false) => Some(idle),
            (Some(idle), true) => Some(idle.min(CROWDED_IDLE)),
            (None, true) => Some(CROWDED_IDLE),
            (None, false) => None,
        };
        let idle_since = member.idle_since();
        if let (Some(since), Some(allowed)) = (idle_since, allowed)
            && since + allowed <= now
        {
            self.next = Some(now + CLOSING_TIME);
            return true;
        }
        let look = match (idle_since, self.idle) {
            (Some(since), Some(idle)) => (since + idle).min(now + CROWDED_IDLE),
            _ => now + self.idle.unwrap_or(CROWDED_IDLE).min(CROWDED_IDLE),
        };
        self.next = Some(self.ends.map_or(look, |ends| ends.min(look)));
        false
    }
}
