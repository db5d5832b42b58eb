//! Whether `sending_queue.storage` of each exporter names an extension that runs and holds queues.

use std::collections::BTreeSet;

use super::plan::Planned;
use crate::{
    component::ComponentId,
    config::{Document, Node, Problems, Value},
};

/// Where an exporter names its storage.
const QUEUE: &str = "sending_queue";

pub(super) fn check<'a, 'r: 'a>(
    document: &Document,
    exporters: impl Iterator<Item = &'a Planned<'r>>,
    extensions: &[Planned<'_>],
    problems: &mut Problems,
) {
    let mut seen = BTreeSet::new();
    for exporter in exporters.filter(|exporter| seen.insert(exporter.id.clone())) {
        let Some(reference) = storage(&exporter.body) else { continue };
        // What is no id was reported when the exporter was decoded.
        let Some(Ok(id)) = reference.as_text().map(str::parse::<ComponentId>) else { continue };
        let message = match extensions.iter().find(|extension| extension.id == id) {
            Some(extension) if extension.entry.holds_queues() => continue,
            Some(_) => format!("extension \"{id}\" holds no queues; name one of type file_storage"),
            // One that is listed and did not come to be planned was reported there.
            None if document.extensions.iter().any(|listed| listed.value == id) => continue,
            None if document.definitions.iter().any(|definition| definition.id.value == id) => {
                format!("extension \"{id}\" is not running; list it in service.extensions")
            }
            None => format!(
                "extension \"{id}\" is not defined; define it under extensions and list it in service.extensions"
            ),
        };
        problems.error(&reference.location, message);
    }
}

/// The value of the key in a queue that is not off.
fn storage(body: &Node) -> Option<&Node> {
    let queue = body.get(QUEUE)?;
    let off = queue.get("enabled").is_some_and(|enabled| matches!(enabled.value, Value::Bool(false)));
    queue.get("storage").filter(|storage| !off && !storage.is_null())
}
