//! What is held, as scrapers read it: written in pieces, so that a scrape takes little memory however much there is.

mod number;
mod protobuf;
mod text;

use std::sync::Arc;

use self::{protobuf::ProtobufWriter, text::TextWriter};
use super::store::{Cursor, Family, Store, Target};

/// How large a piece is about to be, in bytes.
const PIECE: usize = 64 << 10;
const TARGET_HELP: &str = "Target metadata";

/// A format of exposition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Prometheus text 0.0.4.
    Text,
    /// OpenMetrics text.
    OpenMetrics,
    /// Length-delimited `io.prometheus.client.MetricFamily`.
    Protobuf,
}

/// What the configuration says of all formats.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Style {
    /// Whether samples carry the time of their data points.
    pub(super) timestamps: bool,
}

/// A scrape: gives what is held in pieces, families in the order of their names. A family of more than a piece is several
/// messages in the protobuf format.
pub(super) struct Exposition {
    sources: std::vec::IntoIter<Source>,
    current: Option<Current>,
    format: Format,
    style: Style,
    /// What was updated before this is expired, in milliseconds since the start of the store.
    limit: u64,
    ended: bool,
}

enum Source {
    Family(Arc<Family>),
    Targets(Arc<str>, Vec<Target>),
}

struct Current {
    source: Source,
    cursor: Cursor,
    /// How many targets are written.
    targets: usize,
    begun: bool,
}

impl Exposition {
    pub(super) fn of(store: &Store, format: Format, style: Style) -> Self {
        let limit = store.limit(store.now());
        let mut sources: Vec<Source> = store.all().into_iter().map(Source::Family).collect();
        let targets = store.targets.all(limit);
        if !targets.is_empty() {
            let name = Arc::clone(&store.target_info);
            let at = sources.partition_point(
                |source| matches!(source, Source::Family(family) if family.about.name < name),
            );
            sources.insert(at, Source::Targets(name, targets));
        }
        Self { sources: sources.into_iter(), current: None, format, style, limit, ended: false }
    }

    /// Writes on into `out` until a piece is full or the source is at its end; whether it has more.
    fn write(&self, current: &mut Current, out: &mut Vec<u8>) -> bool {
        match self.format {
            Format::Protobuf => self.write_message(current, out),
            Format::Text | Format::OpenMetrics => {
                let open_metrics = self.format == Format::OpenMetrics;
                let mut text = String::with_capacity(PIECE + PIECE / 4);
                let more = write_text(
                    TextWriter { style: self.style, open_metrics },
                    current,
                    self.limit,
                    &mut text,
                );
                out.extend_from_slice(text.as_bytes());
                more
            }
        }
    }

    fn write_message(&self, current: &mut Current, out: &mut Vec<u8>) -> bool {
        let writer = ProtobufWriter { style: self.style };
        let mut message = Vec::new();
        let mut empty = true;
        let more = match &current.source {
            Source::Family(family) => {
                writer.family(&family.about, &mut message);
                family.read(&mut current.cursor, self.limit, |series| {
                    writer.series(&family.about, series, &mut message);
                    empty = false;
                    message.len() < PIECE
                })
            }
            Source::Targets(name, targets) => {
                writer.targets(name, &mut message);
                for target in targets.iter().skip(current.targets) {
                    writer.target(target, &mut message);
                    empty = false;
                    current.targets += 1;
                    if message.len() >= PIECE {
                        break;
                    }
                }
                current.targets < targets.len()
            }
        };
        if !empty {
            write_length(out, message.len());
            out.append(&mut message);
        }
        more
    }
}

fn write_text(writer: TextWriter, current: &mut Current, limit: u64, out: &mut String) -> bool {
    let begun = &mut current.begun;
    match &current.source {
        Source::Family(family) => family.read(&mut current.cursor, limit, |series| {
            // A family without series says nothing.
            if !std::mem::replace(begun, true) {
                writer.family(&family.about, out);
            }
            writer.series(&family.about, series, out);
            out.len() < PIECE
        }),
        Source::Targets(name, targets) => {
            if !std::mem::replace(begun, true) {
                writer.targets(name, out);
            }
            for target in targets.iter().skip(current.targets) {
                writer.target(name, target, out);
                current.targets += 1;
                if out.len() >= PIECE {
                    break;
                }
            }
            current.targets < targets.len()
        }
    }
}

impl Iterator for Exposition {
    type Item = Vec<u8>;

    /// The next piece, none of them empty.
    fn next(&mut self) -> Option<Vec<u8>> {
        let mut piece = Vec::new();
        while piece.len() < PIECE {
            let Some(mut current) = self.current.take().or_else(|| self.sources.next().map(Current::of))
            else {
                if !std::mem::replace(&mut self.ended, true) && self.format == Format::OpenMetrics {
                    piece.extend_from_slice(b"# EOF\n");
                }
                break;
            };
            if self.write(&mut current, &mut piece) {
                self.current = Some(current);
            }
        }
        (!piece.is_empty()).then_some(piece)
    }
}

impl Current {
    fn of(source: Source) -> Self {
        Self { source, cursor: Cursor::default(), targets: 0, begun: false }
    }
}

fn write_length(out: &mut Vec<u8>, length: usize) {
    let mut left = length;
    while left >= 0x80 {
        out.push((left & 0x7f) as u8 | 0x80);
        left >>= 7;
    }
    out.push(left as u8);
}
