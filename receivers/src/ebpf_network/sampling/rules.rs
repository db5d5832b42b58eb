//! Rules ready to decide.

use std::time::Duration;

use regex::{RegexSet, RegexSetBuilder};

use super::{Class, config::RuleConfig, config::SamplingConfig};
use crate::ebpf_network::exchange::{Exchange, Request};

/// The most memory that the compiled expressions may take, in bytes.
pub(super) const EXPRESSION_SIZE: usize = 1 << 20;

/// Rules, ready to decide. Share one between all who ask.
#[derive(Debug)]
pub struct Rules {
    expressions: RegexSet,
    /// One for each expression, then the default.
    rules: Vec<Rule>,
    untraced: bool,
    honour_sampled_flag: bool,
    syscalls: bool,
    limits: Limits,
}

/// A rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name, or its expression, or `default`.
    pub name: String,
    /// The most bytes to keep of head and body of the request; `None` keeps nothing.
    pub request: Option<usize>,
    /// The same of the response.
    pub response: Option<usize>,
    status_5xx: bool,
    status_4xx: bool,
    /// In nanoseconds.
    min_duration: Option<u64>,
    /// An exchange is taken if the end of its trace id is below this share of 2^64.
    threshold: u128,
}

/// What to keep of an exchange that has just begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// Bytes of the request's body.
    pub request: usize,
    /// Bytes of the response's body.
    pub response: usize,
    /// Its system calls.
    pub syscalls: bool,
}

/// The most that any rule can want.
pub type Limits = Wants;

/// A decision for an exchange.
#[derive(Clone, Copy, Debug)]
pub struct Sampled<'r> {
    /// Why.
    pub class: Class,
    /// By which rule.
    pub rule: &'r Rule,
    /// How long the exchange lasted, in nanoseconds.
    pub duration: u64,
}

/// Why there is no record of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Skipped {
    /// Its request carries no trace context.
    Untraced,
    /// Its trace context says that the trace is not sampled.
    NotSampled,
    /// Its rule asks for nothing that it is.
    Unremarkable,
}

