//! Why a text is not OTLP/JSON, and where.

use std::fmt;

use crate::otlp::check::DEPTH;

/// A text that is not the OTLP/JSON of its signal. The request must be refused, no retry will help.
///
/// Says where in the message and in the text. Holds no value of the text, only names of the schema.
#[derive(Debug, thiserror::Error)]
#[error("cannot read OTLP/JSON: {}{problem} (at byte {offset})", Path(path))]
pub struct JsonError {
    /// What is wrong.
    pub problem: Problem,
    /// How many bytes of the text were read.
    pub offset: usize,
    /// From the innermost to the outermost.
    path: Vec<Segment>,
}

/// What is wrong with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The text ends inside a value.
    #[error("the text ends too early; send it whole")]
    Ended,
    /// The text is no JSON.
    #[error("expected {expected}")]
    Syntax {
        /// What JSON has here.
        expected: &'static str,
    },
    /// A value of another type than the field has.
    #[error("expected {expected}, found {found}")]
    Type {
        /// What the field takes.
        expected: &'static str,
        /// What stands there.
        found: &'static str,
    },
    /// A number that the field has no room for, or with a fraction where it has none.
    #[error("expected {expected}; the number is out of range")]
    Range {
        /// What the field takes.
        expected: &'static str,
    },
    /// An id of the wrong length.
    #[error("expected {expected} hexadecimal digits or none, found {found} characters")]
    IdLength {
        /// The digits of such ids.
        expected: usize,
        /// The length of the text.
        found: usize,
    },
    /// An id with characters other than digits.
    #[error("expected an id in hexadecimal digits")]
    Hexadecimal,
    /// Bytes that are not in base64.
    #[error("expected bytes in base64")]
    Base64,
    /// A name that the enum does not have.
    #[error("expected an integer or a name of the enum")]
    EnumName,
    /// A key that occurs twice in one object. Decoders differ on which value counts.
    #[error("the key occurs twice")]
    Duplicate,
    /// Two keys of which only one may be set.
    #[error("only one of the value's types may be set, found another besides")]
    OneOf,
    /// There is no memory for what comes out.
    #[error("there is no memory for what it holds now; send it again later")]
    Memory,
    /// Messages nest too deep.
    #[error("messages nest more than {DEPTH} deep; send flatter attributes")]
    Depth,
}

#[derive(Clone, Copy, Debug)]
enum Segment {
    Field(&'static str),
    Index(usize),
}

impl JsonError {
    #[cold]
    pub(super) fn new(problem: Problem, offset: usize) -> Box<Self> {
        Box::new(Self { problem, offset, path: Vec::new() })
    }

    #[cold]
    pub(super) fn in_field(mut self: Box<Self>, name: &'static str) -> Box<Self> {
        self.path.push(Segment::Field(name));
        self
    }

    #[cold]
    pub(super) fn at_index(mut self: Box<Self>, index: usize) -> Box<Self> {
        self.path.push(Segment::Index(index));
        self
    }
}

struct Path<'a>(&'a [Segment]);

/// Of a longer path the middle is left out: it repeats itself, since only values nest so deep.
const SHOWN_AT_THE_START: usize = 10;
const SHOWN_AT_THE_END: usize = 4;

impl fmt::Display for Path<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left_out = SHOWN_AT_THE_START..self.0.len().saturating_sub(SHOWN_AT_THE_END);
        for (index, segment) in self.0.iter().rev().enumerate() {
            if index == left_out.start && left_out.len() > 1 {
                formatter.write_str(".…")?;
            }
            if left_out.len() > 1 && left_out.contains(&index) {
                continue;
            }
            match segment {
                Segment::Field(name) if index == 0 => formatter.write_str(name)?,
                Segment::Field(name) => write!(formatter, ".{name}")?,
                Segment::Index(place) => write!(formatter, "[{place}]")?,
            }
        }
        formatter.write_str(if self.0.is_empty() { "" } else { ": " })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(depth: usize) -> String {
        let error = JsonError::new(Problem::Depth, 7);
        (0..depth).fold(error, |error, index| error.at_index(index).in_field("values")).to_string()
    }

    #[test]
    fn a_short_path_is_shown_whole_and_a_long_one_without_its_middle() {
        assert!(message(3).contains("values[2].values[1].values[0]: messages nest"), "{}", message(3));
        assert!(
            message(7).contains("values[6].values[5].values[4].values[3].values[2].values[1].values[0]: ")
        );
        let long = message(64);
        assert!(
            long.contains("values[63].values[62].values[61].values[60].values[59].….values[1].values[0]: "),
            "{long}"
        );
    }
}
