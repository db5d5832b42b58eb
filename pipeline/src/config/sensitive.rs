//! Which keys hold secrets, for texts that are shown before their types are known.

use super::SourceText;

/// What stands for a secret.
pub const REDACTED: &str = "[REDACTED]";

/// Parts of key names whose values are not shown.
const MARKS: [&str; 14] = [
    "password",
    "passwd",
    "passphrase",
    "token",
    "secret",
    "authorization",
    "api_key",
    "api-key",
    "apikey",
    "key_pem",
    "credential",
    "private_key",
    "owner_auth",
    "cookie",
];
/// Ends of key names that have a mark but say where something is or how it is called, not what it is.
const HARMLESS_ENDS: [&str; 6] = ["_file", "_url", "_endpoint", "_type", "tokenauth", "cookies"];
/// Keys below which every value is secret, whatever its name.
const SECTIONS: [&str; 4] = ["headers", "response_headers", "static_headers", "inline"];
/// What may surround a key in a line.
const AROUND_KEYS: [char; 7] = [' ', '\t', '-', '"', '\'', '{', '?'];

/// Whether the name of a key or a header says that its value is secret.
#[must_use]
pub fn is_secret_key(key: &str) -> bool {
    let lower = key.to_ascii_lowercase();
    let name = lower.split('/').next().unwrap_or_default();
    MARKS.iter().any(|mark| name.contains(mark)) && !HARMLESS_ENDS.iter().any(|end| name.ends_with(end))
}

/// Whether all values below a key are secret, whatever their names.
pub(super) fn is_secret_section(key: &str) -> bool {
    SECTIONS.contains(&key.to_ascii_lowercase().as_str())
}

/// A text with the password of a URL, and what its query holds under the names of secrets, replaced if there is any.
pub(super) fn conceal_credentials(text: &str) -> Option<String> {
    let without_password = conceal_password(text);
    let shown = without_password.as_deref().unwrap_or(text);
    conceal_query(shown).or(without_password)
}

fn conceal_query(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let (before, query) = rest.split_once('?')?;
    let mut concealed = false;
    let mut parts = Vec::new();
    for part in query.split('&') {
        match part.split_once('=') {
            Some((name, _)) if is_secret_key(name) => {
                concealed = true;
                parts.push(format!("{name}={REDACTED}"));
            }
            _ => parts.push(part.to_owned()),
        }
    }
    concealed.then(|| format!("{scheme}://{before}?{}", parts.join("&")))
}

fn conceal_password(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let authority = rest.split(['/', '?', '#', ' ', '"', '\'']).next()?;
    let (credentials, _) = authority.rsplit_once('@')?;
    let (user, _) = credentials.split_once(':')?;
    let after = rest.get(credentials.len()..)?;
    Some(format!("{scheme}://{user}:{REDACTED}{after}"))
}

/// A line of a source with everything replaced that may be secret; with `all`, every value.
pub(super) fn conceal_line(source: &SourceText, number: u32, all: bool) -> String {
    let line = source.line(number);
    let inside = all || inside_secret(source, number);
    match value_start(line) {
        Some((key, start)) if inside || holds_secrets(key) => conceal_from(line, start),
        Some((_, start)) if mentions_secret(line.get(start..).unwrap_or_default()) => {
            conceal_from(line, start)
        }
        None if inside || mentions_secret(line) => {
            let start = line.len() - line.trim_start_matches([' ', '-', '\t']).len();
            conceal_from(line, start)
        }
        _ => conceal_credentials(line).unwrap_or_else(|| line.to_owned()),
    }
}

fn holds_secrets(key: &str) -> bool {
    is_secret_key(key) || is_secret_section(key)
}

/// Whether the line belongs to a block whose opening key holds secrets: a list, map or text below it.
fn inside_secret(source: &SourceText, number: u32) -> bool {
    /// Blocks are searched upwards this far.
    const REACH: u32 = 1000;
    let indentation = |line: &str| line.len() - line.trim_start_matches([' ', '-']).len();
    let mut inner = indentation(source.line(number));
    for above in (number.saturating_sub(REACH).max(1)..number).rev() {
        let line = source.line(above);
        if line.trim().is_empty() || indentation(line) >= inner {
            continue;
        }
        inner = indentation(line);
        if value_start(line).is_some_and(|(key, _)| holds_secrets(key)) {
            return true;
        }
        if inner == 0 {
            return false;
        }
    }
    false
}

/// The key of a line and where its value starts.
fn value_start(line: &str) -> Option<(&str, usize)> {
    let colon = line.find(':')?;
    Some((line.get(..colon)?.trim_matches(AROUND_KEYS), colon + 1))
}

/// Whether flow style has a secret key further along the line.
fn mentions_secret(rest: &str) -> bool {
    rest.split([',', '{', '[', ' '])
        .filter_map(|part| part.split_once(':'))
        .any(|(key, _)| holds_secrets(key.trim_matches(AROUND_KEYS)))
}

fn conceal_from(line: &str, start: usize) -> String {
    let (kept, value) = line.split_at_checked(start).unwrap_or((line, ""));
    if value.trim().is_empty() {
        return line.to_owned();
    }
    let space = value.len() - value.trim_start().len();
    format!("{kept}{:space$}{REDACTED}", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_name() {
        for key in
            ["password", "client_secret", "bearer_token", "Authorization", "X-Api-Key", "key_pem", "tokens"]
        {
            assert!(is_secret_key(key), "{key}");
        }
        for key in
            ["endpoint", "token_url", "password_file", "bearertokenauth/2", "cookies", "key", "authenticator"]
        {
            assert!(!is_secret_key(key), "{key}");
        }
    }

    #[test]
    fn urls_show_neither_password_nor_keys_of_their_query() {
        let shown = conceal_credentials("https://user:hush@host:4318/v1?zone=b&api_key=hush&token=hush");
        let expected = "https://user:[REDACTED]@host:4318/v1?zone=b&api_key=[REDACTED]&token=[REDACTED]";
        assert_eq!(shown.as_deref(), Some(expected));
        assert_eq!(conceal_credentials("https://host/?zone=b"), None);
    }

    #[test]
    fn a_line_shows_no_secret_in_any_style() {
        let text = "a:\n  headers:\n    x-custom: hush\n    - name: x\n      value: hush\n  other: shown\n\
                    b: {endpoint: shown, password: hush}\nkey_pem: |\n  hush\n  hush\n\"token\": hush\n\
                    url: http://user:hush@host/path\nlist: [{headers: {a: hush}}]\n";
        let source = SourceText::new("c.yaml", text);
        let lines = u32::try_from(text.lines().count()).unwrap();
        let shown: Vec<String> = (1..=lines).map(|line| conceal_line(&source, line, false)).collect();
        assert!(!shown.join("\n").contains("hush"), "{shown:#?}");
        assert_eq!(shown[5], "  other: shown");
        assert_eq!(conceal_line(&source, 6, true), "  other: [REDACTED]");
        assert_eq!(shown[11], "url: http://user:[REDACTED]@host/path");
    }
}
