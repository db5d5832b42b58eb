//! The tables that the profiles of a batch share (`ProfilesDictionary`).

use super::{AnyValue, Int32, KeyValue, Numbers, Repeated, View, walk};
use crate::otlp::wire::{Fields, Value};

/// The tables of a `ProfilesData`, ready to be looked up by index. An index out of range gives `None`.
///
/// Building it walks the dictionary once and notes four bytes an entry; looking up allocates nothing.
#[derive(Clone, Debug, Default)]
pub struct Dictionary<'a> {
    message: &'a [u8],
    /// Where the entries of each table begin, by field number less one.
    tables: [Vec<u32>; 7],
}

impl<'a> Dictionary<'a> {
    /// The dictionary of this encoded `ProfilesData`; empty if it has none.
    #[must_use]
    pub fn of_profiles_data(data: &'a [u8]) -> Self {
        let mut message: &[u8] = &[];
        walk(data, |field, _| {
            if field.number == 2 {
                message = field.value.bytes();
            }
        });
        Self::of(message)
    }

    /// Text of the string table.
    #[must_use]
    pub fn string(&self, index: i32) -> Option<&'a [u8]> {
        self.entry(5, index)
    }

    /// A mapped binary.
    #[must_use]
    pub fn mapping(&self, index: i32) -> Option<Mapping<'a>> {
        self.entry(1, index).map(Mapping::of)
    }

    /// A place in a binary.
    #[must_use]
    pub fn location(&self, index: i32) -> Option<Location<'a>> {
        self.entry(2, index).map(Location::of)
    }

    /// A function.
    #[must_use]
    pub fn function(&self, index: i32) -> Option<Function> {
        self.entry(3, index).map(Function::of)
    }

    /// A reference to a span.
    #[must_use]
    pub fn link(&self, index: i32) -> Option<Link<'a>> {
        self.entry(4, index).map(Link::of)
    }

    /// An attribute, its key and unit resolved; `None` also if one of these is out of range.
    #[must_use]
    pub fn attribute(&self, index: i32) -> Option<DictionaryAttribute<'a>> {
        let (mut key, mut unit, mut value) = (0, 0, AnyValue::Empty);
        walk(self.entry(6, index)?, |field, _| match field.number {
            1 => key = field.value.signed() as i32,
            2 => value = AnyValue::of(field.value.bytes()),
            3 => unit = field.value.signed() as i32,
            _ => {}
        });
        Some(DictionaryAttribute {
            key: self.string(key)?,
            value: self.value(value)?,
            unit: self.string(unit)?,
        })
    }

    /// A stack.
    #[must_use]
    pub fn stack(&self, index: i32) -> Option<Stack<'a>> {
        self.entry(7, index).map(Stack::of)
    }

    /// The key of an attribute, whichever way it is given.
    #[must_use]
    pub fn key(&self, pair: &KeyValue<'a>) -> Option<&'a [u8]> {
        if pair.key_strindex == 0 { Some(pair.key) } else { self.string(pair.key_strindex) }
    }

    /// The value with text in place of an index; nested values stay as they are.
    #[must_use]
    pub fn value(&self, value: AnyValue<'a>) -> Option<AnyValue<'a>> {
        match value {
            AnyValue::StringIndex(index) => self.string(index).map(AnyValue::String),
            other => Some(other),
        }
    }

    fn entry(&self, table: usize, index: i32) -> Option<&'a [u8]> {
        let offset = *self.tables.get(table - 1)?.get(usize::try_from(index).ok()?)?;
        match Fields::of(self.message.get(usize::try_from(offset).ok()?..)?).next()?.ok()?.value {
            Value::Bytes(entry) => Some(entry),
            _ => None,
        }
    }
}

impl<'a> View<'a> for Dictionary<'a> {
    fn of(message: &'a [u8]) -> Self {
        let mut lengths = [0; 7];
        walk(message, |field, _| {
            if let Some(length) = lengths.get_mut((field.number as usize).wrapping_sub(1)) {
                *length += 1;
            }
        });
        let mut tables = lengths.map(Vec::with_capacity);
        walk(message, |field, from| {
            // A dictionary beyond 4 GiB cannot come in; what would lie there is out of range.
            if let (Some(table), Ok(offset)) = (
                tables.get_mut((field.number as usize).wrapping_sub(1)),
                u32::try_from(message.len() - from.len()),
            ) {
                table.push(offset);
            }
        });
        Self { message, tables }
    }
}

/// An attribute of the attribute table.
#[derive(Clone, Copy, Debug)]
pub struct DictionaryAttribute<'a> {
    /// The key, as text.
    pub key: &'a [u8],
    /// The value.
    pub value: AnyValue<'a>,
    /// The unit of the value, as text; empty if it has none.
    pub unit: &'a [u8],
}

