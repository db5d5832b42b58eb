//! What browsers measure, and their errors.

use prost::Message;
use sluice_pipeline::otlp::{
    attribute::{write_double, write_int, write_text, write_true},
    write::Writer,
};
use sluice_protocols::skywalking::{
    attributes::{browser, event_name},
    v3::{
        BrowserErrorLog, BrowserPerfData, BrowserResourcePerfData, BrowserWebInteractionsPerfData,
        BrowserWebVitalsPerfData, ErrorCategory,
    },
};

use super::{
    Malformed,
    output::Output,
    record::{ATTRIBUTES, ERROR, Source, record, write_body, write_severity, write_some},
};

/// Writes a `BrowserPerfData`.
pub(super) fn perf(message: &[u8], output: &mut Output) -> Result<(), Malformed> {
    let perf = BrowserPerfData::decode(message)?;
    let source = source(&perf.service, &perf.service_version);
    record(output, source, event_name::BROWSER_PERF, perf.time, |writer| {
        write_some(writer, ATTRIBUTES, browser::PAGE_PATH, &perf.page_path);
        for (name, value) in [
            ("redirect_time", perf.redirect_time),
            ("dns_time", perf.dns_time),
            ("ttfb_time", perf.ttfb_time),
            ("tcp_time", perf.tcp_time),
            ("trans_time", perf.trans_time),
            ("dom_analysis_time", perf.dom_analysis_time),
            ("fpt_time", perf.fpt_time),
            ("dom_ready_time", perf.dom_ready_time),
            ("load_page_time", perf.load_page_time),
            ("res_time", perf.res_time),
            ("ssl_time", perf.ssl_time),
            ("ttl_time", perf.ttl_time),
            ("first_pack_time", perf.first_pack_time),
            ("fmp_time", perf.fmp_time),
        ] {
            write_number(writer, name, value);
        }
    })
}

/// Writes a `BrowserWebVitalsPerfData`.
pub(super) fn web_vitals(message: &[u8], output: &mut Output) -> Result<(), Malformed> {
    let vitals = BrowserWebVitalsPerfData::decode(message)?;
    let source = source(&vitals.service, &vitals.service_version);
    record(output, source, event_name::BROWSER_WEB_VITALS, vitals.time, |writer| {
        write_some(writer, ATTRIBUTES, browser::PAGE_PATH, &vitals.page_path);
        write_number(writer, "fmp_time", vitals.fmp_time);
        if vitals.cls.to_bits() != 0 {
            write_double(writer, ATTRIBUTES, &key("cls"), vitals.cls);
        }
        write_number(writer, "lcp_time", vitals.lcp_time);
    })
}

/// Writes a `BrowserWebInteractionsPerfData`.
pub(super) fn web_interactions(message: &[u8], output: &mut Output) -> Result<(), Malformed> {
    let interactions = BrowserWebInteractionsPerfData::decode(message)?;
    let source = source(&interactions.service, &interactions.service_version);
    record(output, source, event_name::BROWSER_WEB_INTERACTIONS, interactions.time, |writer| {
        write_some(writer, ATTRIBUTES, browser::PAGE_PATH, &interactions.page_path);
        write_number(writer, "inp_time", interactions.inp_time);
    })
}

/// Writes a `BrowserResourcePerfData`.
pub(super) fn resource(message: &[u8], output: &mut Output) -> Result<(), Malformed> {
    let resource = BrowserResourcePerfData::decode(message)?;
    let source = source(&resource.service, &resource.service_version);
    record(output, source, event_name::BROWSER_RESOURCE, resource.time, |writer| {
        write_some(writer, ATTRIBUTES, browser::PAGE_PATH, &resource.page_path);
        write_some(writer, ATTRIBUTES, browser::RESOURCE_NAME, &resource.name);
        write_some(writer, ATTRIBUTES, browser::RESOURCE_TYPE, &resource.resource_type);
        write_some(writer, ATTRIBUTES, browser::PROTOCOL, &resource.protocol);
        write_some_int(writer, browser::RESOURCE_DURATION, resource.duration);
        write_some_int(writer, browser::RESOURCE_SIZE, resource.size);
    })
}

/// Writes a `BrowserErrorLog`.
pub(super) fn error(message: &[u8], output: &mut Output) -> Result<(), Malformed> {
    let error = BrowserErrorLog::decode(message)?;
    let source = source(&error.service, &error.service_version);
    record(output, source, event_name::BROWSER_ERROR, error.time, |writer| {
        write_severity(writer, ERROR, "ERROR");
        if !error.message.is_empty() {
            write_body(writer, &error.message);
        }
        match ErrorCategory::try_from(error.category) {
            Ok(category) => write_text(writer, ATTRIBUTES, browser::CATEGORY, category.as_str_name()),
            Err(_) => write_int(writer, ATTRIBUTES, browser::CATEGORY, error.category.into()),
        }
        write_some(writer, ATTRIBUTES, browser::PAGE_PATH, &error.page_path);
        write_some(writer, ATTRIBUTES, browser::STACK, &error.stack);
        write_some(writer, ATTRIBUTES, browser::ERROR_URL, &error.error_url);
        write_some(writer, ATTRIBUTES, browser::UNIQUE_ID, &error.unique_id);
        write_some(writer, ATTRIBUTES, browser::GRADE, &error.grade);
        write_some_int(writer, browser::LINE, error.line);
        write_some_int(writer, browser::COLUMN, error.col);
        if error.first_reported_error {
            write_true(writer, ATTRIBUTES, browser::FIRST_REPORTED);
        }
    })
}

fn source<'m>(service: &'m str, version: &'m str) -> Source<'m> {
    Source { service, version, ..Source::default() }
}

fn key(name: &str) -> String {
    format!("{}{name}", browser::NUMBERS)
}

fn write_number(writer: &mut Writer<'_>, name: &str, value: i32) {
    if value != 0 {
        write_int(writer, ATTRIBUTES, &key(name), value.into());
    }
}

fn write_some_int(writer: &mut Writer<'_>, key: &str, value: i32) {
    if value != 0 {
        write_int(writer, ATTRIBUTES, key, value.into());
    }
}
