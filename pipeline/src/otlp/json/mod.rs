//! OTLP/JSON: encoded OTLP to JSON text and back, driven by the [schema](super::schema), without structs in between.
//!
//! Source: the OTLP specification, "JSON Protobuf Encoding": lowerCamelCase keys, ids in hexadecimal, enums as
//! integers, 64-bit integers as strings, other bytes in base64.

mod decode;
mod encode;
mod error;
mod names;
mod read;
mod text;

pub use decode::{DecodeError, decode, decode_charged};
pub use encode::encode;
pub use error::{JsonError, Problem};
