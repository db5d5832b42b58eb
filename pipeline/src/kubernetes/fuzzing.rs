//! What fuzzing drives: the readers of what an API server says.

use super::{
    api::{Event, Lines, Page, event},
    resources::{EndpointSlice, Pod, Resource},
};

/// What a watch makes of bytes that arrive in pieces of this length: what each line is, and whose address it tells.
#[must_use]
pub fn watch(bytes: &[u8], piece: usize) -> Vec<String> {
    let mut lines = Lines::default();
    let mut found = Vec::new();
    for piece in bytes.chunks(piece.max(1)) {
        lines.push(piece);
        while let Some(line) = lines.next() {
            found.push(match event::<Pod>(&line) {
                Ok(Event::Set(pod)) => format!("set {} {:?}", pod.metadata().name, pod.serves_at()),
                Ok(Event::Removed(pod)) => format!("removed {}", pod.metadata().name),
                Ok(Event::Bookmark(version)) => format!("bookmark {version}"),
                Err(_) => "refused".to_owned(),
            });
        }
    }
    found
}

/// How many objects and addresses a page of a list has; `None` if it is none.
#[must_use]
pub fn list(bytes: &[u8]) -> Option<(usize, usize)> {
    let page: Page<EndpointSlice> = serde_json::from_slice(bytes).ok()?;
    Some((page.items.len(), page.items.iter().map(|slice| slice.serving().count()).sum()))
}
