//! The messages of a streaming call, one after the other as they arrive.
//!
//! What is not asked for is not read, so that HTTP/2's flow control holds the client back: nothing is refused only
//! because the pipelines are slow or memory is short for a while.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use bytes::{Buf, Bytes};
use futures_util::FutureExt;
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::{sleep, timeout};

use super::frame;
use crate::{
    budget::{Budget, Charge},
    compression::{Encoding, decompress_charged},
    http::{
        Refusal,
        body::{Pace, until},
    },
};

/// How often room in the budget is asked for, and for how long until the stream ends.
const BUDGET_PAUSE: Duration = Duration::from_millis(50);
const BUDGET_PATIENCE: Duration = Duration::from_secs(10);

/// The messages of a streaming call.
pub struct Messages<B> {
    body: B,
    limits: MessageLimits,
    parts: VecDeque<Bytes>,
    /// Bytes in the parts.
    held: usize,
    /// Of them, how many are not charged yet.
    uncharged: usize,
    charge: Charge,
    /// What is left of a message that is not taken.
    skipping: usize,
    over: bool,
}

/// What messages of a stream may cost.
pub(super) struct MessageLimits {
    pub(super) budget: Budget,
    /// The largest message, in bytes, as it comes and decompressed.
    pub(super) bytes: usize,
    /// The key that sets it.
    pub(super) key: &'static str,
    /// A message that has begun must go on within its period.
    pub(super) pace: Pace,
    /// How messages are compressed that say that they are.
    pub(super) encoding: Option<Encoding>,
    /// When the call ends.
    pub(super) deadline: Option<Instant>,
}

/// A message of a stream.
#[derive(Debug)]
pub struct StreamMessage {
    /// The message, decompressed.
    pub bytes: Bytes,
    /// What holds its place in the budget.
    pub charge: Charge,
}

/// Something in a stream that is no message to be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// One message is lost; the others follow.
    #[error("a message of the stream was not taken: {0}")]
    Message(Refusal),
    /// The stream is over.
    #[error("the stream ended: {0}")]
    Stream(Refusal),
}

