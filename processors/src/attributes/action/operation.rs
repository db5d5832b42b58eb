//! From the keys of actions to operations, or to what is wrong with them.

use regex::bytes::Regex;
use sluice_pipeline::component::Problem;

use super::{
    config::{ActionConfig, ActionKind},
    convert::Target,
    source::Source,
};

/// What is done to the attributes of each message.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    Set { how: SetHow, key: Vec<u8>, source: Source, default: Option<Vec<u8>> },
    Delete(Keys),
    Hash(Keys),
    Extract { key: Vec<u8>, pattern: Regex, names: Vec<Vec<u8>> },
    Convert { key: Vec<u8>, target: Target },
}

/// When a value is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SetHow {
    Insert,
    Update,
    Upsert,
}

/// Which attributes are meant.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    key: Option<Vec<u8>>,
    pattern: Option<Regex>,
}

impl Keys {
    pub(super) fn matches(&self, key: &[u8]) -> bool {
        self.key.as_deref() == Some(key) || self.pattern.as_ref().is_some_and(|pattern| pattern.is_match(key))
    }
}

/// The operations of these actions, which have no problems; those that do are left out.
pub(crate) fn compile(actions: &[ActionConfig]) -> Vec<Operation> {
    actions.iter().filter_map(|action| Check::of(action, String::new()).operation()).collect()
}

/// What is wrong with these actions, which stand at `list` below their component.
pub(crate) fn problems(actions: &[ActionConfig], list: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    if actions.is_empty() {
        problems.push(Problem::at(list, format!("{list} must have at least one action")));
    }
    for (index, action) in actions.iter().enumerate() {
        let mut check = Check::of(action, format!("{list}.{index}"));
        check.operation();
        problems.append(&mut check.problems);
    }
    problems
}

struct Check<'a> {
    action: &'a ActionConfig,
    place: String,
    problems: Vec<Problem>,
}

impl<'a> Check<'a> {
    fn of(action: &'a ActionConfig, place: String) -> Self {
        Self { action, place, problems: Vec::new() }
    }

    fn problem(&mut self, key: &str, message: impl Into<String>) {
        let place = if key.is_empty() { self.place.clone() } else { format!("{}.{key}", self.place) };
        self.problems.push(Problem::at(place, message));
    }

    fn operation(&mut self) -> Option<Operation> {
        let Some(kind) = self.action.action else {
            self.problem("", "the action has no \"action\": what is to be done");
            return None;
        };
        self.refuse_foreign_keys(kind);
        let operation = match kind {
            ActionKind::Insert => self.set(SetHow::Insert, kind),
            ActionKind::Update => self.set(SetHow::Update, kind),
            ActionKind::Upsert => self.set(SetHow::Upsert, kind),
            ActionKind::Delete => self.keys(kind).map(Operation::Delete),
            ActionKind::Hash => self.keys(kind).map(Operation::Hash),
            ActionKind::Extract => self.extract(),
            ActionKind::Convert => self.convert(),
        };
        operation.filter(|_| self.problems.is_empty())
    }

    /// A key that the action does not use would do nothing.
    fn refuse_foreign_keys(&mut self, kind: ActionKind) {
        use ActionKind::{Convert, Delete, Extract, Hash, Insert, Update, Upsert};
        let action = self.action;
        let sets = matches!(kind, Insert | Update | Upsert);
        for (key, given, used) in [
            ("value", action.value.is_some(), sets),
            ("from_attribute", !action.from_attribute.is_empty(), sets),
            ("from_context", !action.from_context.is_empty(), sets),
            ("default_value", action.default_value.is_some(), sets),
            ("pattern", !action.pattern.is_empty(), matches!(kind, Delete | Hash | Extract)),
            ("converted_type", !action.converted_type.is_empty(), kind == Convert),
        ] {
            if given && !used {
                self.problem(key, format!("action \"{}\" does not use \"{key}\"; remove it", kind.name()));
            }
        }
    }

    fn key(&mut self, kind: ActionKind) -> Option<Vec<u8>> {
        if self.action.key.is_empty() {
            self.problem(
                "",
                format!("action \"{}\" needs a \"key\": the attribute that it acts on", kind.name()),
            );
            return None;
        }
        Some(self.action.key.clone().into_bytes())
    }

    fn set(&mut self, how: SetHow, kind: ActionKind) -> Option<Operation> {
        let action = self.action;
        let key = self.key(kind);
        let default = action.default_value.as_ref().map(|value| value.encoded());
        let mut sources = Vec::new();
        if let Some(value) = &action.value {
            sources.push(Source::Value(value.encoded()));
        }
        if !action.from_attribute.is_empty() {
            sources.push(Source::Attribute(action.from_attribute.clone().into_bytes()));
        }
        if !action.from_context.is_empty() {
            sources.push(Source::context(&action.from_context));
        }
        let source = match (sources.pop(), sources.is_empty()) {
            (Some(source), true) => source,
            (Some(_), false) => {
                self.problem("", "only one of value, from_attribute and from_context can be the source");
                return None;
            }
            (None, _) => match &default {
                Some(value) => Source::Value(value.clone()),
                None => {
                    let message = format!(
                        "action \"{}\" needs one of value, from_attribute, from_context or default_value",
                        kind.name()
                    );
                    self.problem("", message);
                    return None;
                }
            },
        };
        Some(Operation::Set { how, key: key?, source, default })
    }

    fn keys(&mut self, kind: ActionKind) -> Option<Keys> {
        let action = self.action;
        if action.key.is_empty() && action.pattern.is_empty() {
            self.problem("", format!("action \"{}\" needs a \"key\", a \"pattern\" or both", kind.name()));
            return None;
        }
        let pattern = if action.pattern.is_empty() { None } else { Some(self.pattern()?) };
        let key = (!action.key.is_empty()).then(|| action.key.clone().into_bytes());
        Some(Keys { key, pattern })
    }

    fn extract(&mut self) -> Option<Operation> {
        let key = self.key(ActionKind::Extract);
        if self.action.pattern.is_empty() {
            self.problem(
                "",
                "action \"extract\" needs a \"pattern\" with named groups, such as (?P<name>.*)",
            );
            return None;
        }
        let pattern = self.pattern()?;
        let groups: Vec<Option<&str>> = pattern.capture_names().skip(1).collect();
        if groups.is_empty() {
            self.problem("pattern", "the pattern has no named groups, such as (?P<name>.*)");
        }
        let names: Option<Vec<_>> =
            groups.iter().map(|name| Some(name.as_ref()?.as_bytes().to_vec())).collect();
        if names.is_none() {
            self.problem(
                "pattern",
                "every group of the pattern must have a name: (?P<name>.*), or be (?:.*)",
            );
        }
        Some(Operation::Extract { key: key?, names: names?, pattern })
    }

    fn convert(&mut self) -> Option<Operation> {
        let key = self.key(ActionKind::Convert);
        let target = match self.action.converted_type.as_str() {
            "int" => Target::Int,
            "double" => Target::Double,
            "string" => Target::String,
            "" => {
                self.problem("", "action \"convert\" needs a \"converted_type\": int, double or string");
                return None;
            }
            other => {
                self.problem(
                    "converted_type",
                    format!("unknown type {other:?}; it is int, double or string"),
                );
                return None;
            }
        };
        Some(Operation::Convert { key: key?, target })
    }

    fn pattern(&mut self) -> Option<Regex> {
        Regex::new(&self.action.pattern)
            .map_err(|error| {
                self.problem("pattern", format!("the pattern is no regular expression: {error}"))
            })
            .ok()
    }
}
