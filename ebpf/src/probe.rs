//! What this host allows, found by looking and by loading, and what would mend what it does not.

mod causes;
mod host;

use std::time::Duration;

pub use causes::Problem;
pub use host::{Capability, Host, Identities};

use crate::{LoadError, Programs, Settings, Tier, TierChoice};

/// What was found.
#[derive(Clone, Debug)]
pub struct Findings {
    /// What can be seen without loading anything.
    pub host: Host,
    /// Both tiers, the better one first.
    pub attempts: [Attempt; 2],
    /// What is missing, the worst first.
    pub problems: Vec<Problem>,
}

/// What became of loading a tier's programs.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Which tier.
    pub tier: Tier,
    /// How long it took and what is missing, or why it failed.
    pub outcome: Result<Loaded, Refusal>,
}

/// A tier that works.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// How long it took to load and attach the programs.
    pub took: Duration,
    /// Optional programs that the kernel refused, with what is missing without them.
    pub missing: Vec<(&'static str, &'static str)>,
}

/// Why a tier does not work.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// What was being done, and the kernel's own words.
    pub reason: String,
    /// The kernel said that it is not permitted, rather than that there is something it does not have.
    pub is_denied: bool,
}

impl Findings {
    /// The tier that would be taken.
    #[must_use]
    pub fn tier(&self) -> Option<Tier> {
        self.attempts.iter().find(|attempt| attempt.outcome.is_ok()).map(|attempt| attempt.tier)
    }
}

/// Looks at the host, and loads, attaches and removes the programs of both tiers.
#[must_use]
pub fn probe() -> Findings {
    let host = Host::look();
    let attempts = [(Tier::A, TierChoice::A), (Tier::B, TierChoice::B)].map(|(tier, choice)| Attempt {
        tier,
        outcome: match Programs::load(&Settings { tier: choice, ring_bytes: 0, ..Settings::default() }) {
            Ok(programs) => {
                let report = programs.report();
                Ok(Loaded { took: report.took, missing: report.missing.clone() })
            }
            Err(error) => Err(refusal(&error)),
        },
    });
    let problems = causes::find(&host, &attempts);
    Findings { host, attempts, problems }
}

fn refusal(error: &LoadError) -> Refusal {
    let hint: &str = match error {
        LoadError::Types(_) | LoadError::Mismatch(_) | LoadError::Rejected { .. } => "",
        LoadError::Object { hint, .. } | LoadError::Program { hint, .. } => hint,
    };
    let text = error.to_string();
    let reason = text.strip_suffix(hint).unwrap_or(&text).trim_end();
    // It was refused before the verifier looked at it.
    let reason = reason.strip_suffix("Verifier output:").unwrap_or(reason).trim_end();
    Refusal { reason: reason.to_owned(), is_denied: !hint.is_empty() }
}