impl<B: Body<Data = Bytes> + Unpin> Messages<B>
where
    B::Error: std::fmt::Display,
{
    pub(super) fn new(body: B, limits: MessageLimits) -> Self {
        let charge = limits.budget.charge_anyway(0);
        Self { body, limits, parts: VecDeque::new(), held: 0, uncharged: 0, charge, skipping: 0, over: false }
    }

    /// The next message; `None` once the client has sent its last. Waits for it. Nothing is lost if the future is
    /// dropped before it is ready.
    pub async fn next(&mut self) -> Option<Result<StreamMessage, Broken>> {
        loop {
            if let Err(refusal) = self.pay().await {
                return Some(Err(self.end(refusal)));
            }
            if let Some(taken) = self.take() {
                return Some(taken);
            }
            if self.over {
                return None;
            }
            if let Err(refusal) = self.fill().await {
                return Some(Err(self.end(refusal)));
            }
        }
    }

    /// The next message if all of it has arrived, or the stream's end has.
    pub fn next_arrived(&mut self) -> Option<Result<StreamMessage, Broken>> {
        self.next().now_or_never().flatten()
    }

    /// Charges what has arrived; waits while there is no room.
    async fn pay(&mut self) -> Result<(), Refusal> {
        let since = tokio::time::Instant::now();
        while self.uncharged > 0 {
            match self.charge.grow(self.uncharged as u64) {
                Ok(()) => self.uncharged = 0,
                Err(exhausted) if since.elapsed() >= BUDGET_PATIENCE => return Err(exhausted.into()),
                Err(_) => sleep(BUDGET_PAUSE).await,
            }
        }
        Ok(())
    }

    /// The first message, or why there will be none, if enough has arrived to tell.
    fn take(&mut self) -> Option<Result<StreamMessage, Broken>> {
        self.skip();
        if self.skipping > 0 {
            return None;
        }
        if self.held < frame::PREFIX {
            let cut_off = self.over && self.held > 0;
            return cut_off.then(|| Err(self.end(malformed("the stream ends inside a message"))));
        }
        let prefix = self.prefix();
        let (Some(whole), Some(flag @ (0 | 1))) = (frame::announced(&prefix), prefix.first()) else {
            return Some(Err(self.end(malformed("the first byte of a message must be 0 or 1"))));
        };
        let compressed = *flag == 1;
        if whole - frame::PREFIX > self.limits.bytes {
            self.skipping = whole;
            self.skip();
            let refusal = Refusal::TooLarge { limit: self.limits.bytes, key: self.limits.key };
            return Some(Err(Broken::Message(refusal)));
        }
        if self.held < whole {
            let cut_off = self.over;
            return cut_off.then(|| Err(self.end(malformed("the stream ends inside a message"))));
        }
        let mut bytes = self.split(whole);
        bytes.advance(frame::PREFIX);
        Some(self.message(compressed, bytes))
    }

    fn message(&self, compressed: bool, bytes: Bytes) -> Result<StreamMessage, Broken> {
        let mut charge = self.limits.budget.charge_anyway(bytes.len() as u64);
        if !compressed {
            return Ok(StreamMessage { bytes, charge });
        }
        let encoding = self.limits.encoding.ok_or_else(|| {
            Broken::Message(malformed("a message is marked as compressed, but no grpc-encoding says how"))
        })?;
        let decompressed = decompress_charged(encoding, &bytes, self.limits.bytes, &mut charge)
            .map_err(|error| Broken::Message(Refusal::of_decompression(error, self.limits.key)))?;
        charge.shrink_to(decompressed.bytes.capacity() as u64);
        Ok(StreamMessage { bytes: decompressed.bytes.into(), charge })
    }

    /// Reads one frame of the body.
    async fn fill(&mut self) -> Result<(), Refusal> {
        let begun = self.held > 0 || self.skipping > 0;
        let (period, deadline) = (self.limits.pace.period, self.limits.deadline);
        let body = &mut self.body;
        let frame = async {
            if begun {
                timeout(period, body.frame()).await.map_err(|_| Refusal::Slow)
            } else {
                Ok(body.frame().await)
            }
        };
        let frame = match deadline {
            None => frame.await?,
            Some(_) => tokio::select! {
                biased;
                frame = frame => frame?,
                () = until(deadline) => return Err(Refusal::Deadline),
            },
        };
        match frame {
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data()
                    && !data.is_empty()
                {
                    self.held += data.len();
                    self.uncharged += data.len();
                    self.parts.push_back(data);
                }
                Ok(())
            }
            Some(Err(error)) => Err(Refusal::Aborted(error.to_string())),
            None => {
                self.over = true;
                Ok(())
            }
        }
    }

    fn end(&mut self, refusal: Refusal) -> Broken {
        self.over = true;
        let rest = self.held;
        drop(self.split(rest));
        self.skipping = 0;
        Broken::Stream(refusal)
    }

    fn prefix(&self) -> [u8; frame::PREFIX] {
        let mut prefix = [0; frame::PREFIX];
        let bytes = self.parts.iter().flat_map(|part| part.iter());
        prefix.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte);
        prefix
    }

    fn skip(&mut self) {
        let length = self.skipping.min(self.held);
        if length > 0 {
            self.skipping -= length;
            drop(self.split(length));
        }
    }

    /// Takes so many bytes off the front, and their charge. Copies only what came in several parts.
    fn split(&mut self, length: usize) -> Bytes {
        self.held -= length;
        self.uncharged = self.uncharged.min(self.held);
        self.charge.shrink_to((self.held - self.uncharged) as u64);
        if let Some(first) = self.parts.front_mut().filter(|first| first.len() >= length) {
            let bytes = first.split_to(length);
            if first.is_empty() {
                self.parts.pop_front();
            }
            return bytes;
        }
        let mut bytes = Vec::with_capacity(length);
        while let Some(first) = self.parts.front_mut().filter(|_| bytes.len() < length) {
            let count = first.len().min(length - bytes.len());
            bytes.extend_from_slice(&first.split_to(count));
            if first.is_empty() {
                self.parts.pop_front();
            }
        }
        bytes.into()
    }
}

fn malformed(message: &str) -> Refusal {
    Refusal::Malformed(message.to_owned())
}

#[cfg(test)]
mod tests {
    use futures_util::stream::{self, StreamExt};
    use http_body::Frame;
    use http_body_util::StreamBody;
    use proptest::prelude::*;

    use super::*;

    type Step = Result<Frame<Bytes>, String>;

    fn limits(budget: &Budget) -> MessageLimits {
        MessageLimits {
            budget: budget.clone(),
            bytes: 1000,
            key: "max_recv_msg_size_mib",
            pace: Pace::default(),
            encoding: None,
            deadline: None,
        }
    }

    fn framed(messages: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for message in messages {
            bytes.extend_from_slice(&frame::prefix(false, u32::try_from(message.len()).unwrap()));
            bytes.extend_from_slice(message);
        }
        bytes
    }

