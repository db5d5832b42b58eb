//! Profiles and samples (`opentelemetry/proto/profiles/v1development`).
//!
//! Indices refer to the tables of the batch's [`super::Dictionary`].

use super::{Fixed64, Int32, Int64, Numbers, Repeated, View, walk};

/// A profile with its samples.
#[derive(Clone, Copy, Debug, Default)]
pub struct Profile<'a> {
    /// The encoded message.
    pub message: &'a [u8],
    /// When it began, in nanoseconds since 1970.
    pub time_unix_nano: u64,
    /// How long it took, in nanoseconds.
    pub duration_nano: u64,
    /// How many events lie between two samples.
    pub period: i64,
    /// 16 bytes, or empty.
    pub profile_id: &'a [u8],
    /// How many attributes the profiler dropped.
    pub dropped_attributes_count: u32,
    /// The format of the original payload, as text.
    pub original_payload_format: &'a [u8],
    /// The profile in the profiler's own format.
    pub original_payload: &'a [u8],
    sample_type: &'a [u8],
    period_type: &'a [u8],
    samples: Repeated<'a, Sample<'a>>,
    attribute_indices: Numbers<'a, Int32>,
}

impl<'a> View<'a> for Profile<'a> {
    fn of(message: &'a [u8]) -> Self {
        let mut profile = Self { message, ..Self::default() };
        walk(message, |field, from| {
            let value = field.value;
            match field.number {
                1 => profile.sample_type = value.bytes(),
                2 => profile.samples.note(2, from),
                3 => profile.time_unix_nano = value.number(),
                4 => profile.duration_nano = value.number(),
                5 => profile.period_type = value.bytes(),
                6 => profile.period = value.signed(),
                7 => profile.profile_id = value.bytes(),
                8 => profile.dropped_attributes_count = value.number() as u32,
                9 => profile.original_payload_format = value.bytes(),
                10 => profile.original_payload = value.bytes(),
                11 => profile.attribute_indices.note(11, from),
                _ => {}
            }
        });
        profile
    }
}

impl<'a> Profile<'a> {
    /// What the values of its samples mean.
    #[must_use]
    pub fn sample_type(&self) -> ValueType {
        ValueType::of(self.sample_type)
    }

    /// What the period counts.
    #[must_use]
    pub fn period_type(&self) -> ValueType {
        ValueType::of(self.period_type)
    }

    /// Its samples.
    #[must_use]
    pub fn samples(&self) -> Repeated<'a, Sample<'a>> {
        self.samples
    }

    /// What describes it: indices into the attribute table.
    #[must_use]
    pub fn attribute_indices(&self) -> Numbers<'a, Int32> {
        self.attribute_indices
    }
}

/// A stack with what was measured on it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample<'a> {
    /// The encoded message.
    pub message: &'a [u8],
    /// Its place in the stack table.
    pub stack_index: i32,
    /// Its place in the link table; 0 for none.
    pub link_index: i32,
    attribute_indices: Numbers<'a, Int32>,
    values: Numbers<'a, Int64>,
    timestamps_unix_nano: Numbers<'a, Fixed64>,
}

impl<'a> View<'a> for Sample<'a> {
    fn of(message: &'a [u8]) -> Self {
        let mut sample = Self { message, ..Self::default() };
        walk(message, |field, from| match field.number {
            1 => sample.stack_index = field.value.signed() as i32,
            2 => sample.attribute_indices.note(2, from),
            3 => sample.link_index = field.value.signed() as i32,
            4 => sample.values.note(4, from),
            5 => sample.timestamps_unix_nano.note(5, from),
            _ => {}
        });
        sample
    }
}

impl<'a> Sample<'a> {
    /// What describes it: indices into the attribute table.
    #[must_use]
    pub fn attribute_indices(&self) -> Numbers<'a, Int32> {
        self.attribute_indices
    }

    /// What was measured: one value, or one for each timestamp.
    #[must_use]
    pub fn values(&self) -> Numbers<'a, Int64> {
        self.values
    }

    /// When each value was measured, in nanoseconds since 1970.
    #[must_use]
    pub fn timestamps_unix_nano(&self) -> Numbers<'a, Fixed64> {
        self.timestamps_unix_nano
    }
}

/// A type and a unit, as indices into the string table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ValueType {
    /// The type, such as `cpu`.
    pub type_strindex: i32,
    /// The unit, such as `nanoseconds`.
    pub unit_strindex: i32,
}

impl<'a> View<'a> for ValueType {
    fn of(message: &'a [u8]) -> Self {
        let mut kind = Self::default();
        walk(message, |field, _| match field.number {
            1 => kind.type_strindex = field.value.signed() as i32,
            2 => kind.unit_strindex = field.value.signed() as i32,
            _ => {}
        });
        kind
    }
}
