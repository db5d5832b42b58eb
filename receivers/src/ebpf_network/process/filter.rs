//! Which processes are watched.

use regex::bytes::Regex;
use schemars::JsonSchema;
use serde::Deserialize;
use sluice_pipeline::component::Problem;

use super::Identity;

/// The most memory that a compiled pattern may take, in bytes.
const PATTERN_SIZE: usize = 1 << 20;

/// Which processes are watched. A process is if it matches some entry of `include`, or `include` is empty, and no entry
/// of `exclude`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FilterConfig {
    /// Those to watch; all if empty.
    pub include: Vec<MatcherConfig>,
    /// Those to leave alone, whatever `include` says.
    pub exclude: Vec<MatcherConfig>,
}

/// What a process must be to match: everything that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MatcherConfig {
    /// A regular expression that the path of the executable must match in some place, as in `/nginx$`.
    pub executable: String,
    /// A regular expression that the command line, its words joined by blanks, must match in some place.
    pub command_line: String,
    /// The begin of the container id, at least 8 hexadecimal digits, or `*` for any container.
    pub container_id: String,
    /// Ports of which the server's end of a connection must have one. Other connections of the process are not watched.
    pub ports: Vec<u16>,
}

/// The compiled form of [`FilterConfig`].
#[derive(Clone, Debug, Default)]
pub struct Filter {
    include: Vec<Matcher>,
    exclude: Vec<Matcher>,
}

/// The compiled form of [`MatcherConfig`].
#[derive(Clone, Debug, Default)]
pub struct Matcher {
    executable: Option<Regex>,
    command_line: Option<Regex>,
    container_id: String,
    ports: Vec<u16>,
}

impl FilterConfig {
    /// What cannot work, with keys below `key`.
    pub(crate) fn problems(&self, key: &str, problems: &mut Vec<Problem>) {
        for (list, matchers) in [("include", &self.include), ("exclude", &self.exclude)] {
            for (place, matcher) in matchers.iter().enumerate() {
                let key = format!("{key}.{list}.{place}");
                if *matcher == MatcherConfig::default() {
                    problems.push(Problem::at(
                        &key,
                        "it matches every process; set executable, command_line, container_id or ports",
                    ));
                }
                for (name, pattern) in
                    [("executable", &matcher.executable), ("command_line", &matcher.command_line)]
                {
                    if let Err(error) = compile(pattern) {
                        problems.push(Problem::at(
                            format!("{key}.{name}"),
                            format!("is no regular expression: {error}"),
                        ));
                    }
                }
                let id = &matcher.container_id;
                let is_begin =
                    (8..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_hexdigit());
                if !id.is_empty() && id != "*" && !is_begin {
                    problems.push(Problem::at(
                        format!("{key}.container_id"),
                        "must be 8 to 64 hexadecimal digits, or \"*\"",
                    ));
                }
            }
        }
    }

    /// The compiled form; patterns that [`FilterConfig::problems`] objects to match nothing.
    #[must_use]
    pub fn compile(&self) -> Filter {
        let compiled = |list: &[MatcherConfig]| list.iter().filter_map(MatcherConfig::compile).collect();
        Filter { include: compiled(&self.include), exclude: compiled(&self.exclude) }
    }
}

impl MatcherConfig {
    fn compile(&self) -> Option<Matcher> {
        Some(Matcher {
            executable: compile(&self.executable).ok()?,
            command_line: compile(&self.command_line).ok()?,
            container_id: self.container_id.to_ascii_lowercase(),
            ports: self.ports.clone(),
        })
    }
}

fn compile(pattern: &str) -> Result<Option<Regex>, regex::Error> {
    if pattern.is_empty() {
        return Ok(None);
    }
    regex::bytes::RegexBuilder::new(pattern).size_limit(PATTERN_SIZE).build().map(Some)
}

