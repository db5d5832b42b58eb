//! Admission of request bodies: every byte is charged to the budget while it arrives, and a body that is too large,
//! too slow or past its deadline is refused.

use std::{future::pending, pin::pin, time::Duration};

use bytes::Bytes;
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::Refusal;
use crate::budget::{Budget, Charge};

/// The first step in which a body is charged, in bytes.
const FIRST_STEP: usize = 64 * 1024;
/// How many times what has arrived may be reserved ahead. Each step leaves a buffer behind that the allocator gives back
/// only later: with few steps there is little of that.
const GROWTH: usize = 16;
/// How much of a refused body is read and thrown away, and for how long, so that the client gets to read the answer.
const DRAIN_BYTES: usize = 64 << 20;
/// The same for a client that is not let in.
const STRANGER_DRAIN_BYTES: usize = 1 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(2);

/// What a body may cost.
pub struct Limits<'a> {
    /// What its bytes are charged to.
    pub budget: &'a Budget,
    /// The largest body, in bytes.
    pub bytes: usize,
    /// The key that sets that, for messages.
    pub key: &'static str,
    /// The least that must arrive.
    pub pace: Pace,
    /// When reading ends in any case.
    pub deadline: Option<std::time::Instant>,
}

/// The least that must arrive of a body while it is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The length of a period.
    pub period: Duration,
    /// How many bytes must arrive in each.
    pub bytes: usize,
}

/// A body in one piece.
#[derive(Debug)]
pub struct Admitted {
    /// Its bytes.
    pub bytes: Bytes,
    /// What holds their place in the budget.
    pub charge: Charge,
}

impl Default for Pace {
    /// 1 KiB a second, over 10 seconds.
    fn default() -> Self {
        Self { period: Duration::from_secs(10), bytes: 10 * 1024 }
    }
}

/// Reads a whole body. `expect` is asked with what has arrived for the size that the body announces of itself.
///
/// # Errors
/// [`Refusal`].
pub async fn read<B>(
    mut body: B,
    limits: Limits<'_>,
    expect: impl Fn(&[u8]) -> Option<usize>,
) -> Result<Admitted, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    limits.budget.check()?;
    let mut buffer = Buffer::new(&limits)?;
    let mut timer = pin!(sleep_until(limits.next_expiry()));
    let mut counted = 0;
    loop {
        let frame = tokio::select! {
            biased;
            frame = body.frame() => frame,
            () = timer.as_mut() => {
                limits.check_time(buffer.bytes.len() - counted)?;
                counted = buffer.bytes.len();
                restart(timer.as_mut(), &limits);
                continue;
            }
        };
        match frame {
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    buffer.append(&data, &expect)?;
                }
            }
            Some(Err(error)) => return Err(Refusal::Aborted(error.to_string())),
            None => return Ok(buffer.finish()),
        }
    }
}

/// Reads on and throws away, so that a client which sends its whole request before it reads gets its answer.
pub async fn drain<B: Body<Data = Bytes> + Unpin>(body: B) {
    drain_up_to(body, DRAIN_BYTES).await;
}

/// As [`drain`], for a client that is not let in: only a little of what it sends, and nothing of what it announces.
pub async fn drain_stranger<B: Body<Data = Bytes> + Unpin>(body: B) {
    if body.size_hint().lower() <= STRANGER_DRAIN_BYTES as u64 {
        drain_up_to(body, STRANGER_DRAIN_BYTES).await;
    }
}

async fn drain_up_to<B: Body<Data = Bytes> + Unpin>(mut body: B, limit: usize) {
    let discard = async {
        let mut discarded = 0;
        while let Some(Ok(frame)) = body.frame().await {
            discarded += frame.data_ref().map_or(0, Bytes::len);
            if discarded > limit {
                break;
            }
        }
    };
    // A client that takes longer loses its connection; it is refused either way.
    let _ = timeout(DRAIN_TIME, discard).await;
}

/// Waits until `deadline`, for ever without one.
pub async fn until(deadline: Option<std::time::Instant>) {
    match deadline {
        Some(deadline) => sleep_until(Instant::from_std(deadline)).await,
        None => pending().await,
    }
}

fn restart(timer: std::pin::Pin<&mut Sleep>, limits: &Limits<'_>) {
    timer.reset(limits.next_expiry());
}

impl Limits<'_> {
    fn next_expiry(&self) -> Instant {
        let period = Instant::now() + self.pace.period;
        self.deadline.map_or(period, |deadline| period.min(Instant::from_std(deadline)))
    }

    /// Decides what it means that the timer has expired after `arrived` bytes.
    fn check_time(&self, arrived: usize) -> Result<(), Refusal> {
        if self.deadline.is_some_and(|deadline| deadline <= Instant::now().into_std()) {
            Err(Refusal::Deadline)
        } else if arrived < self.pace.bytes {
            Err(Refusal::Slow)
        } else {
            Ok(())
        }
    }
}

struct Buffer {
    bytes: Vec<u8>,
    charge: Charge,
    limit: usize,
    key: &'static str,
}

impl Buffer {
    fn new(limits: &Limits<'_>) -> Result<Self, Refusal> {
        let charge = limits.budget.charge(0)?;
        Ok(Self { bytes: Vec::new(), charge, limit: limits.bytes, key: limits.key })
    }

    fn append(&mut self, data: &[u8], expect: impl Fn(&[u8]) -> Option<usize>) -> Result<(), Refusal> {
        let needed = self.bytes.len() + data.len();
        if needed > self.bytes.capacity() {
            let expected = expect(if self.bytes.is_empty() { data } else { &self.bytes });
            self.grow(needed, expected)?;
        }
        self.bytes.extend_from_slice(data);
        Ok(())
    }

