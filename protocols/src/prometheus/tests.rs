use proptest::prelude::*;

use super::*;

fn named(name: &str, unit: &str, kind: MetricKind) -> String {
    MetricNamer { namespace: String::new(), suffixes: true }.name(name, unit, kind).unwrap()
}

#[test]
fn names_tell_unit_and_kind() {
    use MetricKind::{Counter, Gauge, Other};
    for (name, unit, kind, expected) in [
        ("http.server.request.duration", "s", Other, "http_server_request_duration_seconds"),
        ("system.filesystem.usage", "By", Gauge, "system_filesystem_usage_bytes"),
        ("system.network.io", "By", Counter, "system_network_io_bytes_total"),
        ("requests", "{request}", Counter, "requests_total"),
        ("requests.total", "", Counter, "requests_total"),
        ("total.requests", "", Counter, "requests_total"),
        ("total", "", Counter, "total"),
        ("cpu.utilization", "1", Gauge, "cpu_utilization_ratio"),
        ("ratio.of.hits", "1", Gauge, "of_hits_ratio"),
        ("cpu.time", "1", Counter, "cpu_time_total"),
        ("speed", "m/s", Gauge, "speed_meters_per_second"),
        ("flow", "{packet}/min", Gauge, "flow_per_min"),
        ("flow", "By/m", Gauge, "flow_bytes_per_minute"),
        ("bytes.sent", "By", Counter, "bytes_sent_total"),
        ("disk.size", "TiBy", Gauge, "disk_size_tibibytes"),
        ("temperature", "Cel", Gauge, "temperature_celsius"),
        ("load", "%", Gauge, "load_percent"),
        ("odd", "foo.bar//", Gauge, "odd_foo_bar"),
        ("__a..b__c", "", Gauge, "a_b_c"),
        ("rule:sum", "", Gauge, "rule:sum"),
        ("1st.place", "", Gauge, "_1st_place"),
        ("naïve.größe", "", Gauge, "na_ve_gr_e"),
    ] {
        assert_eq!(named(name, unit, kind), expected, "{name} in {unit}");
    }
}

#[test]
fn names_without_suffixes_only_lose_what_may_not_stand() {
    let namer = MetricNamer { namespace: "my ns".to_owned(), suffixes: false };
    assert_eq!(namer.name("a..b__c", "By", MetricKind::Counter).unwrap(), "my_ns_a_b__c");
    let bare = MetricNamer::default();
    assert_eq!(bare.name("2.x", "s", MetricKind::Gauge).unwrap(), "_2_x");
    for nothing in ["", "日本", "___", "-"] {
        assert_eq!(bare.name(nothing, "s", MetricKind::Gauge), None, "{nothing}");
        let full = MetricNamer { namespace: "app".to_owned(), suffixes: true };
        assert_eq!(full.name(nothing, "s", MetricKind::Gauge), None, "a unit alone is no name");
    }
}

#[test]
fn label_names_never_are_prometheuss_own() {
    for (attribute, expected) in [
        ("http.method", "http_method"),
        ("route", "route"),
        ("9lives", "key_9lives"),
        ("_private", "key_private"),
        ("__name__", "key__name__"),
        (".hidden", "key_hidden"),
        ("ключ", "key____"),
        ("", "key_"),
    ] {
        assert_eq!(label_name(attribute), expected, "{attribute}");
    }
}

#[test]
fn the_stale_marker_is_prometheuss() {
    assert!(STALE.is_nan());
    assert_eq!(STALE.to_bits(), 0x7ff0_0000_0000_0002);
}

proptest! {
    #[test]
    fn names_always_keep_to_the_grammar(name in any::<String>(), unit in any::<String>(), namespace in any::<String>()) {
        for suffixes in [false, true] {
            for kind in [MetricKind::Counter, MetricKind::Gauge, MetricKind::Other] {
                let namer = MetricNamer { namespace: namespace.clone(), suffixes };
                if let Some(made) = namer.name(&name, &unit, kind) {
                    prop_assert!(is_metric_name(&made), "{made}");
                    prop_assert!(!suffixes || kind != MetricKind::Counter || made.ends_with("total"), "{made}");
                }
            }
        }
        let label = label_name(&name);
        prop_assert!(is_label_name(&label) && !label.starts_with('_'), "{label}");
    }

    #[test]
    fn a_name_made_twice_stays_as_it_is(name in "[a-zA-Z_.:0-9]{1,20}", unit in "(s|By|1|m/s|\\{x\\}|)") {
        for kind in [MetricKind::Counter, MetricKind::Gauge, MetricKind::Other] {
            let namer = MetricNamer { namespace: String::new(), suffixes: true };
            if let Some(once) = namer.name(&name, &unit, kind) {
                let twice = namer.name(&once, &unit, kind);
                prop_assert_eq!(twice.as_deref(), Some(once.as_str()));
            }
        }
    }

    #[test]
    fn escaped_text_reads_back(text in any::<String>()) {
        let mut escaped = String::new();
        escape(&text, &mut escaped);
        prop_assert!(!escaped.contains('\n'));
        prop_assert_eq!(unescape(&escaped), text.as_str());
    }
}
