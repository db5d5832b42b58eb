//! JSON as OAP's HTTP endpoints take it, turned into the protobuf that agents send over gRPC.
//!
//! It is protobuf's JSON, read leniently, for clients are many: enums by name or number, numbers as numbers or text,
//! nulls, unknown members, names of enums that this build does not know (left out). Messages do not nest in themselves,
//! so their definitions bound the depth; what is skipped is bounded by the reader.

use crate::{
    json::{JsonError, JsonFault, Reader},
    protobuf::{write_bytes, write_double, write_message, write_varint},
};

/// How the JSON of a message is read.
#[derive(Debug)]
pub struct Message {
    fields: &'static [Field],
    is_map_entry: bool,
}

#[derive(Debug)]
struct Field {
    name: &'static str,
    number: u32,
    repeated: bool,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Text,
    Double,
    Bool,
    Int32,
    Int64,
    Enum(&'static [(&'static str, i32)]),
    Message(&'static Message),
}

/// Names in SkyWalking's documentation that its definitions do not have.
const ALIASES: [(&str, &str); 2] = [("type", "resourceType"), ("instance", "serviceInstance")];

include!(concat!(env!("OUT_DIR"), "/json_tables.rs"));

/// The message that the reader comes to next, as protobuf.
///
/// # Errors
/// Malformed JSON, a value of the wrong kind, or a number out of range.
pub fn message(definition: &'static Message, json: &mut Reader<'_>) -> Result<Vec<u8>, JsonError> {
    let mut out = Vec::new();
    write_object(definition, json, &mut out)?;
    Ok(out)
}

/// Calls `take` with each message of the list that is the whole text. A single message is a list of one.
///
/// # Errors
/// As [`message`]; some messages may have been taken before.
pub fn messages<E: From<JsonError>>(
    definition: &'static Message,
    text: &str,
    mut take: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut json = Reader::new(text);
    let mut out = Vec::new();
    let mut next = |json: &mut Reader<'_>| {
        out.clear();
        write_object(definition, json, &mut out)?;
        take(&out)
    };
    if json.peek() == Some(b'[') {
        json.array(&mut next)?;
    } else {
        next(&mut json)?;
    }
    Ok(json.end()?)
}

impl Message {
    fn field(&self, name: &str) -> Option<&'static Field> {
        let find = |name: &str| self.fields.iter().find(|field| field.name == name);
        find(name).or_else(|| {
            let (_, alias) = ALIASES.iter().find(|(alias, _)| *alias == name)?;
            find(alias)
        })
    }
}

fn write_object(
    definition: &'static Message,
    json: &mut Reader<'_>,
    out: &mut Vec<u8>,
) -> Result<(), JsonError> {
    json.object(|json, name| match definition.field(&name) {
        None => json.skip(),
        Some(_) if json.null()? => Ok(()),
        Some(field) => write_field(field, json, out),
    })
}

fn write_field(field: &'static Field, json: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), JsonError> {
    match field.kind {
        Kind::Message(entry) if entry.is_map_entry => write_map(field.number, entry, json, out),
        // What is empty in Lua is an object.
        _ if field.repeated && json.peek() == Some(b'{') => {
            json.object(|json, _| Err(json.fault(JsonFault::Expected("a list"))))
        }
        _ if field.repeated => json.array(|json| match json.null()? {
            true => Ok(()),
            false => write_value(field, json, out),
        }),
        _ => write_value(field, json, out),
    }
}

/// Each member becomes an entry of key and value, which are the fields 1 and 2.
fn write_map(
    number: u32,
    entry: &'static Message,
    json: &mut Reader<'_>,
    out: &mut Vec<u8>,
) -> Result<(), JsonError> {
    json.object(|json, key| {
        write_message(out, number, |out| {
            write_bytes(out, 1, key.as_bytes());
            match entry.fields.iter().find(|field| field.number == 2) {
                Some(value) if !json.null()? => write_value(value, json, out),
                _ => Ok(()),
            }
        })
    })
}

fn write_value(field: &'static Field, json: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), JsonError> {
    let number = field.number;
    match field.kind {
        Kind::Text => write_text(number, json, out)?,
        Kind::Double => write_double(out, number, double(json)?),
        Kind::Bool => write_varint(out, number, u64::from(boolean(json)?)),
        Kind::Int32 => {
            let value = i32::try_from(integer(json)?).map_err(|_| json.fault(JsonFault::Range))?;
            write_varint(out, number, i64::from(value).cast_unsigned());
        }
        Kind::Int64 => write_varint(out, number, integer(json)?.cast_unsigned()),
        Kind::Enum(values) => {
            if let Some(value) = enumeration(values, json)? {
                write_varint(out, number, i64::from(value).cast_unsigned());
            }
        }
        Kind::Message(definition) => {
            return write_message(out, number, |out| write_object(definition, json, out));
        }
    }
    Ok(())
}

fn write_text(number: u32, json: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), JsonError> {
    match json.peek() {
        Some(b'"') => write_bytes(out, number, json.string()?.as_bytes()),
        Some(b't' | b'f') => {
            write_bytes(out, number, if json.boolean()? { b"true" } else { b"false" });
        }
        _ => write_bytes(out, number, json.number()?.as_bytes()),
    }
    Ok(())
}

fn double(json: &mut Reader<'_>) -> Result<f64, JsonError> {
    if json.peek() != Some(b'"') {
        return json.number()?.parse().map_err(|_| json.fault(JsonFault::Number));
    }
    match json.string()?.trim() {
        "" => Ok(0.0),
        text => text.parse().map_err(|_| json.fault(JsonFault::Number)),
    }
}

