//! Templates of paths, and the one that a request target matches.

use std::collections::HashSet;

/// The most templates.
const MAX_TEMPLATES: usize = 1_000;
/// The most segments of a template.
const MAX_SEGMENTS: usize = 32;
/// The longest template, in bytes.
const MAX_LENGTH: usize = 256;
/// Where a segment of a request target ends, if not with the target.
const ENDS: [u8; 3] = [b'/', b'?', b'#'];

/// Templates of paths such as `/users/{id}/orders/{order}`, as a tree of their segments.
///
/// `{id}` stands for one segment that is not empty, `{path...}` at the end for all that follow, at least one, which may be
/// empty. Text is compared byte by byte: case, percent-encoding and a slash at the end count. Of two templates that match,
/// the more specific counts: in the first segment in which they differ, text before `{id}` before `{path...}`.
///
/// Finding one visits each place of the tree at most once, whatever the target.
#[derive(Clone, Debug, Default)]
pub struct Templates {
    nodes: Vec<Node>,
    texts: Vec<Box<str>>,
}

/// A place in the tree: some first segments of templates.
#[derive(Clone, Debug, Default)]
struct Node {
    /// What follows certain segments.
    literals: Literals,
    /// What follows any segment that is not empty.
    placeholder: Option<usize>,
    /// The template that takes the rest of the path.
    rest: Option<u16>,
    /// The template that ends here.
    end: Option<u16>,
}

/// Segments that are text, with the places that they lead to, in a table that is at most half full.
#[derive(Clone, Debug, Default)]
struct Literals {
    slots: Vec<Option<Literal>>,
    count: usize,
}

#[derive(Clone, Debug)]
struct Literal {
    mark: u64,
    text: Box<[u8]>,
    place: usize,
}

/// Why a list is no list of path templates.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTemplate {
    /// There are too many.
    #[error("lists {0} path templates; at most {MAX_TEMPLATES} are possible")]
    TooMany(usize),
    /// One of them is wrong.
    #[error("the path template {template:?} {reason}")]
    Template {
        /// Its place in the list, from 0.
        place: usize,
        /// Its text.
        template: String,
        /// What is wrong, and what to do.
        reason: String,
    },
}

impl InvalidTemplate {
    /// The key of what is wrong, in a list with this key.
    #[must_use]
    pub fn key(&self, list: &str) -> String {
        match self {
            Self::TooMany(_) => list.to_owned(),
            Self::Template { place, .. } => format!("{list}.{place}"),
        }
    }
}