/// A mapped binary.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mapping<'a> {
    /// The first address.
    pub memory_start: u64,
    /// The address after the last.
    pub memory_limit: u64,
    /// Where in the file the mapping begins.
    pub file_offset: u64,
    /// The file's name: an index into the string table.
    pub filename_strindex: i32,
    attribute_indices: Numbers<'a, Int32>,
}

impl<'a> View<'a> for Mapping<'a> {
    fn of(message: &'a [u8]) -> Self {
        let mut mapping = Self::default();
        walk(message, |field, from| match field.number {
            1 => mapping.memory_start = field.value.number(),
            2 => mapping.memory_limit = field.value.number(),
            3 => mapping.file_offset = field.value.number(),
            4 => mapping.filename_strindex = field.value.signed() as i32,
            5 => mapping.attribute_indices.note(5, from),
            _ => {}
        });
        mapping
    }
}

impl<'a> Mapping<'a> {
    /// What describes it: indices into the attribute table.
    #[must_use]
    pub fn attribute_indices(&self) -> Numbers<'a, Int32> {
        self.attribute_indices
    }
}

/// Locations from the leaf on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stack<'a> {
    location_indices: Numbers<'a, Int32>,
}

impl<'a> View<'a> for Stack<'a> {
    fn of(message: &'a [u8]) -> Self {
        let mut stack = Self::default();
        walk(message, |field, from| {
            if field.number == 1 {
                stack.location_indices.note(1, from);
            }
        });
        stack
    }
}

impl<'a> Stack<'a> {
    /// Indices into the location table.
    #[must_use]
    pub fn location_indices(&self) -> Numbers<'a, Int32> {
        self.location_indices
    }
}

/// A place in a binary.
#[derive(Clone, Copy, Debug, Default)]
pub struct Location<'a> {
    /// Its place in the mapping table; 0 if unknown.
    pub mapping_index: i32,
    /// The address of the instruction.
    pub address: u64,
    lines: Repeated<'a, Line>,
    attribute_indices: Numbers<'a, Int32>,
}

impl<'a> View<'a> for Location<'a> {
    fn of(message: &'a [u8]) -> Self {
        let mut location = Self::default();
        walk(message, |field, from| match field.number {
            1 => location.mapping_index = field.value.signed() as i32,
            2 => location.address = field.value.number(),
            3 => location.lines.note(3, from),
            4 => location.attribute_indices.note(4, from),
            _ => {}
        });
        location
    }
}

impl<'a> Location<'a> {
    /// Source lines: the last is the caller into which the ones before it were inlined.
    #[must_use]
    pub fn lines(&self) -> Repeated<'a, Line> {
        self.lines
    }

    /// What describes it: indices into the attribute table.
    #[must_use]
    pub fn attribute_indices(&self) -> Numbers<'a, Int32> {
        self.attribute_indices
    }
}

/// A line of source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Its place in the function table.
    pub function_index: i32,
    /// The line, from 1; 0 if unknown.
    pub line: i64,
    /// The column, from 1; 0 if unknown.
    pub column: i64,
}

impl<'a> View<'a> for Line {
    fn of(message: &'a [u8]) -> Self {
        let mut line = Self::default();
        walk(message, |field, _| match field.number {
            1 => line.function_index = field.value.signed() as i32,
            2 => line.line = field.value.signed(),
            3 => line.column = field.value.signed(),
            _ => {}
        });
        line
    }
}

/// A function: names are indices into the string table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Function {
    /// Its name for people.
    pub name_strindex: i32,
    /// Its name for the linker.
    pub system_name_strindex: i32,
    /// Its source file.
    pub filename_strindex: i32,
    /// Its first line; 0 if unknown.
    pub start_line: i64,
}

impl<'a> View<'a> for Function {
    fn of(message: &'a [u8]) -> Self {
        let mut function = Self::default();
        walk(message, |field, _| match field.number {
            1 => function.name_strindex = field.value.signed() as i32,
            2 => function.system_name_strindex = field.value.signed() as i32,
            3 => function.filename_strindex = field.value.signed() as i32,
            4 => function.start_line = field.value.signed(),
            _ => {}
        });
        function
    }
}

/// A reference to a span.
#[derive(Clone, Copy, Debug, Default)]
pub struct Link<'a> {
    /// 16 bytes, or empty.
    pub trace_id: &'a [u8],
    /// 8 bytes, or empty.
    pub span_id: &'a [u8],
}

impl<'a> View<'a> for Link<'a> {
    fn of(message: &'a [u8]) -> Self {
        let mut link = Self::default();
        walk(message, |field, _| match field.number {
            1 => link.trace_id = field.value.bytes(),
            2 => link.span_id = field.value.bytes(),
            _ => {}
        });
        link
    }
}
