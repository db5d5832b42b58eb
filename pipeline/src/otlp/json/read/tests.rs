use proptest::prelude::*;

use super::*;

/// The value as `serde_json` has it, read with this reader.
fn read(reader: &mut Reader<'_>) -> Result<serde_json::Value> {
    Ok(match reader.value()? {
        Token::Null => serde_json::Value::Null,
        Token::Bool(value) => value.into(),
        Token::Number(text) => serde_json::from_str(text).unwrap(),
        Token::String(text) => String::from_utf8_lossy(&text).into(),
        Token::Object => {
            let mut members = serde_json::Map::new();
            let mut first = true;
            while let Some(key) = reader.key(&mut first)? {
                members.insert(String::from_utf8_lossy(&key).into(), read(reader)?);
            }
            members.into()
        }
        Token::Array => {
            let mut elements = Vec::new();
            let mut first = true;
            while reader.element(&mut first)? {
                elements.push(read(reader)?);
            }
            elements.into()
        }
    })
}

fn read_whole(json: &[u8]) -> Result<serde_json::Value> {
    let mut reader = Reader::new(json);
    let value = read(&mut reader)?;
    reader.end()?;
    Ok(value)
}

fn skip_whole(json: &[u8]) -> Result<()> {
    let mut reader = Reader::new(json);
    reader.skip()?;
    reader.end()
}

fn values() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<i32>().prop_map(|number| (f64::from(number) / 4.0).into()),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 30, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
            proptest::collection::vec((any::<String>(), inner), 0..5)
                .prop_map(|members| members.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

/// Texts near JSON: pieces of its grammar in any order.
fn nearly_json() -> impl Strategy<Value = String> {
    const PIECES: [&str; 26] = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"a\"",
        "\"\\u00e9\"",
        "\"\\n",
        "\"",
        "1",
        "-",
        "0",
        ".",
        "e",
        "E+",
        "true",
        "false",
        "null",
        " ",
        "\n",
        "\\",
        "é",
        "x",
        "\u{1}",
        "{\"a\":",
    ];
    proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..10).prop_map(|pieces| pieces.concat())
}

#[test]
fn escapes() {
    let json = br#""\u00e9 \ud83e\udD80 \"\\\/\b\f\n\r\t""#;
    assert_eq!(read_whole(json).unwrap(), serde_json::from_slice::<serde_json::Value>(json).unwrap());
}

#[test]
fn an_escape_that_is_half_a_pair_is_no_text() {
    for (json, text) in [
        (&br#""a\ud800b""#[..], &b"a\xffb"[..]),
        (br#""\ud800\n""#, b"\xff\n"),
        (br#""\udc00\ud800""#, b"\xff\xff"),
        (br#""\ud800\ud83e\udd80""#, "\u{0}🦀".as_bytes()),
    ] {
        let expected: Vec<u8> = text.iter().map(|&byte| if byte == 0 { 0xff } else { byte }).collect();
        assert_eq!(Reader::new(json).value().unwrap(), Token::String(expected.into()));
    }
}

#[test]
fn nesting_is_bounded_when_skipped() {
    assert!(skip_whole("[".repeat(128).as_bytes()).unwrap_err().problem == Problem::Ended);
    assert!(skip_whole("[".repeat(1_000_000).as_bytes()).unwrap_err().problem == Problem::Depth);
    assert!(skip_whole(("[".repeat(128) + &"]".repeat(128)).as_bytes()).is_ok());
}

proptest! {
    #[test]
    fn json_reads_as_with_serde(value in values(), pretty in any::<bool>()) {
        let json = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) }.unwrap();
        prop_assert_eq!(read_whole(&json).unwrap(), value);
        prop_assert!(skip_whole(&json).is_ok());
        for end in 0..json.len() {
            let cut = &json[..end];
            let complete = serde_json::from_slice::<serde_json::Value>(cut).is_ok();
            prop_assert_eq!(read_whole(cut).is_ok(), complete);
        }
    }

    #[test]
    fn what_is_no_json_is_none_for_serde(json in nearly_json()) {
        let expected = serde_json::from_str::<serde_json::Value>(&json);
        prop_assert_eq!(skip_whole(json.as_bytes()).is_ok(), expected.is_ok());
        prop_assert_eq!(read_whole(json.as_bytes()).ok(), expected.ok());
    }

    #[test]
    fn any_bytes_end_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        let read = read_whole(&bytes).is_ok();
        prop_assert_eq!(skip_whole(&bytes).is_ok(), read);
    }
}