    /// Makes room for `needed` bytes, and ahead of it for what is announced, but never far beyond what came: an
    /// announcement alone reserves nothing.
    fn grow(&mut self, needed: usize, expected: Option<usize>) -> Result<(), Refusal> {
        if needed > self.limit || expected.is_some_and(|expected| expected > self.limit) {
            return Err(Refusal::TooLarge { limit: self.limit, key: self.key });
        }
        let ahead = needed.saturating_mul(GROWTH).max(FIRST_STEP).min(expected.unwrap_or(usize::MAX));
        let room = ahead.min(self.limit).max(needed);
        // Both buffers are held while one is copied to the other.
        self.charge.grow(room as u64)?;
        self.bytes.reserve_exact(room - self.bytes.len());
        self.charge.shrink_to(room as u64);
        Ok(())
    }

    fn finish(mut self) -> Admitted {
        // Bodies of unannounced length may have reserved far more than came.
        if self.bytes.capacity() / 2 > self.bytes.len() {
            self.bytes.shrink_to_fit();
        }
        self.charge.shrink_to(self.bytes.capacity() as u64);
        Admitted { bytes: self.bytes.into(), charge: self.charge }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream::{self, StreamExt};
    use http_body::Frame;
    use http_body_util::StreamBody;

    use super::*;

    type Step = Result<Frame<Bytes>, String>;

    fn limits(budget: &Budget) -> Limits<'_> {
        Limits { budget, bytes: 1 << 20, key: "max_request_body_size", pace: Pace::default(), deadline: None }
    }

    fn frames(count: usize, size: usize) -> Vec<Step> {
        (0..count).map(|index| Ok(Frame::data(Bytes::from(vec![index as u8; size])))).collect()
    }

    async fn read_frames(
        frames: Vec<Step>,
        limits: Limits<'_>,
        expected: Option<usize>,
    ) -> Result<Admitted, Refusal> {
        read(StreamBody::new(stream::iter(frames)), limits, |_| expected).await
    }

    #[tokio::test]
    async fn an_announced_body_is_charged_at_its_size() {
        let budget = Budget::new(1 << 30);
        let admitted = read_frames(frames(10, 30_000), limits(&budget), Some(300_000)).await.unwrap();
        assert_eq!(admitted.bytes.len(), 300_000);
        assert_eq!(admitted.bytes[299_999], 9);
        assert_eq!(budget.used(), 300_000);
        drop(admitted);
        assert_eq!(budget.used(), 0);
    }

    #[tokio::test]
    async fn an_announcement_alone_reserves_little() {
        let budget = Budget::new(1 << 30);
        let mut body = pin!(read(
            StreamBody::new(stream::iter(frames(1, 10)).chain(stream::pending())),
            limits(&budget),
            |_| Some(1 << 20)
        ));
        assert!(futures_util::poll!(body.as_mut()).is_pending());
        assert_eq!(budget.used(), FIRST_STEP as u64);
    }

    #[tokio::test]
    async fn a_body_is_refused_where_it_exceeds_its_limit_or_the_budget() {
        let budget = Budget::new(1 << 30);
        let refused = read_frames(frames(11, 100_000), limits(&budget), None).await.unwrap_err();
        assert_eq!(refused, Refusal::TooLarge { limit: 1 << 20, key: "max_request_body_size" });
        let refused = read_frames(frames(1, 10), limits(&budget), Some(2 << 20)).await.unwrap_err();
        assert_eq!(refused.reason(), "too_large", "at the announcement already");

        let small = Budget::new(300_000);
        let refused = read_frames(frames(10, 100_000), limits(&small), None).await.unwrap_err();
        assert_eq!(refused.reason(), "budget");
        assert_eq!(small.used(), 0, "a refused body leaves nothing behind");
        let _all = small.charge(300_000).unwrap();
        let refused = read_frames(Vec::new(), limits(&small), None).await.unwrap_err();
        assert_eq!(refused.reason(), "budget", "at the headers already");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stalls_is_cut() {
        let budget = Budget::new(1 << 30);
        let started = Instant::now();
        let body = StreamBody::new(stream::iter(frames(1, 200_000)).chain(stream::pending()));
        let refused = read(body, limits(&budget), |_| Some(400_000)).await.unwrap_err();
        assert_eq!(refused, Refusal::Slow);
        assert!(started.elapsed() <= Duration::from_secs(20));
        assert_eq!(budget.used(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_body_above_the_minimum_rate_is_waited_for() {
        let budget = Budget::new(1 << 30);
        let steps = stream::iter(frames(60, 2 * 1024)).then(|frame| async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            frame
        });
        let admitted = read(StreamBody::new(Box::pin(steps)), limits(&budget), |_| None).await.unwrap();
        assert_eq!(admitted.bytes.len(), 120 * 1024);
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_ends_the_wait() {
        let budget = Budget::new(1 << 30);
        let limits = Limits {
            deadline: Some((Instant::now() + Duration::from_secs(1)).into_std()),
            ..limits(&budget)
        };
        let body = StreamBody::new(stream::pending::<Step>());
        assert_eq!(read(body, limits, |_| None).await.unwrap_err(), Refusal::Deadline);
    }

    #[tokio::test]
    async fn a_broken_body_is_refused() {
        let budget = Budget::new(1 << 30);
        let mut steps = frames(1, 10);
        steps.push(Err("connection reset".to_owned()));
        let refused = read_frames(steps, limits(&budget), None).await.unwrap_err();
        assert_eq!(refused, Refusal::Aborted("connection reset".to_owned()));
    }
}
