//! Structs made of several structs whose keys stand at the same level.

use std::{fmt, marker::PhantomData};

#[doc(hidden)]
pub use schemars;
use schemars::Schema;
#[doc(hidden)]
pub use serde;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, DeserializeSeed, Error, SeqAccess, Visitor},
};
use serde_json::{Map, Value, json};

#[doc(hidden)]
pub use super::decode::SQUASH;
use super::decode::{DEFAULTS, decode_text};

/// Defines a struct whose parts take their keys from the same level of the configuration (the Collector's squash).
///
/// A key is unknown if no part knows it. A part may have defaults other than its type's, written as YAML after `=`.
/// The struct gets `Deserialize`, `JsonSchema` and `Default`; derive anything else.
///
/// ```
/// # use serde::Deserialize;
/// # #[derive(Clone, Debug, Default, Deserialize, schemars::JsonSchema)] #[serde(default)]
/// # pub struct Client { pub endpoint: String, pub compression: String }
/// # #[derive(Clone, Debug, Default, Deserialize, schemars::JsonSchema)] #[serde(default)]
/// # pub struct Own { pub encoding: String }
/// sluice_pipeline::squash! {
///     /// Keys of the exporter.
///     #[derive(Clone, Debug)]
///     pub struct Config {
///         /// The HTTP client's keys.
///         pub client: Client = "{compression: gzip}",
///         /// The exporter's own keys.
///         pub own: Own,
///     }
/// }
/// assert_eq!(Config::default().client.compression, "gzip");
/// ```
#[macro_export]
macro_rules! squash {
    (
        $(#[$meta:meta])*
        $visibility:vis struct $name:ident {
            $($(#[$part_meta:meta])* $part_visibility:vis $part:ident: $type:ty $(= $defaults:literal)?),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        $visibility struct $name {
            $($(#[$part_meta])* $part_visibility $part: $type,)+
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($part: $crate::config::squash::default_part::<$type>(&[$($defaults)?]),)+ }
            }
        }

        impl<'de> $crate::config::squash::serde::Deserialize<'de> for $name {
            fn deserialize<D: $crate::config::squash::serde::Deserializer<'de>>(
                deserializer: D,
            ) -> Result<Self, D::Error> {
                struct Parts;

                impl<'de> $crate::config::squash::serde::de::Visitor<'de> for Parts {
                    type Value = $name;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        formatter.write_str("a map")
                    }

                    fn visit_seq<A: $crate::config::squash::serde::de::SeqAccess<'de>>(
                        self,
                        mut parts: A,
                    ) -> Result<$name, A::Error> {
                        Ok($name {
                            $($part: $crate::config::squash::next_part::<A, $type>(
                                &mut parts,
                                &[$(concat!("$defaults:", $defaults))?],
                            )?,)+
                        })
                    }
                }

                let parts = [$(stringify!($part)),+].len();
                deserializer.deserialize_tuple_struct($crate::config::squash::SQUASH, parts, Parts)
            }
        }

        impl $crate::config::squash::schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn schema_id() -> std::borrow::Cow<'static, str> {
                concat!(module_path!(), "::", stringify!($name)).into()
            }

            fn json_schema(
                generator: &mut $crate::config::squash::schemars::SchemaGenerator,
            ) -> $crate::config::squash::schemars::Schema {
                $crate::config::squash::schema_of_parts([
                    $((
                        <$type as $crate::config::squash::schemars::JsonSchema>::json_schema(generator),
                        [$($defaults)?].first().copied(),
                    ),)+
                ])
            }
        }
    };
}

/// A part as it is where nothing is written.
#[doc(hidden)]
#[must_use]
pub fn default_part<T: Default + DeserializeOwned>(defaults: &[&str]) -> T {
    defaults.first().and_then(|defaults| decode_text(defaults)).unwrap_or_default()
}

/// The next part of a squashed struct, under a name that carries its defaults if it has any.
#[doc(hidden)]
pub fn next_part<'de, A: SeqAccess<'de>, T: Deserialize<'de>>(
    parts: &mut A,
    name: &[&'static str],
) -> Result<T, A::Error> {
    let seed = PartSeed { name: name.first().copied(), part: PhantomData };
    parts
        .next_element_seed(seed)?
        .ok_or_else(|| A::Error::custom("only Sluice's own configuration can be squashed"))
}

struct PartSeed<T> {
    name: Option<&'static str>,
    part: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for PartSeed<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        match self.name {
            Some(name) => deserializer.deserialize_newtype_struct(name, self),
            None => T::deserialize(deserializer),
        }
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for PartSeed<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a map")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        T::deserialize(deserializer)
    }
}

/// One object schema with the properties of all parts and the defaults that the parts have here.
#[doc(hidden)]
#[must_use]
pub fn schema_of_parts<const N: usize>(parts: [(Schema, Option<&'static str>); N]) -> Schema {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (part, defaults) in parts {
        let mut part = part.to_value();
        if let Some(own) = part.get_mut("properties").and_then(Value::as_object_mut) {
            properties.append(own);
        }
        if let Some(own) = part.get_mut("required").and_then(Value::as_array_mut) {
            required.append(own);
        }
        let written = defaults.and_then(decode_text::<Map<String, Value>>).unwrap_or_default();
        for (key, default) in written {
            if let Some(property) = properties.get_mut(&key).and_then(Value::as_object_mut) {
                property.insert("default".to_owned(), default);
            }
        }
    }
    let mut merged = Map::new();
    merged.insert("type".to_owned(), json!("object"));
    merged.insert("properties".to_owned(), Value::Object(properties));
    if !required.is_empty() {
        merged.insert("required".to_owned(), Value::Array(required));
    }
    Schema::from(merged)
}

const _: () = assert!(
    matches!(DEFAULTS.as_bytes(), b"$defaults:"),
    "the macro repeats it: concat! takes literals only"
);

#[cfg(test)]
mod tests;
