//! One connection: its requests, its idle time, its end.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, sleep_until},
};
use tracing::debug;

use super::accept::{Options, Protocols, State};

/// HTTP/1 buffers and headers, in bytes: the most and the least of them. Each connection keeps one, which nothing
/// charges, so that they are half of HTTP/2's frames where the budget is small.
const HTTP1_BUFFER: (u32, u32) = (256 << 10, 16 << 10);
/// HTTP/2 headers, in bytes.
const HTTP2_HEADERS: u32 = 64 << 10;
/// How long a connection may be idle while connections are scarce, whatever is configured.
const CROWDED_IDLE: Duration = Duration::from_secs(60);
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

/// The requests of a connection.
struct Activity {
    under_way: AtomicUsize,
    idle_since: std::sync::Mutex<Instant>,
}

/// A request under way.
struct Request(Arc<Activity>);

pub(super) async fn serve<S>(stream: S, peer: Option<SocketAddr>, state: Arc<State>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Arc::new(Activity {
        under_way: AtomicUsize::new(0),
        idle_since: std::sync::Mutex::new(Instant::now()),
    });
    let handler = Arc::clone(&state.handler);
    let counted = Arc::clone(&activity);
    let service = service_fn(move |request| {
        let handler = Arc::clone(&handler);
        let under_way = Request::begin(&counted);
        async move {
            let response = handler.handle(request, peer).await;
            drop(under_way);
            Ok::<_, Infallible>(response)
        }
    });
    let builder = builder(&state.options);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut clock = Clock::new(&state.options.lifetime);
    let mut told_to_close = false;
    loop {
        tokio::select! {
            result = connection.as_mut() => {
                if let Err(error) = result {
                    debug!(?peer, error, "A connection broke");
                }
                return;
            }
            () = state.ended.cancelled() => return,
            () = state.stopping.cancelled(), if !told_to_close => {
                told_to_close = true;
                clock.wait_for_ever();
                connection.as_mut().graceful_shutdown();
            }
            () = sleep_until(clock.next.unwrap_or_else(Instant::now)), if clock.next.is_some() => {
                if told_to_close {
                    return;
                }
                if clock.is_over(&activity, &state) {
                    told_to_close = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
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

    /// Nothing but the server's end ends the connection any more.
    fn wait_for_ever(&mut self) {
        self.next = None;
    }

    fn is_over(&mut self, activity: &Activity, state: &State) -> bool {
        let now = Instant::now();
        if self.ends.is_some_and(|ends| ends <= now) {
            self.next = self.grace.map(|grace| now + grace);
            return true;
        }
        let allowed = match (self.idle, state.is_crowded()) {
            (Some(idle), false) => Some(idle),
            (Some(idle), true) => Some(idle.min(CROWDED_IDLE)),
            (None, true) => Some(CROWDED_IDLE),
            (None, false) => None,
        };
        let idle_since = activity.idle_since();
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

impl Activity {
    fn idle_since(&self) -> Option<Instant> {
        let idle = self.under_way.load(Ordering::Acquire) == 0;
        idle.then(|| *self.idle_since.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Request {
    fn begin(activity: &Arc<Activity>) -> Self {
        activity.under_way.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(activity))
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        *self.0.idle_since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.0.under_way.fetch_sub(1, Ordering::AcqRel);
    }
}
