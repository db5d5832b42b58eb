use super::*;

fn head(side: Side, text: &str, cut: bool) -> String {
    let redactor = Redactor::new(&RedactionConfig::default()).unwrap();
    let mut out = Vec::new();
    redactor.write_head(side, text.as_bytes(), cut, usize::MAX, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn heads_keep_names_and_lose_secrets() {
    for (text, expected) in [
        (
            "GET /x?token=abc&y=1 HTTP/1.1\r\nHost: h\r\naUTHORIZATION:Basic abc\r\nX: 1\r\n\r\n",
            "GET /x?token=REDACTED&y=1 HTTP/1.1\r\nHost: h\r\naUTHORIZATION: REDACTED\r\nX: 1\r\n\r\n",
        ),
        ("GET http://u:abc@h/ HTTP/1.1\r\n\r\n", "GET http://REDACTED@h/ HTTP/1.1\r\n\r\n"),
        ("CONNECT u:abc@h:443 HTTP/1.1\r\n\r\n", "CONNECT REDACTED@h:443 HTTP/1.1\r\n\r\n"),
        ("GET / HTTP/1.1\nCookie : abc\nX: 1\n\n", "GET / HTTP/1.1\nCookie: REDACTED\r\nX: 1\n\n"),
        (
            "GET / HTTP/1.1\r\nCookie: a\r\n abc\r\n\tabc\r\nCookie: abc\r\nX: 1\r\n\r\n",
            "GET / HTTP/1.1\r\nCookie: REDACTED\r\nCookie: REDACTED\r\nX: 1\r\n\r\n",
        ),
        (
            "GET / HTTP/1.1\r\nCookie: a\rabc: abc\r\nX: 1\rCookie: abc\r\n\r\n",
            "GET / HTTP/1.1\r\nCookie: REDACTED\r\nX: 1\rCookie: REDACTED\r\n\r\n",
        ),
        ("GET / HTTP/1.1\rCookie: abc\r\n\r\n", "GET / HTTP/1.1\rCookie: REDACTED\r\n\r\n"),
        ("GET / HTTP/1.1\r\n Cookie: abc\r\n\r\n", "GET / HTTP/1.1\r\nCookie: REDACTED\r\n\r\n"),
        ("GET / HTTP/1.1\r\nX: token=\r\n abc\r\n\r\n", "GET / HTTP/1.1\r\nX: token=REDACTED\r\n\r\n"),
        (
            "GET / HTTP/1.1\r\nCookie abc\r\nbad name: abc\r\n\r\n",
            "GET / HTTP/1.1\r\nREDACTED\r\nREDACTED\r\n\r\n",
        ),
        (
            "GET / HTTP/1.1\r\nReferer: https://u:abc@h/?code=abc\r\n\r\n",
            "GET / HTTP/1.1\r\nReferer: https://REDACTED@h/?code=REDACTED\r\n\r\n",
        ),
    ] {
        assert_eq!(head(Side::Request, text, false), expected, "{text}");
    }
    assert_eq!(
        head(
            Side::Response,
            "HTTP/1.1 302 Found\r\nLocation: /#access_token=abc\r\nSet-Cookie: abc\r\n\r\n",
            false
        ),
        "HTTP/1.1 302 Found\r\nLocation: /#access_token=REDACTED\r\nSet-Cookie: REDACTED\r\n\r\n"
    );
}

#[test]
fn heads_that_are_cut_give_nothing_away() {
    for (text, expected) in [
        ("GET / HTTP/1.1\r\nAuthorization: Basic ab", "GET / HTTP/1.1\r\nAuthorization: REDACTED\r\n"),
        ("GET / HTTP/1.1\r\nReferer: http://user:ab", "GET / HTTP/1.1\r\nReferer: http://REDACTED"),
        ("GET /?token=ab", "GET /?token=REDACTED"),
        ("CONNECT user:ab", "CONNECT REDACTED"),
        ("GET / HTTP/1.1\r\nAuthoriz", "GET / HTTP/1.1\r\nREDACTED"),
        ("GET http://user:ab", "GET http://REDACTED"),
    ] {
        assert_eq!(head(Side::Request, text, true), expected, "{text}");
    }
}

#[test]
fn the_limit_stops_after_a_line() {
    let redactor = Redactor::new(&RedactionConfig::default()).unwrap();
    let mut out = Vec::new();
    redactor.write_head(Side::Response, b"HTTP/1.1 200 OK\r\nA: 1\r\nB: 2\r\n\r\n", false, 18, &mut out);
    assert_eq!(out, b"HTTP/1.1 200 OK\r\nA: 1\r\n");
}

#[test]
fn configured_names_are_blanked_too() {
    let config = RedactionConfig {
        headers: vec!["X-Tenant-*".into()],
        fields: vec!["iban".into()],
        query: vec!["who".into()],
        patterns: vec!["[0-9]{16}".into()],
    };
    assert!(config.problems("redaction").is_empty());
    let redactor = Redactor::new(&config).unwrap();
    let mut out = Vec::new();
    let text = b"GET /?WHO=abc&x=1 HTTP/1.1\r\nx-tenant-id: abc\r\nX: 1\r\n\r\n";
    redactor.write_head(Side::Request, text, false, usize::MAX, &mut out);
    redactor.write_body(Syntax::Json, br#"{"IBAN":"abc","n":"4111111111111111"}"#, false, &mut out);
    redactor.write_body(Syntax::Form, b"&%69ban=abc&who=abc&y=2", false, &mut out);
    redactor.apply_patterns(&mut out, 0, false, &mut Vec::new());
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "GET /?WHO=REDACTED&x=1 HTTP/1.1\r\nx-tenant-id: REDACTED\r\nX: 1\r\n\r\n\
         {\"IBAN\":\"REDACTED\",\"n\":\"REDACTED\"}&%69ban=REDACTED&who=REDACTED&y=2"
    );
}

#[test]
fn a_wildcard_does_not_take_built_in_names_back() {
    let config = RedactionConfig { headers: vec!["x-*".into()], ..RedactionConfig::default() };
    let redactor = Redactor::new(&config).unwrap();
    assert!(redactor.headers.contains(b"Authorization") && redactor.headers.contains(b"X-Anything"));
}

#[test]
fn problems_are_located() {
    let config = RedactionConfig {
        headers: vec!["ok".into(), "--".into()],
        patterns: vec!["a(".into(), "x*".into(), "x+".into()],
        ..RedactionConfig::default()
    };
    let problems = config.problems("redaction");
    let keys: Vec<_> = problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys, ["redaction.headers.1", "redaction.patterns.0", "redaction.patterns.1"]);
    assert!(problems[1].message.contains("a("), "{}", problems[1].message);
}
