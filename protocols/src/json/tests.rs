use proptest::prelude::*;
use serde::de::IgnoredAny;

use super::*;

fn accepts(text: &str) -> bool {
    let mut reader = Reader::new(text);
    reader.skip().and_then(|()| reader.end()).is_ok()
}

fn string(text: &str) -> Result<String, JsonError> {
    Reader::new(text).string().map(std::borrow::Cow::into_owned)
}

#[test]
fn escapes_are_read() {
    assert_eq!(string(r#""a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00z""#).unwrap(), "a\"\\/\u{8}\u{c}\n\r\té😀z");
    assert_eq!(string(r#""\ud83dx\ude00""#).unwrap(), "\u{fffd}x\u{fffd}");
    assert_eq!(string(r#""\ud83d\u0041""#).unwrap(), "\u{fffd}A");
    assert_eq!(string(r#""\x""#).unwrap_err().fault, JsonFault::Escape);
    assert_eq!(string("\"a\nb\"").unwrap_err().fault, JsonFault::Control);
    assert_eq!(string("\"abc").unwrap_err().fault, JsonFault::Truncated);
}

#[test]
fn numbers_are_read_within_their_range() {
    let read = |text| Reader::new(text).unsigned(1_000).map_err(|error| error.fault);
    assert_eq!(read("17"), Ok(17));
    assert_eq!(read("1.7e1"), Ok(17));
    assert_eq!((read("0"), read("1000,"), read("0017")), (Ok(0), Ok(1_000), Ok(0)));
    assert_eq!(read("100000000000000000000"), Err(JsonFault::Range));
    assert_eq!(read("1001"), Err(JsonFault::Range));
    assert_eq!(read("-1"), Err(JsonFault::Range));
    assert_eq!(read("1e400"), Err(JsonFault::Range));
    assert_eq!(read("1."), Err(JsonFault::Number));
    assert_eq!(read("\"17\""), Err(JsonFault::Expected("a number")));
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(accepts(&nested(MAX_DEPTH)));
    assert_eq!(Reader::new(&nested(100_000)).skip().unwrap_err().fault, JsonFault::Depth);
}

proptest! {
    #[test]
    fn accepts_what_serde_json_accepts(text in r#"[\[\]{}",:\\ \n0-9eE+.tfnrualse-]{0,24}"#) {
        prop_assert_eq!(accepts(&text), serde_json::from_str::<IgnoredAny>(&text).is_ok());
    }

    #[test]
    fn strings_read_back(content in any::<String>()) {
        let mut written = Vec::new();
        write_string(&mut written, &content);
        let written = String::from_utf8(written).unwrap();
        prop_assert_eq!(string(&written).unwrap(), content.clone());
        prop_assert_eq!(serde_json::from_str::<String>(&written).unwrap(), content);
    }
}
