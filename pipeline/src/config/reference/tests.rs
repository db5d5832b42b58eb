use super::*;
use crate::config::testing;

#[test]
fn a_page_has_the_keys_with_their_types_defaults_and_docs() {
    let page = of_type(&testing::registry(), "otlphttp").unwrap();
    assert!(
        page.starts_with("# The `otlp_http` exporter\n\nStands for a real one.\n\nAlso called `otlphttp`.\n"),
        "{page}"
    );
    assert!(page.contains("Signals: traces (beta), logs (beta).\n"), "{page}");
    assert!(page.contains("| `endpoint` | string | `\"\"` | The base URL. |\n"), "{page}");
    assert!(page.contains("| `timeout` | duration | `30s` |"), "{page}");
    assert!(of_type(&testing::registry(), "nothing").is_none());
}

#[test]
fn every_definition_is_where_the_link_to_it_leads() {
    let pages = pages(&testing::registry());
    let folder = |page: &str| page.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
    let mut links = 0;
    for (name, text) in &pages {
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (page, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match page {
                "" => name.clone(),
                page => page.strip_prefix("../").map_or_else(|| folder(name) + page, str::to_owned),
            };
            let text = pages.get(&target).unwrap_or_else(|| panic!("{name} links to {link}"));
            let headings = text.lines().filter_map(|line| line.strip_prefix('#'));
            let found = headings.map(|line| line.trim_start_matches('#').trim().to_lowercase());
            assert!(
                anchor.is_empty() || found.into_iter().any(|heading| heading == anchor),
                "{name}: {link}"
            );
            links += 1;
        }
    }
    assert!(links > 5, "{links}");
}

#[test]
fn what_the_collector_has_and_this_build_has_not_is_said() {
    let schema = serde_json::json!({"properties": {
        "here": {"type": ["integer", "null"], "default": 3, "description": "A | in it\nand a line"},
        "gone": {"deprecated": true, "description": "Not in this build."},
    }});
    let text = describe(&schema, &|_| String::new());
    assert!(text.contains("| `here` | integer | `3` | A \\| in it and a line. |\n"), "{text}");
    assert!(text.ends_with("not in this build: `gone`.\n"), "{text}");
}
