//! What clients prove themselves with: tokens, key sets, passwords, certificates. Whatever comes, nobody gets in who should
//! not, and no error tells a secret.

use std::sync::LazyLock;

use sluice_extensions::{
    basicauth::fuzzing as basicauth,
    oidc::fuzzing::{self as oidc, ISSUER},
};
use sluice_pipeline::tls::certificate_names;

/// No mutation makes this.
const SECRET: &str = "q7ZxW2vKp9LmR4tB";

pub(super) const TOKENS: &[&[u8]] = &[
    b".",
    b"eyJhbGciOiJub25lIn0",
    b"\"alg\":\"none\"",
    b"\"crit\":[]",
    b"\"exp\":1e400",
    b"\"exp\":-1",
    b"\"nbf\":0",
    b"\"aud\":[\"sluice\"]",
    b"\"groups\":[1]",
    b"null",
    b"[[[[[[[[",
    b"{\"a\":",
    b"=",
    b"_-",
];

pub(super) const KEYS: &[&[u8]] = &[
    b"\"kty\":\"RSA\"",
    b"\"kty\":\"EC\"",
    b"\"kty\":\"OKP\"",
    b"\"crv\":\"P-384\"",
    b"\"n\":\"AQAB\"",
    b"\"e\":\"AA\"",
    b"\"x\":\"\"",
    b"{},",
    b"null",
    b"[[[[[[[[",
];

pub(super) const PASSWORDS: &[&[u8]] = &[
    b":",
    b"\n",
    b"#",
    b"$2y$05$",
    b"$2b$31$",
    b"$apr1$",
    b"$",
    b"{SHA}",
    b"{SSHA}",
    b"Basic ",
    b"YWdlbnQ6",
    SECRET.as_bytes(),
];

/// Tags and lengths of DER.
pub(super) const DER: &[&[u8]] = &[
    &[0x30, 0x00],
    &[0x30, 0x80],
    &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
    &[0x31, 0x0b],
    &[0x06, 0x03, 0x55, 0x04, 0x03],
    &[0x06, 0x03, 0x55, 0x1d, 0x11],
    &[0x0c, 0x01, 0xff],
    &[0x87, 0x04],
    &[0xa3, 0x82],
];

