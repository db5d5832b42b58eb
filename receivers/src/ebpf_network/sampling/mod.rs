//! Which exchanges become records, and what of them is kept: rules by path, classes, the slowest of each window.

mod config;
mod rules;
mod size;
mod top;

use sluice_pipeline::exchange::reason;

pub(crate) use self::rules::split;
pub use self::{
    config::{ContentConfig, MAX_CONTENT, RuleConfig, SamplingConfig},
    rules::{InvalidRule, Limits, Rule, Rules, Sampled, Skipped, Wants},
    size::{InvalidSize, Size},
    top::{Offer, Pair, Top},
};

/// Why an exchange is sampled, in the order in which the reasons are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// A status from 500 to 599.
    ServerError,
    /// A status from 400 to 499.
    ClientError,
    /// It lasted at least as long as its rule says.
    Slow,
    /// None of these, but among the share that its rule takes of all.
    Ratio,
}

impl Class {
    /// The value of `sluice.sampling.reason`.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::ServerError => reason::STATUS_5XX,
            Self::ClientError => reason::STATUS_4XX,
            Self::Slow => reason::SLOW,
            Self::Ratio => reason::RATIO,
        }
    }
}

#[cfg(test)]
mod tests;
