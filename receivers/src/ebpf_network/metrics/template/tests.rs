//! Which template a request target gets, and which templates are refused.

use proptest::prelude::*;

use super::*;

fn templates(list: &[&str]) -> Templates {
    Templates::new(list).unwrap()
}

fn matched<'t>(templates: &'t Templates, target: &str) -> Option<&'t str> {
    templates.find(target.as_bytes()).and_then(|template| templates.text(template))
}

#[test]
fn targets_get_the_template_that_fits() {
    let templates = templates(&[
        "/",
        "/users/{id}",
        "/users/me",
        "/users/{id}/orders/{order}",
        "/users/{id}/orders/latest",
        "/a/b/d",
        "/a/{x}/c",
        "/files/{path...}",
        "/files/index.html",
        "/slash/",
    ]);
    for (target, expected) in [
        ("/", Some("/")),
        ("/?q=1", Some("/")),
        ("/users/17", Some("/users/{id}")),
        ("/users/17?next=/users/me", Some("/users/{id}")),
        ("/users/17#top", Some("/users/{id}")),
        ("/users/me", Some("/users/me")),
        ("/users/me2", Some("/users/{id}")),
        ("/users/m", Some("/users/{id}")),
        ("/users/me/orders/9", Some("/users/{id}/orders/{order}")),
        ("/users/17/orders/latest", Some("/users/{id}/orders/latest")),
        ("/users/17/orders/latest?x", Some("/users/{id}/orders/latest")),
        ("/a/b/c", Some("/a/{x}/c")),
        ("/a/b/d", Some("/a/b/d")),
        ("/files/", Some("/files/{path...}")),
        ("/files/a/b/c.txt", Some("/files/{path...}")),
        ("/files/index.html", Some("/files/index.html")),
        ("/files/index.html/", Some("/files/{path...}")),
        ("/slash/", Some("/slash/")),
        ("http://example.com/users/17?x", Some("/users/{id}")),
        ("HTTP://example.com:80/a/b/d", Some("/a/b/d")),
        ("http://example.com", Some("/")),
        ("http://example.com?x", Some("/")),
        ("/files", None),
        ("/slash", None),
        ("/users", None),
        ("/users/", None),
        ("/users//orders/1", None),
        ("/users/17/", None),
        ("/users/17/orders", None),
        ("/Users/17", None),
        ("//users/17", None),
        ("/a/b", None),
        ("", None),
        ("*", None),
        ("example.com:443", None),
        ("?", None),
        ("users/17", None),
        ("://", None),
    ] {
        assert_eq!(matched(&templates, target), expected, "{target}");
    }
}

#[test]
fn without_templates_nothing_matches() {
    assert_eq!(templates(&[]).find(b"/"), None);
}

#[test]
fn a_wrong_template_is_told_with_its_place() {
    for (list, key, message) in [
        (&["/a", "users"][..], "paths.1", r#"the path template "users" does not begin with a slash"#),
        (&[""], "paths.0", r#"the path template "" does not begin with a slash"#),
        (&["/a//b"], "paths.0", r#"the path template "/a//b" has an empty segment"#),
        (&["/a?b"], "paths.0", "a template is a path without query and fragment"),
        (&["/a b"], "paths.0", r#"the character ' ' cannot be in a path; write it percent-encoded"#),
        (&["/größe"], "paths.0", r#"the character 'ö' cannot be in a path; write it percent-encoded"#),
        (&["/a{id}"], "paths.0", r#"the segment "a{id}""#),
        (&["/{}"], "paths.0", r#"the segment "{}""#),
        (&["/{a b}"], "paths.0", "cannot be in a path"),
        (&["/{id}/{id}"], "paths.0", r#"names two placeholders "id""#),
        (&["/{rest...}/x"], "paths.0", "only the last"),
        (&["/x/{a}", "/y", "/x/{b}"], "paths.2", r#"matches the same paths as "/x/{a}""#),
        (&["/x", "/x"], "paths.1", r#"matches the same paths as "/x""#),
    ] {
        let error = Templates::new(list).unwrap_err();
        assert_eq!(error.key("paths"), key, "{list:?}");
        assert!(error.to_string().contains(message), "{list:?}: {error}");
    }
    let many: Vec<String> = (0..=MAX_TEMPLATES).map(|number| format!("/{number}")).collect();
    assert_eq!(Templates::new(&many).unwrap_err(), InvalidTemplate::TooMany(MAX_TEMPLATES + 1));
    let long = format!("/{}", "a/".repeat(MAX_SEGMENTS));
    assert!(Templates::new(&[long]).unwrap_err().to_string().contains("segments"));
}

/// Tries every template, segment by segment, and takes the most specific: decided by the first segment that differs.
fn naive<'t>(list: &'t [String], target: &str) -> Option<&'t str> {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    let kind = |segment: &str| u8::from(segment.starts_with('{')) + u8::from(segment.ends_with("...}"));
    let fits = |template: &&String| {
        let parts: Vec<&str> = template[1..].split('/').collect();
        let rest = parts.last().is_some_and(|last| kind(last) == 2);
        let fixed = if rest { &parts[..parts.len() - 1] } else { &parts[..] };
        let long_enough = if rest { segments.len() > fixed.len() } else { segments.len() == fixed.len() };
        long_enough
            && fixed
                .iter()
                .zip(&segments)
                .all(|(part, segment)| if kind(part) == 1 { !segment.is_empty() } else { part == segment })
    };
    let specificity = |template: &&String| template[1..].split('/').map(kind).collect::<Vec<_>>();
    list.iter().filter(fits).min_by_key(specificity).map(String::as_str)
}

fn template() -> impl Strategy<Value = String> {
    let segment = proptest::sample::select(&["a", "b", "ab", "abcdefghi", "abcdefghj", "{x}", "{y}"][..]);
    (proptest::collection::vec(segment, 0..4), proptest::sample::select(&["", "/", "/{r...}"][..])).prop_map(
        |(segments, end)| {
            let text: String = segments.iter().map(|segment| format!("/{segment}")).collect();
            if text.is_empty() && end.is_empty() { "/".to_owned() } else { text + end }
        },
    )
}

proptest! {
    #[test]
    fn segments_end_at_the_first_end(text in proptest::collection::vec(prop_oneof![Just(b'/'), Just(b'?'), Just(b'#'), any::<u8>(), Just(0x1f)], 0..40)) {
        let expected = text.iter().position(|byte| ENDS.contains(byte)).unwrap_or(text.len());
        prop_assert_eq!(segment_length(&text), expected);
    }

    #[test]
    fn matches_are_those_of_trying_every_template(
        candidates in proptest::collection::vec(template(), 0..12),
        targets in proptest::collection::vec("(/?(a|b|ab|abc|c|abcdefgh|abcdefghi|abcdefghj|[?#]|)){0,6}", 20),
    ) {
        let mut list: Vec<String> = Vec::new();
        for candidate in candidates {
            list.push(candidate);
            if Templates::new(&list).is_err() {
                list.pop();
            }
        }
        let templates = Templates::new(&list).unwrap();
        for target in targets {
            prop_assert_eq!(matched(&templates, &target), naive(&list, &target), "{}", target);
        }
    }

    #[test]
    fn any_bytes_are_matched_without_panic(
        list in proptest::collection::vec(".{0,20}", 0..4),
        target in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        if let Ok(templates) = Templates::new(&list) {
            let _ = templates.find(&target);
        }
        let _ = templates(&["/{a}/{b}", "/x/{r...}"]).find(&target);
    }
}
