//! OTLP/JSON: encoded OTLP to JSON text and back, driven by the [schema](super::schema), without structs in between.
//!
//! Source: the OTLP specification, "JSON Protobuf Encoding": lowerCamelCase keys, ids in hexadecimal, enums as
//! integers, 64-bit integers as strings, other bytes in base64.

mod encode;
mod text;

pub use encode::encode;
