//! The walk of an editor over an encoded root message.

use bytes::Bytes;

use super::{
    Editor, Rewritten, Visit,
    output::Output,
    part::Part,
    place::{Place, places},
};
use crate::{
    otlp::{
        count::{count_data_points, count_samples},
        schema::{self, Message, Type},
    },
    signal::Signal,
};

/// The resource in a resource group, and the scope in a scope group.
const HEAD: u32 = 1;
/// The scope groups in a resource group, and what a scope group holds.
const MEMBERS: u32 = 2;
/// The data points in the data of a metric.
const DATA_POINTS: u32 = 1;
/// The events of a span.
const EVENTS: u32 = 11;

/// Shows a root message in canonical form to an editor and writes what it makes of it.
pub(super) fn rewrite(signal: Signal, source: &[u8], editor: &mut impl Editor) -> Rewritten {
    let mut walk = Walk {
        signal,
        editor,
        output: Output::new(source),
        removed: 0,
        head: Part::new(&schema::RESOURCE),
        outer: Part::new(&schema::METRIC),
        inner: Part::new(&schema::SPAN_EVENT),
    };
    for group in places(source, 0).filter(|place| place.number == 1) {
        walk.group(Level::Resource, group);
    }
    match walk.output.finish() {
        None => Rewritten::Unchanged,
        Some(bytes) => Rewritten::Changed { bytes: Bytes::from(bytes), removed: walk.removed },
    }
}

#[derive(Clone, Copy, Debug)]
enum Level {
    Resource,
    Scope,
}

struct Walk<'a, 'e, E> {
    signal: Signal,
    editor: &'e mut E,
    output: Output<'a>,
    /// Items dropped so far.
    removed: usize,
    /// For resources and scopes.
    head: Part<'a>,
    /// For metrics, spans, log records and profiles.
    outer: Part<'a>,
    /// For data points and span events.
    inner: Part<'a>,
}

/// How much of what a message contains is left.
#[derive(Clone, Copy, Debug, Default)]
struct Left {
    kept: bool,
    dropped: bool,
}

impl Left {
    fn count(&mut self, kept: bool) {
        self.kept |= kept;
        self.dropped |= !kept;
    }

    /// Whether something was dropped and nothing is left. What came empty stays.
    fn emptied(self) -> bool {
        self.dropped && !self.kept
    }
}

