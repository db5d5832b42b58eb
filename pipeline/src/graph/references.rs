//! Extensions that components name by id: running, and able to do what they are named for.

use std::collections::BTreeSet;

use super::plan::Plan;
use crate::{
    component::{Kind, Reference},
    config::{Document, Problems, suggest},
};

/// Reports every reference to an extension that does not run or cannot do what it is named for.
pub(super) fn check(document: &Document, plan: &Plan<'_>, problems: &mut Problems) {
    let mut checked = BTreeSet::new();
    for planned in plan.components() {
        if !checked.insert((planned.kind, &planned.id)) {
            continue;
        }
        let Ok(config) = planned.config() else { continue };
        for reference in planned.entry.references(&config) {
            let problem = match planned.kind {
                Kind::Extension => {
                    Some("an extension cannot use another one in this build; remove it".to_owned())
                }
                _ => problem(&reference, document, plan),
            };
            if let Some(message) = problem {
                problems.at_key(&planned.body, &reference.key, message);
            }
        }
    }
}

fn problem(reference: &Reference, document: &Document, plan: &Plan<'_>) -> Option<String> {
    let Reference { id, needs, .. } = reference;
    if let Some(extension) = plan.extensions.iter().find(|extension| extension.id == *id) {
        // One whose own keys are wrong is reported there.
        let offers = extension.entry.offers(&extension.config().ok()?);
        return (!offers.contains(needs)).then(|| {
            let able = offers.iter().map(|offer| format!("; it can {offer}")).collect::<String>();
            format!("extension \"{id}\" as it is configured does not {needs}{able}")
        });
    }
    if document.extensions.iter().any(|listed| listed.value == *id) {
        return None;
    }
    let defined = || document.definitions.iter().filter(|definition| definition.kind == Kind::Extension);
    if defined().any(|definition| definition.id.value == *id) {
        return Some(format!("extension \"{id}\" is not started; list it in service.extensions"));
    }
    let names: Vec<String> = defined().map(|definition| definition.id.value.to_string()).collect();
    let meant = suggest::nearest(&id.to_string(), names.iter().map(String::as_str));
    let meant = meant.map_or_else(String::new, |nearest| format!("; did you mean \"{nearest}\"?"));
    Some(format!("extension \"{id}\" is not configured under extensions{meant}"))
}
