//! Each action and each source.

use super::*;
use crate::authenticator::testing::{built, header_map, sent, wrong};

/// The header `x` that is sent, if it was `before`, for a batch that came in with `came`.
async fn x(change: &str, before: Option<&str>, came: Option<&str>) -> Option<String> {
    let capabilities = built::<HeadersSetter>(&format!("{{headers: [{{key: X, {change}}}]}}"));
    let metadata: Vec<(&str, &str)> = came.iter().map(|value| ("tenant", *value)).collect();
    let context = Context {
        metadata: header_map(&metadata),
        auth: came.iter().map(|value| ("subject".to_owned(), format!("{value}!"))).collect(),
        ..Context::default()
    };
    let headers: Vec<(&str, &str)> = before.iter().map(|value| ("x", *value)).collect();
    let headers = sent(&capabilities, &headers, &context).await.unwrap();
    headers.get("x").map(|value| value.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn each_action_does_what_it_says() {
    for (change, without, with) in [
        ("action: insert, value: new", Some("new"), Some("old")),
        ("action: update, value: new", None, Some("new")),
        ("action: upsert, value: new", Some("new"), Some("new")),
        ("value: new", Some("new"), Some("new")),
        ("action: delete", None, None),
    ] {
        assert_eq!(x(change, None, None).await.as_deref(), without, "{change}");
        assert_eq!(x(change, Some("old"), None).await.as_deref(), with, "{change}");
    }
}

#[tokio::test]
async fn values_come_from_the_batch_or_the_default() {
    for (change, came, without) in [
        ("from_context: Tenant", Some("blue"), None),
        ("from_context: tenant, default_value: none", Some("blue"), Some("none")),
        ("from_attribute: subject", Some("blue!"), None),
        ("from_attribute: other, default_value: none", Some("none"), Some("none")),
    ] {
        assert_eq!(x(change, None, Some("blue")).await.as_deref(), came, "{change}");
        assert_eq!(x(change, None, None).await.as_deref(), without, "{change}");
    }
}

#[test]
fn what_cannot_work_is_named() {
    for header in [
        "{key: a}",
        "{value: b}",
        "{key: a, value: hush, from_context: c}",
        "{key: a, value: hush, default_value: c}",
        "{key: a, action: delete, value: hush}",
        "{key: a, value: \"hush\\n\"}",
        "{key: 'a b', value: hush}",
    ] {
        let wrong = wrong::<HeadersSetter>(&format!("{{headers: [{header}]}}"));
        assert_eq!(wrong.len(), 1, "{header}: {wrong:?}");
        assert!(!format!("{wrong:?}").contains("hush"), "{wrong:?}");
    }
    assert_eq!(wrong::<HeadersSetter>("{}").len(), 1);
    assert_eq!(
        wrong::<HeadersSetter>("{headers: [{key: a, value: b}], additional_auth: x}")[0].0,
        "additional_auth"
    );
}
