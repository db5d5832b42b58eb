use proptest::prelude::*;

use super::*;

fn parse_text(text: &str) -> Result<Node, String> {
    let mut problems = Problems::default();
    let node = parse_bytes("c.yaml", text.as_bytes(), &mut problems);
    node.ok_or_else(|| problems.to_string())
}

fn error_of(text: &str) -> String {
    parse_text(text).expect_err("is refused")
}

#[test]
fn values_keep_their_places() {
    let node = parse_text("a:\n  b: [1, two]\n  'c': \"3\"\n").unwrap();
    let list = node.nearest("a.b");
    assert_eq!(list.location.to_string(), "c.yaml:2:6");
    assert_eq!(node.nearest("a.b.1").location.to_string(), "c.yaml:2:10");
    let quoted = node.nearest("a.c");
    assert!(quoted.quoted && matches!(&quoted.value, Value::String(text) if &**text == "3"));
    let entry = node.get("a").unwrap().as_mapping().unwrap().entry("c").unwrap();
    assert_eq!(entry.location.to_string(), "c.yaml:3:3");
}

#[test]
fn anchors_aliases_and_merge_keys() {
    let node = parse_text("base: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  y: 3\nmany:\n  <<: [*b, {x: 9, z: 4}]\n")
        .unwrap();
    assert!(matches!(node.nearest("use.y").value, Value::Integer(3)));
    assert!(matches!(node.nearest("use.x").value, Value::Integer(1)));
    assert!(matches!(node.nearest("many.x").value, Value::Integer(1)), "the earlier map wins");
    assert!(matches!(node.nearest("many.z").value, Value::Integer(4)));
    assert!(error_of("a: &a\n  b: *a\n").contains("inside the value that it repeats"));
    assert!(error_of("a: *nowhere\n").contains("an alias (*name) repeats"));
    assert!(error_of("a:\n  <<: 3\n").contains("takes a map"));
}

#[test]
fn each_kind_of_broken_text_has_its_own_error() {
    for (text, expected) in [
        ("a: 1\nb: 2\na: 3\n", "c.yaml:3:1: error: the key \"a\" is already set on line 1"),
        ("a:\n\tb: 1\n", "c.yaml:2:1: error: a tab indents this line"),
        ("a: \"b\nc: d\n", "a quote that is opened must be closed"),
        ("a: b: c\n", "c.yaml:1:5: error: this is no YAML"),
        ("a: \u{0}\n", "c.yaml:1:4: error: the control character U+0000"),
        ("? [a]\n: b\n", "a key must be a string"),
        ("a: !custom b\n", "c.yaml:1:4: error: the tag !custom does not fit"),
        ("[a, b\n", "c.yaml:2:1: error: this is no YAML"),
    ] {
        let error = error_of(text);
        assert!(error.contains(expected), "{text:?} gave {error}");
    }
    let mut problems = Problems::default();
    assert!(parse_bytes("c.yaml", b"a: 1\nb: \xff\n", &mut problems).is_none());
    assert!(problems.to_string().starts_with("c.yaml:2:4: error: byte 0xff is not UTF-8"), "{problems}");
    assert!(parse_bytes("c.yaml", b"\xff\xfea\0", &mut problems).is_none());
    assert!(problems.to_string().contains("UTF-16"));
}

#[test]
fn a_second_document_is_left_out_with_a_warning() {
    let mut problems = Problems::default();
    let node = parse_bytes("c.yaml", b"---\na: 1\n---\na: 2\n", &mut problems).unwrap();
    assert!(matches!(node.nearest("a").value, Value::Integer(1)));
    assert!(!problems.has_errors() && !problems.is_empty());
}

#[test]
fn bombs_and_depths_are_refused_before_they_grow() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let alias = format!("*a{}", level - 1);
        bomb.push_str(&format!("a{level}: &a{level} [{}]\n", [alias.as_str(); 10].join(", ")));
    }
    let mut deep_by_alias = "a0: &a0 [x]\n".to_owned();
    for level in 1..200 {
        deep_by_alias.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
    }
    assert!(error_of(&bomb).contains("aliases make this more than"));
    assert!(error_of(&deep_by_alias).contains("levels deep by aliases"));
    assert!(error_of(&"[".repeat(5_000_000)).contains("levels deep"));
    assert!(error_of(&"- ".repeat(2_000_000)).contains("levels deep"));
    assert!(error_of(&"? ".repeat(2_000_000)).contains("error"));
    assert!(error_of(&"- a\n".repeat(2_500_000)).contains("more than 1000000 values"));
}

proptest! {
    #[test]
    fn bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_bytes("c.yaml", &bytes, &mut Problems::default());
    }

    #[test]
    fn what_resembles_yaml_never_panics(text in "([a-c:#&*!|>?{}\\[\\],'\"%@`~0-9.$<-]|[ \n\t]|: |- |<<: |\\? |&a |\\*a |--- |!!int ){0,60}") {
        let mut problems = Problems::default();
        let parsed = parse_bytes("c.yaml", text.as_bytes(), &mut problems);
        prop_assert!(parsed.is_some() || problems.has_errors());
        // Whatever is wrong can also be shown.
        let _ = problems.to_string();
    }
}

/// `cargo test -p sluice-pipeline --release yaml::tests::large -- --ignored --nocapture` shows the times.
#[test]
#[ignore = "a measurement"]
fn large_texts_take_linear_time() {
    let line = "    some_key_0123456789: some value that is as long as such values are\n";
    let texts = [
        ("lists", "- a: b\n".repeat(1_500_000)),
        ("long lines", format!("a:\n{}", format!("  - {}\n", "x".repeat(1000)).repeat(10_000))),
        ("one line", format!("a: {}", "x".repeat(10_000_000))),
        ("words", format!("a: {}", "x ".repeat(5_000_000))),
        ("folded", format!("a: >\n{}", "  x\n".repeat(2_500_000))),
        ("quoted", format!("a: \"{}\"", "x ".repeat(5_000_000))),
        ("quoted lines", format!("a: \"{}\"", "x\n\n ".repeat(2_500_000))),
        ("comments", "# x\n".repeat(2_500_000)),
        ("flow", format!("a: [{}]", "x, ".repeat(3_000_000))),
        ("flow maps", format!("a: [{}]", "{b: c}, ".repeat(300_000))),
        ("colons", ":".repeat(10_000_000)),
        ("questions", "? a\n".repeat(2_500_000)),
        ("deepening", (0..3_000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect()),
        ("keys", (0..140_000).map(|number| line.replace("0123456789", &number.to_string())).collect()),
        ("open quotes", "a: '\n".repeat(2_000_000)),
        ("anchors", "- &a b\n- *a\n".repeat(400_000)),
        ("bangs", "!".repeat(10_000_000)),
        ("dashes", "-".repeat(10_000_000)),
        ("percents", "%".repeat(10_000_000)),
        ("spaces", " ".repeat(10_000_000)),
        ("blank", "\n".repeat(10_000_000)),
        ("tabs", "a:\t".repeat(3_000_000)),
    ];
    for (name, text) in texts {
        let start = std::time::Instant::now();
        let mut problems = Problems::default();
        let parsed = parse_bytes("c.yaml", text.as_bytes(), &mut problems);
        let shown = problems.to_string();
        eprintln!(
            "{name}: {:?}, {}",
            start.elapsed(),
            if parsed.is_some() { "parsed" } else { shown.lines().next().unwrap_or("") }
        );
    }
}