/// Each method says whether the message is kept.
impl<'a, E: Editor> Walk<'a, '_, E> {
    fn group(&mut self, level: Level, group: Place<'a>) -> bool {
        let head = places(group.content, group.content_start()).find(|place| place.number == HEAD);
        let bytes = head.map_or(&[][..], |place| place.content);
        let visit = match level {
            Level::Resource => {
                self.head.show(&schema::RESOURCE, bytes);
                self.editor.resource(&mut self.head)
            }
            Level::Scope => {
                self.head.show(&schema::SCOPE, bytes);
                self.editor.scope(&mut self.head)
            }
        };
        if visit == Visit::Drop {
            self.removed += items_in_group(self.signal, level, group.content);
            self.output.replace(group.start, group.end, &[]);
            return false;
        }
        self.output.enter(group);
        match head {
            Some(place) => self.head.write(&mut self.output, place),
            None if self.head.patches().is_empty() => {}
            None => self.output.insert(group.content_start(), HEAD, &self.head.patches().made()),
        }
        let mut left = Left { kept: visit == Visit::Keep, dropped: false };
        if visit == Visit::Descend {
            for member in places(group.content, group.content_start()).filter(|place| place.number == MEMBERS)
            {
                left.count(match (level, self.signal) {
                    (Level::Resource, _) => self.group(Level::Scope, member),
                    (Level::Scope, Signal::Metrics) => self.metric(member),
                    (Level::Scope, Signal::Traces) => self.item(&schema::SPAN, member),
                    (Level::Scope, Signal::Logs) => self.item(&schema::LOG_RECORD, member),
                    (Level::Scope, Signal::Profiles) => self.item(&schema::PROFILE, member),
                });
            }
        }
        self.leave(left)
    }

    #[inline]
    fn item(&mut self, message: &'static Message, item: Place<'a>) -> bool {
        self.outer.show(message, item.content);
        let visit = self.editor.item(&mut self.outer);
        if visit == Visit::Drop {
            self.removed += if self.signal == Signal::Profiles { count_samples(item.content) } else { 1 };
            self.output.replace(item.start, item.end, &[]);
            return false;
        }
        if visit == Visit::Descend && self.signal == Signal::Traces {
            self.output.enter(item);
            self.members(item, |walk, field| {
                if field.number == EVENTS {
                    walk.event(field);
                }
            });
            self.output.leave();
        } else {
            self.outer.write(&mut self.output, item);
        }
        true
    }

    fn metric(&mut self, metric: Place<'a>) -> bool {
        self.outer.show(&schema::METRIC, metric.content);
        let visit = self.editor.metric(&mut self.outer);
        if visit == Visit::Drop {
            self.removed += count_data_points(metric.content);
            self.output.replace(metric.start, metric.end, &[]);
            return false;
        }
        if visit == Visit::Keep {
            self.outer.write(&mut self.output, metric);
            return true;
        }
        self.output.enter(metric);
        let mut left = Left::default();
        self.members(metric, |walk, field| {
            if let Some(point) = data_point_type(field.number) {
                left.count(walk.data(point, field));
            }
        });
        self.leave(left)
    }

    /// The data of a metric, which holds data points of this type.
    fn data(&mut self, point: &'static Message, data: Place<'a>) -> bool {
        self.output.enter(data);
        let mut left = Left::default();
        for place in places(data.content, data.content_start()).filter(|place| place.number == DATA_POINTS) {
            self.inner.show(point, place.content);
            let kept = self.editor.item(&mut self.inner) != Visit::Drop;
            self.inner_part(place, kept);
            self.removed += usize::from(!kept);
            left.count(kept);
        }
        // A metric that came without points is no reason to drop it.
        left.kept |= !left.dropped;
        self.leave(left)
    }

    fn event(&mut self, event: Place<'a>) {
        self.inner.show(&schema::SPAN_EVENT, event.content);
        let kept = self.editor.event(&mut self.inner) != Visit::Drop;
        self.inner_part(event, kept);
    }

    #[inline]
    fn inner_part(&mut self, place: Place<'a>, kept: bool) {
        if kept {
            self.inner.write(&mut self.output, place);
        } else {
            self.output.replace(place.start, place.end, &[]);
        }
    }

    /// Visits the fields of the message in `outer` between the changes to it.
    fn members(&mut self, message: Place<'a>, mut visit: impl FnMut(&mut Self, Place<'a>)) {
        let base = message.content_start();
        let mut next = 0;
        for field in places(message.content, base) {
            let start = field.start - base;
            let patches = self.outer.patches();
            next = patches.apply(next, start + 1, &mut self.output, base);
            if !patches.cover(start) {
                visit(self, field);
            }
        }
        self.outer.patches().apply(next, usize::MAX, &mut self.output, base);
    }

    #[inline]
    fn leave(&mut self, left: Left) -> bool {
        if left.emptied() {
            self.output.leave_out();
        } else {
            self.output.leave();
        }
        !left.emptied()
    }
}

fn items_in_group(signal: Signal, level: Level, group: &[u8]) -> usize {
    let members = places(group, 0).filter(|place| place.number == MEMBERS);
    match (level, signal) {
        (Level::Resource, _) => {
            members.map(|member| items_in_group(signal, Level::Scope, member.content)).sum()
        }
        (Level::Scope, Signal::Traces | Signal::Logs) => members.count(),
        (Level::Scope, Signal::Metrics) => members.map(|member| count_data_points(member.content)).sum(),
        (Level::Scope, Signal::Profiles) => members.map(|member| count_samples(member.content)).sum(),
    }
}

/// The type of the data points, if the field of a metric with this number is its data.
fn data_point_type(number: u32) -> Option<&'static Message> {
    let field = schema::METRIC.field(number).filter(|field| field.one_of != 0)?;
    let Type::Message(data) = field.kind else { return None };
    match data.field(DATA_POINTS)?.kind {
        Type::Message(point) => Some(point),
        _ => None,
    }
}
