//! Hands on what was answered for already: nobody but the component itself can try again.

use std::time::Duration;

use sluice_pipeline::{Batch, Consumer, Failure, Reply, outlet::offer};
use tokio::time::sleep;

/// How long to wait before a next stage that has no room is asked again: at first, and at most.
const ASK_AGAIN: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));
/// How often a batch is offered before it is given up: about half a minute.
const ATTEMPTS: u32 = 36;

/// A batch that the next stage did not take.
#[derive(Debug)]
pub(crate) struct NotTaken {
    /// For counters: `permanent`, or `refused` until it was given up.
    pub(crate) reason: &'static str,
    pub(crate) failure: Failure,
}

/// Offers a batch until it is taken, or refused for good, or given up.
pub(crate) async fn hand_on(batch: &Batch, next: &dyn Consumer) -> Result<(), NotTaken> {
    let mut pause = ASK_AGAIN.0;
    let mut attempt = 1;
    loop {
        let failure = match offer(next, batch.clone()).await {
            Reply::Failed(failure) => failure,
            Reply::Delivered | Reply::Rejected { .. } | Reply::Mixed(_) => return Ok(()),
        };
        if failure.is_permanent() {
            return Err(NotTaken { reason: "permanent", failure });
        }
        if attempt == ATTEMPTS {
            return Err(NotTaken { reason: "refused", failure });
        }
        sleep(pause).await;
        pause = (pause * 2).min(ASK_AGAIN.1);
        attempt += 1;
    }
}
