//! Why Kubernetes did not say what it was asked.

use crate::reply::Failure;

/// Why a list or a watch ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum KubernetesError {
    /// No connection, or no answer.
    #[error("{}", .0.message)]
    Unreachable(Failure),
    /// The server answered with a status that is no success.
    #[error("{0}")]
    Refused(Refusal),
    /// What was to be watched from is no longer kept (410); a new list is needed.
    #[error("Kubernetes no longer knows the version of {what} that was asked for; they are listed again")]
    Gone {
        /// What was asked for.
        what: String,
    },
    /// Nothing came for longer than the server said that it would wait.
    #[error("the watch of {what} has been silent for {seconds} s; it is begun again")]
    Stalled {
        /// What is watched.
        what: String,
        /// For how long.
        seconds: u64,
    },
    /// The answer is not Kubernetes' JSON.
    #[error("the answer about {what} is not what Kubernetes answers: {reason}; is {place} an API server?")]
    Malformed {
        /// What was asked for.
        what: String,
        /// Where.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The answer, or an object in it, is larger than anything that Kubernetes keeps.
    #[error("the answer about {what} is larger than {limit} bytes")]
    TooLarge {
        /// What was asked for.
        what: String,
        /// The limit.
        limit: usize,
    },
    /// The objects together take more memory than what is kept of a selection may.
    #[error(
        "what is kept of {what} takes more than {limit} MiB of memory, with {objects} objects; select fewer, or extract \
         fewer labels and annotations"
    )]
    TooMuch {
        /// What was asked for.
        what: String,
        /// How many objects there were by then.
        objects: usize,
        /// The limit, in MiB.
        limit: usize,
    },
}

/// A status that is no success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// What was asked for, such as `pods in namespace a`.
    pub what: String,
    /// Its plural name in rules of roles.
    pub resource: &'static str,
    /// The group of its API; empty for the core.
    pub group: &'static str,
    /// The server's own words.
    pub message: String,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { status, what, resource, group, message } = self;
        write!(formatter, "Kubernetes answered {status} about {what}")?;
        if !message.is_empty() {
            write!(formatter, ": {message}")?;
        }
        match status {
            401 => formatter.write_str("; is the token of this cluster, and has it not run out?"),
            403 => write!(
                formatter,
                "; the service account needs a role with the verbs list and watch on {resource} (apiGroups: \
                 [{group:?}]), see docs/kubernetes.md"
            ),
            _ => Ok(()),
        }
    }
}

impl KubernetesError {
    /// The label of it in metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::Refused(Refusal { status: 401 | 403, .. }) => "forbidden",
            Self::Refused(_) => "refused",
            Self::Gone { .. } => "gone",
            Self::Stalled { .. } => "stalled",
            Self::Malformed { .. } => "malformed",
            Self::TooLarge { .. } => "too_large",
            Self::TooMuch { .. } => "too_much",
        }
    }
}