fn boolean(json: &mut Reader<'_>) -> Result<bool, JsonError> {
    match json.peek() {
        Some(b'"') => match json.string()?.as_ref() {
            "true" | "1" => Ok(true),
            "false" | "0" | "" => Ok(false),
            _ => Err(json.fault(JsonFault::Expected("true or false"))),
        },
        Some(b'0'..=b'9') => Ok(json.number()? != "0"),
        _ => json.boolean(),
    }
}

/// A number, or one as text. A fraction is cut off.
fn integer(json: &mut Reader<'_>) -> Result<i64, JsonError> {
    if json.peek() != Some(b'"') {
        let text = json.number()?;
        return whole(text).ok_or_else(|| json.fault(JsonFault::Range));
    }
    match json.string()?.trim() {
        "" => Ok(0),
        text => whole(text).ok_or_else(|| json.fault(JsonFault::Number)),
    }
}

fn whole(text: &str) -> Option<i64> {
    /// 2 to the power of 63.
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    text.parse().ok().or_else(|| {
        let value = text.parse::<f64>().ok().filter(|value| (-BEYOND..BEYOND).contains(value))?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "checked to be in range; the fraction is cut off"
        )]
        Some(value as i64)
    })
}

/// `None` for a name that is not known.
fn enumeration(values: &[(&str, i32)], json: &mut Reader<'_>) -> Result<Option<i32>, JsonError> {
    let of_number = |text: &str| whole(text).and_then(|value| i32::try_from(value).ok());
    if json.peek() != Some(b'"') {
        let text = json.number()?;
        return of_number(text).map(Some).ok_or_else(|| json.fault(JsonFault::Range));
    }
    let name = json.string()?;
    let known = values.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    Ok(known.or_else(|| of_number(&name)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::skywalking::v3;

    fn read<T: prost::Message + Default>(definition: &'static Message, text: &str) -> Result<T, JsonError> {
        message(definition, &mut Reader::new(text)).map(|bytes| T::decode(bytes.as_slice()).unwrap())
    }

    #[test]
    fn a_segment_reads_as_agents_write_it() {
        let segment: v3::SegmentObject = read(
            &SEGMENT_OBJECT,
            r#"{"traceId":"t","traceSegmentId":"s","service":"shop","serviceInstance":null,"unknown":{"a":[1,{}]},
            "isSizeLimited":false,"spans":[null,{"spanId":"0","parentSpanId":-1,"startTime":"1588664577013",
            "endTime":1588664577028,"operationName":"/a","peer":null,"spanType":"Exit","spanLayer":3,"componentId":6000,
            "isError":"true","tags":[{"key":"http.status_code","value":200}],
            "logs":[{"time":1,"data":[{"key":"k","value":"v"}]}],
            "refs":[{"refType":0,"parentSpanId":1.0},{"refType":"CrossThread"}]}]}"#,
        )
        .unwrap();
        let span = &segment.spans[0];
        assert_eq!((segment.spans.len(), segment.service.as_str()), (1, "shop"));
        assert_eq!((span.span_id, span.parent_span_id, span.start_time), (0, -1, 1_588_664_577_013));
        assert_eq!((span.span_type(), span.span_layer()), (v3::SpanType::Exit, v3::SpanLayer::Http));
        assert!(span.is_error);
        assert_eq!(span.tags[0].value, "200");
        assert_eq!(span.refs[0].parent_span_id, 1);
        assert_eq!(span.refs[1].ref_type(), v3::RefType::CrossThread);
    }

    #[test]
    fn maps_aliases_and_unknown_names_are_taken() {
        let event: v3::Event = read(
            &EVENT,
            r#"{"uuid":"u","type":"Error","source":{"service":"s","instance":"i"},"parameters":{"a":"b","c":null}}"#,
        )
        .unwrap();
        assert_eq!(event.source.unwrap().service_instance, "i");
        assert_eq!((event.r#type, event.parameters.len()), (1, 2));
        let resource: v3::BrowserResourcePerfData =
            read(&BROWSER_RESOURCE_PERF_DATA, r#"{"type":"css","size":7}"#).unwrap();
        assert_eq!((resource.resource_type.as_str(), resource.size), ("css", 7));
        let error: v3::BrowserErrorLog = read(&BROWSER_ERROR_LOG, r#"{"category":"new","line":""}"#).unwrap();
        assert_eq!((error.category, error.line), (0, 0));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for text in [
            "",
            "[]",
            r#"{"spans":{"a":1}}"#,
            r#"{"spans":[1]}"#,
            r#"{"spans":[{"spanId":"x"}]}"#,
            r#"{"spans":[{"spanId":2147483648}]}"#,
            r#"{"spans":[{"startTime":1e40}]}"#,
            r#"{"traceId":{}}"#,
            r#"{"isSizeLimited":"maybe"}"#,
        ] {
            assert!(read::<v3::SegmentObject>(&SEGMENT_OBJECT, text).is_err(), "{text}");
        }
        let deep = format!(r#"{{"unknown":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(read::<v3::LogData>(&LOG_DATA, &deep).unwrap_err().fault, JsonFault::Depth);
    }

    #[test]
    fn one_message_is_a_list_of_one() {
        let count = |text: &str| {
            let mut count = 0;
            messages(&LOG_DATA, text, |_| {
                count += 1;
                Ok::<_, JsonError>(())
            })
            .map(|()| count)
        };
        assert_eq!(count(r#"[{},{"service":"s"}]"#), Ok(2));
        assert_eq!(count(" {} "), Ok(1));
        assert!(count("[{}] x").is_err());
    }

    proptest! {
        #[test]
        fn any_text_ends_without_panic(text in r#"[\[\]{}",:a-z0-9.e-]{0,60}"#) {
            let _ = messages(&SEGMENT_OBJECT, &text, |_| Ok::<_, JsonError>(()));
        }
    }
}