const HEADERS: [&str; 2] = [r#"{"alg":"EdDSA"}"#, r#"{"alg":"EdDSA","kid":"one","typ":"JWT"}"#];

fn claims() -> String {
    format!(
        r#"{{"iss":"{ISSUER}","sub":"agent","aud":["other","sluice"],"exp":1700000600,"nbf":1,"groups":["a","b"]}}"#
    )
}

/// The first byte tells what follows: 0 a token as it is sent, 1 claims and 2 a header, which are signed.
pub(super) fn tokens() -> Vec<Vec<u8>> {
    let with = |kind: u8, text: &str| [&[kind], text.as_bytes()].concat();
    let mut seeds: Vec<Vec<u8>> =
        HEADERS.iter().map(|header| with(0, &oidc::signed(header, &claims()))).collect();
    seeds.extend([with(1, &claims()), with(2, HEADERS[1])]);
    seeds
}

/// A token is taken only if all that is signed is what the issuer signed.
pub(super) fn token(input: &[u8]) -> String {
    static KEY_SET: LazyLock<String> = LazyLock::new(oidc::key_set);
    static SIGNED: LazyLock<Vec<String>> =
        LazyLock::new(|| HEADERS.iter().map(|header| oidc::signed(header, &claims())).collect());
    let Some((kind, text)) = input.split_first() else { return String::new() };
    let Ok(text) = std::str::from_utf8(text) else { return String::new() };
    let sent = match kind % 3 {
        0 => text.to_owned(),
        1 => oidc::signed(HEADERS[0], text),
        _ => oidc::signed(text, &claims()),
    };
    match oidc::check(&sent, &KEY_SET) {
        Ok((message, known)) => {
            let genuine =
                SIGNED.iter().any(|token| token.rsplit_once('.').is_some_and(|(own, _)| own == message));
            assert!(kind % 3 != 0 || genuine, "a token was taken that nobody signed");
            format!("ok {kind} {}", known > 2)
        }
        Err(refusal) => format!("{} {refusal}", kind % 3),
    }
}

pub(super) fn key_sets() -> Vec<Vec<u8>> {
    let point = |size: usize| "A".repeat((size * 4).div_ceil(3));
    let curves = format!(
        r#"{{"keys":[{{"kty":"EC","crv":"P-256","x":"{0}","y":"{0}"}},{{"kty":"EC","crv":"P-384","x":"{1}","y":"{1}"}}]}}"#,
        point(32),
        point(48)
    );
    let rsa =
        format!(r#"{{"keys":[{{"kty":"RSA","alg":"RS256","kid":"a","n":"{}","e":"AQAB"}}]}}"#, point(256));
    [oidc::key_set(), curves, rsa].map(String::into_bytes).to_vec()
}

/// No key takes a signature that is none.
pub(super) fn key_set(input: &[u8]) -> String {
    match oidc::accepts_anything(input) {
        Ok(accepts) => {
            assert!(!accepts, "a key takes anything for its signature");
            "ok".to_owned()
        }
        // What follows quotes the input.
        Err(error) => error.split(['"', '`']).next().unwrap_or_default().to_owned(),
    }
}

/// The first byte tells whether a password file or a header follows.
pub(super) fn passwords() -> Vec<Vec<u8>> {
    let files = [
        format!("# users\nagent:{SECRET}\n\nother:x\n"),
        "agent:$apr1$Zx8kq1.r$2qL.7SNMkWpGLAjN4wl2i1\n".to_owned(),
        "agent:{SHA}ohgYgF2kkgMlRbH1HlEDczlOc+M=\nb:{SSHA}N6QkTxiRGkNR9TODMa1OiNzsETRzYWx0\n".to_owned(),
        "agent:$2y$05$abcdefghijklmnopqrstuu1qdcFaS0PtqFUPzaCxLQ8/0lspH0ZEW\n".to_owned(),
    ];
    let file = |text: String| [&[0], text.as_bytes()].concat();
    let header = [&[1], b"Basic YWdlbnQ6czNjcmV0IHBhc3M=".as_slice()].concat();
    files.map(file).into_iter().chain([header]).collect()
}

/// A user gets in only if the file has a line for it, and no error tells what stands there.
pub(super) fn password(input: &[u8]) -> String {
    let Some((kind, text)) = input.split_first() else { return String::new() };
    if kind % 2 == 1 {
        let Some((name, _)) = basicauth::credentials(text) else { return "no header".to_owned() };
        assert!(!name.contains(':'), "a name with a colon");
        return "header".to_owned();
    }
    let Ok(text) = std::str::from_utf8(text) else { return String::new() };
    match basicauth::knows(text, "agent", SECRET) {
        Ok(knows) => {
            assert!(!knows || text.contains("agent:"), "a user got in that the file does not name");
            format!("file {knows}")
        }
        Err(error) => {
            let error = error.to_string();
            assert!(!error.contains(SECRET), "{error}");
            error
        }
    }
}

pub(super) fn certificates() -> Vec<Vec<u8>> {
    vec![
        include_bytes!("certificates/names.der").to_vec(),
        include_bytes!("certificates/subject.der").to_vec(),
    ]
}

/// Names are of a kind that rules know, and each stands in the certificate.
pub(super) fn certificate(input: &[u8]) -> String {
    const TEXTS: [&str; 6] = ["CN=", "O=", "OU=", "DNS:", "URI:", "email:"];
    let names = certificate_names(input);
    let mut kinds = String::new();
    for name in &names {
        if let Some((kind, text)) = TEXTS.iter().find_map(|kind| Some((*kind, name.strip_prefix(kind)?))) {
            let bytes = text.as_bytes();
            assert!(
                bytes.is_empty() || input.windows(bytes.len()).any(|part| part == bytes),
                "a name was made up: {name}"
            );
            kinds += kind;
        } else {
            assert!(
                name.strip_prefix("IP:").is_some_and(|text| text.parse::<std::net::IpAddr>().is_ok()),
                "{name}"
            );
            kinds += "IP:";
        }
    }
    kinds
}
