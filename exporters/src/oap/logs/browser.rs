//! What browsers measure, and their errors.

use sluice_pipeline::otlp::{
    view::{AnyValue, Text},
    write::Writer,
};
use sluice_protocols::skywalking::attributes::{browser as names, event_name, resource};

use super::Record;
use crate::oap::{
    entity::text as attribute,
    streams::{Method, Streams},
    wire::{flag, int, integer, milliseconds, text},
};

/// Numbers of `BrowserPerfData` after the common fields, from field 5 on.
const PERF: [&str; 14] = [
    "redirect_time",
    "dns_time",
    "ttfb_time",
    "tcp_time",
    "trans_time",
    "dom_analysis_time",
    "fpt_time",
    "dom_ready_time",
    "load_page_time",
    "res_time",
    "ssl_time",
    "ttl_time",
    "first_pack_time",
    "fmp_time",
];
/// `ErrorCategory`: names by number.
const CATEGORIES: [&str; 6] = ["ajax", "resource", "vue", "promise", "js", "unknown"];

/// Adds the message that a record stands for; false if it is none of a browser's.
pub(super) fn push(of: &Record<'_, '_>, name: &str, streams: &mut Streams) -> bool {
    let (method, write): (Method, fn(&mut Writer<'_>, &Record<'_, '_>)) = match name {
        event_name::BROWSER_PERF => (Method::BrowserPerf, |out, of| {
            write_common(out, of, 0);
            for (number, name) in (5..).zip(PERF) {
                int(out, number, metric(of, name));
            }
        }),
        event_name::BROWSER_WEB_VITALS => (Method::BrowserWebVitals, |out, of| {
            write_common(out, of, 0);
            int(out, 5, metric(of, "fmp_time"));
            match value(of, &format!("{}cls", names::NUMBERS)) {
                Some(AnyValue::Double(cls)) if cls.to_bits() != 0 => out.double(6, cls),
                _ => {}
            }
            int(out, 7, metric(of, "lcp_time"));
        }),
        event_name::BROWSER_WEB_INTERACTIONS => (Method::BrowserWebInteractions, |out, of| {
            write_common(out, of, 0);
            int(out, 5, metric(of, "inp_time"));
        }),
        event_name::BROWSER_RESOURCE => (Method::BrowserResource, |out, of| {
            write_common(out, of, 0);
            text(out, 5, &said(of, names::RESOURCE_NAME));
            int(out, 6, number(of, names::RESOURCE_DURATION));
            int(out, 7, number(of, names::RESOURCE_SIZE));
            text(out, 8, &said(of, names::RESOURCE_TYPE));
            text(out, 9, &said(of, names::PROTOCOL));
        }),
        event_name::BROWSER_ERROR => (Method::BrowserErrors, write_error),
        _ => return false,
    };
    streams.push(method, "", 1, |out| write(&mut Writer::new(out), of));
    true
}

/// Service, version, time and page, whose fields begin one later in errors.
fn write_common(out: &mut Writer<'_>, of: &Record<'_, '_>, shift: u32) {
    text(out, 1 + shift, &of.said.service);
    let version = attribute(of.resource.attributes(), resource::SERVICE_VERSION);
    text(out, 2 + shift, &version.unwrap_or_default());
    int(out, 3 + shift, milliseconds(of.record.time_unix_nano));
    text(out, 4 + shift, &said(of, names::PAGE_PATH));
}

fn write_error(out: &mut Writer<'_>, of: &Record<'_, '_>) {
    text(out, 1, &said(of, names::UNIQUE_ID));
    write_common(out, of, 1);
    let category = match value(of, names::CATEGORY) {
        Some(AnyValue::Int(number)) => number,
        Some(AnyValue::String(name)) => {
            let place = CATEGORIES.iter().position(|known| known.as_bytes() == name);
            place.and_then(|place| i64::try_from(place).ok()).unwrap_or_default()
        }
        _ => 0,
    };
    int(out, 6, category);
    text(out, 7, &said(of, names::GRADE));
    text(out, 8, &of.record.body().map(|body| body.text()).unwrap_or_default());
    int(out, 9, number(of, names::LINE));
    int(out, 10, number(of, names::COLUMN));
    text(out, 11, &said(of, names::STACK));
    text(out, 12, &said(of, names::ERROR_URL));
    flag(out, 13, matches!(value(of, names::FIRST_REPORTED), Some(AnyValue::Bool(true))));
}

fn value<'a>(of: &Record<'_, 'a>, name: &str) -> Option<AnyValue<'a>> {
    of.record.attributes().find(|pair| pair.key.as_str() == name).map(|pair| pair.value)
}

fn said(of: &Record<'_, '_>, name: &str) -> String {
    value(of, name).map(|value| value.text().into_owned()).unwrap_or_default()
}

fn number(of: &Record<'_, '_>, name: &str) -> i64 {
    value(of, name).and_then(integer).unwrap_or_default()
}

fn metric(of: &Record<'_, '_>, name: &str) -> i64 {
    number(of, &format!("{}{name}", names::NUMBERS))
}
