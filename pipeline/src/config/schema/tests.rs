use super::*;
use crate::config::testing;

#[test]
fn every_component_is_found_by_its_names_and_its_keys_are_known() {
    let schema = of(&testing::registry());
    let exporters = &schema["properties"]["exporters"];
    let body = &exporters["patternProperties"]["^(otlp_http|otlphttp)(/.+)?$"];
    assert_eq!(body["anyOf"][0]["$ref"], "#/$defs/exporter.otlp_http");
    let keys = &schema["$defs"]["exporter.otlp_http"];
    assert_eq!(keys["additionalProperties"], false);
    assert_eq!(keys["properties"]["endpoint"]["description"], "The base URL.");
    assert_eq!(keys["properties"]["timeout"]["default"], "30s");
    assert_eq!(
        schema["properties"]["service"]["properties"]["telemetry"]["anyOf"][0]["$ref"],
        "#/$defs/telemetry"
    );
}

#[test]
fn every_reference_leads_somewhere() {
    let schema = of(&testing::registry());
    let mut references = Vec::new();
    collect(&schema, &mut references);
    assert!(references.len() > 5);
    for reference in references {
        assert!(schema.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
}

fn collect(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            if let Some(Value::String(reference)) = object.get("$ref") {
                references.push(reference.clone());
            }
            object.values().for_each(|below| collect(below, references));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, references)),
        _ => {}
    }
}

#[test]
fn a_number_may_also_be_a_reference_or_null() {
    let schema = of(&testing::registry());
    let size = &schema["$defs"]["processor.batch"]["properties"]["send_batch_size"];
    assert_eq!(size["type"], json!(["integer", "null", "string"]));
    assert_eq!(size["pattern"], REFERENCE_PATTERN);
}
