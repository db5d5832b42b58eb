//! Feature gates: `--feature-gates` and `sluice featuregate`.

use std::fmt::Write as _;

use crate::{
    arguments::FeaturegateOptions,
    output::{self, CommandError},
};

/// A switch for behaviour that the Collector gates.
struct Gate {
    id: &'static str,
    default: bool,
    description: &'static str,
}

const GATES: [Gate; 1] = [Gate {
    id: "service.profilesSupport",
    default: true,
    description: "Pipelines may carry profiles (the Collector has this off)",
}];

/// The state of all gates.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gates {
    pub(crate) profiles: bool,
}

impl Gates {
    /// The defaults, changed by `+id`, `id` (on) and `-id` (off).
    pub(crate) fn parse(changes: &[String]) -> Result<Self, CommandError> {
        let mut states = GATES.map(|gate| gate.default);
        for change in changes.iter().map(|change| change.trim()).filter(|change| !change.is_empty()) {
            let (id, on) = match change.split_at_checked(1) {
                Some(("+", id)) => (id, true),
                Some(("-", id)) => (id, false),
                _ => (change, true),
            };
            let Some(place) = GATES.iter().position(|gate| gate.id == id) else {
                let known: Vec<&str> = GATES.iter().map(|gate| gate.id).collect();
                return Err(CommandError::Other(format!(
                    "--feature-gates: no gate \"{id}\" in this build; it has {}",
                    known.join(", ")
                )));
            };
            if let Some(state) = states.get_mut(place) {
                *state = on;
            }
        }
        let [profiles] = states;
        Ok(Self { profiles })
    }
}

pub(crate) fn list(options: &FeaturegateOptions) -> Result<(), CommandError> {
    let wanted = |gate: &&Gate| options.gate.as_deref().is_none_or(|id| id == gate.id);
    let mut text = String::new();
    for gate in GATES.iter().filter(wanted) {
        let state = if gate.default { "on" } else { "off" };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{:<34} {state:<4} {}", gate.id, gate.description);
    }
    if text.is_empty() {
        return Err(CommandError::Other("no such gate; `sluice featuregate` lists all".to_owned()));
    }
    output::print(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gates_are_switched_by_sign() {
        assert!(Gates::parse(&[]).unwrap().profiles);
        assert!(!Gates::parse(&["-service.profilesSupport".into()]).unwrap().profiles);
        assert!(Gates::parse(&["+service.profilesSupport".into()]).unwrap().profiles);
        assert!(Gates::parse(&["+nonsense".into()]).is_err());
    }
}
