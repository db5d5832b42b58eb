//! The whole way from `--config` and `--set` to one tree: read, merge, expand.

use super::{
    Location, Node, Problems,
    expand::Expander,
    merge,
    source::{Environment, Source, parse_set},
};

/// Reads all sources, merges them in order, applies `--set`, then expands references such as `${env:NAME}`.
///
/// Answers nothing if any of it is wrong; what is then stands among the problems, as do warnings if it is not.
pub fn load(
    sources: &[Source],
    sets: &[String],
    environment: &dyn Environment,
    problems: &mut Problems,
) -> Option<Node> {
    if sources.is_empty() {
        problems.error(&Location::whole("--config"), "at least one config flag must be provided");
        return None;
    }
    let mut found = Problems::default();
    let mut tree: Option<Node> = None;
    let read = sources.iter().map(|source| source.read(environment, &mut found)).collect::<Vec<_>>();
    let set = sets.iter().map(|set| parse_set(set, &mut found)).collect::<Vec<_>>();
    for node in read.into_iter().chain(set).flatten() {
        match &mut tree {
            Some(tree) if node.is_null() => tree.location = node.location,
            Some(tree) => merge::merge(tree, &node),
            None => tree = Some(node),
        }
    }
    if !found.has_errors()
        && let Some(tree) = &mut tree
    {
        Expander::new(environment, &mut found).expand(tree);
    }
    let sound = !found.has_errors();
    problems.extend(found);
    tree.filter(|_| sound)
}

#[cfg(test)]
mod tests;