impl Literals {
    #[inline]
    fn find(&self, text: &[u8], mark: u64) -> Option<usize> {
        let mut slot = self.home(mark);
        while let Some(Some(literal)) = self.slots.get(slot) {
            if literal.mark == mark && *literal.text == *text {
                return Some(literal.place);
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
        None
    }

    fn insert(&mut self, text: &[u8], place: usize) {
        self.count += 1;
        if self.count * 2 > self.slots.len() {
            let size = (self.count * 2).next_power_of_two();
            let literals = std::mem::replace(&mut self.slots, vec![None; size]);
            literals.into_iter().flatten().for_each(|literal| self.put(literal));
        }
        self.put(Literal { mark: mark(text, text.len()), text: text.into(), place });
    }

    fn put(&mut self, literal: Literal) {
        let mut slot = self.home(literal.mark);
        while self.slots[slot].is_some() {
            slot = (slot + 1) & (self.slots.len() - 1);
        }
        self.slots[slot] = Some(literal);
    }

    /// Where the search for a literal begins.
    #[inline]
    fn home(&self, mark: u64) -> usize {
        let spread = mark.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        spread as usize & self.slots.len().wrapping_sub(1)
    }
}

impl Templates {
    /// Templates of these texts.
    ///
    /// # Errors
    /// [`InvalidTemplate`] for the first that is wrong, or matches the same paths as one before it.
    pub fn new<T: AsRef<str>>(texts: &[T]) -> Result<Self, InvalidTemplate> {
        if texts.len() > MAX_TEMPLATES {
            return Err(InvalidTemplate::TooMany(texts.len()));
        }
        let mut templates = Self { nodes: vec![Node::default()], texts: Vec::new() };
        for (place, text) in texts.iter().enumerate() {
            let template = text.as_ref();
            let added = check(template).and_then(|()| templates.add(template));
            added.map_err(|reason| InvalidTemplate::Template {
                place,
                template: template.to_owned(),
                reason,
            })?;
        }
        Ok(templates)
    }

    fn add(&mut self, template: &str) -> Result<(), String> {
        let number = u16::try_from(self.texts.len()).unwrap_or(u16::MAX);
        let mut node = 0;
        let mut taken = None;
        let mut has_rest = false;
        for segment in template.split('/').skip(1) {
            if segment.ends_with("...}") {
                has_rest = true;
                taken = self.nodes[node].rest.replace(number);
            } else {
                node = self.child(node, segment);
            }
        }
        if !has_rest {
            taken = self.nodes[node].end.replace(number);
        }
        if let Some(other) = taken.and_then(|other| self.text(other)) {
            return Err(format!("matches the same paths as {other:?}; remove one"));
        }
        self.texts.push(template.into());
        Ok(())
    }

    /// The place that a segment leads to.
    fn child(&mut self, node: usize, segment: &str) -> usize {
        let next = self.nodes.len();
        let from = &mut self.nodes[node];
        let found = if segment.starts_with('{') {
            *from.placeholder.get_or_insert(next)
        } else {
            match from.literals.find(segment.as_bytes(), mark(segment.as_bytes(), segment.len())) {
                Some(place) => place,
                None => {
                    from.literals.insert(segment.as_bytes(), next);
                    next
                }
            }
        };
        if found == next {
            self.nodes.push(Node::default());
        }
        found
    }

    /// The number of the template that a request target matches: path and query, or an absolute URI.
    #[inline]
    #[must_use]
    pub fn find(&self, target: &[u8]) -> Option<u16> {
        if self.texts.is_empty() {
            return None;
        }
        match target {
            [b'/', rest @ ..] => self.find_below(0, rest),
            _ => self.find_below(0, path_of_uri(target)?),
        }
    }

    /// The text of the template with this number.
    #[must_use]
    pub fn text(&self, number: u16) -> Option<&str> {
        self.texts.get(usize::from(number)).map(AsRef::as_ref)
    }

    /// The template that matches from this place on; `rest` begins with a segment.
    fn find_below(&self, node: usize, rest: &[u8]) -> Option<u16> {
        let node = self.nodes.get(node)?;
        let length = segment_length(rest);
        let Some((segment, after)) = rest.split_at_checked(length) else { return node.rest };
        if let Some(place) = node.literals.find(segment, mark(rest, length))
            && let Some(found) = self.find_after(place, after)
        {
            return Some(found);
        }
        if let Some(place) = node.placeholder.filter(|_| length > 0)
            && let Some(found) = self.find_after(place, after)
        {
            return Some(found);
        }
        node.rest
    }

    /// The template that matches from this place on; `after` is what follows a segment.
    #[inline]
    fn find_after(&self, node: usize, after: &[u8]) -> Option<u16> {
        match after {
            [b'/', rest @ ..] => self.find_below(node, rest),
            _ => self.nodes.get(node)?.end,
        }
    }
}

/// How many bytes there are before the first of [`ENDS`], eight at a time.
#[inline]
fn segment_length(rest: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    // Sets the highest bit of the first byte that is zero; of later bytes it may err.
    let first_zero = |word: u64| word.wrapping_sub(ONES) & !word & (ONES << 7);
    let (words, tail) = rest.as_chunks::<8>();
    for (place, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // A slash and a question mark differ in one bit.
        let slashes = first_zero((word & !(ONES * 0x10)) ^ (ONES * u64::from(b'/')));
        let ends = slashes | first_zero(word ^ (ONES * u64::from(b'#')));
        if ends != 0 {
            return 8 * place + ends.trailing_zeros() as usize / 8;
        }
    }
    8 * words.len() + tail.iter().position(|byte| ENDS.contains(byte)).unwrap_or(tail.len())
}

/// The first and last eight bytes of a segment in one number; of a shorter one its bytes, and zeros. `text` begins with the
/// segment, and may be longer.
#[inline]
fn mark(text: &[u8], length: usize) -> u64 {
    let word = match text.first_chunk() {
        Some(bytes) => u64::from_le_bytes(*bytes),
        None => text.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    };
    match text.get(..length).and_then(<[u8]>::last_chunk) {
        Some(last) => word ^ u64::from_le_bytes(*last).rotate_left(29),
        None => word & ((1 << (8 * length.min(7))) - 1),
    }
}

/// What follows the first slash of the path of an absolute URI.
fn path_of_uri(uri: &[u8]) -> Option<&[u8]> {
    let scheme = uri.iter().position(|byte| !byte.is_ascii_alphanumeric())?;
    let after = uri.get(scheme..)?.strip_prefix(b"://").filter(|_| scheme > 0)?;
    let authority = after.iter().position(|byte| ENDS.contains(byte)).unwrap_or(after.len());
    let path = after.get(authority..)?;
    Some(path.strip_prefix(b"/").unwrap_or(path))
}

/// Says what is wrong with a template.
fn check(template: &str) -> Result<(), String> {
    if template.len() > MAX_LENGTH {
        return Err(format!("is longer than {MAX_LENGTH} bytes"));
    }
    let Some(path) = template.strip_prefix('/') else {
        return Err("does not begin with a slash; write it such as /users/{id}".to_owned());
    };
    if template.contains(['?', '#']) {
        return Err("has a '?' or '#'; a template is a path without query and fragment".to_owned());
    }
    if let Some(character) = template.chars().find(|character| !character.is_ascii_graphic()) {
        return Err(format!(
            "is wrong: the character {character:?} cannot be in a path; write it percent-encoded"
        ));
    }
    let segments: Vec<&str> = path.split('/').collect();
    if segments.len() > MAX_SEGMENTS {
        return Err(format!("has {} segments; at most {MAX_SEGMENTS} are possible", segments.len()));
    }
    let mut names = HashSet::new();
    for (place, segment) in segments.iter().enumerate() {
        let is_last = place + 1 == segments.len();
        if segment.is_empty() && !is_last {
            return Err("has an empty segment; write one slash".to_owned());
        }
        let Some((name, is_rest)) = placeholder(segment)? else { continue };
        if is_rest && !is_last {
            return Err(format!(
                "goes on after {segment:?}; only the last segment can stand for all that follow"
            ));
        }
        if !names.insert(name) {
            return Err(format!("names two placeholders {name:?}; give each its own name"));
        }
    }
    Ok(())
}

/// The name of a placeholder, and whether it stands for all segments that follow; `None` if the segment is text.
fn placeholder(segment: &str) -> Result<Option<(&str, bool)>, String> {
    if !segment.contains(['{', '}']) {
        return Ok(None);
    }
    let inner = segment.strip_prefix('{').and_then(|segment| segment.strip_suffix('}'));
    let (name, is_rest) = match inner.map(|inner| (inner, inner.strip_suffix("..."))) {
        Some((_, Some(name))) => (name, true),
        Some((name, None)) => (name, false),
        None => ("", false),
    };
    let is_name =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    if is_name {
        return Ok(Some((name, is_rest)));
    }
    Err(format!(
        "has the segment {segment:?}; a placeholder is a whole segment with a name, such as {{id}} or {{path...}}"
    ))
}

#[cfg(test)]
mod tests;
