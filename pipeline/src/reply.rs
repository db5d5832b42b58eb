//! What a component answers to a batch.

use std::{fmt, time::Duration};

use crate::batch::Origin;

/// The answer to a batch. A receiver answers its client from it, and only then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Everything is safe: delivered, or held as durably as the configuration asks for.
    Delivered,
    /// The destination took the batch but rejected some of its items for good (OTLP partial success).
    Rejected {
        /// How many items; 0 when the destination only sent a warning.
        items: u64,
        /// The destination's own words.
        message: String,
    },
    /// Nothing was taken.
    Failed(Failure),
    /// A merged batch whose callers fared differently; each origin once.
    Mixed(Vec<(Origin, Reply)>),
}

/// Why a batch was not taken, and whether trying again can help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Whether the same batch may be accepted later.
    pub retry: Retry,
    /// The status of the protocol in which the failure arose, where it had one.
    pub code: Option<Code>,
    /// What was being done, to what, and why it failed.
    pub message: String,
}

/// Whether the same batch may be accepted later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Never: the batch itself is at fault.
    Permanent,
    /// Later, after the sender's own back-off.
    Backoff,
    /// Later, not before this delay, which the destination asked for.
    After(Duration),
}

/// The status codes of gRPC, the common currency for failures.
/// Source: gRPC core documentation, "Status codes and their use in gRPC".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are gRPC's own")]
pub enum Code {
    Ok = 0,
    Cancelled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

impl Code {
    const ALL: [Self; 17] = [
        Self::Ok,
        Self::Cancelled,
        Self::Unknown,
        Self::InvalidArgument,
        Self::DeadlineExceeded,
        Self::NotFound,
        Self::AlreadyExists,
        Self::PermissionDenied,
        Self::ResourceExhausted,
        Self::FailedPrecondition,
        Self::Aborted,
        Self::OutOfRange,
        Self::Unimplemented,
        Self::Internal,
        Self::Unavailable,
        Self::DataLoss,
        Self::Unauthenticated,
    ];

    /// The code with this number; `Unknown` for a number that gRPC does not define.
    #[must_use]
    pub fn from_number(number: u32) -> Self {
        usize::try_from(number).ok().and_then(|index| Self::ALL.get(index).copied()).unwrap_or(Self::Unknown)
    }

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, formatter)
    }
}

impl Failure {
    /// A failure that no retry can mend.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self { retry: Retry::Permanent, code: None, message: message.into() }
    }

    /// A failure that may pass.
    pub fn retryable(message: impl Into<String>) -> Self {
        Self { retry: Retry::Backoff, code: None, message: message.into() }
    }

    /// The same failure with the protocol status in which it arose.
    #[must_use]
    pub fn with_code(mut self, code: Code) -> Self {
        self.code = Some(code);
        self
    }

    /// The same failure, to be retried not before `delay`.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.retry = Retry::After(delay);
        self
    }

    /// Whether no retry can mend it.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        self.retry == Retry::Permanent
    }
}

impl Reply {
    /// Joins the answers of several consumers that each got the whole batch.
    ///
    /// A retryable failure wins, so that no branch loses what it could still take; then a permanent one, then a
    /// partial rejection (the largest count: the same items may be meant).
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        fn rank(reply: &Reply) -> u8 {
            match reply {
                Reply::Delivered => 0,
                Reply::Rejected { .. } => 1,
                Reply::Mixed(_) => 2,
                Reply::Failed(failure) if failure.is_permanent() => 3,
                Reply::Failed(_) => 4,
            }
        }
        match (self, other) {
            (Self::Mixed(mut all), Self::Mixed(others)) => {
                for (origin, reply) in others {
                    match all.iter_mut().find(|(known, _)| *known == origin) {
                        Some((_, joined)) => *joined = joined.clone().join(reply),
                        None => all.push((origin, reply)),
                    }
                }
                Self::Mixed(all)
            }
            (Self::Mixed(all), whole) | (whole, Self::Mixed(all)) => Self::Mixed(
                all.into_iter().map(|(origin, reply)| (origin, reply.join(whole.clone()))).collect(),
            ),
            (Self::Rejected { items, message }, Self::Rejected { items: others, message: theirs }) => {
                if items >= others {
                    Self::Rejected { items, message }
                } else {
                    Self::Rejected { items: others, message: theirs }
                }
            }
            (one, two) => {
                if rank(&two) > rank(&one) {
                    two
                } else {
                    one
                }
            }
        }
    }

    /// The answer for one origin of a merged batch.
    #[must_use]
    pub fn for_origin(&self, origin: Origin) -> Self {
        match self {
            Self::Mixed(all) => all
                .iter()
                .find(|(known, _)| *known == origin)
                .map_or(Self::Delivered, |(_, reply)| reply.clone()),
            whole => whole.clone(),
        }
    }
}

impl From<Failure> for Reply {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retryable_branch_outranks_a_permanent_one() {
        let retryable = Reply::Failed(Failure::retryable("busy"));
        let permanent = Reply::Failed(Failure::permanent("bad"));
        assert_eq!(permanent.clone().join(retryable.clone()), retryable);
        assert_eq!(retryable.clone().join(permanent), retryable);
        assert_eq!(Reply::Delivered.join(retryable.clone()), retryable);
    }

    #[test]
    fn mixed_answers_join_per_origin() {
        let (one, two) = (Origin::next(), Origin::next());
        let bad = Reply::Failed(Failure::permanent("bad"));
        let mixed = Reply::Mixed(vec![(one, bad.clone()), (two, Reply::Delivered)]);
        let busy = Reply::Failed(Failure::retryable("busy"));
        let joined = mixed.join(Reply::Mixed(vec![(two, busy.clone())]));
        assert_eq!(joined.for_origin(one), bad);
        assert_eq!(joined.for_origin(two), busy);
    }

    #[test]
    fn unknown_numbers_are_unknown() {
        assert_eq!(Code::from_number(14), Code::Unavailable);
        assert_eq!(Code::from_number(4_000_000_000), Code::Unknown);
    }
}
