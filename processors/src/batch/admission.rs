//! Admission of bytes into batches that are filling up.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use sluice_pipeline::{
    Code, Failure,
    budget::{Budget, Held},
};

/// How many bytes this processor holds back, against the budget of the process.
#[derive(Clone)]
pub(super) struct Admission {
    budget: Budget,
    bytes: Arc<AtomicU64>,
}

/// Bytes admitted; dropping it gives them back.
pub(super) struct Admitted {
    bytes: u64,
    total: Arc<AtomicU64>,
    _held: Held,
}

impl Admission {
    pub(super) fn new(budget: Budget) -> Self {
        Self { budget, bytes: Arc::default() }
    }

    pub(super) fn admit(&self, bytes: usize) -> Result<Admitted, Failure> {
        let bytes = bytes as u64;
        let held = self
            .budget
            .hold(bytes, self.bytes.load(Ordering::Relaxed))
            .map_err(|error| Failure::retryable(error.to_string()).with_code(Code::Unavailable))?;
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(Admitted { bytes, total: Arc::clone(&self.bytes), _held: held })
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.total.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