    fn body(bytes: &[u8], step: usize) -> StreamBody<impl futures_util::Stream<Item = Step> + use<>> {
        let steps: Vec<Step> =
            bytes.chunks(step).map(|part| Ok(Frame::data(Bytes::copy_from_slice(part)))).collect();
        StreamBody::new(stream::iter(steps))
    }

    proptest! {
        #[test]
        fn messages_come_as_they_were_sent_however_they_are_cut(
            messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..8),
            step in 1usize..400,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            runtime.block_on(async {
                let budget = Budget::new(1 << 20);
                let mut stream = Messages::new(body(&framed(&messages), step), limits(&budget));
                let mut read = Vec::new();
                while let Some(message) = stream.next().await {
                    read.push(message.unwrap().bytes.to_vec());
                }
                assert_eq!(read, messages);
                assert_eq!(budget.used(), 0);
            });
        }

        #[test]
        fn any_bytes_end_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), step in 1usize..50) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            runtime.block_on(async {
                let budget = Budget::new(1 << 20);
                let mut stream = Messages::new(body(&bytes, step), limits(&budget));
                while let Some(message) = stream.next().await {
                    drop(message);
                }
                assert_eq!(budget.used(), 0);
            });
        }
    }

    #[tokio::test]
    async fn a_large_message_is_skipped_and_the_rest_lives() {
        let budget = Budget::new(1 << 20);
        let bytes = framed(&[vec![1; 10], vec![2; 5000], vec![3; 10]]);
        let mut stream = Messages::new(body(&bytes, 64), limits(&budget));
        assert_eq!(stream.next().await.unwrap().unwrap().bytes, vec![1; 10]);
        assert!(matches!(stream.next().await, Some(Err(Broken::Message(Refusal::TooLarge { .. })))));
        assert_eq!(stream.next().await.unwrap().unwrap().bytes, vec![3; 10]);
        assert!(stream.next().await.is_none());
    }

    #[tokio::test]
    async fn only_what_has_arrived_is_taken_without_waiting() {
        let budget = Budget::new(1 << 20);
        let steps = vec![Ok::<_, String>(Frame::data(Bytes::from(framed(&[vec![1; 3], vec![2; 3]]))))];
        let mut stream =
            Messages::new(StreamBody::new(stream::iter(steps).chain(stream::pending())), limits(&budget));
        assert!(stream.next().await.is_some());
        assert!(stream.next_arrived().is_some());
        assert!(stream.next_arrived().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_waits_for_memory_before_it_ends_for_want_of_it() {
        let budget = Budget::new(500);
        let all = budget.charge(450).unwrap();
        let mut stream = Messages::new(body(&framed(&[vec![1; 300]]), 1000), limits(&budget));
        assert!(stream.next().now_or_never().is_none(), "it waits");
        drop(all);
        let message = stream.next().await.unwrap().unwrap();
        assert_eq!((message.bytes.len(), budget.used()), (300, 300));
        let _all = budget.charge(150).unwrap();
        let mut other = Messages::new(body(&framed(&[vec![1; 300]]), 1000), limits(&budget));
        assert!(matches!(other.next().await, Some(Err(Broken::Stream(Refusal::Exhausted(_))))));
        assert!(other.next().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_that_stalls_ends_its_stream_and_silence_does_not() {
        let budget = Budget::new(1 << 20);
        let steps = vec![Ok::<_, String>(Frame::data(Bytes::from_static(&[0, 0, 0, 0, 9, 1])))];
        let stalled = StreamBody::new(stream::iter(steps).chain(stream::pending()));
        let mut stream = Messages::new(stalled, limits(&budget));
        assert!(matches!(stream.next().await, Some(Err(Broken::Stream(Refusal::Slow)))));
        let silent = StreamBody::new(stream::pending::<Step>());
        let mut stream = Messages::new(silent, limits(&budget));
        assert!(timeout(Duration::from_secs(86_400), stream.next()).await.is_err());
    }

    #[tokio::test]
    async fn a_reset_is_an_end() {
        let budget = Budget::new(1 << 20);
        let steps: Vec<Step> =
            vec![Ok(Frame::data(Bytes::from(framed(&[vec![1; 3]])))), Err("reset".to_owned())];
        let mut stream = Messages::new(StreamBody::new(stream::iter(steps)), limits(&budget));
        assert!(stream.next().await.unwrap().is_ok());
        assert_eq!(
            stream.next().await.unwrap().unwrap_err(),
            Broken::Stream(Refusal::Aborted("reset".to_owned()))
        );
        assert!(stream.next().await.is_none());
    }
}
