//! How later configuration changes earlier one.

use super::{
    Node,
    node::{Mapping, Value},
};

/// Merges a later source into an earlier one as the Collector does: maps deeply; lists and scalars are replaced; null
/// replaces too, so that a null map wipes the earlier map.
pub(super) fn merge(base: &mut Node, later: &Node) {
    combine(base, later, true);
}

/// Lays what a user wrote over defaults: as [`merge`], but null keeps the default.
pub(super) fn lay_over(defaults: &mut Node, written: &Node) {
    combine(defaults, written, false);
}

fn combine(base: &mut Node, later: &Node, null_replaces: bool) {
    match (&mut base.value, &later.value) {
        (Value::Mapping(entries), Value::Mapping(changes)) => combine_maps(entries, changes, null_replaces),
        (_, Value::Null) if !null_replaces => {}
        _ => *base = later.clone(),
    }
}

fn combine_maps(entries: &mut Mapping, changes: &Mapping, null_replaces: bool) {
    let places: std::collections::HashMap<_, _> =
        entries.iter().enumerate().map(|(place, entry)| (entry.key.clone(), place)).collect();
    for change in changes {
        match places.get(&change.key).and_then(|place| entries.at_mut(*place)) {
            Some(entry) => {
                combine(&mut entry.value, &change.value, null_replaces);
                entry.location = change.location.clone();
            }
            None => entries.push(change.clone()),
        }
    }
}