/// Expressions that cannot be compiled together.
#[derive(Debug, thiserror::Error)]
#[error("cannot compile the expressions of the sampling rules: {0}; use fewer or shorter ones")]
pub struct InvalidRule(#[from] regex::Error);

impl Rules {
    /// Compiles a configuration without problems.
    ///
    /// # Errors
    /// [`InvalidRule`] if the expressions are invalid, or too large together.
    pub fn new(config: &SamplingConfig) -> Result<Self, InvalidRule> {
        let expressions = RegexSetBuilder::new(config.rules.iter().map(|rule| &rule.uri))
            .size_limit(EXPRESSION_SIZE)
            .dfa_size_limit(EXPRESSION_SIZE)
            .build()?;
        let rules: Vec<_> =
            config.rules.iter().chain(std::iter::once(&config.fallback)).map(Rule::new).collect();
        let most = |of: fn(&Rule) -> Option<usize>| {
            rules.iter().filter(|rule| rule.is_live()).filter_map(of).max().unwrap_or(0)
        };
        let limits = Limits {
            request: most(|rule| rule.request),
            response: most(|rule| rule.response),
            syscalls: config.syscall_events && rules.iter().any(Rule::is_live),
        };
        Ok(Self {
            expressions,
            rules,
            untraced: config.untraced,
            honour_sampled_flag: config.honour_sampled_flag,
            syscalls: config.syscall_events,
            limits,
        })
    }

    /// The most that any rule can want: what the kernel needs to capture.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        self.limits
    }

    /// How long an exchange that succeeds (2xx, 3xx) has to last so that some rule can take it; the longest time if none can
    /// however long it lasts, `None` if some rule can take any.
    #[must_use]
    pub fn remarkable_after(&self) -> Option<Duration> {
        let live = || self.rules.iter().filter(|rule| rule.is_live());
        if live().any(|rule| rule.threshold > 0 || rule.min_duration == Some(0)) {
            return None;
        }
        let least = live().filter_map(|rule| rule.min_duration).min();
        Some(least.map_or(Duration::MAX, Duration::from_nanos))
    }

    /// What to keep of an exchange, once the head of its request is known.
    #[must_use]
    pub fn wants(&self, request: &Request<'_>) -> Wants {
        if self.limits == Limits::default() || self.refuses(request).is_some() {
            return Wants::default();
        }
        let rule = self.rule(request.target);
        if !rule.is_live() {
            return Wants::default();
        }
        Wants {
            request: rule.request.unwrap_or(0),
            response: rule.response.unwrap_or(0),
            syscalls: self.syscalls,
        }
    }

    /// Whether records list system calls.
    #[must_use]
    pub const fn syscalls(&self) -> bool {
        self.syscalls
    }

    /// Decides for an exchange that has ended.
    ///
    /// # Errors
    /// [`Skipped`] says why there is to be no record of it.
    pub fn judge(&self, exchange: &Exchange<'_>) -> Result<Sampled<'_>, Skipped> {
        if let Some(skipped) = self.refuses(&exchange.request) {
            return Err(skipped);
        }
        let rule = self.rule(exchange.request.target);
        let duration = duration(exchange);
        let class = match exchange.response.map(|response| response.status) {
            Some(500..=599) if rule.status_5xx => Class::ServerError,
            Some(400..=499) if rule.status_4xx => Class::ClientError,
            _ if rule.min_duration.is_some_and(|least| duration >= least) => Class::Slow,
            _ if rule.takes(exchange) => Class::Ratio,
            _ => return Err(Skipped::Unremarkable),
        };
        Ok(Sampled { class, rule, duration })
    }

    fn refuses(&self, request: &Request<'_>) -> Option<Skipped> {
        if self.honour_sampled_flag && request.contexts.sampled() == Some(false) {
            return Some(Skipped::NotSampled);
        }
        (!self.untraced && request.contexts.first().is_none()).then_some(Skipped::Untraced)
    }

    fn rule(&self, target: &str) -> &Rule {
        let first = if self.expressions.is_empty() {
            None
        } else {
            self.expressions.matches(split(target).path).iter().next()
        };
        &self.rules[first.unwrap_or(self.rules.len() - 1)]
    }
}

impl Rule {
    fn new(config: &RuleConfig) -> Self {
        let name = match (config.name.as_str(), config.uri.as_str()) {
            ("", "") => "default",
            ("", uri) => uri,
            (name, _) => name,
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of 2^64, checked to be 0 to 1"
        )]
        let threshold = (config.ratio * 2f64.powi(64)) as u128;
        Self {
            name: name.to_owned(),
            request: config.request.content.then_some(config.request.max_size.0),
            response: config.response.content.then_some(config.response.max_size.0),
            status_5xx: config.status_5xx,
            status_4xx: config.status_4xx,
            min_duration: config
                .min_duration
                .map(|duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)),
            threshold,
        }
    }

    /// Whether it can sample anything.
    fn is_live(&self) -> bool {
        self.status_5xx || self.status_4xx || self.min_duration.is_some() || self.threshold > 0
    }

    fn takes(&self, exchange: &Exchange<'_>) -> bool {
        self.threshold > 0 && u128::from(place(exchange)) < self.threshold
    }
}

/// From the begin of the request to the end of the response, in nanoseconds; to the end of the request if there is none.
fn duration(exchange: &Exchange<'_>) -> u64 {
    let request = &exchange.request.message;
    let end = exchange.response.map_or(request.end, |response| response.message.end);
    end.max(request.end).saturating_sub(request.start)
}

/// A number evenly spread over exchanges, the same for all exchanges of a trace.
fn place(exchange: &Exchange<'_>) -> u64 {
    let seed = match exchange.request.contexts.first() {
        Some(context) => {
            let id = context.trace_id.trim_start_matches('0').as_bytes();
            id.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
                (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0000_01b3)
            })
        }
        None => exchange.request.message.start,
    };
    // The finaliser of SplitMix64.
    let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The parts of a request target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    /// Without query and fragment; empty if the target is an authority.
    pub(crate) path: &'a str,
    /// What follows the question mark.
    pub(crate) query: &'a str,
}

/// Splits a request target in any of its forms (RFC 9112 section 3.2).
pub(crate) fn split(target: &str) -> Target<'_> {
    let (before, query) = target.split_once('?').unwrap_or((target, ""));
    let path = match before.split_once("://") {
        _ if before.starts_with('/') => before,
        Some((_, rest)) => rest.find('/').map_or("/", |slash| &rest[slash..]),
        None if before == "*" => before,
        None => "",
    };
    let path = path.split_once('#').map_or(path, |(path, _)| path);
    Target { path, query }
}