impl Filter {
    /// Whether it asks anything at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty()
    }

    /// Whether a connection of the process is watched, by the port of the server's end.
    #[must_use]
    pub fn watches(&self, identity: &Identity, port: u16) -> bool {
        let matches = |matcher: &Matcher| matcher.matches(identity) && matcher.takes(port);
        (self.include.is_empty() || self.include.iter().any(matches)) && !self.exclude.iter().any(matches)
    }

    /// Whether any connection of the process can be watched.
    #[must_use]
    pub fn can_watch(&self, identity: &Identity) -> bool {
        (self.include.is_empty() || self.include.iter().any(|matcher| matcher.matches(identity)))
            && !self.exclude.iter().any(|matcher| matcher.matches(identity) && matcher.ports.is_empty())
    }
}

impl Matcher {
    fn takes(&self, port: u16) -> bool {
        self.ports.is_empty() || self.ports.contains(&port)
    }

    fn matches(&self, identity: &Identity) -> bool {
        let container = match self.container_id.as_str() {
            "" => true,
            "*" => !identity.container_id.is_empty(),
            begin => identity.container_id.starts_with(begin),
        };
        container
            && self.executable.as_ref().is_none_or(|pattern| pattern.is_match(identity.executable.as_bytes()))
            && self.command_line.as_ref().is_none_or(|pattern| pattern.is_match(&words(&identity.arguments)))
    }
}

/// The arguments joined by blanks.
fn words(arguments: &[u8]) -> Vec<u8> {
    let arguments = arguments.strip_suffix(&[0]).unwrap_or(arguments);
    arguments.iter().map(|byte| if *byte == 0 { b' ' } else { *byte }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(executable: &str, arguments: &[u8], container_id: &str) -> Identity {
        Identity {
            executable: executable.to_owned(),
            arguments: arguments.to_vec(),
            container_id: container_id.to_owned(),
            ..Identity::default()
        }
    }

    fn filter(json: &str) -> Filter {
        let config: FilterConfig = serde_json::from_str(json).unwrap();
        let mut problems = Vec::new();
        config.problems("processes", &mut problems);
        assert_eq!(problems, []);
        config.compile()
    }

    #[test]
    fn without_entries_all_are_watched() {
        assert!(filter("{}").watches(&process("/bin/a", b"", ""), 80));
        assert!(filter("{}").is_empty());
    }

    #[test]
    fn everything_that_an_entry_sets_must_match() {
        let filter = filter(
            r#"{"include": [{"executable": "/java$", "command_line": "-jar shop\\.jar"}, {"container_id": "*"}],
                "exclude": [{"executable": "/envoy$"}]}"#,
        );
        assert!(filter.watches(&process("/usr/bin/java", b"java\0-jar\0shop.jar\0", ""), 80));
        assert!(!filter.watches(&process("/usr/bin/java", b"java\0-jar\0other.jar\0", ""), 80));
        assert!(filter.watches(&process("/bin/x", b"x\0", "abcdef0123"), 80));
        assert!(!filter.watches(&process("/usr/bin/envoy", b"envoy\0", "abcdef0123"), 80));
    }

    #[test]
    fn ports_choose_connections_of_a_process() {
        let filter =
            filter(r#"{"include": [{"executable": "x", "ports": [80]}], "exclude": [{"ports": [9]}]}"#);
        let process = process("/bin/x", b"", "");
        assert!(filter.watches(&process, 80) && !filter.watches(&process, 81) && filter.can_watch(&process));
        assert!(!filter.watches(&process, 9));
    }

    #[test]
    fn what_cannot_work_is_said_where_it_is() {
        let config: FilterConfig = serde_json::from_str(
            r#"{"include": [{"executable": "("}, {}], "exclude": [{"container_id": "xyz"}]}"#,
        )
        .unwrap();
        let mut problems = Vec::new();
        config.problems("processes", &mut problems);
        let keys: Vec<_> = problems.iter().map(|problem| problem.key.as_str()).collect();
        assert_eq!(
            keys,
            ["processes.include.0.executable", "processes.include.1", "processes.exclude.0.container_id"]
        );
    }
}
